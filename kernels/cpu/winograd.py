"""Convolution of 3 x 3 kernels by Winograd's F(2x2, 3x3): 2.25 times fewer multiplications.

A thread takes a block of windows of 4 x 4 pixels, two pixels apart, through all of it: it
transforms them (``winograd_windows``), sums 16 products with the transformed weights over the
channels, and transforms the sums back to 2 x 2 pixels of the output. What it holds meanwhile no
other thread reads, and it is small enough to stay in the thread's own cache.

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
from .runtime.declaration import Address, Constant, OptionalFloats, helper, kernel
from .runtime.language import (
    KIND,
    ROWS,
    address_of,
    given,
    part,
    pass_panel,
    pointer,
    stack,
    transform_kernel,
    transform_output,
)
from .runtime.threads import limit
from .windows import DEPTH, Windows
from .winograd_windows import (
    WINDOWS,
    laid_out,
    line_of,
    of_registers,
    prefetch_rows,
    transform_channel,
)

LEAST_CHANNELS = 16
LEAST_PLACES = 128
"""Channels, and places in all images, from which the transforms are repaid."""
MOST_WASTE = 1.4
"""How many times the pixels of the output its windows may have: odd sizes leave some unused."""
KEPT = 3 << 18
"""Bytes that a block's transformed windows and sums may take, as far as there is a choice."""
THREADS = (2, 4)
"""Few threads, and many."""
OUTPUTS_AT_ONCE = 32
"""Outputs of a block at a time, at most."""


def _of_tiles(dtype: str) -> Mapping[str, Any]:
    from . import tiles

    L = tiles.lanes(dtype)
    return {"kernels": 9 * L * L, "panel": 2 * L, "two_lines": 4 * L, **of_registers(dtype)}


@helper
def lay_kernel(source, at, down, along, out, to, apart):
    """Lay out the nine numbers of a kernel, ``apart`` from each other."""
    for i in range(3):
        for j in range(3):
            out[to + (3 * i + j) * apart] = source[at + i * down + j * along]


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
    # Kernels are read in the order in which they lie: those of a row, or of an input, end to end.
    # Some registers of them are laid out before the first is transformed.
    by_rows = input_stride < row_stride
    blocks = rows if by_rows else (inputs + L - 1) // L
    first, last = part(groups * blocks, tid, threads, 1)
    for item in range(first, last):
        g, block = item // blocks, item % blocks
        for beside in range(0, inputs if by_rows else rows, L * L if by_rows else L):
            top, c0 = (block, beside) if by_rows else (beside, block * L)
            begin = start + g * group_stride + top * row_stride + c0 * input_stride
            goal = out + (g * 16 * plane + top * line + c0) * number
            if by_rows:
                many, next_one = (min(L * L, inputs - c0) + L - 1) // L, L
                for r in range(many):
                    for c in range(min(L, inputs - c0 - r * L)):
                        at = begin + (r * L + c) * input_stride
                        lay_kernel(source, at, down, along, before, 9 * L * r + c, L)
            else:
                many, next_one = min(L, rows - top), line
                for c in range(min(L, inputs - c0)):
                    for r in range(many):
                        at = begin + r * row_stride + c * input_stride
                        lay_kernel(source, at, down, along, before, 9 * L * r + c, L)
            for r in range(many):
                transform_kernel(
                    like, address_of(before) + 9 * L * r * number, L * number,
                    goal + r * next_one * number, plane * number,
                )  # fmt: skip


@helper
def put_outputs(
    like, L, number, source, plane, bias, pixels, start, next_image, images, top, high, columns,
    height, width, result, spoilt, ignored,
):  # fmt: skip
    """Transform the sums of one output back, for rows of windows from ``top`` on of some images.

    The first image begins at number ``start`` of the pixels, the next one ``next_image`` behind it.

    Returns 0, or NaN where one of the numbers that do not go to ``spoilt`` is not finite.
    """
    bad = like
    here = high * columns
    if columns % L == 0 and width == 2 * columns and height % 2 == 0:
        for n in range(images):
            for i in range(high):
                for v in range(0, columns, L):
                    transform_output(
                        like, source + (n * here + i * columns + v) * number, plane, bias,
                        address_of(pixels) + (
                            start + n * next_image + 2 * ((top + i) * width + v)
                        ) * number, width * number, address_of(spoilt),
                    )  # fmt: skip
        return bad
    row, column = 0, 0
    for t in range(0, images * here, L):
        there = min(L, images * here - t)
        # Of the last register some columns may hold anything.
        told = address_of(spoilt) if there == L else address_of(ignored)
        transform_output(
            like, source + t * number, plane, bias, address_of(result), 2 * L * number, told
        )
        done = 0
        while done < there:
            length = min(columns - column, there - done)
            y, x = 2 * (top + row), 2 * column
            long = min(2 * length, width - x)
            for a in range(min(2, height - y)):
                at, of = start + (y + a) * width + x, a * 2 * L + 2 * done
                for q in range(long):
                    pixels[at + q] = result[of + q]
                if there < L:
                    for q in range(long):
                        bad += result[of + q] * like
            done += length
            column += length
            if column == columns:
                row, column = row + 1, 0
                if row == high:
                    row = 0
                    start += next_image
    return bad


@kernel(
    cost=lambda groups, channels, outputs, images, rows, columns: (
        500.0 + groups * images * rows * columns * (channels * outputs * 16 / 50.0 + 10 * channels)
    ),
    constants=_of_tiles,
)
def winograd_convolution(
    X: Address, U: Address, b: OptionalFloats, Y: Address, flag: Address,
    space: Address, spaces: int, bytes_a_space: int,
    groups: int, channels: int, outputs: int, images: int, rows: int, columns: int,
    size: tuple[int, int, int], count: tuple[int, int, int], before: tuple[int, int, int],
    block_images: int, block_rows: int, part_images: int, part_rows: int, part_columns: int,
    across: int, part_outputs: int, line: int, line_of_weights: int, plane_of_weights: int,
    tid, threads, *, number: Constant, L: Constant, panel: Constant, two_lines: Constant,
    aside: Constant, window: Constant, room: Constant,
):  # fmt: skip
    """Y = the convolution of X with the kernels whose transforms are U, and b.

    The threads share blocks of ``columns`` windows in some rows of some images, and of a block the
    outputs; each that has some takes one of the spaces. The flag becomes 1 where an output is not
    finite.
    """
    like = KIND(0.0)
    laid, windows = address_of(stack(room, KIND)), address_of(stack(window, KIND))
    offsets = stack(16, np.int64)
    starts, goals, lengths = stack(64, np.int64), stack(64, np.int64), stack(64, np.int64)
    result, spoilt, ignored = stack(two_lines, KIND), stack(L, KIND), stack(L, KIND)
    for l in range(L):
        spoilt[l] = ignored[l] = like
    bad = like
    workers = min(threads, spaces)
    V = space + min(tid, workers - 1) * bytes_a_space
    plane, plane_of_sums = (channels * line + L) * number, (part_outputs * line + L) * number
    M = V + 16 * plane
    row, next_line = line_of_weights * number, line * number
    height, width = count[1], count[2]
    bytes_of_input, pixels = size[1] * size[2] * number, pointer(Y, KIND)
    bytes_to_input = groups * channels * bytes_of_input
    bytes_to_output = groups * outputs * height * width * number
    tall = (rows + block_rows - 1) // block_rows
    parts = (outputs + part_outputs - 1) // part_outputs
    blocks = (images + block_images - 1) // block_images * tall * groups
    first, last = part(blocks * parts, min(tid, workers), workers, 1)
    ready = -1
    for item in range(first, last):
        o0, block = item % parts * part_outputs, item // parts
        g, place = block % groups, block // groups
        n0, top = place // tall * block_images, place % tall * block_rows
        many, high = min(block_images, images - n0), min(block_rows, rows - top)
        if block != ready:
            for c in range(channels):
                transform_channel(
                    like, L, number, 16, (1, 4, 4),
                    X + ((n0 * groups + g) * channels + c) * bytes_of_input,
                    bytes_to_input, many, size[1], size[2], before, top, high,
                    columns, part_images, part_rows, part_columns, across, aside, laid, windows,
                    offsets, starts, goals, lengths, V + c * next_line, plane,
                )  # fmt: skip
            ready = block
        some, there = min(part_outputs, outputs - o0), many * high * columns
        pixels_there = (n0 * groups * outputs + g * outputs + o0) * height + 2 * top
        after = min(item + 1, last - 1) // parts
        next_g, next_place = after % groups, after // groups
        next_n, next_top = next_place // tall * block_images, next_place % tall * block_rows
        next_row = max(0, 2 * next_top - before[1])
        next_rows = min(size[1], 2 * (next_top + block_rows + 1) - before[1]) - next_row
        next_pixels = (next_n * groups + next_g) * channels * size[1] + next_row
        next_images = min(block_images, images - next_n)
        for k in range(16):
            # What comes next arrives in the cache during the products.
            for o in range(k, some, 16):
                prefetch_rows(
                    1, Y + (pixels_there + o * height) * width * number, bytes_to_output, many,
                    min(2 * high, height - 2 * top) * width * number,
                )  # fmt: skip
            for c in range(k, channels if after != block else 0, 16):
                prefetch_rows(
                    0, X + (next_pixels + c * size[1]) * size[2] * number, bytes_to_input,
                    next_images, next_rows * size[2] * number,
                )  # fmt: skip
            weights = U + ((g * 16 + k) * plane_of_weights + o0 * line_of_weights) * number
            for c0 in range(0, channels, DEPTH):
                depth, a = min(DEPTH, channels - c0), weights + c0 * number
                for t in range(0, there, panel):
                    pass_panel(
                        like, some, c0, depth, a, ROWS * row, row, number,
                        V + k * plane + c0 * next_line + t * number, next_line,
                        M + k * plane_of_sums + t * number, next_line, min(panel, there - t),
                        V, 0, 0, 0, 0,
                    )  # fmt: skip
        for o in range(some):
            output = g * outputs + o0 + o
            bad += put_outputs(
                like, L, number, M + o * next_line, plane_of_sums,
                b[output] if given(b) else like,
                pixels, (n0 * groups * outputs + output) * height * width,
                groups * outputs * height * width, many, top, high, columns, height, width,
                result, spoilt, ignored,
            )  # fmt: skip
    for l in range(L):
        bad += spoilt[l]
    if bad != like:
        pointer(flag, np.int64)[0] = 1


def part_of(rows: int, tile: int, most: int) -> int:
    """Return how many rows go into each of a few parts of nearly the same size, in whole tiles."""
    parts = -(-rows // most)
    return -(-rows // (parts * tile)) * tile


def block_of(
    images: int, rows: int, columns: int, most: int, others: int, lanes: int
) -> tuple[int, int]:
    """Return of how many images, and rows of windows in them, a block is.

    It has some rows of one image or some whole images, ``most`` windows at most unless a row has
    more, and of all such blocks those with which few threads and many are done soonest: how many
    there are must not change a bit, and sums may be rounded otherwise in another block. Each block
    is worked on ``others`` times. Registers count that are not full.
    """
    places = rows * columns

    def work(block: tuple[int, int]) -> tuple[int, int]:
        many, high = block
        turns = -(-images // many) * -(-rows // high) * others
        registers = -(-many * high * columns // lanes)
        waits = sum(-(-turns // threads) * threads for threads in THREADS)
        return waits * (registers + 1), -registers

    some_rows = [(1, high) for high in range(1, rows + 1) if high == 1 or high * columns <= most]
    whole = [(many, rows) for many in range(2, images + 1) if many * places <= most]
    return min(some_rows + whole, key=work)


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
    rows, columns = (w.count[1] + 1) // 2, (w.count[2] + 1) // 2
    part_outputs = part_of(outputs, tiles.ROWS, OUTPUTS_AT_ONCE)
    most = max(WINDOWS, KEPT // (16 * (channels + part_outputs) * number))
    others = groups * -(-outputs // part_outputs)
    block_images, block_rows = block_of(batch, rows, columns, most, others, L)
    # Lines that are an odd number of registers apart are spread over the nearest cache.
    line = line_of(block_images * block_rows * columns, L)
    line += L if line // L % 2 == 0 else 0
    blocks = -(-batch // block_images) * -(-rows // block_rows)
    space_for_each = 16 * ((channels + part_outputs) * line + 2 * L)
    spaces = min(limit(), blocks * others)
    winograd_convolution.emit(
        builder, name, X=X, U=U, b=b, Y=Y, flag=flag,
        space=builder.empty((spaces, space_for_each), X.dtype), spaces=spaces,
        bytes_a_space=space_for_each * number, groups=groups, channels=channels, outputs=outputs,
        images=batch, rows=rows, columns=columns, size=w.size, count=w.count, before=w.before,
        block_images=block_images, block_rows=block_rows, part_outputs=part_outputs, line=line,
        line_of_weights=line_of_weights, plane_of_weights=plane_of_weights,
        **laid_out(columns, block_rows, L),
    )  # fmt: skip
    return flag
