"""exp, log, tanh and their kin as short polynomials that vectorise. Imports Numba.

The functions of the C library are called one element at a time, so a loop over them runs at a
tenth of the speed of its neighbours. In float32 these are straight lines of multiplications,
additions and bit operations instead; infinities and NaN go through. The polynomials were fitted
for this file by iteratively reweighted least squares. In float64, which is for checking, the C
library is called.

Largest errors measured over all of float32's range, in units of the last place (``ulp``), with a
fused multiply-add: see ``tests/kernels/test_functions.py``, which measures them again.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import overload

from .runtime.exponents import power_of_two, scale_exponent, split_exponent
from .runtime.intrinsics import HAS_FMA, INLINE, fma

f32 = np.float32

LOG2_E = f32(1.4426950408889634)
LN2_HIGH = f32(0.693145751953125)  # 17 bits: n times it is exact
LN2_LOW = f32(1.428606765330187e-06)
SHIFTER = f32(12582912.0)  # 1.5 * 2**23: adding it rounds to a whole number


SINGLE: dict[Any, Any] = {}
"""Functions of float64, and what stands for each in float32."""


def _overloaded(double: Any, single: Any) -> None:
    """Let the function ``double`` mean ``single`` for float32 in compiled code."""
    SINGLE[double] = single

    @overload(double, jit_options=INLINE)
    def choose(x):
        return {types.float32: single, types.float64: double}.get(x)


def exp(x):
    """e^x."""
    return math.exp(x)


def decay(x):
    """e^x for x <= 0, quicker than ``exp``."""
    return math.exp(x)


def raised_decay(x):
    """2^30 e^x for x <= 0, in float32 never less than for x = -105: 2^-30 of that is 0.

    It is no denormal number, and takes a multiplication less than ``decay``. It is for quotients.
    """
    return math.exp(x) * 2.0**30


def expm1(x):
    """e^x - 1, accurate near 0."""
    return math.expm1(x)


def log(x):
    """The natural logarithm; -inf at 0, NaN below."""
    return math.log(x)


def log1p(x):
    """log(1 + x), accurate near 0."""
    return math.log1p(x)


def tanh(x):
    """The hyperbolic tangent."""
    return math.tanh(x)


def sigmoid(x):
    """1 / (1 + e^-x), without overflow on either side."""
    power = math.exp(-abs(x))
    return (1.0 if x >= 0.0 else power) / (1.0 + power)


def normal_tail(x):
    """Φ(-|x|) and e^(-x²/2), accurate far out."""
    return 0.5 * math.erfc(abs(x) * math.sqrt(0.5)), math.exp(-0.5 * x * x)


def least(x):
    """The smallest normal number of the dtype of x."""
    return 2.0**-1022


def _least_single(x):
    return f32(2.0**-126)


@njit(**INLINE)
def _expm1_core(r):
    """e^r - 1 for |r| <= 0.35."""
    q = fma(f32(0.0013813142431899905), r, f32(0.008369418792426586))
    q = fma(q, r, f32(0.04166845604777336))
    q = fma(q, r, f32(0.16666515171527863))
    q = fma(q, r, f32(0.4999999403953552))
    return fma(q, r * r, r)


@njit(**INLINE)
def _reduced(x):
    """N + SHIFTER and r with x = n log 2 + r, |r| <= log(2) / 2."""
    # Beyond these bounds the result is 0 or infinity anyway; NaN fails both comparisons.
    return _split(f32(89.0) if x > f32(89.0) else x)


@njit(**INLINE)
def _split(x):
    """The same for x <= 89."""
    x = f32(-105.0) if x < f32(-105.0) else x
    shifted = fma(x, LOG2_E, SHIFTER)
    n = shifted - SHIFTER
    return shifted, fma(n, -LN2_LOW, fma(n, -LN2_HIGH, x))


def _exp_single(x):
    shifted, r = _reduced(x)
    return scale_exponent(f32(1.0) + _expm1_core(r), shifted)


def _raised_decay_single(x):
    shifted, r = _split(x)
    return (f32(1.0) + _expm1_core(r)) * power_of_two(shifted, 30)


def _decay_single(x):
    # 2^30 times the result is no denormal number, so one factor is enough.
    return raised_decay(x) * f32(2.0**-30)


def _expm1_single(x):
    shifted, r = _reduced(x)
    core = _expm1_core(r)
    power = scale_exponent(f32(1.0), shifted)
    near = fma(power, core, power - f32(1.0))
    far = scale_exponent(f32(1.0) + core, shifted)
    return near if x < f32(20.0) else far


def _log_single(x):
    tiny = x < f32(1.1754944e-38)
    scaled = x * f32(8388608.0) if tiny else x
    m, e = split_exponent(scaled)
    e = e - f32(23.0) if tiny else e
    t = m - f32(1.0)
    q = fma(f32(0.06746601313352585), t, f32(-0.11675640940666199))
    q = fma(q, t, f32(0.11888174712657928))
    q = fma(q, t, f32(-0.12405591458082199))
    q = fma(q, t, f32(0.14219550788402557))
    q = fma(q, t, f32(-0.1666799634695053))
    q = fma(q, t, f32(0.2000211924314499))
    q = fma(q, t, f32(-0.25000008940696716))
    q = fma(q, t, f32(0.3333331346511841))
    square = t * t
    low = fma(e, LN2_LOW, fma(q * t, square, f32(-0.5) * square))
    y = fma(e, LN2_HIGH, t + low)
    y = y if x < f32(np.inf) else x  # infinity and NaN
    y = f32(-np.inf) if x == f32(0.0) else y
    return f32(np.nan) if x < f32(0.0) else y


def _log1p_single(x):
    # The rounding error of 1 + x, carried along: log(u + c) = log u + c / u.
    u = f32(1.0) + x
    c = x - (u - f32(1.0))
    y = log(u)
    y = y + c / u if u > f32(0.0) else y
    return y if u < f32(np.inf) else x


def _tanh_single(x):
    s = x * x
    q = fma(f32(0.0020595774985849857), s, f32(-0.008085622452199459))
    q = fma(q, s, f32(0.021663401275873184))
    q = fma(q, s, f32(-0.05393994227051735))
    q = fma(q, s, f32(0.1333315223455429))
    q = fma(q, s, f32(-0.333333283662796))
    small = fma(q * s, x, x)
    size = abs(x)
    power = decay(f32(-2.0) * size)
    outer = f32(1.0) - f32(2.0) * power / (f32(1.0) + power)
    outer = -outer if x < f32(0.0) else outer
    return small if size < f32(0.65) else outer


def _sigmoid_single(x):
    power = decay(-abs(x))
    return (f32(1.0) if x >= f32(0.0) else power) / (f32(1.0) + power)


@njit(**INLINE)
def _lost(z, square):
    """What rounding has taken from the square of z."""
    if HAS_FMA:
        return fma(z, z, -square)
    # In halves of 12 bits, whose products are exact (Dekker 1971).
    shifted = z * f32(4097.0)
    high = shifted - (shifted - z)
    low = z - high
    return ((high * high - square) + f32(2.0) * high * low) + low * low


def _normal_tail_single(x):
    z = abs(x)
    z = f32(15.0) if z > f32(15.0) else z
    square = z * z
    rest = _lost(z, square)
    density = decay(f32(-0.5) * square)
    density = fma(density, f32(-0.5) * rest, density)
    u = f32(1.0) / fma(f32(0.3), z, f32(1.0))
    q = fma(f32(-0.02062869630753994), u, f32(0.11246497929096222))
    q = fma(q, u, f32(-0.22828522324562073))
    q = fma(q, u, f32(0.1918838769197464))
    q = fma(q, u, f32(-0.07950964570045471))
    q = fma(q, u, f32(0.09620518237352371))
    q = fma(q, u, f32(0.07837213575839996))
    q = fma(q, u, f32(0.11023936420679092))
    q = fma(q, u, f32(0.11957131326198578))
    q = fma(q, u, f32(0.11968671530485153))
    return density * (q * u), density


_overloaded(exp, _exp_single)
_overloaded(raised_decay, _raised_decay_single)
_overloaded(decay, _decay_single)
_overloaded(expm1, _expm1_single)
_overloaded(log, _log_single)
_overloaded(log1p, _log1p_single)
_overloaded(tanh, _tanh_single)
_overloaded(sigmoid, _sigmoid_single)
_overloaded(normal_tail, _normal_tail_single)
_overloaded(least, _least_single)
