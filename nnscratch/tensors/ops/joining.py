"""Joining tensors and splitting them; grids, products and combinations of several."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnscratch import formulas as f
from nnscratch.array import to_device_of
from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.formulas.checks import broadcast_shape
from nnscratch.tensors.functions import _same_dtype, cat, stack
from nnscratch.tensors.methods import axis_of
from nnscratch.tensors.ops.calling import tensor_function, written
from nnscratch.tensors.tensor import Tensor, as_tensor

__all__ = [
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "block_diag",
    "broadcast_shapes",
    "broadcast_tensors",
    "cartesian_prod",
    "column_stack",
    "combinations",
    "dsplit",
    "dstack",
    "hsplit",
    "hstack",
    "meshgrid",
    "row_stack",
    "split_with_sizes",
    "tensor_split",
    "unsafe_chunk",
    "unsafe_split",
    "vsplit",
    "vstack",
]


def _each(tensors: tuple[Any, ...], function: Any) -> Any:
    """Return a function of one tensor, or of each of several, as a tuple."""
    if len(tensors) == 1:
        one = tensors[0]
        if isinstance(one, (tuple, list)) and any(isinstance(item, Tensor) for item in one):
            return tuple(function(as_tensor(item)) for item in one)
        return function(as_tensor(one))
    return tuple(function(as_tensor(item)) for item in tensors)


def atleast_1d(*tensors: Any) -> Any:
    """Return each tensor with at least one dimension."""
    return _each(tensors, lambda one: one if one.ndim else one.reshape(1))


def atleast_2d(*tensors: Any) -> Any:
    """Return each tensor with at least two dimensions; a vector becomes a row.

    >>> atleast_2d(as_tensor([1, 2])).shape
    (1, 2)
    """
    return _each(tensors, lambda one: one if one.ndim > 1 else one.reshape(1, -1))


def atleast_3d(*tensors: Any) -> Any:
    """Return each tensor with at least three dimensions; a matrix gets one behind its own."""

    def wide(one: Tensor) -> Tensor:
        if one.ndim > 2:
            return one
        return one.unsqueeze(-1) if one.ndim == 2 else one.reshape(1, -1, 1)

    return _each(tensors, wide)


def hstack(tensors: Sequence[Any], *, out: Any = None) -> Tensor:
    """Return tensors joined along the second dimension, vectors along their only one."""
    parts = [atleast_1d(as_tensor(one)) for one in tensors]
    return written("hstack", cat(parts, 0 if parts and parts[0].ndim == 1 else 1), out)


def vstack(tensors: Sequence[Any], *, out: Any = None) -> Tensor:
    """Return tensors joined along the first dimension, vectors as rows.

    >>> vstack([as_tensor([1, 2]), as_tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    return written("vstack", cat([atleast_2d(as_tensor(one)) for one in tensors], 0), out)


row_stack = vstack


def dstack(tensors: Sequence[Any], *, out: Any = None) -> Tensor:
    """Return tensors joined along the third dimension."""
    return written("dstack", cat([atleast_3d(as_tensor(one)) for one in tensors], 2), out)


def column_stack(tensors: Sequence[Any], *, out: Any = None) -> Tensor:
    """Return tensors joined along the second dimension, vectors as columns."""
    parts = [as_tensor(one) for one in tensors]
    return written(
        "column_stack", cat([one if one.ndim > 1 else one.reshape(-1, 1) for one in parts], 1), out
    )


def block_diag(*tensors: Any) -> Tensor:
    """Return the matrix with matrices along its diagonal and 0 elsewhere."""
    parts = [one.reshape(1, -1) if one.ndim < 2 else one for one in _same_dtype(tensors)]
    if any(one.ndim > 2 for one in parts):
        raise ShapeError("block_diag: expected matrices, got more than 2 dimensions")
    columns = sum(one.shape[1] for one in parts)
    rows, left = [], 0
    for one in parts:
        height, width = one.shape
        before, behind = one.new_zeros(height, left), one.new_zeros(height, columns - left - width)
        rows.append(cat([before, one, behind], 1))
        left += width
    return cat(rows, 0)


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Return for each of n vectors an n-dimensional grid of its values along one dimension.

    Args:
        indexing: "ij" for the i-th vector along dimension i, "xy" for the first two exchanged.

    >>> meshgrid(as_tensor([1, 2]), as_tensor([3, 4]))[1]
    tensor([[3, 4],
            [3, 4]])
    """
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tuple(tensors[0])
    if indexing not in ("ij", "xy"):
        raise ConfigurationError(f"meshgrid: indexing is 'ij' or 'xy', got {indexing!r}")
    items = [atleast_1d(as_tensor(one)) for one in tensors]
    if any(one.ndim != 1 for one in items):
        raise ShapeError(f"meshgrid: expected vectors, got {[one.shape for one in items]}")
    swap = indexing == "xy" and len(items) > 1
    if swap:
        items[0], items[1] = items[1], items[0]
    shape = tuple(one.numel() for one in items)
    made = [
        one.reshape(*(1,) * axis, -1, *(1,) * (len(items) - 1 - axis)).expand(*shape)
        for axis, one in enumerate(items)
    ]
    if swap:
        made[0], made[1] = made[1], made[0]
    return tuple(made)


def cartesian_prod(*tensors: Any) -> Tensor:
    """Return all combinations of one element of each of several vectors, (count, n)."""
    if len(tensors) == 1:
        return as_tensor(tensors[0])
    return stack([one.reshape(-1) for one in meshgrid(*tensors)], 1)


@tensor_function(method=False)
def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """Return all combinations of r elements of a vector, (count, r).

    >>> combinations(as_tensor([1, 2, 3]))
    tensor([[1, 2],
            [1, 3],
            [2, 3]])
    """
    if input.ndim != 1:
        raise ShapeError(f"combinations needs a vector, got shape {input.shape}")
    chosen = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    places = np.asarray([*chosen(range(input.shape[0]), r)], np.int64).reshape(-1, r)
    if r == 0:
        return input.new_empty(0)
    return input._apply(f.TAKE, input._wrap(to_device_of(places, input.array)), axis=0)


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """Return the shape that shapes broadcast to.

    >>> broadcast_shapes((2, 1), (3,))
    (2, 3)
    """
    made: tuple[int, ...] = ()
    for shape in shapes:
        given = (shape,) if isinstance(shape, int) else tuple(int(n) for n in shape)
        made = tuple(int(n) for n in broadcast_shape("broadcast_shapes", made, given))
    return made


def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """Return tensors repeated to the shape that they have in common; views."""
    items = [as_tensor(one) for one in tensors]
    shape = broadcast_shapes(*(one.shape for one in items))
    return tuple(one.expand(*shape) for one in items)


@tensor_function()
def tensor_split(
    input: Tensor,
    indices_or_sections: Any = None,
    dim: int = 0,
    *,
    indices: Any = None,
    sections: Any = None,
) -> tuple[Tensor, ...]:
    """Return the tensor split along a dimension, into so many parts or at indices; views.

    Args:
        indices_or_sections: the number of parts, whose sizes differ by 1 at most, or where each
            part but the first begins.
        dim: the dimension.
        indices: another name of the first, as is ``sections``.
        sections: see ``indices``.

    Raises:
        ConfigurationError: unless just one of the three is given.
        ShapeError: if there is no such dimension, or no part.
    """
    named = [one for one in (indices_or_sections, indices, sections) if one is not None]
    if len(named) != 1:
        raise ConfigurationError(f"tensor_split: give indices or sections once, got {len(named)}")
    indices_or_sections = named[0]
    if input.ndim == 0:
        raise ShapeError("tensor_split needs at least one dimension, got a tensor of none")
    axis = axis_of(dim, input.ndim)
    size = input.shape[axis]
    if isinstance(indices_or_sections, Tensor):
        indices_or_sections = indices_or_sections.tolist()
    if isinstance(indices_or_sections, int):
        count = indices_or_sections
        if count < 1:
            raise ShapeError(f"tensor_split: expected at least one part, got {count}")
        sizes = [size // count + (part < size % count) for part in range(count)]
        ends = list(itertools.accumulate(sizes))
    else:
        ends = [*indices_or_sections, size]
    parts, start = [], 0
    for end in ends:
        begin, stop, _ = slice(start, end).indices(size)
        parts.append(input.narrow(axis, begin, max(stop - begin, 0)))
        start = end
    return tuple(parts)


def _split_along(name: str, least: int, input: Tensor, indices: Any, dim: int) -> Any:
    if input.ndim < least:
        raise ShapeError(f"{name} needs at least {least} dimensions, got shape {input.shape}")
    if isinstance(indices, int) and (indices < 1 or input.shape[dim] % indices):
        raise ShapeError(f"{name}: {input.shape[dim]} elements are not {indices} equal parts")
    return tensor_split(input, indices, dim)


@tensor_function()
def hsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Return the tensor split along the second dimension, a vector along its only one."""
    return _split_along("hsplit", 1, input, indices_or_sections, 0 if input.ndim == 1 else 1)


@tensor_function()
def vsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Return the tensor split along the first dimension."""
    return _split_along("vsplit", 2, input, indices_or_sections, 0)


@tensor_function()
def dsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Return the tensor split along the third dimension."""
    return _split_along("dsplit", 3, input, indices_or_sections, 2)


@tensor_function()
def split_with_sizes(input: Tensor, split_sizes: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Return the tensor split along a dimension into parts of the given sizes."""
    return input.split(list(split_sizes), dim)


@tensor_function()
def unsafe_split(input: Tensor, split_size: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Return what ``split`` does."""
    return input.split(split_size, dim)


@tensor_function()
def unsafe_chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """Return what ``chunk`` does."""
    return input.chunk(chunks, dim)
