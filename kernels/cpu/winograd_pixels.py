"""Blocks of Winograd's windows, transformed with a channel in each lane of a register.

A block has some windows of 4 x 4 pixels, two pixels apart: of a row of an image, of some rows, or
of some whole images. The pixels of as many channels as a register has lanes are laid out first, a
register each, with the zeros around the image. So windows are worked on as they come, whatever the
width of an image.
"""

from __future__ import annotations

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
    transform_sums,
)
from .windows import clear

COLUMNS = 64
"""Windows side by side in a block, at most."""
PIXELS = 4 * (2 * COLUMNS + 2)
"""Pixels that are laid out at a time: rows of one window each that is as wide as that, or more."""


def room_of(lanes: int) -> int:
    """Return how many numbers a thread lays out: the pixels, a register more, and some aside."""
    return (PIXELS + lanes + lanes) * lanes


@helper
def rows_at_once(columns):
    """Return of how many rows of windows the pixels are laid out at a time."""
    return (PIXELS // (2 * columns + 2) - 2) // 2


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
    like, L, number, kernel, images, next_image, first, many, channels, next_channel, height, width,
    before, top, high, from_column, columns, laid, out, line, plane,
):  # fmt: skip
    """Transform windows of all channels: out (16, windows, channels).

    They are ``high`` rows of ``columns`` windows from (``top``, ``from_column``) on of each of
    ``many`` images. The windows are those of X where the kernel has 4 pixels a side, and those of
    the gradient of the output where it has 2. ``line`` is the bytes from one window to the next,
    and ``plane`` those from one of the 16 numbers to the next.
    """
    wide, at_once = 2 * (columns - 1) + kernel, rows_at_once(columns)
    down = wide * L * number
    for c in range(0, channels, L):
        goal = out + c * number
        for n in range(first, first + many):
            for i in range(0, high, at_once):
                some = min(at_once, high - i)
                lay_rows(
                    like, L, number, images + n * next_image + c * next_channel, next_channel,
                    channels - c - 1, height, width, 2 * (top + i) - before[1],
                    2 * from_column - before[2], 2 * (some - 1) + kernel, wide, laid,
                )  # fmt: skip
                for r in range(some):
                    source = laid + 2 * r * down
                    for _ in range(columns):
                        if kernel == 4:
                            transform_pixels(like, source, down, goal, plane)
                        else:
                            transform_pixels_of_gradient(like, source, down, goal, plane)
                        source += 2 * L * number
                        goal += line


@helper
def put_block(
    like, L, number, sums, line, plane, bias, spoilt, images, next_image, first, many, outputs,
    next_output, height, width, top, high, from_column, columns, laid,
):  # fmt: skip
    """Transform the sums of as many outputs as a register has lanes back, and write the pixels.

    Of the windows as ``transform_block``; ``bias`` and ``spoilt`` are addresses of registers, see
    ``transform_sums``.
    """
    wide, at_once = 2 * columns, rows_at_once(columns)
    down = wide * L * number
    for n in range(first, first + many):
        for i in range(0, high, at_once):
            some = min(at_once, high - i)
            for r in range(some):
                goal = laid + 2 * r * down
                for _ in range(columns):
                    transform_sums(like, sums, plane, bias, goal, down, spoilt)
                    goal += 2 * L * number
                    sums += line
            y, x = 2 * (top + i), 2 * from_column
            rows, long = min(2 * some, height - y), min(wide, width - x)
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
