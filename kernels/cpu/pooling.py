"""Pooling and resampling of planes: the largest entries of windows, and averages of neighbours.

An array is taken as planes of rows, of which the threads share the planes.
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
from .pooling_halves import halves, largest_of_halves
from .runtime.declaration import Floats, Integers, kernel
from .runtime.language import KIND, part, stack

Lowered = tuple[tuple[Any, ...], Any]
Needs = tuple[bool, ...]

LANES = 16
"""Results of a row that are added up side by side; a fixed number vectorises."""
SIDES, STRIDES = (2, 3), (1, 2, 3)
"""Squares that have a loop of their own."""
LONGEST = 4
"""Entries of a row, and columns from one window to the next, up to which values alone have one."""
BLOCK = 1024
"""Results that are kept together before they are written; no row may have more."""
EXACT = 2**24
"""Numbers below are exact in float32."""


@kernel(cost=lambda planes, out0, out1, taps0, taps1: 0.6 * planes * out0 * out1 * taps0 * taps1)
def largest_of_windows(
    X: Floats, V: Floats, I: Integers, rows: Integers, columns: Integers, planes: int,
    size: tuple[int, int], out: tuple[int, int], taps: tuple[int, int], tid, threads
):  # fmt: skip
    """V = the largest entries of windows, I = their numbers in the plane.

    The rows (taps, results) that a window reads are in a table, and so are its columns.
    """
    height, width = size
    out_rows, out_columns = out
    first, last = part(planes, tid, threads, 1)
    for plane in range(first, last):
        for row in range(out_rows):
            to = (plane * out_rows + row) * out_columns
            for j in range(out_columns):
                best, place = KIND(-np.inf), rows[row] * width + columns[j]
                for k in range(taps[0]):
                    line = rows[k * out_rows + row] * width
                    at = plane * height * width + line
                    for l in range(taps[1]):
                        column = columns[l * out_columns + j]
                        value = X[at + column]
                        if value > best or value != value:
                            best, place = value, line + column
                V[to + j] = best
                I[to + j] = place


@kernel(cost=lambda planes, out0, out1: 0.4 * planes * out0 * out1)
def largest_of_squares(
    X: Floats, V: Floats, I: Integers, rows: Integers, planes: int, size: tuple[int, int],
    out: tuple[int, int], start: int, tid, threads, *, side: int, stride: int,
):  # fmt: skip
    """The same of windows of side x side entries, which begin in columns start + o stride.

    Windows within a row are compared side by side. One that reaches over an edge is looked at from
    the edge on. Results wait in a buffer, whose numbers are of the dtype as the entries are: so a
    step of the loop has one kind of vectors, and few short loops are begun.
    """
    height, width = size
    out_rows, out_columns = out
    lines, bests, places = stack(4, np.int64), stack(BLOCK, KIND), stack(BLOCK, KIND)
    inner = max(0, (stride - 1 - start) // stride)
    outer = max(inner, min(out_columns, (width - side - start) // stride + 1))
    together = BLOCK // out_columns
    first, last = part(planes, tid, threads, 1)
    for plane in range(first, last):
        at = plane * height * width
        for begin in range(0, out_rows, together):
            end = min(begin + together, out_rows)
            for row in range(begin, end):
                for k in range(side):
                    lines[k] = rows[k * out_rows + row] * width
                to = (row - begin) * out_columns
                for j in range(inner, outer):
                    column = start + j * stride
                    best, place = X[at + lines[0] + column], KIND(lines[0] + column)
                    for k in range(side):
                        for l in range(side):
                            value = X[at + lines[k] + column + l]
                            larger = (value > best) | (value != value)
                            best = value if larger else best
                            place = KIND(lines[k] + column + l) if larger else place
                    bests[to + j] = best
                    places[to + j] = place
                for edge in range(inner + out_columns - outer):
                    j = edge if edge < inner else outer + edge - inner
                    low = max(0, start + j * stride)
                    high = min(width, start + j * stride + side)
                    best, place = X[at + lines[0] + low], lines[0] + low
                    for k in range(side):
                        for column in range(low, high):
                            value = X[at + lines[k] + column]
                            if value > best or value != value:
                                best, place = value, lines[k] + column
                    bests[to + j] = best
                    places[to + j] = KIND(place)
            to = (plane * out_rows + begin) * out_columns
            for j in range((end - begin) * out_columns):
                V[to + j] = bests[j]
            for j in range((end - begin) * out_columns):
                I[to + j] = np.int64(places[j])


@kernel(cost=lambda planes, out0, out1, down: 0.2 * planes * out0 * out1 * down)
def largest_values(
    X: Floats, V: Floats, rows: Integers, planes: int, size: tuple[int, int],
    out: tuple[int, int], down: int, start: int, tid, threads, *, side: int, stride: int,
):  # fmt: skip
    """V = the largest entries of windows, of which nothing reads the numbers.

    Windows have ``down`` lines of ``side`` entries, and begin in columns start + o stride. Line by
    line, all windows of a row are compared side by side; of equal entries the first one stays.
    """
    height, width = size
    out_rows, out_columns = out
    inner = max(0, (stride - 1 - start) // stride)
    outer = max(inner, min(out_columns, (width - side - start) // stride + 1))
    first, last = part(planes, tid, threads, 1)
    for plane in range(first, last):
        for row in range(out_rows):
            to = (plane * out_rows + row) * out_columns
            for j in range(out_columns):
                V[to + j] = KIND(-np.inf)
            for k in range(down):
                at = (plane * height + rows[k * out_rows + row]) * width + start
                for j in range(inner, outer):
                    best = V[to + j]
                    for l in range(side):
                        value = X[at + j * stride + l]
                        larger = (value > best) | (value != value)
                        best = value if larger else best
                    V[to + j] = best
                for edge in range(inner + out_columns - outer):
                    j = edge if edge < inner else outer + edge - inner
                    best = V[to + j]
                    for l in range(max(0, -start - j * stride), side):
                        if start + j * stride + l < width:
                            value = X[at + j * stride + l]
                            if value > best or value != value:
                                best = value
                    V[to + j] = best


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
                        if count == LANES:
                            for j in range(LANES):
                                weight = column_weights[table + j]
                                value = share * (weight * X[at + columns[table + j]])
                                sums[j] += value if weight != KIND(0.0) else KIND(0.0)
                        else:
                            for j in range(count):
                                weight = column_weights[table + j]
                                value = share * (weight * X[at + columns[table + j]])
                                sums[j] += value if weight != KIND(0.0) else KIND(0.0)
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
    V = builder.output(0, shape, X.dtype)
    given = _as_planes(X.shape, lines)
    start, stride, dilation = lines[-1].spacing or (0, 0, 0)
    down, side = given["taps"]
    # Only a plan knows that nothing reads the numbers: no gradient, and no max_unpool.
    is_read = getattr(builder, "is_read", None)
    short = 1 < side <= LONGEST and 0 < stride <= LONGEST and dilation == 1
    if short and is_read is not None and not is_read(1):
        del given["columns"], given["taps"]
        largest_values.emit(
            builder, dtype_name(X.dtype), side, stride, X=X, V=V, start=start, down=down, **given
        )
        return (V, None), MaxPoolSaved(None, tuple(X.shape), lines)
    I = builder.output(1, shape, np.dtype("int64"))
    square = given["taps"] == (side, side) and side in SIDES and dilation == 1
    small = math.prod(given["size"]) < EXACT and given["out"][1] <= BLOCK
    if halves(lines) and small:
        largest_of_halves.emit(
            builder, dtype_name(X.dtype), X=X, V=V, I=I, planes=given["planes"], out=given["out"]
        )
    elif square and small and stride in STRIDES:
        del given["columns"], given["taps"]
        largest_of_squares.emit(
            builder, dtype_name(X.dtype), side, stride, X=X, V=V, I=I, start=start, **given
        )
    else:
        largest_of_windows.emit(builder, dtype_name(X.dtype), X=X, V=V, I=I, **given)
    return (V, I), MaxPoolSaved(I, tuple(X.shape), lines)


def _max_pool_backward(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    dV, _, I, shape, lines = inputs
    dX = builder.output(0, tuple(shape), dV.dtype)
    first = len(shape) - len(lines)
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


MAX_POOL_KERNEL = CpuKernel(
    "max_pool",
    {"forward": _max_pool, "backward": _max_pool_backward},
    {"forward": _check_lines, "backward": _check_max_pool_backward},
    passes=8,
    several=True,
)
RESAMPLE_KERNEL = CpuKernel(
    "resample",
    {"forward": _resample, "backward": _resample_backward},
    {"forward": _check_lines, "backward": _check_resample_backward},
    passes=4,
)
