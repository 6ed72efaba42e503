r"""The error function and the normal distribution, which the array API standard does not have.

The rational approximations are those of W. J. Cody, Rational Chebyshev approximations for the error
function, Mathematics of Computation 23 (1969): one for |x| <= 0.46875, one up to |x| = 4 and one
beyond, each accurate to the last bits of float64.
"""

from __future__ import annotations

import math
from typing import Any

from nnscratch.array.backend import array_namespace
from nnscratch.array.selection import clip

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
    """Return the quotient of two polynomials by Horner's rule, highest coefficient first."""
    top, bottom = over[0] * X + over[1], under[0] * X + under[1]
    for a, b in zip(over[2:], under[2:], strict=True):
        top, bottom = top * X + a, bottom * X + b
    return top / bottom


def _erf_centre(xp: Any, X: Any) -> Any:
    """Return erf X for |X| <= 0.46875; X is clipped to that range."""
    X = clip(X, -_CENTRE, _CENTRE)
    return X * _ratio(X * X, _A, _B)


def _erfc_tail(xp: Any, Y: Any) -> Any:
    """Return 1 - erf Y for Y >= 0.46875; Y is clipped to 30 too, where the result underflows."""
    Y = clip(Y, _CENTRE, 30.0)
    near = _ratio(xp.minimum(Y, 4.0), _C, _D)
    Z = 1.0 / (xp.maximum(Y, 4.0) * xp.maximum(Y, 4.0))
    far = (1.0 / math.sqrt(math.pi) - Z * _ratio(Z, _P, _Q)) / Y
    # e^(-Y²) with Y² = coarse² + (Y - coarse)(Y + coarse): coarse² is exact, being a multiple of
    # 1/256, so the large exponent has no rounding error.
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
    r"""Return $\Phi(X) = (1 + \mathrm{erf}(X/\sqrt 2))/2$, the normal distribution function.

    It is accurate in the lower tail too, where the sum $1 + \mathrm{erf}$ would cancel.

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
