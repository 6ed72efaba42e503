"""The products of a linear layer and what stands around them. Imports Numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from .intrinsics import (
    call_dgemm_32,
    call_dgemm_64,
    call_sgemm_32,
    call_sgemm_64,
    pointer,
)


@njit
def part(count, tid, threads, grain):
    """The range of ``count`` things that belongs to one thread, cut at multiples of ``grain``."""
    blocks = (count + grain - 1) // grain
    first = blocks * tid // threads * grain
    last = blocks * (tid + 1) // threads * grain
    return min(first, count), min(last, count)


def make_gemm(dtype: str, bits: int) -> Callable[..., None]:
    single = dtype == "float32"
    size = 4 if single else 8

    def gemm(a, s, tid, threads):
        f, ta, tb = a[0], a[1], a[2]
        m, n, k = a[3], a[4], a[5]
        x, ldx, y, ldy, z, ldz = a[6], a[7], a[8], a[9], a[10], a[11]
        split = a[12]
        if split == 0:
            first, last = part(m, tid, threads, 16)
            m = last - first
            x += size * first * (1 if ta else ldx)
            z += size * first * ldz
        else:
            first, last = part(n, tid, threads, 16)
            n = last - first
            y += size * first * (ldy if tb else 1)
            z += size * first
        if m <= 0 or n <= 0:
            return
        if single:
            alpha, beta = np.float32(s[0]), np.float32(s[1])
            if bits == 64:
                call_sgemm_64(f, ta, tb, m, n, k, alpha, x, ldx, y, ldy, beta, z, ldz)
            else:
                call_sgemm_32(f, ta, tb, m, n, k, alpha, x, ldx, y, ldy, beta, z, ldz)
        elif bits == 64:
            call_dgemm_64(f, ta, tb, m, n, k, s[0], x, ldx, y, ldy, s[1], z, ldz)
        else:
            call_dgemm_32(f, ta, tb, m, n, k, s[0], x, ldx, y, ldy, s[1], z, ldz)

    return gemm
