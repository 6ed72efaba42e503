"""Sums, and the formulas that are sums, as instructions.

The order of every sum depends on its length only, never on the threads. A sum over everything goes
in two instructions: the threads write one partial sum for each block of BLOCK elements, then
``finish_sum`` adds the partial sums in order, in float64.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from nnscratch.array.dtypes import dtype_name
from nnscratch.formulas.reductions import SumSaved, SumToSaved

from ..bodies import parsed
from ..strided import TooManyAxesError, Walk, walk
from ..summed import (
    axes_of,
    axes_summed_to,
    why_not_sum,
    why_not_sum_backward,
    why_not_sum_to,
)
from .elementwise import contiguous, copy
from .implementation import Builder, CpuKernel, Inputs, Options
from .linear import WIDTH, column_sum
from .operands import Operands
from .runtime.declaration import Address, Constant, Doubles, Floats, kernel
from .runtime.language import KIND, add_lanes, address_of, part, pointer, stack

Lowered = tuple[tuple[Any, ...], Any]
Needs = tuple[bool, ...]

BLOCK = 4096
"""Elements behind one partial sum."""
LANES = 32
"""Running sums side by side within a block."""
SQUARE = 1


def blocks(count: int) -> int:
    """Return how many partial sums ``count`` elements need: the length of a ``partial`` buffer."""
    return -(-count // BLOCK)


def scaled(A: Any, factor: Any) -> Any:
    """Return A times a factor."""
    return A * factor


def _of_numbers(dtype: str, *options: int | str) -> Mapping[str, Any]:
    return {"size": np.dtype(dtype).itemsize}


@kernel(cost=lambda count: 0.2 * count, constants=_of_numbers)
def block_sums(
    X: Floats, partial: Doubles, count: int, tid, threads, *, what: int, size: Constant
):  # fmt: skip
    """blocks(count) partial sums of x (what = 0) or x² (1), in float64."""
    first, last = part((count + BLOCK - 1) // BLOCK, tid, threads, 1)
    lanes = stack(LANES, np.float64)
    for block in range(first, last):
        start, end = block * BLOCK, min((block + 1) * BLOCK, count)
        for l in range(LANES):
            lanes[l] = 0.0
        whole = start + (end - start) // LANES * LANES
        here = address_of(X) + start * size
        if what == SQUARE:
            add_lanes(LANES, True, KIND(0.0), here, whole - start, address_of(lanes))
        else:
            add_lanes(LANES, False, KIND(0.0), here, whole - start, address_of(lanes))
        for i in range(whole, end):
            value = np.float64(X[i])
            lanes[i - whole] += value * value if what == SQUARE else value
        total = 0.0
        for l in range(LANES):
            total += lanes[l]
        partial[block] = total


@kernel(cost=lambda count: 1.0 * count)
def finish_sum(partial: Doubles, count: int, out: Floats, c: float, tid, threads):
    """Out = c Σ partial; count is that of the partial sums. By one thread."""
    if tid != 0:
        return
    total = 0.0
    for i in range(count):
        total += partial[i]
    out[0] = KIND(c * total)


@kernel(
    cost=lambda kept0, kept1, kept2, kept3, summed0, summed1, summed2, summed3: (
        0.3 * kept0 * kept1 * kept2 * kept3 * summed0 * summed1 * summed2 * summed3
    ),
    constants=_of_numbers,
)
def axis_sum(
    X: Address, out: Floats,
    kept: tuple[int, int, int, int], kept_strides: tuple[int, int, int, int],
    summed: tuple[int, int, int, int], summed_strides: tuple[int, int, int, int],
    c: float, tid, threads, *, size: Constant,
):  # fmt: skip
    """Out = c times the sum of X over some axes, in float64; out is contiguous.

    The axes that are kept, and those that are summed, come innermost first; strides are the bytes
    of X along them. The threads share the entries of the result.
    """
    k0, k1, k2, k3 = kept
    r0, r1, r2, r3 = summed
    step, t1, t2, t3 = kept_strides
    inner, s1, s2, s3 = summed_strides
    outer = r1 * r2 * r3
    sums = stack(WIDTH, np.float64)
    beside = step == size and k0 > 1
    first, last = part(k0 * k1 * k2 * k3, tid, threads, LANES if beside else 1)
    while first < last:
        row = first // k0
        start = first - row * k0
        stop = min(k0, start + last - first)
        rest = row // k1
        at = X + start * step + row % k1 * t1 + rest % k2 * t2 + rest // k2 * t3
        if beside:
            # Entries of the result that lie side by side: rows are added to one another.
            width = min(WIDTH, stop - start)
            for j in range(width):
                sums[j] = 0.0
            for other in range(outer):
                more = other // r1
                there = at + other % r1 * s1 + more % r2 * s2 + more // r2 * s3
                for i in range(r0):
                    x = pointer(there + i * inner, KIND)
                    for j in range(width):
                        sums[j] += np.float64(x[j])
            for j in range(width):
                out[first + j] = KIND(c * sums[j])
            first += width
            continue
        for j in range(stop - start):
            for l in range(LANES):
                sums[l] = 0.0
            for other in range(outer):
                more = other // r1
                there = at + other % r1 * s1 + more % r2 * s2 + more // r2 * s3
                whole = r0 // LANES * LANES
                if inner == size:
                    x = pointer(there, KIND)
                    add_lanes(LANES, False, KIND(0.0), there, whole, address_of(sums))
                    for i in range(whole, r0):
                        sums[i - whole] += np.float64(x[i])
                else:
                    for i in range(r0):
                        sums[i % LANES] += np.float64(pointer(there + i * inner, KIND)[0])
            total = 0.0
            for l in range(LANES):
                total += sums[l]
            out[first + j] = KIND(c * total)
            at += step
        first += stop - start


def total(builder: Builder, X: Any, Y: Any, scale: float, squared: bool = False) -> None:
    """Emit Y = scale times the sum of all elements of X, or of their squares."""
    X = contiguous(builder, X)
    partial = builder.empty((blocks(X.size),), np.float64)
    name = dtype_name(X.dtype)
    block_sums.emit(builder, name, int(squared), X=X, partial=partial, count=X.size)
    finish_sum.emit(builder, name, partial=partial, count=partial.size, out=Y, c=scale)


def sum_axes(builder: Builder, X: Any, axes: tuple[int, ...], Y: Any, scale: float) -> None:
    """Emit Y = scale times the sum of X over axes; Y is contiguous and has the other axes."""
    kept = [axis for axis in range(X.ndim) if axis not in axes]
    if math.prod(X.shape[axis] for axis in kept) == 1:
        total(builder, X, Y, scale)
        return
    if kept == [X.ndim - 1] and X.flags.c_contiguous:
        # Rows into one: the sums are in the order of those that a linear layer's backward makes.
        columns = X.shape[-1]
        rows = X.size // columns
        column_sum.emit(
            builder, dtype_name(X.dtype), X=X, out=Y, rows=rows, columns=columns, c=scale
        )
        return
    try:
        over_kept, over_summed = _walk(X, kept), _walk(X, list(axes))
    except TooManyAxesError:
        transposed = X.transpose((*kept, *axes))  # neighbours become one
        made = builder.empty(transposed.shape, X.dtype)
        copy(builder, transposed, made)
        made = made.reshape(math.prod(made.shape[: len(kept)]), -1)
        sum_axes(builder, made, (1,), Y.reshape(-1), scale)
        return
    axis_sum.emit(
        builder, dtype_name(X.dtype), X=X, out=Y,
        kept=over_kept.sizes, kept_strides=over_kept.strides[0],
        summed=over_summed.sizes, summed_strides=over_summed.strides[0], c=scale,
    )  # fmt: skip


def _walk(X: Any, axes: list[int]) -> Walk:
    return walk(tuple([X.shape[one] for one in axes]), (tuple([X.strides[one] for one in axes]),))


def _sum(formula: str, mean: bool) -> CpuKernel:
    def forward(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
        (A,) = inputs
        axes = axes_of(options.get("axis"), A.ndim)
        keepdims = options.get("keepdims", False)
        shape = tuple(
            1 if axis in axes else size
            for axis, size in enumerate(A.shape)
            if keepdims or axis not in axes
        )
        Y = builder.output(0, shape, A.dtype)
        count = math.prod(A.shape[axis] for axis in axes)
        sum_axes(builder, A, axes, Y, 1.0 / count if mean else 1.0)
        return (Y,), SumSaved(tuple(A.shape), axes)

    def backward(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
        dY, shape, axes = inputs
        count = math.prod(shape[axis] for axis in axes)
        dA = builder.output(0, shape, dY.dtype)
        kept = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
        dY = contiguous(builder, dY).reshape(kept)
        if mean:
            loop = Operands(shape, dY.dtype)
            node = loop.apply(parsed(scaled), [loop.add(dY), loop.add(1.0 / count)])
            loop.store(node, dA)
            loop.emit(builder)
        else:
            copy(builder, dY, dA)
        return (dA,), None

    return CpuKernel(
        formula,
        {"forward": forward, "backward": backward},
        {"forward": why_not_sum, "backward": why_not_sum_backward},
        strided=True,
    )


def _sum_to(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    (A,) = inputs
    shape = tuple(options["shape"])
    summed = axes_summed_to(A.shape, shape)
    Y = builder.output(0, shape, A.dtype)
    sum_axes(builder, A, summed, Y, 1.0) if summed else copy(builder, A, Y)
    return (Y,), SumToSaved(A.shape)


SUM_KERNEL = _sum("sum", mean=False)
MEAN_KERNEL = _sum("mean", mean=True)
SUM_TO_KERNEL = CpuKernel("sum_to", {"forward": _sum_to}, {"forward": why_not_sum_to}, strided=True)
