"""Convolutions and their gradients as products with windows that are laid out in the cache.

Y = W · windows(X) + b              convolution_tiles
dX = Wᵀ spread over the windows     the same with turned weights, once for each remainder of the
                                    pixels modulo the stride (sub-pixels, Shi et al. 2016)
dW = dY · windows(X)ᵀ               in ``convolution_weights``
db = Σ dY                           a sum over axes
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from nnscratch.array.dtypes import dtype_name
from nnscratch.errors import NNScratchError
from nnscratch.formulas.convolution import ConvolutionSaved, ConvolutionWeightSaved, kernel_size
from nnscratch.formulas.windows import Geometry, exact, places, reached

from .convolution_weights import emit_weights, weights_fit
from .depthwise import by_rows, emit_rows
from .elementwise import copy
from .implementation import Builder, CpuKernel, Inputs, Options
from .reductions import sum_axes
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
    PIXELS,
    SLACK,
    Three,
    Windows,
    capacity,
    find_pieces,
    find_terms,
    fitting,
    lay_rows,
    pack_terms,
)
from .winograd import emit_winograd, pays

Lowered = tuple[tuple[Any, ...], Any]
Needs = tuple[bool, ...]

PACKED_FROM = 128
"""Places in all images from which it pays to lay the weights out in the order of their tiles."""


def _of_tiles(dtype: str) -> Mapping[str, Any]:
    from . import tiles

    L = tiles.lanes(dtype)
    return {
        "number": np.dtype(dtype).itemsize,
        "L": L,
        "panel": 2 * L,
        "room": capacity(dtype) + SLACK,
        "laid": DEPTH * 2 * L + SLACK,
    }


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
    as_it_is: int, asked: Address,
    tid, threads, *, number: Constant, L: Constant, panel: Constant, room: Constant,
    laid: Constant,
):  # fmt: skip
    """Y = W · windows(X) + b; the threads share parts of the images and of the outputs.

    ``w_group`` to ``w_step`` are the numbers from one group, tile of rows, row and term of the
    weights to the next. ``as_it_is`` says that the windows are the pixels of the image in order.
    Where there is an int64 at ``asked`` that is 0, nothing is computed.
    """
    if asked != 0 and pointer(asked, np.int64)[0] == 0:
        return
    like = KIND(0.0)
    space, space_of_panel = address_of(stack(room, KIND)), address_of(stack(laid, KIND))
    offsets = stack(256, np.int64)
    starts, goals, lengths = stack(64, np.int64), stack(64, np.int64), stack(64, np.int64)
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
            find_terms(offsets, l0, terms, kernel, stride, dilation, high, wide, number)
            for n in range(n0, min(n0 + part_images, images)):
                g = n % groups
                image = X + n * channels * pixels * number
                if not as_it_is:
                    lay_rows(
                        like, pointer(image, KIND), pointer(space, KIND), l0 // taps,
                        (l0 + terms - 1) // taps + 1, size, kernel, stride, dilation,
                        z * stride[0] - before[0], top * stride[1] - before[1],
                        column * stride[2] - before[2], high, wide,
                    )  # fmt: skip
                a = W + (g * w_group + o0 // ROWS * w_tile + l0 * w_step) * number
                base = Y + (n * outputs + o0) * all_places * number
                base += ((z * count[1] + top) * count[2] + column) * number
                for p in range(0, rows * columns, panel):
                    width = min(panel, rows * columns - p)
                    if as_it_is:
                        source = image + (l0 * pixels + column + p) * number
                        copy_rows(
                            2, like, terms, source, pixels * number, width, space_of_panel,
                            panel * number,
                        )  # fmt: skip
                    else:
                        pieces = find_pieces(
                            starts, goals, lengths, p, width, columns, stride[1] * wide, number
                        )
                        pack_terms(
                            like, L, space, offsets, terms, starts, goals, lengths, pieces,
                            space_of_panel, panel * number, number,
                        )  # fmt: skip
                    c = base + p * number
                    if given(b) and l0 == 0:
                        for o in range(some):
                            out, value = (
                                pointer(c + o * all_places * number, KIND),
                                b[g * outputs + o0 + o],
                            )
                            for q in range(width):
                                out[q] = value
                    pass_panel(
                        like, L, some, l0 + (1 if given(b) else 0), terms, a, w_tile * number,
                        w_row * number, w_step * number, space_of_panel, panel * number, c,
                        all_places * number, width, space_of_panel, 0, 0, 0, 0,
                    )  # fmt: skip


@kernel(
    cost=lambda groups, rows, inputs, kernel0, kernel1, kernel2: (
        0.7 * groups * rows * inputs * kernel0 * kernel1 * kernel2
    )
)
def lay_weights(
    W: Address, out: Address, groups: int, rows: int, inputs: int, kernel: tuple[int, int, int],
    start: int, group_stride: int, row_stride: int, input_stride: int,
    kernel_strides: tuple[int, int, int], asked: Address,
    tid, threads,
):  # fmt: skip
    """Lay out weights as tiles of rows: for each term the numbers of ROWS rows end to end.

    A number of W stands ``start`` behind its first one, and the strides behind that. Where there is
    an int64 at ``asked`` that is 0, nothing is done.
    """
    if asked != 0 and pointer(asked, np.int64)[0] == 0:
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


def _three(values: Any, fill: int) -> Three:
    made = (fill,) * (3 - len(values)) + tuple(values)
    return made[0], made[1], made[2]


def windows_of(shape: Any, count: Any, kernel_sizes: Any, at: Geometry, groups: int) -> Windows:
    """Return where the windows of an input stand that a kernel has at so many places."""
    n, c, *size = shape
    before = [p for p, _ in at.padding]
    return Windows(
        n * groups, groups, c // groups, _three(size, 1), _three(count, 1),
        _three(kernel_sizes, 1), _three(at.stride, 1), _three(at.dilation, 1), _three(before, 0),
    )  # fmt: skip


def _flattened(w: Windows) -> Windows | None:
    """Return windows that are the pixels of the image in order as those of one row, else None."""
    plain = w.kernel == (1, 1, 1) == w.stride and w.before == (0, 0, 0) and w.size == w.count
    if not plain:
        return None
    row: Three = (1, 1, w.places)
    return Windows(
        w.images, w.groups, w.channels, row, row, w.kernel, w.stride, w.dilation, w.before
    )


Strides = tuple[int, int, int, int, Three]
"""Where a number of the weights stands: start, from group, row and input to the next, of pixels."""


def _emit_tiles(
    builder: Builder, w: Windows, X: Any, W: Any, b: Any, Y: Any, outputs: int, strides: Strides
) -> None:
    """Emit Y = W · windows(X) + b."""
    from .tiles import ROWS as rows

    if by_rows(w, outputs):
        emit_rows(builder, w, X, W, b, Y, outputs, strides)
        return
    name = dtype_name(X.dtype)
    flat = _flattened(w)
    w = flat or w
    p = fitting(w, X.dtype)
    assert p is not None
    start, group, row, inner, taps = strides
    asked = emit_winograd(builder, w, X, W, b, Y, outputs, strides) if pays(w, outputs) else None
    k = w.kernel
    in_order = start == 0 and inner == w.taps and taps[2] == 1 and taps[1] == k[2]
    in_order = in_order and taps[0] == k[1] * k[2]
    if in_order and (asked is not None or w.images // w.groups * w.places < PACKED_FROM):
        packed, w_strides = W, (group, rows * row, row, 1)
    else:
        tiles = -(-outputs // rows)
        packed = builder.empty((w.groups * tiles * w.terms * rows,), X.dtype)
        w_strides = (tiles * w.terms * rows, w.terms * rows, 1, rows)
        lay_weights.emit(
            builder, name, W=W, out=packed, groups=w.groups, rows=outputs, inputs=w.channels,
            kernel=w.kernel, start=start, group_stride=group, row_stride=row, input_stride=inner,
            kernel_strides=taps, asked=asked,
        )  # fmt: skip
    images, part_outputs = 1, outputs
    parts = w.images * w.count[0] * -(-w.count[1] // p.rows) * -(-w.count[2] // p.columns)
    if p.rows * p.columns == w.places and w.groups == 1:
        images = max(1, min(PIXELS // w.places, w.images // FEW))
    while parts * -(-outputs // part_outputs) < FEW and part_outputs > 4 * rows:
        part_outputs = -(-part_outputs // (2 * rows)) * rows
    convolution_tiles.emit(
        builder, name, X=X, W=packed, b=b, Y=Y, outputs=outputs, **w.arguments(),
        w_group=w_strides[0], w_tile=w_strides[1], w_row=w_strides[2], w_step=w_strides[3],
        part_images=images, part_rows=p.rows, part_columns=p.columns, part_outputs=part_outputs,
        depth=p.depth, as_it_is=flat is not None, asked=asked,
    )  # fmt: skip


def _kernel_strides(kernel: Three) -> Three:
    return kernel[1] * kernel[2], kernel[2], 1


def emit_convolution(
    builder: Builder, X: Any, W: Any, b: Any, Y: Any, at: Geometry, groups: int
) -> None:
    """Emit Y = the convolution of X with W, and b."""
    w = windows_of(X.shape, Y.shape[2:], W.shape[2:], at, groups)
    outputs = W.shape[0] // groups
    strides = (0, outputs * w.terms, w.terms, w.taps, _kernel_strides(w.kernel))
    _emit_tiles(builder, w, X, W, b, Y, outputs, strides)


def _phase(a: int, n: int, count: int, k: int, s: int, d: int, p: int) -> tuple[int, ...] | None:
    """Return what pixels a, a + s, ... of a spread-out axis of size n are: one of stride 1.

    Pixel a + s m is the sum of W[first + step t] Y[m + e - t apart] over t: (how many pixels there
    are, how many t, first, step, apart, zeros before). None where no pixel of the kernel is there.
    """
    g = math.gcd(d, s)
    step, apart = s // g, d // g
    first = next((one for one in range(min(step, k)) if (a + p - d * one) % s == 0), None)
    if first is None:
        return None
    taps = (k - 1 - first) // step + 1
    e = (a + p - d * first) // s
    return -(-(n - a) // s), taps, first, step, apart, (taps - 1) * apart - e


def emit_spread(
    builder: Builder, Y: Any, W: Any, b: Any, X: Any, at: Geometry, groups: int
) -> None:
    """Emit X = the transposed convolution of Y with W, and b."""
    size, kernel_sizes = _three(X.shape[2:], 1), _three(W.shape[2:], 1)
    stride, dilation = _three(at.stride, 1), _three(at.dilation, 1)
    before = _three([p for p, _ in at.padding], 0)
    count = _three(Y.shape[2:], 1)
    inputs, outputs = W.shape[0] // groups, W.shape[1]
    own = _kernel_strides(kernel_sizes)
    taps = math.prod(kernel_sizes)
    whole = stride == (1, 1, 1)
    image = X.reshape(*X.shape[:2], *size)
    for phases in itertools.product(*map(range, stride)):
        found = [
            _phase(*one)
            for one in zip(phases, size, count, kernel_sizes, stride, dilation, before, strict=True)
        ]
        target = image[(..., *[slice(a, None, s) for a, s in zip(phases, stride, strict=True)])]
        if not target.size:
            continue
        made = [one for one in found if one is not None]
        if len(made) < 3:
            copy(builder, 0.0 if b is None else b.reshape(-1, 1, 1, 1), target)
            continue
        many, k, first, step, apart, zeros = zip(*made, strict=True)
        w = Windows(
            Y.shape[0] * groups, groups, inputs, count, _three(many, 1), _three(k, 1), (1, 1, 1),
            _three(apart, 1), _three(zeros, 0),
        )  # fmt: skip
        start = sum((f + s * (n - 1)) * o for f, s, n, o in zip(first, step, k, own, strict=True))
        turned = [-s * o for s, o in zip(step, own, strict=True)]
        strides = (
            start, inputs * outputs * taps, taps, outputs * taps, _three(turned, 1),
        )  # fmt: skip
        goal = X if whole else builder.empty((*X.shape[:2], *many), X.dtype)
        _emit_tiles(builder, w, Y, W, b, goal, outputs, strides)
        if not whole:
            copy(builder, goal, target)


def _geometry(options: Options) -> Geometry:
    return Geometry(tuple(options["stride"]), tuple(options["padding"]), tuple(options["dilation"]))


def _convolution(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    X, W = inputs[0], inputs[1]
    b = inputs[2] if len(inputs) > 2 else None
    groups = options["groups"]
    at = exact(X.shape[2:], W.shape[2:], _geometry(options))
    count = places("convolution", X.shape[2:], W.shape[2:], at)
    Y = builder.output(0, (X.shape[0], W.shape[0], *count), X.dtype)
    emit_convolution(builder, X, W, b, Y, at, groups)
    return (Y,), ConvolutionSaved(X, W, *at, groups)


def _convolution_backward(
    builder: Builder, inputs: Inputs, options: Options, needs: Needs
) -> Lowered:
    dY, X, W, stride, padding, dilation, groups = inputs
    at = Geometry(stride, padding, dilation)
    dX = dW = db = None
    if needs[2]:
        db = builder.output(2, (W.shape[0],), W.dtype)
        sum_axes(builder, dY, (0, *range(2, dY.ndim)), db, 1.0)
    if needs[1]:
        dW = builder.output(1, W.shape, W.dtype)
        w = windows_of(X.shape, dY.shape[2:], W.shape[2:], at, groups)
        emit_weights(builder, w, X, dY, dW)
    if needs[0]:
        dX = builder.output(0, X.shape, X.dtype)
        emit_spread(builder, dY, W, None, dX, at, groups)
    return (dX, dW, db), None


def _transpose(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    X, W = inputs[0], inputs[1]
    b = inputs[2] if len(inputs) > 2 else None
    at, groups = _geometry(options), options["groups"]
    size = reached(X.shape[2:], W.shape[2:], at)
    Y = builder.output(0, (X.shape[0], W.shape[1] * groups, *size), X.dtype)
    emit_spread(builder, X, W, b, Y, at, groups)
    return (Y,), ConvolutionSaved(X, W, *at, groups)


def _transpose_backward(
    builder: Builder, inputs: Inputs, options: Options, needs: Needs
) -> Lowered:
    dY, X, W, stride, padding, dilation, groups = inputs
    at = Geometry(stride, padding, dilation)
    dX = dW = db = None
    if needs[2]:
        db = builder.output(2, (dY.shape[1],), W.dtype)
        sum_axes(builder, dY, (0, *range(2, dY.ndim)), db, 1.0)
    if needs[1]:
        dW = builder.output(1, W.shape, W.dtype)
        w = windows_of(dY.shape, X.shape[2:], W.shape[2:], at, groups)
        emit_weights(builder, w, dY, X, dW)
    if needs[0]:
        dX = builder.output(0, X.shape, X.dtype)
        emit_convolution(builder, dY, W, None, dX, at, groups)
    return (dX, dW, db), None


def _weight(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    X, D = inputs
    at, groups = _geometry(options), options["groups"]
    pixels = kernel_size(D.shape[2:], X.shape[2:], at)
    Y = builder.output(0, (D.shape[1], X.shape[1] // groups, *pixels), X.dtype)
    emit_weights(builder, windows_of(X.shape, D.shape[2:], pixels, at, groups), X, D, Y)
    return (Y,), ConvolutionWeightSaved(X, D, *at, groups)


def _weight_backward(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    dY, X, D, stride, padding, dilation, groups = inputs
    at = Geometry(stride, padding, dilation)
    dX = dD = None
    if needs[0]:
        dX = builder.output(0, X.shape, X.dtype)
        emit_spread(builder, D, dY, None, dX, at, groups)
    if needs[1]:
        dD = builder.output(1, D.shape, D.dtype)
        emit_convolution(builder, X, dY, None, dD, at, groups)
    return (dX, dD), None


def _fit(w: Windows, dtype: Any) -> bool:
    return fitting(_flattened(w) or w, dtype) is not None


def _check_sizes(X: Any, W: Any, Y: Any, at: Geometry, groups: int, dtype: Any) -> str | None:
    """Say whether windows, by the shapes of all three, fit into a thread's space both ways."""
    if not 3 <= len(X) <= 5:
        return "it knows one to three axes"
    w = windows_of(X, Y[2:], W[2:], at, groups)
    one: Three = (1, 1, 1)
    back = Windows(
        w.images, groups, Y[1] // groups, w.count, w.size, w.kernel, one, w.dilation, one
    )
    if not (_fit(w, dtype) and _fit(back, dtype) and weights_fit(w, dtype)):
        return "a few windows are larger than the space of a thread"
    return None


def _check(transposed: bool) -> Any:
    def check(inputs: Inputs, options: Options) -> str | None:
        X, W = inputs[0], inputs[1]
        b = inputs[2] if len(inputs) > 2 else None
        groups = options["groups"]
        if not (isinstance(X, np.ndarray) and isinstance(W, np.ndarray)) or X.ndim != W.ndim:
            return "it needs images and weights of as many axes"
        if X.ndim < 3 or groups < 1 or W.shape[0] % groups:
            return "the groups do not fit"
        own, other = W.shape[0], W.shape[1] * groups
        channels, outputs = (own, other) if transposed else (other, own)
        if X.shape[1] != channels or (b is not None and b.shape != (outputs,)):
            return "the channels do not fit"  # the reference says what is wrong, and where
        at = _geometry(options)
        try:
            if transposed:
                size = reached(X.shape[2:], W.shape[2:], at)
                if places("", size, W.shape[2:], at) != X.shape[2:]:
                    return "the places do not fit"
                return _check_sizes(
                    (X.shape[0], outputs, *size), W.shape, X.shape, at, groups, X.dtype
                )
            count = places("", X.shape[2:], W.shape[2:], at)
        except NNScratchError as error:
            return str(error)
        return _check_sizes(X.shape, W.shape, (X.shape[0], outputs, *count), at, groups, X.dtype)

    return check


def _check_backward(transposed: bool) -> Any:
    def check(inputs: Inputs, options: Options) -> str | None:
        dY, X, W, stride, padding, dilation, groups = inputs
        if not (isinstance(dY, np.ndarray) and isinstance(X, np.ndarray)):
            return "it needs arrays"
        at = Geometry(stride, padding, dilation)
        image, shape = (dY, X) if transposed else (X, dY)
        return _check_sizes(image.shape, W.shape, shape.shape, at, groups, X.dtype)

    return check


def _check_weight(inputs: Inputs, options: Options) -> str | None:
    X, D = inputs
    at, groups = _geometry(options), options["groups"]
    if X.ndim != D.ndim or X.shape[0] != D.shape[0] or X.ndim < 3:
        return "the axes do not fit"
    pixels = kernel_size(D.shape[2:], X.shape[2:], at)
    if min(pixels) < 1 or X.shape[1] % groups or D.shape[1] % groups:
        return "the sizes do not fit"
    if reached(D.shape[2:], pixels, at) != X.shape[2:]:
        return "the places do not fit"
    return _check_sizes(X.shape, (0, 0, *pixels), D.shape, at, groups, X.dtype)


def _check_weight_backward(inputs: Inputs, options: Options) -> str | None:
    dY, X, D, stride, padding, dilation, groups = inputs
    at = Geometry(stride, padding, dilation)
    return _check_sizes(X.shape, dY.shape, D.shape, at, groups, X.dtype)


CONVOLUTION_KERNELS = {
    "convolution": CpuKernel(
        {"forward": _convolution, "backward": _convolution_backward},
        {"forward": _check(False), "backward": _check_backward(False)},
        passes=16,
    ),
    "convolution_transpose": CpuKernel(
        {"forward": _transpose, "backward": _transpose_backward},
        {"forward": _check(True), "backward": _check_backward(True)},
        passes=16,
    ),
    "convolution_weight": CpuKernel(
        {"forward": _weight, "backward": _weight_backward},
        {"forward": _check_weight, "backward": _check_weight_backward},
        passes=16,
    ),
}
