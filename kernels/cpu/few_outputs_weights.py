"""The gradient of the weights of a few outputs, from windows that are read where they lie.

As in ``few_outputs`` an image is copied once, with the zeros around it, and in the copy the places
of some rows are one line, with gaps between the rows. What is given for the outputs is laid out in
the same lines, with zeros in the gaps: a tile is some outputs times some terms, and what an image
has in a gap is left out of it, as it may be infinite.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nnscratch.array.dtypes import dtype_name

from .few_outputs import MOST_TERMS, rows_in_place
from .implementation import Builder
from .runtime.declaration import Address, Constant, Floats, helper, kernel
from .runtime.language import (
    KIND,
    ROWS,
    TERMS,
    address_of,
    copy_rows,
    dot_lines,
    part,
    pointer,
    stack,
)
from .windows import FEW, SLACK, Windows, capacity, clear, find_terms, lay_rows

MOST_OUTPUTS = 24
"""Outputs of a group up to which it is quicker not to lay the windows out."""
LEAST_TERMS = 9
"""Terms of which a thread sums at least so many, if there are."""
LINES = 1024
"""Numbers of an output that are laid out at a time: with those of a tile they fill the L1."""


def _of_space(dtype: str) -> Mapping[str, Any]:
    from . import tiles

    return {
        "number": np.dtype(dtype).itemsize,
        "L": tiles.lanes(dtype),
        "room": capacity(dtype) + SLACK,
        "room_of_line": LINES + SLACK,
        "room_of_lines": tiles.ROWS * LINES + SLACK,
        "room_of_terms": MOST_TERMS + 2,
        "sums_of_tile": 3 * tiles.ROWS + tiles.lanes(dtype),
    }


@helper
def lay_line(like, L, number, source, rows, columns, down, out, line):
    """Lay out rows of numbers as one line of whole registers, with zeros between the rows."""
    clear(like, L, number, out, line)
    if columns <= L:
        copy_rows(1, like, rows, source, columns * number, columns, out, down * number)
    elif columns <= 2 * L:
        copy_rows(2, like, rows, source, columns * number, columns, out, down * number)
    else:
        for row in range(rows):
            here, there = source + row * columns * number, out + row * down * number
            for j in range(0, columns, 2 * L):
                at, width = j * number, min(columns - j, 2 * L)
                copy_rows(2, like, 1, here + at, 0, width, there + at, 0)


@helper
def mark_line(like, there, rows, columns, down, line):
    """Write ones where a line has places, and zeros where it has gaps."""
    for i in range(line):
        there[i] = like
    for row in range(rows):
        for i in range(columns):
            there[row * down + i] = like + 1


@helper
def dots_of(
    some, like, number, many, d_image, x_image, registers, there, d, d_output, x, offsets, out
):
    """Write the sums of at most ROWS outputs and TERMS terms."""
    if some == ROWS:
        dot_lines(
            ROWS, TERMS, like, many, d_image, x_image, registers, there, d, d_output, x, offsets,
            out,
        )  # fmt: skip
        return
    r = 0
    if some >= 6:
        dot_lines(
            6, TERMS, like, many, d_image, x_image, registers, there, d, d_output, x, offsets, out
        )
        r = 6
    elif some & 4:
        dot_lines(
            4, TERMS, like, many, d_image, x_image, registers, there, d, d_output, x, offsets, out
        )
        r = 4
    while r < some:
        here, sums = d + r * d_output, out + r * TERMS * number
        if some - r >= 2:
            dot_lines(
                2, TERMS, like, many, d_image, x_image, registers, there, here, d_output, x,
                offsets, sums,
            )  # fmt: skip
            r += 2
        else:
            dot_lines(
                1, TERMS, like, many, d_image, x_image, registers, there, here, d_output, x,
                offsets, sums,
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
    chunk: int, part_images: int, part_rows: int, part_terms: int,
    tid, threads, *, number: Constant, L: Constant, room: Constant, room_of_line: Constant,
    room_of_lines: Constant, room_of_terms: Constant, sums_of_tile: Constant,
):  # fmt: skip
    """For each ``chunk`` images of a group the sum of D times the windows of X, of one plane.

    out (chunks, groups, outputs, channels · pixels of the kernel). The threads share the chunks and
    blocks of the terms.
    """
    like = KIND(0.0)
    space, offsets = address_of(stack(room, KIND)), stack(room_of_terms, np.int64)
    there, lines = stack(room_of_line, KIND), address_of(stack(room_of_lines, KIND))
    sums = stack(sums_of_tile, KIND)
    pixels, places = size[1] * size[2], count[1] * count[2]
    taps = kernel[1] * kernel[2]
    all_terms = channels * taps
    batch = images // groups
    high = (count[1] - 1) * stride[1] + dilation[1] * (kernel[1] - 1) + 1
    wide = count[2] + dilation[2] * (kernel[2] - 1)
    down, marked = stride[1] * wide, 0
    chunks, blocks = (batch + chunk - 1) // chunk, (all_terms + part_terms - 1) // part_terms
    first, last = part(chunks * groups * blocks, tid, threads, 1)
    for item in range(first, last):
        t0, rest = item % blocks * part_terms, item // blocks
        g, n0 = rest % groups, rest // groups * chunk
        terms, stop = min(part_terms, all_terms - t0), min(n0 + chunk, batch)
        c0, c1 = t0 // taps, (t0 + terms - 1) // taps + 1
        plane = (c1 - c0) * high * wide * number
        find_terms(offsets, t0, terms, kernel, stride, dilation, high, wide, number)
        for t in range(terms, terms + TERMS - 1):  # what a tile has beyond the last term
            offsets[t] = offsets[terms - 1]
        for n in range(n0, stop, part_images):
            many = min(part_images, stop - n)
            for m in range(many):
                image = X + ((n + m) * groups + g) * channels * pixels * number
                lay_rows(
                    like, L, number, pointer(image, KIND), pointer(space + m * plane, KIND), c0,
                    c1, size, kernel, stride, dilation, 0, -before[1], -before[2], high, wide,
                )  # fmt: skip
            for top in range(0, count[1], part_rows):
                rows = min(part_rows, count[1] - top)
                registers = ((rows - 1) * down + count[2] + L - 1) // L
                line = registers * L
                if rows != marked:
                    mark_line(like, there, rows, count[2], down, line)
                    marked = rows
                for o in range(0, outputs, ROWS):
                    some = min(ROWS, outputs - o)
                    for m in range(many):
                        d = (((n + m) * groups + g) * outputs + o) * places + top * count[2]
                        for r in range(some):
                            lay_line(
                                like, L, number, D + (d + r * places) * number, rows, count[2],
                                down, lines + (m * some + r) * line * number, line,
                            )  # fmt: skip
                    for t in range(0, terms, TERMS):
                        dots_of(
                            some, like, number, many, some * line * number, plane, registers,
                            address_of(there), lines, line * number,
                            space + top * down * number, address_of(offsets) + 8 * t,
                            address_of(sums),
                        )  # fmt: skip
                        at = (rest * outputs + o) * all_terms + t0 + t
                        for r in range(some):
                            for k in range(min(TERMS, terms - t)):
                                value = sums[TERMS * r + k]
                                if n > n0 or top > 0:
                                    value += out[at + r * all_terms + k]
                                out[at + r * all_terms + k] = value


def images_in_place(w: Windows, outputs: int, dtype: Any) -> int | None:
    """Return how many images' windows have room for gradients of weights; None for none."""
    if w.size[0] * w.count[0] * w.kernel[0] > 1 or rows_in_place(w, outputs, dtype) is None:
        return None
    high, wide = w.reach(w.count[1], w.count[2])
    if outputs > MOST_OUTPUTS or w.count[2] > LINES:
        return None
    return int(capacity(dtype) // 2 // (w.channels * high * wide)) or None


def emit_weights_in_place(
    builder: Builder, w: Windows, X: Any, D: Any, out: Any, outputs: int, chunk: int, images: int
) -> None:
    """Emit the sums of D · windows(X)ᵀ over ``chunk`` images each."""
    from . import tiles

    L = tiles.lanes(dtype_name(X.dtype))
    parts = -(-(w.images // w.groups) // chunk) * w.groups
    blocks = max(1, min(FEW // parts, w.terms // LEAST_TERMS))
    down = w.stride[1] * w.reach(1, w.count[2])[1]
    line_parts = -(-w.count[1] // min(w.count[1], 1 + (LINES - w.count[2]) // down))
    rows = -(-w.count[1] // line_parts)
    line = -(-((rows - 1) * down + w.count[2]) // L) * L
    images = max(1, min(chunk, images, LINES // line))
    weights_in_place.emit(
        builder, dtype_name(X.dtype), X=X, D=D, out=out, outputs=outputs, **w.arguments(),
        chunk=chunk, part_images=-(-chunk // -(-chunk // images)), part_rows=rows,
        part_terms=-(-w.terms // blocks),
    )  # fmt: skip
