"""Picking entries out of an array: basic indices, arrays of indices, and one-hot rows."""

from __future__ import annotations

import math
import operator
from typing import Any

from nnscratch.array import array_namespace, is_recorded
from nnscratch.array.dtypes import dtype_name, dtype_of, is_integer
from nnscratch.array.integers import intp
from nnscratch.errors import DataError, DTypeError, NNScratchError
from nnscratch.formulas.checks import NOTHING, NothingSaved, need_axis
from nnscratch.formulas.derivations import MOVED_STEPS
from nnscratch.formulas.formula import formula
from nnscratch.formulas.placing import placed, sum_rows_at
from nnscratch.formulas.saved import Saved

_SOURCE = "document, section 4.2; a linear map whose derivative is its transpose"


class GetitemSaved(Saved):
    """The shape of A and the index, with an entry for every axis and none for new ones."""

    shape: tuple[int, ...]
    entries: tuple[int | slice, ...]


def _complete(shape: tuple[int, ...], index: Any) -> tuple[Any, ...]:
    """Return the index with an entry, counted from the front and within bounds, for every axis."""
    entries = index if isinstance(index, tuple) else (index,)
    named = sum(entry is not None and entry is not Ellipsis for entry in entries)
    dots = sum(entry is Ellipsis for entry in entries)
    if named > len(shape) or dots > 1:
        raise IndexError(f"getitem: index {index!r} has too many entries for shape {shape}")
    rest = (slice(None),) * (len(shape) - named)
    if dots:
        at = next(place for place, entry in enumerate(entries) if entry is Ellipsis)
        entries = (*entries[:at], *rest, *entries[at + 1 :])
    else:
        entries = (*entries, *rest)
    complete: list[Any] = []
    axis = 0
    for entry in entries:
        if entry is None:
            complete.append(None)
            continue
        size = shape[axis]
        if isinstance(entry, slice):
            start, stop, step = entry.indices(size)
            # A stop before the first entry cannot be written as a number: -1 is the last one.
            complete.append(slice(start, None if stop < 0 else stop, step))
            if start < 0:  # backwards through nothing
                complete[-1] = slice(0, 0, 1)
        else:
            try:
                place = operator.index(entry)
            except TypeError:
                raise IndexError(
                    f"getitem: expected integers, slices, None and ... as indices, got {entry!r}"
                ) from None
            if not -size <= place < size:
                raise IndexError(
                    f"getitem: index {place} is out of range for axis {axis} of shape {shape}"
                )
            complete.append(place % size)
        axis += 1
    return tuple(complete)


def getitem_forward(A: Any, *, index: Any) -> tuple[Any, GetitemSaved]:
    """Compute A[index] for integers, slices, None (a new axis) and ``...``; a view.

    Raises:
        IndexError: if an index is out of range or there are too many.
    """
    complete = _complete(tuple(A.shape), index)
    saved = GetitemSaved(tuple(A.shape), tuple(one for one in complete if one is not None))
    # The dots make a view of one element too, where NumPy would give its value.
    return A[(*complete, ...)], saved


def getitem_backward(dY: Any, saved: GetitemSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dA = dY at the entries that were picked, else 0."""
    shape, index = saved
    return (placed(dY, shape, index),)


GETITEM = formula(
    getitem_forward,
    getitem_backward,
    equation=r"Y = A[i]",
    gradients={"A": r"\frac{\partial L}{\partial Y} \text{ at } i, 0 \text{ elsewhere}"},
    shapes="A (any) -> Y (what the index picks)",
    source=_SOURCE,
    analytic=True,
    aliases=True,
    derivation=MOVED_STEPS,
)


class TakeSaved(Saved):
    """The shape of A, the flat indices counted from the front, and the axis."""

    shape: tuple[int, ...]
    I: Any
    axis: int


def in_range(where: str, I: Any, size: int, what: str, negative: bool = True) -> Any:
    """Return integer indices as int64, counted from the front.

    Args:
        where: the formula that errors name.
        I: the indices.
        size: the length n of the axis.
        what: what errors call them.
        negative: whether -1 to -n count from the end, instead of being out of range.

    Raises:
        DTypeError: if I holds no integers.
        DataError: naming the first index that is out of range, and where it stands.
    """
    if not is_integer(I):
        raise DTypeError(
            f"{where}: expected integers as {what}, got {dtype_name(I.dtype)}; "
            "convert them first with .long()"
        )
    xp = array_namespace(I)
    I = xp.astype(I, xp.int64, copy=False)
    low = -size if negative else 0
    refuse_where(where, (I < low) | (I >= size), I, f"{what} from {low} to {size - 1}")
    return xp.where(I < 0, I + size, I) if negative else I


def refuse_where(
    where: str, bad: Any, values: Any, expected: str, kind: type[NNScratchError] = DataError
) -> None:
    """Raise an error that names the first position where ``bad`` holds, and its value."""
    if is_recorded(bad):
        return
    xp = array_namespace(bad)
    if not bool(xp.count_nonzero(bad)):
        return
    flat = int(xp.nonzero(xp.reshape(bad, (-1,)))[0][0])
    value = xp.reshape(values, (-1,))[flat]
    place, rest = [], flat
    for size in reversed(bad.shape):
        rest, here = divmod(rest, size)
        place.append(here)
    position = tuple(reversed(place))
    at = f" at position {position[0] if len(position) == 1 else position}" if position else ""
    count = int(xp.sum(xp.astype(bad, xp.int64)))
    more = f" ({count} such values in all)" if count > 1 else ""
    raise kind(f"{where}: expected {expected}, got {value}{at}{more}")


def take_forward(A: Any, I: Any, *, axis: int, negative: bool = True) -> tuple[Any, TakeSaved]:
    """Compute the slices of A along an axis at the indices I, which may repeat.

    Args:
        A: any shape with that axis.
        I: integers of any shape, from -n to n - 1 where n is the length of the axis.
        axis: the axis, in whose place the result has the shape of I.
        negative: whether indices below 0 count from the end, instead of being out of range.

    Raises:
        DTypeError: if I holds no integers.
        DataError: if an index is out of range.
        ShapeError: if A has no such axis.

    >>> import numpy as np
    >>> take_forward(np.array([1.0, 2.0, 3.0]), np.array([2, 0, 2]), axis=0)[0]
    array([3., 1., 3.])
    """
    axis = need_axis("take", A.shape, axis)
    xp = array_namespace(A, I)
    flat = xp.reshape(in_range("take", I, A.shape[axis], "indices", negative), (-1,))
    shape = tuple(A.shape)
    Y = xp.reshape(xp.take(A, intp(flat), axis=axis), (*shape[:axis], *I.shape, *shape[axis + 1 :]))
    return Y, TakeSaved(shape, flat, axis)


def take_backward(dY: Any, saved: TakeSaved, needs: tuple[bool, ...]) -> tuple[Any, ...]:
    """Return dA, in which the slices of dY that came from one index are added up."""
    if not needs[0]:
        return None, None
    shape, I, axis = saved
    xp = array_namespace(dY)
    before, after = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    rows = xp.reshape(dY, (before, I.shape[0], after))
    rows = xp.reshape(xp.permute_dims(rows, (1, 0, 2)), (I.shape[0], before * after))
    sums = xp.reshape(sum_rows_at(rows, I, shape[axis]), (shape[axis], before, after))
    return xp.reshape(xp.permute_dims(sums, (1, 0, 2)), shape), None


TAKE = formula(
    take_forward,
    take_backward,
    equation=r"Y_k = A_{I_k}",
    gradients={"A": r"\sum_{k: I_k = i} \frac{\partial L}{\partial Y_k}"},
    shapes="A (any), I (any, integers) -> Y (the shape of I in place of the axis)",
    source=_SOURCE,
    analytic=True,
    derivation=MOVED_STEPS,
)


def one_hot_forward(I: Any, *, num_classes: int, dtype: str = "int64") -> tuple[Any, NothingSaved]:
    """Compute rows that are 1 at the index and 0 elsewhere.

    Raises:
        DTypeError: if I holds no integers.
        DataError: if an index is not from 0 to ``num_classes`` - 1.

    >>> import numpy as np
    >>> one_hot_forward(np.array([2, 0]), num_classes=3)[0]
    array([[0, 0, 1],
           [1, 0, 0]])
    """
    if not is_integer(I):
        raise DTypeError(
            f"one_hot: expected integers, got {dtype_name(I.dtype)}; convert with .long()"
        )
    xp = array_namespace(I)
    I = xp.astype(I, xp.int64, copy=False)
    expected = f"classes from 0 to {num_classes - 1}"
    refuse_where("one_hot", (I < 0) | (I >= num_classes), I, expected)
    classes = xp.arange(num_classes, dtype=xp.int64, device=I.device)
    hot = xp.expand_dims(I, axis=-1) == classes
    return xp.astype(hot, dtype_of(xp, dtype)), NOTHING


ONE_HOT = formula(
    one_hot_forward,
    equation=r"Y_{ik} = [I_i = k]",
    shapes="I (any, integers) -> Y (..., num_classes)",
    source="document, section 5.2",
)
