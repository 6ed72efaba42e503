"""Standardising: every feature to mean 0 and standard deviation 1, as measured in training."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nnscratch.data import _records
from nnscratch.errors import CheckpointError, ConfigurationError, DataError, ShapeError

_FORM = "standardiser"


@dataclass(frozen=True)
class Standardiser:
    """The mean and the standard deviation of each of F features: `transform` is (X − mean) / std.

    Fitted on the training part alone, so that nothing of the test part leaks into training.

    Args:
        mean: F numbers.
        std: F positive numbers: the population's (divided by N); 1 for a feature that is constant.

    >>> X = np.array([[1.0, 5.0], [3.0, 5.0]])
    >>> standardiser = Standardiser.fit(X)
    >>> standardiser.mean, standardiser.std
    ((2.0, 5.0), (1.0, 1.0))
    >>> standardiser.transform(X)
    array([[-1.,  0.],
           [ 1.,  0.]], dtype=float32)
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std):
            raise ConfigurationError(
                f"a mean and a std for each feature: got {len(self.mean)} and {len(self.std)}"
            )

    @classmethod
    def fit(cls, X: npt.ArrayLike, *, name: str = "the training data") -> "Standardiser":
        """Measure the mean and the standard deviation of each column of X, (N, F), N at least 1.

        Raises:
            ShapeError: X has not two dimensions.
            DataError: X has no rows, or holds a NaN or an infinity.
        """
        values = _matrix(X, name)
        if len(values) == 0:
            raise DataError(f"{name}: there are no rows to measure a mean and a deviation on")
        # Scale first, so that the squares of very large numbers do not overflow, and so that a
        # constant such as 0.1 becomes exactly 1 and its deviation exactly 0.
        largest = np.abs(values).max(axis=0)
        scale = np.where(largest > 0.0, largest, 1.0)
        scaled = values / scale
        mean, deviation = scaled.mean(axis=0), scaled.std(axis=0)
        std = deviation * scale
        return cls(tuple((mean * scale).tolist()), tuple(np.where(std > 0.0, std, 1.0).tolist()))

    @property
    def features(self) -> int:
        """The number of features, F."""
        return len(self.mean)

    def transform(
        self, X: npt.ArrayLike, dtype: npt.DTypeLike = np.float32, *, name: str = "the data"
    ) -> npt.NDArray[Any]:
        """Standardise X, (N, F), into an array of the same shape and of `dtype`.

        Raises:
            ShapeError: X has another number of features.
            DataError: X holds a NaN or an infinity, or a value too far out for `dtype`.
        """
        target = floating(dtype)
        values = _matrix(X, name)
        self._check(values, name)
        with np.errstate(over="ignore"):
            result: npt.NDArray[Any] = (
                (values - np.asarray(self.mean)) / np.asarray(self.std)
            ).astype(target)
        refuse_overflow(result, target, name)
        return result

    def inverse_transform(self, Z: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Undo `transform`: Z · std + mean, (N, F) float64.

        Raises:
            ShapeError: Z has another number of features.
        """
        values = np.asarray(Z, np.float64)
        self._check(values, "the data")
        result: npt.NDArray[np.float64] = values * np.asarray(self.std) + np.asarray(self.mean)
        return result

    def to_dict(self) -> dict[str, Any]:
        """What `from_dict` reads, in plain JSON types; the numbers come back exactly."""
        return {"form": _FORM, "version": 1, "mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "Standardiser":
        """Read what `to_dict` wrote.

        Raises:
            CheckpointError: it is something else, or damaged.
        """
        saved = _records.form(value, _FORM, 1, ("mean", "std"))
        mean = [_records.number(v, "mean") for v in _records.entries(saved["mean"], "mean")]
        std = [
            _records.number(v, "std", positive=True) for v in _records.entries(saved["std"], "std")
        ]
        if len(mean) != len(std):
            raise CheckpointError(f"{_FORM}: {len(mean)} means but {len(std)} deviations")
        return cls(tuple(mean), tuple(std))

    def _check(self, values: npt.NDArray[np.float64], name: str) -> None:
        if values.ndim != 2 or values.shape[1] != self.features:
            raise ShapeError(
                f"{name}: expected the shape (N, {self.features}), as in training; "
                f"got {values.shape}"
            )


def floating(dtype: npt.DTypeLike) -> np.dtype[Any]:
    """A floating-point dtype.

    Raises:
        ConfigurationError: it is another one.
    """
    target = np.dtype(dtype)
    if target.kind != "f":
        raise ConfigurationError(f"features need a floating-point dtype, got {target}")
    return target


def refuse_overflow(values: npt.NDArray[Any], target: np.dtype[Any], name: str) -> None:
    """Raise a DataError if standardising took a finite value beyond the range of its dtype."""
    bad = ~np.isfinite(values)
    if bad.any():
        row = int(np.argmax(bad.any(axis=1)))
        raise DataError(
            f"{name}: {int(bad.sum()):,} values are so far from those of the training data that "
            f"they overflow {target} when standardised, first in row {row + 1}"
        )


def _matrix(X: npt.ArrayLike, name: str) -> npt.NDArray[np.float64]:
    try:
        values = np.asarray(X, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name}: expected numbers ({error})") from None
    if values.ndim != 2:
        raise ShapeError(f"{name}: expected the shape (N, F), got {values.shape}")
    bad = ~np.isfinite(values)
    if bad.any():
        row, column = np.unravel_index(int(np.argmax(bad)), values.shape)
        raise DataError(
            f"{name}: {int(bad.any(axis=1).sum()):,} of {len(values):,} rows hold a NaN or an "
            f"infinity, first in row {row + 1}, feature {column + 1}"
        )
    return values
