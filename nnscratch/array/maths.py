"""The functions that the body of an elementwise formula may call, on arrays of any library.

The body (see ``nnscratch.formulas.pointwise``) is an expression in these functions, ``+ - * /``,
comparisons and numbers. Here each function takes whole arrays. Where the same body is compiled to
a loop, the name stands for a function of one number (``nnscratch.kernels.cpu.words``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch.array import selection
from nnscratch.array.backend import array_namespace
from nnscratch.array.dtypes import is_complex, is_floating
from nnscratch.array.selection import zero_where
from nnscratch.array.special import normal_cdf

__all__ = [
    "absolute",
    "exp",
    "expm1",
    "floor",
    "flushed",
    "like",
    "log",
    "log1p",
    "maximum",
    "minimum",
    "normal_tail",
    "normal_tail_and_density",
    "power",
    "real",
    "sign",
    "sqrt",
    "tanh",
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
