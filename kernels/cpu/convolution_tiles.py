"""Convolutions as products with windows in tiles, and which kernel the sizes choose."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from nnscratch.array.dtypes import dtype_name

from .asked import asking, needed
from .depthwise import by_rows, emit_rows
from .few_outputs import emit_in_place, rows_in_place
from .few_places import emit_few, few
from .implementation import Builder
from .laid_windows import emit_laid, laid_at_once, without_the_rest
from .runtime.declaration import Address, Constant, OptionalFloats, helper, kernel
from .runtime.language import (
    KIND,
    ROWS,
    add_rows,
    address_of,
    copy_rows,
    given,
    move_rows,
    part,
    pass_panel,
    pointer,
    put_rows,
    stack,
)
from .runtime.threads import limit
from .windows import (
    DEPTH,
    FEW,
    PIXELS,
    SLACK,
    Part,
    Three,
    Windows,
    capacity,
    find_runs,
    find_terms,
    fitting,
    lay_rows,
    pack_runs,
)
from .winograd import emit_winograd, form_of, pays

PACKED_FROM = 128
"""Places in all images from which it pays to lay the weights out in the order of their tiles."""
LAID_FROM = 3
"""Into how many parts the outputs are cut where it pays to lay the windows out once for all."""
LEAST_PARTS = 8
"""Parts that images are cut into, if there are so many: the weights pass by once for each."""
SHARES = 4
"""Parts for each thread that are enough."""
SUMS = 96
"""Outputs whose sums over some terms stand beside each other before they go to their images."""


def _of_tiles(dtype: str) -> Mapping[str, Any]:
    from . import tiles

    L = tiles.lanes(dtype)
    return {
        "number": np.dtype(dtype).itemsize,
        "L": L,
        "panel": 2 * L,
        "room": capacity(dtype) + SLACK,
        "laid": DEPTH * 2 * L + SLACK,
        "room_of_sums": SUMS * 2 * L + SLACK,
    }


@helper
def tail(table, count):
    """Return where an entry of a table of int64 stands."""
    return pointer(address_of(table) + 8 * count, np.int64)


@helper
def lay_points(like, terms, source, lds, width, out, at, ldo):
    """Copy rows of a panel; what is before them stays."""
    if at == 0:
        copy_rows(2, like, terms, source, lds, width, out, ldo)
    else:
        move_rows(2, like, terms, source, lds, width, out + at, ldo)


@helper
def put_sums(like, add, rows, sums, lds, width, out, ldo):
    """Write rows of sums, or add them to what is there."""
    if add:
        add_rows(2, like, rows, sums, lds, width, out, ldo)
    else:
        put_rows(2, like, rows, sums, lds, width, out, ldo)


@kernel(
    cost=lambda images, channels, outputs, count0, count1, count2, kernel0, kernel1, kernel2: (
        500.0
        + images * channels * outputs * count0 * count1 * count2 * kernel0 * kernel1 * kernel2 / 60
    ),
    constants=_of_tiles,
)
def convolution_tiles(
    X: Address, W: Address, b: OptionalFloats, Y: Address,
    images: int, groups: int, channels: int, outputs: int,
    size: tuple[int, int, int], count: tuple[int, int, int], kernel: tuple[int, int, int],
    stride: tuple[int, int, int], dilation: tuple[int, int, int], before: tuple[int, int, int],
    w_group: int, w_tile: int, w_row: int, w_step: int,
    part_images: int, part_rows: int, part_columns: int, part_outputs: int, depth: int,
    together: int, as_it_is: int, asked: Address, questions: int,
    tid, threads, *, number: Constant, L: Constant, panel: Constant, room: Constant,
    laid: Constant, room_of_sums: Constant,
):  # fmt: skip
    """Y = W · windows(X) + b; the threads share parts of the images and of the outputs.

    ``w_group`` to ``w_step`` are the numbers from one group, tile of rows, row and term of the
    weights to the next. ``together`` images are laid out at a time, and a panel may have places of
    several of them. ``as_it_is`` says that the windows are the pixels of the image in order.
    Where there are int64 at ``asked`` which are all 0, nothing is computed.
    """
    if not needed(asked, questions):
        return
    like = KIND(0.0)
    space, space_of_panel = address_of(stack(room, KIND)), address_of(stack(laid, KIND))
    sums = address_of(stack(room_of_sums, KIND))
    offsets = stack(256, np.int64)
    starts, goals, lengths = stack(64, np.int64), stack(64, np.int64), stack(64, np.int64)
    many_rows = stack(64, np.int64)
    pixels = size[0] * size[1] * size[2]
    all_places = count[0] * count[1] * count[2]
    taps = kernel[0] * kernel[1] * kernel[2]
    all_terms = channels * taps
    blocks_n = (images + part_images - 1) // part_images
    blocks_r = (count[1] + part_rows - 1) // part_rows
    blocks_c = (count[2] + part_columns - 1) // part_columns
    blocks_o = (outputs + part_outputs - 1) // part_outputs
    first, last = part(blocks_n * count[0] * blocks_r * blocks_c * blocks_o, tid, threads, 1)
    for item in range(first, last):
        o0, rest = item % blocks_o * part_outputs, item // blocks_o
        column, rest = rest % blocks_c * part_columns, rest // blocks_c
        top, rest = rest % blocks_r * part_rows, rest // blocks_r
        z, n0 = rest % count[0], rest // count[0] * part_images
        rows = min(part_rows, count[1] - top)
        columns = min(part_columns, count[2] - column)
        some = min(part_outputs, outputs - o0)
        high = (rows - 1) * stride[1] + dilation[1] * (kernel[1] - 1) + 1
        wide = (columns + dilation[2] * (kernel[2] - 1) // stride[2]) * stride[2]
        for l0 in range(0, all_terms, depth):
            terms = min(depth, all_terms - l0)
            if not as_it_is:
                find_terms(offsets, l0, terms, kernel, stride, dilation, high, wide, number)
            stop, here = min(n0 + part_images, images), rows * columns
            for n in range(n0, stop, together):
                g, many = n % groups, min(together, stop - n)
                image = X + n * channels * pixels * number
                c0, c1 = l0 // taps, (l0 + terms - 1) // taps + 1
                image_space = (c1 - c0) * kernel[0] * high * wide * number
                if not as_it_is:
                    for m in range(many):
                        lay_rows(
                            like, L, number, pointer(image + m * channels * pixels * number, KIND),
                            pointer(space + m * image_space, KIND), c0, c1, size, kernel, stride,
                            dilation, z * stride[0] - before[0], top * stride[1] - before[1],
                            column * stride[2] - before[2], high, wide,
                        )  # fmt: skip
                a = W + (g * w_group + o0 // ROWS * w_tile + l0 * w_step) * number
                base = Y + (n * outputs + o0) * all_places * number
                base += ((z * count[1] + top) * count[2] + column) * number
                for p in range(0, many * here, panel):
                    width = min(panel, many * here - p)
                    runs = 0
                    for m in range(p // here, (p + width - 1) // here + 1):
                        q = max(0, p - m * here)  # of image m the first place, and where it goes
                        at, length = m * here + q - p, min(here - q, p + width - m * here - q)
                        if as_it_is:
                            source = image + ((m * channels + l0) * pixels + column + q) * number
                            lay_points(
                                like, terms, source, pixels * number, length, space_of_panel,
                                at * number, panel * number,
                            )  # fmt: skip
                        else:
                            found = find_runs(
                                tail(starts, runs), tail(goals, runs),
                                tail(many_rows, runs), tail(lengths, runs), q, length, columns,
                                stride[1] * wide, number,
                            )  # fmt: skip
                            for i in range(runs, runs + found):
                                starts[i] += m * image_space
                                goals[i] += at * number
                            runs += found
                        if given(b) and l0 == 0:
                            c = base + (m * outputs * all_places + q) * number
                            for o in range(some):
                                out, value = (
                                    pointer(c + o * all_places * number, KIND),
                                    b[g * outputs + o0 + o],
                                )
                                for i in range(length):
                                    out[i] = value
                    if not as_it_is:
                        pack_runs(
                            like, L, space, offsets, terms, starts, goals, many_rows, lengths, runs,
                            stride[1] * wide * number, columns * number, space_of_panel,
                            panel * number, number,
                        )  # fmt: skip
                    add = l0 + (1 if given(b) else 0)
                    if together == 1:
                        pass_panel(
                            like, some, add, terms, a, w_tile * number, w_row * number,
                            w_step * number, space_of_panel, panel * number, base + p * number,
                            all_places * number, width, space_of_panel, 0, 0, 0, 0,
                        )  # fmt: skip
                        continue
                    for o in range(0, some, SUMS):
                        sum_rows = min(SUMS, some - o)
                        pass_panel(
                            like, sum_rows, 0, terms, a + o // ROWS * w_tile * number,
                            w_tile * number, w_row * number, w_step * number, space_of_panel,
                            panel * number, sums, panel * number, width, space_of_panel,
                            0, 0, 0, 0,
                        )  # fmt: skip
                        for m in range(p // here, (p + width - 1) // here + 1):
                            q = max(0, p - m * here)
                            at, length = m * here + q - p, min(here - q, p + width - m * here - q)
                            c = base + ((m * outputs + o) * all_places + q) * number
                            put_sums(
                                like, add, sum_rows, sums + at * number, panel * number, length,
                                c, all_places * number,
                            )  # fmt: skip


@kernel(
    cost=lambda groups, rows, inputs, kernel0, kernel1, kernel2: (
        0.7 * groups * rows * inputs * kernel0 * kernel1 * kernel2
    )
)
def lay_weights(
    W: Address, out: Address, groups: int, rows: int, inputs: int, kernel: tuple[int, int, int],
    start: int, group_stride: int, row_stride: int, input_stride: int,
    kernel_strides: tuple[int, int, int], asked: Address, questions: int,
    tid, threads,
):  # fmt: skip
    """Lay out weights as tiles of rows: for each term the numbers of ROWS rows end to end.

    A number of W stands ``start`` behind its first one, and the strides behind that. Where there
    are int64 at ``asked`` which are all 0, nothing is done.
    """
    if not needed(asked, questions):
        return
    source, goal = pointer(W, KIND), pointer(out, KIND)
    tiles = (rows + ROWS - 1) // ROWS
    k0, k1, k2 = kernel
    terms = inputs * k0 * k1 * k2
    first, last = part(groups * tiles, tid, threads, 1)
    for block in range(first, last):
        g, top = block // tiles, block % tiles * ROWS
        many = min(ROWS, rows - top)
        at = block * terms * ROWS
        begin = start + g * group_stride + top * row_stride
        for c in range(inputs):
            for i in range(k0):
                for j in range(k1):
                    for k in range(k2):
                        here = begin + c * input_stride
                        here += (
                            i * kernel_strides[0] + j * kernel_strides[1] + k * kernel_strides[2]
                        )
                        for r in range(many):
                            goal[at + r] = source[here + r * row_stride]
                        at += ROWS


Strides = tuple[int, int, int, int, Three]
"""Where a number of the weights stands: start, from group, row and input to the next, of pixels."""


def emit_tiles(
    builder: Builder, w: Windows, X: Any, W: Any, b: Any, Y: Any, outputs: int, strides: Strides,
    asked: Any = None,
) -> None:  # fmt: skip
    """Emit Y = W · windows(X) + b; where there are integers ``asked``, only if one is not 0."""
    from .tiles import ROWS as rows
    from .tiles import lanes

    if asked is None and by_rows(w, outputs):
        emit_rows(builder, w, X, W, b, Y, outputs, strides)
        return
    name = dtype_name(X.dtype)
    start, group, row, inner, taps = strides
    k = w.kernel
    in_order = start == 0 and inner == w.taps and taps[2] == 1 and taps[1] == k[2]
    in_order = in_order and taps[0] == k[1] * k[2]
    if asked is None and in_order and row == w.terms and few(w, X.dtype):
        emit_few(builder, w, X, W, b, Y, outputs, group)
        return
    w, X = without_the_rest(builder, w, X)
    flat = w.flattened()
    w = flat or w
    p = fitting(w, X.dtype)
    assert p is not None
    form = form_of(w)
    if asked is None and pays(w, outputs, form):
        asked = emit_winograd(builder, w, X, W, b, Y, outputs, strides, form)
    in_place = rows_in_place(w, outputs, X.dtype) if asked is None else None
    if (
        in_place is None
        and in_order
        and (asked is not None or w.images // w.groups * w.places < PACKED_FROM)
    ):
        packed, w_strides = W, (group, rows * row, row, 1)
    else:
        tiles = -(-outputs // rows)
        w_strides = (tiles * w.terms * rows, w.terms * rows, 1, rows)
        packed = builder.once(
            _packed, W, asked, w.groups, tiles, outputs, w.channels, w.kernel, strides
        )
    if in_place is not None:
        emit_in_place(builder, w, X, packed, b, Y, outputs, in_place)
        return
    images, part_outputs = _parts(w, p, outputs, rows)
    if flat is not None and part_outputs == outputs:
        p = _shared(w, p, 2 * lanes(name))
    if asked is None and part_outputs * LAID_FROM <= outputs:
        laid_terms = laid_at_once(w, X.dtype)
        if laid_terms is not None:
            emit_laid(builder, w, X, packed, b, Y, outputs, w_strides, laid_terms, flat is not None)
            return
    convolution_tiles.emit(
        builder, name, X=X, W=packed, b=b, Y=Y, outputs=outputs, **w.arguments(),
        w_group=w_strides[0], w_tile=w_strides[1], w_row=w_strides[2], w_step=w_strides[3],
        part_images=images, part_rows=p.rows, part_columns=p.columns, part_outputs=part_outputs,
        depth=p.depth, together=_together(w, p, images, 2 * lanes(name), capacity(X.dtype)),
        as_it_is=flat is not None, **asking(asked),
    )  # fmt: skip


def _packed(
    builder: Builder, W: Any, asked: Any, groups: int, tiles: int, outputs: int, channels: int,
    kernel: Three, strides: Strides,
) -> Any:  # fmt: skip
    """Emit weights in the order of their tiles."""
    from .tiles import ROWS as rows

    start, group, row, inner, taps = strides
    made = builder.empty((groups * tiles * channels * math.prod(kernel) * rows,), W.dtype)
    lay_weights.emit(
        builder, dtype_name(W.dtype), W=W, out=made, groups=groups, rows=outputs, inputs=channels,
        kernel=kernel, start=start, group_stride=group, row_stride=row, input_stride=inner,
        kernel_strides=taps, **asking(asked),
    )  # fmt: skip
    return made


def _parts(w: Windows, p: Part, outputs: int, rows: int) -> tuple[int, int]:
    """Return of how many images and outputs a thread computes some places at a time.

    The sums do not depend on the outputs, but on the images, of which a panel has several.
    """
    images, part_outputs, few = 1, outputs, FEW
    if p.rows * p.columns == w.places and w.groups == 1:
        images = max(1, min(PIXELS // w.places, w.images // LEAST_PARTS))
    if images > 1:
        few = min(FEW, SHARES * limit())
    parts = -(-w.images // images) * w.count[0]
    parts *= -(-w.count[1] // p.rows) * -(-w.count[2] // p.columns)
    while parts * -(-outputs // part_outputs) < few and part_outputs > 4 * rows:
        part_outputs = -(-part_outputs // (2 * rows)) * rows
    return images, part_outputs


def _together(w: Windows, p: Part, images: int, panel: int, room: int) -> int:
    """Return of how many images a panel has places: several where one would not fill its panels."""
    if p.rows * p.columns < w.places or w.places % panel == 0 or w.places > 4 * panel:
        return 1
    high, wide = w.reach(p.rows, p.columns)
    channels = min(w.channels, -(-p.depth // w.taps) + 1)
    return max(1, min(images, room // (channels * w.kernel[0] * high * wide)))


def _shared(w: Windows, p: Part, panel: int) -> Part:
    """Return a part with fewer places of a row of points, where there would be few parts.

    They are whole panels. It is for few outputs: where threads share these, what they write is
    what they read next, as most layers go by channels.
    """
    columns = p.columns
    while w.images * -(-w.places // columns) < FEW and columns >= 2 * panel:
        columns = -(-columns // (2 * panel)) * panel
    return replace(p, columns=columns)
