r"""Normalisation by the root of the mean of squares alone: no mean is taken away."""

from __future__ import annotations

import math
from typing import Any

from nnscratch.array import array_namespace
from nnscratch.formulas.case import NONE, Case, given, normal
from nnscratch.formulas.checks import need_axes
from nnscratch.formulas.formula import formula
from nnscratch.formulas.normalization import affine_backward, need_sizes, scaled_and_shifted
from nnscratch.formulas.saved import Saved


class RmsNormSaved(Saved):
    """What the backward of ``rms_norm`` needs; R keeps the last axes."""

    X: Any
    W: Any
    R: Any
    axes: tuple[int, ...]


def rms_norm_forward(X: Any, W: Any = None, *, dims: int, eps: float) -> tuple[Any, RmsNormSaved]:
    r"""Compute $Y = W X R$ with $R = (\overline{X^2} + \epsilon)^{-1/2}$, the mean over last axes.

    Args:
        X: any shape.
        W: the scale, of the shape of the last axes; None for 1.
        dims: how many last axes the mean is taken over.
        eps: what is added to the mean of squares.

    Raises:
        ShapeError: if X has fewer axes, or W does not have their sizes.
        DTypeError: if they are not floating-point numbers of one dtype.

    >>> import numpy as np
    >>> rms_norm_forward(np.array([3.0, 4.0]) * 5.0, dims=1, eps=0.0)[0] * 12.5**0.5
    array([3., 4.])
    """
    axes = need_axes("rms_norm", X.shape, tuple(range(-dims, 0)))
    first = X.ndim - dims
    need_sizes("rms_norm", X, first, W=W)
    xp = array_namespace(X)
    count = math.prod(X.shape[first:])
    R = 1.0 / xp.sqrt(xp.sum(X * X, axis=axes, keepdims=True) / count + eps)
    return scaled_and_shifted(xp, X * R, W, None, first), RmsNormSaved(X, W, R, axes)


def rms_norm_backward(dY: Any, saved: RmsNormSaved, needs: tuple[bool, ...]) -> tuple[Any, Any]:
    r"""Return $dX = R (G - \hat X \, \overline{G \hat X})$, $dW = \sum dY \hat X$; $G = W dY$."""
    X, W, R, axes = saved
    xp = array_namespace(dY)
    first = X.ndim - len(axes)
    N = X * R
    dX = None
    if needs[0]:
        G = dY if W is None else dY * W
        along = xp.sum(G * N, axis=axes, keepdims=True) / math.prod(X.shape[first:])
        dX = R * (G - N * along)
    return dX, affine_backward(xp, dY, N, axes, (needs[1], False))[0]


def rms_norm_cases() -> list[Case]:
    """Return what every implementation must be right at."""
    one: dict[str, Any] = {"dims": 1, "eps": 1e-5}
    return [
        Case("a lesson", (normal(4, 3), normal(3)), {"dims": 1, "eps": 0.1}, terms=3),
        Case("rows", (normal(6, 33), normal(33)), one, terms=33),
        Case("long rows", (normal(3, 1025), normal(1025)), one, terms=1025),
        Case("no scale", (normal(3, 7), NONE), one, terms=7),
        Case("two last axes", (normal(5, 2, 3), normal(2, 3)), {"dims": 2, "eps": 1e-5}, terms=6),
        Case("sequences", (normal(2, 4, 9), normal(9)), one, terms=9),
        Case("one row", (normal(5), normal(5)), one, terms=5),
        Case("one value", (normal(3, 1), normal(1)), one),
        Case("no batch", (normal(0, 3), normal(3)), one),
        Case("large", (normal(4, 9, scale=1e4), normal(9)), one, terms=9, smooth=False),
        Case("zeros", (given([[0.0, 0.0]]), NONE), one, magnitude=1e3, smooth=False),
        Case("NaN", (given([[float("nan"), 1.0], [1.0, 2.0]]), NONE), one, smooth=False),
    ]


RMS_NORM = formula(
    rms_norm_forward,
    rms_norm_backward,
    equation=r"Y = W \frac{X}{\sqrt{\frac{1}{n} \sum_i X_i^2 + \epsilon}}",
    gradients={
        "X": r"R \left(G - \hat X \, \overline{G \hat X}\right), \quad"
        r" R = \left(\overline{X^2} + \epsilon\right)^{-1/2}, \; \hat X = X R,"
        r" \; G = W \frac{\partial L}{\partial Y}",
        "W": r"\sum \frac{\partial L}{\partial Y} \hat X",
    },
    shapes="X (any), W (the sizes of its last axes) -> Y (as X)",
    floats=("X", "W"),
    source="Zhang and Sennrich 2019, arXiv:1910.07467",
    analytic=True,
    derivation=(
        r"With $Q = \frac{1}{n} \sum_i X_i^2 + \epsilon$ and $R = Q^{-1/2}$ write $\hat X = X "
        r"R$ and $Y = W \hat X$. What comes back to $\hat X$ is $G = W \frac{\partial "
        r"L}{\partial Y}$.",
        r"Every $X_k$ acts on $\hat X_i$ itself and by R: $$\frac{\partial R}{\partial X_k} = "
        r"-\frac{1}{2} R^3 \frac{2}{n} X_k = -\frac{1}{n} R^2 \hat X_k$$",
        r"The product rule: $$\frac{\partial \hat X_i}{\partial X_k} = R \left([i = k] - "
        r"\frac{1}{n} \hat X_i \hat X_k\right)$$",
        "The chain rule adds up over i, and a sum over n entries divided by n is a mean.",
    ),
    cases=rms_norm_cases,
)
