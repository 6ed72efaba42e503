"""The gradient of a convolution's weights: dW = Σₙ dYₙ · windows(Xₙ)ᵀ, in blocks of places."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from nnscratch.array.dtypes import dtype_name

from .asked import asking, needed
from .depthwise import emit_depthwise_weights
from .few_outputs_weights import emit_weights_in_place, weights_parts
from .implementation import Builder
from .reductions import sum_axes
from .runtime.declaration import Address, Constant, kernel
from .runtime.language import (
    KIND,
    ROWS,
    address_of,
    part,
    pass_panel,
    pointer,
    stack,
    transpose_panel,
)
from .windows import (
    DEPTH,
    FEW,
    SLACK,
    Windows,
    capacity,
    find_pieces,
    find_terms,
    lay_rows,
    pack_terms,
    without_the_rest,
)
from .winograd_weights import emit_winograd_gradient, repays

OUTPUTS = 128
"""Outputs whose gradients are laid out next to each other at a time."""
PARTIAL = 1 << 21
"""Bytes that the gradients of parts of the batch may take before they are added up."""
CHUNKS = 8
WIDEST = 64
"""Bytes of the widest vector register that tiles may use: two of them are a panel."""


def _of_tiles(dtype: str) -> Mapping[str, Any]:
    from . import tiles

    L = tiles.lanes(dtype)
    aside = DEPTH + 2 * L
    return {
        "number": np.dtype(dtype).itemsize,
        "L": L,
        "panel": 2 * L,
        "room": capacity(dtype) + SLACK,
        "laid": DEPTH * 2 * L,
        "aside": aside,
        "rows_of_terms": 2 * L * aside,
        "rows_of_outputs": OUTPUTS * aside,
    }


@kernel(
    cost=lambda images, channels, outputs, count0, count1, count2, kernel0, kernel1, kernel2: (
        500.0
        + images * channels * outputs * count0 * count1 * count2 * kernel0 * kernel1 * kernel2 / 50
    ),
    constants=_of_tiles,
)
def convolution_weights(
    X: Address, D: Address, out: Address,
    images: int, groups: int, channels: int, outputs: int, points: int,
    size: tuple[int, int, int], count: tuple[int, int, int], kernel: tuple[int, int, int],
    stride: tuple[int, int, int], dilation: tuple[int, int, int], before: tuple[int, int, int],
    chunk: int, part_images: int, part_rows: int, part_columns: int, part_terms: int,
    part_outputs: int, asked: Address, questions: int,
    tid, threads, *, number: Constant, L: Constant, panel: Constant, room: Constant,
    laid: Constant, aside: Constant, rows_of_terms: Constant, rows_of_outputs: Constant,
):  # fmt: skip
    """For each ``chunk`` images of a group the sum of D times the windows of X.

    out (chunks, groups, outputs, channels · pixels of the kernel). The threads share the chunks and
    blocks of the weights. Windows that are ``points``, the pixels of an image in order, are used
    where they are. Where there are int64 at ``asked`` which are all 0, nothing is computed.
    """
    if not needed(asked, questions):
        return
    like = KIND(0.0)
    space, turned = address_of(stack(room, KIND)), address_of(stack(laid, KIND))
    lines, gradients = stack(rows_of_terms, KIND), stack(rows_of_outputs, KIND)
    offsets = stack(256, np.int64)
    starts, goals, lengths = stack(512, np.int64), stack(512, np.int64), stack(512, np.int64)
    pixels = size[0] * size[1] * size[2]
    all_places = count[0] * count[1] * count[2]
    taps = kernel[0] * kernel[1] * kernel[2]
    all_terms = channels * taps
    batch = images // groups
    chunks = (batch + chunk - 1) // chunk
    blocks_t = (all_terms + part_terms - 1) // part_terms
    blocks_o = (outputs + part_outputs - 1) // part_outputs
    long = aside * number
    first, last = part(chunks * groups * blocks_t * blocks_o, tid, threads, 1)
    for item in range(first, last):
        o0, rest = item % blocks_o * part_outputs, item // blocks_o
        t0, rest = rest % blocks_t * part_terms, rest // blocks_t
        g, n0 = rest % groups, rest // groups * chunk
        some, terms = min(part_outputs, outputs - o0), min(part_terms, all_terms - t0)
        c0, c1 = t0 // taps, (t0 + terms - 1) // taps + 1
        c = out + ((rest * outputs + o0) * all_terms + t0) * number
        stop = min(n0 + chunk, batch)
        add = 0
        for n in range(n0, stop, part_images):
            many = min(part_images, stop - n)
            for z in range(count[0]):
                for top in range(0, count[1], part_rows):
                    rows = min(part_rows, count[1] - top)
                    for left in range(0, count[2], part_columns):
                        columns = min(part_columns, count[2] - left)
                        high = (rows - 1) * stride[1] + dilation[1] * (kernel[1] - 1) + 1
                        wide = columns + dilation[2] * (kernel[2] - 1) // stride[2]
                        wide *= stride[2]
                        here = rows * columns
                        image_space = (c1 - c0) * kernel[0] * high * wide * number
                        find_terms(offsets, t0, terms, kernel, stride, dilation, high, wide, number)
                        pieces = find_pieces(
                            starts, goals, lengths, 0, here, columns, stride[1] * wide, number
                        )
                        for m in range(many):
                            index = (n + m) * groups + g
                            if not points:
                                lay_rows(
                                    like, L, number,
                                    pointer(X + index * channels * pixels * number, KIND),
                                    pointer(space + m * image_space, KIND), c0, c1, size,
                                    kernel, stride, dilation,
                                    z * stride[0] - before[0], top * stride[1] - before[1],
                                    left * stride[2] - before[2], high, wide,
                                )  # fmt: skip
                            at = (index * outputs + o0) * all_places
                            at += (z * count[1] + top) * count[2] + left
                            for o in range(some):
                                source = pointer(D + (at + o * all_places) * number, KIND)
                                goal = o * aside + m * here
                                for i in range(here):
                                    gradients[goal + i] = source[i]
                        for t in range(0, terms, panel):
                            width = min(panel, terms - t)
                            for m in range(many):
                                if points:
                                    index = ((n + m) * groups + g) * channels + t0 + t
                                    transpose_panel(
                                        like, number, L, turned + m * here * panel * number,
                                        X + (index * pixels + left) * number, pixels * number,
                                        width, here,
                                    )  # fmt: skip
                                else:
                                    pack_terms(
                                        like, L, space + m * image_space,
                                        pointer(address_of(offsets) + 8 * t, np.int64), width,
                                        starts, goals, lengths, pieces,
                                        address_of(lines) + m * here * number, long, number,
                                    )  # fmt: skip
                            if not points:
                                transpose_panel(
                                    like, number, L, turned, address_of(lines), long, width,
                                    many * here,
                                )  # fmt: skip
                            pass_panel(
                                like, some, add, many * here, address_of(gradients),
                                ROWS * long, long, number, turned, panel * number,
                                c + t * number, all_terms * number, width, turned, 0, 0, 0, 0,
                            )  # fmt: skip
                        add = 1


def _parts(w: Windows, dtype: Any, panel: int) -> tuple[int, int, int, int] | None:
    """Return images, rows, columns and terms that are laid out at a time; None if none fit."""
    room = capacity(dtype)
    columns = min(w.count[2], DEPTH)
    rows = max(1, min(w.count[1], DEPTH // columns)) if columns == w.count[2] else 1
    terms = min(DEPTH, -(-w.terms // panel) * panel)
    while True:
        channels = min(w.channels, (terms - 1) // w.taps + 2)
        high, wide = w.reach(rows, columns)
        numbers = channels * w.kernel[0] * high * wide
        if numbers <= room:
            images = 1
            if rows * columns == w.places:
                images = max(1, min(DEPTH // w.places, room // numbers))
            return images, rows, columns, terms
        if terms > 2 * panel:
            terms -= panel
        elif rows > 1:
            rows = (rows + 1) // 2
        elif terms > panel:
            terms = panel
        elif columns > panel:
            columns = (columns + 1) // 2
        else:
            return None


def weights_fit(w: Windows, dtype: Any) -> bool:
    """Say whether some windows fit into a thread's space, in panels of any size.

    What fits in the widest panel fits in every other: all processors answer the same.
    """
    return _parts(w, dtype, 2 * WIDEST // np.dtype(dtype).itemsize) is not None


def emit_weights(builder: Builder, w: Windows, X: Any, D: Any, dW: Any) -> None:
    """Emit dW = Σ D · windows(X)ᵀ."""
    if w.channels == 1 and w.groups > 1:
        emit_depthwise_weights(builder, w, X, D, dW)
        return
    from . import tiles

    name = dtype_name(X.dtype)
    panel = 2 * tiles.lanes(name)
    w, X = without_the_rest(builder, w, X)
    flat = w.flattened()
    w = flat or w
    found = _parts(w, X.dtype, panel)
    assert found is not None
    images, rows, columns, terms = found
    batch = w.images // w.groups
    outputs = D.shape[1] // w.groups
    chunks = max(1, min(CHUNKS, batch // images, PARTIAL // dW.nbytes))
    chunk = -(-batch // chunks)
    chunk = -(-chunk // images) * images
    chunks = -(-batch // chunk)
    part_outputs = min(outputs, OUTPUTS)
    blocks_o = -(-outputs // part_outputs)
    while chunks * w.groups * blocks_o * -(-w.terms // terms) < FEW and terms > 2 * panel:
        terms = max(panel, terms // 2 // panel * panel)
    asked = None
    in_place = None if repays(w, outputs) else weights_parts(w, outputs, X.dtype)
    if in_place is not None:
        chunk, chunks = in_place.chunk, -(-batch // in_place.chunk)
    elif repays(w, outputs):
        asked = emit_winograd_gradient(builder, w, X, D, dW, outputs)
        chunk, chunks = batch, 1  # what is hardly ever needed takes no space
    whole = dW if chunks == 1 else builder.empty((chunks, math.prod(dW.shape)), dW.dtype)
    if in_place is not None:
        emit_weights_in_place(builder, w, X, D, whole, outputs, in_place)
    else:
        convolution_weights.emit(
            builder, name, X=X, D=D, out=whole, outputs=outputs, **w.arguments(),
            points=flat is not None, chunk=chunk,
            part_images=images, part_rows=rows, part_columns=columns, part_terms=terms,
            part_outputs=part_outputs, **asking(asked),
        )  # fmt: skip
    if chunks > 1:
        sum_axes(builder, whole, (0,), dW.reshape(-1), 1.0)
