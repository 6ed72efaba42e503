"""Scaling and filling of whole arrays. Imports Numba."""

from __future__ import annotations

from collections.abc import Callable

from .runtime.intrinsics import pointer
from .runtime.parts import KINDS, part

GRAIN = 1024


def make_scale(dtype: str) -> Callable[..., None]:
    """Return the kernel Y = c X, or Y = c f X with a factor f read from memory."""
    kind = KINDS[dtype]

    def kernel(a, s, tid, threads):
        x, y = pointer(a[0], kind), pointer(a[1], kind)
        first, last = part(a[3], tid, threads, GRAIN)
        c = kind(s[0])
        if a[2] != 0:
            c = c * pointer(a[2], kind)[0]
        if a[0] != a[1]:
            for i in range(first, last):
                y[i] = c * x[i]
        else:
            for i in range(first, last):
                y[i] = c * y[i]

    return kernel


def make_fill(dtype: str) -> Callable[..., None]:
    """Return the kernel Y = c."""
    kind = KINDS[dtype]

    def kernel(a, s, tid, threads):
        y = pointer(a[0], kind)
        first, last = part(a[1], tid, threads, GRAIN)
        c = kind(s[0])
        for i in range(first, last):
            y[i] = c

    return kernel
