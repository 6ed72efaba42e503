"""The windows of Winograd's convolution, transformed: those of X, and the squares of a gradient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .runtime.declaration import Address, Constant, helper, kernel
from .runtime.language import (
    KIND,
    LINE,
    address_of,
    part,
    pointer,
    prefetch,
    split_pairs,
    stack,
    transform_gradient,
    transform_gradient_in_place,
    transform_input,
    transform_input_in_place,
)
from .windows import SLACK, find_pieces, find_terms, pack_terms

WINDOWS = 64
"""Windows that are laid out at a time;"""
ROWS_OF_WINDOWS = 16
"""and rows of them."""


def of_registers(dtype: str, terms: int = 16) -> Mapping[str, Any]:
    """Return the constants of a kernel that transforms windows of so many numbers."""
    from . import tiles

    L = tiles.lanes(dtype)
    return {
        "number": np.dtype(dtype).itemsize,
        "L": L,
        "aside": WINDOWS + L,
        "window": 16 * (WINDOWS + L) + SLACK,
        "room": max(_laid(columns, L) for columns in range(1, WINDOWS + 1)) + SLACK,
    }


def _laid(columns: int, lanes: int) -> int:
    """Return the numbers that rows of so many windows take, of 4 x 4 pixels."""
    rows = min(ROWS_OF_WINDOWS, max(1, WINDOWS // columns))
    return (2 * rows + 2) * 2 * across_of(columns, lanes)


def across_of(columns: int, lanes: int) -> int:
    """Return the numbers of half a row of windows: one more than them, and a register."""
    return (columns + 2 * lanes) // lanes * lanes


def line_of(windows: int, lanes: int) -> int:
    """Return the numbers of a row of windows: the last register of one may begin anywhere."""
    return -(-(windows + lanes - 1) // lanes) * lanes


def laid_out(columns: int, rows: int, lanes: int) -> dict[str, int]:
    """Return how many of so many windows of an image are laid out at a time."""
    at_once = min(rows, max(1, WINDOWS // columns), ROWS_OF_WINDOWS)
    return {
        "part_images": max(1, WINDOWS // (rows * columns)) if at_once == rows else 1,
        "part_rows": at_once, "part_columns": min(columns, WINDOWS),
        "across": across_of(min(columns, WINDOWS), lanes),
    }  # fmt: skip


@helper
def lay_pairs(like, L, number, image, height, width, y, x, high, across, out):
    """Lay out rows of an image from pixel (y, x) on, which may lie outside of it, with zeros there.

    Of each row the numbers at x, x + 2, ... come first, and ``across`` numbers behind them those at
    x + 1, x + 3, ...; the last register of ``across`` is not needed.
    """
    left = max(0, -x)
    begin = left // 2 // L * L
    for i in range(high):
        r = y + i
        evens, odds = out, out + across * number
        out += 2 * across * number
        inside = 0 <= r < height
        for q in range(0, across if not inside else min(across, begin + L), L):
            split_pairs(like, image, 0, evens + q * number, odds + q * number)
        if inside:
            column = x + left
            source = image + (r * width + column) * number
            first, second = evens + left // 2 * number, odds + left // 2 * number
            if left % 2 == 1:
                first, second = second, first + number
            for q in range(0, across - L - left // 2, L):
                split_pairs(
                    like, source + 2 * q * number, width - column - 2 * q, first + q * number,
                    second + q * number,
                )  # fmt: skip


@helper
def prefetch_rows(write, start, next_image, images, length):
    """Ask for the cache lines of rows of images, ``length`` bytes ``next_image`` bytes apart."""
    line = pointer(start, np.uint8)
    for n in range(images):
        for at in range(n * next_image, n * next_image + length, LINE):
            if write:
                prefetch(line, at, 1)
            else:
                prefetch(line, at, 0)


@helper
def transform_channel(
    like, L, number, terms, kernel, image, next_image, images, height, width, before,
    first_row, rows, columns, part_images, part_rows, part_columns, across, aside,
    space, windows, offsets, starts, goals, lengths, goal, next_plane,
):  # fmt: skip
    """Transform ``columns`` windows of some rows of some images of one channel, end to end.

    The images are ``next_image`` bytes apart; the 16 numbers of a window ``next_plane``. Behind the
    last window the rest of a register is written, too.
    """
    end = first_row + rows
    for n in range(0, images, part_images):
        many = min(part_images, images - n)
        for top in range(first_row, end, part_rows):
            some = min(part_rows, end - top)
            for left in range(0, columns, part_columns):
                wanted = min(part_columns, columns - left)
                here = some * wanted
                high = 2 * (some - 1) + kernel[1]
                wide = 2 * across
                whole = wanted % L == 0  # the registers are in the rows, end to end
                pieces = 0
                if not whole:
                    find_terms(offsets, 0, terms, kernel, (1, 2, 2), (1, 1, 1), high, wide, number)
                    pieces = find_pieces(starts, goals, lengths, 0, here, wanted, 2 * wide, number)
                for m in range(many):
                    lay_pairs(
                        like, L, number, image + (n + m) * next_image, height, width,
                        2 * top - before[1], 2 * left - before[2], high, across, space,
                    )  # fmt: skip
                    if not whole:
                        pack_terms(
                            like, L, space, offsets, terms, starts, goals, lengths, pieces,
                            windows + m * here * number, aside * number, number,
                        )  # fmt: skip
                        continue
                    down, half = wide * number, across * number
                    for i in range(some):
                        for v in range(0, wanted, L):
                            source = space + 2 * i * down + v * number
                            there = goal + (m * here + i * wanted + v) * number
                            if terms == 16:
                                transform_input_in_place(
                                    like, source, down, half, there, next_plane
                                )
                            else:
                                transform_gradient_in_place(
                                    like, source, down, half, there, next_plane
                                )
                if not whole:
                    # Over what the last register holds at its end go the next windows.
                    for v in range((here * many + L - 1) // L):
                        source, there = windows + v * L * number, goal + v * L * number
                        if terms == 16:
                            transform_input(like, source, aside * number, there, next_plane)
                        else:
                            transform_gradient(like, source, aside * number, there, next_plane)
                goal += here * many * number


@kernel(
    cost=lambda groups, channels, images, rows, columns: (
        10.0 * groups * channels * images * rows * columns
    ),
    constants=of_registers,
)
def winograd_transform(
    X: Address, out: Address, groups: int, channels: int, first_image: int, images: int,
    rows: int, columns: int, size: tuple[int, int, int],
    kernel: tuple[int, int, int], before: tuple[int, int, int],
    part_images: int, part_rows: int, part_columns: int, across: int, line: int, plane: int,
    tid, threads, *, terms: int, number: Constant, L: Constant, aside: Constant,
    window: Constant, room: Constant,
):  # fmt: skip
    """Transform the windows of some images: out (groups, 16, channels, ``line``).

    Those of 16 ``terms`` are of X, and those of 4 of the gradient of the output. ``plane`` is the
    numbers from one of the 16 to the next.
    """
    like = KIND(0.0)
    space, windows = address_of(stack(room, KIND)), address_of(stack(window, KIND))
    offsets = stack(16, np.int64)
    starts, goals, lengths = stack(64, np.int64), stack(64, np.int64), stack(64, np.int64)
    bytes_each = size[1] * size[2] * number
    first, last = part(groups * channels, tid, threads, 1)
    for item in range(first, last):
        g, c = item // channels, item % channels
        image = X + (first_image * groups * channels + item) * bytes_each
        if item + 1 < last:
            prefetch_rows(0, image + bytes_each, groups * channels * bytes_each, images, bytes_each)
        transform_channel(
            like, L, number, terms, kernel, image, groups * channels * bytes_each, images, size[1],
            size[2], before, 0, rows, columns, part_images, part_rows, part_columns, across,
            aside, space, windows, offsets, starts, goals, lengths,
            out + (g * 16 * plane + c * line) * number, plane * number,
        )  # fmt: skip
