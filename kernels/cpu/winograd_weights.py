"""The gradient of the weights of 3 x 3 kernels by Winograd's transforms: 2.25 times fewer products.

Y = Aᵀ (Σ U ⊙ V) A is bilinear in the transformed kernel U = G g Gᵀ and the transformed window V, so

    D = A dY Aᵀ,    dU = Σ D ⊙ V over the windows of all images,    dg = Gᵀ dU G

and the sums are 16 products of matrices (channels x windows) and (windows x outputs). Some images
are transformed first, then come all products with them, while the caches hold them.

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
from .runtime.declaration import Address, Constant, kernel
from .runtime.language import (
    KIND,
    ROWS,
    address_of,
    part,
    pass_panel,
    pointer,
    stack,
    transform_gradient,
    transform_input,
    transform_to_kernel,
    transpose_panel,
)
from .windows import DEPTH, SLACK, Windows, find_pieces, find_terms, lay_rows, pack_terms
from .winograd import pays

BLOCK = 64
"""Channels, and outputs, of the product of one thread at a time."""
WINDOWS = 64
"""Windows that are laid out at a time."""
LEAST = 48
"""Channels, and outputs, from which the transforms are repaid."""
KEPT = 1 << 21
"""Bytes that the transforms of some images may take: they stay in the caches."""


def _of_tiles(dtype: str, terms: int = 16) -> Mapping[str, Any]:
    from . import tiles

    L = tiles.lanes(dtype)
    return {
        "number": np.dtype(dtype).itemsize,
        "L": L,
        "panel": 2 * L,
        "aside": WINDOWS + L,
        "window": 16 * (WINDOWS + L) + SLACK,
        "room": 16 * WINDOWS + SLACK,
        "laid": DEPTH * 2 * L,
        "pixels_of_kernels": 9 * L,
    }


@kernel(cost=lambda groups, channels, line: 10.0 * groups * channels * line, constants=_of_tiles)
def winograd_transform(
    X: Address, out: Address, groups: int, channels: int, first_image: int, images: int,
    size: tuple[int, int, int], count: tuple[int, int, int], kernel: tuple[int, int, int],
    stride: tuple[int, int, int], dilation: tuple[int, int, int], before: tuple[int, int, int],
    part_images: int, part_rows: int, line: int, plane: int,
    tid, threads, *, terms: int, number: Constant, L: Constant, aside: Constant,
    window: Constant, room: Constant,
):  # fmt: skip
    """Transform windows of some images: out (groups, 16, channels, ``line``).

    Those of 16 ``terms`` are of X, and those of 4 of the gradient of the output. ``plane`` is the
    numbers from one of the 16 to the next.
    """
    like = KIND(0.0)
    space, windows = address_of(stack(room, KIND)), address_of(stack(window, KIND))
    offsets = stack(16, np.int64)
    starts, goals, lengths = stack(64, np.int64), stack(64, np.int64), stack(64, np.int64)
    pixels, columns = size[1] * size[2], count[2]
    begin, end = part(groups * channels, tid, threads, 1)
    for item in range(begin, end):
        g, c = item // channels, item % channels
        goal = out + (g * 16 * plane + c * line) * number
        for n in range(0, images, part_images):
            many = min(part_images, images - n)
            for top in range(0, count[1], part_rows):
                rows = min(part_rows, count[1] - top)
                here = rows * columns
                high, wide = 2 * (rows - 1) + kernel[1], 2 * (columns - 1) + kernel[2]
                find_terms(offsets, 0, terms, kernel, stride, dilation, high, wide, number)
                pieces = find_pieces(starts, goals, lengths, 0, here, columns, 2 * wide, number)
                for m in range(many):
                    index = (first_image + n + m) * groups + g
                    lay_rows(
                        like, pointer(X + index * channels * pixels * number, KIND),
                        pointer(space, KIND), c, c + 1, size, kernel, stride,
                        dilation, 0, 2 * top - before[1], -before[2], high, wide,
                    )  # fmt: skip
                    pack_terms(
                        like, L, space, offsets, terms, starts, goals, lengths, pieces,
                        windows + m * here * number, aside * number, number,
                    )  # fmt: skip
                # The last register may hold nothing at its end, over which the next windows go.
                for v in range((here * many + L - 1) // L):
                    source, there = windows + v * L * number, goal + v * L * number
                    if terms == 16:
                        transform_input(like, source, aside * number, there, plane * number)
                    else:
                        transform_gradient(like, source, aside * number, there, plane * number)
                goal += here * many * number


@kernel(
    cost=lambda groups, channels, outputs, windows: (
        500.0 + groups * channels * outputs * windows * 16 / 50.0
    ),
    constants=_of_tiles,
)
def winograd_products(
    V: Address, D: Address, M: Address, groups: int, channels: int, outputs: int, windows: int,
    line: int, plane: int, plane_of_outputs: int, add: int, part_channels: int, part_outputs: int,
    tid, threads, *, number: Constant, L: Constant, panel: Constant, laid: Constant,
):  # fmt: skip
    """Write or add Σ V ⊗ D over the windows: M (groups, 16, channels, outputs)."""
    like = KIND(0.0)
    turned = address_of(stack(laid, KIND))
    blocks_c = (channels + part_channels - 1) // part_channels
    blocks_o = (outputs + part_outputs - 1) // part_outputs
    first, last = part(groups * 16 * blocks_c * blocks_o, tid, threads, 1)
    for item in range(first, last):
        o0, rest = item % blocks_o * part_outputs, item // blocks_o
        c0, k = rest % blocks_c * part_channels, rest // blocks_c
        some, inner = min(part_outputs, outputs - o0), min(part_channels, channels - c0)
        for t in range(0, windows, DEPTH):
            depth = min(DEPTH, windows - t)
            a = V + (k * plane + c0 * line + t) * number
            for o in range(o0, o0 + some, panel):
                width = min(panel, o0 + some - o)
                b = D + (k * plane_of_outputs + o * line + t) * number
                transpose_panel(like, number, L, turned, b, line * number, width, depth)
                pass_panel(
                    like, L, inner, add + t, depth, a, ROWS * line * number, line * number,
                    number, turned, panel * number,
                    M + ((k * channels + c0) * outputs + o) * number, outputs * number, width,
                    turned, 0, 0, 0, 0,
                )  # fmt: skip


@kernel(
    cost=lambda groups, channels, outputs: 12.0 * groups * channels * outputs, constants=_of_tiles
)
def winograd_kernels(
    M: Address, dW: Address, spoilt: Address, groups: int, channels: int, outputs: int,
    tid, threads, *, number: Constant, L: Constant, pixels_of_kernels: Constant,
):  # fmt: skip
    """DW (groups, outputs, channels, 9) of M; ``spoilt`` says where a channel's is not finite."""
    like = KIND(0.0)
    made = stack(pixels_of_kernels, KIND)
    goal = pointer(dW, KIND)
    first, last = part(groups * channels, tid, threads, 1)
    for item in range(first, last):
        g, c = item // channels, item % channels
        bad = like
        for o in range(0, outputs, L):
            transform_to_kernel(
                like, M + ((g * 16 * channels + c) * outputs + o) * number,
                channels * outputs * number, address_of(made), L * number,
            )  # fmt: skip
            for r in range(min(L, outputs - o)):
                at = ((g * outputs + o + r) * channels + c) * 9
                for k in range(9):
                    goal[at + k] = made[k * L + r]
                    bad += made[k * L + r] * like
        pointer(spoilt, np.int64)[item] = 1 if bad != like else 0


def repays(w: Windows, outputs: int) -> bool:
    """Say by the sizes whether this is the quicker way, and a possible one."""
    enough = min(w.channels, outputs) >= LEAST
    return enough and pays(w, outputs) and (w.count[2] + 1) // 2 <= WINDOWS


def emit_winograd_gradient(
    builder: Builder, w: Windows, X: Any, D: Any, dW: Any, outputs: int
) -> Any:
    """Emit dW; returns integers that say, where one is not 0, that it has to be computed again."""
    from . import tiles

    name, number = dtype_name(X.dtype), X.dtype.itemsize
    L, high = tiles.lanes(name), tiles.ROWS
    groups, channels, batch = w.groups, w.channels, w.images // w.groups
    count = (1, (w.count[1] + 1) // 2, (w.count[2] + 1) // 2)
    places = count[1] * count[2]
    images = KEPT // (16 * groups * max(channels, outputs) * places * number)
    images = max(1, min(batch, images))
    # The last register of a line may begin anywhere.
    line = -(-(images * places + L - 1) // L) * L
    # Beside its 16 x channels lines a plane has one register, or all planes would be at addresses
    # that the nearest cache keeps in one place.
    V, G = (builder.empty((groups * 16 * (n * line + L),), X.dtype) for n in (channels, outputs))
    M = builder.empty((groups * 16 * channels * outputs + L,), X.dtype)
    spoilt = builder.empty((groups * channels,), np.dtype("int64"))
    rows = min(count[1], WINDOWS // count[2])
    laid = {
        "groups": groups, "count": count, "stride": (1, 2, 2), "dilation": (1, 1, 1),
        "part_rows": rows, "part_images": WINDOWS // places if rows == count[1] else 1,
        "line": line,
    }  # fmt: skip
    for n in range(0, batch, images):
        some = min(images, batch - n)
        winograd_transform.emit(
            builder, name, 16, X=X, out=V, channels=channels, first_image=n, images=some,
            size=w.size, kernel=(1, 4, 4), before=w.before, plane=channels * line + L, **laid,
        )  # fmt: skip
        winograd_transform.emit(
            builder, name, 4, X=D, out=G, channels=outputs, first_image=n, images=some,
            size=w.count, kernel=(1, 2, 2), before=(0, 0, 0), plane=outputs * line + L, **laid,
        )  # fmt: skip
        winograd_products.emit(
            builder, name, V=V, D=G, M=M, groups=groups, channels=channels, outputs=outputs,
            windows=some * places, line=line, plane=channels * line + L,
            plane_of_outputs=outputs * line + L, add=n, part_channels=BLOCK // high * high,
            part_outputs=BLOCK,
        )  # fmt: skip
    winograd_kernels.emit(
        builder, name, M=M, dW=dW, spoilt=spoilt, groups=groups, channels=channels, outputs=outputs
    )
    return spoilt
