"""Convolutions of few images as products with windows that are laid out once for all outputs.

In ``convolution_tiles`` a thread lays out the windows that it needs. Of few images there are few
parts of places to share, so that threads share the outputs, and each would lay out all windows
anew. Here all of them are laid out first, by terms, and then the threads share the outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from nnscratch.array.dtypes import dtype_name

from .elementwise import copy
from .implementation import Builder
from .runtime.declaration import Address, Constant, OptionalFloats, kernel
from .runtime.language import (
    KIND,
    ROWS,
    address_of,
    copy_rows,
    given,
    part,
    pass_panel,
    pointer,
    stack,
)
from .windows import (
    DEPTH,
    FEW,
    SLACK,
    Windows,
    capacity,
    find_runs,
    find_terms,
    lay_rows,
    pack_runs,
)


def _of_tiles(dtype: str) -> Mapping[str, Any]:
    from . import tiles

    L = tiles.lanes(dtype)
    return {
        "number": np.dtype(dtype).itemsize,
        "L": L,
        "panel": 2 * L,
        "room": capacity(dtype) + SLACK,
    }


@kernel(
    cost=lambda images, channels, count1, count2, kernel0, kernel1, kernel2: (
        200.0 + 0.2 * images * channels * count1 * count2 * kernel0 * kernel1 * kernel2
    ),
    constants=_of_tiles,
)
def lay_windows(
    X: Address, out: Address, images: int, channels: int,
    size: tuple[int, int, int], count: tuple[int, int, int], kernel: tuple[int, int, int],
    stride: tuple[int, int, int], dilation: tuple[int, int, int], before: tuple[int, int, int],
    depth: int, as_it_is: int,
    tid, threads, *, number: Constant, L: Constant, panel: Constant, room: Constant,
):  # fmt: skip
    """Lay out all windows of one plane: out (images, panels of places, terms, places of a panel).

    The threads share blocks of ``depth`` terms. ``as_it_is`` as in ``convolution_tiles``.
    """
    like = KIND(0.0)
    space, offsets = address_of(stack(room, KIND)), stack(256, np.int64)
    starts, goals, many_rows, lengths = (
        stack(4, np.int64), stack(4, np.int64), stack(4, np.int64), stack(4, np.int64),
    )  # fmt: skip
    pixels, places = size[0] * size[1] * size[2], count[1] * count[2]
    taps = kernel[0] * kernel[1] * kernel[2]
    all_terms, panels = channels * taps, (places + panel - 1) // panel
    high = (count[1] - 1) * stride[1] + dilation[1] * (kernel[1] - 1) + 1
    wide = (count[2] + dilation[2] * (kernel[2] - 1) // stride[2]) * stride[2]
    blocks = (all_terms + depth - 1) // depth
    first, last = part(images * blocks, tid, threads, 1)
    for item in range(first, last):
        n, l0 = item // blocks, item % blocks * depth
        terms = min(depth, all_terms - l0)
        image = X + n * channels * pixels * number
        if not as_it_is:
            if item == first or depth % taps != 0:  # blocks of whole channels are all alike
                find_terms(offsets, l0, depth, kernel, stride, dilation, high, wide, number)
            lay_rows(
                like, L, number, pointer(image, KIND), pointer(space, KIND), l0 // taps,
                (l0 + terms - 1) // taps + 1, size, kernel, stride, dilation, -before[0],
                -before[1], -before[2], high, wide,
            )  # fmt: skip
        for p in range(0, places, panel):
            width = min(panel, places - p)
            goal = out + ((n * panels + p // panel) * all_terms + l0) * panel * number
            if as_it_is:
                copy_rows(
                    2, like, terms, image + (l0 * pixels + p) * number, pixels * number, width,
                    goal, panel * number,
                )  # fmt: skip
                continue
            runs = find_runs(
                starts, goals, many_rows, lengths, p, width, count[2], stride[1] * wide, number
            )
            down, across = stride[1] * wide * number, count[2] * number
            pack_runs(
                like, L, space, offsets, terms - 1, starts, goals, many_rows, lengths, runs, down,
                across, goal, panel * number, number,
            )  # fmt: skip
            # Behind the last row may stand what another thread has written: no register more.
            source, goal = space + offsets[terms - 1], goal + (terms - 1) * panel * number
            for run in range(runs):
                for r in range(many_rows[run]):
                    here = pointer(source + starts[run] + r * down, KIND)
                    there = pointer(goal + goals[run] + r * across, KIND)
                    for q in range(lengths[run]):
                        there[q] = here[q]


@kernel(
    cost=lambda images, outputs, terms, places: 500.0 + images * outputs * terms * places / 45,
    constants=_of_tiles,
)
def product_with_windows(
    V: Address, W: Address, b: OptionalFloats, Y: Address,
    images: int, groups: int, outputs: int, terms: int, places: int,
    w_group: int, w_tile: int, w_row: int, w_step: int, part_outputs: int, depth: int, pitch: int,
    tid, threads, *, number: Constant, panel: Constant,
):  # fmt: skip
    """Y = W V + b with windows V as ``lay_windows`` has them; the threads share the outputs.

    ``pitch`` is the numbers from one row of V to the next: those of a panel, or its places.

    The weights pass by once for all images. They are most of what is read where the images are
    few, so that each row of them is read from its first number to its last.
    """
    like = KIND(0.0)
    blocks = (outputs + part_outputs - 1) // part_outputs
    panels = (places + panel - 1) // panel
    first, last = part(groups * blocks, tid, threads, 1)
    for item in range(first, last):
        g, o0 = item // blocks, item % blocks * part_outputs
        some = min(part_outputs, outputs - o0)
        if given(b):
            for n in range(g, images, groups):
                out = pointer(Y + (n * outputs + o0) * places * number, KIND)
                for o in range(some):
                    value = b[g * outputs + o0 + o]
                    for q in range(places):
                        out[o * places + q] = value
        for l0 in range(0, terms, depth):
            a = W + (g * w_group + o0 // ROWS * w_tile + l0 * w_step) * number
            for n in range(g, images, groups):
                base = Y + (n * outputs + o0) * places * number
                for p in range(0, places, panel):
                    laid = V + ((n * panels + p // panel) * terms + l0) * pitch * number
                    pass_panel(
                        like, some, l0 + (1 if given(b) else 0), min(depth, terms - l0), a,
                        w_tile * number, w_row * number, w_step * number, laid, pitch * number,
                        base + p * number, places * number, min(panel, places - p), laid,
                        0, 0, 0, 0,
                    )  # fmt: skip


def without_the_rest(builder: Builder, w: Windows, X: Any) -> tuple[Windows, Any]:
    """Return windows and images without the pixels between windows of one pixel each.

    These pixels are left out once, in a copy, instead of wherever windows are laid out.
    """
    whole = tuple((n - 1) // s + 1 for n, s in zip(w.size, w.stride, strict=True)) == w.count
    if w.taps > 1 or w.stride == (1, 1, 1) or w.before != (0, 0, 0) or not whole:
        return w, X
    there = X.reshape(w.images, w.channels, *w.size)
    there = there[(..., *[slice(None, None, step) for step in w.stride])]
    made = builder.empty(there.shape, X.dtype)
    copy(builder, there, made)
    return replace(w, size=w.count, stride=(1, 1, 1)), made


def laid_at_once(w: Windows, dtype: Any) -> int | None:
    """Return the terms of whole images that a thread lays out at a time; None if they do not fit.

    They are whole channels, unless one of these has more terms than the table of them.
    """
    if w.count[0] > 1:
        return None
    if w.taps > DEPTH:
        terms, channels = DEPTH, min(2, w.channels)
    else:
        channels = max(1, min(DEPTH // w.taps, w.images * w.channels // FEW))
        terms = channels * w.taps
    high, wide = w.reach(w.count[1], w.count[2])
    numbers = w.kernel[0] * high * wide
    if w.taps <= DEPTH and channels * numbers > capacity(dtype):
        channels = capacity(dtype) // numbers
        terms = channels * w.taps
    return terms if 0 < channels * numbers <= capacity(dtype) else None


def emit_laid(
    builder: Builder, w: Windows, X: Any, W: Any, b: Any, Y: Any, outputs: int,
    w_strides: tuple[int, int, int, int], terms: int, as_it_is: bool,
) -> None:  # fmt: skip
    """Emit Y = W · windows(X) + b.

    Args:
        builder: the plan's.
        w: where the windows stand.
        X: the images.
        W: the weights, as tiles.
        b: the bias, or None.
        Y: the output.
        outputs: of a group.
        w_strides: from group, tile, row and term of the weights to the next.
        terms: those that are laid out at a time, by ``laid_at_once``.
        as_it_is: whether the windows are the pixels of the image in order.
    """
    from . import tiles

    name = dtype_name(X.dtype)
    panel = 2 * tiles.lanes(name)
    panels = w.images * -(-w.places // panel)
    if as_it_is and w.places <= panel:
        laid, pitch = X, w.places  # one panel, whose rows are the channels
    else:
        laid, pitch = builder.empty((panels * w.terms * panel,), X.dtype), panel
        known = w.arguments()
        del known["groups"]
        lay_windows.emit(builder, name, X=X, out=laid, depth=terms, as_it_is=as_it_is, **known)
    product_with_windows.emit(
        builder, name, V=laid, W=W, b=b, Y=Y, images=w.images, groups=w.groups, outputs=outputs,
        terms=w.terms, places=w.places, w_group=w_strides[0], w_tile=w_strides[1],
        w_row=w_strides[2], w_step=w_strides[3],
        part_outputs=tiles.ROWS if panels == w.groups else 3 * tiles.ROWS, depth=DEPTH,
        pitch=pitch,
    )  # fmt: skip
