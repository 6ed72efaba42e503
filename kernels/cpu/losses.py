"""Losses of elements: mean squared error, and binary cross-entropy of logits. Imports Numba.

The forward writes one partial sum for each block of elements, in float64; ``finish_sum`` of the
reductions adds them and divides. The backward multiplies by the upstream gradient ``g``, a number
in memory, and by a factor such as 2 / n.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import njit

from .functions import exp, log1p, sigmoid
from .reduction_sizes import BLOCK, LANES
from .runtime.intrinsics import INLINE, cast, pointer, stack
from .runtime.parts import KINDS, part

MSE, BCE = 0, 1


@njit(**INLINE)
def element_loss(what, x, t, weight):
    """(x - t)², or (1 - t) x + (1 + (weight - 1) t) log(1 + e^-x) without overflow."""
    if what == MSE:
        return (x - t) * (x - t)
    zero, one = cast(0.0, x), cast(1.0, x)
    tail = log1p(exp(-abs(x))) + (zero if x > zero else -x)
    return (one - t) * x + (one + (weight - one) * t) * tail


def make_loss_sums(dtype: str, what: int) -> Callable[..., None]:
    """Return the kernel that writes the partial sums of the loss of each block of elements."""
    kind = KINDS[dtype]

    def kernel(a, s, tid, threads):
        x, t, weights = pointer(a[0], kind), pointer(a[1], kind), pointer(a[2], kind)
        partial, count, period = pointer(a[3], np.float64), a[4], a[5]
        first, last = part((count + BLOCK - 1) // BLOCK, tid, threads, 1)
        lanes, values = stack(32, np.float64), stack(4096, kind)
        for block in range(first, last):
            start, length = block * BLOCK, min(BLOCK, count - block * BLOCK)
            if a[2] != 0 and what == BCE:
                for i in range(length):
                    w = weights[(start + i) % period]
                    values[i] = element_loss(what, x[start + i], t[start + i], w)
            else:
                for i in range(length):
                    values[i] = element_loss(what, x[start + i], t[start + i], kind(1.0))
            for l in range(LANES):
                lanes[l] = 0.0
            whole = length // LANES * LANES
            for i in range(0, whole, LANES):
                for l in range(LANES):
                    lanes[l] += np.float64(values[i + l])
            for i in range(whole, length):
                lanes[i - whole] += np.float64(values[i])
            total = 0.0
            for l in range(LANES):
                total += lanes[l]
            partial[block] = total

    return kernel


def make_loss_elements(dtype: str, what: int) -> Callable[..., None]:
    """Return the kernel that writes the loss of every element (reduction "none")."""
    kind = KINDS[dtype]

    def kernel(a, s, tid, threads):
        x, t, weights = pointer(a[0], kind), pointer(a[1], kind), pointer(a[2], kind)
        out, count, period = pointer(a[3], kind), a[4], a[5]
        first, last = part(count, tid, threads, 1024)
        if a[2] != 0 and what == BCE:
            for i in range(first, last):
                out[i] = element_loss(what, x[i], t[i], weights[i % period])
        else:
            for i in range(first, last):
                out[i] = element_loss(what, x[i], t[i], kind(1.0))

    return kernel


@njit(**INLINE)
def element_slope(what, x, t, weight):
    """X - t (the factor 2 is in the kernel's factor), or σ(x) - t and its weighted form."""
    if what == MSE:
        return x - t
    one = cast(1.0, x)
    y = sigmoid(x)
    return (one - t) * y - weight * t * (one - y)


def make_loss_backward(dtype: str, what: int) -> Callable[..., None]:
    """Return the kernel dX = c g · slope; g is one number, or one for each element."""
    kind = KINDS[dtype]

    def kernel(a, s, tid, threads):
        x, t, weights = pointer(a[0], kind), pointer(a[1], kind), pointer(a[2], kind)
        g, step, dx, count, period = pointer(a[3], kind), a[4], pointer(a[5], kind), a[6], a[7]
        first, last = part(count, tid, threads, 1024)
        factor = kind(s[0])
        if a[2] != 0 and what == BCE:
            for i in range(first, last):
                slope = element_slope(what, x[i], t[i], weights[i % period])
                dx[i] = factor * g[i * step] * slope
        elif step == 0:
            factor = factor * g[0]
            for i in range(first, last):
                if what == BCE:
                    dx[i] = factor * (sigmoid(x[i]) - t[i])
                else:
                    dx[i] = factor * (x[i] - t[i])
        else:
            for i in range(first, last):
                dx[i] = factor * g[i] * element_slope(what, x[i], t[i], kind(1.0))

    return kernel
