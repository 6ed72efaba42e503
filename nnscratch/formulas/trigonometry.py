r"""Circular and hyperbolic functions of each entry, and their inverses."""

from __future__ import annotations

from typing import Any

from nnscratch.array.maths import (
    absolute,
    acos,
    acosh,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    cos,
    cosh,
    sin,
    sinh,
    sqrt,
    tan,
    where,
)
from nnscratch.formulas.formula import Formula
from nnscratch.formulas.pointwise import Body, elementwise

_PI = 3.141592653589793


def sin_forward(A: Any) -> Any:
    """Compute the sine of A in radians.

    Raises:
        DTypeError: if A holds integers.

    >>> import numpy as np
    >>> sin_forward(np.array([0.0, 0.5]))
    array([0.        , 0.47942554])
    """
    return sin(A)


def sin_backward(dY: Any, A: Any) -> Any:
    """Return dA = dY cos A."""
    return dY * cos(A)


def cos_forward(A: Any) -> Any:
    """Compute the cosine of A in radians; errors as in ``sin``."""
    return cos(A)


def cos_backward(dY: Any, A: Any) -> Any:
    """Return dA = -dY sin A."""
    return -dY * sin(A)


def tan_forward(A: Any) -> Any:
    """Compute the tangent of A in radians; errors as in ``sin``."""
    return tan(A)


def tan_backward(dY: Any, Y: Any) -> Any:
    """Return dA = dY (1 + Y²)."""
    return dY * (1.0 + Y * Y)


def asin_forward(A: Any) -> Any:
    """Compute the angle whose sine is A, NaN beyond ±1; errors as in ``sin``."""
    return asin(A)


def asin_backward(dY: Any, A: Any) -> Any:
    """Return dA = dY / √(1 - A²)."""
    return dY / sqrt(1.0 - A * A)


def acos_forward(A: Any) -> Any:
    """Compute the angle whose cosine is A, NaN beyond ±1; errors as in ``sin``."""
    return acos(A)


def acos_backward(dY: Any, A: Any) -> Any:
    """Return dA = -dY / √(1 - A²)."""
    return -dY / sqrt(1.0 - A * A)


def atan_forward(A: Any) -> Any:
    """Compute the angle whose tangent is A; errors as in ``sin``."""
    return atan(A)


def atan_backward(dY: Any, A: Any) -> Any:
    """Return dA = dY / (1 + A²)."""
    return dY / (1.0 + A * A)


def sinh_forward(A: Any) -> Any:
    """Compute the hyperbolic sine; errors as in ``sin``."""
    return sinh(A)


def sinh_backward(dY: Any, A: Any) -> Any:
    """Return dA = dY cosh A."""
    return dY * cosh(A)


def cosh_forward(A: Any) -> Any:
    """Compute the hyperbolic cosine; errors as in ``sin``."""
    return cosh(A)


def cosh_backward(dY: Any, A: Any) -> Any:
    """Return dA = dY sinh A."""
    return dY * sinh(A)


def asinh_forward(A: Any) -> Any:
    """Compute the inverse of the hyperbolic sine; errors as in ``sin``."""
    return asinh(A)


def asinh_backward(dY: Any, A: Any) -> Any:
    """Return dA = dY / √(A² + 1)."""
    return dY / sqrt(A * A + 1.0)


def acosh_forward(A: Any) -> Any:
    """Compute the inverse of the hyperbolic cosine, NaN below 1; errors as in ``sin``."""
    return acosh(A)


def acosh_backward(dY: Any, A: Any) -> Any:
    """Return dA = dY / √(A² - 1)."""
    return dY / sqrt(A * A - 1.0)


def atanh_forward(A: Any) -> Any:
    """Compute the inverse of the hyperbolic tangent, NaN beyond ±1; errors as in ``sin``."""
    return atanh(A)


def atanh_backward(dY: Any, A: Any) -> Any:
    """Return dA = dY / (1 - A²)."""
    return dY / (1.0 - A * A)


def sinc_forward(A: Any) -> Any:
    """Compute sin(πA) / (πA), 1 at 0; errors as in ``sin``."""
    X = where(A == 0, 1.0, A) * _PI
    return where(A == 0, 1.0, sin(X) / X)


def sinc_backward(dY: Any, A: Any) -> Any:
    """Return dA = dY (cos(πA) - sinc A) / A, 0 at 0.

    Near 0 the difference would have no digits left: there it is the sum of its power series,
    -X/3 + X³/30 - X⁵/840 + ... with X = πA, times π.
    """
    small = absolute(A) < 0.15
    B = where(small, 1.0, A)
    X, Z = B * _PI, where(small, A, 0.0) * _PI
    S = Z * Z
    rest = 1.0 / 45360.0 - S * (1.0 / 3991680.0 - S * (1.0 / 518918400.0 - S / 93405312000.0))
    series = -1.0 / 3.0 + S * (1.0 / 30.0 - S * (1.0 / 840.0 - S * rest))
    return dY * where(small, series * Z * _PI, (cos(X) - sin(X) / X) / B)


def _function(
    forward: Body, backward: Body, equation: str, slope: str, kinks: tuple[float, ...] = ()
) -> Formula:
    return elementwise(
        forward,
        {"A": backward},
        loops=forward in (sin_forward, cos_forward),
        equation=f"Y = {equation}",
        gradients={"A": rf"\frac{{\partial L}}{{\partial Y}} {slope}"},
        shapes="A (any) -> Y (same)",
        source="Abramowitz and Stegun 1964, sections 4.3 to 4.6; the chain rule",
        kinks=kinks,
        analytic=True,
    )


SIN = _function(sin_forward, sin_backward, r"\sin A", r"\odot \cos A")
COS = _function(cos_forward, cos_backward, r"\cos A", r"\odot (-\sin A)")
TAN = _function(tan_forward, tan_backward, r"\tan A", r"\odot (1 + Y^2)")
ASIN = _function(asin_forward, asin_backward, r"\arcsin A", r"\odot (1 - A^2)^{-1/2}", (-1.0, 1.0))
ACOS = _function(
    acos_forward, acos_backward, r"\arccos A", r"\odot (-(1 - A^2)^{-1/2})", (-1.0, 1.0)
)
ATAN = _function(atan_forward, atan_backward, r"\arctan A", r"/ (1 + A^2)")
SINH = _function(sinh_forward, sinh_backward, r"\sinh A", r"\odot \cosh A")
COSH = _function(cosh_forward, cosh_backward, r"\cosh A", r"\odot \sinh A")
ASINH = _function(
    asinh_forward, asinh_backward, r"\operatorname{arsinh} A", r"\odot (A^2 + 1)^{-1/2}"
)
ACOSH = _function(
    acosh_forward, acosh_backward, r"\operatorname{arcosh} A", r"\odot (A^2 - 1)^{-1/2}", (1.0,)
)
ATANH = _function(
    atanh_forward, atanh_backward, r"\operatorname{artanh} A", r"/ (1 - A^2)", (-1.0, 1.0)
)
SINC = _function(
    sinc_forward,
    sinc_backward,
    r"\frac{\sin \pi A}{\pi A}",
    r"\odot \frac{\cos \pi A - Y}{A}",
)


def atan2_forward(A: Any, B: Any) -> Any:
    """Compute the angle of the point with abscissa B and ordinate A, from -π to π.

    Args:
        A: an array or a Python number.
        B: likewise; one of the two is an array, and two arrays have one dtype.

    Raises:
        ShapeError: if the shapes do not broadcast.
        DTypeError: if one of them holds integers.

    >>> import numpy as np
    >>> float(atan2_forward(np.array(1.0), np.array(0.0)))
    1.5707963267948966
    """
    return atan2(A, B)


def atan2_backward_A(dY: Any, A: Any, B: Any) -> Any:
    """Return dA = dY B / (A² + B²), 0 at the origin."""
    S = A * A + B * B
    return dY * (B / where(S == 0, 1.0, S))


def atan2_backward_B(dY: Any, A: Any, B: Any) -> Any:
    """Return dB = -dY A / (A² + B²), 0 at the origin."""
    S = A * A + B * B
    return dY * (-A / where(S == 0, 1.0, S))


ATAN2 = elementwise(
    atan2_forward,
    {"A": atan2_backward_A, "B": atan2_backward_B},
    loops=False,
    equation=r"Y = \operatorname{atan2}(A, B)",
    gradients={
        "A": r"\frac{\partial L}{\partial Y} \odot \frac{B}{A^2 + B^2}",
        "B": r"-\frac{\partial L}{\partial Y} \odot \frac{A}{A^2 + B^2}",
    },
    shapes="A and B (shapes that broadcast) -> Y (their common shape)",
    source="Abramowitz and Stegun 1964, section 4.4; the chain rule",
    kinks="where A = 0 and B is not positive",
)
