"""The gradient of the weights of 3 x 3 kernels by Winograd's transforms: 2.25 times fewer products.

Y = Aᵀ (Σ U ⊙ V) A is bilinear in the transformed kernel U = G g Gᵀ and the transformed window V, so

    D = A dY Aᵀ,    dU = Σ D ⊙ V over the windows of all images,    dg = Gᵀ dU G

and the sums are 16 products of matrices (channels x windows) and (windows x outputs). A thread
takes block after block of the windows and adds its products to the sums of some channels with some
outputs, all in its own cache. The windows are shared out where channels and outputs are few.

All nine pixels of a kernel have the error of the largest: where columns of images are a million
times larger than others, the gradients that only meet the small ones lose their digits.

A number that is not finite spoils all nine pixels of its kernel, where the convolution may leave
some alone. So the last kernel says whether all that it has computed is finite; if a number is not,
the products with windows that stand behind it in the table compute all of them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nnscratch.array.dtypes import dtype_name

from .implementation import Builder
from .runtime.declaration import Address, Constant, helper, kernel
from .runtime.language import (
    KIND,
    ROWS,
    address_of,
    part,
    pass_panel,
    pointer,
    stack,
    transform_to_kernel,
    transform_to_strided_kernel,
)
from .runtime.threads import limit
from .windows import FEW, Windows
from .winograd import form_of, part_of, pays
from .winograd_pixels import (
    FORMS,
    PLAIN,
    STRIDED,
    block_at,
    prefetch_rows,
    product_at,
    room_of,
    transform_block,
)

CHANNELS = 64
OUTPUTS = 64
"""Channels and outputs, at most, of the product of one thread at a time;"""
WINDOWS = 32
"""and windows. So what is transformed stays in the thread's own cache with the sums."""
LEAST = 32
"""Channels, and outputs, from which the transforms are repaid."""


def _of_tiles(dtype: str) -> Mapping[str, Any]:
    from . import tiles

    L = tiles.lanes(dtype)
    return {
        "number": np.dtype(dtype).itemsize,
        "L": L,
        "panel": 2 * L,
        "pixels_of_kernels": 9 * L,
        "squares": 16 * L,
        "room": room_of(L),
    }


@helper
def write_kernels(
    like, L, number, form, M, shares, next_share, square, some, goal, next_output, sums, made,
    spoilt,
):  # fmt: skip
    """Sum the shares of some outputs with one channel, and write the gradients of their kernels.

    Returns whether all of them are finite.
    """
    for l in range(L):
        spoilt[l] = like
    for o in range(0, some, L):
        here = min(L, some - o)
        for k in range(16):
            for l in range(here, L):
                sums[k * L + l] = like
            for l in range(here):
                sums[k * L + l] = M[k * square + o + l]
        for share in range(1, shares):
            for k in range(16):
                at = share * next_share + k * square + o
                for l in range(here):
                    sums[k * L + l] += M[at + l]
        source, out, bad = address_of(sums), address_of(made), address_of(spoilt)
        if form == PLAIN:
            transform_to_kernel(like, source, 4 * L * number, out, L * number, bad)
        else:
            transform_to_strided_kernel(like, source, 4 * L * number, out, L * number, bad)
        for r in range(here):
            at = (o + r) * next_output
            for k in range(9):
                goal[at + k] = made[k * L + r]
    total = like
    for l in range(L):
        total += spoilt[l]
    return total == like


@kernel(
    cost=lambda groups, channels, outputs, images, rows, columns: (
        500.0 + groups * channels * outputs * images * rows * columns * 16 / 50.0
    ),
    constants=_of_tiles,
)
def winograd_gradient(
    X: Address, D: Address, dW: Address, spoilt: Address, M: Address,
    space: Address, spaces: int, bytes_a_space: int,
    groups: int, channels: int, outputs: int, images: int, rows: int, columns: int,
    size: tuple[int, int, int], count: tuple[int, int, int], before: tuple[int, int, int],
    form: int, shares: int, part_channels: int, part_outputs: int,
    planes: int, planes_of_outputs: int, products: int,
    blocks: int, block_images: int, block_rows: int, block_columns: int,
    line: int, line_of_outputs: int, plane: int, plane_of_outputs: int,
    tid, threads, *, number: Constant, L: Constant, panel: Constant, room: Constant,
    pixels_of_kernels: Constant, squares: Constant,
):  # fmt: skip
    """Sum V ⊗ D over each share of the windows, for parts of the channels and of the outputs.

    Of one share the kernels' gradients are written. Of several, the sums are: M (groups, parts of
    channels, parts of outputs, shares, 16, ``part_channels``, ``part_outputs``). Each thread that
    has some of these takes one of the spaces. ``planes`` are the numbers of a window,
    ``planes_of_outputs`` those of its gradients, and ``products`` those of a channel of it with an
    output.
    """
    like = KIND(0.0)
    laid = address_of(stack(room, KIND))
    made, sums = stack(pixels_of_kernels, KIND), stack(squares, KIND)
    spoilt_lanes = stack(L, KIND)
    workers = min(threads, spaces)
    V = space + min(tid, workers - 1) * bytes_a_space
    G = V + planes * plane * number
    own = G + planes_of_outputs * plane_of_outputs * number
    side, step = (4, 2) if form == PLAIN else (5, 4)
    square = part_channels * part_outputs
    bytes_of_input, bytes_of_output = size[1] * size[2] * number, count[1] * count[2] * number
    bytes_to_input = groups * channels * bytes_of_input
    bytes_to_output = groups * outputs * bytes_of_output
    parts_c = (channels + part_channels - 1) // part_channels
    parts_o = (outputs + part_outputs - 1) // part_outputs
    of_blocks = images, rows, columns, block_images, block_rows, block_columns
    first, last = part(groups * parts_c * parts_o * shares, min(tid, workers), workers, 1)
    for item in range(first, last):
        share, rest = item % shares, item // shares
        o0, rest = rest % parts_o * part_outputs, rest // parts_o
        c0, g = rest % parts_c * part_channels, rest // parts_c
        inner, some = min(part_channels, channels - c0), min(part_outputs, outputs - o0)
        begin, end = blocks * share // shares, blocks * (share + 1) // shares
        product = own if shares == 1 else M + item * 16 * square * number
        for block in range(begin, end):
            n, top, left, many, high, across = block_at(block, *of_blocks)
            of_windows = (
                X + (g * channels + c0) * bytes_of_input, bytes_to_input, n, many, inner,
                bytes_of_input, size[1], size[2], before, top, high, left, across, laid, V,
                line * number, plane * number,
            )  # fmt: skip
            of_gradients = (
                D + (g * outputs + o0) * bytes_of_output, bytes_to_output, n, many, some,
                bytes_of_output, count[1], count[2], (0, 0, 0), top, high, left, across, laid, G,
                line_of_outputs * number, plane_of_outputs * number,
            )  # fmt: skip
            if form == PLAIN:
                transform_block(like, L, number, PLAIN, 4, *of_windows)
                transform_block(like, L, number, PLAIN, 2, *of_gradients)
            else:
                transform_block(like, L, number, STRIDED, 5, *of_windows)
                transform_block(like, L, number, STRIDED, 2, *of_gradients)
            depth = many * high * across
            after = min(block + 1, end - 1)
            next_n, next_top, _, next_many, next_high, _ = block_at(after, *of_blocks)
            following = X + ((next_n * groups + g) * channels + c0) * bytes_of_input
            gradients = D + ((next_n * groups + g) * outputs + o0) * bytes_of_output
            for k in range(products):
                # What comes next arrives in the cache during the products.
                for c in range(k, inner if after != block else 0, products):
                    prefetch_rows(
                        0, number, following + c * bytes_of_input, bytes_to_input, next_many,
                        size[1], size[2], step * next_top - before[1],
                        step * (next_high - 1) + side,
                    )  # fmt: skip
                for o in range(k, some if after != block else 0, products):
                    prefetch_rows(
                        0, number, gradients + o * bytes_of_output, bytes_to_output, next_many,
                        count[1], count[2], 2 * next_top, 2 * next_high,
                    )  # fmt: skip
                v, u, m, _, again = product_at(form, k)
                goal = product + u * square * number
                for o in range(0, some, panel):
                    pass_panel(
                        like, inner, block - begin + again, depth, V + v * plane * number,
                        ROWS * number, number, line * number,
                        G + (m * plane_of_outputs + o) * number, line_of_outputs * number,
                        goal + o * number, part_outputs * number, min(panel, some - o),
                        V, 0, 0, 0, 0,
                    )  # fmt: skip
        if shares == 1:
            for c in range(inner):
                of_sums = (
                    pointer(own + c * part_outputs * number, KIND), 1, 0, square, some,
                    pointer(dW + at_kernel(g, o0, c0 + c, outputs, channels) * number, KIND),
                    9 * channels, sums, made, spoilt_lanes,
                )  # fmt: skip
                if form == PLAIN:
                    finite = write_kernels(like, L, number, PLAIN, *of_sums)
                else:
                    finite = write_kernels(like, L, number, STRIDED, *of_sums)
                place = (o0 // part_outputs * groups + g) * channels + c0 + c
                pointer(spoilt, np.int64)[place] = 0 if finite else 1


@helper
def at_kernel(g, o, c, outputs, channels):
    """Return at which number of dW the gradient of a kernel begins."""
    return ((g * outputs + o) * channels + c) * 9


@kernel(
    cost=lambda groups, channels, outputs, shares: (
        (12.0 + 8.0 * shares) * groups * channels * outputs
    ),
    constants=_of_tiles,
)
def winograd_kernels(
    M: Address, dW: Address, spoilt: Address, groups: int, channels: int, outputs: int,
    form: int, shares: int, part_channels: int, part_outputs: int,
    tid, threads, *, number: Constant, L: Constant, pixels_of_kernels: Constant, squares: Constant,
):  # fmt: skip
    """DW (groups, outputs, channels, 9) of the sum of the shares of M, as ``winograd_gradient``.

    ``spoilt`` (parts of outputs, groups, channels) says where a number is not finite.
    """
    like = KIND(0.0)
    made, sums = stack(pixels_of_kernels, KIND), stack(squares, KIND)
    spoilt_lanes = stack(L, KIND)
    square = part_channels * part_outputs
    parts_c = (channels + part_channels - 1) // part_channels
    parts_o = (outputs + part_outputs - 1) // part_outputs
    first, last = part(parts_o * groups * channels, tid, threads, 1)
    for item in range(first, last):
        c, rest = item % channels, item // channels
        g, o = rest % groups, rest // groups
        of = ((g * parts_c + c // part_channels) * parts_o + o) * shares * 16 * square
        finite = write_kernels(
            like, L, number, form,
            pointer(M + (of + c % part_channels * part_outputs) * number, KIND),
            shares, 16 * square, square, min(part_outputs, outputs - o * part_outputs),
            pointer(dW + at_kernel(g, o * part_outputs, c, outputs, channels) * number, KIND),
            9 * channels, sums, made, spoilt_lanes,
        )  # fmt: skip
        pointer(spoilt, np.int64)[item] = 0 if finite else 1


def repays(w: Windows, outputs: int) -> bool:
    """Say by the sizes whether this is the quicker way, and a possible one."""
    enough = min(w.channels, outputs) >= LEAST
    return enough and pays(w, outputs, form_of(w))


def emit_winograd_gradient(
    builder: Builder, w: Windows, X: Any, D: Any, dW: Any, outputs: int
) -> Any:
    """Emit dW; returns integers that say, where one is not 0, that it has to be computed again."""
    from . import tiles

    name, number = dtype_name(X.dtype), X.dtype.itemsize
    L, batch, form = tiles.lanes(name), w.images // w.groups, form_of(w)
    of = FORMS[form]
    rows, columns = (w.count[1] + 1) // 2, (w.count[2] + 1) // 2
    # A block has windows of one row, of some rows, or of all rows of some images.
    part_channels = part_of(w.channels, tiles.ROWS, CHANNELS)
    part_outputs = part_of(outputs, 2 * L, OUTPUTS)
    parts_o = -(-outputs // part_outputs)
    parts = w.groups * -(-w.channels // part_channels) * parts_o
    block_columns = part_of(columns, 1, of.columns)
    block_rows = min(rows, max(1, WINDOWS // block_columns))
    places = rows * columns
    block_images = min(batch, max(1, WINDOWS // places))
    blocks = -(-batch // block_images) * -(-rows // block_rows) * -(-columns // block_columns)
    shares = max(1, min(FEW // parts, blocks))
    windows = block_images * block_rows * block_columns
    # A plane has one register more, or all of them would be at addresses that the nearest cache
    # keeps in one place.
    line, line_of_outputs = -(-part_channels // L) * L, -(-part_outputs // L) * L
    plane, plane_of_outputs = windows * line + L, windows * line_of_outputs + L
    spaces = min(limit(), parts * shares)
    own = part_channels * part_outputs if shares == 1 else 0
    space_for_each = of.planes * plane + of.sums * plane_of_outputs + 16 * own + L
    size_of_sums = 16 * part_channels * part_outputs * parts * shares if shares > 1 else 0
    sums = {
        "M": builder.empty((size_of_sums + L,), X.dtype), "dW": dW,
        "spoilt": builder.empty((parts_o * w.groups * w.channels,), np.dtype("int64")),
        "groups": w.groups, "channels": w.channels, "outputs": outputs, "form": form,
        "shares": shares,
        "part_channels": part_channels, "part_outputs": part_outputs,
    }  # fmt: skip
    winograd_gradient.emit(
        builder, name, X=X, D=D, space=builder.empty((spaces, space_for_each), X.dtype),
        spaces=spaces, bytes_a_space=space_for_each * number, images=batch, rows=rows,
        columns=columns, size=w.size, count=w.count, before=w.before, blocks=blocks,
        block_images=block_images, block_rows=block_rows, block_columns=block_columns, line=line,
        line_of_outputs=line_of_outputs, plane=plane, plane_of_outputs=plane_of_outputs,
        planes=of.planes, planes_of_outputs=of.sums, products=of.products, **sums,
    )  # fmt: skip
    if shares > 1:
        winograd_kernels.emit(builder, name, **sums)
    return sums["spoilt"]
