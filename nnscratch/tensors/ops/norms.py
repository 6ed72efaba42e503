"""Norms of vectors and matrices, and the singular values that some of them are made of."""

from __future__ import annotations

import math
from typing import Any

from nnscratch import formulas as f
from nnscratch.array import dtype_name
from nnscratch.array.dtypes import is_complex
from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.tensors.methods import axis_of
from nnscratch.tensors.ops.calling import tensor_function
from nnscratch.tensors.tensor import Tensor, as_tensor

__all__: list[str] = []


def _matrices(name: str, A: Any, square: bool = True) -> Tensor:
    given = as_tensor(A)
    if given.ndim < 2 or (square and given.shape[-1] != given.shape[-2]):
        kind = "square matrices (..., n, n)" if square else "matrices (..., n, m)"
        raise ShapeError(f"{name} needs {kind}, got shape {given.shape}")
    return given


@tensor_function(method=False)
def svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:
    """Return the singular values of matrices in falling order."""
    S: Tensor = _matrices("svdvals", A, square=False)._apply(f.SVD, full_matrices=False)[1]
    return S


@tensor_function(method=False)
def vector_norm(
    x: Tensor, ord: Any = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """Return the norm of vectors, (Σ |x|^ord)^(1/ord), of all elements or along dimensions.

    >>> vector_norm(as_tensor([3.0, 4.0]))
    tensor(5.)
    """
    taken = _absolute(x, dtype)
    if isinstance(ord, str):
        raise ConfigurationError(f"vector_norm: ord is a number, got {ord!r}")
    if dim is not None and not isinstance(dim, int) and not tuple(dim):
        dim = None
    if dim is None:
        made = taken.reshape(-1).norm(float(ord), 0)
        return made.reshape((1,) * x.ndim) if keepdim else made
    return taken.norm(float(ord), dim, keepdim)


def _absolute(x: Tensor, dtype: Any = None) -> Tensor:
    """Return what norms are computed of: the sizes of complex numbers, in their own dtype."""
    taken = x if dtype is None else x.to(dtype_name(dtype))
    return taken.abs() if is_complex(taken.array) else taken


@tensor_function(method=False)
def matrix_norm(
    A: Tensor, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """Return the norm of matrices.

    Args:
        ord: "fro", "nuc" (the sum of the singular values), 2 and -2 (the largest and smallest of
            them), 1 and -1 (the largest and smallest sum of a column), inf and -inf (of a row).
        dim: the two dimensions of the matrices.

    Raises:
        ConfigurationError: for another norm.
    """
    rows, columns = (axis_of(one, A.ndim) for one in dim)
    if rows == columns:
        raise ShapeError(f"matrix_norm: the dimensions must differ, got {dim}")
    taken = A if dtype is None else A.to(dtype_name(dtype))
    if ord == "fro":
        return vector_norm(taken, 2, (rows, columns), keepdim)
    if ord in ("nuc", 2, -2):
        return taken._norm_of_matrices(ord, (rows, columns), keepdim)
    if ord in (1, -1, math.inf, -math.inf):
        first, second = (rows, columns) if abs(ord) == 1 else (columns, rows)
        sums = taken.abs().sum(first, True)
        made = sums.amax(second, True) if ord > 0 else sums.amin(second, True)
        return made if keepdim else made.squeeze((rows, columns))
    raise ConfigurationError(f"matrix_norm: ord is fro, nuc, ±1, ±2 or ±inf, got {ord!r}")


@tensor_function(method=False)
def norm(
    A: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """Return the norm of a vector or matrix: ``vector_norm`` or ``matrix_norm``.

    Two dimensions are a matrix, one or none a vector. Without ``ord`` it is the root of the sum of
    the squares.
    """
    if ord is None:
        return vector_norm(A, 2, dim, keepdim, dtype=dtype)
    if dim is None:
        if A.ndim not in (1, 2):
            raise ShapeError(f"norm: ord={ord!r} is for 1 or 2 dimensions, got shape {A.shape}")
        dim = tuple(range(A.ndim))
    dims = (dim,) if isinstance(dim, int) else tuple(dim)
    if len(dims) == 2:
        return matrix_norm(A, ord, dims, keepdim, dtype=dtype)
    return vector_norm(A, ord, dims, keepdim, dtype=dtype)
