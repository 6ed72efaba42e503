"""The windows of Winograd's convolution, transformed: those of X, and the squares of a gradient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .runtime.declaration import Address, Constant, kernel
from .runtime.language import (
    KIND,
    address_of,
    part,
    pointer,
    stack,
    transform_gradient,
    transform_gradient_in_place,
    transform_input,
    transform_input_in_place,
)
from .windows import SLACK, Three, find_pieces, find_terms, lay_rows, pack_terms

WINDOWS = 64
"""Windows that are laid out at a time."""


def _of_registers(dtype: str, terms: int) -> Mapping[str, Any]:
    from . import tiles

    L = tiles.lanes(dtype)
    return {
        "number": np.dtype(dtype).itemsize,
        "L": L,
        "aside": WINDOWS + L,
        "window": 16 * (WINDOWS + L) + SLACK,
        "room": 16 * WINDOWS + SLACK,
    }


def line_of(windows: int, lanes: int) -> int:
    """Return the numbers of a row of windows: the last register of one may begin anywhere."""
    return -(-(windows + lanes - 1) // lanes) * lanes


def laid_out(count: Three, first_row: int, rows: int) -> dict[str, Any]:
    """Return which rows of windows are transformed, and how many of them are laid out at a time."""
    columns = count[2]
    at_once = min(rows, max(1, WINDOWS // columns))
    places = rows * columns
    return {
        "first_row": first_row, "rows": rows, "columns": columns, "part_rows": at_once,
        "part_columns": min(columns, WINDOWS),
        "part_images": max(1, WINDOWS // places) if at_once == rows else 1,
    }  # fmt: skip


@kernel(
    cost=lambda groups, channels, images, rows, columns: (
        10.0 * groups * channels * images * rows * columns
    ),
    constants=_of_registers,
)
def winograd_transform(
    X: Address, out: Address, groups: int, channels: int, first_image: int, images: int,
    first_row: int, rows: int, columns: int, size: tuple[int, int, int],
    kernel: tuple[int, int, int], before: tuple[int, int, int],
    part_images: int, part_rows: int, part_columns: int, line: int, plane: int,
    tid, threads, *, terms: int, number: Constant, L: Constant, aside: Constant,
    window: Constant, room: Constant,
):  # fmt: skip
    """Transform ``columns`` windows of some rows of some images: out (groups, 16, channels, line).

    Those of 16 ``terms`` are of X, and those of 4 of the gradient of the output. ``plane`` is the
    numbers from one of the 16 to the next.
    """
    like = KIND(0.0)
    space, windows = address_of(stack(room, KIND)), address_of(stack(window, KIND))
    offsets = stack(16, np.int64)
    starts, goals, lengths = stack(64, np.int64), stack(64, np.int64), stack(64, np.int64)
    stride, dilation, pixels = (1, 2, 2), (1, 1, 1), size[1] * size[2]
    end = first_row + rows
    first, last = part(groups * channels, tid, threads, 1)
    for item in range(first, last):
        g, c = item // channels, item % channels
        goal = out + (g * 16 * plane + c * line) * number
        for n in range(first_image, first_image + images, part_images):
            many = min(part_images, first_image + images - n)
            for top in range(first_row, end, part_rows):
                some = min(part_rows, end - top)
                for left in range(0, columns, part_columns):
                    wanted = min(part_columns, columns - left)
                    here = some * wanted
                    high, wide = 2 * (some - 1) + kernel[1], 2 * (wanted - 1) + kernel[2]
                    whole = wanted % L == 0  # the registers are in the rows, end to end
                    pieces = 0
                    if not whole:
                        find_terms(offsets, 0, terms, kernel, stride, dilation, high, wide, number)
                        pieces = find_pieces(
                            starts, goals, lengths, 0, here, wanted, 2 * wide, number
                        )
                    for m in range(many):
                        image = X + ((n + m) * groups + g) * channels * pixels * number
                        lay_rows(
                            like, pointer(image, KIND), pointer(space, KIND), c, c + 1, size,
                            kernel, stride, dilation, 0, 2 * top - before[1], 2 * left - before[2],
                            high, wide,
                        )  # fmt: skip
                        if not whole:
                            pack_terms(
                                like, L, space, offsets, terms, starts, goals, lengths, pieces,
                                windows + m * here * number, aside * number, number,
                            )  # fmt: skip
                            continue
                        down, across = wide * number, wide // 2 * number
                        for i in range(some):
                            for v in range(0, wanted, L):
                                source = space + 2 * i * down + v * number
                                there = goal + (m * here + i * wanted + v) * number
                                if terms == 16:
                                    transform_input_in_place(
                                        like, source, down, across, there, plane * number
                                    )
                                else:
                                    transform_gradient_in_place(
                                        like, source, down, across, there, plane * number
                                    )
                    if not whole:
                        # Over what the last register holds at its end go the next windows.
                        for v in range((here * many + L - 1) // L):
                            source, there = windows + v * L * number, goal + v * L * number
                            if terms == 16:
                                transform_input(like, source, aside * number, there, plane * number)
                            else:
                                transform_gradient(
                                    like, source, aside * number, there, plane * number
                                )
                    goal += here * many * number
