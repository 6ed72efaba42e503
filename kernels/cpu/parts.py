"""How the threads of a run share a range. Imports Numba."""

from __future__ import annotations

from numba import njit

from .intrinsics import INLINE


@njit(**INLINE)
def part(count, tid, threads, grain):
    """The range of ``count`` things that belongs to one thread, cut at multiples of ``grain``."""
    blocks = (count + grain - 1) // grain
    first = blocks * tid // threads * grain
    last = blocks * (tid + 1) // threads * grain
    return min(first, count), min(last, count)
