"""Factorisations of matrices: Cholesky, QR, eigenvalues, singular values, and the rank."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch import formulas as f
from nnscratch.array.named import NamedValues
from nnscratch.errors import ConfigurationError
from nnscratch.tensors.ops.calling import tensor_function
from nnscratch.tensors.ops.complexes import conj
from nnscratch.tensors.ops.moving import tril, triu
from nnscratch.tensors.ops.norms import _matrices, svdvals
from nnscratch.tensors.ops.placing import _nothing
from nnscratch.tensors.tensor import Tensor, as_tensor

__all__ = ["cholesky", "qr", "svd"]


class QR(NamedValues):
    """What ``qr`` returns."""

    Q: Tensor
    R: Tensor


class Eigen(NamedValues):
    """What ``eigh`` returns."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class SVD(NamedValues):
    """What ``linalg.svd`` returns."""

    U: Tensor
    S: Tensor
    Vh: Tensor


class USV(NamedValues):
    """What ``svd`` returns."""

    U: Tensor
    S: Tensor
    V: Tensor


class CholeskyEx(NamedValues):
    """What ``cholesky_ex`` returns: ``info`` is 0 where the factor is right."""

    L: Tensor
    info: Tensor


def _mirrored(A: Tensor, upper: bool) -> Tensor:
    """Return what one triangle says of a symmetric matrix, with the gradient of the whole one."""
    read = triu(A.detach()) if upper else tril(A.detach())
    strict = triu(read, 1) if upper else tril(read, -1)
    full = read + conj(strict).transpose(-2, -1)
    return full + _nothing(A)  # what stands in the other triangle is not read


def _triangle(A: Tensor, upper: bool) -> Tensor:
    """Return one triangle of matrices, with the gradient of the whole, as in PyTorch."""
    read = triu(A.detach()) if upper else tril(A.detach())
    return read + _nothing(A)


def _no_errors(A: Tensor) -> Tensor:
    return A.new_zeros(A.shape[:-2], dtype="int32")


def _factor(name: str, A: Any, upper: bool) -> Tensor:
    made = _mirrored(_matrices(name, A), upper)._apply(f.CHOLESKY)
    return conj(made).transpose(-2, -1) if upper else made


@tensor_function()
def cholesky(input: Tensor, upper: bool = False) -> Tensor:
    """Return the lower triangular L with L Lᵀ = A of positive definite matrices, or its transpose.

    Raises:
        LinAlgError: if a matrix is not positive definite.

    >>> cholesky(as_tensor([[4.0, 2.0], [2.0, 2.0]]))
    tensor([[2., 0.],
            [1., 1.]])
    """
    return _factor("cholesky", input, upper)


def cholesky_ex(A: Any, *, upper: bool = False, check_errors: bool = False) -> CholeskyEx:
    """Return what ``cholesky`` does, and 0 for each matrix; another one is an error here too."""
    return CholeskyEx(_factor("cholesky", A, upper), _no_errors(as_tensor(A)))


@tensor_function()
def qr(A: Tensor, mode: Any = "reduced", some: bool | None = None) -> QR:
    """Return Q with orthonormal columns and the upper triangular R with Q R = A.

    Args:
        mode: "reduced", "complete" (a square Q), or "r" (Q is empty).
        some: True for "reduced", False for "complete".
    """
    some = mode if isinstance(mode, bool) else some
    name = mode if some is None else ("reduced" if some else "complete")
    taken = _matrices("qr", A, square=False)
    if name == "r":
        return QR(taken.new_empty(0), taken._apply(f.QR, mode="reduced")[1])
    if name not in ("reduced", "complete"):
        raise ConfigurationError(f"qr: mode is 'reduced', 'complete' or 'r', got {mode!r}")
    return QR(*taken._apply(f.QR, mode=name))


@tensor_function(method=False)
def eigh(A: Tensor, UPLO: str = "L") -> Eigen:
    """Return the eigenvalues, in rising order, and eigenvectors of symmetric matrices.

    Args:
        A: symmetric matrices (..., n, n).
        UPLO: which triangle is read, "L" or "U".

    The gradient is symmetric, as the matrix is. Eigenvectors of equal eigenvalues have none.
    """
    if str(UPLO).upper() not in ("L", "U"):
        raise ConfigurationError(f"eigh: UPLO is 'L' or 'U', got {UPLO!r}")
    upper = str(UPLO).upper() == "U"
    return Eigen(*_mirrored(_matrices("eigh", A), upper)._apply(f.EIGH))


@tensor_function(method=False)
def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """Return the eigenvalues of symmetric matrices in rising order."""
    return eigh(A, UPLO).eigenvalues


@tensor_function(method=False)
def linalg_svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None) -> SVD:
    """Return the singular values S, in falling order, and vectors of A = U diag(S) Vh.

    Args:
        A: matrices (..., n, m).
        full_matrices: whether U and Vh are square.
        driver: accepted as in PyTorch.
    """
    return SVD(*_matrices("svd", A, square=False)._apply(f.SVD, full_matrices=full_matrices))


@tensor_function()
def svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> USV:
    """Return U, S and V of A = U diag(S) Vᵀ: ``linalg.svd``, which returns Vᵀ, is the newer one."""
    U, S, Vh = _matrices("svd", input, square=False)._apply(f.SVD, full_matrices=not some)
    if not compute_uv:
        n, m = input.shape[-2:]
        U, Vh = U.new_zeros(*input.shape[:-2], n, n), U.new_zeros(*input.shape[:-2], m, m)
    return USV(U, S, conj(Vh).transpose(-2, -1))


def _relative(atol: Any, rtol: Any, default: Any) -> Any:
    """Return ``rtol``; without one 0 beside an ``atol`` above 0, which counts alone, or a default.

    Args:
        atol: a number, None, or a tensor of one for each matrix, which needs a number as default.
    """
    if rtol is not None:
        return rtol
    if isinstance(atol, Tensor):
        return (atol <= 0).to(atol.dtype) * default
    return 0.0 if atol is not None and atol > 0 else default


@tensor_function(method=False)
def matrix_rank(
    A: Tensor, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None
) -> Tensor:
    """Return how many singular values are not 0; tolerances as in ``pinv``, ``tol`` alone."""
    taken = _matrices("matrix_rank", A, square=False).detach()
    if 0 in taken.shape[-2:]:
        return taken.new_zeros(taken.shape[:-2], dtype="int64")
    S = eigvalsh(taken).abs() if hermitian else svdvals(taken)
    largest = S.amax(-1, True)
    least: Any = atol if atol is not None else tol
    if atol is None and tol is not None and rtol is None:
        rtol = 0.0
    part = _relative(least, rtol, max(taken.shape[-2:]) * float(np.finfo(str(S.dtype)).eps))
    part = part.unsqueeze(-1) if isinstance(part, Tensor) and part.ndim else part
    limit = largest * part
    if least is not None:
        bound = least.unsqueeze(-1) if isinstance(least, Tensor) and least.ndim else least
        limit = limit.clamp(min=bound) if not isinstance(bound, Tensor) else limit.maximum(bound)
    return (S > limit).sum(-1)
