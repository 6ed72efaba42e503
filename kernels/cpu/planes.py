"""Convolutions of single channels that are laid out as a whole, their rows end to end.

Of a depthwise convolution each output sums over one channel. Where the image, with the zeros around
it, fits into a thread's space, the places of the kernel are one long row, in which a pixel of the
kernel is a shift: what lies between the rows of places is computed with them and left there. With a
stride every place is computed and some are taken; the gradient of the input then is a convolution
of D with zeros between its numbers. That is more work than is needed, but in whole registers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from nnscratch.array.dtypes import dtype_name

from .implementation import Builder
from .reductions import sum_axes
from .runtime.declaration import Address, Constant, OptionalFloats, helper, kernel
from .runtime.language import (
    KIND,
    address_of,
    copy_rows,
    dot_rows,
    given,
    part,
    pointer,
    put_rows,
    stack,
    weigh,
)
from .windows import DEPTH, SLACK, Three, Windows

PLANE = 8192
"""Numbers of an image that is laid out as a whole, with the zeros around it."""


def _of_registers(dtype: str) -> Mapping[str, Any]:
    from . import tiles

    return {
        "number": np.dtype(dtype).itemsize,
        "L": tiles.lanes(dtype),
        "room": PLANE + SLACK,
    }


def plane_of(w: Windows, spread: Three = (1, 1, 1)) -> tuple[int, int] | None:
    """Return how many rows of how many numbers an image takes, or None if it is no single plane.

    Args:
        w: where the windows stand.
        spread: from pixel to pixel of the image, between which there are zeros.
    """
    flat = w.size[0] == w.count[0] == w.kernel[0] == 1 and w.before[0] == 0
    if not flat or w.channels > 1 or min(w.before) < 0 or w.taps > DEPTH:
        return None
    high, wide = (
        max(
            (w.count[k] - 1) * w.stride[k] + (w.kernel[k] - 1) * w.dilation[k],
            w.before[k] + (w.size[k] - 1) * spread[k],
        )
        + 1
        for k in (1, 2)
    )
    return (high, wide) if high * wide <= PLANE else None


@helper
def lay_plane(kind, number, L, source, rows, columns, out, down, across):
    """Copy an image to numbers ``across`` apart, its rows ``down`` numbers apart; zeros stay."""
    like = kind(0.0)
    if across == 1 and columns <= L:
        copy_rows(1, like, rows, source, columns * number, columns, out, down * number)
    elif across == 1 and columns <= 2 * L:
        copy_rows(2, like, rows, source, columns * number, columns, out, down * number)
    else:
        numbers, goal = pointer(source, kind), pointer(out, kind)
        for i in range(rows):
            for j in range(columns):
                goal[i * down + j * across] = numbers[i * columns + j]


@helper
def put_plane(kind, number, L, source, rows, columns, down, across, out):
    """Copy numbers ``across`` apart to an image, from rows that are ``down`` numbers apart."""
    like = kind(0.0)
    if across == 1 and columns <= L:
        put_rows(1, like, rows, source, down * number, columns, out, columns * number)
    elif across == 1 and columns <= 2 * L:
        put_rows(2, like, rows, source, down * number, columns, out, columns * number)
    else:
        numbers, goal = pointer(source, kind), pointer(out, kind)
        for i in range(rows):
            for j in range(columns):
                goal[i * columns + j] = numbers[i * down + j * across]


@helper
def weigh_run(like, number, L, value, terms, weights, offsets, x, y, length):
    """Compute ``length`` places, and what registers hold behind them."""
    w, table = address_of(weights), address_of(offsets)
    for q in range(0, length, 4 * L):
        here, there, width = x + q * number, y + q * number, length - q
        if width > 2 * L:
            weigh(4, False, like, 0, value, terms, w, table, here, there, width)
        elif width > L:
            weigh(2, False, like, 0, value, terms, w, table, here, there, width)
        else:
            weigh(1, False, like, 0, value, terms, w, table, here, there, width)


@helper
def spread_exactly(value, source, weights, size, count, kernel, dilation, before, spread, y):
    """Sum what meets a number of the image, without the zeros between them."""
    for place in range(count[1] * count[2]):
        total = value
        for k in range(kernel[1] * kernel[2]):
            r = place // count[2] + k // kernel[2] * dilation[1] - before[1]
            c = place % count[2] + k % kernel[2] * dilation[2] - before[2]
            inside = 0 <= r < size[1] * spread[1] and 0 <= c < size[2] * spread[2]
            if inside and r % spread[1] == 0 and c % spread[2] == 0:
                total += weights[k] * source[r // spread[1] * size[2] + c // spread[2]]
        y[place] = total


@kernel(
    cost=lambda images, outputs, count1, count2, stride1, stride2, kernel1, kernel2: (
        300.0
        + images * outputs * count1 * stride1 * count2 * stride2 * (5 + kernel1 * kernel2) / 15
    ),
    constants=_of_registers,
)
def convolution_planes(
    X: Address, W: Address, b: OptionalFloats, Y: Address, images: int, groups: int, outputs: int,
    size: tuple[int, int, int], count: tuple[int, int, int], kernel: tuple[int, int, int],
    stride: tuple[int, int, int], dilation: tuple[int, int, int], before: tuple[int, int, int],
    spread: tuple[int, int, int], high: int, wide: int,
    start: int, group_stride: int, row_stride: int, kernel_strides: tuple[int, int, int],
    tid, threads, *, number: Constant, L: Constant, room: Constant,
):  # fmt: skip
    """Y = W · windows(X) + b for images of one channel; the threads share the images.

    X has zeros between its numbers, which are ``spread`` apart. A number of W stands ``start``
    behind its first one, and the strides behind that.
    """
    like = KIND(0.0)
    space, laid = stack(room, KIND), address_of(stack(room, KIND))
    offsets, weights = stack(DEPTH, np.int64), stack(DEPTH, KIND)
    known, pixels, places = pointer(W, KIND), size[1] * size[2], count[1] * count[2]
    taps = kernel[1] * kernel[2]
    for i in range(high * wide + SLACK):
        space[i] = like
    for k in range(taps):
        i, j = k // kernel[2] * dilation[1], k % kernel[2] * dilation[2]
        offsets[k] = (i * wide + j) * number
    inside = address_of(space) + (before[1] * wide + before[2]) * number
    across = (count[2] - 1) * stride[2] + 1
    first, last = part(images, tid, threads, 1)
    g = first % groups
    for n in range(first, last):
        lay_plane(
            KIND, number, L, X + n * pixels * number, size[1], size[2], inside, spread[1] * wide,
            spread[2],
        )  # fmt: skip
        for o in range(outputs):
            at, k, bad = start + g * group_stride + o * row_stride, 0, like
            for i in range(kernel[1]):
                for j in range(kernel[2]):
                    weights[k] = known[at + i * kernel_strides[1] + j * kernel_strides[2]]
                    bad += weights[k] * like
                    k += 1
            value = like
            if given(b):
                value = b[g * outputs + o]
            y = Y + (n * outputs + o) * places * number
            if bad != like and (spread[1] > 1 or spread[2] > 1):
                spread_exactly(
                    value, pointer(X + n * pixels * number, KIND), weights, size, count, kernel,
                    dilation, before, spread, pointer(y, KIND),
                )  # fmt: skip
            elif stride[1] == 1:
                length = (count[1] - 1) * wide + across
                weigh_run(
                    like, number, L, value, taps, weights, offsets, address_of(space), laid, length
                )
                put_plane(KIND, number, L, laid, count[1], count[2], wide, stride[2], y)
            else:
                for row in range(count[1]):
                    x = address_of(space) + row * stride[1] * wide * number
                    to = laid + row * wide * number
                    weigh_run(like, number, L, value, taps, weights, offsets, x, to, across)
                put_plane(KIND, number, L, laid, count[1], count[2], wide, stride[2], y)
        g = g + 1 if g + 1 < groups else 0


@helper
def weights_exactly(kind, X, D, size, count, kernel, stride, dilation, before, out):
    """Sum D times the windows, without the zeros between the numbers of D."""
    for k in range(kernel[1] * kernel[2]):
        total = kind(0.0)
        for place in range(count[1] * count[2]):
            r = place // count[2] * stride[1] + k // kernel[2] * dilation[1] - before[1]
            c = place % count[2] * stride[2] + k % kernel[2] * dilation[2] - before[2]
            value = kind(0.0)
            if 0 <= r < size[1] and 0 <= c < size[2]:
                value = X[r * size[2] + c]
            total += D[place] * value
        out[k] = total


@kernel(
    cost=lambda images, outputs, count1, count2, stride2, kernel1, kernel2: (
        300.0 + images * outputs * count1 * count2 * stride2 * (5 + kernel1 * kernel2) / 12
    ),
    constants=_of_registers,
)
def weights_of_planes(
    X: Address, D: Address, out: Address, images: int, outputs: int,
    size: tuple[int, int, int], count: tuple[int, int, int], kernel: tuple[int, int, int],
    stride: tuple[int, int, int], dilation: tuple[int, int, int], before: tuple[int, int, int],
    high: int, wide: int,
    tid, threads, *, number: Constant, L: Constant, room: Constant,
):  # fmt: skip
    """For each image of one channel D times its windows: out (images, outputs, kernel).

    The threads share the images. D is laid out like the image, with zeros between its numbers and
    its rows, so that a sum goes over whole registers; where those zeros meet what is not finite, it
    is made again without them.
    """
    like = KIND(0.0)
    space, laid = stack(room, KIND), stack(room, KIND)
    pixels, places, taps = size[1] * size[2], count[1] * count[2], kernel[1] * kernel[2]
    for i in range(high * wide + SLACK):
        space[i] = laid[i] = like
    inside = address_of(space) + (before[1] * wide + before[2]) * number
    rows, across = 1, (count[1] - 1) * wide + (count[2] - 1) * stride[2] + 1
    if stride[1] > 1:
        rows, across = count[1], (count[2] - 1) * stride[2] + 1
    first, last = part(images, tid, threads, 1)
    for n in range(first, last):
        image = X + n * pixels * number
        lay_plane(KIND, number, L, image, size[1], size[2], inside, wide, 1)
        for o in range(outputs):
            d, to = D + (n * outputs + o) * places * number, out + (n * outputs + o) * taps * number
            lay_plane(KIND, number, L, d, count[1], count[2], address_of(laid), wide, stride[2])
            goal, bad = pointer(to, KIND), like
            for k in range(taps):
                goal[k] = like
            for i in range(kernel[1]):
                x = address_of(space) + i * dilation[1] * wide * number
                j = 0
                while j < kernel[2]:
                    here = x + j * dilation[2] * number
                    there = to + (i * kernel[2] + j) * number
                    if j + 3 <= kernel[2]:
                        dot_rows(
                            3, like, rows, across, address_of(laid), wide * number, here,
                            stride[1] * wide * number, dilation[2] * number, there,
                        )  # fmt: skip
                        j += 3
                    else:
                        dot_rows(
                            1, like, rows, across, address_of(laid), wide * number, here,
                            stride[1] * wide * number, 0, there,
                        )  # fmt: skip
                        j += 1
            for k in range(taps):
                bad += goal[k] * like
            if bad != like:
                weights_exactly(
                    KIND, pointer(image, KIND), pointer(d, KIND), size, count, kernel, stride,
                    dilation, before, goal,
                )  # fmt: skip


def emit_planes(
    builder: Builder, w: Windows, X: Any, W: Any, b: Any, Y: Any, outputs: int, strides: Any,
    spread: Three = (1, 1, 1),
) -> bool:  # fmt: skip
    """Emit Y = W · windows(X) + b if images are single planes; say whether they are."""
    found = plane_of(w, spread)
    if found is None:
        return False
    start, group, row, _, taps = strides
    known = w.arguments()
    del known["channels"]
    convolution_planes.emit(
        builder, dtype_name(X.dtype), X=X, W=W, b=b, Y=Y, outputs=outputs, **known, spread=spread,
        high=found[0], wide=found[1], start=start, group_stride=group, row_stride=row,
        kernel_strides=taps,
    )  # fmt: skip
    return True


def emit_weights_of_planes(builder: Builder, w: Windows, X: Any, D: Any, dW: Any) -> bool:
    """Emit dW = Σ D · windows(X)ᵀ if images are single planes; say whether they are."""
    found = plane_of(w)
    if found is None:
        return False
    known = w.arguments()
    del known["channels"], known["groups"]
    batch = w.images // w.groups
    whole = dW if batch == 1 else builder.empty((batch, math.prod(dW.shape)), dW.dtype)
    weights_of_planes.emit(
        builder, dtype_name(X.dtype), X=X, D=D, out=whole, outputs=D.shape[1] // w.groups, **known,
        high=found[0], wide=found[1],
    )  # fmt: skip
    if batch > 1:
        sum_axes(builder, whole, (0,), dW.reshape(-1), 1.0)
    return True
