"""Sums. The order of every sum depends on its length only, never on the threads. Imports Numba.

A sum over everything goes in two instructions: the threads write one partial sum for each block of
BLOCK elements, then ``finish_sum`` adds the partial sums in order, in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .linear import NARROW, RUN, WIDTH
from .linear import ROWS as GROUP
from .reduction_sizes import BLOCK, LANES
from .runtime.intrinsics import pointer, stack
from .runtime.parts import KINDS, part

SUM, SQUARE = 0, 1


def make_block_sums(dtype: str, what: int) -> Callable[..., None]:
    """Return the kernel that sums x (what = 0) or x² (1) of each block, in float64."""
    kind = KINDS[dtype]

    def kernel(a, s, tid, threads):
        x, partial, count = pointer(a[0], kind), pointer(a[1], np.float64), a[2]
        first, last = part((count + BLOCK - 1) // BLOCK, tid, threads, 1)
        lanes = stack(LANES, np.float64)
        for block in range(first, last):
            start, end = block * BLOCK, min((block + 1) * BLOCK, count)
            for l in range(LANES):
                lanes[l] = 0.0
            whole = start + (end - start) // LANES * LANES
            for i in range(start, whole, LANES):
                for l in range(LANES):
                    value = np.float64(x[i + l])
                    lanes[l] += value * value if what == SQUARE else value
            for i in range(whole, end):
                value = np.float64(x[i])
                lanes[i - whole] += value * value if what == SQUARE else value
            total = 0.0
            for l in range(LANES):
                total += lanes[l]
            partial[block] = total

    return kernel


def make_finish_sum(dtype: str) -> Callable[..., None]:
    """Return the kernel out = c Σ partial, or c √Σ; by one thread."""
    kind = KINDS[dtype]

    def kernel(a, s, tid, threads):
        if tid != 0:
            return
        partial, count, out = pointer(a[0], np.float64), a[1], pointer(a[2], kind)
        total = 0.0
        for i in range(count):
            total += partial[i]
        if a[3] != 0:
            total = math.sqrt(total)
        out[0] = kind(s[0] * total)

    return kernel


def make_clip_factor(dtype: str) -> Callable[..., None]:
    """Return the kernel f = min(1, limit / (norm + 1e-6)) of clip_grad_norm_."""
    kind = KINDS[dtype]

    def kernel(a, s, tid, threads):
        if tid == 0:
            norm, out = pointer(a[0], kind)[0], pointer(a[1], kind)
            factor = kind(s[0]) / (norm + kind(1e-6))
            out[0] = kind(1.0) if factor > kind(1.0) else factor

    return kernel


def make_column_sum(dtype: str) -> Callable[..., None]:
    """Return the kernel out = c Σₙ Xₙ over the rows; the threads share the columns.

    The order of the sums is that of ``activation_bias_backward``, so that db is the same bits
    whether a layer's backward is fused with its activation's or not.
    """
    kind = KINDS[dtype]

    def kernel(a, s, tid, threads):
        x, out, rows, columns = pointer(a[0], kind), pointer(a[1], kind), a[2], a[3]
        c = kind(s[0])
        if columns < NARROW:
            if tid != 0:
                return
            left, right, together, wide = 0, columns, GROUP, columns * GROUP
        else:
            left, right = part(columns, tid, threads, NARROW)
            together, wide = 1, WIDTH
        sums, total = stack(1024, kind), stack(1024, kind)
        for column in range(left, right, WIDTH if together == 1 else NARROW):
            width = min(wide, right - column) if together == 1 else wide
            for j in range(width):
                sums[j] = total[j] = kind(0.0)
            for top in range(0, rows, RUN * together):
                for i in range(top, min(top + RUN * together, rows), together):
                    start = i * columns + column
                    count = min(width, (rows - i) * columns) if together > 1 else width
                    for j in range(count):
                        sums[j] += x[start + j]
                for j in range(width):
                    total[j] += sums[j]
                    sums[j] = kind(0.0)
            if together == 1:
                for j in range(width):
                    out[column + j] = c * total[j]
            else:
                for j in range(columns):
                    folded = total[j]
                    for i in range(1, GROUP):
                        folded += total[i * columns + j]
                    out[j] = c * folded

    return kernel


def make_axis_sum(dtype: str) -> Callable[..., None]:
    """Return the kernel that sums over some axes of an array of any strides, in float64.

    The threads share the entries of the result.
    """
    kind = KINDS[dtype]
    size = 4 if dtype == "float32" else 8

    def kernel(a, s, tid, threads):
        k0, k1, k2, k3 = a[2], a[3], a[4], a[5]
        r0, r1, r2, r3 = a[10], a[11], a[12], a[13]
        step, inner = a[6], a[14]
        out = pointer(a[1], kind)
        outer = r1 * r2 * r3
        sums = stack(WIDTH, np.float64)
        first, last = part(k0 * k1 * k2 * k3, tid, threads, LANES)
        while first < last:
            row = first // k0
            start = first - row * k0
            stop = min(k0, start + last - first)
            rest = row // k1
            at = a[0] + start * step + row % k1 * a[7] + rest % k2 * a[8] + rest // k2 * a[9]
            if step == size and k0 > 1:
                # Entries of the result that lie side by side: rows are added to one another.
                width = min(WIDTH, stop - start)
                for j in range(width):
                    sums[j] = 0.0
                for other in range(outer):
                    more = other // r1
                    there = at + other % r1 * a[15] + more % r2 * a[16] + more // r2 * a[17]
                    for i in range(r0):
                        x = pointer(there + i * inner, kind)
                        for j in range(width):
                            sums[j] += np.float64(x[j])
                for j in range(width):
                    out[first + j] = kind(s[0] * sums[j])
                first += width
                continue
            for j in range(stop - start):
                for l in range(LANES):
                    sums[l] = 0.0
                for other in range(outer):
                    more = other // r1
                    there = at + other % r1 * a[15] + more % r2 * a[16] + more // r2 * a[17]
                    whole = r0 // LANES * LANES
                    if inner == size:
                        x = pointer(there, kind)
                        for i in range(0, whole, LANES):
                            for l in range(LANES):
                                sums[l] += np.float64(x[i + l])
                        for i in range(whole, r0):
                            sums[i - whole] += np.float64(x[i])
                    else:
                        for i in range(r0):
                            sums[i % LANES] += np.float64(pointer(there + i * inner, kind)[0])
                total = 0.0
                for l in range(LANES):
                    total += sums[l]
                out[first + j] = kind(s[0] * total)
                at += step
            first += stop - start

    return kernel
