"""Softmax by rows, its logarithm, and cross-entropy with class indices. Imports Numba.

    lse_n = log Σ_k e^{Z_nk},   P = e^{Z - lse},   log softmax = Z - lse

Up to NARROW classes a block of rows is turned on its side, so that every pass runs along the rows
and vectorises even with two classes; above, along the classes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import njit

from .functions import exp, log
from .runtime.intrinsics import INLINE, pointer, stack
from .runtime.parts import KINDS, part

NARROW = 16
ROWS = 64
LANES = 16


@njit(**INLINE)
def row_softmax(kind, z, out, start, columns, lanes):
    """Write e^{z - max} of a row, and return its sum and the maximum."""
    whole = columns // LANES * LANES
    for l in range(LANES):
        lanes[l] = kind(-np.inf)
    for j in range(0, whole, LANES):
        for l in range(LANES):
            lanes[l] = z[start + j + l] if z[start + j + l] > lanes[l] else lanes[l]
    top = kind(-np.inf)
    for j in range(whole, columns):
        top = z[start + j] if z[start + j] > top else top
    for l in range(LANES):
        top = lanes[l] if lanes[l] > top else top
        lanes[l] = kind(0.0)
    for j in range(start, start + columns):
        out[j] = exp(z[j] - top)
    for j in range(0, whole, LANES):
        for l in range(LANES):
            lanes[l] += out[start + j + l]
    total = kind(0.0)
    for j in range(whole, columns):
        total += out[start + j]
    for l in range(LANES):
        total += lanes[l]
    return total, top


@njit(**INLINE)
def softmax_rows(kind, logarithm, z, y, lse, keep, first, last, columns):
    """Write softmax or log softmax of some rows, and lse where ``keep`` says so."""
    if columns <= NARROW:
        side = stack(1024, kind)  # NARROW columns of ROWS rows, on their side
        top, total = stack(64, kind), stack(64, kind)
        for start in range(first, last, ROWS):
            count = min(ROWS, last - start)
            for i in range(ROWS):
                top[i] = kind(-np.inf)
                total[i] = kind(0.0)
            for k in range(columns):
                for i in range(count):
                    side[k * ROWS + i] = z[(start + i) * columns + k]
                for i in range(count, ROWS):
                    side[k * ROWS + i] = kind(0.0)
                for i in range(ROWS):
                    value = side[k * ROWS + i]
                    top[i] = value if value > top[i] else top[i]
            for k in range(columns):
                for i in range(ROWS):
                    power = exp(side[k * ROWS + i] - top[i])
                    total[i] += power
                    if not logarithm:
                        side[k * ROWS + i] = power
            for i in range(ROWS):
                top[i] = top[i] + log(total[i])
                total[i] = kind(1.0) / total[i]
            for k in range(columns):
                for i in range(ROWS):
                    value = side[k * ROWS + i]
                    side[k * ROWS + i] = value - top[i] if logarithm else value * total[i]
            for k in range(columns):
                for i in range(count):
                    y[(start + i) * columns + k] = side[k * ROWS + i]
            if keep:
                for i in range(count):
                    lse[start + i] = top[i]
    else:
        lanes = stack(16, kind)
        for i in range(first, last):
            start = i * columns
            total, top = row_softmax(kind, z, y, start, columns, lanes)
            norm = top + log(total)
            scale = kind(1.0) / total
            if logarithm:
                for j in range(start, start + columns):
                    y[j] = z[j] - norm
            else:
                for j in range(start, start + columns):
                    y[j] = y[j] * scale
            if keep:
                lse[i] = norm


def make_softmax(dtype: str, logarithm: int) -> Callable[..., None]:
    """Return the kernel Y = softmax Z by rows (logarithm = 0) or its logarithm (1); Y is not Z."""
    kind = KINDS[dtype]

    def kernel(a, s, tid, threads):
        z, y = pointer(a[0], kind), pointer(a[1], kind)
        first, last = part(a[2], tid, threads, ROWS)
        softmax_rows(kind, logarithm, z, y, y, False, first, last, a[3])

    return kernel


def make_softmax_backward(dtype: str, logarithm: int) -> Callable[..., None]:
    """Return dZ = Y (dY - Σ dY Y), or of the logarithm dZ = dY - e^Y Σ dY; dZ is not dY."""
    kind = KINDS[dtype]

    def kernel(a, s, tid, threads):
        dy, y, dz = pointer(a[0], kind), pointer(a[1], kind), pointer(a[2], kind)
        columns = a[4]
        first, last = part(a[3], tid, threads, ROWS)
        lanes = stack(16, kind)
        whole = columns // LANES * LANES
        for i in range(first, last):
            start = i * columns
            for l in range(LANES):
                lanes[l] = kind(0.0)
            for j in range(start, start + whole, LANES):
                for l in range(LANES):
                    lanes[l] += dy[j + l] if logarithm else dy[j + l] * y[j + l]
            total = kind(0.0)
            for j in range(start + whole, start + columns):
                total += dy[j] if logarithm else dy[j] * y[j]
            for l in range(LANES):
                total += lanes[l]
            for j in range(start, start + columns):
                if logarithm:
                    dz[j] = dy[j] - exp(y[j]) * total
                else:
                    dz[j] = y[j] * (dy[j] - total)

    return kernel


def make_cross_entropy(dtype: str) -> Callable[..., None]:
    """Return the kernel of the loss of each row and its weight; see the catalogue."""
    kind = KINDS[dtype]

    def kernel(a, s, tid, threads):
        z, target = pointer(a[0], kind), pointer(a[1], np.int64)
        y, lse = pointer(a[2], kind), pointer(a[3], kind)
        loss, weight, given = pointer(a[4], kind), pointer(a[5], kind), pointer(a[6], kind)
        columns, ignored, status = a[8], a[9], pointer(a[10], np.int64)
        smoothing = kind(s[0])
        first, last = part(a[7], tid, threads, ROWS)
        softmax_rows(kind, 0, z, y, lse, True, first, last, columns)
        if a[6] == 0 and smoothing == 0:
            for i in range(first, last):
                label = target[i]
                if label >= 0 and label < columns and label != ignored:
                    loss[i] = lse[i] - z[i * columns + label]
                    weight[i] = kind(1.0)
                elif label == ignored:
                    loss[i] = weight[i] = kind(0.0)
                else:
                    loss[i] = weight[i] = kind(np.nan)
                    status[0] = 1
            return
        for i in range(first, last):
            label = target[i]
            if label == ignored:
                loss[i] = weight[i] = kind(0.0)
                continue
            if label < 0 or label >= columns:
                loss[i] = weight[i] = kind(np.nan)
                status[0] = 1
                continue
            w = given[label] if a[6] != 0 else kind(1.0)
            value = w * (lse[i] - z[i * columns + label])
            if smoothing != 0:
                total = kind(0.0)
                for j in range(columns):
                    class_weight = given[j] if a[6] != 0 else kind(1.0)
                    total += class_weight * (lse[i] - z[i * columns + j])
                value = (kind(1.0) - smoothing) * value + smoothing / kind(columns) * total
            loss[i] = value
            weight[i] = w

    return kernel


def make_mean_rows(dtype: str) -> Callable[..., None]:
    """Return the kernel loss = Σ rows / Σ weights, or only the sum; by one thread, in float64."""
    kind = KINDS[dtype]

    def kernel(a, s, tid, threads):
        if tid != 0:
            return
        rows, weights, count = pointer(a[0], kind), pointer(a[1], kind), a[2]
        loss, divisor = pointer(a[3], kind), pointer(a[4], kind)
        lanes = stack(16, np.float64)
        for l in range(16):
            lanes[l] = 0.0
        whole = count // 8 * 8
        for i in range(0, whole, 8):
            for l in range(8):
                lanes[l] += np.float64(rows[i + l])
                lanes[8 + l] += np.float64(weights[i + l])
        total, under = 0.0, 0.0
        for i in range(whole, count):
            total += rows[i]
            under += weights[i]
        for l in range(8):
            total += lanes[l]
            under += lanes[8 + l]
        if a[5] == 0:
            under = 1.0
        loss[0] = kind(total / under)
        divisor[0] = kind(under)

    return kernel


def make_cross_entropy_backward(dtype: str) -> Callable[..., None]:
    """Return the kernel dZ = g / D ((P - onehot) and its weighted, smoothed forms)."""
    kind = KINDS[dtype]

    def kernel(a, s, tid, threads):
        y, target, given = pointer(a[0], kind), pointer(a[1], np.int64), pointer(a[2], kind)
        divisor, g, step = pointer(a[3], kind), pointer(a[4], kind), a[5]
        dz, rows, columns, ignored = pointer(a[6], kind), a[7], a[8], a[9]
        smoothing = kind(s[0])
        rest = kind(1.0) - smoothing
        share = smoothing / kind(columns)
        first, last = part(rows, tid, threads, ROWS)
        scale = kind(1.0) / divisor[0] if a[3] != 0 else kind(1.0)
        if step == 0 and a[2] == 0:  # one factor for all rows: one pass, then the labels
            factor = scale * g[0]
            if a[0] != a[6]:
                for j in range(first * columns, last * columns):
                    dz[j] = factor * (y[j] - share)
            else:
                for j in range(first * columns, last * columns):
                    dz[j] = factor * (dz[j] - share)
            for i in range(first, last):
                label = target[i]
                if label == ignored:
                    for j in range(columns):
                        dz[i * columns + j] = kind(0.0)
                elif label >= 0 and label < columns:
                    j = i * columns + label
                    dz[j] = dz[j] - factor * rest
            return
        whole = kind(0.0)
        for j in range(columns):
            whole += given[j] if a[2] != 0 else kind(1.0)
        for i in range(first, last):
            label, start = target[i], i * columns
            if label == ignored or label < 0 or label >= columns:
                for j in range(start, start + columns):
                    dz[j] = kind(0.0)
                continue
            factor = scale * g[i * step]
            base = rest * (given[label] if a[2] != 0 else kind(1.0))
            for j in range(columns):
                w = given[j] if a[2] != 0 else kind(1.0)
                dz[start + j] = factor * ((base + share * whole) * y[start + j] - share * w)
            dz[start + label] = dz[start + label] - factor * base

    return kernel
