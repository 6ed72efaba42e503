"""Blocks of Winograd's windows, transformed with a channel in each lane of a register.

A block has some windows of 4 x 4 pixels, two pixels apart: of a row of an image, of some rows, or
of some whole images. Or it has windows of 5 x 5, four pixels apart, of which 2 x 2 pixels of a
convolution with a stride of two come; or of 3 x 3, from which 4 x 4 pixels of its input's gradient
come (see ``transforms``). The pixels of as many channels as a register has lanes are laid out
first, a register each, with the zeros around the image. So windows are worked on as they come,
whatever the width of an image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .runtime.declaration import helper
from .runtime.language import (
    LINE,
    copy_vectors,
    lay_pixels,
    pointer,
    prefetch,
    put_pixels,
    transform_pixels,
    transform_pixels_of_gradient,
    transform_spread,
    transform_spread_sums,
    transform_strided,
    transform_strided_gradient,
    transform_strided_sums,
    transform_sums,
)
from .windows import clear

COLUMNS = 64
"""Windows side by side in a block, at most."""
STRIDED_COLUMNS = 24
"""Those of windows of 5 x 5 or 3 x 3 pixels."""
PIXELS = 4 * (2 * COLUMNS + 2)
"""Pixels that are laid out at a time: rows of one window each that is as wide as that, or more."""

PLAIN, STRIDED, SPREAD = 0, 1, 2
"""Forms: a convolution of stride 1, one of stride 2, and the way back of the latter."""


@dataclass(frozen=True)
class TransformForm:
    """What a window is in one of the forms.

    Attributes:
        planes: its numbers, transformed.
        sums: the numbers from which the output comes.
        products: of a channel of a window with an output.
        side: pixels of the output on each side.
        columns: windows side by side in a block, at most.
    """

    planes: int
    sums: int
    products: int
    side: int
    columns: int


FORMS = {
    PLAIN: TransformForm(16, 16, 16, 2, COLUMNS),
    STRIDED: TransformForm(25, 9, 25, 2, STRIDED_COLUMNS),
    SPREAD: TransformForm(16, 25, 25, 4, STRIDED_COLUMNS),
}


def room_of(lanes: int) -> int:
    """Return how many numbers a thread lays out: the pixels, a register more, and some aside."""
    return (PIXELS + lanes + lanes) * lanes


@helper
def rows_at_once(side, step, wide):
    """Return how many rows of windows are laid out at a time, ``step`` rows of pixels apart."""
    return (PIXELS // wide - side) // step + 1


@helper
def product_at(form, k):
    """Return which numbers of V, U and M product ``k`` is of.

    And whether an earlier product has the same number of M, and whether one has the same of U.
    """
    if form == PLAIN:
        return k, k, k, 0, 0
    i, j = k // 5, k % 5
    u, again = 4 * min(i, 3) + min(j, 3), 1 if i > 3 or j > 3 else 0
    if form == SPREAD:
        return 4 * (i if i < 4 else 1) + (j if j < 4 else 1), u, k, 0, again
    m = 3 * (i if i < 3 else 2 * i - 6) + (j if j < 3 else 2 * j - 6)
    return k, u, m, 1 if i > 2 or j > 2 else 0, again


@helper
def block_at(place, images, rows, columns, block_images, block_rows, block_columns):
    """Return image, row and column of windows at which a block begins, and how many it has."""
    wide, tall = (columns - 1) // block_columns + 1, (rows - 1) // block_rows + 1
    left, upper = place % wide * block_columns, place // wide
    top, n = upper % tall * block_rows, upper // tall * block_images
    many, high = min(block_images, images - n), min(block_rows, rows - top)
    return n, top, left, many, high, min(block_columns, columns - left)


@helper
def lay_rows(like, L, number, image, next_channel, last, height, width, y, x, high, wide, out):
    """Lay out ``high`` rows of ``wide`` pixels from (y, x) on, with zeros outside of the image.

    A register more may be written behind them, and as many aside, see ``room_of``.
    """
    left, aside = min(max(0, -x), wide), out + (PIXELS + L) * L * number
    right, i = min(wide, width - x), 0
    # Rows that follow each other in the image are turned together where they are narrow.
    narrow = L // width if x <= 0 and width - x <= wide else 0
    while i < high:
        r = y + i
        inside = 0 <= r < height
        many = min(narrow, high - i, height - r) if inside else 0
        if many > 1:
            goal = out if wide == width else aside
            start = goal + (i * width * L * number if wide == width else 0)
            lay_pixels(like, image + r * width * number, next_channel, last, many * width, start)
            for row in range(many if wide != width else 0):
                place = out + (i + row) * wide * L * number
                clear(like, L, number, place, left * L)
                for q in range(width):
                    copy_vectors(
                        1, like, aside + (row * width + q) * L * number,
                        place + (left + q) * L * number,
                    )  # fmt: skip
                clear(like, L, number, place + right * L * number, (wide - right) * L)
            i += many
            continue
        clear(like, L, number, out + i * wide * L * number, (left if inside else wide) * L)
        if inside:
            source = image + (r * width + x) * number
            for q in range(left, wide, L):
                lay_pixels(
                    like, source + q * number, next_channel, last, width - x - q,
                    out + (i * wide + q) * L * number,
                )  # fmt: skip
        i += 1


@helper
def transform_block(
    like, L, number, form, side, images, next_image, first, many, channels, next_channel, height,
    width, before, top, high, from_column, columns, laid, out, line, plane,
):  # fmt: skip
    """Transform windows of all channels: out (numbers of a window, windows, channels).

    They are ``high`` rows of ``columns`` windows from (``top``, ``from_column``) on of each of
    ``many`` images, with ``side`` pixels a side: 2 of the gradient of the output, 3, 4 or 5 of an
    image. ``line`` is the bytes from one window to the next, and ``plane`` those from one of the
    numbers to the next.
    """
    step = 4 if side == 5 else 2
    wide = step * (columns - 1) + side
    down, at_once = wide * L * number, rows_at_once(side, step, wide)
    for c in range(0, channels, L):
        goal = out + c * number
        for n in range(first, first + many):
            for i in range(0, high, at_once):
                some = min(at_once, high - i)
                lay_rows(
                    like, L, number, images + n * next_image + c * next_channel, next_channel,
                    channels - c - 1, height, width, step * (top + i) - before[1],
                    step * from_column - before[2], step * (some - 1) + side, wide, laid,
                )  # fmt: skip
                for r in range(some):
                    source = laid + step * r * down
                    for _ in range(columns):
                        if side == 4:
                            transform_pixels(like, source, down, goal, plane)
                        elif side == 5:
                            transform_strided(like, source, down, goal, plane)
                        elif side == 3:
                            transform_spread(like, source, down, goal, plane)
                        elif form == PLAIN:
                            transform_pixels_of_gradient(like, source, down, goal, plane)
                        else:
                            transform_strided_gradient(like, source, down, goal, plane)
                        source += step * L * number
                        goal += line


@helper
def put_block(
    like, L, number, form, sums, line, plane, bias, spoilt, images, next_image, first, many,
    outputs, next_output, height, width, top, high, from_column, columns, laid,
):  # fmt: skip
    """Transform the sums of as many outputs as a register has lanes back, and write the pixels.

    Of the windows as ``transform_block``; ``bias`` and ``spoilt`` are addresses of registers, see
    ``transform_sums``.
    """
    side = 4 if form == SPREAD else 2
    wide = side * columns
    down, at_once = wide * L * number, rows_at_once(side, side, wide)
    for n in range(first, first + many):
        for i in range(0, high, at_once):
            some = min(at_once, high - i)
            for r in range(some):
                goal = laid + side * r * down
                for _ in range(columns):
                    if form == PLAIN:
                        transform_sums(like, sums, plane, bias, goal, down, spoilt)
                    elif form == STRIDED:
                        transform_strided_sums(like, sums, plane, bias, goal, down, spoilt)
                    else:
                        transform_spread_sums(like, sums, plane, bias, goal, down, spoilt)
                    goal += side * L * number
                    sums += line
            y, x = side * (top + i), side * from_column
            rows, long = min(side * some, height - y), min(wide, width - x)
            if wide == width:  # of whole rows all pixels follow each other
                rows, long = 1, rows * width
            for r in range(rows):
                row = images + n * next_image + ((y + r) * width + x) * number
                for q in range(0, long, L):
                    put_pixels(
                        like, laid + r * down + q * L * number, row + q * number, next_output,
                        outputs - 1, long - q,
                    )  # fmt: skip


@helper
def prefetch_rows(write, number, image, next_image, many, height, width, y, high):
    """Ask for the cache lines of ``high`` rows of some images from y on, as far as they exist."""
    top = max(0, y)
    line, length = pointer(image, np.uint8), (min(height, y + high) - top) * width * number
    for n in range(many):
        start = n * next_image + top * width * number
        for at in range(start, start + length, LINE):
            if write:
                prefetch(line, at, 1)
            else:
                prefetch(line, at, 0)
