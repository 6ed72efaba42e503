"""Convolutions to a few outputs, whose windows are read from the image where they lie.

A product with windows lays out each window first, and that is repaid by the outputs that take it.
A first layer of 6 outputs, or the gradient of an input of 6 channels, has one tile of them. Here an
image is copied once, with the zeros around it. In the copy, what neighbouring places of a row hold
at one pixel of the kernel lies end to end: a register of places is read at any pixel, and a tile is
some outputs times some such registers. At the end of a row the last register begins so early that
it is full: some places are computed twice.

Rows that do not fill their registers are computed several together, as one line. Between the places
of one row and those of the next it has gaps, as many numbers as the windows of a row overlap the
places: what is computed there belongs to no place and is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnscratch.array.dtypes import dtype_name

from .implementation import Builder
from .runtime.declaration import Address, Constant, OptionalFloats, helper, kernel
from .runtime.language import (
    KIND,
    ROWS,
    address_of,
    copy_vectors,
    given,
    part,
    pointer,
    put_rows,
    stack,
    weigh_rows,
)
from .windows import FEW, SLACK, Windows, capacity, find_terms, lay_rows

MOST_OUTPUTS = 64
"""Outputs of a group up to which it is quicker not to lay the windows out."""
MOST_TERMS = 1024
"""Terms of a sum; each has an entry in a table."""
LEAST_ROWS = 4
"""Rows of places that a thread has at least, if there are as many."""
LAID = 16
"""Outputs whose sums take as long as to lay the windows of their places out,"""
PUT = 4
"""and terms of a sum that do as to write what a line has for one output."""
LINE_PLACES = 512
"""Places of a line of rows that are computed together, with the gaps."""


def _of_space(dtype: str) -> Mapping[str, Any]:
    from . import tiles

    return {
        "number": np.dtype(dtype).itemsize,
        "L": tiles.lanes(dtype),
        "room": capacity(dtype) + SLACK,
        "room_of_lines": tiles.ROWS * (LINE_PLACES + tiles.lanes(dtype)) + SLACK,
    }


@helper
def weigh_three(like, L, number, rows, terms, a, offsets, x, apart, bias, y, y_row):
    """Compute three registers of places for at most ROWS outputs."""
    step = ROWS * number
    if rows == ROWS:
        weigh_rows(ROWS, 3, like, terms, a, step, offsets, x, apart, bias, y, y_row)
        return
    if rows == 6:
        weigh_rows(6, 3, like, terms, a, step, offsets, x, apart, bias, y, y_row)
        return
    r = 0
    if rows & 4:
        weigh_rows(4, 3, like, terms, a, step, offsets, x, apart, bias, y, y_row)
        r = 4
    a, y, bias = a + r * number, y + r * y_row, bias + r * number if bias else 0
    if rows - r == 3:
        weigh_rows(3, 3, like, terms, a, step, offsets, x, apart, bias, y, y_row)
    elif rows - r == 2:
        weigh_rows(2, 3, like, terms, a, step, offsets, x, apart, bias, y, y_row)
    elif rows - r == 1:
        weigh_rows(1, 3, like, terms, a, step, offsets, x, apart, bias, y, y_row)


@helper
def weigh_two(like, L, number, rows, terms, a, offsets, x, apart, bias, y, y_row):
    """Compute two registers of places for at most ROWS outputs."""
    step, r = ROWS * number, 0
    if rows == ROWS:
        weigh_rows(ROWS, 2, like, terms, a, step, offsets, x, apart, bias, y, y_row)
        return
    if rows == 6:
        weigh_rows(6, 2, like, terms, a, step, offsets, x, apart, bias, y, y_row)
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
    j = 0
    while j < columns:
        left = columns - j
        if ROWS == 8 and columns >= 3 * L and left > 2 * L and (left <= 3 * L or left > 4 * L):
            j = min(j, columns - 3 * L)
            here, there, apart = x + j * number, y + j * number, L * number
            weigh_three(like, L, number, rows, terms, a, offsets, here, apart, bias, there, y_row)
            j += 3 * L
        elif left > L:
            here, there, apart = x + j * number, y + j * number, min(L, left - L) * number
            weigh_two(like, L, number, rows, terms, a, offsets, here, apart, bias, there, y_row)
            j += 2 * L
        else:
            here, there = x + (columns - L) * number, y + (columns - L) * number
            weigh_one(like, L, number, rows, terms, a, offsets, here, bias, there, y_row)
            j += L


@helper
def weigh_line(like, L, number, rows, terms, a, offsets, x, apart, bias, y, y_row, registers):
    """Compute registers of places, ``apart`` bytes from each other, for at most ROWS outputs."""
    v = 0
    while v < registers:
        left, here, there = registers - v, x + v * apart, y + v * apart
        if ROWS == 8 and (left == 3 or left > 4):
            weigh_three(like, L, number, rows, terms, a, offsets, here, apart, bias, there, y_row)
            v += 3
        elif left > 1:
            weigh_two(like, L, number, rows, terms, a, offsets, here, apart, bias, there, y_row)
            v += 2
        else:
            weigh_one(like, L, number, rows, terms, a, offsets, here, bias, there, y_row)
            v += 1


@helper
def registers_of(L, rows, columns, down, pitch):
    """Return how many registers hold so many rows of places, ``down`` numbers apart, as a line."""
    return 1 + ((rows - 1) * down + columns - L + pitch - 1) // pitch


@helper
def put_places(like, L, number, outputs, rows, columns, lines, line, down, y, y_row):
    """Write the places of rows that were computed as one line, without what is between them.

    In order and in whole registers, as long as what is behind them in a row is written later.
    """
    whole = max(0, rows + 1 - (L + columns - 1) // columns)
    for r in range(outputs):
        here, there = lines + r * line, y + r * y_row
        if columns <= L:
            for row in range(whole):
                copy_vectors(1, like, here + row * down, there + row * columns * number)
            here, there = here + whole * down, there + whole * columns * number
            put_rows(1, like, rows - whole, here, down, columns, there, columns * number)
            continue
        for row in range(rows):
            for j in range(0, columns, L):
                if (rows - row) * columns - j >= L:
                    copy_vectors(1, like, here + j * number, there + j * number)
                else:
                    at, width = j * number, columns - j
                    put_rows(1, like, 1, here + at, 0, width, there + at, 0)
            here, there = here + down, there + columns * number


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
    w_group: int, part_rows: int, together: int, pitch: int,
    tid, threads, *, number: Constant, L: Constant, room: Constant, room_of_lines: Constant,
):  # fmt: skip
    """Y = W · windows(X) + b, for columns without a stride; the threads share rows of the images.

    The weights are laid out as tiles, ``w_group`` numbers from one group to the next. ``together``
    is how many rows of places are computed as one line, whose registers begin every ``pitch``
    numbers; 0 where each row stands for itself.
    """
    like = KIND(0.0)
    space, offsets = address_of(stack(room, KIND)), stack(1024, np.int64)
    lines, line = address_of(stack(room_of_lines, KIND)), (LINE_PLACES + L) * number
    pixels = size[0] * size[1] * size[2]
    all_places = count[0] * count[1] * count[2]
    terms = channels * kernel[0] * kernel[1] * kernel[2]
    wide = count[2] + dilation[2] * (kernel[2] - 1)
    blocks = (count[1] + part_rows - 1) // part_rows
    high = (part_rows - 1) * stride[1] + dilation[1] * (kernel[1] - 1) + 1  # of the last rows too
    first, last = part(images * count[0] * blocks, tid, threads, 1)
    if first < last:
        find_terms(offsets, 0, terms, kernel, stride, dilation, high, wide, number)
    for item in range(first, last):
        top, rest = item % blocks * part_rows, item // blocks
        z, n = rest % count[0], rest // count[0]
        g, rows = n % groups, min(part_rows, count[1] - top)
        lay_rows(
            like, L, number, pointer(X + n * channels * pixels * number, KIND),
            pointer(space, KIND), 0, channels, size, kernel, stride, dilation,
            z * stride[0] - before[0], top * stride[1] - before[1], -before[2], high, wide,
        )  # fmt: skip
        for o in range(0, outputs, ROWS):
            a = W + (g * w_group + o * terms) * number
            bias = address_of(b) + (g * outputs + o) * number if given(b) else 0
            y = Y + (n * outputs + o) * all_places * number
            y += (z * count[1] + top) * count[2] * number
            some, down = min(ROWS, outputs - o), stride[1] * wide
            for row in range(0, rows, max(1, together)):
                many = min(together, rows - row)
                here, there = space + row * down * number, y + row * count[2] * number
                if together == 0:
                    weigh_row(
                        like, L, number, some, terms, a, address_of(offsets), here, bias, there,
                        all_places * number, count[2],
                    )  # fmt: skip
                    continue
                weigh_line(
                    like, L, number, some, terms, a, address_of(offsets), here, pitch * number,
                    bias, lines, line, registers_of(L, many, count[2], down, pitch),
                )  # fmt: skip
                put_places(
                    like, L, number, some, many, count[2], lines, line, down * number, there,
                    all_places * number,
                )  # fmt: skip


@dataclass(frozen=True)
class LinesOfRows:
    """How rows of places are computed.

    Attributes:
        rows: that are laid out at a time.
        together: those that are one line; 0 where each stands for itself.
        pitch: numbers from the beginning of a line's register to that of the next one.
    """

    rows: int
    together: int
    pitch: int

    def registers(self, w: Windows, L: int) -> int:
        """Return how many registers of places all rows of a plane take."""
        if not self.together:
            return w.count[1] * -(-w.count[2] // L)
        down = w.stride[1] * w.reach(1, w.count[2])[1]
        number = 0
        for top in range(0, w.count[1], self.rows):
            for row in range(top, min(top + self.rows, w.count[1]), self.together):
                many = min(self.together, top + self.rows - row, w.count[1] - row)
                number += 1 + -(-((many - 1) * down + w.count[2] - L) // self.pitch)
        return number

    def pay(self, w: Windows, outputs: int, L: int) -> bool:
        """Say whether this is quicker than tiles, which lay out their windows."""
        put = PUT / w.terms if self.together else 0.0
        in_place = outputs * self.registers(w, L) * (1 + put)
        in_tiles = (outputs + LAID) * -(-w.count[1] * w.count[2] // L)
        return in_place < in_tiles


def lines_of(w: Windows, rows: int, L: int) -> LinesOfRows:
    """Return how so many rows of places are computed: as lines where these take fewer registers.

    Rows shorter than a register are always part of a line, which has a register for each of them
    where that is less than to fill all registers.
    """
    down = w.stride[1] * w.reach(1, w.count[2])[1]
    together = min(rows, 1 + max(0, LINE_PLACES - w.count[2]) // down)
    line = (together - 1) * down + w.count[2]
    filled, cut = -(-line // L), together * -(-w.count[2] // L)
    if w.count[2] < L:
        return LinesOfRows(rows, together, L if filled < cut else down)
    return LinesOfRows(rows, together if filled * (1 + 2 * PUT / w.terms) < cut else 0, L)


def rows_in_place(w: Windows, outputs: int, dtype: Any) -> LinesOfRows | None:
    """Return how the rows of places are computed; None where tiles are quicker."""
    from .tiles import lanes

    if outputs > MOST_OUTPUTS or w.terms > MOST_TERMS or w.taps == 1 or w.stride[2] > 1:
        return None
    L, rows = lanes(dtype_name(dtype)), w.count[1]
    while True:
        high, wide = w.reach(rows, w.count[2])
        small = w.channels * w.kernel[0] * high * wide <= capacity(dtype) // 2
        if small and (rows <= LEAST_ROWS or w.images * w.count[0] * -(-w.count[1] // rows) >= FEW):
            lines = lines_of(w, rows, L)
            return lines if lines.pay(w, outputs, L) else None
        if rows <= LEAST_ROWS:
            return None
        rows = max(LEAST_ROWS, (rows + 1) // 2)


def emit_in_place(
    builder: Builder, w: Windows, X: Any, W: Any, b: Any, Y: Any, outputs: int,
    lines: LinesOfRows,
) -> None:  # fmt: skip
    """Emit Y = W · windows(X) + b; W is laid out as tiles."""
    from .tiles import ROWS as tile_rows

    convolution_in_place.emit(
        builder, dtype_name(X.dtype), X=X, W=W, b=b, Y=Y, outputs=outputs, **w.arguments(),
        w_group=-(-outputs // tile_rows) * tile_rows * w.terms, part_rows=lines.rows,
        together=lines.together, pitch=lines.pitch,
    )  # fmt: skip
