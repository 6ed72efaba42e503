"""Softmax by rows and its logarithm, and both as instructions, along any axis.

    lse_n = log Σ_k e^{Z_nk},   softmax = e^{Z - lse},   log softmax = Z - lse

Up to NARROW classes a block of rows is transposed, so that every pass runs along the rows and
vectorises even with two classes; above, along the classes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnscratch.array.dtypes import dtype_name
from nnscratch.formulas.softmax import SoftmaxSaved

from .implementation import Builder, CpuKernel, Inputs, Options
from .runtime.declaration import Floats, helper, kernel
from .runtime.language import KIND, add_up, decay, larger, log, part, raised_decay, stack
from .softmax_across import softmax_across, softmax_across_backward

NARROW = 16
ROWS = 64
GROUP = 8
"""Rows gone over together, so that one's sum is waited for while the next one is added up,"""
NEAR = 4096
"""unless they have more numbers than this, half of what the nearest cache holds."""
LOWERED = 2.0**-30
"""By which ``raised_decay`` is the plain one. In a quotient nothing is left of it."""


@helper
def top_of(kind, z, start, columns):
    """Return the largest number of a row without NaN; where there is one, the sums are NaN."""
    top = kind(-np.inf)
    for j in range(start, start + columns):
        top = larger(top, z[j])
    return top


@helper
def sum_of_powers(kind, logarithm, z, y, start, columns, top):
    """Return the sum of the row's 2^30 e^(z - top), which are y unless that is a logarithm.

    No loop both writes and adds up: where y lies just behind z, it would be done number by number,
    and the order of its sum with it.
    """
    total = kind(0.0)
    if logarithm:
        for j in range(start, start + columns):
            total = add_up(total, raised_decay(z[j] - top))
        return total
    for j in range(start, start + columns):
        y[j] = raised_decay(z[j] - top)
    for j in range(start, start + columns):
        total = add_up(total, y[j])
    return total


@helper
def finish_row(kind, logarithm, z, y, start, columns, top, total):
    """Write softmax or log softmax of a row, and return log Σ e^z."""
    logsum = log(total * kind(LOWERED))
    if logarithm:
        for j in range(start, start + columns):
            y[j] = (z[j] - top) - logsum
    else:
        scale = kind(1.0) / total
        for j in range(start, start + columns):
            y[j] = y[j] * scale
    return top + logsum


@helper
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
            # Loops over all ROWS are unrolled; powers of float64 are taken one by one.
            for k in range(columns):
                for i in range(count):
                    power = decay(side[k * ROWS + i] - top[i])
                    total[i] += power
                    if not logarithm:
                        side[k * ROWS + i] = power
            for i in range(count):
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
        tops, sums = stack(GROUP, kind), stack(GROUP, kind)
        group = max(1, min(GROUP, NEAR // columns))
        for start in range(first, last, group):
            count = min(group, last - start)
            for k in range(count):
                tops[k] = top_of(kind, z, (start + k) * columns, columns)
            for k in range(count):
                here = (start + k) * columns
                sums[k] = sum_of_powers(kind, logarithm, z, y, here, columns, tops[k])
            for k in range(count):
                here = (start + k) * columns
                norm = finish_row(kind, logarithm, z, y, here, columns, tops[k], sums[k])
                if keep:
                    lse[start + k] = norm


@kernel(cost=lambda rows, columns: 0.8 * rows * columns)
def softmax(Z: Floats, Y: Floats, rows: int, columns: int, tid, threads, *, logarithm: int):
    """Y = softmax Z by rows (logarithm = 0) or its logarithm (1); Y is not Z."""
    first, last = part(rows, tid, threads, ROWS)
    softmax_rows(KIND, logarithm, Z, Y, Y, False, first, last, columns)


@kernel(cost=lambda rows, columns: 0.5 * rows * columns)
def softmax_backward(
    dY: Floats, Y: Floats, dZ: Floats, rows: int, columns: int, tid, threads, *, logarithm: int
):
    """DZ = Y (dY - Σ dY Y), or of the logarithm dZ = dY - e^Y Σ dY; dZ is not dY."""
    first, last = part(rows, tid, threads, ROWS)
    for i in range(first, last):
        start, total = i * columns, KIND(0.0)
        for j in range(start, start + columns):
            total = add_up(total, dY[j] if logarithm else dY[j] * Y[j])
        for j in range(start, start + columns):
            if logarithm:
                dZ[j] = dY[j] - decay(Y[j]) * total
            else:
                dZ[j] = Y[j] * (dY[j] - total)


def _check(inputs: Inputs, options: Options) -> str | None:
    X = inputs[0]
    return None if -X.ndim <= options.get("axis", -1) < X.ndim else "there is no such axis"


def _check_backward(inputs: Inputs, options: Options) -> str | None:
    dY, Y, axis = inputs
    if dY.shape != Y.shape:
        return f"dY has shape {dY.shape}"
    return _check((Y,), {"axis": axis})


def extents(shape: tuple[int, ...], axis: int) -> tuple[int, int, int]:
    """Return how many entries lie before an axis, along it, and behind it.

    >>> extents((8, 21, 64, 64), 1)
    (8, 21, 4096)
    """
    axis %= len(shape)
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])


def _softmax(formula: str, logarithm: int) -> CpuKernel:
    """Return the kernels of softmax or log-softmax."""

    def forward(
        builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
    ) -> tuple[tuple[Any, ...], Any]:
        (X,) = inputs
        axis = options.get("axis", -1)
        Y = builder.output(0, X.shape, X.dtype)
        outer, columns, inner = extents(X.shape, axis)
        name = dtype_name(X.dtype)
        if inner == 1:
            softmax.emit(builder, name, logarithm, Z=X, Y=Y, rows=outer, columns=columns)
        else:
            softmax_across.emit(
                builder, name, logarithm, Z=X, Y=Y, outer=outer, columns=columns, inner=inner
            )
        return (Y,), SoftmaxSaved(Y, axis)

    def backward(
        builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
    ) -> tuple[tuple[Any, ...], Any]:
        dY, Y, axis = inputs
        dX = builder.output(0, Y.shape, Y.dtype)
        outer, columns, inner = extents(Y.shape, axis)
        name = dtype_name(Y.dtype)
        if inner == 1:
            softmax_backward.emit(
                builder, name, logarithm, dY=dY, Y=Y, dZ=dX, rows=outer, columns=columns
            )
        else:
            softmax_across_backward.emit(
                builder, name, logarithm, dY=dY, Y=Y, dZ=dX, outer=outer, columns=columns,
                inner=inner,
            )  # fmt: skip
        return (dX,), None

    return CpuKernel(
        formula,
        {"forward": forward, "backward": backward},
        {"forward": _check, "backward": _check_backward},
        repeats=True,
    )


SOFTMAX_KERNEL = _softmax("softmax", 0)
LOG_SOFTMAX_KERNEL = _softmax("log_softmax", 1)
