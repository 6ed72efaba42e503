"""The memory of PyTorch's tensors, and tensors as views of it: offset, sizes and strides."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch.errors import CheckpointError
from nnscratch.tensors.size import Size

_MOST_DIMENSIONS = 64

STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
    "UntypedStorage": "uint8",
}
"""PyTorch's kinds of memory, and the dtypes of their elements."""
DTYPES = {
    **{name: name for name in STORAGES.values()},
    **{"uint16": "uint16", "uint32": "uint32", "uint64": "uint64"},
}


class StorageViews:
    """Makes the arrays of tensors, each once.

    Args:
        room: how many bytes tensors may take that repeat or rearrange elements.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._arrays: dict[Any, Any] = {}

    def array(
        self,
        storage: np.ndarray,
        offset: int,
        size: tuple[int, ...],
        stride: tuple[int, ...],
        dtype: np.dtype[Any] | None,
    ) -> Any:
        """Return the elements of a tensor; the same one again where a tensor comes twice."""
        key = (id(storage), offset, size, stride, dtype)
        if key not in self._arrays:
            typed = storage if dtype is None else storage.view(dtype)
            if len(size) != len(stride) or len(size) > _MOST_DIMENSIONS or of_type(offset, int) < 0:
                raise ValueError("a tensor whose sizes and strides do not fit")
            self._arrays[key] = (self._elements(typed, offset, size, stride), storage)
        return self._arrays[key][0]

    def _elements(
        self, storage: np.ndarray, offset: int, size: tuple[int, ...], stride: tuple[int, ...]
    ) -> Any:
        count = 1
        for side in size:
            count *= side
        reach = sum((side - 1) * step for side, step in zip(size, stride, strict=True))
        if count and offset + reach >= len(storage):
            raise CheckpointError(
                f"a tensor of {count:,} elements reaches behind the {len(storage):,} of its memory"
            )
        whole = offset == 0 and count == len(storage) and _in_order(size, stride)
        if whole:
            key = ("whole", id(storage))
            if key not in self._arrays:  # the first one has the memory, others copies of it
                self._arrays[key] = storage
                return storage.reshape(size)
        self._room -= count * storage.itemsize
        if self._room < 0:
            raise CheckpointError(
                "tensors that repeat or rearrange the elements of others would take many times "
                "the memory of the file; save x.clone() of them"
            )
        if not count:
            return np.empty(size, storage.dtype)
        steps = [step * storage.itemsize for step in stride]
        view = np.lib.stride_tricks.as_strided(storage[offset:], size, steps)
        return np.array(view, order="C", copy=True)


def of_type(item: Any, kind: type) -> Any:
    """Return an item, which has to be of a type."""
    if type(item) is not kind:
        raise ValueError(f"expected {kind.__name__}, found {type(item).__name__}")
    return item


def sizes_of(item: Any) -> tuple[int, ...]:
    """Return sizes or strides, which have to be numbers from 0."""
    if type(item) not in (tuple, Size) or any(type(one) is not int or one < 0 for one in item):
        raise ValueError("sizes that are no numbers from 0")
    return tuple(item)


def _in_order(size: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    expected = 1
    for side, step in zip(reversed(size), reversed(stride), strict=True):
        if side != 1 and step != expected:
            return False
        expected *= side
    return True


def stored_as(item: Any) -> np.dtype[Any]:
    """Return the dtype of a tensor whose memory has none."""
    if not isinstance(item, np.dtype):
        raise ValueError("a dtype that is none")
    return item
