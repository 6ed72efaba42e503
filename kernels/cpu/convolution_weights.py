"""The gradient of a convolution's weights: dW = Σₙ dYₙ · windows(Xₙ)ᵀ, in blocks of places.

A thread sums some terms of the windows times some outputs over the places of several images. It
lays the windows of these places out as rows, one for each term, and lets them pass by the gradients
of the outputs, which are turned, panel by panel. The sums stay in a space of its own until they are
complete. There they are the transpose of dW.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from nnscratch.array.dtypes import dtype_name

from .asked import asking, needed
from .depthwise import emit_depthwise_weights
from .few_outputs_weights import emit_weights_in_place, weights_parts
from .implementation import Builder
from .laid_out import put_turned
from .laid_windows import without_the_rest
from .reductions import sum_axes
from .runtime.declaration import Address, Constant, helper, kernel
from .runtime.language import (
    KIND,
    ROWS,
    address_of,
    copy_rows,
    part,
    pass_panel,
    pointer,
    put_rows,
    stack,
    transpose_panel,
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
from .winograd_weights import emit_winograd_gradient, repays

PARTIAL = 1 << 21
"""Bytes that the gradients of parts of the batch may take before they are added up."""
CHUNKS = 8
WIDEST = 64
"""Bytes of the widest vector register that tiles may use: two of them are a panel."""
TURNED = 10
"""Terms whose sums with the gradients of an output take as long as to turn these,"""
LAID = 24
"""outputs whose sums with a term take as long as to lay its windows out,"""
COPIED = 4
"""and those for which they take as long as to copy points."""


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
        "rows_of_terms": DEPTH * aside,
        "rows_of_outputs": 2 * L * aside,
        "square": L * L,
    }


@helper
def copy_lines(like, L, number, rows, source, lds, length, out, ldo):
    """Copy rows of numbers, behind which ``out`` gets up to two registers of zeros."""
    for p in range(0, length, 2 * L):
        copy_rows(2, like, rows, source + p * number, lds, length - p, out + p * number, ldo)


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
    part_outputs: int, upright: int, asked: Address, questions: int,
    tid, threads, *, number: Constant, L: Constant, panel: Constant, room: Constant,
    laid: Constant, aside: Constant, rows_of_terms: Constant, rows_of_outputs: Constant,
    square: Constant,
):  # fmt: skip
    """For each ``chunk`` images of a group the sum of D times the windows of X.

    out (chunks, groups, outputs, channels · pixels of the kernel). The threads share the chunks and
    blocks of the weights. ``points`` says that the windows are the pixels of an image in order,
    ``upright`` that X and D have changed places: out is not turned.
    Where there are int64 at ``asked`` which are all 0, nothing is computed.
    """
    if not needed(asked, questions):
        return
    like = KIND(0.0)
    space, turned = address_of(stack(room, KIND)), address_of(stack(laid, KIND))
    lines, gradients = (
        address_of(stack(rows_of_terms, KIND)),
        address_of(stack(rows_of_outputs, KIND)),
    )
    sums, corner = address_of(stack(room, KIND)), address_of(stack(square, KIND))
    offsets = stack(256, np.int64)
    starts, goals, many_rows, lengths = (
        stack(4, np.int64), stack(4, np.int64), stack(4, np.int64), stack(4, np.int64),
    )  # fmt: skip
    pixels = size[0] * size[1] * size[2]
    all_places = count[0] * count[1] * count[2]
    taps = kernel[0] * kernel[1] * kernel[2]
    all_terms = channels * taps
    batch = images // groups
    chunks = (batch + chunk - 1) // chunk
    blocks_t = (all_terms + part_terms - 1) // part_terms
    blocks_o = (outputs + part_outputs - 1) // part_outputs
    long, line = aside * number, line_of(L, part_outputs) * number
    first, last = part(chunks * groups * blocks_t * blocks_o, tid, threads, 1)
    for item in range(first, last):
        o0, rest = item % blocks_o * part_outputs, item // blocks_o
        t0, rest = rest % blocks_t * part_terms, rest // blocks_t
        g, n0 = rest % groups, rest // groups * chunk
        some, terms = min(part_outputs, outputs - o0), min(part_terms, all_terms - t0)
        c0, c1 = t0 // taps, (t0 + terms - 1) // taps + 1
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
                        find_terms(offsets, t0, terms, kernel, stride, dilation, high, wide, number)
                        runs = find_runs(
                            starts, goals, many_rows, lengths, 0, here, columns, stride[1] * wide,
                            number,
                        )  # fmt: skip
                        for m in range(many):
                            image = X + ((n + m) * groups + g) * channels * pixels * number
                            goal = lines + m * here * number
                            if points:
                                copy_lines(
                                    like, L, number, terms, image + (t0 * pixels + left) * number,
                                    pixels * number, here, goal, long,
                                )  # fmt: skip
                                continue
                            lay_rows(
                                like, L, number, pointer(image, KIND), pointer(space, KIND), c0,
                                c1, size, kernel, stride, dilation, z * stride[0] - before[0],
                                top * stride[1] - before[1], left * stride[2] - before[2], high,
                                wide,
                            )  # fmt: skip
                            pack_runs(
                                like, L, space, offsets, terms, starts, goals, many_rows, lengths,
                                runs, stride[1] * wide * number, columns * number, goal, long,
                                number,
                            )  # fmt: skip
                        for o in range(0, some, panel):
                            width = min(panel, some - o)
                            for m in range(many):
                                at = (((n + m) * groups + g) * outputs + o0 + o) * all_places
                                at = D + (at + (z * count[1] + top) * count[2] + left) * number
                                apart = all_places * number
                                if here % L == 0:
                                    goal = turned + m * here * panel * number
                                    transpose_panel(like, number, L, goal, at, apart, width, here)
                                else:
                                    goal = gradients + m * here * number
                                    copy_lines(like, L, number, width, at, apart, here, goal, long)
                            if here % L != 0:
                                transpose_panel(
                                    like, number, L, turned, gradients, long, width, many * here
                                )
                            pass_panel(
                                like, terms, add, many * here, lines, ROWS * long, long, number,
                                turned, panel * number, sums + o * number, line, width, turned,
                                0, 0, 0, 0,
                            )  # fmt: skip
                        add = 1
        if upright:
            goal = out + ((rest * all_terms + t0) * outputs + o0) * number
            for o in range(0, some, panel):
                put_rows(
                    2, like, terms, sums + o * number, line, some - o, goal + o * number,
                    outputs * number,
                )  # fmt: skip
        else:
            goal = out + ((rest * outputs + o0) * all_terms + t0) * number
            put_turned(like, L, number, terms, some, sums, line, corner, goal, all_terms * number)


@helper
def line_of(L, outputs):
    """Return the numbers of a row of sums: an odd number of registers."""
    return ((outputs + L - 1) // L | 1) * L


def _parts(w: Windows, dtype: Any, panel: int) -> tuple[int, int, int, int] | None:
    """Return images, rows, columns and terms that are laid out at a time; None if none fit."""
    columns = min(w.count[2], DEPTH)
    rows = max(1, min(w.count[1], DEPTH // columns)) if columns == w.count[2] else 1
    terms = min(DEPTH, -(-w.terms // panel) * panel)
    if w.flattened() is not None:
        return max(1, DEPTH // w.places), rows, columns, terms
    while True:
        channels = min(w.channels, (terms - 1) // w.taps + 2)
        high, wide = w.reach(rows, columns)
        if channels * w.kernel[0] * high * wide <= capacity(dtype):
            return max(1, DEPTH // w.places), rows, columns, terms
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


def _shares(
    all_terms: int, outputs: int, terms: int, laid: int, parts: int, dtype: Any
) -> tuple[int, int]:
    """Return of how many terms and outputs a thread computes the sums at a time.

    Args:
        all_terms: those of a window.
        outputs: of a group.
        terms: at most so many at a time.
        laid: outputs whose sums take as long as to lay the windows of a term out.
        parts: how often there are these terms and outputs.
        dtype: of the sums.
    """
    from . import tiles

    L = tiles.lanes(dtype_name(dtype))
    blocks_t, blocks_o = -(-all_terms // terms), 1
    while True:
        terms = -(-all_terms // (blocks_t * tiles.ROWS)) * tiles.ROWS
        some = -(-outputs // (blocks_o * 2 * L)) * 2 * L
        fits = terms * (some + 2 * L) <= capacity(dtype)
        if fits and parts * blocks_t * blocks_o >= FEW:
            return terms, some
        divisible = terms > 4 * tiles.ROWS
        if divisible and (TURNED * some < laid * terms or some <= 4 * L):
            blocks_t += 1
        elif some > 4 * L:
            blocks_o += 1
        else:
            return terms, some


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
    chunk = -(-batch // max(1, min(CHUNKS, batch // images, PARTIAL // dW.nbytes)))
    chunks = -(-batch // chunk)
    images = -(-chunk // -(-chunk // images))
    asked = None
    in_place = None if repays(w, outputs) else weights_parts(w, outputs, X.dtype)
    if in_place is not None:
        chunk, chunks = in_place.chunk, -(-batch // in_place.chunk)
    elif repays(w, outputs):
        asked = emit_winograd_gradient(builder, w, X, D, dW, outputs)
        chunk, chunks = batch, 1  # what is hardly ever needed takes no space
    laid = COPIED if flat else LAID
    upright = flat is not None and w.channels > outputs
    if upright:  # the fewer rows are copied
        X, D, outputs, w = D, X, w.channels, replace(w, channels=outputs)
        terms = min(DEPTH, w.channels)
    terms, part_outputs = _shares(w.terms, outputs, terms, laid, chunks * w.groups, X.dtype)
    whole = dW if chunks == 1 else builder.empty((chunks, math.prod(dW.shape)), dW.dtype)
    if in_place is not None:
        emit_weights_in_place(builder, w, X, D, whole, outputs, in_place)
    else:
        convolution_weights.emit(
            builder, name, X=X, D=D, out=whole, outputs=outputs, **w.arguments(),
            points=flat is not None, chunk=chunk,
            part_images=images, part_rows=rows, part_columns=columns, part_terms=terms,
            part_outputs=part_outputs, upright=upright, **asking(asked),
        )  # fmt: skip
    if chunks > 1:
        sum_axes(builder, whole, (0,), dW.reshape(-1), 1.0)
