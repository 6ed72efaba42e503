"""Labels of classes: as they are written in a file, and found again where they are spelled anew."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from nnscratch.errors import DataError, ShapeError

Label = str | int | float | bool

# More different numbers than this are numbers to predict, and no classes.
MOST_GUESSED_CLASSES = 20


def as_written(values: npt.NDArray[Any], texts: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The labels of a column of a file, so that they come back as they stand there.

    A column of `007`, `1.0`, `TRUE` or `yes` is read as numbers or booleans, which would come back
    as `7`, `1`, `True`: it is taken as text. Numbers in the usual spelling stay numbers, and so
    does a column that spells one value in several ways (`1` and `1.0`, `true` and `True`), for
    these are one class, but for leading zeros, which make codes of them.

    Args:
        values: (N,) as the column was read: numbers, booleans or text; NaN and None are missing.
        texts: (N,) the same as text; what is missing among the values becomes None.

    >>> as_written(np.array([7, 12]), np.array(["007", "012"], object)).tolist()
    ['007', '012']
    >>> as_written(np.array([7, 12]), np.array(["7", "12"], object)).tolist()
    [7, 12]
    """
    listed = values.tolist()
    known = [one is not None and one == one for one in listed]
    if len(listed) != len(texts) or any(isinstance(one, str) for one in listed):
        return values
    written = np.array([t if k else None for t, k in zip(texts, known, strict=True)], object)
    pairs = {(v, t) for v, t, k in zip(listed, written.tolist(), known, strict=True) if k}
    if any(type(value) is not bool and _is_code(text) for value, text in pairs):
        return written
    if all(type(value) is int and str(value) == text for value, text in pairs):
        return values
    return values if len({value for value, _ in pairs}) < len(pairs) else written


def meaning(label: object) -> object:
    """What two spellings of one label have in common: `1`, `1.0` and `01.0`; `TRUE` and True.

    Codes with leading zeros, and text, mean themselves.
    """
    if isinstance(label, (bool, np.bool_)):
        return ("truth", bool(label))
    if isinstance(label, (int, float)):
        return float(label)
    text = str(label).strip()
    if text.casefold() in ("true", "false"):
        return ("truth", text.casefold() == "true")
    try:
        return text if _is_code(text) else float(text)
    except ValueError:
        return text


def respelled(labels: Iterable[Label], classes: tuple[Label, ...]) -> dict[Label, int]:
    """The index of each label that a class spells in another way; only where that is unambiguous.

    >>> respelled(["1", "3"], ("1.0", "2.0"))
    {'1': 0}
    """
    found = {meaning(one): index for index, one in enumerate(classes)}
    if len(found) < len(classes):
        return {}
    meant = {label: meaning(label) for label in labels}
    return {label: found[what] for label, what in meant.items() if what in found}


def checked_labels(values: npt.ArrayLike, name: str) -> npt.NDArray[Any]:
    """Labels, (N,), as booleans, whole numbers, float64 or Python strings.

    Floating-point numbers that are all whole become int64.

    Raises:
        ShapeError: they do not have the shape (N,).
        DataError: they are something else, or numbers of so many values that they are no classes.
    """
    array = np.asarray(values)
    if array.dtype.kind == "U" and isinstance(values, (list, tuple)):
        # NumPy makes text of all where one is: with this dtype they stay what they are.
        array = np.asarray(values, object)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ShapeError(f"{name}: expected labels of shape (N,), got {array.shape}")
    if array.dtype.kind == "O":
        kinds = {type(one) for one in array.tolist()}
        if kinds and (kinds <= {bool, np.bool_} or (kinds <= {int, float, np.int64, np.float64})):
            array = np.array(array.tolist())
    if array.dtype.kind in "biu":
        if array.dtype.kind == "u" and array.size and int(array.max()) > np.iinfo(np.int64).max:
            raise DataError(f"{name}: a label is beyond the range of int64")
        return array
    if array.dtype.kind == "f":
        return _numbers(array.astype(np.float64), name)
    labels = array.astype(object)
    for row, one in enumerate(labels.tolist(), start=1):
        if not isinstance(one, str):
            raise DataError(
                f"{name}: expected labels that are text, whole numbers or booleans, found "
                f"{one!r} ({type(one).__name__}) in row {row}"
            )
    # Those of NumPy, too, become Python's own.
    return np.array([str(one) for one in labels.tolist()], object)


def _numbers(array: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    whole = np.isfinite(array) & (array == np.floor(array)) & (np.abs(array) < 2.0**53)
    if whole.all():
        return array.astype(np.int64)
    finite = bool(np.isfinite(array).all())
    if finite and len(np.unique(array)) <= MOST_GUESSED_CLASSES:
        return array
    row = int(np.argmin(whole if finite else np.isfinite(array)))
    raise DataError(
        f"{name}: {float(array[row]):g} in row {row + 1} is no class label; choose regression "
        "to predict a number"
    )


def _is_code(text: str) -> bool:
    """Whether it is a number with leading zeros, which a number would lose."""
    return len(text) > 1 and text[0] == "0" and text[1].isdigit()
