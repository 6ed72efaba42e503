"""Normalisation over rows, over segments of memory and over columns.

A mean and a variance come from the sums of d = x - M0 and of d², where M0 is near the mean: e =
mean d corrects M0, and the variance is mean d² - e². No digits are lost to a mean that is large
beside the differences. Over rows M0 is the mean of the first numbers, over segments that of some in
the middle of each, unless that is too far off; over columns a pass of its own finds it.

    y = W (x - M0 - e) R + b,   R = (V + eps)^(-1/2)
    dx = R (G - k2 - (x - M) k3) + dM / n
    G = W dy,   k2 = mean G,   k3 = R² mean(G (x - M)) - 2 dV / (n R)

Which threads there are changes no sum: a thread has whole rows, segments or columns, and the sums
over rows for dW and db are made by blocks of rows whose number follows from that of the rows.
"""

from __future__ import annotations

import math

import numpy as np

from .moments import (
    LANES,
    centred_moments_of,
    centred_moments_of_segments,
    products_of,
    products_of_segments,
)
from .runtime.declaration import Floats, OptionalFloats, helper, kernel
from .runtime.language import KIND, given, part, same, stack

STRIP = 64
RUN = 64
SHORT = 128
"""Numbers of a segment up to which those of an item are copied next to each other,"""
TOGETHER = 8192
"""and numbers of an item up to which they are."""


@helper
def is_short(segments, pixels, weight_step):
    """Say whether the segments of an item are copied next to each other before they are read twice.

    In a picture of a few pixels a segment is over before its loop is under way, and where pictures
    are a power of two apart the nearest caches keep them all in one place.
    """
    few = segments > 1 and weight_step == 0
    return few and pixels <= SHORT and segments * pixels <= TOGETHER


@helper
def take_segments(out, X, start, segments, step, pixels):
    """Copy segments next to each other."""
    for s in range(segments):
        for j in range(pixels):
            out[s * pixels + j] = X[start + s * step + j]


@helper
def put_segments(X, out, start, segments, step, pixels):
    """Copy them back to where they belong."""
    for s in range(segments):
        for j in range(pixels):
            out[start + s * step + j] = X[s * pixels + j]


@kernel(cost=lambda items, segments, pixels: 0.4 * items * segments * pixels)
def standardize_segments(
    X: Floats, W: OptionalFloats, b: OptionalFloats, Y: Floats, M: Floats, V: Floats,
    items: int, segments: int, pixels: int, item_step: int, step: int,
    groups: int, group_step: int, weight_step: int, eps: float, tid, threads,
):  # fmt: skip
    """Y = W (x - M) R + b, where each item is several segments of ``pixels`` numbers.

    Segment s of item i begins at i item_step + s step; its weight is number
    i % groups group_step + s weight_step.
    """
    first, last = part(items, tid, threads, 1)
    lanes, squares = stack(LANES, KIND), stack(LANES, KIND)
    near = stack(TOGETHER, KIND)
    count = segments * pixels
    short = is_short(segments, pixels, weight_step)
    for i in range(first, last):
        start = i * item_step
        own = i % groups * group_step
        if short:
            take_segments(near, X, start, segments, step, pixels)
            m, some, more = centred_moments_of(KIND, near, 0, count)
            e = some / count
            variance = more / count - e * e
            r = 1.0 / math.sqrt(variance + eps)
            M[i], V[i] = KIND(m + e), KIND(variance)
            factor = KIND(r * W[own]) if given(W) else KIND(r)
            added = b[own] if given(b) else KIND(0.0)
            error = KIND(e)
            for j in range(count):
                near[j] = ((near[j] - m) - error) * factor + added
            put_segments(near, Y, start, segments, step, pixels)
            continue
        m, some, more = centred_moments_of_segments(
            KIND, X, start, segments, step, pixels, lanes, squares
        )
        e = some / count
        variance = more / count - e * e
        r = 1.0 / math.sqrt(variance + eps)
        M[i] = KIND(m + e)
        V[i] = KIND(variance)
        error = KIND(e)
        for s in range(segments):
            factor = KIND(r * W[own + s * weight_step]) if given(W) else KIND(r)
            added = b[own + s * weight_step] if given(b) else KIND(0.0)
            there = start + s * step
            for j in range(there, there + pixels):
                Y[j] = ((X[j] - m) - error) * factor + added


@kernel(cost=lambda items, segments, pixels: 0.6 * items * segments * pixels)
def standardize_segments_backward(
    dY: Floats, dM: OptionalFloats, dV: OptionalFloats, X: Floats, W: OptionalFloats, M: Floats,
    V: Floats, dX: OptionalFloats, dW: Floats, db: Floats, items: int, segments: int, pixels: int,
    item_step: int, step: int, groups: int, group_step: int, weight_step: int, eps: float,
    tid, threads,
):  # fmt: skip
    """DX as in ``standardize_segments``. In place: dX = dY.

    dW and db hold one number for each segment, or for each item where its segments have one weight.
    """
    first, last = part(items, tid, threads, 1)
    lanes, squares = stack(LANES, KIND), stack(LANES, KIND)
    near, beside = stack(TOGETHER, KIND), stack(TOGETHER, KIND)
    count = segments * pixels
    short = is_short(segments, pixels, weight_step)
    for i in range(first, last):
        start = i * item_step
        own = i % groups * group_step
        m = M[i]
        r = 1.0 / math.sqrt(np.float64(V[i]) + eps)
        k2, k3 = 0.0, 0.0
        together = segments if weight_step == 0 else 1  # those with one weight
        for s in range(0, segments, together):
            if short:
                take_segments(near, X, start, segments, step, pixels)
                take_segments(beside, dY, start, segments, step, pixels)
                some, more = products_of(KIND, beside, near, 0, count, m)
            else:
                some, more = products_of_segments(
                    KIND, dY, X, start + s * step, together, step, pixels, m, lanes, squares
                )
            dW[i * (segments // together) + s] = KIND(more * r)
            db[i * (segments // together) + s] = KIND(some)
            factor = np.float64(W[own + s * weight_step]) if given(W) else 1.0
            k2 += factor * some
            k3 += factor * more
        if given(dX):
            k2 = k2 / count
            k3 = r * r * k3 / count
            also = KIND(np.float64(dM[i]) / count) if given(dM) else KIND(0.0)
            if given(dV):
                k3 -= 2.0 * np.float64(dV[i]) / (count * r)
            plain, slope, root = KIND(k2), KIND(k3), KIND(r)
            if short:
                factor = W[own] if given(W) else KIND(1.0)
                for j in range(count):
                    part_of = beside[j] * factor - plain
                    near[j] = (part_of - (near[j] - m) * slope) * root + also
                put_segments(near, dX, start, segments, step, pixels)
                continue
            for s in range(segments):
                factor = W[own + s * weight_step] if given(W) else KIND(1.0)
                there = start + s * step
                if same(dX, dY):
                    for j in range(there, there + pixels):
                        dX[j] = (dX[j] * factor - plain - (X[j] - m) * slope) * root + also
                else:
                    for j in range(there, there + pixels):
                        dX[j] = (dY[j] * factor - plain - (X[j] - m) * slope) * root + also


@kernel(cost=lambda rows, columns: 0.5 * rows * columns)
def standardize_columns(
    X: Floats, W: OptionalFloats, b: OptionalFloats, Y: Floats, M: Floats, V: Floats,
    rows: int, columns: int, eps: float, tid, threads,
):  # fmt: skip
    """Y = W (x - M) R + b by columns."""
    left, right = part(columns, tid, threads, LANES)
    some, more = stack(STRIP, KIND), stack(STRIP, KIND)
    mean, error = stack(STRIP, KIND), stack(STRIP, KIND)
    factor, added = stack(STRIP, KIND), stack(STRIP, KIND)
    total, square = stack(STRIP, np.float64), stack(STRIP, np.float64)
    for column in range(left, right, STRIP):
        width = min(STRIP, right - column)
        for j in range(width):
            total[j] = 0.0
        for top in range(0, rows, RUN):
            for j in range(width):
                some[j] = KIND(0.0)
            for i in range(top, min(top + RUN, rows)):
                for j in range(width):
                    some[j] += X[i * columns + column + j]
            for j in range(width):
                total[j] += np.float64(some[j])
        for j in range(width):
            mean[j] = KIND(total[j] / rows)
            total[j] = square[j] = 0.0
        for top in range(0, rows, RUN):
            for j in range(width):
                some[j] = more[j] = KIND(0.0)
            for i in range(top, min(top + RUN, rows)):
                for j in range(width):
                    d = X[i * columns + column + j] - mean[j]
                    some[j] += d
                    more[j] += d * d
            for j in range(width):
                total[j] += np.float64(some[j])
                square[j] += np.float64(more[j])
        for j in range(width):
            e = total[j] / rows
            variance = square[j] / rows - e * e
            r = 1.0 / math.sqrt(variance + eps)
            M[column + j] = KIND(mean[j] + e)
            V[column + j] = KIND(variance)
            error[j] = KIND(e)
            factor[j] = KIND(r * W[column + j]) if given(W) else KIND(r)
            added[j] = b[column + j] if given(b) else KIND(0.0)
        for i in range(rows):
            start = i * columns + column
            for j in range(width):
                Y[start + j] = ((X[start + j] - mean[j]) - error[j]) * factor[j] + added[j]


@kernel(cost=lambda rows, columns: 0.8 * rows * columns)
def standardize_columns_backward(
    dY: Floats, dM: OptionalFloats, dV: OptionalFloats, X: Floats, W: OptionalFloats, M: Floats,
    V: Floats, dX: OptionalFloats, dW: Floats, db: Floats, rows: int, columns: int, eps: float,
    tid, threads,
):  # fmt: skip
    """DX, dW and db by columns."""
    left, right = part(columns, tid, threads, LANES)
    some, more = stack(STRIP, KIND), stack(STRIP, KIND)
    mean, factor, root = stack(STRIP, KIND), stack(STRIP, KIND), stack(STRIP, KIND)
    plain, slope, also = stack(STRIP, KIND), stack(STRIP, KIND), stack(STRIP, KIND)
    total, square = stack(STRIP, np.float64), stack(STRIP, np.float64)
    for column in range(left, right, STRIP):
        width = min(STRIP, right - column)
        for j in range(width):
            total[j] = square[j] = 0.0
            mean[j] = M[column + j]
        for top in range(0, rows, RUN):
            for j in range(width):
                some[j] = more[j] = KIND(0.0)
            for i in range(top, min(top + RUN, rows)):
                start = i * columns + column
                for j in range(width):
                    g = dY[start + j]
                    some[j] += g
                    more[j] += g * (X[start + j] - mean[j])
            for j in range(width):
                total[j] += np.float64(some[j])
                square[j] += np.float64(more[j])
        for j in range(width):
            r = 1.0 / math.sqrt(np.float64(V[column + j]) + eps)
            w = np.float64(W[column + j]) if given(W) else 1.0
            dW[column + j] = KIND(square[j] * r)
            db[column + j] = KIND(total[j])
            factor[j] = KIND(w)
            root[j] = KIND(r)
            k2 = w * total[j] / rows
            k3 = w * r * r * square[j] / rows
            also[j] = KIND(np.float64(dM[column + j]) / rows) if given(dM) else KIND(0.0)
            if given(dV):
                k3 -= 2.0 * np.float64(dV[column + j]) / (rows * r)
            plain[j] = KIND(k2)
            slope[j] = KIND(k3)
        if given(dX):
            for i in range(rows):
                start = i * columns + column
                for j in range(width):
                    g = dY[start + j] * factor[j] - plain[j]
                    g = g - (X[start + j] - mean[j]) * slope[j]
                    dX[start + j] = g * root[j] + also[j]
