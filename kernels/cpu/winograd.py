"""Convolution of 3 x 3 kernels by Winograd's F(2x2, 3x3): 2.25 times fewer multiplications.

The windows of 4 x 4 pixels, two pixels apart, are transformed (``winograd_windows``), 16 products
with the transformed weights sum over the channels, and the sums are transformed back to 2 x 2
pixels of the output: so many windows at a time as the caches hold.

The transforms take differences: where a convolution gives an infinity, inf - inf is NaN here, and
large numbers may overflow on the way to an output that is finite. So the kernel says whether every
output is finite, and if one is not, the convolution in tiles that stands behind it in the table
computes all of them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nnscratch.array.dtypes import dtype_name

from .implementation import Builder
from .runtime.declaration import Address, Constant, OptionalFloats, kernel
from .runtime.language import (
    KIND,
    ROWS,
    address_of,
    copy_rows,
    copy_vectors,
    given,
    part,
    pass_panel,
    pointer,
    stack,
    transform_kernel,
    transform_output,
)
from .windows import DEPTH, Windows
from .winograd_windows import KEPT, laid_out, line_of, winograd_transform

LEAST_CHANNELS = 16
LEAST_PLACES = 128
"""Channels, and places in all images, from which the transforms are repaid."""
MOST_WASTE = 1.4
"""How many times the pixels of the output its windows may have: odd sizes leave some unused."""
LEAST_WINDOWS = 128
"""Windows for which all weights pass by, as far as there are so many."""
ROWS_AT_ONCE = 96
PART = 256
"""Rows and windows of the product of one thread at a time, at most."""


def _of_tiles(dtype: str) -> Mapping[str, Any]:
    from . import tiles

    L = tiles.lanes(dtype)
    return {
        "number": np.dtype(dtype).itemsize,
        "L": L,
        "panel": 2 * L,
        "laid": DEPTH * 2 * L,
        "kernels": 9 * L * L,
        "two_lines": 4 * L,
    }


@kernel(
    cost=lambda groups, rows, inputs: 6.0 * groups * rows * inputs,
    constants=_of_tiles,
)
def winograd_weights(
    W: Address, out: Address, flag: Address, groups: int, rows: int, inputs: int,
    start: int, group_stride: int, row_stride: int, input_stride: int, down: int, along: int,
    line: int, plane: int,
    tid, threads, *, number: Constant, L: Constant, kernels: Constant,
):  # fmt: skip
    """Transform kernels: out (groups, 16, rows, ``line``). The flag becomes 0.

    The strides are those of ``lay_weights``; ``down`` and ``along`` those of the kernel's pixels.
    ``plane`` is the numbers from one of the 16 to the next.
    """
    like = KIND(0.0)
    if tid == 0:
        pointer(flag, np.int64)[0] = 0
    source, before = pointer(W, KIND), stack(kernels, KIND)
    for i in range(9 * L * L):
        before[i] = like
    blocks = (rows + L - 1) // L
    first, last = part(groups * blocks, tid, threads, 1)
    for block in range(first, last):
        g, top = block // blocks, block % blocks * L
        many = min(L, rows - top)
        begin = start + g * group_stride + top * row_stride
        goal = out + (g * 16 * plane + top * line) * number
        for c0 in range(0, inputs, L):
            width = min(L, inputs - c0)
            for r in range(many):
                for c in range(width):
                    at = begin + r * row_stride + (c0 + c) * input_stride
                    to = 9 * L * r + c
                    for i in range(3):
                        for j in range(3):
                            before[to + (3 * i + j) * L] = source[at + i * down + j * along]
            for r in range(many):
                transform_kernel(
                    like, address_of(before) + 9 * L * r * number, L * number,
                    goal + (r * line + c0) * number, plane * number,
                )  # fmt: skip


@kernel(
    cost=lambda groups, channels, outputs, windows: (
        500.0 + groups * channels * outputs * windows * 16 / 50.0
    ),
    constants=_of_tiles,
)
def winograd_sums(
    U: Address, V: Address, M: Address, groups: int, channels: int, outputs: int, windows: int,
    line: int, plane_of_channels: int, plane_of_outputs: int, line_of_weights: int,
    plane_of_weights: int, part_outputs: int, part_windows: int,
    tid, threads, *, number: Constant, panel: Constant, laid: Constant,
):  # fmt: skip
    """M = U V: M (groups, 16, outputs, ``line``) are the sums over the channels."""
    like = KIND(0.0)
    space = address_of(stack(laid, KIND))
    blocks_o = (outputs + part_outputs - 1) // part_outputs
    blocks_w = (windows + part_windows - 1) // part_windows
    row = line_of_weights * number
    first, last = part(groups * 16 * blocks_w * blocks_o, tid, threads, 1)
    for item in range(first, last):
        o0, rest = item % blocks_o * part_outputs, item // blocks_o
        t0, k = rest % blocks_w * part_windows, rest // blocks_w
        some, stop = min(part_outputs, outputs - o0), min(t0 + part_windows, windows)
        for c0 in range(0, channels, DEPTH):
            depth = min(DEPTH, channels - c0)
            a = U + (k * plane_of_weights + c0) * number + o0 * row
            for t in range(t0, stop, panel):
                width = min(panel, stop - t)
                b = V + (k * plane_of_channels + c0 * line + t) * number
                if width == panel:
                    for c in range(depth):
                        copy_vectors(2, like, b + c * line * number, space + c * panel * number)
                else:
                    copy_rows(2, like, depth, b, line * number, width, space, panel * number)
                pass_panel(
                    like, some, c0, depth, a, ROWS * row, row, number, space, panel * number,
                    M + (k * plane_of_outputs + o0 * line + t) * number, line * number, width,
                    space, 0, 0, 0, 0,
                )  # fmt: skip


@kernel(
    cost=lambda groups, outputs, images, rows, columns: (
        12.0 * groups * outputs * images * rows * columns
    ),
    constants=_of_tiles,
)
def winograd_outputs(
    M: Address, b: OptionalFloats, Y: Address, flag: Address, groups: int, outputs: int,
    first_image: int, images: int, first_row: int, rows: int, columns: int, height: int,
    width: int, line: int, plane: int,
    tid, threads, *, number: Constant, L: Constant, two_lines: Constant,
):  # fmt: skip
    """Y of the sums M, and b. The flag becomes 1 where an output is not finite."""
    like = KIND(0.0)
    result, spoilt, ignored = stack(two_lines, KIND), stack(L, KIND), stack(L, KIND)
    for l in range(L):
        spoilt[l] = ignored[l] = like
    bad = like
    here = rows * columns
    whole = columns % L == 0 and width == 2 * columns and height % 2 == 0
    first, last = part(groups * outputs, tid, threads, 1)
    for item in range(first, last):
        g, o = item // outputs, item % outputs
        source = M + (g * 16 * plane + o * line) * number
        value = like
        if given(b):
            value = b[item]
        step = groups * outputs * height * width
        start = (first_image * groups * outputs + item) * height * width
        if whole:
            for n in range(images):
                for i in range(rows):
                    at = start + n * step + 2 * (first_row + i) * width
                    m = source + (n * here + i * columns) * number
                    for v in range(0, columns, L):
                        transform_output(
                            like, m + v * number, plane * number, value,
                            Y + (at + 2 * v) * number, width * number, address_of(spoilt),
                        )  # fmt: skip
            continue
        row, column = 0, 0
        out = pointer(Y + start * number, KIND)
        for t in range(0, images * here, L):
            there = min(L, images * here - t)
            # Of the last register some columns may hold anything.
            told = address_of(spoilt) if there == L else address_of(ignored)
            transform_output(
                like, source + t * number, plane * number, value, address_of(result),
                2 * L * number, told,
            )  # fmt: skip
            done = 0
            while done < there:
                length = min(columns - column, there - done)
                y, x = 2 * (first_row + row), 2 * column
                long = min(2 * length, width - x)
                for a in range(min(2, height - y)):
                    at, of = (y + a) * width + x, a * 2 * L + 2 * done
                    for q in range(long):
                        out[at + q] = result[of + q]
                    if there < L:
                        for q in range(long):
                            bad += result[of + q] * like
                done += length
                column += length
                if column == columns:
                    row, column = row + 1, 0
                    if row == rows:
                        row = 0
                        start += step
                        out = pointer(Y + start * number, KIND)
    for l in range(L):
        bad += spoilt[l]
    if bad != like:
        pointer(flag, np.int64)[0] = 1


def part_of(rows: int, tile: int) -> int:
    """Return how many rows go into each of a few parts of nearly the same size, in whole tiles."""
    parts = -(-rows // ROWS_AT_ONCE)
    return -(-rows // (parts * tile)) * tile


def pays(w: Windows, outputs: int) -> bool:
    """Say by the sizes whether this is the quicker way, and a possible one."""
    if (w.kernel, w.stride, w.dilation) != ((1, 3, 3), (1, 1, 1), (1, 1, 1)) or w.size[0] != 1:
        return False
    high, wide = (w.count[1] + 1) // 2, (w.count[2] + 1) // 2
    if w.count[0] != 1 or 4 * high * wide > MOST_WASTE * w.places:
        return False
    enough = min(w.channels, outputs) >= LEAST_CHANNELS
    return enough and w.images // w.groups * w.places >= LEAST_PLACES


def emit_winograd(
    builder: Builder, w: Windows, X: Any, W: Any, b: Any, Y: Any, outputs: int, strides: Any
) -> Any:
    """Emit Y = W · windows(X) + b; returns the flag that says that it has to be computed again."""
    from . import tiles

    name, number = dtype_name(X.dtype), X.dtype.itemsize
    L = tiles.lanes(name)
    start, group, row, inner, taps = strides
    groups, channels, batch = w.groups, w.channels, w.images // w.groups
    flag = builder.empty((1,), np.dtype("int64"))
    # The lines and planes have a register more, or many of them would be at addresses that the
    # nearest cache keeps in one place.
    line_of_weights = -(-channels // L) * L + L
    plane_of_weights = outputs * line_of_weights + L
    U = builder.empty((groups * 16 * plane_of_weights,), X.dtype)
    winograd_weights.emit(
        builder, name, W=W, out=U, flag=flag, groups=groups, rows=outputs, inputs=channels,
        start=start, group_stride=group, row_stride=row, input_stride=inner, down=taps[1],
        along=taps[2], line=line_of_weights, plane=plane_of_weights,
    )  # fmt: skip
    all_rows, columns = (w.count[1] + 1) // 2, (w.count[2] + 1) // 2
    kept = max(LEAST_WINDOWS, KEPT // (16 * groups * max(channels, outputs) * number))
    rows = max(1, min(all_rows, kept // columns))
    images = max(1, min(batch, kept // (rows * columns))) if rows == all_rows else 1
    line = line_of(images * rows * columns, L)
    planes = [many * line + L for many in (channels, outputs)]
    V, M = (builder.empty((groups * 16 * plane,), X.dtype) for plane in planes)
    for n in range(0, batch, images):
        for top in range(0, all_rows, rows):
            some = min(rows, all_rows - top)
            laid = {
                "groups": groups, "first_image": n, "images": min(images, batch - n), "line": line,
            }  # fmt: skip
            place = {"first_row": top, "rows": some, "columns": columns}
            winograd_transform.emit(
                builder, name, 16, X=X, out=V, channels=channels, size=w.size, kernel=(1, 4, 4),
                before=w.before, plane=planes[0], **laid,
                **laid_out((1, all_rows, columns), top, some, L),
            )  # fmt: skip
            winograd_sums.emit(
                builder, name, U=U, V=V, M=M, groups=groups, channels=channels, outputs=outputs,
                windows=laid["images"] * some * columns, line=line, plane_of_channels=planes[0],
                plane_of_outputs=planes[1], line_of_weights=line_of_weights,
                plane_of_weights=plane_of_weights, part_outputs=part_of(outputs, tiles.ROWS),
                part_windows=PART,
            )  # fmt: skip
            winograd_outputs.emit(
                builder, name, M=M, b=b, Y=Y, flag=flag, outputs=outputs, height=w.count[1],
                width=w.count[2], plane=planes[1], **laid, **place,
            )  # fmt: skip
    return flag
