"""Convolutions to a few places: each output is a sum along the weights as they lie.

A tile of a product has as many columns as two vector registers have numbers, and where there are
fewer places than that most of them are empty. Here the windows are laid out as rows, and each meets
the rows of the weights, which lie as long: Y[o, p] = Σ_l W[o, l] windows(X)[p, l] + b[o].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nnscratch.array.dtypes import dtype_name

from .implementation import Builder
from .runtime.declaration import Address, Constant, OptionalFloats, kernel
from .runtime.language import KIND, address_of, dots, given, part, pointer, stack
from .windows import Windows, capacity

MOST_PLACES = 8
"""Places in all images up to which sums along the weights are quicker than tiles of places."""
AT_ONCE = 8
"""Outputs whose sums one row of a window meets together."""


def _of_space(dtype: str) -> Mapping[str, Any]:
    return {"number": np.dtype(dtype).itemsize, "room": capacity(dtype)}


@kernel(
    cost=lambda images, channels, outputs, count0, count1, count2, kernel0, kernel1, kernel2: (
        300.0
        + images * channels * outputs * count0 * count1 * count2 * kernel0 * kernel1 * kernel2 / 15
    ),
    constants=_of_space,
)
def convolution_few(
    X: Address, W: Address, b: OptionalFloats, Y: Address,
    images: int, groups: int, channels: int, outputs: int,
    size: tuple[int, int, int], count: tuple[int, int, int], kernel: tuple[int, int, int],
    stride: tuple[int, int, int], dilation: tuple[int, int, int], before: tuple[int, int, int],
    w_group: int, tid, threads, *, number: Constant, room: Constant,
):  # fmt: skip
    """Y = W · windows(X) + b; the threads share the outputs, and each lays out all windows.

    ``w_group`` is the numbers from the weights of one group to the next.
    """
    like = KIND(0.0)
    space, sums = stack(room, KIND), stack(AT_ONCE, KIND)
    pixels = size[0] * size[1] * size[2]
    places = count[0] * count[1] * count[2]
    terms = channels * kernel[0] * kernel[1] * kernel[2]
    first, last = part(outputs, tid, threads, AT_ONCE)
    if first == last:
        return
    for n in range(images):
        g = n % groups
        source = pointer(X + n * channels * pixels * number, KIND)
        at = 0
        for p in range(places):
            z = p // (count[1] * count[2]) * stride[0] - before[0]
            y = p // count[2] % count[1] * stride[1] - before[1]
            x = p % count[2] * stride[2] - before[2]
            for c in range(channels):
                for i in range(kernel[0]):
                    plane = z + i * dilation[0]
                    for j in range(kernel[1]):
                        row = y + j * dilation[1]
                        inside = 0 <= plane < size[0] and 0 <= row < size[1]
                        line = ((c * size[0] + plane) * size[1] + row) * size[2]
                        for k in range(kernel[2]):
                            column = x + k * dilation[2]
                            value = like
                            if inside and 0 <= column < size[2]:
                                value = source[line + column]
                            space[at] = value
                            at += 1
        goal = pointer(Y + n * outputs * places * number, KIND)
        weights = W + g * w_group * number
        for o in range(first, last, AT_ONCE):
            some = min(AT_ONCE, last - o)
            for p in range(places):
                window = address_of(space) + p * terms * number
                here, out = weights + o * terms * number, address_of(sums)
                if some == AT_ONCE:
                    dots(8, 1, like, terms, window, 0, here, terms * number, out, 0)
                else:
                    for r in range(some):
                        row, sum_r = here + r * terms * number, out + r * number
                        dots(1, 1, like, terms, window, 0, row, 0, sum_r, 0)
                for r in range(some):
                    value = sums[r]
                    if given(b):
                        value += b[g * outputs + o + r]
                    goal[(o + r) * places + p] = value


def few(w: Windows, dtype: Any) -> bool:
    """Say by the sizes whether a convolution goes this way, and fits into a thread's space."""
    many = w.images // w.groups * w.places
    return 0 < many <= MOST_PLACES and w.places * w.terms <= capacity(dtype)


def emit_few(
    builder: Builder, w: Windows, X: Any, W: Any, b: Any, Y: Any, outputs: int, group: int
) -> None:
    """Emit Y = W · windows(X) + b, with weights whose rows lie end to end."""
    convolution_few.emit(
        builder, dtype_name(X.dtype), X=X, W=W, b=b, Y=Y, outputs=outputs, **w.arguments(),
        w_group=group,
    )  # fmt: skip
