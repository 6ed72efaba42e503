"""Systems of equations, determinants and pseudo-inverses of matrices, over leading batch axes.

Values come from the array library's LAPACK, derivatives as in ``factoring``.
"""

from __future__ import annotations

from typing import Any

from nnscratch.array import array_namespace, is_recorded
from nnscratch.array.dtypes import is_complex
from nnscratch.errors import ShapeError
from nnscratch.formulas.factoring import GILES, adjoint, identity, lapack, matrix, turned
from nnscratch.formulas.formula import formula
from nnscratch.formulas.matrix_derivations import BY_CHANGES
from nnscratch.formulas.saved import Saved


class SolveSaved(Saved):
    """The matrix and the solution."""

    A: Any
    Y: Any


def solve_forward(A: Any, B: Any) -> tuple[Any, SolveSaved]:
    """Compute the solution Y of A Y = B.

    Args:
        A: square matrices, (..., n, n).
        B: right sides, (..., n, k), with the same batch axes.

    Raises:
        ShapeError: if the shapes do not fit.
        LinAlgError: if a matrix is singular.
        DTypeError: if one of them holds integers.

    >>> import numpy as np
    >>> solve_forward(np.array([[2.0, 0.0], [0.0, 4.0]]), np.array([[2.0], [2.0]]))[0]
    array([[1. ],
           [0.5]])
    """
    matrix("solve", A)
    matrix("solve", B, square=False)
    if tuple(A.shape[:-1]) != tuple(B.shape[:-1]):
        raise ShapeError(f"solve: {tuple(A.shape)} and {tuple(B.shape)} are no system")
    Y = lapack("solve", array_namespace(A, B).linalg.solve, A, B)
    return Y, SolveSaved(A, Y)


def solve_backward(dY: Any, saved: SolveSaved, needs: tuple[bool, ...]) -> tuple[Any, ...]:
    """Return dB = A^-T dY and dA = -dB Yᵀ."""
    A, Y = saved
    dB = array_namespace(dY).linalg.solve(turned(A), dY)
    return -(dB @ turned(Y)) if needs[0] else None, dB if needs[1] else None


SOLVE = formula(
    solve_forward,
    solve_backward,
    equation=r"Y = A^{-1} B",
    gradients={
        "A": r"-A^{-\top} \frac{\partial L}{\partial Y} Y^\top",
        "B": r"A^{-\top} \frac{\partial L}{\partial Y}",
    },
    shapes="A (..., n, n), B (..., n, k) -> Y (..., n, k)",
    floats=("A", "B"),
    source=GILES,
    analytic=True,
    derivation=(
        BY_CHANGES,
        r"Change B too, by $\delta B$. The product rule on $A Y = B$, solved for the change of Y: "
        r"$$\delta A \, Y + A \, \delta Y = \delta B \\ \delta Y = A^{-1} (\delta B - \delta A \, "
        "Y)$$",
        r"The loss changes by $$\delta L = \left\langle \frac{\partial L}{\partial Y}, A^{-1} "
        r"\delta B \right\rangle \\ - \left\langle \frac{\partial L}{\partial Y}, A^{-1} \delta A "
        r"\, Y \right\rangle$$",
        r"The factors beside the changes go to the other side: $$\delta L = \left\langle "
        r"A^{-\top} \frac{\partial L}{\partial Y}, \delta B \right\rangle \\ - \left\langle "
        r"A^{-\top} \frac{\partial L}{\partial Y} Y^\top, \delta A \right\rangle$$ The first of "
        "the two gradients is in the second one. The code finds it by solving a system with "
        r"$A^\top$, and inverts no matrix.",
    ),
)


class DetSaved(Saved):
    """The matrix and its determinant."""

    A: Any
    Y: Any


def det_forward(A: Any) -> tuple[Any, DetSaved]:
    """Compute the determinant.

    Raises:
        ShapeError: if A is no square matrix.
        DTypeError: if it holds integers.
    """
    matrix("det", A)
    xp = array_namespace(A)
    Y = xp.reshape(xp.linalg.det(A), tuple(A.shape[:-2]))
    return Y, DetSaved(A, Y)


def det_backward(dY: Any, saved: DetSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dA = dY · det A · A^-T: the cofactors, which a singular matrix has as well."""
    A, Y = saved
    xp = array_namespace(dY)
    dY = xp.reshape(dY, (*dY.shape, 1, 1))
    if is_recorded(dY) or is_complex(A):
        inverse = xp.linalg.solve(turned(A), _batched(identity(A, A.shape[-1]), A))
        return (dY * xp.reshape(Y, (*Y.shape, 1, 1)) * inverse,)
    return (dY * _cofactors(xp, A),)


def _batched(X: Any, like: Any) -> Any:
    """Return a matrix once for each matrix of a batch."""
    return array_namespace(X).broadcast_to(X, (*like.shape[:-2], *X.shape[-2:]))


def _cofactors(xp: Any, A: Any) -> Any:
    """Return U diag(Π_{j≠i} s_j) Vᵀ det U det V of A = U diag(s) Vᵀ, without a division."""
    U, S, Vh = xp.linalg.svd(A, full_matrices=False)
    n = S.shape[-1]
    keep = xp.where(identity(S, n) == 1, 1.0, xp.expand_dims(S, axis=-2))
    others = xp.prod(keep, axis=-1)
    sign = xp.linalg.det(U) * xp.linalg.det(Vh)
    return xp.reshape(sign, (*sign.shape, 1, 1)) * ((U * xp.expand_dims(others, axis=-2)) @ Vh)


DET = formula(
    det_forward,
    det_backward,
    equation=r"Y = \det A",
    gradients={"A": r"\frac{\partial L}{\partial Y} \det(A) A^{-\top}"},
    shapes="A (..., n, n) -> Y (...)",
    floats=("A",),
    source=GILES,
    analytic=True,
    derivation=(
        "Expand the determinant along the row i. The cofactor $C_{ij}$ is $(-1)^{i+j}$ times the "
        r"determinant without row i and column j: $$\det A = \sum_j A_{ij} C_{ij}$$",
        "The cofactors of row i have nothing of row i in them, so that each entry has its "
        r"cofactor for a slope: $$\frac{\partial \det A}{\partial A_{ij}} = C_{ij}$$",
        "The same sum with the entries of another row k is the determinant of A with row k in "
        r"the place of row i as well. With two equal rows that is 0, so $$\sum_j A_{kj} C_{ij} = "
        r"[i = k] \det A \\ A C^\top = \det(A) \, 1$$",
        r"Where A has an inverse this says $$C = \det(A) A^{-\top}$$",
        r"A singular matrix has cofactors too. From $A = U \operatorname{diag}(s) V^\top$ follow "
        r"$\det A = \det U \det V \prod_i s_i$ and $A^{-\top} = U \operatorname{diag}(1 / s) "
        r"V^\top$. In their product, which is C, each $1 / s_i$ cancels a factor. What remains is "
        r"right where $s_i = 0$ too, for both sides are continuous in s: $$C = \det U \det V \; U "
        r"\operatorname{diag}\left(\prod_{j \ne i} s_j\right) V^\top$$ So the code computes them; "
        "where this is differentiated once more it takes the inverse.",
    ),
)


class SlogdetSaved(Saved):
    """The matrix."""

    A: Any


def slogdet_forward(A: Any) -> tuple[tuple[Any, Any], SlogdetSaved]:
    """Compute the sign of the determinant and the logarithm of its size, 0 and -infinity for 0.

    Raises:
        ShapeError: if A is no square matrix.
        DTypeError: if it holds integers.
    """
    matrix("slogdet", A)
    sign, size = array_namespace(A).linalg.slogdet(A)
    return (sign, size), SlogdetSaved(A)


def slogdet_backward(dY: Any, saved: SlogdetSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dA = dlog · A^-T; the sign is constant."""
    _, dlog = dY
    (A,) = saved
    xp = array_namespace(A if dlog is None else dlog)
    if dlog is None:
        return (xp.zeros_like(A),)
    inverse = xp.linalg.solve(turned(A), _batched(identity(A, A.shape[-1]), A))
    return (xp.reshape(dlog, (*dlog.shape, 1, 1)) * inverse,)


SLOGDET = formula(
    slogdet_forward,
    slogdet_backward,
    outputs=("S", "M"),
    complexes=True,
    equation=r"S = \mathrm{sign} \det A, \quad M = \log |\det A|",
    gradients={"A": r"\frac{\partial L}{\partial M} A^{-\top}"},
    shapes="A (..., n, n) -> S and M (...)",
    floats=("A",),
    source=GILES,
    kinks="where A is singular",
    derivation=(
        r"Write $D = \det A$, so that $M = \log |D|$. The slope of this logarithm is the same "
        r"formula on both sides of 0: $$\frac{\partial M}{\partial D} = \frac{1}{D}$$",
        r"The slope of the determinant is its cofactors (see det): $$\frac{\partial D}{\partial "
        r"A} = D \, A^{-\top}$$",
        r"In the product of both D is cancelled: $$\frac{\partial M}{\partial A} = A^{-\top}$$",
        "S is 1 or -1, and jumps only where A is singular. Elsewhere its slope is 0, so that "
        "nothing comes back from it. Where A is singular M is minus infinity, and has no "
        "derivative.",
    ),
)


class PinvSaved(Saved):
    """The matrix and its pseudo-inverse."""

    A: Any
    Y: Any


def pinv_forward(A: Any, *, rtol: float | None = None, atol: float = 0.0) -> tuple[Any, PinvSaved]:
    """Compute the pseudo-inverse.

    Args:
        A: matrices (..., n, m).
        rtol: singular values below this part of the largest count as 0; by default the larger
            side times the dtype's precision.
        atol: those below this count as 0 too.

    Raises:
        ShapeError: if A is no matrix.
        DTypeError: if it holds integers.
    """
    matrix("pinv", A, square=False)
    xp = array_namespace(A)
    if 0 in A.shape:
        Y = xp.zeros((*A.shape[:-2], A.shape[-1], A.shape[-2]), dtype=A.dtype, device=A.device)
        return Y, PinvSaved(A, Y)
    U, S, Vh = lapack("pinv", xp.linalg.svd, A, full_matrices=False)
    part = max(A.shape[-2:]) * float(xp.finfo(A.dtype).eps) if rtol is None else float(rtol)
    kept = (S > part * xp.max(S, axis=-1, keepdims=True)) & (S > atol)
    inverse = xp.where(kept, 1.0 / xp.where(kept, S, xp.ones_like(S)), xp.zeros_like(S))
    Y = adjoint(Vh) @ (xp.expand_dims(inverse, axis=-1) * adjoint(U))
    return Y, PinvSaved(A, Y)


def pinv_backward(dY: Any, saved: PinvSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dA = -Yᵀ dY Yᵀ + (1 - A Y) dYᵀ Y Yᵀ + Yᵀ Y dYᵀ (1 - Y A)."""
    A, Y = saved
    G = turned(dY)
    first = G @ Y @ turned(Y)
    second = turned(Y) @ Y @ G
    made = -(turned(Y) @ dY @ turned(Y))
    return (made + first - A @ (Y @ first) + second - (second @ Y) @ A,)


PINV = formula(
    pinv_forward,
    pinv_backward,
    complexes=True,
    equation=r"Y = A^+",
    gradients={
        "A": r"-Y^\top G^\top Y^\top + (1 - A Y) G Y Y^\top + Y^\top Y G (1 - Y A),"
        r" \quad G = \frac{\partial L}{\partial Y}^\top"
    },
    shapes="A (..., n, m) -> Y (..., m, n)",
    floats=("A",),
    source="Golub and Pereyra 1973",
    kinks="where the rank changes",
    derivation=(
        BY_CHANGES,
        "Y is the one matrix for which $A Y A = A$ and $Y A Y = Y$, and for which $P = A Y$ and "
        "$R = Y A$ are symmetric. So $P P = P$ and $R R = R$, $Y = R Y = Y P$ and $A = P A = A "
        "R$. All this stays true if A changes and keeps its rank.",
        r"The change of $A = A Y A$, with Y on both sides, and $Y A Y = Y$: $$Y \, \delta A \, Y "
        r"= Y \, \delta A \, Y + R \, \delta Y \, P + Y \, \delta A \, Y \\ R \, \delta Y \, P = "
        r"-Y \, \delta A \, Y$$",
        r"The change of $A = A R$, times Y from the left: $R \, \delta R = Y \, \delta A (1 - "
        r"R)$. As $R R = R$ and $\delta R$ is symmetric, $(1 - R) \, \delta R = \delta R \, R = "
        r"(R \, \delta R)^\top$. With that the change of $Y = R Y$ is $$(1 - R) \, \delta Y = "
        r"\delta R \, Y = \delta R \, R Y \\ = (1 - R) \, \delta A^\top Y^\top Y$$ The same of "
        r"the transposes: $$\delta Y (1 - P) = Y Y^\top \delta A^\top (1 - P)$$",
        r"The parts are all of $\delta Y = R \, \delta Y \, P + R \, \delta Y (1 - P) + (1 - R) "
        r"\, \delta Y$: $$\delta Y = -Y \, \delta A \, Y + Y Y^\top \delta A^\top (1 - A Y) \\ + "
        r"(1 - Y A) \, \delta A^\top Y^\top Y$$",
        r"In $\delta L = \langle \frac{\partial L}{\partial Y}, \delta Y \rangle$ the factors go "
        r"to the other side, and $\langle T, \delta A^\top \rangle = \langle T^\top, \delta A "
        r"\rangle$; the gradient of Y transposed is called G. Singular values that `rtol` and "
        "`atol` count as 0 are taken as 0 here too; where another one becomes 0, Y jumps and has "
        "no derivative.",
    ),
)
