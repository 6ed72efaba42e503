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
)
