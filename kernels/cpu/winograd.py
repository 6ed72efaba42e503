"""Convolution of 3 x 3 kernels by Winograd's F(2x2, 3x3): 2.25 times fewer multiplications.

With a stride of 2 it is F(2, 2) of the outer columns of a kernel, and single products of the middle
one: 1.44 times fewer (see ``transforms``).

A thread takes a block of windows through all of it: it transforms them (``winograd_pixels``), sums
16 products with the transformed weights over the channels, and transforms the sums back to 2 x 2
pixels of the output. What it holds meanwhile no other thread reads, and it is small enough to stay
in the thread's own cache.

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
    transform_kernels,
    transform_strided_kernels,
)
from .runtime.threads import limit
from .windows import DEPTH, Windows
from .winograd_pixels import (
    FORMS,
    PLAIN,
    SPREAD,
    STRIDED,
    block_at,
    prefetch_rows,
    product_at,
    put_block,
    room_of,
    transform_block,
)

LEAST_CHANNELS = 16
LEAST_OF_STRIDED = 32
LEAST_PLACES = 128
"""Channels, and places in all images, from which the transforms are repaid."""
MOST_WASTE = 1.4
"""How many times the pixels of the output its windows may have: odd sizes leave some unused."""
KEPT = 3 << 18
"""Bytes that a block's transformed windows and sums may take,"""
WINDOWS = 64
"""unless they are not even so many windows."""
THREADS = (2, 4)
"""Few threads, and many."""
OUTPUTS_AT_ONCE = 32
"""Outputs of a block at a time, at most."""
CHANNELS_AT_ONCE = 16
"""Channels whose kernels a thread transforms at a time; it asks for those of the next."""


def _of_tiles(dtype: str) -> Mapping[str, Any]:
    from . import tiles

    L = tiles.lanes(dtype)
    return {
        "number": np.dtype(dtype).itemsize,
        "L": L,
        "panel": 2 * L,
        "kernels": 9 * L,
        "room": room_of(L),
    }


@helper
def lay_kernels(source, out, many, apart, down, along):
    """Lay out the nine numbers of each of some kernels, ``apart`` from each other, end to end."""
    for l in range(many):
        for i in range(3):
            for j in range(3):
                out[9 * l + 3 * i + j] = source[l * apart + i * down + j * along]


@kernel(
    cost=lambda groups, channels, outputs: 3.0 * groups * channels * outputs,
    constants=_of_tiles,
)
def winograd_weights(
    W: Address, out: Address, groups: int, channels: int, outputs: int,
    start: int, group_stride: int, channel_stride: int, output_stride: int, down: int, along: int,
    part_outputs: int, next_part: int, plane: int, strided: int,
    tid, threads, *, number: Constant, L: Constant, kernels: Constant,
):  # fmt: skip
    """Transform kernels: out (groups, 16, parts of outputs, channels, ``part_outputs``).

    The strides are those of ``lay_weights``; ``down`` and ``along`` those of the kernel's pixels.
    ``next_part`` and ``plane`` are the numbers from one part, and one of the 16, to the next.
    ``strided`` says that the windows are two pixels apart. The last register of the last part
    has the last kernel at its end as often as it takes.
    """
    like = KIND(0.0)
    aside = stack(kernels, KIND)
    in_order = abs(along) == 1 and down == 3 * along
    turned = 1 if in_order and along < 0 else 0
    parts, chunks = (outputs - 1) // part_outputs + 1, (channels - 1) // CHANNELS_AT_ONCE + 1
    first, last = part(groups * parts * chunks, tid, threads, 1)
    for item in range(first, last):
        c0, rest = item % chunks * CHANNELS_AT_ONCE, item // chunks
        p, g = rest % parts, rest // parts
        o0 = p * part_outputs
        begin = W + (start + g * group_stride + o0 * output_stride - 8 * turned) * number
        goal = out + (g * 16 * plane + p * next_part) * number
        for o in range(0, min(part_outputs, outputs - o0), L):
            many = min(L, outputs - o0 - o)
            for c in range(c0, min(c0 + CHANNELS_AT_ONCE, channels)):
                at, apart = begin + (o * output_stride + c * channel_stride) * number, output_stride
                if not in_order:
                    lay_kernels(pointer(at, KIND), aside, many, output_stride, down, along)
                    at, apart = address_of(aside), 9
                ahead = CHANNELS_AT_ONCE * channel_stride * number
                place, apart = goal + (c * part_outputs + o) * number, apart * number
                if strided:
                    transform_strided_kernels(
                        like, at, apart, many - 1, turned, ahead, place, plane * number
                    )
                else:
                    transform_kernels(
                        like, at, apart, many - 1, turned, ahead, place, plane * number
                    )


@kernel(
    cost=lambda groups, channels, outputs, images, rows, columns: (
        500.0 + groups * images * rows * columns * (channels * outputs * 16 / 50.0 + 10 * channels)
    ),
    constants=_of_tiles,
)
def winograd_convolution(
    X: Address, U: Address, b: OptionalFloats, Y: Address, spoiling: Address,
    space: Address, spaces: int, bytes_a_space: int,
    groups: int, channels: int, outputs: int, images: int, rows: int, columns: int,
    size: tuple[int, int, int], count: tuple[int, int, int], before: tuple[int, int, int],
    form: int, planes: int, products: int,
    blocks: int, block_images: int, block_rows: int, block_columns: int, part_outputs: int,
    line: int, plane: int, plane_of_sums: int, part_of_weights: int, plane_of_weights: int,
    tid, threads, *, number: Constant, L: Constant, panel: Constant, room: Constant,
):  # fmt: skip
    """Y = the convolution of X with the kernels whose transforms are U, and b.

    The threads share the blocks of windows, and of a block the outputs; each that has some takes
    one of the spaces. ``form`` is that of ``product_at``, ``planes`` the numbers of a window, of
    which there are so many ``products``. Its integer of ``spoiling`` becomes 1 where an output
    is not finite, and 0 otherwise.
    """
    like = KIND(0.0)
    laid, bias, spoilt = address_of(stack(room, KIND)), stack(L, KIND), stack(L, KIND)
    for l in range(L):
        bias[l] = spoilt[l] = like
    workers = min(threads, spaces)
    V = space + min(tid, workers - 1) * bytes_a_space
    M = V + planes * plane * number
    next_window, next_sum = line * number, part_outputs * number
    height, width = count[1], count[2]
    side, step_in, step_out = 4, 2, 2  # pixels of a window, and from one to the next
    if form == STRIDED:
        side, step_in = 5, 4
    elif form == SPREAD:
        side, step_out = 3, 4
    bytes_of_input, bytes_of_output = size[1] * size[2] * number, height * width * number
    bytes_to_input = groups * channels * bytes_of_input
    bytes_to_output = groups * outputs * bytes_of_output
    parts = (outputs + part_outputs - 1) // part_outputs
    of_blocks = images, rows, columns, block_images, block_rows, block_columns
    first, last = part(blocks * groups * parts, min(tid, workers), workers, 1)
    ready = -1
    for item in range(first, last):
        o0, block = item % parts * part_outputs, item // parts
        g = block % groups
        n, top, left, many, high, across = block_at(block // groups, *of_blocks)
        if block != ready:
            of_windows = (
                X + g * channels * bytes_of_input, bytes_to_input, n, many, channels,
                bytes_of_input, size[1], size[2], before, top, high, left, across, laid, V,
                next_window, plane * number,
            )  # fmt: skip
            if form == PLAIN:
                transform_block(like, L, number, PLAIN, 4, *of_windows)
            elif form == STRIDED:
                transform_block(like, L, number, STRIDED, 5, *of_windows)
            else:
                transform_block(like, L, number, SPREAD, 3, *of_windows)
            ready = block
        some, there = min(part_outputs, outputs - o0), many * high * across
        after = min(item + 1, last - 1) // parts
        next_n, next_top, _, next_many, next_high, _ = block_at(after // groups, *of_blocks)
        following = X + (next_n * groups + after % groups) * channels * bytes_of_input
        pixels = Y + ((n * groups + g) * outputs + o0) * bytes_of_output
        for k in range(products):
            # What comes next arrives in the cache during the products.
            for o in range(k, some, products):
                prefetch_rows(
                    1, number, pixels + o * bytes_of_output, bytes_to_output, many, height, width,
                    step_out * top, step_out * high,
                )  # fmt: skip
            for c in range(k, channels if after != block else 0, products):
                prefetch_rows(
                    0, number, following + c * bytes_of_input, bytes_to_input, next_many, size[1],
                    size[2], step_in * next_top - before[1], step_in * (next_high - 1) + side,
                )  # fmt: skip
            v, u, m, more, _ = product_at(form, k)
            for c in range(0, channels, DEPTH):
                depth, a = min(DEPTH, channels - c), V + (v * plane + c) * number
                weights = (
                    U
                    + (
                        (g * 16 + u) * plane_of_weights
                        + o0 // part_outputs * part_of_weights
                        + c * part_outputs
                    )
                    * number
                )
                for o in range(0, some, panel):
                    # Lanes of outputs that are not there have the last one again.
                    pass_panel(
                        like, there, more + c, depth, a, ROWS * next_window, next_window,
                        number, weights + o * number, next_sum,
                        M + (m * plane_of_sums + o) * number, next_sum,
                        panel if some - o > L else L, V, 0, 0, 0, 0,
                    )  # fmt: skip
        for o in range(0, some, L):
            if given(b):
                for l in range(min(L, some - o)):
                    bias[l] = b[g * outputs + o0 + o + l]
            of_pixels = (
                M + o * number, next_sum, plane_of_sums * number, address_of(bias),
                address_of(spoilt), Y + (g * outputs + o0 + o) * bytes_of_output, bytes_to_output,
                n, many, some - o, bytes_of_output, height, width, top, high, left, across, laid,
            )  # fmt: skip
            if form == PLAIN:
                put_block(like, L, number, PLAIN, *of_pixels)
            elif form == STRIDED:
                put_block(like, L, number, STRIDED, *of_pixels)
            else:
                put_block(like, L, number, SPREAD, *of_pixels)
    bad = like
    for l in range(L):
        bad += spoilt[l]
    told = pointer(spoiling, np.int64)
    if tid < workers:
        told[tid] = 1 if bad != like else 0
    if tid == 0:
        for k in range(workers, spaces):
            told[k] = 0


def part_of(rows: int, tile: int, most: int) -> int:
    """Return how many rows go into each of a few parts of nearly the same size, in whole tiles."""
    parts = -(-rows // most)
    return -(-rows // (parts * tile)) * tile


def block_of(
    images: int, rows: int, columns: int, most: int, others: int, tile: int
) -> tuple[int, int]:
    """Return of how many images, and rows of windows in them, a block is.

    It has some rows of one image or some whole images, ``most`` windows at most unless a row has
    more, and of all such blocks those with which few threads and many are done soonest: how many
    there are must not change a bit, and sums may be rounded otherwise in another block. Each block
    is worked on ``others`` times. Tiles count that are not full.
    """
    places = rows * columns

    def work(block: tuple[int, int]) -> tuple[int, int]:
        many, high = block
        turns = -(-images // many) * -(-rows // high) * others
        tiles = -(-many * high * columns // tile)
        waits = sum(-(-turns // threads) * threads for threads in THREADS)
        return waits * (tiles + 1), -tiles

    some_rows = [(1, high) for high in range(1, rows + 1) if high == 1 or high * columns <= most]
    whole = [(many, rows) for many in range(2, images + 1) if many * places <= most]
    return min(some_rows + whole, key=work)


def form_of(w: Windows) -> int:
    """Return the form of a convolution with such windows."""
    return PLAIN if w.stride == (1, 1, 1) else STRIDED


def pays(w: Windows, outputs: int, form: int) -> bool:
    """Say by the sizes whether this is the quicker way, and a possible one.

    ``w.count`` are the places of the output, in each form.
    """
    apart, one = 1 if form == PLAIN else 2, (1, 1, 1)
    if (w.kernel, w.stride, w.dilation) != ((1, 3, 3), (1, apart, apart), one) or w.size[0] != 1:
        return False
    side = FORMS[form].side
    high, wide = -(-w.count[1] // side), -(-w.count[2] // side)
    if w.count[0] != 1 or side * side * high * wide > MOST_WASTE * w.places:
        return False
    least = LEAST_CHANNELS if form == PLAIN else LEAST_OF_STRIDED
    enough = min(w.channels, outputs) >= least
    return enough and w.images // w.groups * w.places >= LEAST_PLACES


def emit_winograd(
    builder: Builder, w: Windows, X: Any, W: Any, b: Any, Y: Any, outputs: int, strides: Any,
    form: int,
) -> Any:  # fmt: skip
    """Emit Y = W · windows(X) + b; returns integers, all 0 unless it has to be computed again."""
    from . import tiles

    name, number = dtype_name(X.dtype), X.dtype.itemsize
    L, of = tiles.lanes(name), FORMS[form]
    groups, channels, batch = w.groups, w.channels, w.images // w.groups
    part_outputs = part_of(outputs, L, OUTPUTS_AT_ONCE)
    parts = -(-outputs // part_outputs)
    # Planes and lines have a register more, or many of them would be at addresses that the nearest
    # cache keeps in one place.
    part_of_weights = channels * part_outputs
    plane_of_weights = parts * part_of_weights + L
    U = builder.once(
        _transformed, W, groups, channels, outputs, strides, part_outputs, plane_of_weights,
        form != PLAIN,
    )  # fmt: skip
    rows, columns = -(-w.count[1] // of.side), -(-w.count[2] // of.side)
    line = -(-channels // L) * L
    line += L if line // L % 2 == 0 else 0
    most = max(WINDOWS, KEPT // ((of.planes * line + of.sums * part_outputs) * number))
    others = groups * parts
    block_columns = part_of(columns, 1, of.columns)
    block_images, block_rows = block_of(batch, rows, block_columns, most, others, tiles.ROWS)
    blocks = -(-batch // block_images) * -(-rows // block_rows) * -(-columns // block_columns)
    windows = block_images * block_rows * block_columns
    plane, plane_of_sums = windows * line + L, windows * part_outputs + L
    space_for_each = of.planes * plane + of.sums * plane_of_sums
    spaces = min(limit(), blocks * others)
    spoiling = builder.empty((spaces,), np.dtype("int64"))
    winograd_convolution.emit(
        builder, name, X=X, U=U, b=b, Y=Y, spoiling=spoiling,
        space=builder.empty((spaces, space_for_each), X.dtype), spaces=spaces,
        bytes_a_space=space_for_each * number, groups=groups, channels=channels, outputs=outputs,
        images=batch, rows=rows, columns=columns, size=w.size, count=w.count, before=w.before,
        form=form, planes=of.planes, products=of.products,
        blocks=blocks, block_images=block_images, block_rows=block_rows,
        block_columns=block_columns, part_outputs=part_outputs, line=line, plane=plane,
        plane_of_sums=plane_of_sums, part_of_weights=part_of_weights,
        plane_of_weights=plane_of_weights,
    )  # fmt: skip
    return spoiling


def _transformed(
    builder: Builder, W: Any, groups: int, channels: int, outputs: int, strides: Any,
    part_outputs: int, plane: int, strided: bool,
) -> Any:  # fmt: skip
    """Emit the transforms of kernels."""
    start, group, row, inner, taps = strides
    U = builder.empty((groups * 16 * plane,), W.dtype)
    winograd_weights.emit(
        builder, dtype_name(W.dtype), W=W, out=U, groups=groups, channels=channels, outputs=outputs,
        start=start, group_stride=group, channel_stride=inner, output_stride=row, down=taps[1],
        along=taps[2], part_outputs=part_outputs, next_part=channels * part_outputs, plane=plane,
        strided=strided,
    )  # fmt: skip
    return U
