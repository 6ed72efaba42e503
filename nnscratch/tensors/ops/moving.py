"""Turning, rolling, repeating and triangles; diagonals and windows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnscratch import formulas as f
from nnscratch.array import to_device_of, to_numpy
from nnscratch.array.integers import intp
from nnscratch.array.wholes import whole_number
from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.formulas import registry
from nnscratch.tensors.creation import tensor as new_tensor
from nnscratch.tensors.methods import axis_of
from nnscratch.tensors.ops.calling import tensor_function
from nnscratch.tensors.ops.complexes import conj
from nnscratch.tensors.shapes import sizes_of
from nnscratch.tensors.tensor import Tensor, apply, wrap

__all__ = [
    "adjoint",
    "as_strided",
    "broadcast_to",
    "diag",
    "diag_embed",
    "diagflat",
    "diagonal",
    "flip",
    "fliplr",
    "flipud",
    "moveaxis",
    "movedim",
    "ravel",
    "repeat_interleave",
    "roll",
    "rot90",
    "select",
    "swapaxes",
    "swapdims",
    "tile",
    "trace",
    "tril",
    "tril_indices",
    "triu",
    "triu_indices",
    "unflatten",
    "unravel_index",
]


def _dims(dims: Any) -> tuple[Any, ...]:
    return tuple(dims) if isinstance(dims, (tuple, list)) else (dims,)


@tensor_function()
def flip(input: Tensor, *axes: Any, dims: Any = None) -> Tensor:
    """Return a copy with the elements in opposite order along dimensions.

    >>> from nnscratch.tensors import as_tensor
    >>> flip(as_tensor([1, 2, 3]), 0)
    tensor([3, 2, 1])
    """
    named = sizes_of(axes if dims is None else _dims(dims))
    chosen = [axis_of(dim, input.ndim) for dim in named]
    if len(set(chosen)) != len(chosen):
        raise ShapeError(f"flip: each dimension can be named once, got {named}")
    if input.ndim == 0:
        return input.clone()
    index = tuple(slice(None, None, -1 if axis in chosen else 1) for axis in range(input.ndim))
    return input._apply(f.GETITEM, index=index).clone()


@tensor_function()
def fliplr(input: Tensor) -> Tensor:
    """Return a copy with the columns in opposite order."""
    if input.ndim < 2:
        raise ShapeError(f"fliplr needs at least 2 dimensions, got shape {input.shape}")
    return flip(input, 1)


@tensor_function()
def flipud(input: Tensor) -> Tensor:
    """Return a copy with the rows in opposite order."""
    if input.ndim < 1:
        raise ShapeError("flipud needs at least 1 dimension, got a tensor of none")
    return flip(input, 0)


@tensor_function()
def roll(input: Tensor, shifts: Any, dims: Any = ()) -> Tensor:
    """Return the elements moved along dimensions; what leaves at one end enters at the other.

    Args:
        shifts: how far to move, one number for each dimension.
        dims: the dimensions; without them the elements are moved in row-major order.

    >>> from nnscratch.tensors import as_tensor
    >>> roll(as_tensor([1, 2, 3]), 1)
    tensor([3, 1, 2])
    """
    by, along = _dims(shifts), _dims(dims)
    if not along:
        if len(by) != 1:
            raise ShapeError(f"roll: expected one shift without dims, got {shifts}")
        return roll(input.reshape(-1), by[0], 0).reshape(input.shape)
    if len(by) != len(along):
        raise ShapeError(f"roll: expected a shift for each dimension, got {shifts} and {dims}")
    made = input
    for shift, dim in zip(by, along, strict=True):
        axis = axis_of(dim, input.ndim)
        size = made.shape[axis] if made.ndim else 1
        cut = -whole_number("roll: a shift", shift) % size if size else 0
        if cut:
            parts = made.narrow(axis, cut, size - cut), made.narrow(axis, 0, cut)
            made = apply(f.CONCATENATE, *parts, axis=axis)
    return made.clone() if made is input else made


@tensor_function()
def rot90(input: Tensor, k: int = 1, dims: Any = (0, 1)) -> Tensor:
    """Return the tensor turned by 90 degrees k times in the plane of two dimensions."""
    if len(dims) != 2 or input.ndim < 2:
        raise ShapeError(f"rot90 turns two dimensions, got {dims} of shape {input.shape}")
    first, second = (axis_of(dim, input.ndim) for dim in dims)
    if first == second:
        raise ShapeError(f"rot90: the dimensions must differ, got {dims}")
    turns = k % 4
    if turns == 2:
        return flip(input, first, second)
    if turns == 1:
        return flip(input, second).transpose(first, second)
    return flip(input, first).transpose(first, second) if turns else input.clone()


def _triangle(name: str, input: Tensor, diagonal: int, lower: bool) -> Tensor:
    if input.ndim < 2:
        raise ShapeError(f"{name} needs at least 2 dimensions, got shape {input.shape}")
    rows, columns = np.ogrid[: input.shape[-2], : input.shape[-1]]
    kept = columns - rows <= diagonal if lower else columns - rows >= diagonal
    mask = wrap(to_device_of(kept, input.array))
    zero = wrap(to_device_of(np.zeros((), np.dtype(str(input.dtype))), input.array))
    return mask._where(input, zero)


@tensor_function(inplace=True)
def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """Return matrices with 0 above a diagonal, which is the main one for 0, one above it for 1.

    >>> from nnscratch.tensors import as_tensor
    >>> tril(as_tensor([[1, 2], [3, 4]]))
    tensor([[1, 0],
            [3, 4]])
    """
    return _triangle("tril", input, diagonal, True)


@tensor_function(inplace=True)
def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """Return matrices with 0 below a diagonal, which is the main one for 0, one above it for 1."""
    return _triangle("triu", input, diagonal, False)


def tril_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = "int64", device: Any = None
) -> Tensor:
    """Return the rows and columns of the entries on and below a diagonal, (2, count)."""
    return new_tensor(np.stack(np.tril_indices(row, offset, col)), dtype, device)


def triu_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = "int64", device: Any = None
) -> Tensor:
    """Return the rows and columns of the entries on and above a diagonal, (2, count)."""
    return new_tensor(np.stack(np.triu_indices(row, offset, col)), dtype, device)


@tensor_function()
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """Return the diagonals of two dimensions as the last dimension; a view.

    Args:
        offset: how far right of the main diagonal, left of it if negative.
        dim1: the dimension of the rows.
        dim2: that of the columns.

    >>> from nnscratch.tensors import as_tensor
    >>> diagonal(as_tensor([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
    rows, columns = axis_of(dim1, input.ndim), axis_of(dim2, input.ndim)
    if input.ndim < 2 or rows == columns:
        raise ShapeError(f"diagonal needs two dimensions of {input.shape}, got {dim1} and {dim2}")
    down, right = max(-offset, 0), max(offset, 0)
    size = max(min(input.shape[rows] - down, input.shape[columns] - right), 0)
    kept = [axis for axis in range(input.ndim) if axis not in (rows, columns)]
    units = [[int(one == axis) for one in range(input.ndim)] for axis in kept]
    units.append([int(one in (rows, columns)) for one in range(input.ndim)])
    start = [down if one == rows else right if one == columns else 0 for one in range(input.ndim)]
    return input._apply(
        f.STRIDE,
        sizes=(*(input.shape[axis] for axis in kept), size),
        steps=tuple(map(tuple, units)),
        start=tuple(start) if size else (0,) * input.ndim,
    )


@tensor_function()
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Return matrices with the last dimension on a diagonal and 0 elsewhere."""
    size = input.shape[-1] + abs(offset)
    rows, columns = axis_of(dim1, input.ndim + 1), axis_of(dim2, input.ndim + 1)
    if rows == columns:
        raise ShapeError(f"diag_embed: the dimensions must differ, got {dim1} and {dim2}")
    batch = input.shape[:-1]
    first = max(offset, 0) + max(-offset, 0) * size
    stop = first + (input.shape[-1] - 1) * (size + 1) + 1
    index = (*(slice(0, n, 1) for n in batch), slice(first, max(stop, first), size + 1))
    made = input._apply(f.PLACE, shape=(*batch, size * size), index=index)
    made = made.reshape(*batch, size, size)
    order: list[int] = [0] * made.ndim
    order[rows], order[columns] = made.ndim - 2, made.ndim - 1
    rest = iter(range(made.ndim - 2))
    for axis in range(made.ndim):
        if axis not in (rows, columns):
            order[axis] = next(rest)
    return made.permute(*order)


@tensor_function()
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """Return the diagonal of a matrix, or the matrix that has a vector as its diagonal."""
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    if input.ndim != 2:
        raise ShapeError(f"diag needs a vector or a matrix, got shape {input.shape}")
    return _diagonal(input, diagonal).clone()


_diagonal = diagonal


@tensor_function()
def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """Return the matrix with all elements, in row-major order, on a diagonal."""
    return diag_embed(input.reshape(-1), offset)


@tensor_function()
def trace(input: Tensor) -> Tensor:
    """Return the sum of the diagonal of a matrix."""
    if input.ndim != 2:
        raise ShapeError(f"trace needs a matrix, got shape {input.shape}")
    return _diagonal(input).sum()


@tensor_function("unfold")
def _unfold(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Return windows of a dimension as a new last dimension; a view.

    Args:
        dimension: the dimension.
        size: the size of each window.
        step: how far the next window is.
    """
    axis = axis_of(dimension, input.ndim)
    if input.ndim == 0:
        return input.reshape(1)._apply(f.RESHAPE, shape=(1,))
    whole = input.shape[axis]
    if not 0 <= size <= whole or step < 1:
        raise ShapeError(f"unfold: windows of {size}, {step} apart, do not fit {whole} elements")
    count = (whole - size) // step + 1
    steps = [[int(one == here) for one in range(input.ndim)] for here in range(input.ndim)]
    steps.append(list(steps[axis]))
    steps[axis] = [step * one for one in steps[axis]]
    sizes = (*input.shape[:axis], count, *input.shape[axis + 1 :], size)
    return input._apply(
        f.STRIDE, sizes=sizes, steps=tuple(map(tuple, steps)), start=(0,) * input.ndim
    )


@tensor_function()
def as_strided(input: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """Return the elements of a contiguous tensor at places that begin and step as given; a view.

    Raises:
        ShapeError: if the tensor is not contiguous, or the places leave it.
    """
    whole = getattr(input.array.base, "size", input.array.size) == input.array.size
    if not input.is_contiguous() or not (storage_offset is None or whole):
        raise ShapeError(
            "as_strided needs a contiguous tensor that is no part of another; use x.clone() first"
        )
    return input.reshape(-1)._apply(
        f.STRIDE,
        sizes=tuple(size),
        steps=tuple((int(one),) for one in stride),
        start=(int(storage_offset or 0),),
    )


@tensor_function()
def repeat_interleave(
    input: Tensor,
    repeats: Any = None,
    dim: int | None = None,
    *,
    output_size: int | None = None,
) -> Tensor:
    """Return each element (or each slice along a dimension) repeated.

    Args:
        repeats: how often, one number or one for each slice; without it the tensor itself says
            how often to repeat 0, 1, 2, ...
        dim: the dimension; None for the elements in row-major order.
        output_size: how many there are in all; another number is an error.

    >>> from nnscratch.tensors import as_tensor
    >>> repeat_interleave(as_tensor([1, 2]), 2)
    tensor([1, 1, 2, 2])
    """
    if repeats is None:
        registry.notify_read(input.array, "repeat_interleave()")
        counts = to_numpy(input.array)
        _need_total(counts, output_size)
        return wrap(to_device_of(_repeated(counts), input.array))
    flat = input.reshape(-1) if dim is None or input.ndim == 0 else input
    axis = 0 if dim is None else axis_of(dim, input.ndim)
    size = flat.shape[axis]
    if isinstance(repeats, Tensor):
        registry.notify_read(repeats.array, "repeat_interleave()")
        repeats = to_numpy(repeats.array)
    given = np.asarray(repeats, np.int64).reshape(-1)
    if given.size not in (1, size) or (given < 0).any():
        raise ShapeError(f"repeat_interleave: expected one number for each of {size} slices")
    counts = np.broadcast_to(given, (size,))
    _need_total(counts, output_size)
    index = wrap(to_device_of(_repeated(counts), input.array))
    return flat._apply(f.TAKE, index, axis=axis)


def _repeated(counts: Any) -> Any:
    """Return 0, 1, 2, ... in int64, each as often as its count says."""
    return np.repeat(np.arange(counts.size, dtype=np.int64), intp(counts))


def _need_total(counts: Any, output_size: int | None) -> None:
    if output_size is not None and int(counts.sum()) != output_size:
        raise ShapeError(
            f"repeat_interleave: output_size is {output_size}, but {int(counts.sum())} come out"
        )


@tensor_function()
def tile(input: Tensor, *repeats: Any, dims: Any = None) -> Tensor:
    """Return the whole tensor repeated along dimensions; missing numbers in front are 1."""
    counts = sizes_of(repeats if dims is None else _dims(dims))
    return input.repeat(*(1,) * (input.ndim - len(counts)), *counts)


@tensor_function()
def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Return the tensor with dimensions moved to other positions; the others stay in order."""
    given, wanted = _dims(source), _dims(destination)
    if len(given) != len(wanted):
        raise ShapeError(f"movedim: expected as many positions as dimensions, got {wanted}")
    sources = [axis_of(dim, input.ndim) for dim in given]
    targets = [axis_of(dim, input.ndim) for dim in wanted]
    if input.ndim == 0:
        return input
    if len(set(sources)) != len(sources) or len(set(targets)) != len(targets):
        raise ShapeError(f"movedim: each dimension can be named once, got {given} and {wanted}")
    rest = iter([axis for axis in range(input.ndim) if axis not in sources])
    there = dict(zip(targets, sources, strict=True))
    order = [there[axis] if axis in there else next(rest) for axis in range(input.ndim)]
    return input.permute(*order)


moveaxis = movedim
for _name in ("moveaxis",):
    setattr(Tensor, _name, movedim)


@tensor_function()
def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """Return the tensor with two dimensions exchanged."""
    return input.transpose(axis0, axis1)


@tensor_function()
def swapdims(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Return the tensor with two dimensions exchanged."""
    return input.transpose(dim0, dim1)


@tensor_function()
def adjoint(input: Tensor) -> Tensor:
    """Return matrices transposed, and conjugated if they are complex."""
    return conj(input.transpose(-2, -1))


def _matrix_adjoint(input: Tensor) -> Tensor:
    """The matrix, of two dimensions, transposed and conjugated."""
    if input.ndim not in (0, 2):
        raise ShapeError(f"H needs a matrix, got shape {input.shape}; use mH for a batch of them")
    return adjoint(input) if input.ndim else input


for _name, _property in (("H", _matrix_adjoint), ("mH", lambda self: adjoint(self))):
    setattr(Tensor, _name, property(_property, doc=_matrix_adjoint.__doc__))


@tensor_function()
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """Return the slice at an index along a dimension, which it does not have any more; a view."""
    axis = axis_of(dim, input.ndim)
    if input.ndim == 0:
        raise ShapeError("select needs at least one dimension, got a tensor of none")
    place = whole_number("select: index", index)
    return input._apply(f.GETITEM, index=(*(slice(None),) * axis, place))


@tensor_function()
def unflatten(input: Tensor, dim: int, sizes: Any) -> Tensor:
    """Return the tensor with one dimension split into several; one size may be -1."""
    axis = axis_of(dim, input.ndim)
    return input.reshape(*input.shape[:axis], *sizes, *input.shape[axis + 1 :])


@tensor_function()
def ravel(input: Tensor) -> Tensor:
    """Return the elements in row-major order as a vector."""
    return input.reshape(-1)


@tensor_function()
def broadcast_to(input: Tensor, size: Any) -> Tensor:
    """Return the tensor repeated to a shape; a view."""
    return input.expand(*size)


@tensor_function(method=False)
def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """Return row-major indices as one index for each dimension of a shape."""
    sizes = (shape,) if isinstance(shape, int) else tuple(int(n) for n in shape)
    if math.prod(sizes) == 0 and indices.numel():
        raise ConfigurationError(f"unravel_index: a shape {sizes} has no elements")
    found: list[Tensor] = []
    rest = indices
    for size in reversed(sizes):
        found.append(rest._binary(f.REMAINDER, size))
        rest = rest._binary(f.FLOOR_DIVIDE, size)
    return tuple(reversed(found))
