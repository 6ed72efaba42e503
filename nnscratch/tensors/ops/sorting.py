"""Sorting, selecting by rank, searching, and counting."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnscratch import formulas as f
from nnscratch.array import (
    is_floating,
    to_device_of,
)
from nnscratch.array.named import NamedValues
from nnscratch.array.wholes import whole_number
from nnscratch.errors import ConfigurationError, DTypeError, ShapeError
from nnscratch.formulas import registry
from nnscratch.tensors.methods import axis_of
from nnscratch.tensors.ops.calling import tensor_function
from nnscratch.tensors.reductions import ValuesAndIndices
from nnscratch.tensors.tensor import Tensor, apply, as_tensor

__all__ = [
    "aminmax",
    "argsort",
    "kthvalue",
    "median",
    "mode",
    "msort",
    "nanmedian",
    "nanquantile",
    "quantile",
    "sort",
    "topk",
]


class MinAndMax(NamedValues):
    """What ``aminmax`` returns."""

    min: Tensor
    max: Tensor


def _order(input: Tensor, dim: int, descending: bool, count: int | None = None) -> Tensor:
    return input.detach()._apply(f.ARGSORT, axis=dim, descending=descending, count=count)


def _along(input: Tensor, dim: int) -> tuple[Tensor, int]:
    """Return a tensor with the dimension, which one of none has as well, and its number."""
    axis = axis_of(dim, input.ndim)
    return (input.reshape(1) if input.ndim == 0 else input), axis


@tensor_function()
def sort(
    input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False
) -> ValuesAndIndices:
    """Return the elements sorted along a dimension, and where they stood.

    NaN counts as the largest number. Equal elements stay in their order, whether ``stable`` asks
    for it or not.

    Args:
        dim: the dimension.
        descending: whether the largest comes first.
        stable: accepted as in PyTorch.

    >>> sort(as_tensor([3.0, 1.0, 2.0]))
    ValuesAndIndices(values=tensor([1., 2., 3.]), indices=tensor([1, 2, 0]))
    """
    taken, axis = _along(input, dim)
    order = _order(taken, axis, descending)
    values = taken._apply(f.GATHER, order, axis=axis)
    return ValuesAndIndices(values.reshape(input.shape), order.reshape(input.shape))


@tensor_function()
def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """Return the indices that sort the elements along a dimension, as ``sort`` does.

    >>> argsort(as_tensor([3.0, 1.0, 2.0]))
    tensor([1, 2, 0])
    """
    taken, axis = _along(input, dim)
    return _order(taken, axis, descending).reshape(input.shape)


@tensor_function()
def msort(input: Tensor) -> Tensor:
    """Return the elements sorted along the first dimension."""
    return sort(input, 0).values


@tensor_function()
def topk(
    input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
) -> ValuesAndIndices:
    """Return the k largest (or smallest) elements along a dimension in order, and where they stand.

    Raises:
        ShapeError: if there are fewer than k.

    >>> topk(as_tensor([3.0, 1.0, 2.0]), 2)
    ValuesAndIndices(values=tensor([3., 2.]), indices=tensor([0, 2]))
    """
    taken, axis = _along(input, dim)
    k = whole_number("topk: k", k)
    if not 0 <= k <= taken.shape[axis]:
        raise ShapeError(
            f"topk: k must be from 0 to {taken.shape[axis]}, the size of dimension {axis}; got {k}"
        )
    order = _order(taken, axis, largest, k)
    values = taken._apply(f.GATHER, order, axis=axis)
    if input.ndim == 0 and k == 1:
        return ValuesAndIndices(values.reshape(()), order.reshape(()))
    return ValuesAndIndices(values, order)


def _picked(input: Tensor, order: Tensor, axis: int, keepdim: bool) -> ValuesAndIndices:
    """Return the elements at one index along a dimension, which is kept or dropped."""
    values = input._apply(f.GATHER, order, axis=axis)
    if keepdim:
        return ValuesAndIndices(values, order)
    return ValuesAndIndices(values.squeeze(axis), order.squeeze(axis))


def _shaped(pair: ValuesAndIndices, input: Tensor) -> ValuesAndIndices:
    if input.ndim:
        return pair
    return ValuesAndIndices(pair.values.reshape(()), pair.indices.reshape(()))


@tensor_function()
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> ValuesAndIndices:
    """Return the k-th smallest element along a dimension, k from 1, and where it stands.

    Raises:
        ShapeError: if there are fewer than k.
    """
    taken, axis = _along(input, dim)
    k = whole_number("kthvalue: k", k)
    if not 1 <= k <= taken.shape[axis]:
        raise ShapeError(f"kthvalue: k must be from 1 to {taken.shape[axis]}, got {k}")
    order = _order(taken, axis, False).narrow(axis, k - 1, 1)
    return _shaped(_picked(taken, order, axis, keepdim), input)


def _middle(name: str, input: Tensor, dim: Any, keepdim: bool, ignore_nan: bool) -> Any:
    if dim is None:
        flat = input.reshape(-1)
        if not flat.numel():
            return flat.new_full((), math.nan)
        found = _middle(name, flat.detach(), 0, False, ignore_nan).values
        if not flat.requires_grad:
            return found
        # Equal elements share the gradient, as in PyTorch, which amax does.
        same = (flat == found) | ((flat != flat) & (found != found))
        return same._where(flat, -math.inf).amax()
    taken, axis = _along(input, dim)
    size = taken.shape[axis]
    if not size:
        raise ShapeError(f"{name}: expected at least one element along dimension {axis}")
    order = _order(taken, axis, False)
    if not is_floating(taken.array):
        return _shaped(_picked(taken, order.narrow(axis, (size - 1) // 2, 1), axis, keepdim), input)
    missing = (taken != taken).sum(axis, True)
    if ignore_nan:
        place = (size - 1 - missing).clamp(min=0)._binary(f.FLOOR_DIVIDE, 2)
    else:
        place = (missing > 0)._where(size - missing, (size - 1) // 2)
    return _shaped(_picked(taken, order._apply(f.GATHER, place, axis=axis), axis, keepdim), input)


@tensor_function()
def median(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """Return the median of all elements, or (values, indices) along a dimension.

    Of an even number it is the lower one of the two in the middle; NaN if an element is NaN.

    >>> median(as_tensor([1.0, 3.0, 2.0, 4.0]))
    tensor(2.)
    """
    return _middle("median", input, dim, keepdim, False)


@tensor_function()
def nanmedian(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """Return the median as ``median`` does, of the elements that are not NaN."""
    return _middle("nanmedian", input, dim, keepdim, True)


@tensor_function()
def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> ValuesAndIndices:
    """Return the smallest of the most frequent elements along a dimension, and where it is last."""
    taken, axis = _along(input, dim)
    if not taken.shape[axis]:
        raise ShapeError(f"mode: expected at least one element along dimension {axis}")
    ordered, places = sort(taken.detach(), axis)
    last = ordered.shape[axis] - 1
    # How many equals stand up to each element, itself included: from where a run begins.
    numbers = _numbers(ordered, axis).expand(*ordered.shape)
    begins = ordered.narrow(axis, 1, last) != ordered.narrow(axis, 0, last)
    begins = apply(f.CONCATENATE, ordered.narrow(axis, 0, 1) != ordered.narrow(axis, 0, 1), begins,
                   axis=axis)  # fmt: skip
    starts = begins._where(numbers, 0)
    starts = starts._apply(f.GATHER, starts._apply(f.CUMULATIVE_ARGMAX, axis=axis), axis=axis)
    best = (numbers - starts)._apply(f.ARGMAX, axis=axis, keepdims=True)
    return _shaped(_picked(taken, places._apply(f.GATHER, best, axis=axis), axis, keepdim), input)


def _numbers(like: Tensor, axis: int) -> Tensor:
    """Return 0, 1, 2, ... along an axis, int64, on the device of a tensor."""
    made = np.arange(like.shape[axis], dtype=np.int64).reshape(-1, *(1,) * (like.ndim - 1 - axis))
    return like._wrap(to_device_of(made, like.array))


_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def _quantile(
    name: str, input: Tensor, q: Any, dim: Any, keepdim: bool, interpolation: str, ignore_nan: bool
) -> Tensor:
    if not is_floating(input.array):
        raise DTypeError(f"{name} needs floating-point numbers, got {input.dtype}; use .float()")
    if interpolation not in _INTERPOLATIONS:
        raise ConfigurationError(
            f"{name}: interpolation is one of {', '.join(_INTERPOLATIONS)}, got {interpolation!r}"
        )
    if isinstance(q, Tensor):
        if q.dtype != input.dtype or q.ndim > 1:
            raise DTypeError(f"{name}: expected q as a number or a vector of {input.dtype}")
        levels = q
    else:
        levels = as_tensor(float(q)).to(input.dtype).to(input.device)
    registry.notify_read(levels.array, name)
    if bool(((levels < 0) | (levels > 1)).any()):
        raise ConfigurationError(f"{name}: q must be from 0 to 1")
    kept = [1] * input.ndim if dim is None else list(input.shape)
    flat = input.reshape(-1) if dim is None or not input.ndim else input
    axis = 0 if dim is None else axis_of(dim, input.ndim)
    if dim is not None and input.ndim:
        kept[axis] = 1
    size = flat.shape[axis]
    if not size:
        raise ShapeError(f"{name}: expected at least one element")
    order = _order(flat, axis, False)
    ordered = flat._apply(f.GATHER, order, axis=axis)
    ordered = ordered.transpose(axis, -1) if flat.ndim > 1 else ordered
    missing = (ordered != ordered).sum(-1, True)
    count = (size - missing).to(input.dtype)
    rank = levels.reshape(-1) * (count - 1 if ignore_nan else size - 1)
    if not ignore_nan:
        rank = rank + (missing > 0).to(input.dtype) * (size - 1 - rank)
    rank = rank.clamp(min=0)
    below = rank._apply(f.FLOOR).detach()
    if interpolation == "nearest":
        below = rank._apply(f.ROUND).detach()
    elif interpolation == "higher":
        below = rank._apply(f.CEIL).detach()
    shape = (*ordered.shape[:-1], rank.shape[-1])
    low = ordered._apply(f.GATHER, below.to("int64").expand(shape), axis=ordered.ndim - 1)
    if interpolation in ("linear", "midpoint"):
        above = rank._apply(f.CEIL).detach().to("int64").expand(shape)
        high = ordered._apply(f.GATHER, above, axis=ordered.ndim - 1)
        weight: Any = 0.5 if interpolation == "midpoint" else rank - below
        equal = low == high
        low = equal._where(low, low + (high - low).masked_fill(equal, 0.0) * weight)
    made = low.transpose(axis, -1) if flat.ndim > 1 else low
    made = _front(made, axis)
    result = made.reshape(levels.numel(), *kept)
    if not keepdim:
        rest = [n for one, n in enumerate(kept) if dim is not None and one != axis]
        result = result.reshape(levels.numel(), *rest)
    return result if levels.ndim else result.reshape(*result.shape[1:])


def _front(tensor: Tensor, axis: int) -> Tensor:
    order = (axis, *(one for one in range(tensor.ndim) if one != axis))
    return tensor.permute(*order)


@tensor_function()
def quantile(
    input: Tensor, q: Any, dim: Any = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """Return the q-quantiles of all elements, or along a dimension; NaN if an element is NaN.

    Args:
        q: a number from 0 to 1, or a vector of them: its size is then the first of the result.
        dim: the dimension, None for all elements.
        keepdim: whether to keep it with size 1.
        interpolation: between two elements "linear", "lower", "higher", "midpoint" or "nearest".

    >>> quantile(as_tensor([0.0, 1.0, 2.0]), 0.25)
    tensor(0.5)
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation, False)


@tensor_function()
def nanquantile(
    input: Tensor, q: Any, dim: Any = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """Return quantiles as ``quantile`` does, of the elements that are not NaN."""
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation, True)


@tensor_function()
def aminmax(input: Tensor, *, dim: Any = None, keepdim: bool = False) -> MinAndMax:
    """Return the smallest and the largest of all elements, or along a dimension."""
    return MinAndMax(input.amin(dim, keepdim), input.amax(dim, keepdim))
