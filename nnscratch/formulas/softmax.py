"""Softmax, its logarithm, and the logarithm of the sum under both."""

from __future__ import annotations

from typing import Any

from nnscratch.array import array_namespace
from nnscratch.array.short_axis import max_along, sum_along
from nnscratch.formulas.checks import need_axis, real
from nnscratch.formulas.formula import formula
from nnscratch.formulas.saved import Saved


class SoftmaxSaved(Saved):
    """What the backward of ``softmax`` and of ``log_softmax`` needs: the output and the axis."""

    Y: Any
    axis: int


def shifted(xp: Any, X: Any, axis: int) -> Any:
    """Return X minus its largest value along the axis, so that no exponential overflows."""
    if X.shape[axis] == 0:
        return xp.zeros_like(X)
    return X - max_along(real(xp, X), axis)


def softmax_forward(X: Any, *, axis: int = -1) -> tuple[Any, SoftmaxSaved]:
    r"""Compute $Y_i = e^{X_i - m} / \sum_j e^{X_j - m}$ along an axis, with $m = \max_j X_j$.

    Args:
        X: any shape with that axis, floating.
        axis: the axis along which Y sums to 1.

    Returns:
        Y of the shape and dtype of X, and what the backward needs.

    Raises:
        DTypeError: if X holds integers.
        ShapeError: if there is no such axis.

    >>> import numpy as np
    >>> softmax_forward(np.array([1e4, 1e4, -1e4]))[0]
    array([0.5, 0.5, 0. ])
    """
    axis = need_axis("softmax", X.shape, axis)
    xp = array_namespace(X)
    E = xp.exp(shifted(xp, X, axis))
    Y = E / sum_along(E, axis)
    return Y, SoftmaxSaved(Y, axis)


def softmax_backward(dY: Any, saved: SoftmaxSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dX = Y (dY - Σ dY Y), the sum along the axis."""
    Y, axis = saved
    return (Y * (dY - sum_along(dY * Y, axis)),)


SOFTMAX = formula(
    softmax_forward,
    softmax_backward,
    equation=r"Y_i = \frac{e^{X_i}}{\sum_j e^{X_j}}",
    gradients={
        "X": r"Y_i \left(\frac{\partial L}{\partial Y_i} - \sum_j \frac{\partial L}{\partial Y_j} "
        r"Y_j\right)"
    },
    shapes="X (any) -> Y (same)",
    floats=("X",),
    source="Bridle 1990",
    analytic=True,
    derivation=(
        r"Write $E_i = e^{X_i}$ and $S = \sum_j E_j$, so that $Y_i = E_i / S$. Both E and S "
        r"depend on X: $$\frac{\partial E_i}{\partial X_k} = [i = k] E_i \\ \frac{\partial "
        r"S}{\partial X_k} = E_k$$",
        r"The rule for a quotient: $$\frac{\partial Y_i}{\partial X_k} = \frac{[i = k] "
        r"E_i}{S} - \frac{E_i E_k}{S^2} = Y_i ([i = k] - Y_k)$$",
        "Every $X_k$ acts on all outputs of its row, so the chain rule adds up over i: "
        r"$$\frac{\partial L}{\partial X_k} = \sum_i \frac{\partial L}{\partial Y_i} Y_i ([i "
        "= k] - Y_k)$$",
        "The bracket leaves one term of the first part, and $Y_k$ stands before the second. "
        "The largest X that the code takes away first changes no Y, and so no slope.",
    ),
)


def log_softmax_forward(X: Any, *, axis: int = -1) -> tuple[Any, SoftmaxSaved]:
    r"""Compute $Y_i = X_i - m - \log \sum_j e^{X_j - m}$ along an axis, with $m = \max_j X_j$.

    Raises:
        DTypeError: if X holds integers.
        ShapeError: if there is no such axis.

    >>> import numpy as np
    >>> log_softmax_forward(np.array([1e4, -1e4]))[0]
    array([     0., -20000.])
    """
    axis = need_axis("log_softmax", X.shape, axis)
    xp = array_namespace(X)
    S = shifted(xp, X, axis)
    Y = S - xp.log(sum_along(xp.exp(S), axis))
    return Y, SoftmaxSaved(Y, axis)


def log_softmax_backward(dY: Any, saved: SoftmaxSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dX = dY - e^Y Σ dY, the sum along the axis."""
    Y, axis = saved
    xp = array_namespace(dY)
    return (dY - xp.exp(Y) * sum_along(dY, axis),)


LOG_SOFTMAX = formula(
    log_softmax_forward,
    log_softmax_backward,
    equation=r"Y_i = X_i - \log \sum_j e^{X_j}",
    gradients={
        "X": r"\frac{\partial L}{\partial Y_i} - e^{Y_i} \sum_j \frac{\partial L}{\partial Y_j}"
    },
    shapes="X (any) -> Y (same)",
    floats=("X",),
    source="Bridle 1990",
    analytic=True,
    derivation=(
        r"The logarithm of a quotient is a difference: $Y_i = X_i - \log S$ with $S = \sum_j "
        "e^{X_j}$.",
        r"The slope of $\log S$ is softmax, which is $e^Y$: $$\frac{\partial \log S}{\partial "
        r"X_k} = \frac{e^{X_k}}{S} = e^{Y_k}$$",
        r"So $$\frac{\partial Y_i}{\partial X_k} = [i = k] - e^{Y_k}$$",
        "Every $X_k$ acts on all outputs of its row, so the chain rule adds up over i: "
        r"$$\frac{\partial L}{\partial X_k} = \sum_i \frac{\partial L}{\partial Y_i} ([i = k] "
        "- e^{Y_k})$$",
    ),
)


class LogsumexpSaved(Saved):
    """What the backward of ``logsumexp`` needs; Y keeps its reduced axis."""

    X: Any
    Y: Any
    keepdims: bool


def logsumexp_forward(X: Any, *, axis: int, keepdims: bool = False) -> tuple[Any, LogsumexpSaved]:
    r"""Compute $Y = m + \log \sum_j e^{X_j - m}$ along an axis, with $m = \max_j X_j$.

    Raises:
        DTypeError: if X holds integers.
        ShapeError: if there is no such axis.
    """
    axis = need_axis("logsumexp", X.shape, axis)
    xp = array_namespace(X)
    if X.shape[axis] == 0:
        m: Any = 0.0
    else:
        m = xp.max(real(xp, X), axis=axis, keepdims=True)
        m = xp.where(xp.isinf(m), 0.0, m)
    Y = xp.log(xp.sum(xp.exp(X - m), axis=axis, keepdims=True)) + m
    kept = Y if keepdims else xp.squeeze(Y, axis=axis)
    return kept, LogsumexpSaved(X, Y, keepdims)


def logsumexp_backward(dY: Any, saved: LogsumexpSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dX = dY e^(X - Y)."""
    X, Y, _ = saved
    xp = array_namespace(dY)
    return (xp.reshape(dY, Y.shape) * xp.exp(X - Y),)


LOGSUMEXP = formula(
    logsumexp_forward,
    logsumexp_backward,
    equation=r"Y = \log \sum_j e^{X_j}",
    gradients={"X": r"\frac{\partial L}{\partial Y} e^{X_i - Y}"},
    shapes="X (any), the axis reduced -> Y",
    floats=("X",),
    source="Blanchard, Higham and Higham 2021, arXiv:1909.03469",
    analytic=True,
    derivation=(
        r"Write $S = \sum_j e^{X_j}$, so that $Y = \log S$: $$\frac{\partial Y}{\partial S} = "
        r"\frac{1}{S} \\ \frac{\partial S}{\partial X_i} = e^{X_i}$$",
        "Their product is softmax. As $S = e^Y$ it is one exponential, which cannot "
        r"overflow: $$\frac{\partial Y}{\partial X_i} = \frac{e^{X_i}}{S} = e^{X_i - Y}$$",
    ),
)
