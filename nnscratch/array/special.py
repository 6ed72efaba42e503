r"""The error function and the normal distribution, which the array API standard does not have.

The rational approximations are those of W. J. Cody, Rational Chebyshev approximations for the error
function, Mathematics of Computation 23 (1969): one for |x| <= 0.46875, one up to |x| = 4 and one
beyond, each accurate to the last bits of float64.
"""

from __future__ import annotations

import math
from typing import Any

from nnscratch.array.backend import array_namespace
from nnscratch.array.dtypes import HALVES, dtype_name
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

_GILES_NEAR = (
    2.81022636e-08,
    3.43273939e-07,
    -3.5233877e-06,
    -4.39150654e-06,
    0.00021858087,
    -0.00125372503,
    -0.00417768164,
    0.246640727,
    1.50140941,
)
_GILES_FAR = (
    -0.000200214257,
    0.000100950558,
    0.00134934322,
    -0.00367342844,
    0.00573950773,
    -0.0076224613,
    0.00943887047,
    1.00167406,
    2.83297682,
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


def erfc(X: Any) -> Any:
    """Return 1 - erf X, accurate where it is small.

    >>> import numpy as np
    >>> erfc(np.array([0.0, 10.0]))
    array([1.00000000e+00, 2.08848758e-45])
    """
    xp = array_namespace(X)
    size = xp.abs(X)
    tail = _erfc_tail(xp, size)
    outside = xp.where(X < 0, 2.0 - tail, tail)
    return xp.where(size <= _CENTRE, 1.0 - _erf_centre(xp, X), outside)


def erfinv(X: Any) -> Any:
    """Return the number whose error function is X: ±infinity at ±1, NaN beyond.

    It starts from the polynomials of M. Giles, Approximating the erfinv function, GPU Computing
    Gems (2010), which are good to 6 digits, and takes steps of Newton's method; those of the tails
    are on log erfc, which is nearly a parabola and whose digits do not cancel.

    >>> import numpy as np
    >>> erfinv(np.array([0.0, 0.5, 1.0]))
    array([0.        , 0.47693628,        inf])
    """
    xp = array_namespace(X)
    size = xp.abs(X)
    inside = size < 1.0
    Y = xp.where(inside, X, xp.zeros_like(X))
    below = 1.0 - xp.abs(Y)  # exact: the two are within a factor of 2 where it matters
    W = -xp.log(below * (1.0 + xp.abs(Y)))
    near = _polynomial(xp.minimum(W, xp.full_like(W, 5.0)) - 2.5, _GILES_NEAR)
    far = _polynomial(xp.sqrt(xp.maximum(W, xp.full_like(W, 5.0))) - 3.0, _GILES_FAR)
    Z = xp.where(W < 5.0, near, far) * Y
    for _ in range(3):
        slope = 2.0 / math.sqrt(math.pi) * xp.exp(-Z * Z)
        left = erfc(xp.abs(Z))
        tail = -_sign(xp, Z) * left * xp.log(left / below)
        Z = Z - xp.where(below < 0.5, tail, erf(Z) - Y) / slope
    edge = _sign(xp, X) * xp.where(size == 1.0, xp.full_like(X, math.inf), math.nan)
    return xp.where(inside, Z, edge)


def _sign(xp: Any, X: Any) -> Any:
    return xp.where(X < 0, -xp.ones_like(X), xp.ones_like(X))


def _polynomial(X: Any, coefficients: tuple[float, ...]) -> Any:
    """Return a polynomial by Horner's rule, highest coefficient first."""
    Y = coefficients[0] * X + coefficients[1]
    for one in coefficients[2:]:
        Y = Y * X + one
    return Y


def normal_cdf(X: Any) -> Any:
    r"""Return $\Phi(X) = (1 + \mathrm{erf}(X/\sqrt 2))/2$, the normal distribution function.

    It is accurate in the lower tail too, where the sum $1 + \mathrm{erf}$ would cancel.

    >>> import numpy as np
    >>> normal_cdf(np.array([-10.0, 0.0]))
    array([7.61985302e-24, 5.00000000e-01])
    """
    xp = array_namespace(X)
    if dtype_name(X.dtype) in HALVES:
        return xp.astype(normal_cdf(xp.astype(X, xp.float32)), X.dtype)
    Z = X * math.sqrt(0.5)
    size = xp.abs(Z)
    half = 0.5 * _erfc_tail(xp, size)
    outside = xp.where(Z < 0, half, 1.0 - half)
    return xp.where(size <= _CENTRE, 0.5 + 0.5 * _erf_centre(xp, Z), outside)
