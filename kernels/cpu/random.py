"""Philox4x32-10 and dropout from it: any number of the stream by itself. Imports Numba.

The counter of number i is the block ``offset + i // 4``, its word ``i % 4`` (in float64 two
numbers a block). ``nnscratch.array.random`` has the same stream in array code.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import njit

from .runtime.intrinsics import INLINE, pointer, stack
from .runtime.parts import KINDS, part

u64 = np.uint64
LOW = u64(0xFFFFFFFF)
HALF = u64(32)
M0, M1 = u64(0xD2511F53), u64(0xCD9E8D57)
STEP0, STEP1 = u64(0x9E3779B9), u64(0xBB67AE85)
GROUP = 64  # blocks that are made side by side, so that the rounds vectorise
WORDS = 256  # their words


@njit(**INLINE)
def philox(block, k0, k1):
    """The four words of a block; everything is a 32-bit number in a uint64."""
    c0, c1, c2, c3 = block & LOW, block >> HALF, u64(0), u64(0)
    for _ in range(10):
        p0, p1 = c0 * M0, c2 * M1
        c0, c1, c2, c3 = (p1 >> HALF) ^ c1 ^ k0, p1 & LOW, (p0 >> HALF) ^ c3 ^ k1, p0 & LOW
        k0, k1 = (k0 + STEP0) & LOW, (k1 + STEP1) & LOW
    return c0, c1, c2, c3


@njit(**INLINE)
def group_of_words(first, k0, k1, words):
    """Write the 4 · GROUP words of GROUP blocks from ``first`` on into uint32 ``words``."""
    for i in range(GROUP):
        w0, w1, w2, w3 = philox(first + u64(i), k0, k1)
        words[4 * i] = np.uint32(w0)
        words[4 * i + 1] = np.uint32(w1)
        words[4 * i + 2] = np.uint32(w2)
        words[4 * i + 3] = np.uint32(w3)


def make_dropout(dtype: str) -> Callable[..., None]:
    """Return the kernel mask = uniform32 >= p, Y = mask X / (1 - p); Y may be X, p = 1 gives 0."""
    kind = KINDS[dtype]
    per_group = GROUP * 4

    def kernel(a, s, tid, threads):
        x, y, mask, count = pointer(a[0], kind), pointer(a[1], kind), pointer(a[2], np.uint8), a[3]
        seed, offset = u64(a[4]), u64(a[5])
        p = np.float32(s[0])
        scale = kind(1.0 / (1.0 - s[0])) if s[0] < 1.0 else kind(0.0)
        words = stack(WORDS, np.uint32)
        first, last = part(count, tid, threads, per_group)
        for start in range(first, last, per_group):
            group_of_words(
                offset + u64(start // per_group * GROUP), seed & LOW, seed >> HALF, words
            )
            length = min(per_group, last - start)
            if a[0] != a[1]:
                for i in range(length):
                    kept = np.float32(words[i] >> np.uint32(8)) * np.float32(2.0**-24) >= p
                    mask[start + i] = np.uint8(kept)
                    y[start + i] = x[start + i] * scale if kept else kind(0.0)
            else:
                for i in range(length):
                    kept = np.float32(words[i] >> np.uint32(8)) * np.float32(2.0**-24) >= p
                    mask[start + i] = np.uint8(kept)
                    y[start + i] = y[start + i] * scale if kept else kind(0.0)

    return kernel


def make_dropout_backward(dtype: str) -> Callable[..., None]:
    """Return the kernel dX = mask dY / (1 - p); dX may be dY."""
    kind = KINDS[dtype]

    def kernel(a, s, tid, threads):
        dy, mask, dx = pointer(a[0], kind), pointer(a[1], np.uint8), pointer(a[2], kind)
        scale = kind(1.0 / (1.0 - s[0])) if s[0] < 1.0 else kind(0.0)
        first, last = part(a[3], tid, threads, 1024)
        if a[0] != a[2]:
            for i in range(first, last):
                dx[i] = dy[i] * scale if mask[i] != 0 else kind(0.0)
        else:
            for i in range(first, last):
                dx[i] = dx[i] * scale if mask[i] != 0 else kind(0.0)

    return kernel
