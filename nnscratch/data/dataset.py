"""Data sets: arrays whose first dimension counts the samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch.array import (
    array_namespace,
    as_device,
    asarray,
    beside,
    default_dtype,
    is_array,
    is_floating,
    move,
    same_device,
)
from nnscratch.array.addresses import on_device_of
from nnscratch.array.dtypes import cast
from nnscratch.errors import ConfigurationError, DataError
from nnscratch.tensor import Tensor


class TensorDataset:
    """Tensors or arrays of one length: sample i is the i-th row of each.

    Tensors are taken as they are. Of arrays, floating ones become the default dtype (float32) and
    integers and booleans int64, without a copy where they are that already.

    Args:
        tensors: at least one, each (N, ...) with the same N above 0.

    Raises:
        ConfigurationError: if there is none, or one has no dimensions.
        DataError: if there are no samples, or the lengths differ.

    >>> data = TensorDataset(np.zeros((3, 2)), np.array([0, 1, 0]))
    >>> len(data), data[2]
    (3, (tensor([0., 0.]), tensor(0)))
    """

    def __init__(self, *tensors: Any) -> None:
        if not tensors:
            raise ConfigurationError("a TensorDataset needs at least one tensor, got none")
        self.arrays = tuple(_array(item, place) for place, item in enumerate(tensors))
        for position, array in enumerate(self.arrays):
            if array.ndim == 0:
                raise ConfigurationError(
                    f"tensor {position} of a TensorDataset has no dimensions; the first one "
                    "counts the samples"
                )
        lengths = [int(array.shape[0]) for array in self.arrays]
        if len(set(lengths)) > 1:
            raise DataError(
                f"the tensors of a data set have different lengths: "
                f"{', '.join(map(str, lengths))}; "
                "each needs one row a sample"
            )
        if lengths[0] == 0:
            raise DataError("the data set is empty: its tensors have no rows")

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The tensors, by PyTorch's name; they share memory with the data set."""
        return tuple(Tensor(array) for array in self.arrays)

    def __len__(self) -> int:
        return int(self.arrays[0].shape[0])

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(_at(array, index) for array in self.arrays)

    def take(self, indices: Any) -> tuple[Tensor, ...]:
        """Return the samples at an integer array of indices, as one copy of each array.

        Indices on the host serve all devices, also where the tensors are on several.

        Raises:
            DeviceError: if other indices are not where a tensor is.
        """
        return tuple([Tensor(_take(array, indices)) for array in self.arrays])

    def slice(self, start: int, stop: int) -> tuple[Tensor, ...]:
        """Return the samples from ``start`` to ``stop`` without a copy."""
        return tuple([Tensor(array[start:stop, ...]) for array in self.arrays])

    def to(self, device: Any) -> TensorDataset:
        """Return the data set on a device; the same object if it is there already.

        Raises:
            DeviceError: if this machine has no such device.
        """
        moved = [move(array, as_device(device)) for array in self.arrays]
        if all(new is old for new, old in zip(moved, self.arrays, strict=True)):
            return self
        return TensorDataset(*[Tensor(array) for array in moved])


def _array(item: Any, place: int) -> Any:
    if isinstance(item, Tensor):
        return item.array
    array = asarray(as_numbers(item, place))
    return cast(array, default_dtype() if is_floating(array) else "int64")


def as_numbers(item: Any, place: int) -> Any:
    """What a table of Python objects holds, as an array of numbers.

    Raises:
        DataError: if that is text, or nothing.
    """
    if is_array(item) and item.dtype.kind not in "OUST":
        return item
    try:
        values = np.asarray(item)
    except (ValueError, TypeError):
        # Rows of several lengths, or another library's: `asarray` says what is wrong.
        return item
    if values.dtype.kind not in "OUST":
        return values
    kinds = sorted({type(one).__name__ for one in values.ravel().tolist()})
    try:
        if values.dtype.kind == "O" and not {"str", "NoneType"} & set(kinds):
            found = np.array(values.tolist())
            return found if found.dtype.kind in "biuf" else values.astype(np.float64)
    except (TypeError, ValueError):
        pass
    raise DataError(
        f"tensor {place} of the data holds {' and '.join(kinds)}, not numbers alone: labels become "
        "class indices with ClassTarget.fit(y).transform(y), a table with text becomes features "
        "with TableEncoder, and missing values have to be filled in"
    )


def _at(array: Any, index: Any) -> Tensor:
    if type(array) is not np.ndarray:
        return Tensor(array)[index]
    raw = index.array if isinstance(index, Tensor) else index
    _check(array, raw)
    return Tensor(asarray(array[raw]))


def _take(array: Any, indices: Any) -> Any:
    if type(array) is not np.ndarray:
        indices = beside(indices, array)
        _check(array, indices)
        with on_device_of(array):
            return array_namespace(array).take(array, indices, axis=0)
    _check(array, indices)
    return array.take(indices, 0)


def _check(array: Any, index: Any) -> None:
    if type(index) is not np.ndarray and is_array(index):
        same_device("samples of a data set", tensor=array, index=index)
