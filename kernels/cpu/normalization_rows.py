"""Normalisation over rows: the equations are those of ``normalization``.

Between the sums of a row and what they are for stand a root and divisions, each of which waits for
the one before. So a few rows are summed first, then their means and roots found together, and then
the rows, which are still in the nearest cache, are gone over again.
"""

from __future__ import annotations

import math

import numpy as np

from .moments import (
    is_off,
    moments_of,
    near_mean_of,
    products_and_sums,
    products_and_sums_of_two,
    products_of,
    weighted_products_of,
)
from .runtime.declaration import Floats, OptionalFloats, helper, kernel
from .runtime.language import KIND, fma, given, part, stack

ROW_BLOCKS = 32
STRIP = 64
GROUP = 8
"""Rows that are summed before the first of them is gone over again,"""
NEAR = 4096
"""unless they have more numbers than this, half of what the nearest cache holds."""


@helper
def write_row(Y, X, W, b, start, columns, m, error, r):
    """Write Y = W ((x - m) - error) r + b of one row."""
    turned, shift = -r, -error * r
    if given(W) and given(b):
        for j in range(columns):
            Y[start + j] = fma(fma(m - X[start + j], turned, shift), W[j], b[j])
    elif given(W):
        for j in range(columns):
            Y[start + j] = fma(m - X[start + j], turned, shift) * W[j]
    else:
        for j in range(columns):
            Y[start + j] = fma(m - X[start + j], turned, shift)
        if given(b):
            for j in range(columns):
                Y[start + j] += b[j]


@kernel(cost=lambda rows, columns: 0.4 * rows * columns)
def standardize_rows(
    X: Floats, W: OptionalFloats, b: OptionalFloats, Y: Floats, M: OptionalFloats, V: Floats,
    rows: int, columns: int, eps: float, tid, threads,
):  # fmt: skip
    """Y = W (x - M) R + b by rows; without M nothing is subtracted, and V becomes R."""
    first, last = part(rows, tid, threads, 4)
    share = 1.0 / columns
    near, error, root = stack(GROUP, KIND), stack(GROUP, KIND), stack(GROUP, KIND)
    some, more = stack(GROUP, np.float64), stack(GROUP, np.float64)
    group = max(1, min(GROUP, NEAR // columns))
    for top in range(first, last, group):
        count = min(group, last - top)
        # All of them before the first sum: none waits for the number that it is made around.
        for k in range(count):
            start = (top + k) * columns
            near[k] = near_mean_of(KIND, X, start, columns) if given(M) else KIND(0.0)
        for k in range(count):
            some[k], more[k] = moments_of(KIND, X, (top + k) * columns, columns, near[k])
        for k in range(count):
            e = some[k] * share if given(M) else 0.0
            variance = more[k] * share - e * e
            if given(M) and is_off(e, variance):
                near[k] = KIND(near[k] + e)
                start = (top + k) * columns
                some[k], more[k] = moments_of(KIND, X, start, columns, near[k])
                e = some[k] * share
                variance = more[k] * share - e * e
            error[k] = KIND(e)
            root[k] = KIND(1.0 / math.sqrt(variance + eps))
            V[top + k] = KIND(variance) if given(M) else root[k]
            if given(M):
                M[top + k] = KIND(near[k] + e)
        for k in range(count):
            start = (top + k) * columns
            write_row(Y, X, W, b, start, columns, near[k], error[k], root[k])


@helper
def write_gradient(kind, dX, dY, W, X, start, columns, m, r, some, more, dm, dv):
    """Write dX of one row, from the sums of G and of G (x - m)."""
    root = np.float64(r)
    k3 = root * root * more / columns - 2.0 * dv / (columns * root)
    plain, slope, also = kind(some / columns), kind(k3), kind(dm / columns)
    if given(W):
        for j in range(columns):
            g = dY[start + j] * W[j] - plain  # both rounded alike: 0 where all are the same
            dX[start + j] = fma(fma(m - X[start + j], slope, g), r, also)
    else:
        for j in range(columns):
            g = dY[start + j] - plain
            dX[start + j] = fma(fma(m - X[start + j], slope, g), r, also)


@kernel(cost=lambda rows, columns: 0.8 * rows * columns)
def standardize_rows_backward(
    dY: Floats, dM: OptionalFloats, dV: OptionalFloats, X: Floats, W: OptionalFloats,
    M: OptionalFloats, V: Floats, dX: OptionalFloats, dW: OptionalFloats, db: OptionalFloats,
    rows: int, columns: int, together: int, eps: float, tid, threads,
):  # fmt: skip
    """DX by rows; dW and db one row for each block of ``together`` rows."""
    first, last = part((rows + together - 1) // together, tid, threads, 1)
    near, root = stack(GROUP, KIND), stack(GROUP, KIND)
    some, more = stack(GROUP, np.float64), stack(GROUP, np.float64)
    group = max(1, min(GROUP, NEAR // 2 // columns))
    for block in range(first, last):
        base = block * columns
        if given(dW):
            for j in range(base, base + columns):
                dW[j] = KIND(0.0)
        if given(db):
            for j in range(base, base + columns):
                db[j] = KIND(0.0)
        end = min((block + 1) * together, rows)
        for top in range(block * together, end, group):
            count = min(group, end - top)
            for k in range(count):
                near[k], root[k] = KIND(0.0), V[top + k]
                if given(M):
                    near[k] = M[top + k]
                    root[k] = KIND(1.0 / math.sqrt(np.float64(V[top + k]) + eps))
                some[k], more[k] = 0.0, 0.0
            whole = given(dX) and given(W) and given(dW) and given(db)
            paired = count // 2 * 2 if whole else 0
            for k in range(0, paired, 2):
                some[k], more[k], some[k + 1], more[k + 1] = products_and_sums_of_two(
                    KIND, dY, W, X, dW, db, (top + k) * columns, base, columns, near[k], root[k],
                    near[k + 1], root[k + 1],
                )  # fmt: skip
            for k in range(paired, count):
                start, m, r = (top + k) * columns, near[k], root[k]
                if whole:
                    some[k], more[k] = products_and_sums(
                        KIND, dY, W, X, dW, db, start, base, columns, m, r
                    )
                    continue
                if given(dW):
                    for j in range(columns):
                        dW[base + j] += dY[start + j] * ((X[start + j] - m) * r)
                if given(db):
                    for j in range(columns):
                        db[base + j] += dY[start + j]
                if given(dX) and given(W):
                    some[k], more[k] = weighted_products_of(KIND, dY, W, X, start, columns, m)
                elif given(dX):
                    some[k], more[k] = products_of(KIND, dY, X, start, columns, m)
            for k in range(count if given(dX) else 0):
                write_gradient(
                    KIND, dX, dY, W, X, (top + k) * columns, columns, near[k], root[k],
                    some[k] if given(M) else 0.0, more[k],
                    np.float64(dM[top + k]) if given(dM) else 0.0,
                    np.float64(dV[top + k]) if given(dV) else 0.0,
                )  # fmt: skip


@helper
def add_blocks(blocks_of, out, blocks, columns, left, right):
    """Write the sums over the blocks of some columns."""
    for j in range(left, right):
        out[j] = blocks_of[j]
    for base in range(columns, blocks * columns, columns):
        for j in range(left, right):
            out[j] += blocks_of[base + j]


@kernel(cost=lambda blocks, columns: 0.4 * blocks * columns)
def weight_gradients(
    dWs: OptionalFloats, dbs: OptionalFloats, dW: OptionalFloats, db: OptionalFloats,
    blocks: int, columns: int, tid, threads,
):  # fmt: skip
    """DW and db, the sums over the blocks of ``standardize_rows_backward``.

    Both by one instruction, where each sum of its own would have one and wait for all threads.
    """
    left, right = part(columns, tid, threads, STRIP)
    if given(dW):
        add_blocks(dWs, dW, blocks, columns, left, right)
    if given(db):
        add_blocks(dbs, db, blocks, columns, left, right)
