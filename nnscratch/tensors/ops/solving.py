"""Systems of equations, inverses, determinants and condition numbers of matrices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnscratch import formulas as f
from nnscratch.array import to_device_of
from nnscratch.array.dtypes import is_complex
from nnscratch.array.named import NamedValues
from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.formulas import registry
from nnscratch.formulas.checks import broadcast_shape
from nnscratch.tensors.functions import stack, where
from nnscratch.tensors.methods import axis_of
from nnscratch.tensors.ops.calling import tensor_function
from nnscratch.tensors.ops.complexes import angle, complex, conj
from nnscratch.tensors.ops.factoring import (
    _mirrored,
    _no_errors,
    _relative,
    _triangle,
    matrix_rank,
)
from nnscratch.tensors.ops.moving import diagonal as _diagonal
from nnscratch.tensors.ops.moving import tril, triu
from nnscratch.tensors.ops.norms import _matrices, matrix_norm, svdvals
from nnscratch.tensors.tensor import Tensor, as_tensor

__all__ = ["cholesky_inverse", "cholesky_solve", "det", "inverse", "logdet", "pinverse", "slogdet"]


class SlogDet(NamedValues):
    """What ``slogdet`` returns."""

    sign: Tensor
    logabsdet: Tensor


class Lstsq(NamedValues):
    """What ``lstsq`` returns."""

    solution: Tensor
    residuals: Tensor
    rank: Tensor
    singular_values: Tensor


class SolveEx(NamedValues):
    """What ``solve_ex`` returns: ``info`` is 0 where the result is right."""

    result: Tensor
    info: Tensor


class InvEx(NamedValues):
    """What ``inv_ex`` returns: ``info`` is 0 where the inverse is right."""

    inverse: Tensor
    info: Tensor


def _identity(like: Tensor, *shape: int) -> Tensor:
    made = np.broadcast_to(np.eye(shape[-1], dtype=str(like.dtype)), (*shape, shape[-1])).copy()
    return like._wrap(to_device_of(made, like.array))


def _batched(A: Tensor, B: Tensor) -> tuple[Tensor, Tensor]:
    """Return matrices and right sides with the batch dimensions that they have in common."""
    shape = tuple(map(int, broadcast_shape("solve", A.shape[:-2], B.shape[:-2])))
    return A.expand(*shape, *A.shape[-2:]), B.expand(*shape, *B.shape[-2:])


@tensor_function(method=False)
def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """Return the solution X of A X = B, or of X A = B.

    Args:
        A: square matrices, (..., n, n).
        B: vectors (n,) or (..., n) with A's batch, or matrices (..., n, k).
        left: whether A stands on the left.

    Raises:
        LinAlgError: if a matrix is singular.
        ShapeError: if the shapes do not fit.

    >>> solve(as_tensor([[2.0, 0.0], [0.0, 4.0]]), as_tensor([2.0, 2.0]))
    tensor([1. , 0.5])
    """
    taken = _matrices("solve", A)
    vectors = B.ndim == 1 or (taken.ndim - 1 == B.ndim and B.shape == taken.shape[:-1])
    if vectors and not left:
        raise ShapeError("solve: left=False needs matrices as right sides")
    right = B.unsqueeze(-1) if vectors else B
    if not left:
        turned = solve(taken.transpose(-2, -1), right.transpose(-2, -1))
        return turned.transpose(-2, -1)
    taken, right = _batched(taken, right)
    made = taken._apply(f.SOLVE, right)
    return made.squeeze(-1) if vectors else made


def solve_ex(A: Any, B: Tensor, *, left: bool = True, check_errors: bool = False) -> SolveEx:
    """Return what ``solve`` does, and 0 for each matrix; a singular one is an error here too."""
    made = solve(A, B, left=left)
    return SolveEx(made, _no_errors(as_tensor(A)))


@tensor_function("inverse")
def inv(A: Tensor) -> Tensor:
    """Return the inverse of square matrices.

    Raises:
        LinAlgError: if a matrix is singular.
    """
    taken = _matrices("inv", A)
    return taken._apply(f.SOLVE, _identity(taken, *taken.shape[:-1]))


inverse = inv


def inv_ex(A: Any, *, check_errors: bool = False) -> InvEx:
    """Return what ``inv`` does, and 0 for each matrix; a singular one is an error here too."""
    return InvEx(inv(A), _no_errors(as_tensor(A)))


@tensor_function(method=False)
def solve_triangular(
    A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Tensor:
    """Return the solution X of A X = B, or of X A = B, for triangular matrices.

    Args:
        A: square matrices, of which one triangle is read.
        B: matrices (..., n, k).
        upper: which triangle.
        left: whether A stands on the left.
        unitriangular: whether the diagonal counts as 1, and is not read.
    """
    taken = _matrices("solve_triangular", A)
    if unitriangular:
        part = triu(taken, 1) if upper else tril(taken, -1)
        part = part + _identity(taken, *taken.shape[:-1])
    else:
        part = triu(taken) if upper else tril(taken)
    if not left:
        made = solve_triangular(part.mT, B.mT, upper=not upper, unitriangular=unitriangular)
        return made.mT
    part, right = _batched(part, B)
    if unitriangular:
        return part._apply(f.SOLVE, right)
    if registry.is_recording() or bool((_diagonal(part.detach(), 0, -2, -1) == 0).any()):
        return _substituted(part, right, upper)
    return part._apply(f.SOLVE, right)


def _substituted(A: Tensor, B: Tensor, upper: bool) -> Tensor:
    """Return the solution row by row: of a 0 on the diagonal the infinities that it makes."""
    n = A.shape[-1]
    rows: list[Any] = [None] * n
    for i in reversed(range(n)) if upper else range(n):
        row, factors = B.select(-2, i), A.select(-2, i)
        start, end = (i + 1, n) if upper else (0, i)
        if start < end:
            known = factors.narrow(-1, start, end - start).unsqueeze(-2)
            row = row - (known @ stack(rows[start:end], -2)).squeeze(-2)
        rows[i] = row / factors.select(-1, i).unsqueeze(-1)
    return stack(rows, -2) if rows else B.clone()


@tensor_function("pinverse")
def pinv(
    A: Tensor,
    rcond: Any = None,
    hermitian: bool = False,
    *,
    atol: Any = None,
    rtol: Any = None,
) -> Tensor:
    """Return the pseudo-inverse of matrices.

    Args:
        rcond, rtol: singular values below this part of the largest count as 0; by default the
            larger side times the dtype's precision.
        hermitian: whether the matrices are symmetric.
        atol: the same as a number; the larger bound counts, and without ``rtol`` it alone if it is
            above 0.
    """
    taken = _matrices("pinv", A, square=hermitian)
    if hermitian:
        taken = _mirrored(taken, False)
    part: Any = rtol if rtol is not None else rcond
    part = part.item() if isinstance(part, Tensor) and part.numel() == 1 else part
    least = atol.item() if isinstance(atol, Tensor) and atol.numel() == 1 else atol
    if isinstance(part, Tensor) or isinstance(least, Tensor):
        raise ConfigurationError("pinv: one tolerance for all matrices, a number")
    part = _relative(least, part, None)
    return taken._apply(f.PINV, rtol=part if part is None else float(part), atol=float(least or 0))


def pinverse(input: Any, rcond: float = 1e-15) -> Tensor:
    """Return the pseudo-inverse of matrices, as ``linalg.pinv`` does."""
    return pinv(input, rcond)


@tensor_function(method=False)
def lstsq(A: Tensor, B: Tensor, rcond: Any = None, *, driver: str | None = None) -> Lstsq:
    """Return the solution X that makes the norm of A X - B least.

    Args:
        A: matrices (..., n, m).
        B: vectors (n,) or (..., n) with A's batch, or matrices (..., n, k).
        rcond: as in ``pinv``; "gels" does not look at it.
        driver: "gels" for matrices of full rank, "gelsy" (which None stands for), "gelsd" or
            "gelss"; the solution is the one of the least norm.

    Returns:
        The solution, the sums of the squares of what is left (where n > m and the rank is m), the
        rank, and the singular values for the drivers that have them.

    Raises:
        ConfigurationError: for another driver.
    """
    if driver not in (None, "gels", "gelsy", "gelsd", "gelss"):
        raise ConfigurationError(
            f"lstsq: driver is 'gels', 'gelsy', 'gelsd', 'gelss' or None, got {driver!r}"
        )
    taken = _matrices("lstsq", A, square=False)
    vectors = B.ndim == 1 or (taken.ndim - 1 == B.ndim and B.shape == taken.shape[:-1])
    right = B.unsqueeze(-1) if vectors else _matrices("lstsq", B, square=False)
    taken, right = _batched(taken, right)
    part = 0.0 if driver == "gels" else rcond
    solution = pinv(taken, part) @ right
    n, m = taken.shape[-2:]
    rank = matrix_rank(taken.detach(), rtol=part)
    residuals = taken.new_empty(0)
    if n > m and (driver == "gels" or (driver in ("gelsd", "gelss") and bool((rank == m).all()))):
        left = taken @ solution - right
        residuals = (left.abs() ** 2 if is_complex(left.array) else left * left).sum(-2)
    values = taken.new_empty(0)
    if driver in ("gelsd", "gelss"):
        values = svdvals(taken.detach())
    if driver == "gels":
        rank = rank.new_empty(0)
    if vectors:
        solution = solution.squeeze(-1)
    return Lstsq(solution, residuals, rank, values)


@tensor_function()
def det(A: Tensor) -> Tensor:
    """Return the determinants of square matrices."""
    return _matrices("det", A)._apply(f.DET)


@tensor_function()
def slogdet(A: Tensor) -> SlogDet:
    """Return the signs of determinants and the logarithms of their sizes."""
    sign, size = _matrices("slogdet", A)._apply(f.SLOGDET)
    return SlogDet(sign.detach(), size)


@tensor_function()
def logdet(input: Tensor) -> Tensor:
    """Return the logarithms of determinants, of real matrices NaN below 0."""
    sign, size = slogdet(input)
    if is_complex(sign.array):
        return complex(size, angle(sign))
    return where(sign < 0, math.nan, size)


@tensor_function()
def cholesky_inverse(input: Tensor, upper: bool = False) -> Tensor:
    """Return the inverse of the matrix with a factor of Cholesky's, (L Lᵀ)⁻¹."""
    part = _triangle(_matrices("cholesky_inverse", input), upper)
    turned = conj(part).transpose(-2, -1)
    return inv(turned @ part if upper else part @ turned)


@tensor_function()
def cholesky_solve(B: Tensor, L: Tensor, upper: bool = False) -> Tensor:
    """Return the solution X of L Lᵀ X = B."""
    part = _triangle(_matrices("cholesky_solve", L), upper)
    turned = conj(part).transpose(-2, -1)
    first, second = (turned, part) if upper else (part, turned)
    return solve(second, solve(first, _batched(first, B)[1]))


def cond(A: Any, p: Any = None) -> Tensor:
    """Return the condition number: the norm of a matrix times that of its inverse."""
    taken = as_tensor(A)
    if p in (None, 2, -2):
        S = svdvals(taken)
        if not S.shape[-1]:
            return S.sum(-1)
        first, last = S.amax(-1), S.amin(-1)
        return last / first if p == -2 else first / last
    _matrices("cond", taken)
    if not taken.shape[-1]:
        return taken.new_zeros(taken.shape[:-2])
    size = matrix_norm(taken, p)
    singular = slogdet(taken.detach()).sign == 0
    # What has no inverse is as far from one as can be.
    chosen = singular.unsqueeze(-1).unsqueeze(-1)
    filled = where(chosen, _identity(taken, *taken.shape[:-1]), taken)
    return where(singular, math.inf, size * matrix_norm(inv(filled), p))


@tensor_function(method=False)
def tensorinv(A: Tensor, ind: int = 2) -> Tensor:
    """Return the inverse of a tensor as a map between its first and its other dimensions."""
    front, back = A.shape[:ind], A.shape[ind:]
    if ind < 1 or math.prod(front) != math.prod(back):
        raise ShapeError(f"tensorinv: {A.shape} is not square after {ind} dimensions")
    return inv(A.reshape(math.prod(front), -1)).reshape(*back, *front)


@tensor_function(method=False)
def tensorsolve(A: Tensor, B: Tensor, dims: Any = None) -> Tensor:
    """Return the X with tensordot(A, X, X.ndim) = B."""
    if dims is not None:
        moved = [axis_of(dim, A.ndim) for dim in dims]
        order = [axis for axis in range(A.ndim) if axis not in moved]
        A = A.permute(*order, *moved)
    rest = A.shape[B.ndim :]
    if math.prod(rest) != B.numel():
        raise ShapeError(f"tensorsolve: {A.shape} and {B.shape} are no system")
    made = solve(A.reshape(B.numel(), -1), B.reshape(-1))
    return made.reshape(*rest)
