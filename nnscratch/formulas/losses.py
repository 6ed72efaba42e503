r"""Losses of numbers: how far a prediction Y is from a target T of the same shape.

``reduction`` is "mean" (over all entries), "sum" or "none"; with $n$ entries,
$L = \frac{1}{n} \sum_i \ell(Y_i, T_i)$ and $\partial L/\partial Y_i = \frac{1}{n} \ell'(Y_i, T_i)$.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from nnscratch.array import array_namespace
from nnscratch.array.selection import clip, sign
from nnscratch.errors import ConfigurationError
from nnscratch.formulas.formula import formula
from nnscratch.formulas.loss_reduction import PAIR, need_same_shape, reduce_losses, spread

_SHAPES = "Y and T (any, the same) -> L (), or as Y without reduction"


def _both(dY: Any, needs: tuple[bool, ...]) -> tuple[Any, ...]:
    """Return the gradients of Y and of T where the loss is a function of Y - T."""
    return dY if needs[0] else None, -dY if needs[1] else None


class MseSaved(NamedTuple):
    """What the backward of ``mse`` needs: D = Y - T."""

    Y: Any
    T: Any
    reduction: str


def mse_forward(Y: Any, T: Any, *, reduction: str = "mean") -> tuple[Any, MseSaved]:
    """Compute the mean of (Y - T)² over all entries (no factor 1/2).

    Args:
        Y: predictions, any shape, floating.
        T: targets of the same shape and dtype.
        reduction: "mean", "sum" or "none".

    Returns:
        The loss, and what the backward needs.

    Raises:
        ShapeError: if the shapes differ, (N, 1) against (N,) included.
        DTypeError: if one holds integers, or the dtypes differ.
        ConfigurationError: if the reduction is none of the three.

    >>> import numpy as np
    >>> float(mse_forward(np.array([1.0, 3.0]), np.array([0.0, 0.0]))[0])
    5.0
    """
    need_same_shape("mse", Y, T)
    D = Y - T
    return reduce_losses("mse", array_namespace(Y), D * D, reduction), MseSaved(Y, T, reduction)


def mse_backward(dY: Any, saved: MseSaved, needs: tuple[bool, ...]) -> tuple[Any, ...]:
    """Return dY = 2 (Y - T) / n for the mean, and dT = -dY."""
    Y, T, reduction = saved
    return _both(spread(dY, reduction, math.prod(Y.shape)) * (2.0 * (Y - T)), needs)


MSE = formula(
    mse_forward,
    mse_backward,
    equation=r"L = \frac{1}{n} \sum_i (Y_i - T_i)^2",
    gradients={"Y": r"\frac{2}{n} (Y - T)", "T": r"-\frac{2}{n} (Y - T)"},
    shapes=_SHAPES,
    floats=PAIR,
    source="document, sections 4.2 and 4.3",
    analytic=True,
)


class L1Saved(NamedTuple):
    """What the backward of ``l1`` needs: D = Y - T."""

    D: Any
    reduction: str


def l1_forward(Y: Any, T: Any, *, reduction: str = "mean") -> tuple[Any, L1Saved]:
    """Compute the mean of |Y - T|; arguments and errors as in ``mse``."""
    need_same_shape("l1", Y, T)
    D = Y - T
    xp = array_namespace(Y)
    return reduce_losses("l1", xp, xp.abs(D), reduction), L1Saved(D, reduction)


def l1_backward(dY: Any, saved: L1Saved, needs: tuple[bool, ...]) -> tuple[Any, ...]:
    """Return dY = sign(Y - T) / n for the mean, with sign 0 = 0, and dT = -dY."""
    D, reduction = saved
    return _both(spread(dY, reduction, math.prod(D.shape)) * sign(D), needs)


L1 = formula(
    l1_forward,
    l1_backward,
    equation=r"L = \frac{1}{n} \sum_i |Y_i - T_i|",
    gradients={
        "Y": r"\frac{1}{n} \mathrm{sign}(Y - T)",
        "T": r"-\frac{1}{n} \mathrm{sign}(Y - T)",
    },
    shapes=_SHAPES,
    floats=PAIR,
    source="Laplace 1774; Bloomfield and Steiger 1983",
    kinks="where Y = T",
)


class RobustSaved(NamedTuple):
    """What the backward of ``smooth_l1`` and ``huber`` needs: D = Y - T, and where they bend."""

    D: Any
    bend: float
    reduction: str


def smooth_l1_forward(
    Y: Any, T: Any, *, beta: float = 1.0, reduction: str = "mean"
) -> tuple[Any, RobustSaved]:
    """Compute the mean of D² / (2 beta) where |D| < beta, else |D| - beta / 2, with D = Y - T.

    With beta = 0 it is ``l1``. Arguments and errors as in ``mse``.

    Raises:
        ConfigurationError: if beta is negative.
    """
    need_same_shape("smooth_l1", Y, T)
    if beta < 0:
        raise ConfigurationError(f"smooth_l1: beta must not be negative, got {beta}")
    D = Y - T
    xp = array_namespace(Y)
    size = xp.abs(D)
    if beta == 0:
        L = size
    else:
        inner = xp.minimum(size, beta)
        L = xp.where(size < beta, inner * inner * (0.5 / beta), size - 0.5 * beta)
    return reduce_losses("smooth_l1", xp, L, reduction), RobustSaved(D, beta, reduction)


def smooth_l1_backward(dY: Any, saved: RobustSaved, needs: tuple[bool, ...]) -> tuple[Any, ...]:
    """Return dY = D / beta, held between -1 and 1, over n for the mean, and dT = -dY."""
    D, beta, reduction = saved
    slope = sign(D) if beta == 0 else clip(D / beta, -1.0, 1.0)
    return _both(spread(dY, reduction, math.prod(D.shape)) * slope, needs)


SMOOTH_L1 = formula(
    smooth_l1_forward,
    smooth_l1_backward,
    equation=r"L = \frac{1}{n} \sum_i \begin{cases} D_i^2 / (2\beta) & |D_i| < \beta \\"
    r" |D_i| - \beta/2 & \text{else} \end{cases}, \quad D = Y - T",
    gradients={
        "Y": r"\frac{1}{n} \min(\max(D / \beta, -1), 1)",
        "T": r"-\frac{1}{n} \min(\max(D / \beta, -1), 1)",
    },
    shapes=_SHAPES,
    floats=PAIR,
    source="Girshick 2015, arXiv:1504.08083",
    kinks="where Y = T, if beta is 0",
)


def huber_forward(
    Y: Any, T: Any, *, delta: float = 1.0, reduction: str = "mean"
) -> tuple[Any, RobustSaved]:
    """Compute the mean of D²/2 where |D| <= delta, else delta (|D| - delta / 2), with D = Y - T.

    Arguments and errors as in ``mse``.

    Raises:
        ConfigurationError: if delta is not positive.
    """
    need_same_shape("huber", Y, T)
    if not delta > 0:
        raise ConfigurationError(f"huber: delta must be positive, got {delta}")
    D = Y - T
    xp = array_namespace(Y)
    size = xp.abs(D)
    inner = xp.minimum(size, delta)
    L = xp.where(size <= delta, 0.5 * inner * inner, delta * (size - 0.5 * delta))
    return reduce_losses("huber", xp, L, reduction), RobustSaved(D, delta, reduction)


def huber_backward(dY: Any, saved: RobustSaved, needs: tuple[bool, ...]) -> tuple[Any, ...]:
    """Return dY = D, held between -delta and delta, over n for the mean, and dT = -dY."""
    D, delta, reduction = saved
    slope = clip(D, -delta, delta)
    return _both(spread(dY, reduction, math.prod(D.shape)) * slope, needs)


HUBER = formula(
    huber_forward,
    huber_backward,
    equation=r"L = \frac{1}{n} \sum_i \begin{cases} D_i^2 / 2 & |D_i| \le \delta \\"
    r" \delta (|D_i| - \delta/2) & \text{else} \end{cases}, \quad D = Y - T",
    gradients={
        "Y": r"\frac{1}{n} \min(\max(D, -\delta), \delta)",
        "T": r"-\frac{1}{n} \min(\max(D, -\delta), \delta)",
    },
    shapes=_SHAPES,
    floats=PAIR,
    source="Huber 1964",
)


class KlDivSaved(NamedTuple):
    """What the backward of ``kl_div`` needs."""

    logP: Any
    T: Any
    log_target: bool
    reduction: str


def kl_div_forward(
    logP: Any, T: Any, *, log_target: bool = False, reduction: str = "mean"
) -> tuple[Any, KlDivSaved]:
    """Compute T (log T - log P), given log P; where T is 0 that is 0.

    Args:
        logP: logarithms of the predicted probabilities, any shape.
        T: target probabilities of the same shape, or their logarithms.
        log_target: whether T holds logarithms.
        reduction: "mean" (over all entries), "batchmean" (the sum over the length of the first
            axis, which is the divergence proper), "sum" or "none".

    Raises:
        ShapeError, DTypeError, ConfigurationError: as ``mse`` does.
    """
    need_same_shape("kl_div", logP, T)
    xp = array_namespace(logP, T)
    if log_target:
        L = xp.exp(T) * (T - logP)
    else:
        L = T * xp.log(xp.where(T == 0, 1.0, T)) - T * logP
    saved = KlDivSaved(logP, T, log_target, reduction)
    if reduction == "batchmean":
        return xp.sum(L) / (logP.shape[0] if logP.ndim else 1), saved
    return reduce_losses("kl_div", xp, L, reduction), saved


def kl_div_backward(dY: Any, saved: KlDivSaved, needs: tuple[bool, ...]) -> tuple[Any, ...]:
    """Return dlogP = -T / n and dT = (log T + 1 - log P) / n; of log T, e^T (T + 1 - log P) / n."""
    logP, T, log_target, reduction = saved
    xp = array_namespace(dY)
    if reduction == "batchmean":
        dY = dY / (logP.shape[0] if logP.ndim else 1)
    else:
        dY = spread(dY, reduction, math.prod(logP.shape))
    dlogP = dT = None
    if needs[0]:
        dlogP = -dY * (xp.exp(T) if log_target else T)
    if needs[1]:
        dT = dY * (xp.exp(T) * (T + 1.0 - logP) if log_target else xp.log(T) + 1.0 - logP)
    return dlogP, dT


KL_DIV = formula(
    kl_div_forward,
    kl_div_backward,
    equation=r"L = \frac{1}{n} \sum_i T_i (\log T_i - \log P_i)",
    gradients={
        "logP": r"-\frac{1}{n} T",
        "T": r"\frac{1}{n} (\log T + 1 - \log P)",
    },
    shapes="logP and T (any, the same) -> L (), or as logP without reduction",
    floats={"logP": "the input", "T": "the target"},
    source="Kullback and Leibler 1951",
    kinks="no finite derivative for T where T = 0",
    analytic=True,
)
