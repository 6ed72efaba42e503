"""The gradient of the weights of a few outputs, from windows that are read where they lie.

As in ``few_outputs`` an image is copied once, with the zeros around it, and in the copy the places
of some rows are one line, with gaps between the rows. What is given for the outputs is laid out in
the same lines, with zeros in the gaps: a tile is some outputs times some terms, and what an image
has in a gap is left out of it, as it may be infinite.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnscratch.array.dtypes import dtype_name

from .few_outputs import MOST_OUTPUTS, MOST_TERMS
from .implementation import Builder
from .runtime.declaration import Address, Constant, Floats, helper, kernel
from .runtime.language import (
    KIND,
    ROWS,
    TERMS,
    address_of,
    copy_rows,
    copy_vectors,
    dot_lines,
    part,
    pointer,
    stack,
)
from .windows import FEW, SLACK, Windows, capacity, clear, find_terms, lay_rows

LAID = 12
"""Outputs whose sums take as long as to lay the windows of their places out,"""
LINE_LAID = 4
"""terms of a sum that do as to lay out a line of an output,"""
ADDED = 3
"""and registers of places that do as to add up those of a tile."""
LEAST_TERMS = 9
"""Terms of which a thread sums at least so many, if there are."""
LINES = 1024
"""Numbers of an output that are laid out at a time: with those of a tile they fill the L1."""


def _tile(L: int) -> int:
    """Return the numbers of a tile's sums, which are written in whole registers."""
    from .stencils import TERMS as terms
    from .tiles import ROWS as rows

    return rows * terms + L


def _of_space(dtype: str) -> Mapping[str, Any]:
    from . import tiles

    return {
        "number": np.dtype(dtype).itemsize,
        "L": tiles.lanes(dtype),
        "room": capacity(dtype) + SLACK,
        "room_of_line": LINES + SLACK,
        "room_of_lines": tiles.ROWS * (LINES + tiles.lanes(dtype)) + SLACK,
        "room_of_terms": MOST_TERMS + 2,
        "tile": _tile(tiles.lanes(dtype)),
        "room_of_sums": capacity(dtype) // 2,
    }


@helper
def lay_line(like, L, number, source, rows, columns, down, out, line):
    """Lay out rows of numbers as one line of whole registers, with zeros between the rows.

    In order: what is written behind a row is a gap, or the next row's place.
    """
    if columns <= L:
        bare = L if down <= L else line  # else the zeros behind a row reach the next one
        clear(like, L, number, out + (line - bare) * number, bare)
        copy_rows(1, like, rows, source, columns * number, columns, out, down * number)
        return
    if down <= 2 * L:
        clear(like, L, number, out + max(0, line - 2 * L) * number, 2 * L)
        copy_rows(2, like, rows, source, columns * number, columns, out, down * number)
        return
    clear(like, L, number, out + (line - L) * number, L)
    for row in range(rows):
        here, there = source + row * columns * number, out + row * down * number
        j = 0
        while columns - j >= 2 * L:
            copy_vectors(2, like, here + j * number, there + j * number)
            j += 2 * L
        copy_rows(2, like, 1, here + j * number, 0, columns - j, there + j * number, 0)
        gap = min(down, line - row * down) - j - 2 * L
        clear(like, L, number, there + (j + 2 * L) * number, gap)


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
    some, like, number, add, many, d_image, x_image, registers, there, d, d_output, x, offsets, out
):
    """Compute the sums of at most ROWS outputs and TERMS terms."""
    if some == ROWS:
        dot_lines(
            ROWS, TERMS, like, add, many, d_image, x_image, registers, there, d, d_output, x,
            offsets, out,
        )  # fmt: skip
        return
    r = 0
    if some >= 6:
        dot_lines(
            6, TERMS, like, add, many, d_image, x_image, registers, there, d, d_output, x, offsets,
            out,
        )  # fmt: skip
        r = 6
    elif some & 4:
        dot_lines(
            4, TERMS, like, add, many, d_image, x_image, registers, there, d, d_output, x, offsets,
            out,
        )  # fmt: skip
        r = 4
    while r < some:
        here, sums = d + r * d_output, out + r * TERMS * number
        if some - r >= 2:
            dot_lines(
                2, TERMS, like, add, many, d_image, x_image, registers, there, here, d_output, x,
                offsets, sums,
            )  # fmt: skip
            r += 2
        else:
            dot_lines(
                1, TERMS, like, add, many, d_image, x_image, registers, there, here, d_output, x,
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
    room_of_lines: Constant, room_of_terms: Constant, tile: Constant, room_of_sums: Constant,
):  # fmt: skip
    """For each ``chunk`` images of a group the sum of D times the windows of X, of one plane.

    out (chunks, groups, outputs, channels · pixels of the kernel). The threads share the chunks and
    blocks of the terms.
    """
    like = KIND(0.0)
    space, offsets = address_of(stack(room, KIND)), stack(room_of_terms, np.int64)
    there, lines = stack(room_of_line, KIND), address_of(stack(room_of_lines, KIND))
    sums = stack(room_of_sums, KIND)
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
        tiles = (terms + TERMS - 1) // TERMS
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
                apart = (registers | 1) * L * number  # not where caches keep few lines
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
                                down, lines + (m * some + r) * apart, line,
                            )  # fmt: skip
                    for t in range(0, terms, TERMS):
                        dots_of(
                            some, like, number, n - n0 + top, many, some * apart, plane, registers,
                            address_of(there), lines, apart,
                            space + top * down * number, address_of(offsets) + 8 * t,
                            address_of(sums) + (o // ROWS * tiles + t // TERMS) * tile * number,
                        )  # fmt: skip
        for o in range(outputs):
            goal = (rest * outputs + o) * all_terms + t0
            at = o // ROWS * tiles * tile + o % ROWS * TERMS
            for t in range(0, terms, TERMS):
                for k in range(min(TERMS, terms - t)):
                    out[goal + t + k] = sums[at + k]
                at += tile


@dataclass(frozen=True)
class WeightParts:
    """What is laid out and summed at a time.

    Attributes:
        chunk: images whose sum a thread computes.
        images: those that are laid out at a time.
        rows: of places that are one line.
        terms: of which a thread computes the sums.
    """

    chunk: int
    images: int
    rows: int
    terms: int


def weights_parts(w: Windows, outputs: int, dtype: Any) -> WeightParts | None:
    """Return the parts of the work where it is quicker not to lay the windows out, or None."""
    from .stencils import TERMS as tile_terms
    from .tiles import ROWS as tile_rows
    from .tiles import lanes

    if w.size[0] * w.count[0] * w.kernel[0] > 1 or w.stride[2] > 1 or w.taps == 1:
        return None
    if outputs > MOST_OUTPUTS or w.terms > MOST_TERMS or w.count[2] > LINES:
        return None
    L = lanes(dtype_name(dtype))
    batch = w.images // w.groups
    chunk = -(-batch // min(FEW, batch))
    parts = -(-batch // chunk) * w.groups
    tiles = -(-outputs // tile_rows) * _tile(L)
    most = capacity(dtype) // 2 // tiles * tile_terms
    blocks = max(1, -(-w.terms // most), min(FEW // parts, w.terms // LEAST_TERMS))
    terms = -(-w.terms // blocks)
    high, wide = w.reach(w.count[1], w.count[2])
    down = w.stride[1] * wide
    # Where rows are long the tiles read more of the image meanwhile.
    places = LINES if w.count[2] <= 2 * L else LINES // 2
    lines = -(-w.count[1] // min(w.count[1], 1 + max(0, places - w.count[2]) // down))
    rows = -(-w.count[1] // lines)
    line = -(-((rows - 1) * down + w.count[2]) // L) * L
    apart = (line // L | 1) * L
    images = min(chunk, (LINES + L) // apart, capacity(dtype) // 2 // (w.channels * high * wide))
    if images == 0:
        return None
    images = -(-chunk // -(-chunk // images))
    in_place = outputs * lines * (line / L + ADDED / images) * (1 + LINE_LAID / terms)
    in_tiles = (outputs + LAID) * w.count[1] * w.count[2] / L
    return WeightParts(chunk, images, rows, terms) if in_place < in_tiles else None


def emit_weights_in_place(
    builder: Builder, w: Windows, X: Any, D: Any, out: Any, outputs: int, parts: WeightParts
) -> None:
    """Emit the sums of D · windows(X)ᵀ over the images of each chunk."""
    weights_in_place.emit(
        builder, dtype_name(X.dtype), X=X, D=D, out=out, outputs=outputs, **w.arguments(),
        chunk=parts.chunk, part_images=parts.images, part_rows=parts.rows, part_terms=parts.terms,
    )  # fmt: skip
