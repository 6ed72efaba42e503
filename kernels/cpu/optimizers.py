"""Optimizer updates: one pass over flat buffers, in the order of PyTorch's operations.

Imports Numba. ``flags`` is a compile-time sum of the constants in ``optimizer_flags``, so that an
update without weight decay has no trace of it. Scalars are computed in float64 and rounded once,
as PyTorch does.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numba import njit

from .optimizer_flags import DECOUPLED, EXTRA, L2, MAXIMIZE, MOMENTUM
from .runtime.intrinsics import INLINE, cast, pointer
from .runtime.parts import KINDS, part

LEAST = {"float32": np.float32(2.0**-126), "float64": 2.0**-1022}
"""The smallest normal number of a dtype."""

GRAIN = 1024


@njit(**INLINE)
def gradient(flags, g, p, decay):
    """The gradient with its sign and the coupled weight decay."""
    if flags & MAXIMIZE:
        g = -g
    if flags & L2:
        g = g + decay * p
    return g


@njit(**INLINE)
def lerp(m, g, weight):
    """M + weight (g - m)."""
    return m + weight * (g - m)


@njit(**INLINE)
def settled(x, least):
    """x, or 0 where it fades away: below the smallest normal number arithmetic is 50 times slower.

    An average of gradients that stay 0, as those of a dead unit, gets there within 900 steps.
    """
    return cast(0.0, x) if abs(x) < least else x


def make_adam(dtype: str, flags: int) -> Callable[..., None]:
    """Return the kernel of Adam, AdamW and their amsgrad forms."""
    kind, least = KINDS[dtype], LEAST[dtype]

    def kernel(a, s, tid, threads):
        p, g, m = pointer(a[0], kind), pointer(a[1], kind), pointer(a[2], kind)
        v, largest = pointer(a[3], kind), pointer(a[4], kind)
        first, last = part(a[5], tid, threads, GRAIN)
        lr, beta1, beta2, step = s[0], s[1], s[2], s[5]
        # Over and under the fraction stands √(1 - β₂ᵗ) once: a division less for every number.
        root = math.sqrt(1.0 - beta2**step)
        size = kind(-(lr / (1.0 - beta1**step)) * root)
        rest1, keep2, rest2 = kind(1.0 - beta1), kind(beta2), kind(1.0 - beta2)
        eps, decay, shrink = kind(s[3] * root), kind(s[4]), kind(1.0 - lr * s[4])
        for i in range(first, last):
            x = p[i]
            d = gradient(flags, g[i], x, decay)
            if flags & DECOUPLED:
                x = x * shrink
            mean = settled(lerp(m[i], d, rest1), least)
            square = settled(v[i] * keep2 + rest2 * d * d, least)
            m[i] = mean
            v[i] = square
            if flags & EXTRA:
                square = square if not (square <= largest[i]) else largest[i]
                largest[i] = square
            p[i] = x + size * mean / (kind(math.sqrt(square)) + eps)

    return kernel


def make_sgd(dtype: str, flags: int) -> Callable[..., None]:
    """Return the kernel of SGD with momentum, dampening, nesterov and weight decay."""
    kind, least = KINDS[dtype], LEAST[dtype]

    def kernel(a, s, tid, threads):
        p, g, buffer = pointer(a[0], kind), pointer(a[1], kind), pointer(a[2], kind)
        first, last = part(a[3], tid, threads, GRAIN)
        rate, momentum, rest, decay = kind(-s[0]), kind(s[1]), kind(1.0 - s[2]), kind(s[3])
        if s[4] <= 1.0:  # the first step: the buffer becomes the gradient, dampened or not
            momentum, rest = kind(0.0), kind(1.0)
        for i in range(first, last):
            d = gradient(flags, g[i], p[i], decay)
            if flags & MOMENTUM:
                moved = settled(momentum * buffer[i] + rest * d, least)
                buffer[i] = moved
                d = d + kind(s[1]) * moved if flags & EXTRA else moved
            p[i] = p[i] + rate * d

    return kernel


def make_rmsprop(dtype: str, flags: int) -> Callable[..., None]:
    """Return the kernel of RMSprop, centered or not, with momentum or without."""
    kind, least = KINDS[dtype], LEAST[dtype]

    def kernel(a, s, tid, threads):
        p, g, v = pointer(a[0], kind), pointer(a[1], kind), pointer(a[2], kind)
        mean, buffer = pointer(a[3], kind), pointer(a[4], kind)
        first, last = part(a[5], tid, threads, GRAIN)
        rate, keep, rest = kind(-s[0]), kind(s[1]), kind(1.0 - s[1])
        eps, decay, momentum = kind(s[2]), kind(s[3]), kind(s[4])
        for i in range(first, last):
            x = p[i]
            d = gradient(flags, g[i], x, decay)
            square = settled(v[i] * keep + rest * d * d, least)
            v[i] = square
            if flags & EXTRA:
                average = settled(lerp(mean[i], d, rest), least)
                mean[i] = average
                square = square - average * average
            root = kind(math.sqrt(square)) + eps
            if flags & MOMENTUM:
                moved = settled(momentum * buffer[i] + d / root, least)
                buffer[i] = moved
                p[i] = x + rate * moved
            else:
                p[i] = x + rate * d / root

    return kernel


def make_adagrad(dtype: str, flags: int) -> Callable[..., None]:
    """Return the kernel of Adagrad."""
    kind = KINDS[dtype]

    def kernel(a, s, tid, threads):
        p, g, v = pointer(a[0], kind), pointer(a[1], kind), pointer(a[2], kind)
        first, last = part(a[3], tid, threads, GRAIN)
        rate = kind(-(s[0] / (1.0 + (s[4] - 1.0) * s[3])))
        eps, decay = kind(s[1]), kind(s[2])
        for i in range(first, last):
            x = p[i]
            d = gradient(flags, g[i], x, decay)
            square = v[i] + d * d
            v[i] = square
            p[i] = x + rate * d / (kind(math.sqrt(square)) + eps)

    return kernel


def make_adadelta(dtype: str, flags: int) -> Callable[..., None]:
    """Return the kernel of Adadelta."""
    kind, least = KINDS[dtype], LEAST[dtype]

    def kernel(a, s, tid, threads):
        p, g = pointer(a[0], kind), pointer(a[1], kind)
        v, u = pointer(a[2], kind), pointer(a[3], kind)
        first, last = part(a[4], tid, threads, GRAIN)
        rate, keep, rest = kind(-s[0]), kind(s[1]), kind(1.0 - s[1])
        eps, decay = kind(s[2]), kind(s[3])
        for i in range(first, last):
            x = p[i]
            d = gradient(flags, g[i], x, decay)
            square = settled(v[i] * keep + rest * d * d, least)
            v[i] = square
            old = u[i]
            change = kind(math.sqrt(old + eps)) / kind(math.sqrt(square + eps)) * d
            u[i] = settled(old * keep + rest * change * change, least)
            p[i] = x + rate * change

    return kernel


def make_nadam(dtype: str, flags: int) -> Callable[..., None]:
    """Return the kernel of NAdam."""
    kind, least = KINDS[dtype], LEAST[dtype]

    def kernel(a, s, tid, threads):
        p, g = pointer(a[0], kind), pointer(a[1], kind)
        m, v = pointer(a[2], kind), pointer(a[3], kind)
        first, last = part(a[4], tid, threads, GRAIN)
        lr, beta1, beta2, step, fall, product = s[0], s[1], s[2], s[5], s[6], s[7]
        mu = beta1 * (1.0 - 0.5 * 0.96 ** (step * fall))
        after = beta1 * (1.0 - 0.5 * 0.96 ** ((step + 1.0) * fall))
        now = kind(-lr * (1.0 - mu) / (1.0 - product))
        ahead = kind(-lr * after / (1.0 - product * after))
        correction = kind(1.0 - beta2**step)
        rest1, keep2, rest2 = kind(1.0 - beta1), kind(beta2), kind(1.0 - beta2)
        eps, decay, shrink = kind(s[3]), kind(s[4]), kind(1.0 - lr * s[4])
        for i in range(first, last):
            x = p[i]
            d = gradient(flags, g[i], x, decay)
            if flags & DECOUPLED:
                x = x * shrink
            mean = settled(lerp(m[i], d, rest1), least)
            square = settled(v[i] * keep2 + rest2 * d * d, least)
            m[i] = mean
            v[i] = square
            root = kind(math.sqrt(square / correction)) + eps
            x = x + now * d / root
            p[i] = x + ahead * mean / root

    return kernel
