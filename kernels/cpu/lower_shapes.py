"""Sums over axes, matrix products, and formulas that move values, as instructions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnscratch.array.dtypes import dtype_name
from nnscratch.formulas.products import MatmulSaved
from nnscratch.formulas.reductions import SumSaved, SumToSaved
from nnscratch.formulas.shaping import PiecesSaved, ShapeSaved, StackSaved

from ..bodies import parsed
from ..strided import TooManyAxesError, walk
from .catalogue import gemm, kernel
from .implementation import Builder, CpuKernel, Inputs, Options
from .lower_elementwise import contiguous, copy
from .lower_linear import product
from .operands import Operands
from .reduction_sizes import blocks

Lowered = tuple[tuple[Any, ...], Any]
Needs = tuple[bool, ...]


def scaled(A: Any, factor: Any) -> Any:
    """Return A times a factor."""
    return A * factor


# Sums.


def total(builder: Builder, X: Any, Y: Any, scale: float, squared: bool = False) -> None:
    """Emit Y = scale times the sum of all elements of X, or of their squares."""
    X = contiguous(builder, X)
    partial = builder.empty((blocks(X.size),), np.float64)
    builder.emit(kernel("block_sums", dtype_name(X.dtype), int(squared)), (X, partial, X.size))
    builder.emit(kernel("finish_sum", dtype_name(X.dtype)), (partial, partial.size, Y, 0), (scale,))


def axis_sum(builder: Builder, X: Any, axes: tuple[int, ...], Y: Any, scale: float) -> None:
    """Emit Y = scale times the sum of X over axes; Y is contiguous and has the other axes."""
    kept = [axis for axis in range(X.ndim) if axis not in axes]
    if math.prod(X.shape[axis] for axis in kept) == 1:
        total(builder, X, Y, scale)
        return
    if kept == [X.ndim - 1] and X.flags.c_contiguous:
        # Rows into one: the sums are in the order of those that a linear layer's backward makes.
        columns = X.shape[-1]
        words = (X, Y, X.size // columns, columns)
        builder.emit(kernel("column_sum", dtype_name(X.dtype)), words, (scale,))
        return
    try:
        sizes, steps = _walk(X, kept), _walk(X, list(axes))
    except TooManyAxesError:
        turned = X.transpose((*kept, *axes))  # neighbours become one
        made = builder.empty(turned.shape, X.dtype)
        copy(builder, turned, made)
        made = made.reshape(math.prod(made.shape[: len(kept)]), -1)
        axis_sum(builder, made, (1,), Y.reshape(-1), scale)
        return
    words = (X, Y, *sizes[0], *sizes[1][0], *steps[0], *steps[1][0])
    builder.emit(kernel("axis_sum", dtype_name(X.dtype)), words, (scale,))


def _walk(X: Any, axes: list[int]) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    return walk(tuple([X.shape[one] for one in axes]), (tuple([X.strides[one] for one in axes]),))


def _sum(mean: bool) -> CpuKernel:
    def forward(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
        (A,) = inputs
        axes = _axes(options.get("axis"), A.ndim)
        keepdims = options.get("keepdims", False)
        shape = tuple(
            1 if axis in axes else size
            for axis, size in enumerate(A.shape)
            if keepdims or axis not in axes
        )
        Y = builder.output(0, shape, A.dtype)
        count = math.prod(A.shape[axis] for axis in axes)
        axis_sum(builder, A, axes, Y, 1.0 / count if mean else 1.0)
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
        {"forward": forward, "backward": backward},
        {"forward": _check_axes, "backward": _check_not_empty},
        strided=True,
    )


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(ndim))
    return tuple(one % ndim for one in ((axis,) if isinstance(axis, int) else axis))


def _check_axes(inputs: Inputs, options: Options) -> str | None:
    axis, ndim = options.get("axis"), inputs[0].ndim
    named = () if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    if any(not -ndim <= one < ndim for one in named) or len(set(_axes(named, ndim))) < len(named):
        return "the axes do not fit"  # the reference says what is wrong
    return None


def _check_not_empty(inputs: Inputs, options: Options) -> str | None:
    return None if math.prod(inputs[1]) else "an array is empty"


def _sum_to(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    (A,) = inputs
    shape = tuple(options["shape"])
    lead = A.ndim - len(shape)
    summed = [
        *range(lead),
        *(lead + k for k, size in enumerate(shape) if size != A.shape[lead + k]),
    ]
    Y = builder.output(0, shape, A.dtype)
    axis_sum(builder, A, tuple(summed), Y, 1.0) if summed else copy(builder, A, Y)
    return (Y,), SumToSaved(A.shape)


def _check_sum_to(inputs: Inputs, options: Options) -> str | None:
    (A,) = inputs
    shape = tuple(options["shape"])
    behind = A.shape[A.ndim - len(shape) :] if len(shape) <= A.ndim else ()
    if len(behind) != len(shape) or any(
        n not in (1, m) for n, m in zip(shape, behind, strict=True)
    ):
        return "the shape does not broadcast to that of the array"
    return None


# Matrix products.


def _laid(builder: Builder, A: Any) -> tuple[Any, int, bool]:
    """Return an array of matrices, the elements from row to row, and whether they are turned."""
    size = A.itemsize
    rows, columns = A.shape[-2:]
    down, along = A.strides[-2:]
    if along == size and down % size == 0 and down >= columns * size:
        return A, down // size, False
    if down == size and along % size == 0 and along >= rows * size:
        return A, along // size, True
    A = contiguous(builder, A) if not A.flags.c_contiguous else A
    return A, columns, False


def matmul(builder: Builder, A: Any, B: Any, C: Any) -> None:
    """Emit C = A B for arrays of matrices whose leading axes broadcast; C is contiguous."""
    if B.ndim == 2 and A.ndim > 2 and A.flags.c_contiguous:
        A, C = A.reshape(-1, A.shape[-1]), C.reshape(-1, C.shape[-1])
    (A, lda, turn_a), (B, ldb, turn_b) = _laid(builder, A), _laid(builder, B)
    m, n = C.shape[-2:]
    k = A.shape[-1]
    if C.ndim == 2:
        product(builder, A, B, C, turn_a, turn_b, lda, ldb)
        return
    batch = C.shape[:-2]
    strides = [_batch_strides(one, batch) for one in (A, B, C)]
    _batches(builder, (turn_a, turn_b, m, n, k), (A, B, C), (lda, ldb, n), batch, strides)


def _batches(
    builder: Builder, head: Any, arrays: Any, lengths: Any, batch: Any, strides: Any
) -> None:
    try:
        sizes, steps = walk(tuple(batch), tuple(strides), outer=2)
    except TooManyAxesError:
        for index in range(batch[0]):
            some = [
                a[index if a.shape[0] > 1 else 0] if a.ndim == len(batch) + 2 else a for a in arrays
            ]
            _batches(builder, head, some, lengths, batch[1:], [one[1:] for one in strides])
        return
    A, B, C = arrays
    lda, ldb, ldc = lengths
    one, library = gemm(dtype_name(C.dtype), *head[2:])
    given = (one.address, library, *head, A, lda, B, ldb, C, ldc, *sizes)
    given = (*given, *steps[0], *steps[1], *steps[2])
    builder.emit(kernel("gemm_batch", dtype_name(C.dtype)), given)


def _batch_strides(array: Any, batch: tuple[int, ...]) -> tuple[int, ...]:
    own = array.shape[:-2]
    lead = len(batch) - len(own)
    steps = [0 if size == 1 else step for size, step in zip(own, array.strides, strict=False)]
    return (*(0,) * lead, *steps)


def _matmul(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    A, B = inputs
    a, b = (A[None] if A.ndim == 1 else A), (B[:, None] if B.ndim == 1 else B)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    rows = () if A.ndim == 1 else (A.shape[-2],)
    columns = () if B.ndim == 1 else (B.shape[-1],)
    Y = builder.output(0, (*batch, *rows, *columns), A.dtype)
    matmul(builder, a, b, Y.reshape(*batch, a.shape[-2], b.shape[-1]))
    return (Y,), MatmulSaved(A, B)


def _matmul_backward(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    dY, A, B = inputs
    a, b = (A[None] if A.ndim == 1 else A), (B[:, None] if B.ndim == 1 else B)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    d = contiguous(builder, dY).reshape(*batch, a.shape[-2], b.shape[-1])
    dA = dB = None
    if needs[0]:
        shape = (*batch, a.shape[-2], a.shape[-1])
        dA = builder.output(0, shape if A.ndim > 1 else (*batch, a.shape[-1]), A.dtype)
        matmul(builder, d, b.swapaxes(-1, -2), dA.reshape(shape))
    if needs[1]:
        if b.ndim == 2:  # one product for the whole batch instead of a sum of many
            rows = contiguous(builder, a).reshape(-1, a.shape[-1])
            dB = builder.output(1, B.shape, B.dtype)
            matmul(builder, rows.T, d.reshape(-1, d.shape[-1]), dB.reshape(b.shape))
        else:
            dB = builder.output(1, (*batch, *b.shape[-2:]), B.dtype)
            matmul(builder, a.swapaxes(-1, -2), d, dB)
    return (dA, dB), None


def _check_matmul(inputs: Inputs, options: Options) -> str | None:
    A, B = inputs[-2:]
    if not A.ndim or not B.ndim or A.shape[-1] != B.shape[-2 if B.ndim > 1 else 0]:
        return "the shapes do not fit"
    try:
        np.broadcast_shapes(A.shape[:-2], B.shape[:-2])
    except ValueError:
        return "the leading axes do not broadcast"
    return None if A.dtype == B.dtype else f"{A.dtype} meets {B.dtype}"


# Moving values.


def _reshape(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    (A,) = inputs
    shape = np.empty(A.shape, np.uint8).reshape(options["shape"]).shape
    Y = builder.output(0, shape, A.dtype)
    copy(builder, A, Y.reshape(A.shape))
    return (Y,), ShapeSaved(tuple(A.shape))


def _check_reshape(inputs: Inputs, options: Options) -> str | None:
    try:
        np.empty(inputs[0].shape, np.uint8).reshape(options["shape"])
    except (ValueError, TypeError):
        return "the shape does not fit"
    return None


def _reshape_backward(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    dY, shape = inputs
    dA = builder.output(0, tuple(shape), dY.dtype)
    copy(builder, dY, dA.reshape(dY.shape))
    return (dA,), None


def _getitem_backward(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    dY, shape, index = inputs
    dA = builder.output(0, tuple(shape), dY.dtype)
    copy(builder, 0.0, dA)
    target = dA[(*index, ...)]
    copy(builder, dY.reshape(target.shape), target)
    return (dA,), None


def _concatenate(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    axis = options.get("axis", 0) % inputs[0].ndim
    ends = np.cumsum([one.shape[axis] for one in inputs]).tolist()
    first = inputs[0]
    Y = builder.output(0, (*first.shape[:axis], ends[-1], *first.shape[axis + 1 :]), first.dtype)
    front = (slice(None),) * axis
    for one, start, end in zip(inputs, [0, *ends[:-1]], ends, strict=True):
        copy(builder, one, Y[(*front, slice(start, end))])
    return (Y,), PiecesSaved(axis, tuple(ends))


def _split_backward(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    *dY, shape, axis, sizes = inputs
    dtype = next(one.dtype for one in dY if one is not None)
    dA = builder.output(0, shape, dtype)
    front, start = (slice(None),) * axis, 0
    for one, size in zip(dY, sizes, strict=True):
        if size:
            place = dA[(*front, slice(start, start + size))]
            copy(builder, 0.0 if one is None else one, place)
        start += size
    return (dA,), None


def _stack(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    first = inputs[0]
    axis = options.get("axis", 0) % (first.ndim + 1)
    Y = builder.output(0, (*first.shape[:axis], len(inputs), *first.shape[axis:]), first.dtype)
    front = (slice(None),) * axis
    for place, one in enumerate(inputs):
        copy(builder, one, Y[(*front, place, ...)])
    return (Y,), StackSaved(axis)


def _check_pieces(inputs: Inputs, options: Options) -> str | None:
    first = inputs[0]
    axis = options.get("axis", 0)
    if not first.ndim or not -first.ndim <= axis < first.ndim:
        return "there is no such axis"
    axis %= first.ndim
    for one in inputs:
        if one.dtype != first.dtype:
            return f"{one.dtype} meets {first.dtype}"
        rest = (*one.shape[:axis], *one.shape[axis + 1 :])
        if rest != (*first.shape[:axis], *first.shape[axis + 1 :]) or one.ndim != first.ndim:
            return "the shapes do not fit"
    return None


def _check_stack(inputs: Inputs, options: Options) -> str | None:
    first, axis = inputs[0], options.get("axis", 0)
    if not -first.ndim - 1 <= axis <= first.ndim:
        return "there is no such axis"
    same = all(one.shape == first.shape and one.dtype == first.dtype for one in inputs)
    return None if same else "the shapes or dtypes differ"


def _never_alone(direction: str, inputs: Inputs) -> bool:
    """Say that a single call is not quicker than NumPy's: values only move."""
    return False


def _moves(lowerings: Any, refusals: Any = None) -> CpuKernel:
    return CpuKernel(lowerings, refusals or {}, pays=_never_alone, strided=True)


SHAPE_KERNELS = {
    "sum": _sum(mean=False),
    "mean": _sum(mean=True),
    "sum_to": CpuKernel({"forward": _sum_to}, {"forward": _check_sum_to}, strided=True),
    "matmul": CpuKernel(
        {"forward": _matmul, "backward": _matmul_backward},
        {"forward": _check_matmul, "backward": _check_matmul},
        pays=_never_alone,
        strided=True,
    ),
    "reshape": _moves(
        {"forward": _reshape, "backward": _reshape_backward}, {"forward": _check_reshape}
    ),
    "getitem": _moves({"backward": _getitem_backward}),
    "concatenate": _moves({"forward": _concatenate}, {"forward": _check_pieces}),
    "split": CpuKernel(
        {"backward": _split_backward}, {}, pays=_never_alone, strided=True, several=True
    ),
    "stack": _moves({"forward": _stack}, {"forward": _check_stack}),
}
