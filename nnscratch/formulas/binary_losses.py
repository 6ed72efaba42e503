"""Cross-entropy of yes-or-no targets: of probabilities, and of logits."""

from __future__ import annotations

import math
from typing import Any

from nnscratch.array import array_namespace
from nnscratch.errors import ShapeError
from nnscratch.formulas.checks import broadcast_shape, real
from nnscratch.formulas.formula import Public, formula
from nnscratch.formulas.indexing import refuse_where
from nnscratch.formulas.loss_reduction import need_same_shape, reduce_losses, spread
from nnscratch.formulas.saved import Saved
from nnscratch.formulas.sigmoids import logistic

_LOG_FLOOR = -100.0
_LEAST = math.exp(_LOG_FLOOR)


def _need_weight(where: str, X: Any, w: Any, name: str) -> None:
    if w is None:
        return
    if broadcast_shape(f"{where}: {name}", X, w) != tuple(X.shape):
        raise ShapeError(
            f"{where}: expected a {name} that broadcasts to {tuple(X.shape)}, got {tuple(w.shape)}"
        )


def _log(xp: Any, P: Any) -> Any:
    """Return log P, but no less than -100."""
    tiny = real(xp, P) <= _LEAST
    return xp.where(tiny, _LOG_FLOOR, xp.log(xp.where(tiny, 1.0, P)))


class BceSaved(Saved):
    """What the backward of ``bce`` needs."""

    P: Any
    T: Any
    w: Any
    reduction: str


def bce_forward(P: Any, T: Any, w: Any = None, *, reduction: str = "mean") -> tuple[Any, BceSaved]:
    """Compute -(T log P + (1 - T) log(1 - P)), with no logarithm below -100.

    Args:
        P: probabilities, any shape, floating.
        T: targets from 0 to 1, of the same shape and dtype.
        w: weights that broadcast to them, or None.
        reduction: "mean" (over all entries, weights not counted), "sum" or "none".

    Raises:
        ShapeError: if the shapes do not fit.
        DTypeError: if one holds integers, or the dtypes differ.
        DataError: if P is not from 0 to 1.
        ConfigurationError: if the reduction is none of the three.
    """
    need_same_shape("bce", P, T)
    _need_weight("bce", P, w, "weight")
    xp = array_namespace(P, T, w)
    size = real(xp, P)
    expected = "probabilities from 0 to 1 (of logits take bce_with_logits)"
    refuse_where("bce", (size < 0) | (size > 1), P, expected)
    L = -(T * _log(xp, P) + (1.0 - T) * _log(xp, 1.0 - P))
    if w is not None:
        L = L * w
    return reduce_losses("bce", xp, L, reduction), BceSaved(P, T, w, reduction)


def bce_backward(dY: Any, saved: BceSaved, needs: tuple[bool, ...]) -> tuple[Any, ...]:
    """Return dP = dY (P - T) / max(P (1 - P), 1e-12) and dT = dY (log(1 - P) - log P)."""
    P, T, w, reduction = saved
    xp = array_namespace(dY)
    dY = spread(dY, reduction, math.prod(P.shape))
    if w is not None:
        dY = dY * w
    dP = dY * (P - T) / xp.maximum(P * (1.0 - P), 1e-12) if needs[0] else None
    dT = dY * (_log(xp, 1.0 - P) - _log(xp, P)) if needs[1] else None
    return dP, dT, None


BCE = formula(
    bce_forward,
    bce_backward,
    equation=r"L = -\frac{1}{n} \sum_i w_i (T_i \log P_i + (1 - T_i) \log(1 - P_i))",
    gradients={
        "P": r"\frac{w}{n} \frac{P - T}{P (1 - P)}",
        "T": r"\frac{w}{n} (\log(1 - P) - \log P)",
    },
    shapes="P and T (any, the same), w (broadcasts to them) -> L (), or as P without reduction",
    floats={"P": "the input", "T": "the target", "w": "weight"},
    source="Bishop 1995, section 6.7",
    kinks="at P = 0 and P = 1",
    analytic=True,
    public=Public(
        kind="loss",
        function="binary_cross_entropy",
        module="BCELoss",
        torch="nn.functional.binary_cross_entropy",
        arguments=("input", "target", "weight", "size_average", "reduce", "reduction"),
        task="binary",
    ),
    derivation=(
        r"Each entry of P is in one term alone, whose slopes are $$\frac{\partial}{\partial "
        r"P} \log P = \frac{1}{P} \\ \frac{\partial}{\partial P} \log(1 - P) = -\frac{1}{1 - "
        "P}$$",
        r"So $$\frac{\partial L}{\partial P} = -\frac{w}{n} \left(\frac{T}{P} - \frac{1 - "
        r"T}{1 - P}\right)$$",
        "Over the common denominator $P (1 - P)$ the numerator is $T (1 - P) - (1 - T) P = T "
        "- P$. The term is linear in T, so that its slope by T is what stands beside it.",
    ),
)


class BceWithLogitsSaved(Saved):
    """What the backward of ``bce_with_logits`` needs."""

    X: Any
    T: Any
    w: Any
    pos_weight: Any
    reduction: str


def _soft(xp: Any, X: Any) -> Any:
    """Return log(1 + e^-X) on the branch that cannot overflow."""
    positive = real(xp, X) >= 0
    return xp.log1p(xp.exp(xp.where(positive, -X, X))) + xp.where(positive, 0.0, -X)


def bce_with_logits_forward(
    X: Any, T: Any, w: Any = None, pos_weight: Any = None, *, reduction: str = "mean"
) -> tuple[Any, BceWithLogitsSaved]:
    r"""Compute the binary cross-entropy of $\sigma(X)$, straight from X.

    Args:
        X: logits, any shape, floating.
        T: targets from 0 to 1, of the same shape and dtype.
        w: weights that broadcast to them, or None.
        pos_weight: what a target of 1 weighs more, broadcasts to them, or None.
        reduction: "mean" (over all entries, weights not counted), "sum" or "none".

    Raises:
        ShapeError: if the shapes do not fit.
        DTypeError: if one holds integers, or the dtypes differ.
        ConfigurationError: if the reduction is none of the three.

    >>> import numpy as np
    >>> float(bce_with_logits_forward(np.array([-1e4]), np.array([1.0]))[0])
    10000.0
    """
    need_same_shape("bce_with_logits", X, T)
    _need_weight("bce_with_logits", X, w, "weight")
    _need_weight("bce_with_logits", X, pos_weight, "pos_weight")
    xp = array_namespace(X, T, w, pos_weight)
    if pos_weight is None:
        L = (1.0 - T) * X + _soft(xp, X)
    else:
        L = (1.0 - T) * X + (1.0 + (pos_weight - 1.0) * T) * _soft(xp, X)
    if w is not None:
        L = L * w
    saved = BceWithLogitsSaved(X, T, w, pos_weight, reduction)
    return reduce_losses("bce_with_logits", xp, L, reduction), saved


def bce_with_logits_backward(
    dY: Any, saved: BceWithLogitsSaved, needs: tuple[bool, ...]
) -> tuple[Any, ...]:
    """Return dX = dY (1 - T - (1 + (p - 1) T) σ(-X)), which is σ(X) - T without p, and dT."""
    X, T, w, pos_weight, reduction = saved
    xp = array_namespace(dY)
    dY = spread(dY, reduction, math.prod(X.shape))
    if w is not None:
        dY = dY * w
    dX = dT = None
    if needs[0]:
        if pos_weight is None:
            dX = dY * (logistic(X) - T)
        else:
            dX = dY * ((1.0 - T) - (1.0 + (pos_weight - 1.0) * T) * logistic(-X))
    if needs[1]:
        dT = -dY * X if pos_weight is None else dY * ((pos_weight - 1.0) * _soft(xp, X) - X)
    return dX, dT, None, None


BCE_WITH_LOGITS = formula(
    bce_with_logits_forward,
    bce_with_logits_backward,
    equation=r"L = \frac{1}{n} \sum_i w_i \left((1 - T_i) X_i + (1 + (p - 1) T_i)"
    r" \log(1 + e^{-X_i})\right)",
    gradients={
        "X": r"\frac{w}{n} \left(1 - T - (1 + (p - 1) T) \sigma(-X)\right)",
        "T": r"\frac{w}{n} \left((p - 1) \log(1 + e^{-X}) - X\right)",
    },
    shapes="X and T (any, the same), w and pos_weight (broadcast to them) -> L (), or as X",
    floats={"X": "the input", "T": "the target", "w": "weight", "pos_weight": "pos_weight"},
    source="Bishop 1995, section 6.7",
    analytic=True,
    public=Public(
        kind="loss",
        function="binary_cross_entropy_with_logits",
        module="BCEWithLogitsLoss",
        torch="nn.functional.binary_cross_entropy_with_logits",
        arguments=(
            "input", "target", "weight", "size_average", "reduce", "reduction", "pos_weight"
        ),
        task="binary",
    ),
    derivation=(
        r"Write $F = \log(1 + e^{-X})$. Its slope: $$\frac{\partial F}{\partial X} = "
        r"\frac{-e^{-X}}{1 + e^{-X}} = -\sigma(-X)$$",
        "Each entry is in one term alone, $w ((1 - T) X + (1 + (p - 1) T) F)$, whose first "
        "part has the slope $1 - T$ and whose second one has that of F.",
        r"With $p = 1$ the two are $1 - T - \sigma(-X) = \sigma(X) - T$: what was said, less "
        "what is right. The term is linear in T.",
    ),
)  # fmt: skip
