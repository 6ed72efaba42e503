"""Targets: class labels as indices, and numbers as standardised numbers, there and back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nnscratch.data import _records
from nnscratch.data._io import some
from nnscratch.data.labels import MOST_GUESSED_CLASSES, Label, checked_labels, respelled
from nnscratch.data.standardise import Standardiser
from nnscratch.data.table import ColumnKind, kind_of
from nnscratch.errors import CheckpointError, DataError, ShapeError

Task = Literal["classification", "regression"]
_CLASSES = "class-target"
_NUMBERS = "number-target"
# Text with more different values than this share of the rows names the rows.
_NEARLY_UNIQUE = 0.9


def infer_task(values: npt.NDArray[Any]) -> Task:
    """Return the task that the values of a target column imply.

    Text, booleans, anything of two values, and whole numbers of at most 20 different values are
    classes, floating-point ones (1.0, 2.0) only where each is there twice or more on average. Other
    numbers are numbers to predict, and so are numbers of which no two are equal.

    >>> infer_task(np.array([0, 1, 1])), infer_task(np.array([0.5, 1.0, 1.5]))
    ('classification', 'regression')
    """
    if values.dtype.kind not in "iuf":
        return "classification"
    different = np.unique(values)
    whole = bool(np.isfinite(different).all() and (different == np.floor(different)).all())
    few = len(different) <= MOST_GUESSED_CLASSES
    repeated = values.dtype.kind != "f" or 2 * len(different) <= len(values)
    if len(different) == len(values) > 1:
        return "regression"
    if len(different) == 2 or (whole and few and repeated):
        return "classification"
    return "regression"


def refuse_names(values: npt.NDArray[Any], *, name: str = "the target") -> None:
    """Refuse a target of text that is another one in nearly every row: it names the rows.

    Raises:
        DataError: more than nine in ten values are different.
    """
    if values.dtype.kind not in "OU":
        return
    different = len(set(values.tolist()))
    if different > max(2, _NEARLY_UNIQUE * len(values)):
        raise DataError(
            f"{name}: its text has {different:,} different values in {len(values):,} rows, which "
            "name the rows and cannot be learned; choose another target, or say that these are "
            "classes with the task 'classification'"
        )


@dataclass(frozen=True)
class ClassTarget:
    """Class labels and their indices: label `classes[i]` has index i.

    Args:
        classes: the labels, in ascending order: all text, all whole numbers, all floating-point
            numbers, or all booleans.

    >>> target = ClassTarget.fit(np.array(["oak", "elm", "oak"]))
    >>> target.classes, target.transform(np.array(["oak", "elm"]))
    (('elm', 'oak'), array([1, 0]))
    """

    classes: tuple[Label, ...]

    @classmethod
    def fit(cls, values: npt.ArrayLike, *, name: str = "the target") -> "ClassTarget":
        """Collect the labels of a column, (N,) or (N, 1).

        Raises:
            DataError: no rows, a single class, or labels that are not text, booleans, whole
                numbers or a few other numbers.
        """
        labels = checked_labels(values, name)
        classes = tuple(np.unique(labels).tolist())
        if len(classes) < 2:
            found = f"the single class {classes[0]!r}" if classes else "no rows"
            raise DataError(f"{name}: classification needs two classes or more, found {found}")
        return cls(classes)

    @property
    def kind(self) -> ColumnKind:
        """The kind of column that the labels come from, for `read_table`."""
        if isinstance(self.classes[0], bool):
            return "boolean"
        return "categorical" if isinstance(self.classes[0], str) else "numeric"

    @property
    def class_names(self) -> tuple[str, ...]:
        """The labels as text."""
        return tuple(str(label) for label in self.classes)

    @property
    def outputs(self) -> int:
        """The number of outputs that a network needs, one for each class."""
        return len(self.classes)

    def transform(
        self, values: npt.ArrayLike, *, name: str = "the target"
    ) -> npt.NDArray[np.int64]:
        """The index of each label, (N,) int64.

        A label that a class spells in another way is taken for it where only one is meant: `1` for
        `1.0`, `TRUE` for `true`, 1.0 for 1.

        Raises:
            DataError: a label is not among the classes; the message says which, and how often.
        """
        labels = checked_labels(values, name)
        index: dict[Label, int] = {label: number for number, label in enumerate(self.classes)}
        known = type(self.classes[0])
        listed = labels.tolist()
        # True == 1 in Python, so a label of another type could be taken for a class.
        strange = {one for one in listed if one not in index or type(one) is not known}
        again = respelled(strange, self.classes) if strange else {}
        wrong = [one for one in listed if one in strange and one not in again]
        if wrong:
            different = [*dict.fromkeys(map(repr, wrong))]
            shown = ", ".join(different[:10]) + (" and others" if different[10:] else "")
            raise DataError(
                f"{name}: {len(wrong):,} of {len(listed):,} rows have a label that training never "
                f"showed: {shown}; the classes are {some([*self.class_names])}"
            )
        index |= again
        return np.fromiter((index[one] for one in listed), np.int64, len(listed))

    def inverse_transform(self, indices: npt.ArrayLike) -> npt.NDArray[Any]:
        """The label of each index, (N,): text as Python strings, int64, float64 or bool.

        Raises:
            ShapeError: the indices do not have the shape (N,).
            DataError: an index is out of range.
        """
        chosen = np.asarray(indices)
        if chosen.ndim != 1:
            raise ShapeError(f"expected class indices of shape (N,), got {chosen.shape}")
        if chosen.size and (
            chosen.dtype.kind not in "iu"
            or int(chosen.min()) < 0
            or int(chosen.max()) >= len(self.classes)
        ):
            raise DataError(f"class indices must be whole numbers from 0 to {self.outputs - 1}")
        kinds: dict[type, Any] = {bool: bool, int: np.int64, float: np.float64, str: object}
        dtype = kinds[type(self.classes[0])]
        return np.array(self.classes, dtype)[chosen.astype(np.int64)]

    def to_dict(self) -> dict[str, Any]:
        """What `from_dict` reads, in plain JSON types."""
        return {"form": _CLASSES, "version": 1, "classes": list(self.classes)}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "ClassTarget":
        """Read what `to_dict` wrote.

        Raises:
            CheckpointError: it is something else, or damaged.
        """
        saved = _records.form(value, _CLASSES, 1, ("classes",))
        classes = tuple(_records.entries(saved["classes"], "classes"))
        kinds = {type(label) for label in classes}
        if len(classes) < 2 or len(kinds) != 1 or not kinds <= {str, int, float, bool}:
            raise CheckpointError(
                f"{_CLASSES}: expected two classes or more, all text, all numbers or all "
                f"booleans; found {len(classes)} of {some(sorted(k.__name__ for k in kinds))}"
            )
        if list(classes) != sorted(set(classes)):
            raise CheckpointError(f"{_CLASSES}: expected different classes in ascending order")
        if kinds == {int} and not all(-(2**63) <= label < 2**63 for label in classes):
            raise CheckpointError(f"{_CLASSES}: a class is beyond the range of int64")
        return cls(classes)


@dataclass(frozen=True)
class NumberTarget:
    """A number to predict, standardised or as it is.

    Args:
        standardiser: of one feature; the identity (mean 0, std 1) leaves the numbers as they are.

    >>> target = NumberTarget.fit(np.array([10.0, 30.0]))
    >>> target.transform(np.array([30.0])), target.inverse_transform(np.array([[1.0]]))
    (array([[1.]], dtype=float32), array([[30.]]))
    """

    standardiser: Standardiser

    @classmethod
    def fit(
        cls,
        values: npt.ArrayLike,
        *,
        standardise: bool = True,
        constant: bool = False,
        name: str = "the target",
    ) -> "NumberTarget":
        """Measure the mean and the standard deviation of a column, (N,).

        Raises:
            DataError: no rows, not numbers, NaN or infinity, or the same number in every row,
                unless it may be ``constant``, as in a part of a column that is not.
        """
        column = _column(values, name)
        measured = Standardiser.fit(column, name=name)
        if (column == column[0]).all() and not constant:
            raise DataError(
                f"{name}: every row has the value {float(column[0, 0]):g}: nothing to learn"
            )
        return cls(measured if standardise else Standardiser((0.0,), (1.0,)))

    @property
    def kind(self) -> ColumnKind:
        """The kind of column that the numbers come from, for `read_table`."""
        return "numeric"

    @property
    def outputs(self) -> int:
        """How many outputs a network needs: one."""
        return 1

    def transform(
        self,
        values: npt.ArrayLike,
        dtype: npt.DTypeLike = np.float32,
        *,
        name: str = "the target",
    ) -> npt.NDArray[Any]:
        """The standardised numbers, (N, 1) of `dtype`: the shape of a network's one output."""
        return self.standardiser.transform(_column(values, name), dtype, name=name)

    def inverse_transform(self, predictions: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Predictions, (N, 1) or (N,), in the units of the data: float64 of the same shape.

        Raises:
            ShapeError: they have another shape.
        """
        values = np.asarray(predictions, np.float64)
        if values.ndim == 1:
            return self.standardiser.inverse_transform(values[:, None])[:, 0]
        return self.standardiser.inverse_transform(values)

    def to_dict(self) -> dict[str, Any]:
        """What `from_dict` reads, in plain JSON types."""
        saved = self.standardiser.to_dict()
        return {"form": _NUMBERS, "version": 1, "standardiser": saved}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "NumberTarget":
        """Read what `to_dict` wrote.

        Raises:
            CheckpointError: it is something else, or damaged.
        """
        saved = _records.form(value, _NUMBERS, 1, ("standardiser",))
        standardiser = Standardiser.from_dict(saved["standardiser"])
        if standardiser.features != 1:
            raise CheckpointError(f"{_NUMBERS}: expected one mean, found {standardiser.features}")
        return cls(standardiser)


def target_from_dict(value: Mapping[str, Any]) -> ClassTarget | NumberTarget:
    """Read what `to_dict` of either kind of target wrote.

    Raises:
        CheckpointError: it is something else, or damaged.
    """
    if _records.has_form(value, _NUMBERS):
        return NumberTarget.from_dict(value)
    return ClassTarget.from_dict(value)


def _column(values: npt.ArrayLike, name: str) -> npt.NDArray[Any]:
    array = np.asarray(values)
    if array.ndim != 1:
        raise ShapeError(f"{name}: expected numbers of shape (N,), got {array.shape}")
    if array.dtype.kind not in "iuf":
        raise DataError(
            f"{name}: regression needs numbers, but the column is {kind_of(array)}; choose "
            "classification"
        )
    return array[:, None]
