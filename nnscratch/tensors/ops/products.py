"""Products of vectors, matrices and tensors, and distances: all through ``matmul``."""

from __future__ import annotations

from typing import Any

from nnscratch import formulas as f
from nnscratch.array import dtype_name, is_floating, promote
from nnscratch.array.dtypes import is_complex, is_integer
from nnscratch.errors import ConfigurationError, DTypeError, ShapeError
from nnscratch.formulas.checks import broadcast_shape
from nnscratch.tensors.methods import axis_of
from nnscratch.tensors.ops.calling import tensor_function
from nnscratch.tensors.ops.complexes import complex, conj
from nnscratch.tensors.ops.contracting import LETTERS, einsum
from nnscratch.tensors.ops.moving import diagonal
from nnscratch.tensors.tensor import Tensor, as_tensor

__all__ = [
    "addbmm",
    "addmm",
    "addmv",
    "addr",
    "baddbmm",
    "cdist",
    "chain_matmul",
    "corrcoef",
    "cov",
    "cross",
    "dist",
    "ger",
    "inner",
    "kron",
    "mv",
    "outer",
    "renorm",
    "tensordot",
    "vdot",
]


@tensor_function(method=False)
def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """Return the products of two tensors summed over dimensions.

    Args:
        a: the first tensor.
        b: the second one.
        dims: how many of the last of ``a`` and the first of ``b``, or a list of each.

    >>> tensordot(as_tensor([1.0, 2.0]), as_tensor([3.0, 4.0]), 1)
    tensor(11.)
    """
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if not 0 <= dims <= min(a.ndim, b.ndim):
            raise ShapeError(f"tensordot: {dims} dimensions of {a.shape} and {b.shape}")
        first, second = [*range(a.ndim - dims, a.ndim)], [*range(dims)]
    else:
        first = [axis_of(dim, a.ndim) for dim in dims[0]]
        second = [axis_of(dim, b.ndim) for dim in dims[1]]
    left = [LETTERS[k] for k in range(a.ndim)]
    right = [LETTERS[a.ndim + k] for k in range(b.ndim)]
    for one, other in zip(first, second, strict=True):
        right[other] = left[one]
    rest = [left[k] for k in range(a.ndim) if k not in first]
    rest += [right[k] for k in range(b.ndim) if k not in second]
    return einsum(f"{''.join(left)},{''.join(right)}->{''.join(rest)}", a, b)


def _vector(name: str, *tensors: Tensor) -> None:
    if any(one.ndim != 1 for one in tensors):
        shapes = " and ".join(str(one.shape) for one in tensors)
        raise ShapeError(f"{name} needs vectors, got shapes {shapes}")


@tensor_function("outer", "ger")
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """Return the products of each element of one vector with each of another, (n, m)."""
    _vector("outer", input, vec2)
    return input.reshape(-1, 1) * vec2


ger = outer


@tensor_function()
def inner(input: Tensor, other: Tensor) -> Tensor:
    """Return the sums of products over the last dimensions of two tensors."""
    if not input.ndim or not other.ndim:
        return input * other
    if input.shape[-1] != other.shape[-1]:
        raise ShapeError(
            f"inner: expected last dimensions of one size, got {input.shape} and {other.shape}"
        )
    return tensordot(input, other, ([-1], [-1]))


@tensor_function()
def mv(input: Tensor, vec: Tensor) -> Tensor:
    """Return the product of a matrix and a vector."""
    if input.ndim != 2 or vec.ndim != 1:
        raise ShapeError(f"mv needs a matrix and a vector, got {input.shape} and {vec.shape}")
    return input._binary(f.MATMUL, vec)


@tensor_function()
def vdot(input: Tensor, other: Tensor) -> Tensor:
    """Return the sum of the products of two vectors, the first one conjugated."""
    _vector("vdot", input, other)
    left = conj(input)
    return left.dot(other)


@tensor_function()
def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """Return the cross products of vectors of 3 elements along a dimension.

    Args:
        dim: the dimension; by default the first of size 3.

    >>> cross(as_tensor([1.0, 0.0, 0.0]), as_tensor([0.0, 1.0, 0.0]))
    tensor([0., 0., 1.])
    """
    from nnscratch.tensors.ops.joining import broadcast_tensors

    if dim is None:
        dim = next((axis for axis, n in enumerate(input.shape) if n == 3), None)
        if dim is None:
            raise ShapeError(f"cross: no dimension of {input.shape} has 3 elements")
    axis = axis_of(dim, input.ndim) - input.ndim
    left, right = broadcast_tensors(input, other)
    axis %= left.ndim
    if left.shape[axis] != 3:
        raise ShapeError(f"cross: dimension {dim} of {left.shape} has not 3 elements")

    def turned(X: Tensor, by: int) -> Tensor:
        first, *rest = (X.narrow(axis, (k + by) % 3, 1) for k in range(3))
        return first._apply(f.CONCATENATE, *rest, axis=axis)

    return turned(left, 1) * turned(right, 2) - turned(left, 2) * turned(right, 1)


@tensor_function()
def kron(input: Tensor, other: Tensor) -> Tensor:
    """Return the Kronecker product: each element of one tensor times the whole other one."""
    count = max(input.ndim, other.ndim)
    left = input.reshape(*(1,) * (count - input.ndim), *input.shape)
    right = other.reshape(*(1,) * (count - other.ndim), *other.shape)
    apart = left.reshape(*(n for size in left.shape for n in (size, 1)))
    inner_ = right.reshape(*(n for size in right.shape for n in (1, size)))
    shape = [n * m for n, m in zip(left.shape, right.shape, strict=True)]
    return (apart * inner_).reshape(*shape)


def _added(name: str, input: Tensor, product: Tensor, beta: Any, alpha: Any) -> Tensor:
    """Return beta · input + alpha · product; input is not read where beta is 0."""
    if broadcast_shape(name, input.array, product.array) != product.shape:
        raise ShapeError(
            f"{name}: expected an input that broadcasts to the product of shape {product.shape}, "
            f"got {input.shape}"
        )
    product = product.to(promote(input.array, product.array))  # where input is not read too
    if dtype_name(product.array.dtype) == "bool":
        made = product & bool(alpha)
        return made | (input & bool(beta)) if beta else made
    if is_integer(product.array):
        beta, alpha = int(beta), int(alpha)  # as in PyTorch, which computes in the dtype
    scaled = product if alpha == 1 else product * alpha
    if beta == 0:
        if input.requires_grad:
            # Not read, but a part of the graph with a gradient of 0.
            nothing = input.new_zeros(input.shape, dtype="bool")
            return scaled + nothing._where(input, 0.0)
        return scaled
    return (input if beta == 1 else input * beta) + scaled


@tensor_function(inplace=True)
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """Return beta · input + alpha · mat1 @ mat2.

    >>> addmm(as_tensor([1.0]), as_tensor([[2.0]]), as_tensor([[3.0]]))
    tensor([[7.]])
    """
    return _added("addmm", input, mat1.mm(mat2), beta, alpha)


@tensor_function(inplace=True)
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """Return beta · input + alpha · mat @ vec."""
    return _added("addmv", input, mv(mat, vec), beta, alpha)


@tensor_function(inplace=True)
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """Return beta · input + alpha · the outer product of two vectors."""
    return _added("addr", input, outer(vec1, vec2), beta, alpha)


@tensor_function(inplace=True)
def baddbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """Return beta · input + alpha · batch1 @ batch2, of batches of matrices."""
    return _added("baddbmm", input, batch1.bmm(batch2), beta, alpha)


@tensor_function(inplace=True)
def addbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """Return beta · input + alpha · the sum of batch1 @ batch2 over the batch."""
    return _added("addbmm", input, batch1.bmm(batch2).sum(0), beta, alpha)


def chain_matmul(*matrices: Tensor) -> Tensor:
    """Return the product of several matrices, in the order that takes the fewest operations."""
    return _chained("chain_matmul", [as_tensor(one) for one in matrices])


def _chained(name: str, items: list[Tensor]) -> Tensor:
    """Return the product of matrices (Cormen, Leiserson, Rivest and Stein, section 14.2)."""
    if not items or any(one.ndim != 2 for one in items):
        raise ShapeError(f"{name}: expected matrices, got {[one.shape for one in items]}")
    count = len(items)
    sizes = [items[0].shape[0], *(one.shape[1] for one in items)]
    cost = [[0] * count for _ in range(count)]
    cut = [[0] * count for _ in range(count)]
    for length in range(1, count):
        for first in range(count - length):
            last = first + length
            options = [
                (
                    cost[first][k]
                    + cost[k + 1][last]
                    + sizes[first] * sizes[k + 1] * sizes[last + 1],
                    k,
                )
                for k in range(first, last)
            ]
            cost[first][last], cut[first][last] = min(options)

    def product(first: int, last: int) -> Tensor:
        if first == last:
            return items[first]
        k = cut[first][last]
        return product(first, k).mm(product(k + 1, last))

    return product(0, count - 1)


# Distances and moments.


@tensor_function()
def dist(input: Tensor, other: Any, p: float = 2) -> Tensor:
    """Return the p-norm of the difference of two tensors."""
    return (input - other).norm(p)


_FEW = 25
"""Up to so many points on both sides PyTorch computes distances from differences."""


@tensor_function(method=False)
def cdist(
    x1: Tensor,
    x2: Tensor,
    p: float = 2.0,
    compute_mode: str | None = "use_mm_for_euclid_dist_if_necessary",
) -> Tensor:
    """Return the p-norm distances between each two rows, (..., P, M) to (..., P, R).

    Args:
        x1: points.
        x2: other points.
        p: the norm: a number of at least 0, or infinity.
        compute_mode: whether Euclidean distances come from |x|² + |y|² - 2 xy, which needs no
            array of all differences: by default where more than 25 points are on a side.

    >>> cdist(as_tensor([[0.0, 0.0]]), as_tensor([[3.0, 4.0]]))
    tensor([[5.]])
    """
    if not (is_floating(x1.array) and is_floating(x2.array)):
        raise DTypeError(f"cdist needs floating-point numbers, got {x1.dtype} and {x2.dtype}")
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1] or p < 0:
        raise ShapeError(f"cdist: expected rows of one length, got {x1.shape} and {x2.shape}")
    P, R = x1.shape[-2], x2.shape[-2]
    many = P > _FEW or R > _FEW
    asked = compute_mode in (None, "use_mm_for_euclid_dist_if_necessary", 0)
    if p == 2 and (compute_mode in ("use_mm_for_euclid_dist", 1) or (asked and many)):
        squares = (x1 * x1).sum(-1, True) + (x2 * x2).sum(-1).unsqueeze(-2)
        squares = (squares - 2.0 * (x1 @ x2.transpose(-2, -1))).clamp(min=0.0)
        nothing = squares == 0
        return nothing._where(0.0, squares.masked_fill(nothing, 1.0).sqrt())
    apart = x1.unsqueeze(-2) - x2.unsqueeze(-3)
    if not apart.shape[-1]:
        return apart.sum(-1)
    return apart.norm(p, -1)


@tensor_function(inplace=True)
def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """Return the tensor with each slice along a dimension scaled to a p-norm of at most maxnorm."""
    axis = axis_of(dim, input.ndim)
    if input.ndim < 2:
        raise ShapeError(f"renorm needs two dimensions or more, got shape {input.shape}")
    if not p > 0 or maxnorm < 0:
        raise ConfigurationError(
            f"renorm: expected p above 0 and a maxnorm of at least 0, got {p} and {maxnorm}"
        )
    others = [one for one in range(input.ndim) if one != axis]
    size = input.norm(p, others, True)
    factor = (size > maxnorm)._where(maxnorm / (size + 1e-7), 1.0)
    return input * factor.to(input.dtype)


@tensor_function()
def cov(
    input: Tensor,
    *,
    correction: int = 1,
    fweights: Tensor | None = None,
    aweights: Tensor | None = None,
) -> Tensor:
    """Return the covariances of variables (rows) over observations (columns).

    Args:
        correction: what is subtracted from the number of observations.
        fweights: how often each observation counts, integers.
        aweights: the weight of each observation.
    """
    if input.ndim > 2:
        raise ShapeError(f"cov needs at most 2 dimensions, got shape {input.shape}")
    taken = input.reshape(1, -1) if input.ndim < 2 else input
    if not is_complex(taken.array):
        taken = taken._as_float()
    weights: Any = None
    if fweights is not None or aweights is not None:
        given = [one for one in (fweights, aweights) if one is not None]
        weights = given[0] if len(given) == 1 else given[0] * given[1]
    if weights is None:
        centred = taken - taken.mean(1, True)
        norm: Any = float(max(taken.shape[1] - correction, 0))
        right = centred
    else:
        total = weights.sum()
        centred = taken - (taken * weights).sum(1, True) / total
        if aweights is not None and correction != 0:
            norm = total - correction * (weights * aweights).sum() / total
        else:
            norm = total - correction
        norm = norm.clamp(min=0)
        right = centred * weights
    made = centred @ conj(right).transpose(0, 1)
    made = made / norm
    return made.squeeze()


@tensor_function()
def corrcoef(input: Tensor) -> Tensor:
    """Return the correlations of variables (rows) over observations (columns).

    They are held between -1 and 1, of complex numbers the real and the imaginary parts.
    """
    made = cov(input)
    if made.ndim == 0:
        return made / made
    variance = diagonal(made)
    deviation = (variance.real if is_complex(made.array) else variance).sqrt()
    made = made / deviation.unsqueeze(1) / deviation
    if is_complex(made.array):
        return complex(made.real.clamp(-1.0, 1.0), made.imag.clamp(-1.0, 1.0))
    return made.clamp(-1.0, 1.0)
