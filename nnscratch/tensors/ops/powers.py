"""Powers and exponentials of matrices, chains of products, and products of vectors in them."""

from __future__ import annotations

import math
from typing import Any

from nnscratch.errors import ShapeError
from nnscratch.formulas import registry
from nnscratch.tensors.functions import stack, where
from nnscratch.tensors.ops.calling import tensor_function, written
from nnscratch.tensors.ops.complexes import conj
from nnscratch.tensors.ops.joining import broadcast_tensors
from nnscratch.tensors.ops.moving import diagonal as _diagonal
from nnscratch.tensors.ops.norms import _matrices
from nnscratch.tensors.ops.products import _chained
from nnscratch.tensors.ops.products import cross as _cross
from nnscratch.tensors.ops.solving import _identity, inv
from nnscratch.tensors.tensor import Tensor, as_tensor

__all__ = ["matrix_exp", "matrix_power"]


@tensor_function()
def matrix_power(input: Tensor, n: int) -> Tensor:
    """Return square matrices to an integer power, of the inverse if it is negative."""
    taken = _matrices("matrix_power", input)
    if n == 0:
        return taken * 0 + _identity(taken, *taken.shape[:-1]) if taken.requires_grad else (
            _identity(taken, *taken.shape[:-1])
        )  # fmt: skip
    base, count = (inv(taken), -n) if n < 0 else (taken, n)
    made: Any = None
    while count:
        if count & 1:
            made = base if made is None else made @ base
        count >>= 1
        base = base @ base if count else base
    return made.clone() if made is input else made


@tensor_function()
def matrix_exp(A: Tensor) -> Tensor:
    """Return the exponential of square matrices, by the Taylor series of a part and squaring."""
    taken = _matrices("matrix_exp", A)
    if not taken.numel():
        return taken.clone()
    registry.notify_read(taken.array, "matrix_exp()")
    sizes = taken.detach().abs().sum(-1).amax(-1)
    endless = (sizes - sizes) != 0
    if bool(endless.any()):
        chosen = endless.unsqueeze(-1).unsqueeze(-1)
        return where(chosen, math.nan, matrix_exp(where(chosen, 0.0, taken)))
    size = float(sizes.max())
    halvings = max(0, math.ceil(math.log2(size)) + 3) if size > 0 else 0
    part = taken / 2.0**halvings
    made = term = _identity(taken, *taken.shape[:-1])
    for k in range(1, 14):
        term = term @ part / k
        made = made + term
    for _ in range(halvings):
        made = made @ made
    return made


def multi_dot(tensors: Any, *, out: Any = None) -> Tensor:
    """Return the product of several matrices, in the order that takes the fewest operations.

    The first and the last may be vectors.
    """
    items = [as_tensor(one) for one in tensors]
    if len(items) < 2:
        raise ShapeError("multi_dot: expected at least two tensors")
    first, last = items[0].ndim == 1, items[-1].ndim == 1
    if first:
        items[0] = items[0].unsqueeze(0)
    if last:
        items[-1] = items[-1].unsqueeze(1)
    made = _chained("multi_dot", items)
    made = made.squeeze(0) if first else made
    made = made.squeeze(-1) if last else made
    return written("multi_dot", made, out)


@tensor_function(method=False)
def cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """Return the cross products of vectors of 3 elements along a dimension."""
    left, right = broadcast_tensors(input, other)
    return _cross(left, right, dim)


@tensor_function(method=False)
def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """Return the sums of the products of vectors along a dimension, the first ones conjugated."""
    return (conj(x) * y).sum(dim)


@tensor_function(method=False)
def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Return the diagonals of the last two dimensions, or of two others; a view."""
    return _diagonal(A, offset, dim1, dim2)


@tensor_function(method=False)
def vander(x: Tensor, *, N: int | None = None) -> Tensor:
    """Return the powers 0 to N - 1 of each element, (..., N)."""
    x = x if x.ndim else x.reshape(1)
    count = x.shape[-1] if N is None else N
    if N is not None and N < 1:
        raise ShapeError(f"vander: N must be at least 1, got {N}")
    powers = [x.new_ones(x.shape)]
    for _ in range(count - 1):
        powers.append(powers[-1] * x)
    return stack(powers, -1)
