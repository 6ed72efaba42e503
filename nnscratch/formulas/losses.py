r"""Losses of numbers: how far a prediction Y is from a target T of the same shape.

``reduction`` is "mean" (over all entries), "sum" or "none"; with $n$ entries,
$L = \frac{1}{n} \sum_i \ell(Y_i, T_i)$ and $\partial L/\partial Y_i = \frac{1}{n} \ell'(Y_i, T_i)$.
All raise a ``ShapeError`` if the shapes differ, (N, 1) against (N,) included, a ``DTypeError`` if
one holds integers or the dtypes differ, and a ``ConfigurationError`` for another reduction.
"""

from __future__ import annotations

import math
from typing import Any

from nnscratch.array import array_namespace
from nnscratch.array.maths import absolute, exp, log, minimum, real, sign, where
from nnscratch.array.selection import clip
from nnscratch.errors import ConfigurationError
from nnscratch.formulas.derivations import (
    GAUSSIAN_NLL_STEPS,
    HUBER_STEPS,
    KL_DIV_STEPS,
    POISSON_NLL_STEPS,
    SMOOTH_L1_STEPS,
)
from nnscratch.formulas.formula import Public, formula
from nnscratch.formulas.indexing import refuse_where
from nnscratch.formulas.loss_reduction import (
    SAVED,
    USUAL_ARGUMENTS,
    loss,
    need_same_shape,
    reduce_losses,
    spread,
)
from nnscratch.formulas.saved import Saved


def mse_forward(Y: Any, T: Any) -> Any:
    """Compute the mean of (Y - T)² over all entries (no factor 1/2)."""
    D = Y - T
    return D * D


def mse_backward(dL: Any, Y: Any, T: Any) -> Any:
    """Return dY = 2 (Y - T) / n for the mean, and dT = -dY."""
    return dL * (2.0 * (Y - T))


def mse_target_backward(dL: Any, Y: Any, T: Any) -> Any:
    """Return dT = -dY."""
    return dL * (2.0 * (T - Y))


MSE = loss(
    mse_forward,
    {"Y": mse_backward, "T": mse_target_backward},
    module="MSELoss",
    arguments=(*USUAL_ARGUMENTS, "weight"),
    task="regression",
    equation=r"(Y_i - T_i)^2",
    gradients={"Y": r"2 (Y - T)", "T": r"2 (T - Y)"},
    source="document, sections 4.2 and 4.3",
    analytic=True,
    derivation=(
        r"The loss is a mean of squares, $L = \frac{1}{n} \sum_i D_i^2$ with $D = Y - T$. The "
        "entry $Y_i$ is in one term alone.",
        r"The slope of that term, by the rule for a square: $$\frac{\partial L}{\partial D_i} "
        r"= \frac{1}{n} 2 D_i$$",
        r"D grows with Y and falls with T: $$\frac{\partial D_i}{\partial Y_i} = 1 \\ "
        r"\frac{\partial D_i}{\partial T_i} = -1$$",
        "The chain rule multiplies the two. With the reduction 'sum' there is no "
        r"$\frac{1}{n}$.",
    ),
)

MseSaved: Any = SAVED["mse"]
"""The type of what ``mse`` saves."""


def l1_forward(Y: Any, T: Any) -> Any:
    """Compute the mean of |Y - T|."""
    return absolute(Y - T)


def l1_backward(dL: Any, Y: Any, T: Any) -> Any:
    """Return dY = sign(Y - T) / n for the mean, with sign 0 = 0."""
    return dL * sign(Y - T)


def l1_target_backward(dL: Any, Y: Any, T: Any) -> Any:
    """Return dT = -dY."""
    return dL * sign(T - Y)


L1 = loss(
    l1_forward,
    {"Y": l1_backward, "T": l1_target_backward},
    module="L1Loss",
    arguments=(*USUAL_ARGUMENTS, "weight"),
    task="regression",
    equation=r"|Y_i - T_i|",
    gradients={"Y": r"\mathrm{sign}(Y - T)", "T": r"\mathrm{sign}(T - Y)"},
    source="Laplace 1774; Bloomfield and Steiger 1983",
    kinks="where Y = T",
    derivation=(
        r"The entry $Y_i$ is in one term alone, $\frac{1}{n} |D_i|$ with $D = Y - T$.",
        "$|D|$ is D where D is positive and $-D$ where it is negative, so its slope is the "
        r"sign of D; at 0 it has none, and the code takes 0: $$\frac{\partial L}{\partial "
        r"D_i} = \frac{1}{n} \mathrm{sign}(D_i)$$",
        "D grows with Y and falls with T, which turns the sign for T.",
    ),
)


def _need_beta(*, beta: float = 1.0) -> None:
    if beta < 0:
        raise ConfigurationError(f"smooth_l1: beta must not be negative, got {beta}")


def smooth_l1_forward(Y: Any, T: Any, *, beta: float = 1.0) -> Any:
    """Compute the mean of D² / (2 beta) where |D| < beta, else |D| - beta / 2, with D = Y - T.

    Args:
        Y: predictions.
        T: targets.
        beta: the distance from which it is a line; with 0 it is ``l1``.
    """
    size = absolute(Y - T)
    if beta == 0:
        return size
    inner = minimum(size, beta)
    return where(size < beta, inner * inner * (0.5 / beta), size - 0.5 * beta)


def smooth_l1_backward(dL: Any, Y: Any, T: Any, beta: float) -> Any:
    """Return dY = D / beta, held between -1 and 1, over n for the mean."""
    D = Y - T
    return dL * (sign(D) if beta == 0 else clip(D / beta, -1.0, 1.0))


def smooth_l1_target_backward(dL: Any, Y: Any, T: Any, beta: float) -> Any:
    """Return dT = -dY."""
    return smooth_l1_backward(dL, T, Y, beta)


SMOOTH_L1 = loss(
    smooth_l1_forward,
    {"Y": smooth_l1_backward, "T": smooth_l1_target_backward},
    module="SmoothL1Loss",
    arguments=(*USUAL_ARGUMENTS, "beta"),
    task="regression",
    check=_need_beta,
    equation=r"\begin{cases} D_i^2 / (2\beta) & |D_i| < \beta \\"
    r" |D_i| - \beta/2 & \text{else} \end{cases}, \quad D = Y - T",
    gradients={
        "Y": r"\min(\max(D / \beta, -1), 1)",
        "T": r"\min(\max(-D / \beta, -1), 1)",
    },
    source="Girshick 2015, arXiv:1504.08083",
    kinks="where Y = T, if beta is 0",
    derivation=SMOOTH_L1_STEPS,
)


def _need_delta(*, delta: float = 1.0) -> None:
    if not delta > 0:
        raise ConfigurationError(f"huber: delta must be positive, got {delta}")


def huber_forward(Y: Any, T: Any, *, delta: float = 1.0) -> Any:
    """Compute the mean of D²/2 where |D| <= delta, else delta (|D| - delta / 2), with D = Y - T.

    Args:
        Y: predictions.
        T: targets.
        delta: the distance from which it is a line, above 0.
    """
    size = absolute(Y - T)
    inner = minimum(size, delta)
    return where(size <= delta, 0.5 * inner * inner, delta * (size - 0.5 * delta))


def huber_backward(dL: Any, Y: Any, T: Any, delta: float) -> Any:
    """Return dY = D, held between -delta and delta, over n for the mean."""
    return dL * clip(Y - T, -delta, delta)


def huber_target_backward(dL: Any, Y: Any, T: Any, delta: float) -> Any:
    """Return dT = -dY."""
    return dL * clip(T - Y, -delta, delta)


HUBER = loss(
    huber_forward,
    {"Y": huber_backward, "T": huber_target_backward},
    module="HuberLoss",
    arguments=("input", "target", "reduction", "delta", "weight"),
    task="regression",
    weighted_mean="elements",
    check=_need_delta,
    equation=r"\begin{cases} D_i^2 / 2 & |D_i| \le \delta \\"
    r" \delta (|D_i| - \delta/2) & \text{else} \end{cases}, \quad D = Y - T",
    gradients={
        "Y": r"\min(\max(D, -\delta), \delta)",
        "T": r"\min(\max(-D, -\delta), \delta)",
    },
    source="Huber 1964",
    derivation=HUBER_STEPS,
)


def poisson_nll_forward(
    X: Any, T: Any, *, log_input: bool = True, full: bool = False, eps: float = 1e-8
) -> Any:
    r"""Compute minus the logarithm of the Poisson probability of T, but for log T!.

    Args:
        X: the logarithm of the rate, or the rate.
        T: counts.
        log_input: whether X is the logarithm.
        full: whether log T! is added by Stirling's formula where T > 1.
        eps: added to a rate before its logarithm is taken.
    """
    L = exp(X) - T * X if log_input else X - T * log(X + eps)
    if not full:
        return L
    many = where(real(T) > 1.0, T, 1.0)
    stirling = many * log(many) - many + 0.5 * log(2.0 * math.pi * many)
    return L + where(real(T) > 1.0, stirling, 0.0)


def poisson_nll_backward(dL: Any, X: Any, T: Any, log_input: bool, eps: float) -> Any:
    """Return dX = (e^X - T) / n for the mean; of a rate, (1 - T / X) / n."""
    return dL * (exp(X) - T if log_input else 1.0 - T / (X + eps))


def poisson_nll_target_backward(
    dL: Any, X: Any, T: Any, log_input: bool, full: bool, eps: float
) -> Any:
    """Return dT = -X / n, of a rate -log X / n, and with Stirling's formula log T + 1 / (2 T)."""
    slope = -X if log_input else -log(X + eps)
    if full:
        many = where(real(T) > 1.0, T, 1.0)
        slope = slope + where(real(T) > 1.0, log(many) + 0.5 / many, 0.0)
    return dL * slope


POISSON_NLL = loss(
    poisson_nll_forward,
    {"X": poisson_nll_backward, "T": poisson_nll_target_backward},
    module="PoissonNLLLoss",
    arguments=(
        "input", "target", "log_input", "full", "size_average", "eps", "reduce", "reduction"
    ),
    domains={"X": "positive", "T": "positive"},
    variants={
        "rates": {"log_input": False},
        "Stirling": {"full": True},
        "rates, Stirling, eps": {"log_input": False, "full": True, "eps": 0.1},
    },
    equation=r"(e^{X_i} - T_i X_i), \quad \text{or } X_i - T_i \log X_i",
    gradients={"X": r"(e^X - T)", "T": r"(-X)"},
    source="Cameron and Trivedi 1998, section 3.2",
    kinks="at T = 1 with Stirling's formula",
    analytic=True,
    derivation=POISSON_NLL_STEPS,
)  # fmt: skip


def gaussian_nll_forward(Y: Any, T: Any, V: Any, *, full: bool = False, eps: float = 1e-6) -> Any:
    r"""Compute minus the logarithm of the normal density of T, with the mean Y and the variance V.

    Args:
        Y: means.
        T: targets.
        V: variances; those below ``eps`` count as ``eps``.
        full: whether log(2π) / 2 is added.
        eps: the least variance.
    """
    refuse_where("gaussian_nll", real(V) < 0, V, "variances from 0 (var, not its logarithm)")
    D, V = Y - T, where(real(V) < eps, eps, V)
    L = 0.5 * (log(V) + D * D / V)
    return L + 0.5 * math.log(2.0 * math.pi) if full else L


def gaussian_nll_backward(dL: Any, Y: Any, T: Any, V: Any, eps: float) -> Any:
    """Return dY = (Y - T) / (V n) for the mean."""
    return dL * ((Y - T) / where(real(V) < eps, eps, V))


def gaussian_nll_target_backward(dL: Any, Y: Any, T: Any, V: Any, eps: float) -> Any:
    """Return dT = -dY."""
    return dL * ((T - Y) / where(real(V) < eps, eps, V))


def gaussian_nll_variance_backward(dL: Any, Y: Any, T: Any, V: Any, eps: float) -> Any:
    """Return dV = (1 / V - (Y - T)² / V²) / 2n; where V counts as eps, that of eps."""
    D, V = Y - T, where(real(V) < eps, eps, V)
    return dL * (0.5 * (1.0 - D * D / V) / V)


GAUSSIAN_NLL = loss(
    gaussian_nll_forward,
    {
        "Y": gaussian_nll_backward,
        "T": gaussian_nll_target_backward,
        "V": gaussian_nll_variance_backward,
    },
    module="GaussianNLLLoss",
    arguments=("input", "target", "var", "full", "eps", "reduction"),
    by_hand=("gaussian_nll_loss", "GaussianNLLLoss"),
    domains={"V": "positive"},
    variants={"full": {"full": True}, "a large eps": {"eps": 1e-2}},
    equation=r"\tfrac{1}{2} \left(\log V_i + \frac{(Y_i - T_i)^2}{V_i}\right)",
    gradients={
        "Y": r"\frac{Y - T}{V}",
        "T": r"\frac{T - Y}{V}",
        "V": r"\tfrac{1}{2} \left(\frac{1}{V} - \frac{(Y - T)^2}{V^2}\right)",
    },
    source="Nix and Weigend 1994",
    kinks="at V = eps",
    analytic=True,
    derivation=GAUSSIAN_NLL_STEPS,
)


class KlDivSaved(Saved):
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
    public=Public(
        kind="loss",
        function="kl_div",
        module="KLDivLoss",
        torch="nn.functional.kl_div",
        arguments=(*USUAL_ARGUMENTS, "log_target"),
    ),
    derivation=KL_DIV_STEPS,
)
