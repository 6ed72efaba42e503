"""Convolutions of few channels or to few outputs: rows of places, without products.

Of a depthwise convolution each output sums over one channel; of the gradient of the first layer's
input a few outputs sum over many.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from nnscratch.array.dtypes import dtype_name

from .implementation import Builder
from .planes import emit_planes, emit_weights_of_planes
from .reductions import sum_axes
from .runtime.declaration import Address, Constant, OptionalFloats, kernel
from .runtime.language import (
    KIND,
    address_of,
    dot_rows,
    given,
    part,
    pointer,
    stack,
    weigh,
)
from .squares import emit_squares, squares
from .windows import DEPTH, SLACK, Windows, capacity, find_terms, fitting, lay_rows

ROW_PLACES = 4096
"""Places of the kernel that a thread computes before it lays out other rows."""
FEW_OUTPUTS = 2
"""Outputs of a group up to which no tile of a product is worth while."""


def _of_registers(dtype: str) -> Mapping[str, Any]:
    from . import tiles

    return {
        "number": np.dtype(dtype).itemsize,
        "L": tiles.lanes(dtype),
        "room": capacity(dtype) + SLACK,
    }


@kernel(
    cost=lambda images, channels, outputs, count0, count1, count2, kernel0, kernel1, kernel2: (
        300.0
        + images * channels * outputs * count0 * count1 * count2 * kernel0 * kernel1 * kernel2 / 15
    ),
    constants=_of_registers,
)
def convolution_rows(
    X: Address, W: Address, b: OptionalFloats, Y: Address,
    images: int, groups: int, channels: int, outputs: int,
    size: tuple[int, int, int], count: tuple[int, int, int], kernel: tuple[int, int, int],
    stride: tuple[int, int, int], dilation: tuple[int, int, int], before: tuple[int, int, int],
    start: int, group_stride: int, row_stride: int, input_stride: int,
    kernel_strides: tuple[int, int, int], part_rows: int, part_columns: int, depth: int,
    tid, threads, *, number: Constant, L: Constant, room: Constant,
):  # fmt: skip
    """Y = W · windows(X) + b, one row of places after the other; the threads share the images.

    A number of W stands ``start`` behind its first one, and the strides behind that.
    """
    like = KIND(0.0)
    space = address_of(stack(room, KIND))
    offsets, weights = stack(DEPTH, np.int64), stack(DEPTH, KIND)
    source = pointer(W, KIND)
    pixels = size[0] * size[1] * size[2]
    all_places = count[0] * count[1] * count[2]
    area = kernel[1] * kernel[2]
    taps = kernel[0] * area
    all_terms = channels * taps
    blocks_r = (count[1] + part_rows - 1) // part_rows
    blocks_c = (count[2] + part_columns - 1) // part_columns
    high = wide = -1
    begun = -1
    first, last = part(images * count[0] * blocks_r * blocks_c, tid, threads, 1)
    for item in range(first, last):
        left, rest = item % blocks_c * part_columns, item // blocks_c
        top, rest = rest % blocks_r * part_rows, rest // blocks_r
        z, n = rest % count[0], rest // count[0]
        g = n % groups
        rows, columns = min(part_rows, count[1] - top), min(part_columns, count[2] - left)
        before_high, before_wide = high, wide
        high = (rows - 1) * stride[1] + dilation[1] * (kernel[1] - 1) + 1
        wide = (columns + dilation[2] * (kernel[2] - 1) // stride[2]) * stride[2]
        for l0 in range(0, all_terms, depth):
            terms = min(depth, all_terms - l0)
            if l0 != begun or high != before_high or wide != before_wide:
                find_terms(offsets, l0, terms, kernel, stride, dilation, high, wide, number)
                begun = l0
            image = X + n * channels * pixels * number
            lay_rows(
                like, L, number, pointer(image, KIND), pointer(space, KIND),
                l0 // taps, (l0 + terms - 1) // taps + 1, size, kernel, stride, dilation,
                z * stride[0] - before[0], top * stride[1] - before[1],
                left * stride[2] - before[2], high, wide,
            )  # fmt: skip
            for o in range(outputs):
                begin = start + g * group_stride + o * row_stride
                c, k = l0 // taps, l0 % taps
                i, j, k = k % area // kernel[2], k % kernel[2], k // area
                for l in range(terms):
                    at = begin + c * input_stride + k * kernel_strides[0]
                    weights[l] = source[at + i * kernel_strides[1] + j * kernel_strides[2]]
                    j += 1
                    if j == kernel[2]:
                        i, j = i + 1, 0
                    if i == kernel[1]:
                        k, i = k + 1, 0
                    if k == kernel[0]:
                        c, k = c + 1, 0
                value = like
                if given(b):
                    value = b[g * outputs + o]
                w, table = address_of(weights), address_of(offsets)
                base = (n * outputs + o) * all_places + (z * count[1] + top) * count[2] + left
                for row in range(rows):
                    y = Y + (base + row * count[2]) * number
                    x = space + row * stride[1] * wide * number
                    for q in range(0, columns, 4 * L):
                        here, there, width = x + q * number, y + q * number, columns - q
                        if width >= 4 * L:
                            weigh(4, False, like, l0, value, terms, w, table, here, there, width)
                        elif width > 2 * L:
                            weigh(4, True, like, l0, value, terms, w, table, here, there, width)
                        elif width > L:
                            weigh(2, True, like, l0, value, terms, w, table, here, there, width)
                        elif width == L:
                            weigh(1, False, like, l0, value, terms, w, table, here, there, width)
                        else:
                            weigh(1, True, like, l0, value, terms, w, table, here, there, width)


@kernel(
    cost=lambda images, outputs, count0, count1, count2, kernel0, kernel1, kernel2: (
        300.0 + images * outputs * count0 * count1 * count2 * kernel0 * kernel1 * kernel2 / 12
    ),
    constants=_of_registers,
)
def depthwise_weights(
    X: Address, D: Address, out: Address, images: int, groups: int, channels: int, outputs: int,
    size: tuple[int, int, int], count: tuple[int, int, int], kernel: tuple[int, int, int],
    stride: tuple[int, int, int], dilation: tuple[int, int, int], before: tuple[int, int, int],
    part_rows: int, part_columns: int,
    tid, threads, *, number: Constant, L: Constant, room: Constant,
):  # fmt: skip
    """For each image of one channel D times its windows: out (images, outputs, kernel).

    The threads share the images.
    """
    like = KIND(0.0)
    space = address_of(stack(room, KIND))
    pixels = size[0] * size[1] * size[2]
    all_places = count[0] * count[1] * count[2]
    taps = kernel[0] * kernel[1] * kernel[2]
    first, last = part(images, tid, threads, 1)
    for n in range(first, last):
        goal = pointer(out + n * outputs * taps * number, KIND)
        for i in range(outputs * taps):
            goal[i] = like
        for z in range(count[0]):
            for top in range(0, count[1], part_rows):
                rows = min(part_rows, count[1] - top)
                for left in range(0, count[2], part_columns):
                    columns = min(part_columns, count[2] - left)
                    high = (rows - 1) * stride[1] + dilation[1] * (kernel[1] - 1) + 1
                    across = columns + dilation[2] * (kernel[2] - 1) // stride[2]
                    wide = across * stride[2]
                    lay_rows(
                        like, L, number, pointer(X + n * pixels * number, KIND),
                        pointer(space, KIND), 0, 1, size,
                        kernel, stride, dilation, z * stride[0] - before[0],
                        top * stride[1] - before[1], left * stride[2] - before[2], high, wide,
                    )  # fmt: skip
                    for o in range(outputs):
                        d = (n * outputs + o) * all_places + (z * count[1] + top) * count[2] + left
                        d = D + d * number
                        for line in range(kernel[0] * kernel[1]):
                            i, k = line // kernel[1], line % kernel[1]
                            x = space + (i * high + k * dilation[1]) * wide * number
                            to = out + ((n * outputs + o) * taps + line * kernel[2]) * number
                            j = 0
                            while j < kernel[2]:
                                shift = j * dilation[2]
                                here = x + shift % stride[2] * across * number
                                here += shift // stride[2] * number
                                if stride[2] == 1 and j + 3 <= kernel[2]:
                                    dot_rows(
                                        3, like, rows, columns, d, count[2] * number, here,
                                        stride[1] * wide * number, dilation[2] * number,
                                        to + j * number,
                                    )  # fmt: skip
                                    j += 3
                                else:
                                    dot_rows(
                                        1, like, rows, columns, d, count[2] * number, here,
                                        stride[1] * wide * number, 0, to + j * number,
                                    )  # fmt: skip
                                    j += 1


def by_rows(w: Windows, outputs: int) -> bool:
    """Say by the sizes whether a convolution goes by rows of places."""
    return outputs <= FEW_OUTPUTS and w.kernel != (1, 1, 1)


def emit_rows(
    builder: Builder, w: Windows, X: Any, W: Any, b: Any, Y: Any, outputs: int, strides: Any
) -> None:
    """Emit Y = W · windows(X) + b."""
    if squares(w):
        emit_squares(builder, w, X, W, b, Y, outputs, strides)
        return
    if emit_planes(builder, w, X, W, b, Y, outputs, strides):
        return
    p = fitting(w, X.dtype, ROW_PLACES)
    assert p is not None
    start, group, row, inner, taps = strides
    convolution_rows.emit(
        builder, dtype_name(X.dtype), X=X, W=W, b=b, Y=Y, outputs=outputs, **w.arguments(),
        start=start, group_stride=group, row_stride=row, input_stride=inner, kernel_strides=taps,
        part_rows=p.rows, part_columns=p.columns, depth=p.depth,
    )  # fmt: skip


def emit_depthwise_weights(builder: Builder, w: Windows, X: Any, D: Any, dW: Any) -> None:
    """Emit dW = Σ D · windows(X)ᵀ, where each group has one channel."""
    if emit_weights_of_planes(builder, w, X, D, dW):
        return
    p = fitting(w, X.dtype, ROW_PLACES)
    assert p is not None
    batch = w.images // w.groups
    whole = dW if batch == 1 else builder.empty((batch, math.prod(dW.shape)), dW.dtype)
    depthwise_weights.emit(
        builder, dtype_name(X.dtype), X=X, D=D, out=whole, outputs=D.shape[1] // w.groups,
        **w.arguments(), part_rows=p.rows, part_columns=p.columns,
    )  # fmt: skip
    if batch > 1:
        sum_axes(builder, whole, (0,), dW.reshape(-1), 1.0)
