"""Variance and standard deviation over one axis, several axes or all."""

from __future__ import annotations

import math
from typing import Any

from nnscratch.array import array_namespace
from nnscratch.formulas.checks import need_axes
from nnscratch.formulas.formula import formula
from nnscratch.formulas.reductions import SHAPES, Axis, SumSaved, kept_shape, mean_backward, root
from nnscratch.formulas.saved import Saved


class VarSaved(Saved):
    """What the backward of ``var`` needs: A minus its mean, the axes and the divisor."""

    D: Any
    axes: tuple[int, ...]
    divisor: float


def var_forward(
    A: Any, *, axis: Axis = None, correction: float = 1, keepdims: bool = False
) -> tuple[Any, VarSaved]:
    """Compute the variance over the axes, the squares divided by n - ``correction``.

    It is NaN or infinite where n is not above ``correction``.

    Raises:
        ShapeError: if there is no such axis.
        DTypeError: if A holds integers.
    """
    axes = need_axes("var", A.shape, axis)
    xp = array_namespace(A)
    count = math.prod(A.shape[one] for one in axes)
    D = A - xp.sum(A, axis=axes, keepdims=True) / count
    divisor = max(count - correction, 0)
    return xp.sum(D * D, axis=axes, keepdims=keepdims) / divisor, VarSaved(D, axes, divisor)


def var_backward(dY: Any, saved: VarSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dA = dY · 2 (A - mean A) / (n - correction)."""
    D, axes, divisor = saved
    xp = array_namespace(dY)
    return (xp.reshape(2.0 * dY / divisor, kept_shape(D.shape, axes)) * D,)


VAR = formula(
    var_forward,
    var_backward,
    equation=r"Y = \frac{1}{n - c} \sum_{i=1}^n (A_i - \bar{A})^2",
    gradients={"A": r"\frac{2}{n - c} \frac{\partial L}{\partial Y} (A - \bar{A})"},
    shapes=SHAPES,
    floats=("A",),
    source="document, section 4.2; the chain rule (the mean's own derivative cancels)",
    analytic=True,
    derivation=(
        r"Every $A_k$ is in its own square, and by the mean in all of them: $$\frac{\partial "
        r"(A_i - \bar{A})}{\partial A_k} = [i = k] - \frac{1}{n}$$",
        r"The rule for squares: $$\frac{\partial Y}{\partial A_k} = \frac{2}{n - c} \sum_i "
        r"(A_i - \bar{A}) \left([i = k] - \frac{1}{n}\right)$$",
        r"The differences from the mean add up to 0, so the part with $\frac{1}{n}$ vanishes, "
        "and one term is left.",
    ),
)


def var_mean_forward(
    A: Any, *, axis: Axis = None, correction: float = 1, keepdims: bool = False
) -> tuple[tuple[Any, Any], VarSaved]:
    """Compute the variance over the axes, as ``var`` does, and the mean that it has to find anyway.

    Raises:
        ShapeError: if there is no such axis.
        DTypeError: if A holds integers.

    >>> import numpy as np
    >>> V, M = var_mean_forward(np.array([1.0, 3.0]))[0]
    >>> float(V), float(M)
    (2.0, 2.0)
    """
    axes = need_axes("var_mean", A.shape, axis)
    xp = array_namespace(A)
    count = math.prod(A.shape[one] for one in axes)
    M = xp.sum(A, axis=axes, keepdims=True) / count
    D = A - M
    divisor = max(count - correction, 0)
    V = xp.sum(D * D, axis=axes, keepdims=keepdims) / divisor
    return (V, M if keepdims else xp.squeeze(M, axis=axes)), VarSaved(D, axes, divisor)


def var_mean_backward(dY: tuple[Any, Any], saved: VarSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dA = dV · 2 (A - mean A) / (n - correction) + dM / n."""
    dV, dM = dY
    D, axes, _ = saved
    dA = None if dV is None else var_backward(dV, saved, needs)[0]
    if dM is not None:
        shape = tuple(D.shape)
        mean = mean_backward(dM, SumSaved(shape, axes), needs)[0]
        dA = mean if dA is None else dA + mean
    return (dA,)


VAR_MEAN = formula(
    var_mean_forward,
    var_mean_backward,
    outputs=("V", "M"),
    equation=r"M = \frac{1}{n} \sum_{i=1}^n A_i, \quad"
    r" V = \frac{1}{n - c} \sum_{i=1}^n (A_i - M)^2",
    gradients={
        "A": r"\frac{2}{n - c} \frac{\partial L}{\partial V} (A - M)"
        r" + \frac{1}{n} \frac{\partial L}{\partial M}"
    },
    shapes="A (any) -> V and M (A without the axes, or with 1 in their place)",
    floats=("A",),
    source="document, section 4.2; the chain rule (the mean's own derivative cancels in V)",
    analytic=True,
    derivation=(
        "Every $A_k$ is in the mean, and by the mean in all differences from it: "
        r"$$\frac{\partial M}{\partial A_k} = \frac{1}{n} \\ \frac{\partial (A_i - M)}{\partial "
        r"A_k} = [i = k] - \frac{1}{n}$$",
        r"The rule for squares: $$\frac{\partial V}{\partial A_k} = \frac{2}{n - c} \sum_i (A_i - "
        r"M) \left([i = k] - \frac{1}{n}\right) = \frac{2}{n - c} (A_k - M)$$ One term is left, "
        "for the differences from the mean add up to 0.",
        "$A_k$ acts on the loss by both outputs, and the chain rule adds up over them. The part "
        r"of an output that the loss does not use is left out: $$\frac{\partial L}{\partial A_k} "
        r"= \frac{\partial L}{\partial V} \frac{\partial V}{\partial A_k} + \frac{\partial "
        r"L}{\partial M} \frac{\partial M}{\partial A_k}$$",
    ),
)


class StdSaved(Saved):
    """What the backward of ``std`` needs; Y keeps its reduced axes."""

    D: Any
    Y: Any
    axes: tuple[int, ...]
    divisor: float


def std_forward(
    A: Any, *, axis: Axis = None, correction: float = 1, keepdims: bool = False
) -> tuple[Any, StdSaved]:
    """Compute the standard deviation over the axes: the root of ``var``.

    Raises:
        ShapeError: if there is no such axis.
        DTypeError: if A holds integers.
    """
    squares, (D, axes, divisor) = var_forward(A, axis=axis, correction=correction, keepdims=True)
    xp = array_namespace(A)
    Y = root(xp, squares)
    kept = Y if keepdims else xp.squeeze(Y, axis=axes)
    return kept, StdSaved(D, Y, axes, divisor)


def std_backward(dY: Any, saved: StdSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dA = dY (A - mean A) / ((n - correction) Y), 0 where Y is 0, as PyTorch does."""
    D, Y, _, divisor = saved
    xp = array_namespace(dY)
    # The divisor is never 0, which the derivative of this one would divide by again.
    slope = xp.reshape(dY, Y.shape) / (xp.where(Y == 0, 1.0, Y) * divisor)
    return (xp.where(Y == 0, 0.0, slope) * D,)


STD = formula(
    std_forward,
    std_backward,
    equation=r"Y = \sqrt{\frac{1}{n - c} \sum_{i=1}^n (A_i - \bar{A})^2}",
    gradients={"A": r"\frac{A - \bar{A}}{(n - c) Y} \frac{\partial L}{\partial Y}"},
    shapes=SHAPES,
    floats=("A",),
    source="document, section 4.2; the chain rule (the mean's own derivative cancels)",
    kinks="where all entries are equal",
    analytic=True,
    derivation=(
        r"Write V for what is under the root, so that $Y = \sqrt{V}$: $$\frac{\partial "
        r"Y}{\partial V} = \frac{1}{2 \sqrt{V}} = \frac{1}{2 Y}$$",
        r"Every $A_k$ is in its own square, and by the mean in all of them: $$\frac{\partial "
        r"V}{\partial A_k} = \frac{2}{n - c} \sum_i (A_i - \bar{A}) \left([i = k] - "
        r"\frac{1}{n}\right) = \frac{2}{n - c} (A_k - \bar{A})$$ One term is left, for the "
        "differences from the mean add up to 0.",
        r"The product of both: $$\frac{\partial Y}{\partial A_k} = \frac{1}{2 Y} \cdot \frac{2}{n "
        r"- c} (A_k - \bar{A}) = \frac{A_k - \bar{A}}{(n - c) Y}$$",
        "Where all entries are equal Y is 0, and grows however one of them is moved: there is no "
        "derivative. The code has 0 there.",
    ),
)
