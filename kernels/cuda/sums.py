"""Sums and means along axes, as launches of kernels.

Every sum has one order, which depends on sizes only: stripes of it are added up by a warp or a
column of threads, and the stripes one after the other. All of it is in float64.
"""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np

from nnscratch.formulas.reductions import SumSaved, SumToSaved

from ..strided import TooManyAxesError, walk
from ..summed import (
    axes_of,
    axes_summed_to,
    why_not_sum,
    why_not_sum_backward,
    why_not_sum_to,
)
from .bodies import kernels
from .copies import contiguous, copy
from .driver import THREADS, WARP, cover
from .elementwise import apply
from .implementation import CudaKernel, Inputs, Needs, Options
from .launch import Strided
from .losses import finish_sum
from .target import Target

Lowered = tuple[tuple[Any, ...], Any]

LANES_X, LANES_Y = 32, 8
BLOCKS = 512
"""About how many blocks a sum is divided among."""
SHORTEST = 512
"""Entries of a stripe, at least."""
_LENGTHS = struct.Struct("=8q")


def total(target: Target, A: Any, kernel: str, scale: float) -> Any:
    """Return scale times the sum of all elements, or of what the kernel makes of each: output 0."""
    grid = cover(A.size, 16)
    partial = target.empty(grid, np.float64)
    target.launch("reductions", kernel, A.dtype, grid, (A, partial, A.size))
    return finish_sum(target, partial, A.dtype, scale)


def sum_axes(target: Target, X: Any, axes: tuple[int, ...], Y: Any, scale: float = 1.0) -> None:
    """Add Y = scale times the sum of X over axes; Y is contiguous and has the other axes."""
    kept = [axis for axis in range(X.ndim) if axis not in axes]
    try:
        outer, inner = (_walk(X, one) for one in (kept, list(axes)))
    except TooManyAxesError:
        transposed = X.transpose((*kept, *axes))  # neighbours become one
        made = target.empty(transposed.shape, X.dtype)
        copy(target, transposed, made)
        sum_axes(target, made.reshape(Y.size, -1), (1,), Y, scale)
        return
    outputs, entries = Y.size, X.size // Y.size
    # Neighbouring threads read what lies together, if anything does.
    columns = outer.sizes[0] > 1 and outer.strides[0][0] == X.itemsize
    across = -(-outputs // (LANES_X if columns else THREADS // WARP))
    stripes = max(1, min(-(-entries // SHORTEST), BLOCKS // across))
    stripe = -(-entries // stripes)
    stripes = -(-entries // stripe)
    partial = target.empty((stripes, outputs), np.float64)
    lengths = [_LENGTHS.pack(*one.sizes, *(n // X.itemsize for n in one.strides[0]))
               for one in (outer, inner)]  # fmt: skip
    arguments = (Strided(X), partial, outputs, entries, stripe, *lengths)
    if columns:
        block: tuple[int, ...] = (LANES_X, LANES_Y)
        grid: tuple[int, ...] = (across, stripes)
        target.launch("reductions", "axis_sums_of_columns", X.dtype, grid, arguments, block)
    else:
        grid = (*cover(outputs * WARP), stripes)
        target.launch("reductions", "axis_sums_of_warps", X.dtype, grid, arguments)
    finish = (partial, Y, outputs, stripes, scale)
    target.launch("reductions", "axis_sums_finish", X.dtype, cover(outputs), finish)


def _walk(X: Any, axes: list[int]) -> Any:
    return walk(tuple([X.shape[one] for one in axes]), (tuple([X.strides[one] for one in axes]),))


def _sum(formula: str, mean: bool) -> CudaKernel:
    def forward(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
        (A,) = inputs
        axes = axes_of(options.get("axis"), A.ndim)
        keepdims = options.get("keepdims", False)
        shape = tuple(
            1 if axis in axes else size
            for axis, size in enumerate(A.shape)
            if keepdims or axis not in axes
        )
        scale = 1.0 / math.prod(A.shape[axis] for axis in axes) if mean else 1.0
        saved = SumSaved(tuple(A.shape), axes)
        if not shape:
            return (total(target, contiguous(target, A), "sum_blocks", scale),), saved
        Y = target.output(0, shape, A.dtype)
        sum_axes(target, A, axes, Y, scale)
        return (Y,), saved

    def backward(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
        dY, shape, axes = inputs
        dA = target.output(0, tuple(shape), dY.dtype)
        kept = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
        dY = contiguous(target, dY).reshape(kept)
        if mean:
            count = math.prod(shape[axis] for axis in axes)
            scaled = target.empty(kept, dY.dtype)
            apply(target, "multiply", kernels("multiply")[""], dY.dtype, (dY, 1.0 / count), scaled)
            dY = scaled
        copy(target, dY, dA)
        return (dA,), None

    return CudaKernel(
        formula,
        ("reductions", "copies", "elementwise", "multiply"),
        {"forward": forward, "backward": backward},
        {"forward": why_not_sum, "backward": why_not_sum_backward},
        strided=True,
    )


def _sum_to(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    (A,) = inputs
    shape = tuple(options["shape"])
    summed = axes_summed_to(A.shape, shape)
    Y = target.output(0, shape, A.dtype)
    if summed:
        sum_axes(target, A, summed, Y)
    else:
        copy(target, A, Y)
    return (Y,), SumToSaved(A.shape)


SUM_KERNEL = _sum("sum", mean=False)
MEAN_KERNEL = _sum("mean", mean=True)
SUM_TO_KERNEL = CudaKernel(
    "sum_to",
    ("reductions", "copies", "elementwise"),
    {"forward": _sum_to},
    {"forward": why_not_sum_to},
    strided=True,
)
