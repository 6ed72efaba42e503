"""Convolutions to a few outputs, whose windows are read from the image where they lie.

A product with windows lays out each window first, and that is repaid by the outputs that take it.
A first layer of 6 outputs, or the gradient of an input of 6 channels, has one tile of them. Here an
image is copied once, with the zeros around it. In the copy, what neighbouring places of a row hold
at one pixel of the kernel lies end to end: a register of places is read at any pixel, and a tile is
some outputs times two such registers. At the end of a row the last register begins so early that it
is full: some places are computed twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nnscratch.array.dtypes import dtype_name

from .implementation import Builder
from .runtime.declaration import Address, Constant, Floats, OptionalFloats, helper, kernel
from .runtime.language import (
    KIND,
    ROWS,
    address_of,
    dot_places,
    given,
    part,
    pointer,
    stack,
    weigh_rows,
)
from .windows import FEW, SLACK, Windows, capacity, find_terms, lay_rows

MOST_OUTPUTS = 64
"""Outputs of a group up to which it is quicker not to lay the windows out,"""
MOST_OF_WEIGHTS = 24
"""and up to which it is for the gradient of the weights."""
MOST_TERMS = 1024
"""Terms of a sum; each has an entry in a table."""
LEAST_TERMS = 8
"""Terms of which a thread sums at least so many, if there are."""
LEAST_ROWS = 4
"""Rows of places that a thread has at least, if there are as many."""


def _of_space(dtype: str) -> Mapping[str, Any]:
    from . import tiles

    return {
        "number": np.dtype(dtype).itemsize,
        "L": tiles.lanes(dtype),
        "room": capacity(dtype) + SLACK,
        "sums_of_tile": 2 * tiles.ROWS,
    }


@helper
def weigh_two(like, L, number, rows, terms, a, offsets, x, apart, bias, y, y_row):
    """Compute two registers of places for at most ROWS outputs."""
    step, r = ROWS * number, 0
    if rows == ROWS:
        weigh_rows(ROWS, 2, like, terms, a, step, offsets, x, apart, bias, y, y_row)
        return
    if rows & 4:
        weigh_rows(4, 2, like, terms, a, step, offsets, x, apart, bias, y, y_row)
        r = 4
    a, y, bias = a + r * number, y + r * y_row, bias + r * number if bias else 0
    if rows - r == 3:
        weigh_rows(3, 2, like, terms, a, step, offsets, x, apart, bias, y, y_row)
    elif rows - r == 2:
        weigh_rows(2, 2, like, terms, a, step, offsets, x, apart, bias, y, y_row)
    elif rows - r == 1:
        weigh_rows(1, 2, like, terms, a, step, offsets, x, apart, bias, y, y_row)


@helper
def weigh_one(like, L, number, rows, terms, a, offsets, x, bias, y, y_row):
    """Compute one register of places likewise."""
    step, r = ROWS * number, 0
    if rows == ROWS:
        weigh_rows(ROWS, 1, like, terms, a, step, offsets, x, 0, bias, y, y_row)
        return
    while r < rows:
        b = bias + r * number if bias else 0
        if rows - r >= 3:
            weigh_rows(3, 1, like, terms, a + r * number, step, offsets, x, 0, b, y, y_row)
            r, y = r + 3, y + 3 * y_row
        else:
            weigh_rows(1, 1, like, terms, a + r * number, step, offsets, x, 0, b, y, y_row)
            r, y = r + 1, y + y_row


@helper
def weigh_row(like, L, number, rows, terms, a, offsets, x, bias, y, y_row, columns):
    """Compute a row of places, at least L of them, for at most ROWS outputs."""
    for j in range(0, columns, 2 * L):
        left = columns - j
        if left > L:
            here, there, apart = x + j * number, y + j * number, min(L, left - L) * number
            weigh_two(like, L, number, rows, terms, a, offsets, here, apart, bias, there, y_row)
        else:
            here, there = x + (columns - L) * number, y + (columns - L) * number
            weigh_one(like, L, number, rows, terms, a, offsets, here, bias, there, y_row)


@kernel(
    cost=lambda images, channels, outputs, count0, count1, count2, kernel0, kernel1, kernel2: (
        300.0
        + images * channels * outputs * count0 * count1 * count2 * kernel0 * kernel1 * kernel2 / 45
    ),
    constants=_of_space,
)
def convolution_in_place(
    X: Address, W: Address, b: OptionalFloats, Y: Address,
    images: int, groups: int, channels: int, outputs: int,
    size: tuple[int, int, int], count: tuple[int, int, int], kernel: tuple[int, int, int],
    stride: tuple[int, int, int], dilation: tuple[int, int, int], before: tuple[int, int, int],
    w_group: int, part_rows: int, tid, threads, *, number: Constant, L: Constant, room: Constant,
):  # fmt: skip
    """Y = W · windows(X) + b, for columns without a stride; the threads share rows of the images.

    The weights are laid out as tiles, ``w_group`` numbers from one group to the next.
    """
    like = KIND(0.0)
    space, offsets = address_of(stack(room, KIND)), stack(1024, np.int64)
    pixels = size[0] * size[1] * size[2]
    all_places = count[0] * count[1] * count[2]
    terms = channels * kernel[0] * kernel[1] * kernel[2]
    wide = count[2] + dilation[2] * (kernel[2] - 1)
    blocks = (count[1] + part_rows - 1) // part_rows
    high = -1
    first, last = part(images * count[0] * blocks, tid, threads, 1)
    for item in range(first, last):
        top, rest = item % blocks * part_rows, item // blocks
        z, n = rest % count[0], rest // count[0]
        g, rows, before_high = n % groups, min(part_rows, count[1] - top), high
        high = (rows - 1) * stride[1] + dilation[1] * (kernel[1] - 1) + 1
        if high != before_high:
            find_terms(offsets, 0, terms, kernel, stride, dilation, high, wide, number)
        lay_rows(
            like, pointer(X + n * channels * pixels * number, KIND), pointer(space, KIND), 0,
            channels, size, kernel, stride, dilation, z * stride[0] - before[0],
            top * stride[1] - before[1], -before[2], high, wide,
        )  # fmt: skip
        for o in range(0, outputs, ROWS):
            a = W + (g * w_group + o * terms) * number
            bias = address_of(b) + (g * outputs + o) * number if given(b) else 0
            y = Y + (n * outputs + o) * all_places * number
            y += (z * count[1] + top) * count[2] * number
            for row in range(rows):
                weigh_row(
                    like, L, number, min(ROWS, outputs - o), terms, a, address_of(offsets),
                    space + row * stride[1] * wide * number, bias,
                    y + row * count[2] * number, all_places * number, count[2],
                )  # fmt: skip


def rows_in_place(w: Windows, outputs: int, dtype: Any) -> int | None:
    """Return how many rows of places are computed at a time; None where tiles are quicker."""
    from . import tiles

    if outputs > MOST_OUTPUTS or w.terms > MOST_TERMS or w.taps == 1 or w.stride[2] > 1:
        return None
    if w.count[2] < tiles.lanes(dtype_name(dtype)):
        return None
    rows = w.count[1]
    while True:
        high, wide = w.reach(rows, w.count[2])
        small = w.channels * w.kernel[0] * high * wide <= capacity(dtype) // 2
        if small and (rows <= LEAST_ROWS or w.images * w.count[0] * -(-w.count[1] // rows) >= FEW):
            return rows
        if rows <= LEAST_ROWS:
            return None
        rows = max(LEAST_ROWS, (rows + 1) // 2)


def emit_in_place(
    builder: Builder, w: Windows, X: Any, W: Any, b: Any, Y: Any, outputs: int, rows: int
) -> None:
    """Emit Y = W · windows(X) + b; W is laid out as tiles."""
    from .tiles import ROWS as tile_rows

    convolution_in_place.emit(
        builder, dtype_name(X.dtype), X=X, W=W, b=b, Y=Y, outputs=outputs, **w.arguments(),
        w_group=-(-outputs // tile_rows) * tile_rows * w.terms, part_rows=rows,
    )  # fmt: skip


@helper
def dots_of(
    rows, number, like, many, d_image, x_image, places, d_row, x_row, width, d, d_output, x, y, out
):
    """Write the sums of at most ROWS outputs and two terms."""
    if rows == ROWS:
        dot_places(
            ROWS, like, many, d_image, x_image, places, d_row, x_row, width, d, d_output, x, y, out
        )
        return
    r = 0
    if rows & 4:
        dot_places(
            4, like, many, d_image, x_image, places, d_row, x_row, width, d, d_output, x, y, out
        )
        r = 4
    while r < rows:
        dot_places(
            1, like, many, d_image, x_image, places, d_row, x_row, width, d + r * d_output,
            d_output, x, y, out + 2 * r * number,
        )  # fmt: skip
        r += 1


@kernel(
    cost=lambda images, channels, outputs, count0, count1, count2, kernel0, kernel1, kernel2: (
        300.0
        + images * channels * outputs * count0 * count1 * count2 * kernel0 * kernel1 * kernel2 / 45
    ),
    constants=_of_space,
)
def weights_in_place(
    X: Address, D: Address, out: Floats,
    images: int, groups: int, channels: int, outputs: int,
    size: tuple[int, int, int], count: tuple[int, int, int], kernel: tuple[int, int, int],
    stride: tuple[int, int, int], dilation: tuple[int, int, int], before: tuple[int, int, int],
    chunk: int, part_images: int, part_terms: int,
    tid, threads, *, number: Constant, L: Constant, room: Constant, sums_of_tile: Constant,
):  # fmt: skip
    """For each ``chunk`` images of a group the sum of D times the windows of X, of one plane.

    out (chunks, groups, outputs, channels · pixels of the kernel). The threads share the chunks and
    blocks of the terms.
    """
    like = KIND(0.0)
    space, offsets = address_of(stack(room, KIND)), stack(1024, np.int64)
    sums = stack(sums_of_tile, KIND)
    pixels, places = size[1] * size[2], count[1] * count[2]
    taps = kernel[1] * kernel[2]
    all_terms = channels * taps
    batch = images // groups
    high = (count[1] - 1) * stride[1] + dilation[1] * (kernel[1] - 1) + 1
    wide = count[2] + dilation[2] * (kernel[2] - 1)
    chunks, blocks = (batch + chunk - 1) // chunk, (all_terms + part_terms - 1) // part_terms
    first, last = part(chunks * groups * blocks, tid, threads, 1)
    for item in range(first, last):
        t0, rest = item % blocks * part_terms, item // blocks
        g, n0 = rest % groups, rest // groups * chunk
        terms, stop = min(part_terms, all_terms - t0), min(n0 + chunk, batch)
        c0, c1 = t0 // taps, (t0 + terms - 1) // taps + 1
        plane = (c1 - c0) * high * wide * number
        find_terms(offsets, t0, terms, kernel, stride, dilation, high, wide, number)
        for n in range(n0, stop, part_images):
            many = min(part_images, stop - n)
            for m in range(many):
                image = X + ((n + m) * groups + g) * channels * pixels * number
                lay_rows(
                    like, pointer(image, KIND), pointer(space + m * plane, KIND), c0, c1, size,
                    kernel, stride, dilation, 0, -before[1], -before[2], high, wide,
                )  # fmt: skip
            for o in range(0, outputs, ROWS):
                some = min(ROWS, outputs - o)
                d = D + ((n * groups + g) * outputs + o) * places * number
                for t in range(0, terms, 2):
                    both = min(2, terms - t)
                    dots_of(
                        some, number, like, many, groups * outputs * places * number, plane,
                        count[1], count[2] * number, stride[1] * wide * number, count[2], d,
                        places * number, space + offsets[t], space + offsets[t + both - 1],
                        address_of(sums),
                    )  # fmt: skip
                    at = (rest * outputs + o) * all_terms + t0 + t
                    for r in range(some):
                        for k in range(both):
                            value = sums[2 * r + k]
                            if n > n0:
                                value += out[at + r * all_terms + k]
                            out[at + r * all_terms + k] = value


def images_in_place(w: Windows, outputs: int, dtype: Any) -> int | None:
    """Return how many images' windows have room for gradients of weights; None for none.

    Rows shorter than two registers are left to the product, as they are cut too often.
    """
    from . import tiles

    if w.size[0] * w.count[0] * w.kernel[0] > 1 or rows_in_place(w, outputs, dtype) is None:
        return None
    if outputs > MOST_OF_WEIGHTS or w.count[2] < 2 * tiles.lanes(dtype_name(dtype)):
        return None
    high, wide = w.reach(w.count[1], w.count[2])
    return int(capacity(dtype) // 2 // (w.channels * high * wide)) or None


def emit_weights_in_place(
    builder: Builder, w: Windows, X: Any, D: Any, out: Any, outputs: int, chunk: int, images: int
) -> None:
    """Emit the sums of D · windows(X)ᵀ over ``chunk`` images each."""
    parts = -(-(w.images // w.groups) // chunk) * w.groups
    blocks = max(1, min(FEW // parts, w.terms // LEAST_TERMS))
    weights_in_place.emit(
        builder, dtype_name(X.dtype), X=X, D=D, out=out, outputs=outputs, **w.arguments(),
        chunk=chunk, part_images=min(chunk, images), part_terms=-(-w.terms // blocks),
    )  # fmt: skip
