"""The largest entries of windows of 2 x 2 that stand side by side and leave nothing of a plane out.

Then the rows of a plane, end to end, are pairs: first each pair has its larger entry, in one long
loop over many rows, and then each two rows of these. Loops over the rows by themselves would be as
short as a row, and numbers that fill no register would be compared one by one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nnscratch.formulas.line_maps import LineMap

from .runtime.declaration import Constant, Floats, Integers, helper, kernel
from .runtime.language import KIND, address_of, copy_vectors, part, stack

BLOCK = 1024
"""Results that are kept together before they are written; no row may have more."""
SLACK = 64
"""Numbers behind them: whole registers are copied."""


def halves(lines: tuple[LineMap, ...]) -> bool:
    """Say whether windows are two entries on each of two axes, and cut both into halves."""
    return len(lines) == 2 and all(
        line.spacing == (0, 2, 1) and len(line.index) == 2 and line.size == 2 * line.out
        for line in lines
    )


def _of_registers(dtype: str) -> Mapping[str, Any]:
    from . import tiles

    return {
        "number": np.dtype(dtype).itemsize,
        "L": tiles.lanes(dtype),
        "one_row": BLOCK + SLACK,
        "two_rows": 2 * BLOCK + SLACK,
    }


@helper
def every_second_row(like, L, number, source, first, rows, columns, out):
    """Copy every second row behind ``first`` to ``out``, end to end, in whole registers."""
    for row in range(rows):
        here = address_of(source) + (2 * row + first) * columns * number
        there = address_of(out) + row * columns * number
        for j in range(0, columns, L):
            copy_vectors(1, like, here + j * number, there + j * number)


@kernel(cost=lambda planes, out0, out1: 1.0 * planes * out0 * out1, constants=_of_registers)
def largest_of_halves(
    X: Floats, V: Floats, I: Integers, planes: int, out: tuple[int, int],
    tid, threads, *, number: Constant, L: Constant, one_row: Constant, two_rows: Constant,
):  # fmt: skip
    """V = the largest entries of windows of 2 x 2, I = their numbers in the plane.

    Of equal entries the first one stays, of several NaN the last. Numbers are of the dtype, as the
    entries are, until they are written.
    """
    like, one = KIND(0.0), KIND(1.0)
    rows, columns = out
    width, size = 2 * columns, rows * columns
    together = min(rows, BLOCK // columns)
    larger, right = stack(two_rows, KIND), stack(two_rows, KIND)
    upper, upper_right = stack(one_row, KIND), stack(one_row, KIND)
    lower, lower_right = stack(one_row, KIND), stack(one_row, KIND)
    corners, places = stack(one_row, KIND), stack(one_row, KIND)
    for row in range(together):
        for j in range(columns):
            corners[row * columns + j] = KIND(2 * (row * width + j))
    first, last = part(planes, tid, threads, 1)
    for plane in range(first, last):
        for begin in range(0, rows, together):
            some = min(together, rows - begin)
            count, to = some * columns, plane * size + begin * columns
            at = 4 * to
            for i in range(2 * count):
                left, value = X[at + 2 * i], X[at + 2 * i + 1]
                second = (value > left) | (value != value)
                larger[i] = value if second else left
                right[i] = one if second else like
            every_second_row(like, L, number, larger, 0, some, columns, upper)
            every_second_row(like, L, number, right, 0, some, columns, upper_right)
            every_second_row(like, L, number, larger, 1, some, columns, lower)
            every_second_row(like, L, number, right, 1, some, columns, lower_right)
            start, down = KIND(2 * begin * width), KIND(width)
            for i in range(count):
                above, value = upper[i], lower[i]
                second = (value > above) | (value != value)
                upper[i] = value if second else above
                step = down + lower_right[i] if second else upper_right[i]
                places[i] = corners[i] + start + step
            for i in range(count):
                V[to + i] = upper[i]
            for i in range(count):
                I[to + i] = np.int64(places[i])
