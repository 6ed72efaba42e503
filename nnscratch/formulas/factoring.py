"""Factorisations of matrices over leading batch axes: Cholesky, QR, eigenvalues, singular values.

Values come from the array library's LAPACK. The derivatives are those of M. Giles, An extended
collection of matrix derivative results for forward and reverse mode algorithmic differentiation
(2008), written in products and solutions only, so that they have derivatives themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nnscratch.array import array_namespace
from nnscratch.array.dtypes import is_complex
from nnscratch.errors import LinAlgError, ShapeError
from nnscratch.formulas.formula import formula
from nnscratch.formulas.matrix_derivations import (
    BY_CHANGES,
    OF_SYMMETRIC,
    QR_STEPS,
    SVD_STEPS,
)
from nnscratch.formulas.saved import Saved

GILES = "Giles 2008, An extended collection of matrix derivative results"


def matrix(name: str, A: Any, square: bool = True) -> None:
    """Raise a ShapeError unless A is a matrix, or a batch of them, square if asked."""
    if A.ndim < 2 or (square and A.shape[-1] != A.shape[-2]):
        kind = "square matrices" if square else "matrices"
        raise ShapeError(f"{name} needs {kind} (..., n, {'n' if square else 'm'}), got {A.shape}")


def lapack(name: str, compute: Callable[..., Any], *inputs: Any, **options: Any) -> Any:
    """Return what LAPACK computes; that it cannot is a LinAlgError by the formula's name."""
    try:
        return compute(*inputs, **options)
    except np.linalg.LinAlgError as error:
        raise LinAlgError(
            f"{name}: {str(error).lower()}; add a multiple of the identity, or use pinv or lstsq"
        ) from error


def turned(X: Any) -> Any:
    """Return the transposes of matrices."""
    return array_namespace(X).matrix_transpose(X)


def adjoint(X: Any) -> Any:
    """Return conjugate transposes, which of real matrices are the transposes."""
    return array_namespace(X).conj(turned(X)) if is_complex(X) else turned(X)


def identity(X: Any, size: int) -> Any:
    """Return the identity matrix in the dtype and on the device of X."""
    xp = array_namespace(X)
    return xp.eye(size, dtype=X.dtype, device=X.device)


def _diagonal(V: Any) -> Any:
    """Return matrices with vectors on their diagonal, (..., n) to (..., n, n)."""
    xp = array_namespace(V)
    return xp.expand_dims(V, axis=-1) * identity(V, V.shape[-1])


class CholeskySaved(Saved):
    """The lower triangular factor."""

    Y: Any


def _lower(X: Any, diagonal: float) -> Any:
    """Return the lower triangle with its diagonal times a factor."""
    xp = array_namespace(X)
    n = X.shape[-1]
    rows = xp.arange(n, dtype=xp.int64, device=X.device)
    gap = xp.expand_dims(rows, axis=1) - xp.expand_dims(rows, axis=0)
    weights = xp.astype(gap > 0, X.dtype) + diagonal * xp.astype(gap == 0, X.dtype)
    return X * weights


def cholesky_forward(A: Any) -> tuple[Any, CholeskySaved]:
    """Compute the lower triangular Y with Y Yᵀ = (A + Aᵀ) / 2, which is A if A is symmetric.

    Raises:
        ShapeError: if A is no square matrix.
        LinAlgError: if it is not positive definite.
        DTypeError: if it holds integers.

    >>> import numpy as np
    >>> cholesky_forward(np.array([[4.0, 2.0], [2.0, 2.0]]))[0]
    array([[2., 0.],
           [1., 1.]])
    """
    matrix("cholesky", A)
    Y = lapack("cholesky", array_namespace(A).linalg.cholesky, 0.5 * (A + adjoint(A)))
    return Y, CholeskySaved(Y)


def cholesky_backward(dY: Any, saved: CholeskySaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dA, the symmetric part of Y^-T Φ(Yᵀ dY) Y^-1.

    Φ is the lower triangle with half of its diagonal.
    """
    (Y,) = saved
    xp = array_namespace(dY)
    inner = _lower(turned(Y) @ dY, 0.5)
    left = xp.linalg.solve(turned(Y), inner)
    made = turned(xp.linalg.solve(turned(Y), turned(left)))
    return (0.5 * (made + turned(made)),)


CHOLESKY = formula(
    cholesky_forward,
    cholesky_backward,
    complexes=True,
    equation=r"Y Y^\top = A",
    gradients={
        "A": r"\tfrac{1}{2} (G + G^\top), \quad"
        r" G = Y^{-\top} \Phi(Y^\top \frac{\partial L}{\partial Y}) Y^{-1}, \quad"
        r" \Phi_{ij}(M) = ([i > j] + \tfrac{1}{2} [i = j]) M_{ij}"
    },
    shapes="A (..., n, n) -> Y (..., n, n)",
    floats=("A",),
    source="Murray 2016, arXiv:1602.07527",
    derivation=(
        BY_CHANGES,
        "Write S for the symmetric part of A, which is A where A is symmetric. The product rule "
        r"on $Y Y^\top = S$: $$\delta Y \, Y^\top + Y \, \delta Y^\top = \delta S$$",
        r"Times $Y^{-1}$ from the left and $Y^{-\top}$ from the right, with $K = Y^{-1} \delta "
        r"Y$: $$K + K^\top = Y^{-1} \delta S \, Y^{-\top}$$ K is lower triangular, as both its "
        "factors are. So below the diagonal the right side is K, and on the diagonal twice K: "
        r"$$\delta Y = Y K = Y \, \Phi(Y^{-1} \delta S \, Y^{-\top})$$",
        r"The loss changes by $\langle \frac{\partial L}{\partial Y}, \delta Y \rangle$. Φ "
        r"multiplies each entry by a number, and so goes to the other side as it is: $$\delta L = "
        r"\left\langle \Phi\left(Y^\top \frac{\partial L}{\partial Y}\right), Y^{-1} \delta S \, "
        r"Y^{-\top} \right\rangle \\ = \langle G, \delta S \rangle \\ G = Y^{-\top} \, "
        r"\Phi\left(Y^\top \frac{\partial L}{\partial Y}\right) Y^{-1}$$",
        OF_SYMMETRIC,
    ),
)


class QrSaved(Saved):
    """The two factors, and the matrix, whose columns beyond the rows a wide one needs."""

    A: Any
    Q: Any
    R: Any


def qr_forward(A: Any, *, mode: str = "reduced") -> tuple[tuple[Any, Any], QrSaved]:
    """Compute Q with orthonormal columns and the upper triangular R with Q R = A.

    Args:
        A: matrices (..., n, m).
        mode: "reduced", with k = min(n, m) columns of Q, or "complete", with n.

    Raises:
        ShapeError: if A is no matrix.
        DTypeError: if it holds integers.
    """
    matrix("qr", A, square=False)
    Q, R = array_namespace(A).linalg.qr(A, mode=mode)
    return (Q, R), QrSaved(A, Q, R)


def qr_backward(dY: Any, saved: QrSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dA = (dQ + Q C(M)) R^-T with M = R dRᵀ - dQᵀ Q; C mirrors the lower triangle.

    Of a wide matrix the columns beyond the rows are A = Q R with the same Q: theirs is Q dR.
    """
    A, Q, R = saved
    dQ, dR = dY
    xp = array_namespace(Q if dQ is None else dQ) if dR is None else array_namespace(dR)
    rows, columns = A.shape[-2:]
    dQ = xp.zeros_like(Q) if dQ is None else dQ
    dR = xp.zeros_like(R) if dR is None else dR
    if columns > rows:
        rest = dR[..., :, rows:]
        dQ = dQ + A[..., :, rows:] @ turned(rest)
        return (xp.concat([_qr_back(xp, Q, R[..., :, :rows], dQ, dR[..., :, :rows]), Q @ rest],
                          axis=-1),)  # fmt: skip
    if Q.shape[-1] > columns:
        raise ShapeError(
            "qr: with mode 'complete' a matrix of more rows than columns has no derivative; use "
            "mode='reduced'"
        )
    return (_qr_back(xp, Q, R, dQ, dR),)


def _qr_back(xp: Any, Q: Any, R: Any, dQ: Any, dR: Any) -> Any:
    M = R @ turned(dR) - turned(dQ) @ Q
    mirrored = _lower(M, 1.0) + turned(_lower(M, 0.0))
    return turned(xp.linalg.solve(R, turned(dQ + Q @ mirrored)))


QR = formula(
    qr_forward,
    qr_backward,
    outputs=("Q", "R"),
    complexes=True,
    equation=r"Q R = A",
    gradients={
        "A": r"\left(\frac{\partial L}{\partial Q} + Q C(M)\right) R^{-\top}, \quad"
        r" M = R \frac{\partial L}{\partial R}^\top - \frac{\partial L}{\partial Q}^\top Q, \quad"
        r" C_{ij}(M) = M_{\max(i, j), \min(i, j)}"
    },
    shapes="A (..., n, m) -> Q (..., n, k), R (..., k, m)",
    floats=("A",),
    source="Walter and Lehmann 2018, arXiv:1009.6112; Liao, Liu, Wang and Xiang 2019",
    kinks="where R has no inverse: its first columns depend on one another",
    derivation=QR_STEPS,
)


class EighSaved(Saved):
    """The eigenvalues and eigenvectors."""

    W: Any
    V: Any


def eigh_forward(A: Any) -> tuple[tuple[Any, Any], EighSaved]:
    """Compute the eigenvalues W, in rising order, and eigenvectors V of (A + Aᵀ) / 2.

    Args:
        A: symmetric matrices (..., n, n).

    Raises:
        ShapeError: if A is no square matrix.
        LinAlgError: if LAPACK does not converge.
        DTypeError: if it holds integers.

    >>> import numpy as np
    >>> eigh_forward(np.diag([3.0, 1.0]))[0][0]
    array([1., 3.])
    """
    matrix("eigh", A)
    W, V = lapack("eigh", array_namespace(A).linalg.eigh, 0.5 * (A + adjoint(A)))
    return (W, V), EighSaved(W, V)


def eigh_backward(dY: Any, saved: EighSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dA, the symmetric part of V (diag(dW) + (Vᵀ dV) / (W_j - W_i)) Vᵀ.

    Equal eigenvalues contribute 0.
    """
    W, V = saved
    dW, dV = dY
    xp = array_namespace(dV if dW is None else dW)
    inner = 0.0
    if dV is not None:
        gap = xp.expand_dims(W, axis=-2) - xp.expand_dims(W, axis=-1)
        apart = xp.where(gap == 0, 1.0, gap)
        inner = xp.where(gap == 0, 0.0, (turned(V) @ dV) / apart)
    if dW is not None:
        inner = inner + _diagonal(dW)
    made = V @ inner @ turned(V)
    return (0.5 * (made + turned(made)),)


EIGH = formula(
    eigh_forward,
    eigh_backward,
    outputs=("W", "V"),
    complexes=True,
    equation=r"A V = V \operatorname{diag}(W), \quad V^\top V = 1",
    gradients={
        "A": r"\tfrac{1}{2} (G + G^\top), \quad"
        r" G = V \left(\operatorname{diag} \frac{\partial L}{\partial W}"
        r" + F \odot V^\top \frac{\partial L}{\partial V}\right) V^\top,"
        r" \quad F_{ij} = \frac{1}{W_j - W_i}, \; F_{ii} = 0"
    },
    shapes="A (..., n, n) -> W (..., n), V (..., n, n)",
    floats=("A",),
    source=GILES,
    kinks="where two eigenvalues are equal",
    derivation=(
        BY_CHANGES,
        "Write S for the symmetric part of A, which is A where A is symmetric, and W in products "
        r"for $\operatorname{diag}(W)$. The product rule on $S V = V W$: $$\delta S \, V + S \, "
        r"\delta V = \delta V \, W + V \, \delta W$$",
        r"From $V^\top V = 1$ follows that $X = V^\top \delta V$ has $X^\top = -X$. Times "
        r"$V^\top$ from the left, with $V^\top S = W V^\top$: $$B = V^\top \delta S \, V = X W - "
        r"W X + \delta W \\ B_{ij} = X_{ij} (W_j - W_i) + [i = j] \, \delta W_i$$",
        r"On the diagonal X is 0 and $\delta W_i$ is left, off the diagonal X: $$\delta W_i = "
        r"B_{ii} \\ \delta V = V X = V (F \odot B)$$ Where two eigenvalues are equal, their "
        "$X_{ij}$ is not determined and V has no derivative; the code has $F_{ij} = 0$.",
        r"The loss changes by $\langle \frac{\partial L}{\partial W}, \delta W \rangle + \langle "
        r"\frac{\partial L}{\partial V}, \delta V \rangle$. The numbers F go to the other side as "
        r"they are: $$\delta L = \left\langle \operatorname{diag} \frac{\partial L}{\partial W} + "
        r"F \odot V^\top \frac{\partial L}{\partial V}, V^\top \delta S \, V \right\rangle \\ = "
        r"\langle G, \delta S \rangle$$",
        OF_SYMMETRIC,
    ),
)


class SvdSaved(Saved):
    """The factors."""

    U: Any
    S: Any
    Vh: Any


def svd_forward(A: Any, *, full_matrices: bool = False) -> tuple[tuple[Any, ...], SvdSaved]:
    """Compute the singular values S, in falling order, and vectors of A = U diag(S) Vh.

    Args:
        A: matrices (..., n, m).
        full_matrices: whether U is (..., n, n) and Vh (..., m, m), instead of k = min(n, m) of
            their vectors.

    Raises:
        ShapeError: if A is no matrix.
        LinAlgError: if LAPACK does not converge.
        DTypeError: if it holds integers.
    """
    matrix("svd", A, square=False)
    svd = array_namespace(A).linalg.svd
    U, S, Vh = lapack("svd", svd, A, full_matrices=full_matrices)
    return (U, S, Vh), SvdSaved(U, S, Vh)


def svd_backward(dY: Any, saved: SvdSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dA = U ((F∘skew(Uᵀ dU)) S + S (F∘skew(Vᵀ dV)) + diag(dS)) Vᵀ, and what leaves U or V.

    F is 1 / (S_j² - S_i²); equal singular values contribute 0. Vectors beyond the first k have no
    derivative.
    """
    U, S, Vh = saved
    dU, dS, dVh = dY
    given = next(one for one in dY if one is not None)
    xp, k = array_namespace(given), S.shape[-1]
    U, Vh = U[..., :, :k], Vh[..., :k, :]
    n, m = U.shape[-2], Vh.shape[-1]
    row = xp.expand_dims(S, axis=-2)
    inner = 0.0 if dS is None else _diagonal(dS)
    if dU is not None or dVh is not None:
        gap = row * row - xp.expand_dims(S * S, axis=-1)
        F = xp.where(gap == 0, 0.0, 1.0 / xp.where(gap == 0, 1.0, gap))
    if dU is not None:
        dU = dU[..., :, :k]
        M = turned(U) @ dU
        inner = inner + F * (M - turned(M)) * row
    if dVh is not None:
        dV = turned(dVh[..., :k, :])
        M = Vh @ dV
        inner = inner + xp.expand_dims(S, axis=-1) * (F * (M - turned(M)))
    dA = U @ inner @ Vh
    if dU is not None and n > k:
        outside = dU - U @ (turned(U) @ dU)
        dA = dA + (outside / row) @ Vh
    if dVh is not None and m > k:
        outside = dV - turned(Vh) @ (Vh @ dV)
        dA = dA + (U / row) @ turned(outside)
    return (dA,)


SVD = formula(
    svd_forward,
    svd_backward,
    outputs=("U", "S", "Vh"),
    complexes=True,
    equation=r"U \operatorname{diag}(S) V^\top = A, \quad U^\top U = V^\top V = 1",
    gradients={
        "A": r"U \left(F \odot \operatorname{skew}(U^\top \frac{\partial L}{\partial U}) S"
        r" + S F \odot \operatorname{skew}(V^\top \frac{\partial L}{\partial V})"
        r" + \operatorname{diag} \frac{\partial L}{\partial S}\right) V^\top"
        r" + (1 - U U^\top) \frac{\partial L}{\partial U} S^{-1} V^\top"
        r" + U S^{-1} \frac{\partial L}{\partial V}^\top (1 - V V^\top),"
        r" \quad F_{ij} = \frac{1}{S_j^2 - S_i^2}, \; F_{ii} = 0,"
        r" \quad \operatorname{skew} M = M - M^\top"
    },
    shapes="A (..., n, m) -> U (..., n, k), S (..., k), Vh (..., k, m)",
    floats=("A",),
    source=GILES,
    kinks="where two singular values are equal, or one is 0",
    derivation=SVD_STEPS,
)
