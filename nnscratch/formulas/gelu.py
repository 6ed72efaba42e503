r"""GELU, $Y = X \Phi(X)$ with the normal distribution function, and the error function under it.

The array API has no erf. The rational approximations here are those of W. J. Cody, Rational
Chebyshev approximations for the error function, Mathematics of Computation 23 (1969): one near 0,
one for 0.47 < |x| <= 4 and one beyond, each good to the last bits of float64.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from nnscratch.array import array_namespace
from nnscratch.array.selection import clip
from nnscratch.errors import ConfigurationError
from nnscratch.formulas.checks import need_floats
from nnscratch.formulas.formula import formula

_CENTRE = 0.46875
_A = (
    1.85777706184603153e-1,
    3.16112374387056560e0,
    1.13864154151050156e2,
    3.77485237685302021e2,
    3.20937758913846947e3,
)
_B = (
    1.0,
    2.36012909523441209e1,
    2.44024637934444173e2,
    1.28261652607737228e3,
    2.84423683343917062e3,
)
_C = (
    2.15311535474403846e-8,
    5.64188496988670089e-1,
    8.88314979438837594e0,
    6.61191906371416295e1,
    2.98635138197400131e2,
    8.81952221241769090e2,
    1.71204761263407058e3,
    2.05107837782607147e3,
    1.23033935479799725e3,
)
_D = (
    1.0,
    1.57449261107098347e1,
    1.17693950891312499e2,
    5.37181101862009858e2,
    1.62138957456669019e3,
    3.29079923573345963e3,
    4.36261909014324716e3,
    3.43936767414372164e3,
    1.23033935480374942e3,
)
_P = (
    1.63153871373020978e-2,
    3.05326634961232344e-1,
    3.60344899949804439e-1,
    1.25781726111229246e-1,
    1.60837851487422766e-2,
    6.58749161529837803e-4,
)
_Q = (
    1.0,
    2.56852019228982242e0,
    1.87295284992346725e0,
    5.27905102951428412e-1,
    6.05183413124413191e-2,
    2.33520497626869185e-3,
)


def _ratio(X: Any, over: tuple[float, ...], under: tuple[float, ...]) -> Any:
    top, bottom = over[0] * X + over[1], under[0] * X + under[1]
    for a, b in zip(over[2:], under[2:], strict=True):
        top, bottom = top * X + a, bottom * X + b
    return top / bottom


def _erf_centre(xp: Any, X: Any) -> Any:
    """Return erf X for |X| <= 0.46875 (X is cut to that)."""
    X = clip(X, -_CENTRE, _CENTRE)
    return X * _ratio(X * X, _A, _B)


def _erfc_tail(xp: Any, Y: Any) -> Any:
    """Return 1 - erf Y for Y >= 0.46875 (Y is cut to 0.46875 ... 30, where it is 0)."""
    Y = clip(Y, _CENTRE, 30.0)
    near = _ratio(xp.minimum(Y, 4.0), _C, _D)
    Z = 1.0 / (xp.maximum(Y, 4.0) * xp.maximum(Y, 4.0))
    far = (1.0 / math.sqrt(math.pi) - Z * _ratio(Z, _P, _Q)) / Y
    # e^(-Y²) with Y² in two parts, the first of which is exact.
    coarse = xp.floor(Y * 16.0) * 0.0625
    decay = xp.exp(-coarse * coarse) * xp.exp(-(Y - coarse) * (Y + coarse))
    return decay * xp.where(Y <= 4.0, near, far)


def erf(X: Any) -> Any:
    """Return the error function of an array of floats.

    >>> import numpy as np
    >>> erf(np.array([0.0, 1.0]))
    array([0.        , 0.84270079])
    """
    xp = array_namespace(X)
    size = xp.abs(X)
    tail = 1.0 - _erfc_tail(xp, size)
    return xp.where(size <= _CENTRE, _erf_centre(xp, X), xp.where(X < 0, -tail, tail))


def normal_cdf(X: Any) -> Any:
    r"""Return $\Phi(X)$, accurate in the lower tail too, where $1 + \mathrm{erf}$ would cancel.

    >>> import numpy as np
    >>> normal_cdf(np.array([-10.0, 0.0]))
    array([7.61985302e-24, 5.00000000e-01])
    """
    xp = array_namespace(X)
    if X.dtype == getattr(xp, "float16", None):
        return xp.astype(normal_cdf(xp.astype(X, xp.float32)), X.dtype)
    Z = X * math.sqrt(0.5)
    size = xp.abs(Z)
    half = 0.5 * _erfc_tail(xp, size)
    outside = xp.where(Z < 0, half, 1.0 - half)
    return xp.where(size <= _CENTRE, 0.5 + 0.5 * _erf_centre(xp, Z), outside)


class GeluSaved(NamedTuple):
    """What the backward of ``gelu`` needs."""

    X: Any
    approximate: str


_SLOPE = math.sqrt(2.0 / math.pi)
_CUBIC = 0.044715


def _gelu_tanh(xp: Any, X: Any) -> Any:
    return xp.tanh(_SLOPE * (X + _CUBIC * (X * X * X)))


def gelu_forward(X: Any, *, approximate: str = "none") -> tuple[Any, GeluSaved]:
    r"""Compute $X \Phi(X)$, or with ``approximate="tanh"`` its approximation by a tanh.

    Args:
        X: any shape, floating.
        approximate: "none" or "tanh".

    Returns:
        Y of the shape and dtype of X, and what the backward needs.

    Raises:
        DTypeError: if X holds integers.
        ConfigurationError: if ``approximate`` is neither.

    >>> import numpy as np
    >>> gelu_forward(np.array([-1.0, 0.0, 1.0]))[0]
    array([-0.15865525,  0.        ,  0.84134475])
    """
    need_floats("gelu", X=X)
    if approximate == "none":
        return X * normal_cdf(X), GeluSaved(X, approximate)
    if approximate != "tanh":
        raise ConfigurationError(f"gelu: approximate is 'none' or 'tanh', got {approximate!r}")
    return 0.5 * X * (1.0 + _gelu_tanh(array_namespace(X), X)), GeluSaved(X, approximate)


def gelu_backward(dY: Any, saved: GeluSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dX = dY (Φ(X) + X φ(X)), with the normal density φ; or the same of the tanh form."""
    X, approximate = saved
    xp = array_namespace(dY)
    if approximate == "none":
        density = xp.exp(-0.5 * (X * X)) * (1.0 / math.sqrt(2.0 * math.pi))
        return (dY * (normal_cdf(X) + X * density),)
    # Beyond 100 the tanh is flat in every dtype; cut there, X² cannot overflow.
    near = clip(X, -100.0, 100.0)
    T = _gelu_tanh(xp, near)
    slope = _SLOPE * (1.0 + (3.0 * _CUBIC) * (near * near))
    return (dY * (0.5 * (1.0 + T) + 0.5 * near * (1.0 - T * T) * slope),)


GELU = formula(
    gelu_forward,
    gelu_backward,
    equation=r"Y = X \Phi(X) \approx \tfrac{1}{2} X (1 + \tanh(\sqrt{2/\pi} (X + 0.044715 X^3)))",
    gradients={"X": r"\frac{\partial L}{\partial Y} \odot (\Phi(X) + X \varphi(X))"},
    shapes="X (any) -> Y (same)",
    source="Hendrycks and Gimpel 2016, arXiv:1606.08415",
)
