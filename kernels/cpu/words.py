"""The words of elementwise bodies on one number (``nnscratch.array.maths``). Imports Numba.

Each is called ``_word_`` and the word's name, by which ``WORDS`` finds it, and ends in a selection
instead of a branch, which is what lets a loop over it vectorise.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from . import functions
from .runtime.intrinsics import INLINE, cast


@njit(**INLINE)
def _word_sqrt(x):
    return math.sqrt(x)


@njit(**INLINE)
def _word_absolute(x):
    return abs(x)


@njit(**INLINE)
def _word_sign(x):
    one, zero = cast(1.0, x), cast(0.0, x)
    return one if x > zero else (-one if x < zero else x)


@njit(**INLINE)
def _word_floor(x):
    return np.floor(x)


@njit(**INLINE)
def _word_sin(x):
    return math.sin(x)


@njit(**INLINE)
def _word_cos(x):
    return math.cos(x)


@njit(**INLINE)
def _word_flushed(x):
    return cast(0.0, x) if abs(x) < functions.least(x) else x


@njit(**INLINE)
def _word_real(x):
    return x


@njit(**INLINE)
def _word_like(value, x):
    return value


@njit(**INLINE)
def _word_maximum(a, b):
    return b if a < b or b != b else a


@njit(**INLINE)
def _word_minimum(a, b):
    return b if a > b or b != b else a


@njit(**INLINE)
def _word_where(condition, a, b):
    return a if condition else b


@njit(**INLINE)
def _word_power(a, b):
    # The choice is the same for all numbers of a loop, and is made before it.
    return a * a if b == cast(2.0, b) else (a if b == cast(1.0, b) else a**b)


@njit(**INLINE)
def _word_normal_tail(x):
    tail, _ = functions.normal_tail(x)
    return tail


_word_exp = functions.exp
_word_expm1 = functions.expm1
_word_log = functions.log
_word_log1p = functions.log1p
_word_tanh = functions.tanh
_word_normal_tail_and_density = functions.normal_tail

WORDS: dict[str, Any] = {
    name[1:]: function for name, function in globals().items() if name.startswith("_word_")
}
