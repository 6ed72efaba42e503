"""Pooling and resampling of planes: the largest entries of windows, and averages of neighbours.

An array is taken as planes of rows, of which the threads share the planes. Results are computed in
blocks of LANES of a row, which stay in registers while all entries of their windows pass by.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from nnscratch.array.dtypes import dtype_name
from nnscratch.formulas.line_maps import LineMap
from nnscratch.formulas.max_pooling import MaxPoolSaved
from nnscratch.formulas.resampling import ResampleSaved

from .implementation import Builder, CpuKernel, Inputs, Options
from .runtime.declaration import Floats, Integers, kernel
from .runtime.language import KIND, part, stack

Lowered = tuple[tuple[Any, ...], Any]
Needs = tuple[bool, ...]

LANES = 64
TABLE = 0
"""The option ``stride`` of windows that do not stand at equal distances."""
STRIDES = 4
"""Windows further apart are read through the table as well."""


@kernel(cost=lambda planes, out0, out1, taps0, taps1: 0.4 * planes * out0 * out1 * taps0 * taps1)
def largest_of_windows(
    X: Floats, V: Floats, I: Integers, rows: Integers, columns: Integers, planes: int,
    size: tuple[int, int], out: tuple[int, int], taps: tuple[int, int], start: int, dilation: int,
    tid, threads, *, stride: int,
):  # fmt: skip
    """V = the largest entries of windows, I = their numbers in the plane.

    The rows (taps, results) that a window reads are in a table, and so are its columns; where a
    stride is given these are start + o stride + k dilation, and the table has the first of each.
    """
    height, width = size
    out_rows, out_columns = out
    best, place = stack(LANES, KIND), stack(LANES, np.int32)
    first, last = part(planes, tid, threads, 1)
    for plane in range(first, last):
        for row in range(out_rows):
            for begin in range(0, out_columns, LANES):
                count = min(LANES, out_columns - begin)
                for j in range(count):
                    best[j] = KIND(-np.inf)
                    place[j] = np.int32(rows[row] * width + columns[begin + j])
                for k in range(taps[0]):
                    line = rows[k * out_rows + row] * width
                    at = plane * height * width + line
                    for l in range(taps[1]):
                        if stride:
                            # The results whose entry is no padding.
                            offset = start + l * dilation
                            low = max(0, (stride - 1 - offset) // stride - begin)
                            high = min(count, (width - 1 - offset) // stride + 1 - begin)
                            offset += begin * stride
                            for j in range(low, high):
                                value = X[at + offset + j * stride]
                                larger = (value > best[j]) | (value != value)
                                best[j] = value if larger else best[j]
                                number = np.int32(line + offset + j * stride)
                                place[j] = number if larger else place[j]
                        else:
                            for j in range(count):
                                column = columns[l * out_columns + begin + j]
                                value = X[at + column]
                                if (value > best[j]) | (value != value):
                                    best[j] = value
                                    place[j] = np.int32(line + column)
                to = (plane * out_rows + row) * out_columns + begin
                for j in range(count):
                    V[to + j] = best[j]
                    I[to + j] = np.int64(place[j])


@kernel(cost=lambda planes, size, results: planes * (0.1 * size + 1.0 * results))
def add_at_numbers(
    dV: Floats, I: Integers, dX: Floats, planes: int, size: int, results: int, tid, threads
):
    """DX = for each entry of a plane the sum of the dV whose number it is."""
    first, last = part(planes, tid, threads, 1)
    for plane in range(first, last):
        at, to = plane * results, plane * size
        for i in range(size):
            dX[to + i] = KIND(0.0)
        for i in range(results):
            dX[to + I[at + i]] += dV[at + i]


@kernel(cost=lambda planes, out0, out1, taps0, taps1: 0.5 * planes * out0 * out1 * taps0 * taps1)
def resample_planes(
    X: Floats, Y: Floats, rows: Integers, columns: Integers, row_weights: Floats,
    column_weights: Floats, planes: int, size: tuple[int, int], out: tuple[int, int],
    taps: tuple[int, int], tid, threads,
):  # fmt: skip
    """Y = sums of the entries in the tables (taps, results), times both weights; not where 0."""
    height, width = size
    out_rows, out_columns = out
    sums = stack(LANES, KIND)
    first, last = part(planes, tid, threads, 1)
    for plane in range(first, last):
        for row in range(out_rows):
            for begin in range(0, out_columns, LANES):
                count = min(LANES, out_columns - begin)
                for j in range(LANES):
                    sums[j] = KIND(0.0)
                for k in range(taps[0]):
                    share = row_weights[k * out_rows + row]
                    if share == KIND(0.0):
                        continue
                    at = (plane * height + rows[k * out_rows + row]) * width
                    for l in range(taps[1]):
                        table = l * out_columns + begin
                        for j in range(count):
                            weight = column_weights[table + j]
                            value = weight * X[at + columns[table + j]]
                            sums[j] += share * value if weight != KIND(0.0) else KIND(0.0)
                to = (plane * out_rows + row) * out_columns + begin
                for j in range(count):
                    Y[to + j] = sums[j]


@functools.cache
def _one_row() -> LineMap:
    """Return the map of rows where only columns are mapped."""
    return LineMap(1, np.zeros((1, 1), np.int64), np.ones((1, 1)))


def _as_planes(shape: tuple[int, ...], lines: tuple[LineMap, ...]) -> dict[str, Any]:
    """Return the arguments that say which planes there are, and what is read of them."""
    across, along = lines if len(lines) == 2 else (_one_row(), lines[0])
    return {
        "rows": across.index,
        "columns": along.index,
        "planes": math.prod(shape[: len(shape) - len(lines)]),
        "size": (across.size, along.size),
        "out": (across.out, along.out),
        "taps": (len(across.index), len(along.index)),
    }


def _results(shape: tuple[int, ...], lines: tuple[LineMap, ...]) -> tuple[int, ...]:
    return (*shape[: len(shape) - len(lines)], *(line.out for line in lines))


def _check_lines(inputs: Inputs, options: Options) -> str | None:
    X, lines = inputs[0], options.get("lines", ())
    if len(lines) not in (1, 2):
        return "it maps one or two axes"
    sizes = tuple(line.size for line in lines)
    if X.shape[X.ndim - len(lines) :] != sizes or X.ndim < len(lines):
        return "the sizes do not fit"  # the reference says what is wrong
    if 0 in _results(X.shape, lines) or math.prod(sizes) >= 2**31:
        return "a plane is empty, or too large"
    return None


def _max_pool(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    (X,) = inputs
    lines = options["lines"]
    shape = _results(X.shape, lines)
    V, I = builder.output(0, shape, X.dtype), builder.output(1, shape, np.dtype("int64"))
    start, stride, dilation = lines[-1].spacing or (0, TABLE, 0)
    largest_of_windows.emit(
        builder, dtype_name(X.dtype), stride if stride <= STRIDES else TABLE, X=X, V=V, I=I,
        start=start, dilation=dilation, **_as_planes(X.shape, lines),
    )  # fmt: skip
    return (V, I), MaxPoolSaved(I, tuple(X.shape), len(lines))


def _max_pool_backward(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    dV, _, I, shape, axes = inputs
    dX = builder.output(0, tuple(shape), dV.dtype)
    first = len(shape) - axes
    add_at_numbers.emit(
        builder, dtype_name(dV.dtype), dV=dV, I=I, dX=dX, planes=math.prod(shape[:first]),
        size=math.prod(shape[first:]), results=math.prod(I.shape[first:]),
    )  # fmt: skip
    return (dX,), None


def _check_max_pool_backward(inputs: Inputs, options: Options) -> str | None:
    dV, _, I, shape, _ = inputs
    if not isinstance(dV, np.ndarray) or dV.shape != I.shape:
        return "there is no gradient of the entries"
    return None if math.prod(shape) else "an array is empty"


def _resampled(builder: Builder, X: Any, lines: tuple[LineMap, ...]) -> Any:
    Y = builder.output(0, _results(X.shape, lines), X.dtype)
    across, along = lines if len(lines) == 2 else (_one_row(), lines[0])
    resample_planes.emit(
        builder, dtype_name(X.dtype), X=X, Y=Y, row_weights=across.weight_in(X.dtype),
        column_weights=along.weight_in(X.dtype), **_as_planes(X.shape, lines),
    )  # fmt: skip
    return Y


def _resample(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    lines = options["lines"]
    return (_resampled(builder, inputs[0], lines),), ResampleSaved(lines)


def _resample_backward(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    dY, lines = inputs
    return (_resampled(builder, dY, tuple(line.transposed for line in lines)),), None


def _check_resample_backward(inputs: Inputs, options: Options) -> str | None:
    dY, lines = inputs
    return _check_lines((dY,), {"lines": tuple(line.transposed for line in lines)})


POOLING_KERNELS = {
    "max_pool": CpuKernel(
        {"forward": _max_pool, "backward": _max_pool_backward},
        {"forward": _check_lines, "backward": _check_max_pool_backward},
        passes=8,
        several=True,
    ),
    "resample": CpuKernel(
        {"forward": _resample, "backward": _resample_backward},
        {"forward": _check_lines, "backward": _check_resample_backward},
        passes=4,
    ),
}
