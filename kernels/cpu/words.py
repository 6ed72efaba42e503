"""The words of elementwise bodies on one number (``nnscratch.array.maths``). Imports Numba.

Each ends in a selection instead of a branch, which is what lets a loop over it vectorise.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from . import functions
from .runtime.intrinsics import INLINE, cast


@njit(**INLINE)
def _sqrt(x):
    return math.sqrt(x)


@njit(**INLINE)
def _absolute(x):
    return abs(x)


@njit(**INLINE)
def _sign(x):
    one, zero = cast(1.0, x), cast(0.0, x)
    return one if x > zero else (-one if x < zero else x)


@njit(**INLINE)
def _floor(x):
    return np.floor(x)


@njit(**INLINE)
def _sin(x):
    return math.sin(x)


@njit(**INLINE)
def _cos(x):
    return math.cos(x)


@njit(**INLINE)
def _flushed(x):
    return cast(0.0, x) if abs(x) < functions.least(x) else x


@njit(**INLINE)
def _real(x):
    return x


@njit(**INLINE)
def _like(value, x):
    return value


@njit(**INLINE)
def _maximum(a, b):
    return b if a < b or b != b else a


@njit(**INLINE)
def _minimum(a, b):
    return b if a > b or b != b else a


@njit(**INLINE)
def _where(condition, a, b):
    return a if condition else b


@njit(**INLINE)
def _power(a, b):
    # The choice is the same for all numbers of a loop, and is made before it.
    if b == cast(2.0, b):
        return a * a
    if b == cast(1.0, b):
        return a
    return a**b


@njit(**INLINE)
def _tail(x):
    tail, _ = functions.normal_tail(x)
    return tail


WORDS: dict[str, Any] = {
    "word_absolute": _absolute,
    "word_cos": _cos,
    "word_exp": functions.exp,
    "word_expm1": functions.expm1,
    "word_floor": _floor,
    "word_flushed": _flushed,
    "word_like": _like,
    "word_log": functions.log,
    "word_log1p": functions.log1p,
    "word_maximum": _maximum,
    "word_minimum": _minimum,
    "word_normal_tail": _tail,
    "word_normal_tail_and_density": functions.normal_tail,
    "word_power": _power,
    "word_real": _real,
    "word_sign": _sign,
    "word_sin": _sin,
    "word_sqrt": _sqrt,
    "word_tanh": functions.tanh,
    "word_where": _where,
}
