"""Arrays whose rows are samples: conversion from other objects, and reading rows by index."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch.array import (
    array_namespace,
    asarray,
    default_dtype,
    is_array,
    is_floating,
    same_device,
    to_device_of,
)
from nnscratch.array.addresses import on_device_of
from nnscratch.array.dtypes import cast
from nnscratch.array.integers import intp
from nnscratch.errors import DataError
from nnscratch.tensors import Tensor


def as_column(item: Any, place: int) -> Any:
    """Return the array of a tensor, or an array of other data: floats in the default dtype."""
    if isinstance(item, Tensor):
        return item.array
    array = asarray(as_numbers(item, place))
    return cast(array, default_dtype() if is_floating(array) else "int64")


def as_numbers(item: Any, place: int) -> Any:
    """Return a table of Python objects as an array of numbers.

    Raises:
        DataError: if it contains text or missing values.
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


def at(array: Any, index: Any) -> Tensor:
    """Return the elements of an array at an index as a tensor; a view if NumPy makes one."""
    if type(array) is not np.ndarray:
        return Tensor(array)[index]
    raw = index.array if isinstance(index, Tensor) else index
    _check(array, raw)
    return Tensor(asarray(array[raw]))


def take(array: Any, indices: Any) -> Any:
    """Return a copy of the rows of an array at integer indices, on the array's device.

    Raises:
        DeviceError: if the indices are neither on the array's device nor on the CPU.
    """
    if type(array) is not np.ndarray:
        indices = to_device_of(indices, array)
        _check(array, indices)
        with on_device_of(array):
            return array_namespace(array).take(array, indices, axis=0)
    _check(array, indices)
    return array.take(intp(indices), 0)


def _check(array: Any, index: Any) -> None:
    if type(index) is not np.ndarray and is_array(index):
        same_device("samples of a data set", tensor=array, index=index)
