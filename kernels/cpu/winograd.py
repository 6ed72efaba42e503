"""Convolution of 3 x 3 kernels by Winograd's F(2x2, 3x3): 2.25 times fewer multiplications.

The windows of 4 x 4 pixels, two pixels apart, are laid out as those of any convolution; then each
is transformed, 16 products over the channels follow, and their sums are transformed back to 2 x 2
pixels of the output (``transforms``).

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
    given,
    part,
    pass_panel,
    pointer,
    stack,
    transform_input,
    transform_kernel,
    transform_output,
)
from .windows import (
    FEW,
    SLACK,
    Three,
    Windows,
    capacity,
    find_pieces,
    find_terms,
    lay_rows,
    pack_terms,
)

CHANNELS = 128
"""Channels, and outputs, whose transforms are kept at a time: a quarter of a megabyte each."""
LEAST_CHANNELS = 16
LEAST_PLACES = 256
"""Channels, and places in all images, from which the transforms are repaid."""
MOST_WASTE = 1.4
"""How many times the pixels of the output its windows may have: odd sizes leave some unused."""


def _of_tiles(dtype: str) -> Mapping[str, Any]:
    from . import tiles

    L = tiles.lanes(dtype)
    panel = 2 * L
    return {
        "number": np.dtype(dtype).itemsize,
        "L": L,
        "panel": panel,
        "room": capacity(dtype) + SLACK,
        "aside": panel + L,
        "window": 16 * (panel + L) + SLACK,
        "kept": 16 * CHANNELS * panel,
        "line": 2 * panel,
        "lines": 4 * panel,
    }


@kernel(
    cost=lambda groups, rows, inputs: 12.0 * groups * rows * inputs,
    constants=_of_tiles,
)
def winograd_weights(
    W: Address, out: Address, flag: Address, groups: int, rows: int, inputs: int,
    start: int, group_stride: int, row_stride: int, input_stride: int, down: int, along: int,
    tid, threads, *, number: Constant, L: Constant,
):  # fmt: skip
    """Transform kernels: out (groups, 16, tiles of rows, inputs, ROWS). The flag becomes 0.

    The strides are those of ``lay_weights``; ``down`` and ``along`` those of the kernel's pixels.
    """
    like = KIND(0.0)
    if tid == 0:
        pointer(flag, np.int64)[0] = 0
    source, goal = pointer(W, KIND), pointer(out, KIND)
    before, behind = stack(144, KIND), stack(256, KIND)  # of registers of at most 16 numbers
    tiles = (rows + ROWS - 1) // ROWS
    plane = tiles * inputs * ROWS
    for i in range(9 * L):
        before[i] = like
    first, last = part(groups * tiles, tid, threads, 1)
    for block in range(first, last):
        g, tile = block // tiles, block % tiles
        for r0 in range(0, ROWS, L):
            many = min(L, ROWS - r0)
            there = min(many, max(0, rows - tile * ROWS - r0))
            begin = start + g * group_stride + (tile * ROWS + r0) * row_stride
            for c in range(inputs):
                for r in range(there):
                    at = begin + c * input_stride + r * row_stride
                    for i in range(3):
                        for j in range(3):
                            before[(3 * i + j) * L + r] = source[at + i * down + j * along]
                transform_kernel(
                    like, address_of(before), L * number, address_of(behind), L * number
                )
                at = g * 16 * plane + (tile * inputs + c) * ROWS + r0
                for k in range(16):
                    for r in range(many):
                        goal[at + k * plane + r] = behind[k * L + r]


@kernel(
    cost=lambda images, channels, outputs, count1, count2: (
        500.0 + images * channels * outputs * count1 * count2 * 16 / 50.0
    ),
    constants=_of_tiles,
)
def winograd(
    X: Address, U: Address, b: OptionalFloats, Y: Address, flag: Address,
    images: int, groups: int, channels: int, outputs: int,
    size: tuple[int, int, int], count: tuple[int, int, int], kernel: tuple[int, int, int],
    stride: tuple[int, int, int], dilation: tuple[int, int, int], before: tuple[int, int, int],
    height: int, width: int,
    part_images: int, part_rows: int, part_columns: int, part_outputs: int, part_channels: int,
    tid, threads, *, number: Constant, L: Constant, panel: Constant, room: Constant,
    aside: Constant, window: Constant, kept: Constant, line: Constant, lines: Constant,
):  # fmt: skip
    """Y = W · windows(X) + b of ``height`` x ``width`` pixels; U are the transformed weights.

    The windows are those of 4 x 4 pixels, two apart. The flag becomes 1 where an output is not
    finite. The threads share parts of the images and of the outputs.
    """
    like = KIND(0.0)
    space, windows = address_of(stack(room, KIND)), stack(window, KIND)
    V, M = address_of(stack(kept, KIND)), address_of(stack(kept, KIND))
    result, spoilt = stack(lines, KIND), stack(L, KIND)
    offsets = stack(16, np.int64)
    starts, goals, lengths = stack(64, np.int64), stack(64, np.int64), stack(64, np.int64)
    for l in range(L):
        spoilt[l] = like
    tiles = (outputs + ROWS - 1) // ROWS
    pixels = size[1] * size[2]
    plane = tiles * channels * ROWS * number
    blocks_n = (images + part_images - 1) // part_images
    blocks_r = (count[1] + part_rows - 1) // part_rows
    blocks_c = (count[2] + part_columns - 1) // part_columns
    blocks_o = (outputs + part_outputs - 1) // part_outputs
    first, last = part(blocks_n * blocks_r * blocks_c * blocks_o, tid, threads, 1)
    for item in range(first, last):
        o0, rest = item % blocks_o * part_outputs, item // blocks_o
        left, rest = rest % blocks_c * part_columns, rest // blocks_c
        top, n0 = rest % blocks_r * part_rows, rest // blocks_r * part_images
        rows, columns = min(part_rows, count[1] - top), min(part_columns, count[2] - left)
        some, many = min(part_outputs, outputs - o0), min(part_images, images - n0)
        high, wide = 2 * (rows - 1) + 4, 2 * (columns + 1)
        find_terms(offsets, 0, 16, kernel, stride, dilation, high, wide, number)
        here = rows * columns
        g = n0 % groups
        for p in range(0, here * many, panel):
            # One image, or a few whole ones whose windows fit into one panel.
            wanted = min(panel, here * many - p)
            pieces = find_pieces(
                starts, goals, lengths, p, min(here, wanted), columns, 2 * wide, number
            )
            for c0 in range(0, channels, part_channels):
                c1 = min(c0 + part_channels, channels)
                each = (c1 - c0) * high * wide * number
                if p == 0 or part_channels < channels:
                    for m in range(many):
                        lay_rows(
                            like, pointer(X + (n0 + m) * channels * pixels * number, KIND),
                            pointer(space + m * each, KIND), c0, c1, size, kernel, stride, dilation,
                            0, 2 * top - before[1], 2 * left - before[2], high, wide,
                        )  # fmt: skip
                side = (c1 - c0) * panel * number
                for c in range(c1 - c0):
                    for m in range(many):
                        pack_terms(
                            like, L, space + m * each + c * high * wide * number, offsets, 16,
                            starts, goals, lengths, pieces,
                            address_of(windows) + m * here * number, aside * number, number,
                        )  # fmt: skip
                    if wanted < panel:
                        for k in range(16):
                            for i in range(wanted, panel):
                                windows[k * aside + i] = like
                    for v in range(2):
                        transform_input(
                            like, address_of(windows) + v * L * number, aside * number,
                            V + (c * panel + v * L) * number, side,
                        )  # fmt: skip
                for k in range(16):
                    a = U + (g * 16 + k) * plane
                    a += (o0 * channels + c0 * ROWS) * number
                    pass_panel(
                        like, L, some, c0, c1 - c0, a, channels * ROWS * number, number,
                        ROWS * number, V + k * side, panel * number,
                        M + k * some * panel * number, panel * number, panel, V, 0, 0, 0, 0,
                    )  # fmt: skip
            for o in range(some):
                value = like
                if given(b):
                    value = b[g * outputs + o0 + o]
                for v in range(2):
                    transform_output(
                        like, M + (o * panel + v * L) * number, some * panel * number, value,
                        address_of(result) + 2 * v * L * number, line * number, address_of(spoilt),
                    )  # fmt: skip
                for m in range(many):
                    out = pointer(Y + ((n0 + m) * outputs + o0 + o) * height * width * number, KIND)
                    done = 0
                    while done < min(here, wanted):
                        place = p + done
                        row, column = place // columns, place % columns
                        length = min(columns - column, min(here, wanted) - done)
                        y, x = 2 * (top + row), 2 * (left + column)
                        long = min(2 * length, width - x)
                        source = 2 * (m * here + done)
                        for a in range(min(2, height - y)):
                            at = (y + a) * width + x
                            for q in range(long):
                                out[at + q] = result[a * line + source + q]
                        done += length
    for l in range(L):
        if spoilt[l] != like:
            pointer(flag, np.int64)[0] = 1


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

    name = dtype_name(X.dtype)
    panel, high_tile = 2 * tiles.lanes(name), tiles.ROWS
    start, group, row, inner, taps = strides
    flag = builder.empty((1,), np.dtype("int64"))
    rows_of_tiles = -(-outputs // high_tile) * high_tile
    U = builder.empty((w.groups * 16 * rows_of_tiles * w.channels,), X.dtype)
    winograd_weights.emit(
        builder, name, W=W, out=U, flag=flag, groups=w.groups, rows=outputs, inputs=w.channels,
        start=start, group_stride=group, row_stride=row, input_stride=inner, down=taps[1],
        along=taps[2],
    )  # fmt: skip
    count: Three = (1, (w.count[1] + 1) // 2, (w.count[2] + 1) // 2)
    windows = Windows(
        w.images, w.groups, w.channels, w.size, count, (1, 4, 4), (1, 2, 2), (1, 1, 1), w.before
    )
    room = capacity(X.dtype)
    channels = min(w.channels, CHANNELS)
    columns = min(count[2], 2 * panel)
    # With all channels at once, rows are laid out once for several panels.
    once = channels == w.channels and columns == count[2]
    rows = max(1, (8 * panel if once else panel) // columns) if columns == count[2] else 1
    rows = min(rows, count[1])
    while channels * windows.reach(rows, columns)[0] * windows.reach(rows, columns)[1] > room:
        if once and rows > 1 and rows * columns > panel:
            rows = max(1, rows // 2)
        elif channels > LEAST_CHANNELS:
            channels //= 2
        else:
            rows, columns = 1, min(columns, panel)
            break
    if channels < w.channels and rows * columns > panel:
        rows, columns = max(1, panel // columns), min(columns, panel)
    images, here = 1, count[1] * count[2]
    if rows * columns == here and w.groups == 1:
        reach = windows.reach(rows, columns)
        images = max(1, min(panel // here, room // (channels * reach[0] * reach[1])))
    part_outputs = min(CHANNELS // high_tile * high_tile, rows_of_tiles)
    parts = -(-w.images // images) * -(-count[1] // rows) * -(-count[2] // columns)
    while parts * -(-outputs // part_outputs) < FEW and part_outputs > 4 * high_tile:
        part_outputs = -(-part_outputs // (2 * high_tile)) * high_tile
    winograd.emit(
        builder, name, X=X, U=U, b=b, Y=Y, flag=flag, outputs=outputs, **windows.arguments(),
        height=w.count[1], width=w.count[2], part_images=images, part_rows=rows,
        part_columns=columns, part_outputs=part_outputs, part_channels=channels,
    )  # fmt: skip
    return flag
