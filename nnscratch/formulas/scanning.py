r"""Cumulative sums, products, logarithms of sums and extremes along an axis, and the product.

Derivatives of products are written without a division, so that zeros need no case of their own:
with the prefix products $P_i = A_1 \cdots A_{i-1}$ they are $P_i T_i$, where
$T_i = \partial L/\partial Y_i + A_{i+1} T_{i+1}$. Such a recurrence takes $\log_2 n$ passes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from nnscratch.array import array_namespace, is_recorded
from nnscratch.array.dtypes import dtype_name, is_inexact
from nnscratch.errors import GradientError
from nnscratch.formulas.checks import NOTHING, NothingSaved, need_axis
from nnscratch.formulas.formula import Formula, Forward, formula
from nnscratch.formulas.saved import Saved

_SHAPES = "A (any) -> Y (same)"


class AxisSaved(Saved):
    """The axis."""

    axis: int


class AlongSaved(Saved):
    """The input, the output and the axis."""

    A: Any
    Y: Any
    axis: int


def _at(ndim: int, axis: int, part: slice) -> tuple[slice, ...]:
    return (*(slice(None),) * axis, part, *(slice(None),) * (ndim - axis - 1))


def _shifted(X: Any, axis: int, by: int, value: float) -> Any:
    """Return X moved back (``by`` > 0) or forth along an axis, with ``value`` where nothing was."""
    xp = array_namespace(X)
    size = X.shape[axis]
    count = min(abs(by), size)
    shape = (*X.shape[:axis], count, *X.shape[axis + 1 :])
    pad = xp.full(shape, value, dtype=X.dtype, device=X.device)
    if by > 0:
        return xp.concat([pad, X[_at(X.ndim, axis, slice(0, size - count))]], axis=axis)
    return xp.concat([X[_at(X.ndim, axis, slice(count, size))], pad], axis=axis)


def _recurrence(B: Any, F: Any, axis: int) -> Any:
    """Return T with T_i = B_i + F_i T_{i+1} along an axis, by doubling (Hillis and Steele 1986)."""
    size, reach = B.shape[axis], 1
    while reach < size:
        B = B + F * _shifted(B, axis, -reach, 0.0)
        reach *= 2
        if reach < size:
            F = F * _shifted(F, axis, -reach // 2, 0.0)
    return B


def _wide(A: Any) -> Any:
    """Return booleans and small integers as int64, in which they are added up."""
    xp = array_namespace(A)
    return A if is_inexact(A) else xp.astype(A, xp.int64, copy=False)


def cumulative_sum_forward(A: Any, *, axis: int) -> tuple[Any, AxisSaved]:
    """Compute the sums of the entries up to each along an axis, itself included.

    Raises:
        ShapeError: if there is no such axis.

    >>> import numpy as np
    >>> cumulative_sum_forward(np.array([1.0, 2.0, 3.0]), axis=0)[0]
    array([1., 3., 6.])
    """
    axis = need_axis("cumulative_sum", A.shape, axis)
    return array_namespace(A).cumulative_sum(_wide(A), axis=axis), AxisSaved(axis)


def cumulative_sum_backward(dY: Any, saved: AxisSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dA, the sums of dY from each entry on."""
    xp = array_namespace(dY)
    (axis,) = saved
    back = xp.cumulative_sum(xp.flip(dY, axis=axis), axis=axis)
    return (xp.asarray(xp.flip(back, axis=axis), copy=True),)


CUMULATIVE_SUM = formula(
    cumulative_sum_forward,
    cumulative_sum_backward,
    equation=r"Y_i = \sum_{j \le i} A_j",
    gradients={"A": r"\sum_{j \ge i} \frac{\partial L}{\partial Y_j}"},
    shapes=_SHAPES,
    source="the sum rule",
    analytic=True,
    derivation=(
        "An entry is in the sum at its own place and in all after it, by itself: "
        r"$$\frac{\partial Y_j}{\partial A_i} = [i \le j]$$",
        r"The chain rule adds up over all outputs: $$\frac{\partial L}{\partial A_i} = \sum_j "
        r"\frac{\partial L}{\partial Y_j} [i \le j]$$ What is left are the j from i on. So the "
        "code takes a cumulative sum of the gradient of Y from the other end.",
    ),
)


def cumulative_prod_forward(A: Any, *, axis: int) -> tuple[Any, AlongSaved]:
    """Compute the products of the entries up to each along an axis, itself included.

    Raises:
        ShapeError: if there is no such axis.
    """
    axis = need_axis("cumulative_prod", A.shape, axis)
    Y = array_namespace(A).cumulative_prod(_wide(A), axis=axis)
    return Y, AlongSaved(A, Y, axis)


def cumulative_prod_backward(dY: Any, saved: AlongSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dA_i = P_i T_i with the prefix products P and T_i = dY_i + A_{i+1} T_{i+1}."""
    A, Y, axis = saved
    following = _shifted(A, axis, -1, 0.0)
    return (_shifted(Y, axis, 1, 1.0) * _recurrence(dY, following, axis),)


CUMULATIVE_PROD = formula(
    cumulative_prod_forward,
    cumulative_prod_backward,
    equation=r"Y_i = \prod_{j \le i} A_j",
    gradients={
        "A": r"\prod_{j < i} A_j \cdot T_i, \quad"
        r" T_i = \frac{\partial L}{\partial Y_i} + A_{i+1} T_{i+1}"
    },
    shapes=_SHAPES,
    source="the product rule",
    analytic=True,
    derivation=(
        "Where $A_i$ is a factor of $Y_j$, its slope is the product of the other factors: those "
        r"before i, and those between i and j. $$\frac{\partial Y_j}{\partial A_i} = [i \le j] \, "
        r"P_i \prod_{i < k \le j} A_k \\ P_i = \prod_{k < i} A_k$$",
        r"The chain rule adds up over all outputs; $P_i$ is in every term: $$\frac{\partial "
        r"L}{\partial A_i} = P_i T_i \\ T_i = \sum_{j \ge i} \frac{\partial L}{\partial Y_j} "
        r"\prod_{i < k \le j} A_k$$",
        "In the sum of $T_i$ the term with j = i has no factor, and all others have the factor "
        r"$A_{i+1}$; what they are times is the sum of $T_{i+1}$: $$T_i = \frac{\partial "
        r"L}{\partial Y_i} + A_{i+1} T_{i+1}$$ After the last entry T is 0. Nothing is divided by "
        "$A_i$, which may be 0.",
    ),
)


class ProdSaved(Saved):
    """The input, the axis, and whether it was kept."""

    A: Any
    axis: int
    keepdims: bool


def prod_forward(A: Any, *, axis: int, keepdims: bool = False) -> tuple[Any, ProdSaved]:
    """Compute the product of the entries along an axis, 1 of none.

    Raises:
        ShapeError: if there is no such axis.
    """
    axis = need_axis("prod", A.shape, axis)
    A = _wide(A)
    Y = array_namespace(A).prod(A, axis=axis, keepdims=keepdims)
    return Y, ProdSaved(A, axis, keepdims)


def prod_backward(dY: Any, saved: ProdSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dA, dY times the product of all other entries: of those before and those behind."""
    A, axis, keepdims = saved
    xp = array_namespace(dY)
    dY = dY if keepdims else xp.expand_dims(dY, axis=axis)
    before = _shifted(xp.cumulative_prod(A, axis=axis), axis, 1, 1.0)
    turned = xp.flip(A, axis=axis)
    behind = xp.flip(_shifted(xp.cumulative_prod(turned, axis=axis), axis, 1, 1.0), axis=axis)
    return (dY * (before * behind),)


PROD = formula(
    prod_forward,
    prod_backward,
    equation=r"Y = \prod_i A_i",
    gradients={"A": r"\frac{\partial L}{\partial Y} \prod_{j \ne i} A_j"},
    shapes="A (any) -> Y (A without the axis, or with 1 in its place)",
    source="the product rule",
    analytic=True,
    derivation=(
        "As a function of one $A_i$ the product is a line, whose slope is the product of all "
        r"other factors: $$Y = A_i \prod_{j \ne i} A_j \\ \frac{\partial Y}{\partial A_i} = "
        r"\prod_{j \ne i} A_j$$",
        "That is $Y / A_i$, but not where $A_i$ is 0. So the code multiplies, the factors before "
        r"i by those after it: $$\prod_{j \ne i} A_j = \prod_{j < i} A_j \cdot \prod_{j > i} "
        "A_j$$ Where one factor is 0, it alone may have a slope that is not 0; where two are 0, "
        "all slopes are.",
        "An entry is in one product only, that of its place along the other axes, and gets the "
        "gradient of that one times this slope.",
    ),
)


def cumulative_logsumexp_forward(A: Any, *, axis: int) -> tuple[Any, AlongSaved]:
    """Compute log Σ e^A of the entries up to each along an axis, without an overflow.

    Raises:
        ShapeError: if there is no such axis.
        DTypeError: if A holds integers.
    """
    axis = need_axis("cumulative_logsumexp", A.shape, axis)
    if isinstance(A, np.ndarray):
        Y: Any = np.logaddexp.accumulate(A, axis=axis) if A.size else A.copy()
        return Y, AlongSaved(A, Y, axis)
    xp, Y, reach = array_namespace(A), A, 1
    while reach < A.shape[axis]:
        other = _shifted(Y, axis, reach, -math.inf)
        high, low = xp.maximum(Y, other), xp.minimum(Y, other)
        Y = xp.where(low == high, high + math.log(2.0), high + xp.log1p(xp.exp(low - high)))
        Y = xp.where(low == -math.inf, high, Y)
        reach *= 2
    Y = xp.asarray(Y, copy=True)
    return Y, AlongSaved(A, Y, axis)


def cumulative_logsumexp_backward(
    dY: Any, saved: AlongSaved, needs: tuple[bool, ...]
) -> tuple[Any]:
    """Return dA_i = e^(A_i - Y_i) T_i with T_i = dY_i + e^(Y_i - Y_{i+1}) T_{i+1}.

    Y never falls, so no exponential is above 1.
    """
    A, Y, axis = saved
    xp = array_namespace(dY)
    following = _shifted(Y, axis, -1, math.inf)
    nothing = Y == -math.inf
    ratio = xp.exp(xp.where(nothing | (following == Y), 0.0, Y - following))
    ratio = xp.where(nothing, 0.0, ratio)
    share = xp.where(nothing, 0.0, xp.exp(xp.where(nothing, 0.0, A - Y)))
    return (share * _recurrence(dY, ratio, axis),)


CUMULATIVE_LOGSUMEXP = formula(
    cumulative_logsumexp_forward,
    cumulative_logsumexp_backward,
    equation=r"Y_i = \log \sum_{j \le i} e^{A_j}",
    gradients={"A": r"\sum_{j \ge i} \frac{\partial L}{\partial Y_j} e^{A_i - Y_j}"},
    shapes=_SHAPES,
    floats=("A",),
    source="the chain rule",
    derivation=(
        r"Write $S_j = \sum_{i \le j} e^{A_i}$, so that $Y_j = \log S_j$: $$\frac{\partial "
        r"Y_j}{\partial S_j} = \frac{1}{S_j} = e^{-Y_j} \\ \frac{\partial S_j}{\partial A_i} = [i "
        r"\le j] e^{A_i}$$",
        r"The chain rule adds up over all outputs; those from i on are left: $$\frac{\partial "
        r"L}{\partial A_i} = \sum_{j \ge i} \frac{\partial L}{\partial Y_j} e^{A_i - Y_j}$$",
        "The code finds all these sums at once. It writes $A_i - Y_j = (A_i - Y_i) + (Y_i - "
        r"Y_j)$: $$\frac{\partial L}{\partial A_i} = e^{A_i - Y_i} T_i \\ T_i = \sum_{j \ge i} "
        r"\frac{\partial L}{\partial Y_j} e^{Y_i - Y_j} = \frac{\partial L}{\partial Y_i} + "
        "e^{Y_i - Y_{i+1}} T_{i+1}$$ Y never falls, so that no exponent is above 0. Where all "
        "entries so far are minus infinity, the code has 0 for them.",
    ),
)


def _running(name: str, A: Any, axis: int, larger: bool) -> tuple[Any, NothingSaved]:
    axis = need_axis(name, A.shape, axis)
    if is_recorded(A):
        raise GradientError(f"{name} has no derivative")
    xp = array_namespace(A)
    numbers = xp.arange(A.shape[axis], dtype=xp.int64, device=A.device)
    numbers = xp.reshape(numbers, (-1, *(1,) * (A.ndim - 1 - axis)))
    places = xp.broadcast_to(numbers, A.shape)
    if dtype_name(A.dtype) == "bool":
        A = xp.astype(A, xp.int64)
    reach = 1
    best = A
    while reach < A.shape[axis]:
        front = _at(A.ndim, axis, slice(0, reach))
        back, here = (
            _at(A.ndim, axis, slice(0, A.shape[axis] - reach)),
            _at(A.ndim, axis, slice(reach, None)),
        )
        earlier, now = best[back], best[here]
        # Of equals the last one counts; behind a NaN only another NaN.
        keep = (now >= earlier if larger else now <= earlier) | (now != now)
        keep = keep & ((earlier == earlier) | (now != now))
        chosen = xp.where(keep, places[here], places[back])
        places = xp.concat([places[front], chosen], axis=axis)
        best = xp.concat([best[front], xp.where(keep, now, earlier)], axis=axis)
        reach *= 2
    return xp.asarray(places, copy=True), NOTHING


def cumulative_argmax_forward(A: Any, *, axis: int) -> tuple[Any, NothingSaved]:
    """Compute where the last largest of the entries up to each is (int64); NaN is the largest.

    Raises:
        ShapeError: if there is no such axis.

    >>> import numpy as np
    >>> cumulative_argmax_forward(np.array([1.0, 3.0, 2.0, 3.0]), axis=0)[0]
    array([0, 1, 1, 3])
    """
    return _running("cumulative_argmax", A, axis, True)


def cumulative_argmin_forward(A: Any, *, axis: int) -> tuple[Any, NothingSaved]:
    """Compute where the last smallest of the entries up to each is (int64); NaN is the smallest.

    Raises:
        ShapeError: if there is no such axis.
    """
    return _running("cumulative_argmin", A, axis, False)


def _argument(forward: Forward, name: str) -> Formula:
    made: Callable[..., Formula] = formula
    return made(
        forward,
        equation=rf"Y_i = \mathrm{{arg\,{name}}}_{{j \le i}} A_j",
        shapes=_SHAPES,
        source="Hillis and Steele 1986",
    )


CUMULATIVE_ARGMAX = _argument(cumulative_argmax_forward, "max")
CUMULATIVE_ARGMIN = _argument(cumulative_argmin_forward, "min")
