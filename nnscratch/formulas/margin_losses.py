"""Losses that push apart what is labelled -1 and together what is labelled 1."""

from __future__ import annotations

import math
from typing import Any

from nnscratch.array import array_namespace
from nnscratch.array.maths import absolute, exp, log1p, maximum, where
from nnscratch.errors import ShapeError
from nnscratch.formulas.formula import Public, formula
from nnscratch.formulas.loss_reduction import loss, reduce_losses, spread
from nnscratch.formulas.saved import Saved
from nnscratch.formulas.sigmoids import logistic

_EPSILON = 1e-12


def hinge_embedding_forward(X: Any, T: Any, *, margin: float = 1.0) -> Any:
    """Compute X where T is 1, and max(0, margin - X) where T is -1.

    Args:
        X: distances, any shape, floating.
        T: 1 or -1, of the same shape and any dtype.
        margin: the distance from which a pair that is labelled -1 costs nothing.
    """
    return where(T != 1, maximum(margin - X, 0.0), 0.0) + where(T != -1, X, 0.0)


def hinge_embedding_backward(dL: Any, X: Any, T: Any, margin: float) -> Any:
    """Return dX = dY where T is 1, and -dY where T is -1 and X <= margin."""
    return where((T != 1) & (margin - X >= 0), -dL, 0.0) + where(T != -1, dL, 0.0)


HINGE_EMBEDDING = loss(
    hinge_embedding_forward,
    {"X": hinge_embedding_backward},
    module="HingeEmbeddingLoss",
    arguments=("input", "target", "margin", "size_average", "reduce", "reduction"),
    equation=r"\begin{cases} X_i & T_i = 1 \\ \max(0, m - X_i) & T_i = -1 \end{cases}",
    gradients={"X": r"([T = 1] - [T = -1] [X \le m])"},
    floats=("X",),
    source="Hadsell, Chopra and LeCun 2006",
    kinks="at X = margin where T = -1",
    derivation=(
        r"The entry $X_i$ is in one term alone, $\frac{1}{n} \ell_i$. Where T is 1 that is X "
        r"itself: $$\frac{\partial \ell}{\partial X} = 1$$",
        r"Where T is -1 it falls with X up to the margin, and behind it is 0: $$\frac{\partial "
        r"\ell}{\partial X} = \begin{cases} -1 & X < m \\ 0 & X > m \end{cases}$$ At the margin "
        "there is a kink; the code takes -1, as PyTorch does.",
        "With a bracket for each case that is one line. T only says which case it is, and has no "
        r"gradient. With the reduction 'sum' there is no $\frac{1}{n}$.",
    ),
)


def margin_ranking_forward(X1: Any, X2: Any, T: Any, *, margin: float = 0.0) -> Any:
    """Compute max(0, margin - T (X1 - X2)): T = 1 asks for X1 above X2, T = -1 for X2 above X1.

    Args:
        X1: any shape, floating.
        X2: of the same shape and dtype.
        T: 1 or -1, of the same shape and dtype.
        margin: by how much.
    """
    return maximum(margin - T * (X1 - X2), 0.0)


def margin_ranking_backward(dL: Any, X1: Any, X2: Any, T: Any, margin: float) -> Any:
    """Return dX1 = -T dY where the loss is not 0."""
    return where(margin - T * (X1 - X2) >= 0, -(dL * T), 0.0)


def margin_ranking_second_backward(dL: Any, X1: Any, X2: Any, T: Any, margin: float) -> Any:
    """Return dX2 = -dX1."""
    return where(margin - T * (X1 - X2) >= 0, dL * T, 0.0)


def margin_ranking_target_backward(dL: Any, X1: Any, X2: Any, T: Any, margin: float) -> Any:
    """Return dT = (X2 - X1) dY where the loss is not 0."""
    return where(margin - T * (X1 - X2) >= 0, dL, 0.0) * (X2 - X1)


MARGIN_RANKING = loss(
    margin_ranking_forward,
    {
        "X1": margin_ranking_backward,
        "X2": margin_ranking_second_backward,
        "T": margin_ranking_target_backward,
    },
    module="MarginRankingLoss",
    arguments=("input1", "input2", "target", "margin", "size_average", "reduce", "reduction"),
    by_hand=("margin_ranking_loss",),
    domains={"T": "signs"},
    variants={"a margin": {"margin": 0.5}},
    equation=r"\max(0, m - T_i (X_{1,i} - X_{2,i}))",
    gradients={
        "X1": r"(-T) [T (X_1 - X_2) \le m]",
        "X2": r"T [T (X_1 - X_2) \le m]",
        "T": r"(X_2 - X_1) [T (X_1 - X_2) \le m]",
    },
    source="Herbrich, Graepel and Obermayer 1999",
    kinks="where T (X1 - X2) = margin",
    derivation=(
        "With what a pair lacks of the margin, each term is $$D_i = m - T_i (X_{1,i} - X_{2,i}) "
        r"\\ \ell_i = \max(0, D_i)$$",
        r"Where D is negative that is 0, and where it is positive it is D: $$\frac{\partial "
        r"\ell}{\partial D} = \begin{cases} 1 & T (X_1 - X_2) < m \\ 0 & T (X_1 - X_2) > m "
        r"\end{cases}$$ At D = 0 there is a kink; the code takes 1, as PyTorch does.",
        r"The slopes of D are what stands beside each factor: $$\frac{\partial D}{\partial X_1} = "
        r"-T \\ \frac{\partial D}{\partial X_2} = T \\ \frac{\partial D}{\partial T} = X_2 - X_1$$",
        "The entries are in one term alone, so the chain rule multiplies the two, and the mean "
        r"gives $\frac{1}{n}$; with the reduction 'sum' there is none.",
    ),
)


def soft_margin_forward(X: Any, T: Any) -> Any:
    """Compute log(1 + e^(-T X)), without overflow.

    Args:
        X: scores, any shape, floating.
        T: 1 or -1, of the same shape.
    """
    Z = -(T * X)
    return log1p(exp(-absolute(Z))) + maximum(Z, 0.0)


def soft_margin_backward(dL: Any, X: Any, T: Any) -> Any:
    """Return dX = -T dY / (1 + e^(T X))."""
    return dL * (-T * logistic(-(T * X)))


SOFT_MARGIN = loss(
    soft_margin_forward,
    {"X": soft_margin_backward},
    module="SoftMarginLoss",
    domains={"T": "signs"},
    equation=r"\log(1 + e^{-T_i X_i})",
    gradients={"X": r"\frac{-T}{1 + e^{T X}}"},
    source="Friedman, Hastie and Tibshirani 2000",
    derivation=(
        r"The entry $X_i$ is in one term alone, $\frac{1}{n} \ell_i$ with $$U = -T X \\ \ell = "
        r"\log(1 + e^U)$$",
        r"The rule for a logarithm, and both sides of the fraction divided by $e^U$: "
        r"$$\frac{\partial \ell}{\partial U} = \frac{e^U}{1 + e^U} = \frac{1}{1 + e^{-U}}$$",
        r"U is X times $-T$, so the chain rule multiplies by $-T$. There $e^{-U}$ is $e^{T X}$.",
        r"The code computes $\max(U, 0) + \log(1 + e^{-|U|})$, in which nothing overflows. For "
        r"positive U that is the same, as $1 + e^U = e^U (1 + e^{-U})$. With the reduction 'sum' "
        r"there is no $\frac{1}{n}$.",
    ),
)


class CosineEmbeddingSaved(Saved):
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
        "X1": r"\frac{1}{n} ([T = -1] [C \ge m] - [T = 1])"
        r" \left(\frac{X_2}{|X_1| |X_2|} - C \frac{X_1}{|X_1|^2}\right)",
        "X2": r"\frac{1}{n} ([T = -1] [C \ge m] - [T = 1])"
        r" \left(\frac{X_1}{|X_1| |X_2|} - C \frac{X_2}{|X_2|^2}\right)",
    },
    shapes="X1 and X2 (N, D) or (D,), T (N,) or () -> L (), or as T without reduction",
    floats=("X1", "X2"),
    source="Barz and Denzler 2020, arXiv:1901.09054",
    kinks="at cos = margin where T = -1",
    public=Public(
        kind="loss",
        function="cosine_embedding_loss",
        module="CosineEmbeddingLoss",
        torch="nn.functional.cosine_embedding_loss",
        arguments=(
            "input1", "input2", "target", "margin", "size_average", "reduce", "reduction"
        ),
    ),
    derivation=(
        r"Each sample is in one term alone, $\frac{1}{n} \ell$. By the cosine C its slope is -1 "
        r"where T is 1; where T is -1 it is 0 below m and 1 above: $$\frac{\partial "
        r"\ell}{\partial C} = [T = -1] [C \ge m] - [T = 1]$$ At C = m there is a kink; the code "
        "takes 1, as PyTorch does.",
        "C is a quotient. Of the product above the bar the slope by $X_1$ is $X_2$. That of a "
        r"length follows from $|X|^2 = \sum_i X_i^2$, both sides differentiated: $$2 |X| "
        r"\frac{\partial |X|}{\partial X_i} = 2 X_i \\ \frac{\partial |X|}{\partial X} = "
        r"\frac{X}{|X|}$$",
        r"The rule for a quotient: $$\frac{\partial C}{\partial X_1} = \frac{X_2}{|X_1| |X_2|} - "
        r"\frac{X_1 \cdot X_2}{|X_1|^2 |X_2|} \frac{X_1}{|X_1|}$$",
        r"The second part has C in it: $$\frac{\partial C}{\partial X_1} = \frac{X_2}{|X_1| "
        r"|X_2|} - C \frac{X_1}{|X_1|^2}$$ C stays what it is when $X_1$ and $X_2$ change places, "
        "so that by $X_2$ is the same with 1 and 2 exchanged.",
        "The code adds $10^{-12}$ to each $|X|^2$, so that nothing is divided by 0: a constant, "
        r"which changes no slope. With the reduction 'sum' there is no $\frac{1}{n}$.",
    ),
)  # fmt: skip
