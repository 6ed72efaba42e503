"""Targets: class labels as indices, and numbers as standardised numbers, there and back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nnscratch.data import _records
from nnscratch.data._io import some
from nnscratch.data.standardise import Standardiser
from nnscratch.data.table import ColumnKind, kind_of
from nnscratch.errors import CheckpointError, DataError, ShapeError

Task = Literal["classification", "regression"]
Label = str | int | bool

_CLASSES = "class-target"
_NUMBERS = "number-target"
_MOST_GUESSED_CLASSES = 20


def infer_task(values: npt.NDArray[Any]) -> Task:
    """What a target column asks for, where nobody says.

    Text, booleans, and whole numbers of at most 20 different values are classes; anything else is
    a number to predict.

    >>> infer_task(np.array([0, 1, 1])), infer_task(np.array([0.5, 1.0]))
    ('classification', 'regression')
    """
    if values.dtype.kind in "bOU":
        return "classification"
    if values.dtype.kind in "iu" and len(np.unique(values)) <= _MOST_GUESSED_CLASSES:
        return "classification"
    return "regression"


@dataclass(frozen=True)
class ClassTarget:
    """Class labels and their indices: label `classes[i]` has index i.

    Args:
        classes: the labels, in ascending order: all text, all whole numbers, or all booleans.

    >>> target = ClassTarget.fit(np.array(["oak", "elm", "oak"]))
    >>> target.classes, target.transform(np.array(["oak", "elm"]))
    (('elm', 'oak'), array([1, 0]))
    """

    classes: tuple[Label, ...]

    @classmethod
    def fit(cls, values: npt.ArrayLike, *, name: str = "the target") -> "ClassTarget":
        """Collect the labels of a column, (N,).

        Raises:
            DataError: no rows, a single class, or labels that are not text, booleans or whole
                numbers.
        """
        labels = _labels(values, name)
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
        return "numeric" if isinstance(self.classes[0], int) else "categorical"

    @property
    def class_names(self) -> tuple[str, ...]:
        """The labels as text."""
        return tuple(str(label) for label in self.classes)

    @property
    def outputs(self) -> int:
        """How many outputs a network needs: one for each class."""
        return len(self.classes)

    def transform(
        self, values: npt.ArrayLike, *, name: str = "the target"
    ) -> npt.NDArray[np.int64]:
        """The index of each label, (N,) int64.

        Raises:
            DataError: a label is not among the classes; the message says which, and how often.
        """
        labels = _labels(values, name)
        index = {label: number for number, label in enumerate(self.classes)}
        known = type(self.classes[0])
        listed = labels.tolist()
        # True == 1 in Python, so a label of another type would pass for a class.
        wrong = [one for one in listed if one not in index or type(one) is not known]
        if wrong:
            different = [*dict.fromkeys(map(repr, wrong))]
            shown = ", ".join(different[:10]) + (" and others" if different[10:] else "")
            raise DataError(
                f"{name}: {len(wrong):,} of {len(listed):,} rows have a label that training never "
                f"showed: {shown}; the classes are {some([*self.class_names])}"
            )
        return np.fromiter((index[one] for one in listed), np.int64, len(listed))

    def inverse_transform(self, indices: npt.ArrayLike) -> npt.NDArray[Any]:
        """The label of each index, (N,): text as Python strings, int64 or bool.

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
        dtype: Any = {"boolean": bool, "numeric": np.int64, "categorical": object}[self.kind]
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
        if len(classes) < 2 or len(kinds) != 1 or not kinds <= {str, int, bool}:
            raise CheckpointError(
                f"{_CLASSES}: expected two classes or more, all text, all whole numbers or all "
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
        cls, values: npt.ArrayLike, *, standardise: bool = True, name: str = "the target"
    ) -> "NumberTarget":
        """Measure the mean and the standard deviation of a column, (N,).

        Raises:
            DataError: no rows, not numbers, NaN or infinity, or the same number in every row.
        """
        column = _column(values, name)
        measured = Standardiser.fit(column, name=name)
        if (column == column[0]).all():
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


def _labels(values: npt.ArrayLike, name: str) -> npt.NDArray[Any]:
    array = np.asarray(values)
    if array.ndim != 1:
        raise ShapeError(f"{name}: expected labels of shape (N,), got {array.shape}")
    if array.dtype.kind in "biu":
        if array.dtype.kind == "u" and array.size and int(array.max()) > np.iinfo(np.int64).max:
            raise DataError(f"{name}: a label is beyond the range of int64")
        return array
    if array.dtype.kind == "f":
        whole = np.isfinite(array) & (array == np.floor(array)) & (np.abs(array) < 2.0**53)
        if whole.all():
            return array.astype(np.int64)
        row = int(np.argmin(whole))
        raise DataError(
            f"{name}: {float(array[row]):g} in row {row + 1} is no class label; choose regression "
            "to predict a number"
        )
    labels = array.astype(object)
    if not all(isinstance(one, str) for one in labels):
        raise DataError(f"{name}: expected labels that are text, whole numbers or booleans")
    return labels


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
