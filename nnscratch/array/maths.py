"""The functions that the body of an elementwise formula may call, on arrays of any library.

The body (see ``nnscratch.formulas.pointwise``) is an expression in these functions, ``+ - * /``,
comparisons and numbers. Here each function takes whole arrays. Where the same body is compiled to
a loop or to CUDA C++, the name stands for a function of one number
(``nnscratch.kernels.cpu.words``, ``kernels/cuda/words.cuh``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch.array import selection, special
from nnscratch.array.backend import array_namespace
from nnscratch.array.dtypes import is_complex, is_floating, is_integer
from nnscratch.array.selection import zero_where
from nnscratch.array.special import normal_cdf

__all__ = [
    "absolute",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "ceil",
    "cos",
    "cosh",
    "erf",
    "erfc",
    "erfinv",
    "exp",
    "exp2",
    "expm1",
    "floor",
    "floor_divide",
    "flushed",
    "hypot",
    "like",
    "log",
    "log10",
    "log1p",
    "log2",
    "maximum",
    "minimum",
    "normal_tail",
    "normal_tail_and_density",
    "power",
    "real",
    "remainder",
    "round_half_even",
    "sign",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
    "trunc",
    "where",
]

_NUMBERS = (bool, int, float)


def exp(x: Any) -> Any:
    """Return e^x."""
    return array_namespace(x).exp(x)


def expm1(x: Any) -> Any:
    """Return e^x - 1, exact near 0."""
    return array_namespace(x).expm1(x)


def log(x: Any) -> Any:
    """Return the natural logarithm: -infinity at 0, NaN below."""
    return array_namespace(x).log(x)


def log1p(x: Any) -> Any:
    """Return log(1 + x), exact near 0."""
    return array_namespace(x).log1p(x)


def sqrt(x: Any) -> Any:
    """Return the square root, NaN below 0."""
    return array_namespace(x).sqrt(x)


def tanh(x: Any) -> Any:
    """Return the hyperbolic tangent."""
    return array_namespace(x).tanh(x)


def absolute(x: Any) -> Any:
    """Return |x|."""
    return array_namespace(x).abs(x)


def sign(x: Any) -> Any:
    """Return -1, 0 or 1 as x is negative, zero or positive; NaN stays NaN."""
    return selection.sign(x)


def floor(x: Any) -> Any:
    """Return the largest integer that is at most x, in the dtype of x."""
    return array_namespace(x).floor(x)


def flushed(x: Any) -> Any:
    """Return x; in a compiled loop 0 in the place of denormals, which are 50 times slower there.

    A running average of gradients that stay 0, as those of a dead unit, gets there in 900 steps.
    """
    return x


def real(x: Any) -> Any:
    """Return the real part of x; x itself if it is real.

    A body compares ``real(x)`` where it chooses a branch, because complex numbers, which only the
    complex-step gradient check passes, have no order.
    """
    if type(x) is np.ndarray:  # the common case, without the cost of looking up the namespace
        return x.real if x.dtype.kind == "c" else x
    return array_namespace(x).real(x) if is_complex(x) else x


def maximum(a: Any, b: Any) -> Any:
    """Return the elementwise maximum of a and b, one of which may be a number; NaN propagates."""
    return array_namespace(a, b).maximum(a, b)


def minimum(a: Any, b: Any) -> Any:
    """Return the elementwise minimum of a and b, one of which may be a number; NaN propagates."""
    return array_namespace(a, b).minimum(a, b)


def where(condition: Any, a: Any, b: Any) -> Any:
    """Return a where the condition holds, else b; a NaN that is not selected has no effect.

    >>> import numpy as np
    >>> where(np.array([True, False]), 0.0, np.array([np.nan, 2.0]))
    array([0., 2.])
    """
    if isinstance(condition, bool):
        return a if condition else b
    if type(a) is float and not a and type(b) is np.ndarray and b.dtype.kind == "f":
        return zero_where(condition, b)  # the common case first
    if type(a) in _NUMBERS:
        if type(b) in _NUMBERS:
            return array_namespace(condition).where(condition, a, b)
        if not is_floating(b):
            return array_namespace(b).where(condition, a, b)
        return selection.where(condition, float(a), b) if a else zero_where(condition, b)
    return selection.where(condition, a, float(b) if type(b) in _NUMBERS and is_floating(a) else b)


def power(a: Any, b: Any) -> Any:
    """Return a raised to the power b; one of the two may be a number."""
    if isinstance(b, _NUMBERS) and b == 2:
        return a * a
    if hasattr(b, "dtype") and hasattr(a, "dtype") and is_integer(a) and is_integer(b):
        # A negative power of an integer is 0, but of 1 and -1.
        xp = array_namespace(a, b)
        odd = xp.where(b % 2 == 1, a, xp.ones_like(a))
        units = xp.where((a == 1) | (a == -1), odd, xp.zeros_like(a))
        return xp.where(b < 0, units, a ** xp.where(b < 0, xp.zeros_like(b), b))
    return a**b


def like(value: Any, x: Any) -> Any:
    """Return a number as an array of the shape and dtype of x; return an array unchanged."""
    if isinstance(value, _NUMBERS):
        return array_namespace(x).full_like(x, value)
    return value


def normal_tail(x: Any) -> Any:
    r"""Return $\Phi(-|x|)$, the tail of the standard normal distribution.

    >>> import numpy as np
    >>> float(normal_tail(np.array(0.0)))
    0.5
    """
    return normal_cdf(-absolute(x))


def normal_tail_and_density(x: Any) -> tuple[Any, Any]:
    r"""Return $\Phi(-|x|)$ and $e^{-x^2/2}$, the density times $\sqrt{2\pi}$.

    A compiled loop shares the exponential between the two.

    >>> import numpy as np
    >>> [float(one) for one in normal_tail_and_density(np.array(0.0))]
    [0.5, 1.0]
    """
    return normal_cdf(-absolute(x)), exp(-0.5 * (x * x))


def acos(x: Any) -> Any:
    """Return the angle whose cosine is x."""
    return array_namespace(x).acos(x)


def acosh(x: Any) -> Any:
    """Return the inverse of the hyperbolic cosine."""
    return array_namespace(x).acosh(x)


def asin(x: Any) -> Any:
    """Return the angle whose sine is x."""
    return array_namespace(x).asin(x)


def asinh(x: Any) -> Any:
    """Return the inverse of the hyperbolic sine."""
    return array_namespace(x).asinh(x)


def atan(x: Any) -> Any:
    """Return the angle whose tangent is x."""
    return array_namespace(x).atan(x)


def atanh(x: Any) -> Any:
    """Return the inverse of the hyperbolic tangent."""
    return array_namespace(x).atanh(x)


def ceil(x: Any) -> Any:
    """Return the smallest whole number that is at least x, in the dtype of x."""
    return array_namespace(x).ceil(x)


def cos(x: Any) -> Any:
    """Return the cosine."""
    return array_namespace(x).cos(x)


def cosh(x: Any) -> Any:
    """Return the hyperbolic cosine."""
    return array_namespace(x).cosh(x)


def log10(x: Any) -> Any:
    """Return the logarithm of base 10."""
    return array_namespace(x).log10(x)


def log2(x: Any) -> Any:
    """Return the logarithm of base 2."""
    return array_namespace(x).log2(x)


def sin(x: Any) -> Any:
    """Return the sine."""
    return array_namespace(x).sin(x)


def sinh(x: Any) -> Any:
    """Return the hyperbolic sine."""
    return array_namespace(x).sinh(x)


def tan(x: Any) -> Any:
    """Return the tangent."""
    return array_namespace(x).tan(x)


def trunc(x: Any) -> Any:
    """Return x without its fraction, in the dtype of x."""
    return array_namespace(x).trunc(x)


def exp2(x: Any) -> Any:
    """Return 2 to the power x."""
    if isinstance(x, np.ndarray):
        return np.exp2(x)
    return 2.0**x


def round_half_even(x: Any) -> Any:
    """Return the nearest whole number, the even one of two, in the dtype of x."""
    return array_namespace(x).round(x)


def remainder(a: Any, b: Any) -> Any:
    """Return what a leaves when it is divided by b, with the sign of b."""
    xp = array_namespace(a, b)
    return xp.remainder(like(a, b), like(b, a))


def floor_divide(a: Any, b: Any) -> Any:
    """Return the largest whole number that is at most a / b; ±infinity or NaN if b is 0."""
    xp = array_namespace(a, b)
    a, b = like(a, b), like(b, a)
    if not is_floating(a):
        return xp.floor_divide(a, b)
    return xp.where(b == 0, a / b, xp.floor_divide(a, b))


def atan2(a: Any, b: Any) -> Any:
    """Return the angle of the point with abscissa b and ordinate a."""
    return array_namespace(a, b).atan2(like(a, b), like(b, a))


def hypot(a: Any, b: Any) -> Any:
    """Return the square root of a² + b²."""
    return array_namespace(a, b).hypot(like(a, b), like(b, a))


def erf(x: Any) -> Any:
    """Return the error function."""
    return special.erf(x)


def erfc(x: Any) -> Any:
    """Return 1 less the error function, exact where that is small."""
    return special.erfc(x)


def erfinv(x: Any) -> Any:
    """Return the inverse of the error function."""
    return special.erfinv(x)
