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
    transform_to_kernel,
    transpose_panel,
)
from .windows import DEPTH, Windows
from .winograd import part_of, pays
from .winograd_windows import laid_out, line_of, winograd_transform

CHANNELS = 96
"""Channels, at most,"""
OUTPUTS = 64
"""and outputs of the product of one thread at a time."""
KEPT = 1 << 21
"""Bytes that the transformed windows may take: they stay in the caches.

A call has instructions for each such part, so their number grows with the images and their size.
"""
LEAST = 32
"""Channels, and outputs, from which the transforms are repaid."""


def _of_tiles(dtype: str) -> Mapping[str, Any]:
    from . import tiles

    L = tiles.lanes(dtype)
    return {
        "number": np.dtype(dtype).itemsize,
        "L": L,
        "panel": 2 * L,
        "laid": DEPTH * 2 * L,
        "pixels_of_kernels": 9 * L,
    }


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
                    like, inner, add + t, depth, a, ROWS * line * number, line * number,
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
    return enough and pays(w, outputs)


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
    line = line_of(images * places, L)
    # Beside its 16 x channels lines a plane has one register, or all planes would be at addresses
    # that the nearest cache keeps in one place.
    V, G = (builder.empty((groups * 16 * (n * line + L),), X.dtype) for n in (channels, outputs))
    M = builder.empty((groups * 16 * channels * outputs + L,), X.dtype)
    spoilt = builder.empty((groups * channels,), np.dtype("int64"))
    for n in range(0, batch, images):
        some = {"first_image": n, "images": min(images, batch - n)}
        laid = {
            "groups": groups, "line": line, "rows": count[1], "columns": count[2], **some,
            **laid_out(count[2], count[1], L),
        }  # fmt: skip
        winograd_transform.emit(
            builder, name, 16, X=X, out=V, channels=channels, size=w.size, kernel=(1, 4, 4),
            before=w.before, plane=channels * line + L, **laid,
        )  # fmt: skip
        winograd_transform.emit(
            builder, name, 4, X=D, out=G, channels=outputs, size=w.count, kernel=(1, 2, 2),
            before=(0, 0, 0), plane=outputs * line + L, **laid,
        )  # fmt: skip
        winograd_products.emit(
            builder, name, V=V, D=G, M=M, groups=groups, channels=channels, outputs=outputs,
            windows=some["images"] * places, line=line, plane=channels * line + L,
            plane_of_outputs=outputs * line + L, add=n,
            part_channels=part_of(channels, high, CHANNELS), part_outputs=OUTPUTS,
        )  # fmt: skip
    winograd_kernels.emit(
        builder, name, M=M, dW=dW, spoilt=spoilt, groups=groups, channels=channels, outputs=outputs
    )
    return spoilt
