"""How the threads of a run share a range, and the dtypes of kernels. Imports Numba."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from .intrinsics import INLINE

KINDS: dict[str, Any] = {"float32": np.float32, "float64": np.float64}
"""The constructor of a dtype, which a factory closes over."""


@njit(**INLINE)
def part(count, tid, threads, grain):
    """The range of ``count`` things that belongs to one thread, cut at multiples of ``grain``."""
    blocks = (count + grain - 1) // grain
    first = blocks * tid // threads * grain
    last = blocks * (tid + 1) // threads * grain
    return min(first, count), min(last, count)
