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
from .reductions import sum_axes
from .runtime.declaration import Address, Constant, OptionalFloats, helper, kernel
from .runtime.language import (
    KIND,
    address_of,
    copy_rows,
    dot_rows,
    given,
    part,
    pointer,
    put_rows,
    stack,
    weigh,
)
from .windows import DEPTH, SLACK, Windows, capacity, find_terms, fitting, lay_rows

ROW_PLACES = 4096
"""Places of the kernel that a thread computes before it lays out other rows."""
FEW_OUTPUTS = 2
"""Outputs of a group up to which no tile of a product is worth while."""
FLAT = 2 * ROW_PLACES
"""Numbers that rows of places take with what lies between them, where they are computed as one."""


def _of_registers(dtype: str) -> Mapping[str, Any]:
    from . import tiles

    return {
        "number": np.dtype(dtype).itemsize,
        "L": tiles.lanes(dtype),
        "room": capacity(dtype) + SLACK,
        "flat": FLAT + SLACK,
    }


@helper
def begin_plain(
    like, space, L, channels, size, count, kernel, stride, before, high, wide, part_rows,
    part_columns,
):  # fmt: skip
    """Say whether an image of one channel is laid out as a whole, its rows end to end.

    Then its rows are at most two registers, and what surrounds it in the ``high * wide`` numbers of
    space, zero from here on, stays zero from image to image.
    """
    one_plane = channels == 1 and size[0] == 1 and count[0] == 1 and kernel[0] == 1
    whole = part_rows >= count[1] and part_columns >= count[2] and high * wide <= FLAT
    short = size[2] <= 2 * L and count[2] <= 2 * L
    inside = before[0] == 0 and before[1] >= 0 and before[2] >= 0
    inside = inside and size[1] + before[1] <= high and size[2] + before[2] <= wide
    plain = one_plane and whole and short and inside and stride[1] == 1 and stride[2] == 1
    if plain:
        for i in range(high * wide + SLACK):
            space[i] = like
    return plain


@helper
def copy_plane(like, number, L, source, rows, columns, out, wide):
    """Copy an image of short rows to rows ``wide`` numbers apart, with zeros behind each."""
    if columns <= L:
        copy_rows(1, like, rows, source, columns * number, columns, out, wide * number)
    else:
        copy_rows(2, like, rows, source, columns * number, columns, out, wide * number)


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
    tid, threads, *, number: Constant, L: Constant, room: Constant, flat: Constant,
):  # fmt: skip
    """Y = W · windows(X) + b, one row of places after the other; the threads share the images.

    Short rows are computed as one, with what lies between them, and then put where they belong. A
    number of W stands ``start`` behind its first one, and the strides behind that.
    """
    like = KIND(0.0)
    space, laid = address_of(stack(room, KIND)), stack(flat, KIND)
    offsets, weights = stack(DEPTH, np.int64), stack(DEPTH, KIND)
    source = pointer(W, KIND)
    pixels = size[0] * size[1] * size[2]
    all_places = count[0] * count[1] * count[2]
    area = kernel[1] * kernel[2]
    taps = kernel[0] * area
    all_terms = channels * taps
    blocks_r = (count[1] + part_rows - 1) // part_rows
    blocks_c = (count[2] + part_columns - 1) // part_columns
    high = count[1] + dilation[1] * (kernel[1] - 1)
    wide = count[2] + dilation[2] * (kernel[2] - 1)
    plain = all_terms <= depth and begin_plain(
        like, pointer(space, KIND), L, channels, size, count, kernel, stride, before, high, wide,
        part_rows, part_columns,
    )  # fmt: skip
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
            if plain:
                inside = space + (before[1] * wide + before[2]) * number
                copy_plane(like, number, L, image, size[1], size[2], inside, wide)
            else:
                lay_rows(
                    like, pointer(image, KIND), pointer(space, KIND),
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
                if plain:
                    length, to = (rows - 1) * wide + columns, address_of(laid)
                    for q in range(0, length, 4 * L):
                        here, there, width = space + q * number, to + q * number, length - q
                        if width > 2 * L:
                            weigh(4, False, like, 0, value, terms, w, table, here, there, width)
                        elif width > L:
                            weigh(2, False, like, 0, value, terms, w, table, here, there, width)
                        else:
                            weigh(1, False, like, 0, value, terms, w, table, here, there, width)
                    y = Y + base * number
                    if columns <= L:
                        put_rows(1, like, rows, to, wide * number, columns, y, columns * number)
                    else:
                        put_rows(2, like, rows, to, wide * number, columns, y, columns * number)
                    continue
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
    tid, threads, *, number: Constant, L: Constant, room: Constant, flat: Constant,
):  # fmt: skip
    """For each image of one channel D times its windows: out (images, outputs, kernel).

    The threads share the images. Short rows of D are laid out with zeros between them, so that a
    sum goes over all rows at once; where these meet what is not finite, it is made by rows again.
    """
    like = KIND(0.0)
    space, laid = address_of(stack(room, KIND)), address_of(stack(flat, KIND))
    pixels = size[0] * size[1] * size[2]
    all_places = count[0] * count[1] * count[2]
    taps = kernel[0] * kernel[1] * kernel[2]
    first, last = part(images, tid, threads, 1)
    whole_high = count[1] + dilation[1] * (kernel[1] - 1)
    whole_wide = count[2] + dilation[2] * (kernel[2] - 1)
    plain = begin_plain(
        like, pointer(space, KIND), L, channels, size, count, kernel, stride, before,
        whole_high, whole_wide, part_rows, part_columns,
    )  # fmt: skip
    if plain:
        between = pointer(laid, KIND)
        for i in range(whole_high * whole_wide + SLACK):
            between[i] = like
    for n in range(first, last):
        goal = pointer(out + n * outputs * taps * number, KIND)
        for i in range(outputs * taps):
            goal[i] = like
        if plain:
            inside = space + (before[1] * whole_wide + before[2]) * number
            image = X + n * pixels * number
            copy_plane(like, number, L, image, size[1], size[2], inside, whole_wide)
            length, bad = (count[1] - 1) * whole_wide + count[2], like
            for o in range(outputs):
                d = D + (n * outputs + o) * all_places * number
                copy_plane(like, number, L, d, count[1], count[2], laid, whole_wide)
                for line in range(kernel[1]):
                    x = space + line * dilation[1] * whole_wide * number
                    to = out + ((n * outputs + o) * taps + line * kernel[2]) * number
                    j = 0
                    while j < kernel[2]:
                        here = x + j * dilation[2] * number
                        if j + 3 <= kernel[2]:
                            dot_rows(
                                3, like, 1, length, laid, 0, here, 0, dilation[2] * number,
                                to + j * number,
                            )  # fmt: skip
                            j += 3
                        else:
                            dot_rows(1, like, 1, length, laid, 0, here, 0, 0, to + j * number)
                            j += 1
            for i in range(outputs * taps):
                bad += goal[i] * like
            if bad == like:
                continue
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
                        like, pointer(X + n * pixels * number, KIND), pointer(space, KIND), 0, 1,
                        size, kernel, stride, dilation, z * stride[0] - before[0],
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
