"""Running sums, products and extremes; differences; integrals; sums that pass NaN over."""

from __future__ import annotations

from typing import Any

from nnscratch import formulas as f
from nnscratch.array import dtype_name, is_floating
from nnscratch.errors import ShapeError
from nnscratch.formulas import Formula
from nnscratch.tensors.functions import cat
from nnscratch.tensors.methods import axis_of
from nnscratch.tensors.ops.calling import tensor_function
from nnscratch.tensors.reductions import ValuesAndIndices
from nnscratch.tensors.tensor import Tensor

__all__ = [
    "cummax",
    "cummin",
    "cumprod",
    "cumsum",
    "cumulative_trapezoid",
    "diff",
    "logcumsumexp",
    "nanmean",
    "nansum",
    "prod",
    "trapezoid",
    "trapz",
]


def _scanned(formula: Formula, input: Tensor, dim: Any, dtype: Any = None) -> Tensor:
    if dim is None:  # as NumPy says it, for all elements in a row
        input, dim = input.reshape(-1), 0
    axis = axis_of(dim, input.ndim)
    if dtype is not None:
        input = input.to(dtype_name(dtype))
    made = (input.reshape(1) if input.ndim == 0 else input)._apply(formula, axis=axis)
    made = made if dtype is None else made.to(dtype_name(dtype))
    return made.reshape(input.shape) if input.ndim == 0 else made


@tensor_function(inplace=True)
def cumsum(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Return the sums up to each element along a dimension; of integers in int64.

    >>> from nnscratch.tensors import as_tensor
    >>> cumsum(as_tensor([1.0, 2.0, 3.0]), 0)
    tensor([1., 3., 6.])
    """
    return _scanned(f.CUMULATIVE_SUM, input, dim, dtype)


@tensor_function(inplace=True)
def cumprod(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Return the products up to each element along a dimension; of integers in int64."""
    return _scanned(f.CUMULATIVE_PROD, input, dim, dtype)


@tensor_function()
def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """Return log Σ e^x up to each element along a dimension, without overflow."""
    return _scanned(f.CUMULATIVE_LOGSUMEXP, input, dim)


def _running(formula: Formula, input: Tensor, dim: int) -> ValuesAndIndices:
    axis = axis_of(dim, input.ndim)
    taken = input.reshape(1) if input.ndim == 0 else input
    places = taken.detach()._apply(formula, axis=axis)
    values = taken._apply(f.GATHER, places, axis=axis)
    return ValuesAndIndices(values.reshape(input.shape), places.reshape(input.shape))


@tensor_function()
def cummax(input: Tensor, dim: int) -> ValuesAndIndices:
    """Return the largest up to each element along a dimension, and where the last such one is."""
    return _running(f.CUMULATIVE_ARGMAX, input, dim)


@tensor_function()
def cummin(input: Tensor, dim: int) -> ValuesAndIndices:
    """Return the smallest up to each element along a dimension, and where the last such one is."""
    return _running(f.CUMULATIVE_ARGMIN, input, dim)


@tensor_function()
def prod(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Return the product of all elements, or along a dimension; of integers in int64.

    >>> from nnscratch.tensors import as_tensor
    >>> prod(as_tensor([2.0, 3.0]))
    tensor(6.)
    """
    if dtype is not None:
        input = input.to(dtype_name(dtype))
    axis = None if dim is None else axis_of(dim, input.ndim)
    if axis is None or input.ndim == 0:
        made = input.reshape(-1)._apply(f.PROD, axis=0)
    else:
        made = input._apply(f.PROD, axis=axis, keepdims=keepdim)
    return made if dtype is None else made.to(dtype_name(dtype))


@tensor_function()
def nansum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Return the sum of the elements that are not NaN, of all or along dimensions."""
    if dtype is not None:
        input = input.to(dtype_name(dtype))
    if is_floating(input.array):
        input = input.masked_fill(input != input, 0.0)
    return input.sum(dim, keepdim, dtype=dtype)


@tensor_function()
def nanmean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Return the mean of the elements that are not NaN, of all or along dimensions."""
    if dtype is not None:
        input = input.to(dtype_name(dtype))
    input._needs_floats("nanmean")
    count = (input == input).to(input.dtype).sum(dim, keepdim)
    return nansum(input, dim, keepdim) / count


@tensor_function()
def diff(
    input: Tensor,
    n: int = 1,
    dim: int = -1,
    prepend: Tensor | None = None,
    append: Tensor | None = None,
) -> Tensor:
    """Return the differences of neighbours along a dimension, n times over.

    >>> from nnscratch.tensors import as_tensor
    >>> diff(as_tensor([1.0, 3.0, 6.0]))
    tensor([2., 3.])
    """
    if input.ndim == 0:
        raise ShapeError("diff needs at least one dimension; got a tensor of none")
    if n < 0:
        raise ShapeError(f"diff: n must be at least 0, got {n}")
    if n == 0:
        return input.clone()
    axis = axis_of(dim, input.ndim)
    parts = [one for one in (prepend, input, append) if one is not None]
    made = cat(parts, axis) if len(parts) > 1 else input
    for _ in range(min(n, made.shape[axis])):
        size = max(made.shape[axis] - 1, 0)
        later, earlier = (
            made.narrow(axis, made.shape[axis] - size, size),
            made.narrow(axis, 0, size),
        )
        if dtype_name(made.array.dtype) == "bool":
            made = later ^ earlier
        else:
            made = later - earlier
    return made


def _areas(y: Tensor, x: Any, dx: Any, dim: int) -> Tensor:
    axis = axis_of(dim, y.ndim)
    size = y.shape[axis]
    both = y.narrow(axis, 1, size - 1) + y.narrow(axis, 0, size - 1)
    if x is None:
        return both * dx / 2.0
    if x.ndim == 1 and y.ndim > 1:
        if x.shape[0] != size:
            raise ShapeError(f"trapezoid: {x.shape[0]} abscissas for {size} values")
        x = x.reshape(-1, *(1,) * (y.ndim - 1 - axis))
        return both * diff(x, dim=0) / 2.0
    if x.ndim < y.ndim:
        x = x.reshape(*(1,) * (y.ndim - x.ndim), *x.shape)
    return both * diff(x, dim=dim if dim < 0 else dim + x.ndim - y.ndim) / 2.0


@tensor_function(method=False)
def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = 1.0, dim: int = -1) -> Tensor:
    """Return the integral along a dimension by the trapezoidal rule.

    Args:
        y: the values.
        x: their abscissas, as y or a vector; None if they are ``dx`` apart.
        dx: how far they are apart.
        dim: the dimension.

    >>> from nnscratch.tensors import as_tensor
    >>> trapezoid(as_tensor([1.0, 2.0, 3.0]))
    tensor(4.)
    """
    if y.shape[axis_of(dim, y.ndim)] == 0:
        return y.sum(dim)
    return _areas(y, x, dx, dim).sum(dim)


@tensor_function(method=False)
def cumulative_trapezoid(
    y: Tensor, x: Tensor | None = None, *, dx: Any = 1.0, dim: int = -1
) -> Tensor:
    """Return the integrals up to each point but the first; arguments as in ``trapezoid``."""
    return cumsum(_areas(y, x, dx, dim), dim)


trapz = trapezoid
