"""Linear algebra, with PyTorch's names: ``nnscratch.linalg.solve`` and its like.

Values come from LAPACK through NumPy (on a GPU through CuPy); the derivatives are written by hand.
"""

from nnscratch.absent import refuse_absent_names
from nnscratch.errors import LinAlgError
from nnscratch.tensors.functions import matmul
from nnscratch.tensors.ops.factoring import cholesky as _cholesky
from nnscratch.tensors.ops.factoring import cholesky_ex, eigh, eigvalsh, matrix_rank, qr
from nnscratch.tensors.ops.factoring import linalg_svd as svd
from nnscratch.tensors.ops.norms import matrix_norm, norm, svdvals, vector_norm
from nnscratch.tensors.ops.powers import (
    cross,
    diagonal,
    matrix_exp,
    matrix_power,
    multi_dot,
    vander,
    vecdot,
)
from nnscratch.tensors.ops.solving import (
    cond,
    det,
    inv,
    inv_ex,
    lstsq,
    pinv,
    slogdet,
    solve,
    solve_ex,
    solve_triangular,
    tensorinv,
    tensorsolve,
)
from nnscratch.tensors.tensor import Tensor

__all__ = [
    "LinAlgError",
    "cholesky",
    "cholesky_ex",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "inv",
    "inv_ex",
    "lstsq",
    "matmul",
    "matrix_exp",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_ex",
    "solve_triangular",
    "svd",
    "svdvals",
    "tensorinv",
    "tensorsolve",
    "vander",
    "vecdot",
    "vector_norm",
]


def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """Return the lower triangular L with L Lᵀ = A of positive definite matrices, or its transpose.

    Raises:
        LinAlgError: if a matrix is not positive definite.
    """
    return _cholesky(A, upper)


refuse_absent_names(__name__)
