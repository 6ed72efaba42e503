"""Softmax along an axis behind which others lie: of the classes of pixels, (N, C, H, W).

The numbers of one position lie ``inner`` places apart, and those of its neighbours beside them. So
a block of positions is gone over together, class after class: every pass runs along the positions,
and vectorises however few the classes are.
"""

from __future__ import annotations

import numpy as np

from .runtime.declaration import Floats, helper, kernel
from .runtime.language import KIND, decay, larger, log, part, stack

WIDTH = 64
"""Positions in a block."""


@helper
def blocks_of(inner):
    """Return how many blocks the positions behind an axis are."""
    return (inner + WIDTH - 1) // WIDTH


@helper
def softmax_block(kind, logarithm, z, y, lse, at, inner, count, classes):
    """Write softmax or log softmax of ``count`` positions from place ``at`` on, and lse of each."""
    total = stack(64, kind)
    for i in range(count):
        lse[i] = kind(-np.inf)
        total[i] = kind(0.0)
    for k in range(classes):
        for i in range(count):
            lse[i] = larger(lse[i], z[at + k * inner + i])
    for k in range(classes):
        for i in range(count):
            power = decay(z[at + k * inner + i] - lse[i])
            total[i] += power
            if not logarithm:
                y[at + k * inner + i] = power
    if not logarithm:
        for i in range(count):
            lse[i] = lse[i] + log(total[i])
            total[i] = kind(1.0) / total[i]
        for k in range(classes):
            for i in range(count):
                y[at + k * inner + i] = y[at + k * inner + i] * total[i]
        return
    for i in range(count):
        total[i] = log(total[i])
    for k in range(classes):
        for i in range(count):
            y[at + k * inner + i] = (z[at + k * inner + i] - lse[i]) - total[i]
    for i in range(count):
        lse[i] = lse[i] + total[i]


@kernel(cost=lambda outer, columns, inner: 0.8 * outer * columns * inner)
def softmax_across(
    Z: Floats, Y: Floats, outer: int, columns: int, inner: int, tid, threads, *, logarithm: int
):
    """Y = softmax Z along the middle axis of (outer, columns, inner), or its logarithm (1)."""
    blocks = blocks_of(inner)
    first, last = part(outer * blocks, tid, threads, 1)
    lse = stack(64, KIND)
    for block in range(first, last):
        start = block % blocks * WIDTH
        at = block // blocks * columns * inner + start
        softmax_block(KIND, logarithm, Z, Y, lse, at, inner, min(WIDTH, inner - start), columns)


@kernel(cost=lambda outer, columns, inner: 0.5 * outer * columns * inner)
def softmax_across_backward(
    dY: Floats, Y: Floats, dZ: Floats, outer: int, columns: int, inner: int, tid, threads, *,
    logarithm: int,
):  # fmt: skip
    """DZ = Y (dY - Σ dY Y), or of the logarithm dZ = dY - e^Y Σ dY, along the middle axis."""
    blocks = blocks_of(inner)
    first, last = part(outer * blocks, tid, threads, 1)
    total = stack(64, KIND)
    for block in range(first, last):
        start = block % blocks * WIDTH
        at, count = block // blocks * columns * inner + start, min(WIDTH, inner - start)
        for i in range(count):
            total[i] = KIND(0.0)
        for k in range(columns):
            here = at + k * inner
            for i in range(count):
                total[i] += dY[here + i] if logarithm else dY[here + i] * Y[here + i]
        for k in range(columns):
            here = at + k * inner
            for i in range(count):
                if logarithm:
                    dZ[here + i] = dY[here + i] - decay(Y[here + i]) * total[i]
                else:
                    dZ[here + i] = Y[here + i] * (dY[here + i] - total[i])
