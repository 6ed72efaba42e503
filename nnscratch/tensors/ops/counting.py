"""Sets, counts and searches: most results depend on values, which no compiled step can record."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnscratch import formulas as f
from nnscratch.array import (
    dtype_name,
    promote,
    to_device_of,
    to_numpy,
)
from nnscratch.array.dtypes import is_integer
from nnscratch.array.integers import intp
from nnscratch.errors import ConfigurationError, DTypeError, ShapeError
from nnscratch.formulas import registry
from nnscratch.formulas.checks import refuse_complex
from nnscratch.tensors.methods import axis_of
from nnscratch.tensors.ops.calling import tensor_function
from nnscratch.tensors.tensor import Tensor, as_tensor

__all__ = [
    "argwhere",
    "bincount",
    "bucketize",
    "histc",
    "searchsorted",
    "unique",
    "unique_consecutive",
]


# Sets and counts: what they return depends on values, which a compiled step cannot record.


def _read(input: Tensor, name: str) -> Any:
    registry.notify_read(input.array, name)
    return to_numpy(input.detach().array)


def _back(tensor: Tensor, array: Any) -> Tensor:
    return tensor._wrap(to_device_of(np.array(array, order="C"), tensor.array))


@tensor_function()
def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """Return the different elements in order, or the different slices along a dimension.

    Args:
        sorted: accepted as in PyTorch; the result is sorted either way.
        return_inverse: whether to return where each element is in the result too.
        return_counts: whether to return how often each is there too.
        dim: the dimension; None for single elements.

    >>> unique(as_tensor([3, 1, 3]), return_counts=True)
    (tensor([1, 3]), tensor([1, 2]))
    """
    refuse_complex("unique", input.array)
    array = _read(input, "unique()")
    if dim is not None:
        dim = axis_of(dim, input.ndim)
    if array.ndim == 0 and dim is not None:
        array, dim = array.reshape(1), 0
    values, inverse, counts = np.unique(
        array, return_inverse=True, return_counts=True, axis=dim, equal_nan=False
    )
    inverse = inverse.reshape(-1) if dim is not None else inverse.reshape(input.shape)
    return _chosen(input, values, (inverse, return_inverse), (counts, return_counts))


def _chosen(input: Tensor, values: Any, *more: tuple[Any, bool]) -> Any:
    made = [_back(input, values)]
    made += [_back(input, one.astype(np.int64)) for one, wanted in more if wanted]
    return made[0] if len(made) == 1 else tuple(made)


@tensor_function()
def unique_consecutive(
    input: Tensor,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """Return the elements (or the slices along a dimension) without repetitions in a row.

    >>> unique_consecutive(as_tensor([1, 1, 2, 1]))
    tensor([1, 2, 1])
    """
    array = _read(input, "unique_consecutive()")
    if dim is None:
        rows = array.reshape(-1, 1)
    else:
        dim = axis_of(dim, input.ndim)
        array = array.reshape(1) if array.ndim == 0 else array
        front = np.moveaxis(array, dim, 0)
        rows = front.reshape(array.shape[dim], math.prod(front.shape[1:]))
    changes = np.ones(len(rows), bool)
    changes[1:] = (rows[1:] != rows[:-1]).any(axis=1)
    starts = np.flatnonzero(changes)
    values = array.reshape(-1)[starts] if dim is None else np.take(array, starts, axis=dim)
    inverse = np.cumsum(changes) - 1
    counts = np.diff(np.append(starts, len(rows)))
    inverse = inverse.reshape(input.shape) if dim is None else inverse
    return _chosen(input, values, (inverse, return_inverse), (counts, return_counts))


@tensor_function()
def argwhere(input: Tensor) -> Tensor:
    """Return the indices of the elements that are not 0, (count, ndim), int64."""
    found: Tensor = input.nonzero()
    return found


@tensor_function(method=False)
def searchsorted(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """Return where values would have to be put into sorted rows to keep these sorted.

    Args:
        sorted_sequence: (n,) or (..., n), sorted along the last dimension.
        input: a number; any shape for one row; else (..., k) with the same leading dimensions.
        out_int32: whether the result is int32 instead of int64.
        right: whether to stand behind equal elements instead of before them.
        side: "left" or "right", another way to say ``right``.
        sorter: the indices that sort ``sorted_sequence``, if it is not sorted.

    Raises:
        ShapeError: if the leading dimensions differ.

    >>> searchsorted(as_tensor([1.0, 3.0, 5.0]), as_tensor([3.0, 6.0]), right=True)
    tensor([2, 3])
    """
    if side not in (None, "left", "right") or (side == "left" and right):
        raise ConfigurationError(f"searchsorted: side is 'left' or 'right', got {side!r}")
    rows = sorted_sequence.detach()
    if sorter is not None:
        rows = rows._apply(f.GATHER, sorter, axis=rows.ndim - 1)
    values = as_tensor(input).detach()
    if not isinstance(input, Tensor):
        values = rows._wrap(to_device_of(values.array, rows.array))
    common = promote(rows.array, values.array)
    if dtype_name(rows.array.dtype) != dtype_name(values.array.dtype) and isinstance(input, Tensor):
        raise DTypeError(
            f"searchsorted: expected two of one dtype, got {rows.dtype} and {values.dtype}"
        )
    found = rows.to(common)._apply(
        f.SEARCHSORTED, values.to(common), right=bool(right or side == "right")
    )
    return found.to("int32") if out_int32 else found


@tensor_function(method=False)
def bucketize(
    input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False
) -> Tensor:
    """Return for each element the number of the bucket between boundaries that it falls into.

    >>> bucketize(as_tensor([0.5, 1.0, 9.0]), as_tensor([1.0, 2.0]))
    tensor([0, 0, 2])
    """
    if boundaries.ndim != 1:
        raise ShapeError(f"bucketize: boundaries must be a vector, got {boundaries.shape}")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


@tensor_function()
def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """Return how many elements are in each of so many equal intervals from ``min`` to ``max``.

    Elements beyond are not counted. If both bounds are equal they are those of the elements.

    >>> histc(as_tensor([1.0, 2.0, 1.0]), bins=4, min=0, max=3)
    tensor([0., 2., 1., 0.])
    """
    refuse_complex("histc", input.array)
    array = _read(input, "histc()").reshape(-1)
    if bins < 1:
        raise ConfigurationError(f"histc: expected at least one bin, got {bins}")
    low, high = float(min), float(max)
    if low == high and array.size:
        low, high = float(array.min()), float(array.max())
    if low == high:
        low, high = low - 1, high + 1
    if not low < high or not math.isfinite(high - low):
        raise ConfigurationError(f"histc: no intervals from {low} to {high}")
    kept = array[(array >= low) & (array <= high)]
    width = array.dtype.type(high - low) if array.dtype.kind == "f" else high - low
    places = np.minimum(((kept - low) / width * bins).astype(np.int64), bins - 1)
    counts = np.bincount(intp(places), minlength=bins)
    return _back(input, counts.astype(array.dtype))


@tensor_function()
def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """Return how often each integer from 0 on is there, or the sum of its weights.

    Raises:
        DTypeError: if the elements are no integers.
        ShapeError: if they are not one vector, or the weights have another size.

    >>> bincount(as_tensor([0, 2, 2]))
    tensor([1, 0, 2])
    """
    if not is_integer(input.array):
        raise DTypeError(f"bincount counts integers, got {input.dtype}")
    array = _read(input, "bincount()")
    if array.ndim != 1 or (weights is not None and weights.shape != input.shape):
        raise ShapeError(f"bincount: expected a vector and weights for it, got {input.shape}")
    if array.size and array.min() < 0:
        raise ConfigurationError(f"bincount: integers must not be negative, got {array.min()}")
    if weights is None:
        return _back(input, np.bincount(intp(array), minlength=minlength).astype(np.int64))
    given = _read(weights, "bincount()")
    name = "float32" if given.dtype == np.float32 else "float64"
    made = np.bincount(intp(array), given.astype(np.float64), minlength=minlength)
    return _back(input, made.astype(name))
