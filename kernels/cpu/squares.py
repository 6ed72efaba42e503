"""Depthwise convolutions of 3 x 3 pixels, read from the images where they lie.

A register holds neighbouring places of a row, and some rows of places are computed together: each
row of the image is then read once for up to three of them. What is outside of the image no register
loads. So nothing is laid out, which takes several times as long as nine multiplications.
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
    address_of,
    given,
    part,
    pointer,
    stack,
    weigh_squares,
)
from .windows import Windows

LEAST_BYTES = 32
"""Bytes of a register from which processors load a part of one as quickly as all of it."""


def _of_registers(dtype: str) -> Mapping[str, Any]:
    from . import tiles

    L = tiles.lanes(dtype)
    return {"number": np.dtype(dtype).itemsize, "L": L, "room": 2 * L + 2}


@helper
def weigh_column(
    like, step, rows, value, w, x, x_row, top, high, left, wide, zeros, y, y_row, width
):  # fmt: skip
    """Compute one register of all rows of places, some of which are not there."""
    whole = rows // 4
    top_of_rest, rest = top + 4 * step * whole, y + 4 * whole * y_row
    if step == 1:
        weigh_squares(
            4, 1, like, whole, value, w, x, x_row, top, high, left, wide, zeros, y, y_row, width
        )  # fmt: skip
        weigh_squares(
            1, 1, like, rows % 4, value, w, x, x_row, top_of_rest, high, left, wide, zeros, rest,
            y_row, width,
        )  # fmt: skip
    else:
        weigh_squares(
            4, 2, like, whole, value, w, x, x_row, top, high, left, wide, zeros, y, y_row, width
        )  # fmt: skip
        weigh_squares(
            1, 2, like, rows % 4, value, w, x, x_row, top_of_rest, high, left, wide, zeros, rest,
            y_row, width,
        )  # fmt: skip


@kernel(
    cost=lambda images, outputs, count1, count2: (
        300.0 + images * outputs * (10 + count1 * (3 + count2 * 0.2))
    ),
    constants=_of_registers,
)
def convolution_squares(
    X: Address, W: Address, b: OptionalFloats, Y: Address, images: int, groups: int, outputs: int,
    size: tuple[int, int, int], count: tuple[int, int, int], stride: tuple[int, int, int],
    before: tuple[int, int, int],
    start: int, group_stride: int, row_stride: int, kernel_strides: tuple[int, int, int],
    tid, threads, *, number: Constant, L: Constant, room: Constant,
):  # fmt: skip
    """Y = W · windows(X) + b for images of one channel; the threads share the images.

    A number of W stands ``start`` behind its first one, and the strides behind that.
    """
    like = KIND(0.0)
    weights, nothing = stack(9, KIND), stack(room, KIND)
    for i in range(room):
        nothing[i] = like
    w, zeros = address_of(weights), address_of(nothing)
    known, (high, wide) = pointer(W, KIND), size[1:]
    x_row, y_row = wide * number, count[2] * number
    first, last = part(images, tid, threads, 1)
    g = first % groups
    for n in range(first, last):
        x = X + n * high * x_row
        for o in range(outputs):
            at = start + g * group_stride + o * row_stride
            for i in range(3):
                for j in range(3):
                    weights[3 * i + j] = known[at + i * kernel_strides[1] + j * kernel_strides[2]]
            value = like
            if given(b):
                value = b[g * outputs + o]
            y = Y + (n * outputs + o) * count[1] * y_row
            for column in range(0, count[2], L):
                left, width = column * stride[2] - before[2], count[2] - column
                weigh_column(
                    like, stride[1], count[1], value, w, x, x_row, -before[1], high, left, wide,
                    zeros, y + column * number, y_row, width,
                )  # fmt: skip
        g = g + 1 if g + 1 < groups else 0


def squares(w: Windows) -> bool:
    """Say by the sizes whether a convolution goes this way."""
    from .tiles import REGISTER

    flat = w.size[0] == w.count[0] == 1 and w.before[0] == 0 and w.channels == 1
    near = w.kernel == (1, 3, 3) and w.dilation[1:] == (1, 1)
    steps = w.stride[1:] in ((1, 1), (2, 2))
    return flat and near and steps and REGISTER >= LEAST_BYTES


def emit_squares(
    builder: Builder, w: Windows, X: Any, W: Any, b: Any, Y: Any, outputs: int, strides: Any
) -> None:
    """Emit Y = W · windows(X) + b."""
    start, group, row, _, taps = strides
    known = w.arguments()
    for name in ("channels", "kernel", "dilation"):
        del known[name]
    convolution_squares.emit(
        builder, dtype_name(X.dtype), X=X, W=W, b=b, Y=Y, outputs=outputs, **known, start=start,
        group_stride=group, row_stride=row, kernel_strides=taps,
    )  # fmt: skip
