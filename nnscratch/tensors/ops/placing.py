"""Writing values at indices: into a copy, or in place by the methods with ``_``."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch import formulas as f
from nnscratch.array import dtype_name, is_floating, to_device_of
from nnscratch.array.wholes import whole_number
from nnscratch.errors import ConfigurationError, DTypeError, ShapeError
from nnscratch.formulas import registry
from nnscratch.formulas.checks import broadcast_shape
from nnscratch.tensors.grad_mode import no_grad
from nnscratch.tensors.methods import axis_of
from nnscratch.tensors.ops.calling import tensor_function
from nnscratch.tensors.promotion import checked_number
from nnscratch.tensors.tensor import Tensor
from nnscratch.tensors.views import overwritten

__all__ = [
    "diagonal_scatter",
    "index_add",
    "index_copy",
    "index_fill",
    "index_put",
    "masked_scatter",
    "put",
    "scatter",
    "scatter_add",
    "scatter_reduce",
    "select_scatter",
    "slice_scatter",
    "take",
    "take_along_dim",
]

# PyTorch's words for a reduction, and what an element starts from that is none of the values; what
# is an extreme starts from one of them.
_NEUTRAL = {"sum": 0, "mean": 0, "prod": 1, "amax": None, "amin": None}


def _prepared(name: str, input: Tensor, dim: int, index: Tensor, src: Any) -> Any:
    """Return the tensor, the index and the values with equal numbers of dimensions, and the axis.

    A number becomes values in the index's shape; of a tensor as many are taken as indices.
    """
    axis = axis_of(dim, input.ndim)
    taken = input.reshape(1) if input.ndim == 0 else input
    places = index.reshape(1) if index.ndim == 0 else index
    if not isinstance(src, Tensor):
        number = checked_number(name, src, dtype_name(input.array.dtype))
        src = taken.new_full(places.shape, number)
    elif src.dtype != input.dtype:
        raise DTypeError(f"{name}: expected values of {input.dtype}, got {src.dtype}")
    values = src.reshape(1) if src.ndim == 0 else src
    if places.numel() == 0:
        return taken, None, values, axis
    if values.ndim != places.ndim or any(
        n > size for n, size in zip(places.shape, values.shape, strict=True)
    ):
        raise ShapeError(
            f"{name}: the index of shape {index.shape} is larger than the values of {src.shape}"
        )
    if values.shape != places.shape:
        values = values._apply(f.GETITEM, index=tuple(slice(0, n) for n in places.shape))
    return taken, places, values, axis


@tensor_function(inplace=True)
def scatter(
    input: Tensor,
    dim: int,
    index: Tensor,
    src: Any = None,
    *,
    value: Any = None,
    reduce: Any = None,
) -> Tensor:
    """Return the tensor with values written at indices along a dimension.

    ``Y[i, I[i, j], k] = src[i, j, k]`` for dim = 1. Of an index that repeats the last one counts.

    Args:
        dim: the dimension that is indexed.
        index: integers of as many dimensions, at most as large along the others.
        src: the values, a tensor or a number.
        value: the same for a number, by its name.
        reduce: None; "add" and "multiply" combine values with the tensor's.

    >>> from nnscratch.tensors import as_tensor
    >>> scatter(as_tensor([1, 2, 3]), 0, as_tensor([2]), as_tensor([9]))
    tensor([1, 2, 9])
    """
    src = value if src is None else src
    if reduce is not None:
        if reduce not in ("add", "multiply"):
            raise ConfigurationError(f"scatter: reduce is 'add' or 'multiply', got {reduce!r}")
        _, _, values, _ = _prepared("scatter", input, dim, index, src)
        return scatter_reduce(input, dim, index, values, "sum" if reduce == "add" else "prod")
    taken, places, values, axis = _prepared("scatter", input, dim, index, src)
    if places is None:
        return input.clone()
    return taken._apply(f.SCATTER, places, values, axis=axis).reshape(input.shape)


@tensor_function(inplace=True)
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """Return the tensor with values added at indices along a dimension, which may repeat.

    >>> from nnscratch.tensors import as_tensor
    >>> scatter_add(as_tensor([1, 2]), 0, as_tensor([0, 0]), as_tensor([10, 20]))
    tensor([31,  2])
    """
    taken, places, values, axis = _prepared("scatter_add", input, dim, index, src)
    if places is None:
        return input.clone()
    return taken._apply(f.SCATTER_ADD, places, values, axis=axis).reshape(input.shape)


@tensor_function(inplace=True)
def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Any, reduce: str, *, include_self: bool = True
) -> Tensor:
    """Return the tensor with all values that have one index combined into its element.

    Args:
        dim: the dimension that is indexed.
        index: integers of as many dimensions, at most as large along the others.
        src: the values.
        reduce: "sum", "mean", "prod", "amax" or "amin".
        include_self: whether the tensor's own element is one of them.

    Raises:
        ConfigurationError: for another reduction.

    >>> from nnscratch.tensors import as_tensor
    >>> scatter_reduce(as_tensor([1.0, 9.0]), 0, as_tensor([0, 0]), as_tensor([3.0, 5.0]), "amax")
    tensor([5., 9.])
    """
    taken, places, values, axis = _prepared("scatter_reduce", input, dim, index, src)
    if reduce not in _NEUTRAL:
        raise ConfigurationError(
            f"scatter_reduce: reduce is sum, mean, prod, amax or amin, got {reduce!r}"
        )
    if places is None:
        return input.clone()
    if reduce in ("amax", "amin"):
        extreme = f.SCATTER_MAX if reduce == "amax" else f.SCATTER_MIN
        made = taken._apply(extreme, places, values, axis=axis, include_self=include_self)
        return made.reshape(input.shape)
    ones = values.new_ones(values.shape, dtype="int64")
    count = taken.new_zeros(taken.shape, dtype="int64")._apply(
        f.SCATTER_ADD, places, ones, axis=axis
    )
    if not include_self:
        own = taken.masked_fill(count > 0, _NEUTRAL[reduce])
    else:
        own = taken
        count = count + 1
    if reduce in ("sum", "mean"):
        made = own._apply(f.SCATTER_ADD, places, values, axis=axis)
        if reduce == "mean":
            divisor = count.clamp(min=1)
            if is_floating(made.array):
                made = made / divisor.to(made.dtype)
            else:
                made = made._binary(f.FLOOR_DIVIDE, divisor.to(made.dtype))
    else:
        made = own._apply(f.SCATTER_PROD, places, values, axis=axis)
    return made.reshape(input.shape)


def from_front(index: Tensor, size: int) -> Tensor:
    """Return indices of which negative ones count from the end as indices from the front."""
    return (index < 0)._where(index + size, index)


def _nothing(tensor: Tensor) -> Tensor:
    """Return zeros that have the gradient of a tensor, of infinite elements and NaN too."""
    made = tensor.clone()
    with no_grad():  # the gradient of a copy does not depend on its values
        return made.zero_()


def _rows(name: str, input: Tensor, dim: int, index: Tensor, source: Tensor) -> Any:
    """Return the index of slices along a dimension as one for each element of ``source``."""
    axis = axis_of(dim, input.ndim)
    if index.ndim > 1:
        raise ShapeError(f"{name}: the index must be a vector, got shape {index.shape}")
    count = index.numel()
    taken = input.reshape(1) if input.ndim == 0 else input
    values = source.reshape(1) if source.ndim == 0 else source
    wanted = (*taken.shape[:axis], count, *taken.shape[axis + 1 :])
    if values.shape != wanted:
        raise ShapeError(f"{name}: expected values of shape {wanted}, got {source.shape}")
    if values.dtype != input.dtype:
        raise DTypeError(f"{name}: expected values of {input.dtype}, got {source.dtype}")
    shape = [1] * taken.ndim
    shape[axis] = count
    return taken, index.reshape(*shape).expand(*wanted), values, axis


@tensor_function(inplace=True)
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """Return the tensor with slices, times ``alpha``, added at indices along a dimension."""
    taken, places, values, axis = _rows("index_add", input, dim, index, source)
    if alpha != 1:
        values = values * alpha
    return taken._apply(f.SCATTER_ADD, places, values, axis=axis).reshape(input.shape)


@tensor_function(inplace=True)
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """Return the tensor with slices replaced at indices along a dimension."""
    taken, places, values, axis = _rows("index_copy", input, dim, index, source)
    return taken._apply(f.SCATTER, places, values, axis=axis).reshape(input.shape)


@tensor_function(inplace=True)
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """Return the tensor with one value in all slices at indices along a dimension."""
    axis = axis_of(dim, input.ndim)
    taken = input.reshape(1) if input.ndim == 0 else input
    size = taken.shape[axis]
    ones = index.new_ones(index.numel(), dtype="bool")
    places = from_front(index.reshape(-1), size)
    chosen = index.new_zeros(size, dtype="bool")._apply(f.SCATTER, places, ones, axis=0)
    chosen = chosen.reshape(-1, *(1,) * (taken.ndim - 1 - axis))
    if not isinstance(value, Tensor):
        number = checked_number("index_fill", value, dtype_name(input.array.dtype))
        value = taken.new_full((), number)
    if value.ndim:
        raise ShapeError(f"index_fill: expected one number as value, got shape {value.shape}")
    return chosen._where(value.to(input.dtype), taken).reshape(input.shape)


@tensor_function(inplace=True)
def index_put(input: Tensor, indices: Any, values: Tensor, accumulate: bool = False) -> Tensor:
    """Return the tensor with values at ``input[indices]``, added there if ``accumulate``.

    >>> from nnscratch.tensors import as_tensor
    >>> index_put(as_tensor([1, 2, 3]), (as_tensor([0, 0]),), as_tensor([5, 5]), accumulate=True)
    tensor([11,  2,  3])
    """
    if values.dtype != input.dtype:
        raise DTypeError(f"index_put: expected values of {input.dtype}, got {values.dtype}")
    # The same index on the numbers of the elements says which ones are meant.
    numbers = np.arange(input.numel(), dtype=np.int64).reshape(input.shape)
    index = tuple(slice(None) if one is None else one for one in indices)
    places = input._wrap(to_device_of(numbers, input.array))[index]
    spread = values.expand(*broadcast_shape("index_put", values.array, places.shape))
    flat = input.reshape(-1)
    formula = f.SCATTER_ADD if accumulate else f.SCATTER
    made = flat._apply(formula, places.reshape(-1), spread.reshape(-1), axis=0)
    return made.reshape(input.shape)


@tensor_function(inplace=True)
def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """Return the tensor with values at row-major indices, added there if ``accumulate``."""
    if index.numel() != source.numel():
        raise ShapeError(f"put: {source.numel()} values for {index.numel()} indices")
    formula = f.SCATTER_ADD if accumulate else f.SCATTER
    places = from_front(index.reshape(-1), input.numel())
    made = input.reshape(-1)._apply(formula, places, source.reshape(-1), axis=0)
    return made.reshape(input.shape)


@tensor_function(inplace=True)
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """Return the tensor with the first values of ``source`` in order where the mask is true."""
    if dtype_name(mask.array.dtype) != "bool" or source.dtype != input.dtype:
        raise DTypeError(
            f"masked_scatter: expected a mask of booleans and values of {input.dtype}, got "
            f"{mask.dtype} and {source.dtype}"
        )
    shape = broadcast_shape("masked_scatter", input.array, mask.array)
    chosen = mask.expand(*shape).reshape(-1)
    flat = input.expand(*shape).reshape(-1)
    rank = chosen.to("int64")._apply(f.CUMULATIVE_SUM, axis=0) - 1
    values = source.reshape(-1)
    if not values.numel():
        registry.notify_read(mask.array, "masked_scatter() of no values")
        if bool(mask.any()):
            raise ShapeError("masked_scatter: the mask is true somewhere, and there are no values")
        return input.clone().expand(*shape).clone()
    # A compiled step cannot know how many are true; where none is, any value is read.
    taken = values._apply(f.TAKE, chosen._where(rank, 0), axis=0)
    return chosen._where(taken, flat).reshape(shape)


@tensor_function()
def take(input: Tensor, index: Tensor) -> Tensor:
    """Return the elements at row-major indices, in the shape of the index.

    >>> from nnscratch.tensors import as_tensor
    >>> take(as_tensor([[1, 2], [3, 4]]), as_tensor([0, 3]))
    tensor([1, 4])
    """
    return input.reshape(-1)._apply(f.TAKE, index, axis=0)


@tensor_function()
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """Return the elements at indices along a dimension; both are broadcast along the others."""
    if dim is None:
        places = from_front(indices.reshape(-1), input.numel())
        return input.reshape(-1)._apply(f.GATHER, places, axis=0)
    axis = axis_of(dim, input.ndim)
    shape = list(
        broadcast_shape(
            "take_along_dim",
            tuple(1 if one == axis else n for one, n in enumerate(input.shape)),
            tuple(1 if one == axis else n for one, n in enumerate(indices.shape)),
        )
    )
    shape[axis] = input.shape[axis]
    taken = input.expand(*shape)
    shape[axis] = indices.shape[axis]
    places = from_front(indices.expand(*shape), input.shape[axis])
    return taken._apply(f.GATHER, places, axis=axis)


def _embedded(name: str, input: Tensor, place: Any, src: Tensor, shape: tuple[int, ...]) -> Tensor:
    if src.shape != shape:
        raise ShapeError(f"{name}: expected values of shape {shape}, got {src.shape}")
    made: Tensor = overwritten(input, place, src.to(input.dtype))
    return made.reshape(input.shape)


@tensor_function()
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """Return the tensor with another slice at an index along a dimension."""
    axis = axis_of(dim, input.ndim)
    shape = (*input.shape[:axis], *input.shape[axis + 1 :])
    place = (*(slice(None),) * axis, whole_number("select_scatter: index", index))
    return _embedded("select_scatter", input, place, src, shape)


@tensor_function()
def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> Tensor:
    """Return the tensor with other values from ``start`` to ``end`` along a dimension."""
    axis = axis_of(dim, input.ndim)
    part = slice(start, end, step)
    count = len(range(*part.indices(input.shape[axis])))
    shape = (*input.shape[:axis], count, *input.shape[axis + 1 :])
    return _embedded("slice_scatter", input, (*(slice(None),) * axis, part), src, shape)


@tensor_function()
def diagonal_scatter(
    input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Tensor:
    """Return the tensor with other values on the diagonals of two dimensions."""
    from nnscratch.tensors.ops.moving import diagonal

    numbers = np.arange(input.numel(), dtype=np.int64).reshape(input.shape)
    places = diagonal(input._wrap(to_device_of(numbers, input.array)), offset, dim1, dim2)
    if src.shape != places.shape:
        raise ShapeError(
            f"diagonal_scatter: expected values of shape {places.shape}, got {src.shape}"
        )
    made = input.reshape(-1)._apply(f.SCATTER, places.reshape(-1), src.reshape(-1), axis=0)
    return made.reshape(input.shape)
