"""Losses that push apart what is labelled -1 and together what is labelled 1."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from nnscratch.array import array_namespace
from nnscratch.errors import ShapeError
from nnscratch.formulas.formula import formula
from nnscratch.formulas.loss_reduction import reduce_losses, spread

_EPSILON = 1e-12


class HingeEmbeddingSaved(NamedTuple):
    """What the backward of ``hinge_embedding`` needs."""

    X: Any
    T: Any
    margin: float
    reduction: str


def hinge_embedding_forward(
    X: Any, T: Any, *, margin: float = 1.0, reduction: str = "mean"
) -> tuple[Any, HingeEmbeddingSaved]:
    """Compute X where T is 1, and max(0, margin - X) where T is -1.

    Args:
        X: distances, any shape, floating.
        T: 1 or -1, of the same shape and any dtype.
        margin: the distance from which a pair that is labelled -1 costs nothing.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: if the shapes differ.
        DTypeError: if X holds integers.
        ConfigurationError: if the reduction is none of the three.
    """
    if X.shape != T.shape:
        raise ShapeError(
            f"hinge_embedding: expected a target of shape {tuple(X.shape)} like the input, got "
            f"{tuple(T.shape)}"
        )
    xp = array_namespace(X, T)
    L = xp.where(T != 1, xp.maximum(margin - X, 0.0), 0.0) + xp.where(T != -1, X, 0.0)
    saved = HingeEmbeddingSaved(X, T, margin, reduction)
    return reduce_losses("hinge_embedding", xp, L, reduction), saved


def hinge_embedding_backward(
    dY: Any, saved: HingeEmbeddingSaved, needs: tuple[bool, ...]
) -> tuple[Any, ...]:
    """Return dX = dY where T is 1, and -dY where T is -1 and X <= margin."""
    X, T, margin, reduction = saved
    xp = array_namespace(dY)
    dY = spread(dY, reduction, math.prod(X.shape))
    closer = (T != 1) & (margin - X >= 0)
    return xp.where(closer, -dY, 0.0) + xp.where(T != -1, dY, 0.0), None


HINGE_EMBEDDING = formula(
    hinge_embedding_forward,
    hinge_embedding_backward,
    equation=r"L = \frac{1}{n} \sum_i \begin{cases} X_i & T_i = 1 \\"
    r" \max(0, m - X_i) & T_i = -1 \end{cases}",
    gradients={"X": r"\frac{1}{n} ([T = 1] - [T = -1] [X \le m])"},
    shapes="X and T (any, the same) -> L (), or as X without reduction",
    floats=("X",),
    source="Hadsell, Chopra and LeCun 2006",
    kinks="at X = margin where T = -1",
)


class CosineEmbeddingSaved(NamedTuple):
    """What the backward of ``cosine_embedding`` needs."""

    X1: Any
    X2: Any
    T: Any
    margin: float
    reduction: str


def _cosine(xp: Any, X1: Any, X2: Any) -> tuple[Any, Any, Any, Any]:
    """Return the cosine, the two squared lengths and the product of the lengths, axis kept."""
    square1 = xp.sum(X1 * X1, axis=-1, keepdims=True) + _EPSILON
    square2 = xp.sum(X2 * X2, axis=-1, keepdims=True) + _EPSILON
    # The root of each, not of the product, which overflows for large X.
    lengths = xp.sqrt(square1) * xp.sqrt(square2)
    return xp.sum(X1 * X2, axis=-1, keepdims=True) / lengths, square1, square2, lengths


def cosine_embedding_forward(
    X1: Any, X2: Any, T: Any, *, margin: float = 0.0, reduction: str = "mean"
) -> tuple[Any, CosineEmbeddingSaved]:
    """Compute 1 - cos(X1, X2) where T is 1, and max(0, cos(X1, X2) - margin) where T is -1.

    Args:
        X1: (N, D) or (D,), floating.
        X2: of the same shape and dtype.
        T: 1 or -1, (N,) or ().
        margin: the cosine up to which a pair that is labelled -1 costs nothing.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: if the shapes do not fit.
        DTypeError: if X1 or X2 holds integers, or their dtypes differ.
        ConfigurationError: if the reduction is none of the three.
    """
    if X1.shape != X2.shape or X1.ndim not in (1, 2) or T.shape != X1.shape[:-1]:
        raise ShapeError(
            "cosine_embedding: expected inputs of one shape (N, D) with a target (N,), or (D,) "
            f"with a target (), got {tuple(X1.shape)}, {tuple(X2.shape)} and {tuple(T.shape)}"
        )
    xp = array_namespace(X1, X2, T)
    C = xp.squeeze(_cosine(xp, X1, X2)[0], axis=-1)
    L = xp.where(T == 1, 1.0 - C, 0.0) + xp.where(T == -1, xp.maximum(C - margin, 0.0), 0.0)
    saved = CosineEmbeddingSaved(X1, X2, T, margin, reduction)
    return reduce_losses("cosine_embedding", xp, L, reduction), saved


def cosine_embedding_backward(
    dY: Any, saved: CosineEmbeddingSaved, needs: tuple[bool, ...]
) -> tuple[Any, ...]:
    """Return dX1 = ∓dY (X2 / (|X1| |X2|) - cos · X1 / |X1|²), and dX2 likewise."""
    X1, X2, T, margin, reduction = saved
    xp = array_namespace(dY)
    C, square1, square2, lengths = _cosine(xp, X1, X2)
    T = xp.expand_dims(T, axis=-1)
    dY = spread(dY, reduction, math.prod(X1.shape[:-1]))
    if reduction == "none":
        dY = xp.expand_dims(dY, axis=-1)
    dC = xp.where(T == 1, -dY, 0.0) + xp.where((T == -1) & (C - margin >= 0), dY, 0.0)
    dX1 = dC * (X2 / lengths - C * X1 / square1) if needs[0] else None
    dX2 = dC * (X1 / lengths - C * X2 / square2) if needs[1] else None
    return dX1, dX2, None


COSINE_EMBEDDING = formula(
    cosine_embedding_forward,
    cosine_embedding_backward,
    equation=r"L = \frac{1}{n} \sum_i \begin{cases} 1 - C_i & T_i = 1 \\"
    r" \max(0, C_i - m) & T_i = -1 \end{cases}, \quad C = \frac{X_1 \cdot X_2}{|X_1| |X_2|}",
    gradients={
        "X1": r"\pm\frac{1}{n} \left(\frac{X_2}{|X_1| |X_2|} - C \frac{X_1}{|X_1|^2}\right)",
        "X2": r"\pm\frac{1}{n} \left(\frac{X_1}{|X_1| |X_2|} - C \frac{X_2}{|X_2|^2}\right)",
    },
    shapes="X1 and X2 (N, D) or (D,), T (N,) or () -> L (), or as T without reduction",
    floats=("X1", "X2"),
    source="Barz and Denzler 2020, arXiv:1901.09054",
    kinks="at cos = margin where T = -1",
)
