"""Convolutions: forward, transposed, with places of their own; columns back to images."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from nnscratch import formulas as f
from nnscratch.errors import ShapeError
from nnscratch.interop.onnx.operators.room import checked_shape
from nnscratch.interop.onnx.operators.spans import automatic, each, halves, pairs, spans
from nnscratch.interop.onnx.operators.table import Numbers, operator
from nnscratch.tensors import Tensor, apply
from nnscratch.tensors import functions as T
from nnscratch.tensors import ops as O


def _need_kernel(where: str, W: Tensor, kernel: Sequence[int] | None) -> None:
    if kernel is not None and list(kernel) != list(W.shape[2:]):
        raise ShapeError(f"{where}: kernel_shape {list(kernel)} of weights {tuple(W.shape)}")


@operator("Conv")
def convolution(
    x: Tensor,
    W: Tensor,
    b: Tensor | None = None,
    /,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    _need_kernel("Conv", W, kernel_shape)
    found = spans("Conv", x.shape[2:], W.shape[2:], strides, pads, dilations, auto_pad)
    return apply(
        f.CONVOLUTION, x, W, b, stride=tuple([one.stride for one in found]),
        padding=tuple([one.pads for one in found]),
        dilation=tuple([one.dilation for one in found]), groups=group,
    )  # fmt: skip


@operator("ConvTranspose")
def transposed_convolution(
    x: Tensor,
    W: Tensor,
    b: Tensor | None = None,
    /,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    output_padding: Sequence[int] | None = None,
    output_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    where, dims = "ConvTranspose", x.ndim - 2
    _need_kernel(where, W, kernel_shape)
    steps = each(where, "strides", strides, dims, 1)
    apart = each(where, "dilations", dilations, dims, 1)
    more = each(where, "output_padding", output_padding, dims, 0)
    auto, given = automatic(where, auto_pad, pads), pairs(where, pads, dims)
    shape = None if output_shape is None else list(output_shape)[-dims:]
    if shape is None and auto.startswith("SAME"):
        shape = [n * s for n, s in zip(x.shape[2:], steps, strict=True)]
    padding = []
    for i in range(dims):
        before, behind = given[i]
        if shape is not None:
            reach = (W.shape[2 + i] - 1) * apart[i] + 1
            total = steps[i] * (x.shape[2 + i] - 1) + more[i] + reach - shape[i]
            # Of an odd number the larger part is before, but with SAME_UPPER.
            before, behind = halves(max(total, 0), auto if auto == "SAME_UPPER" else "SAME_LOWER")
            behind += min(total, 0)
        padding.append((before, behind - more[i]))
    sizes = [
        s * (n - 1) + d * (k - 1) + 1 - a - b
        for s, n, d, k, (a, b) in zip(steps, x.shape[2:], apart, W.shape[2:], padding, strict=True)
    ]
    checked_shape(where, (x.shape[0], W.shape[1] * group, *sizes), x.dtype.itemsize)
    return apply(
        f.CONVOLUTION_TRANSPOSE, x, W, b, stride=tuple(steps), padding=tuple(padding),
        dilation=tuple(apart), groups=group,
    )  # fmt: skip


@operator("Col2Im")
def columns_to_image(
    x: Tensor,
    image: Numbers,
    block: Numbers,
    /,
    *,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    dims = len(image)
    return apply(
        f.FOLD, x,
        size=checked_shape("Col2Im", image.tolist(), x.shape[0] * x.dtype.itemsize),
        kernel=tuple(block.tolist()),
        stride=tuple(each("Col2Im", "strides", strides, dims, 1)),
        padding=tuple(pairs("Col2Im", pads, dims)),
        dilation=tuple(each("Col2Im", "dilations", dilations, dims, 1)),
    )  # fmt: skip


@operator("DeformConv")
def deformed_convolution(
    x: Tensor,
    W: Tensor,
    offset: Tensor,
    b: Tensor | None = None,
    mask: Tensor | None = None,
    /,
    *,
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    offset_group: int = 1,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """Read each pixel of each window at a place of its own, then multiply as a convolution."""
    _need_kernel("DeformConv", W, kernel_shape)
    if x.ndim != 4:
        raise ShapeError(f"DeformConv: expected images (N, C, H, W), got shape {tuple(x.shape)}")
    rows, columns = spans("DeformConv", x.shape[2:], W.shape[2:], strides, pads, dilations, "")
    n, c, h, w = x.shape
    each_group, taps = c // offset_group, rows.kernel * columns.kernel
    places = offset.reshape(n, offset_group, taps, 2, rows.count, columns.count)
    first = [
        x.new_tensor([[a * span.stride - span.pads[0]] for a in range(span.count)]).reshape(-1)
        for span in (rows, columns)
    ]
    weights = (
        None if mask is None else mask.reshape(n, offset_group, taps, rows.count, columns.count)
    )
    planes = x.reshape(n, offset_group, each_group, h * w)
    read = []
    for tap, (i, j) in enumerate(itertools.product(range(rows.kernel), range(columns.kernel))):
        y = places[:, :, tap, 0] + first[0].reshape(-1, 1) + i * rows.dilation
        z = places[:, :, tap, 1] + first[1] + j * columns.dilation
        one = _between(planes, y, z, h, w)
        read.append(one if weights is None else one * weights[:, :, tap].unsqueeze(2))
    windows = T.stack(read, 3).reshape(n, group, c // group * taps, rows.count * columns.count)
    kernel = W.reshape(group, W.shape[0] // group, c // group * taps)
    y = T.matmul(kernel, windows).reshape(n, W.shape[0], rows.count, columns.count)
    return y if b is None else y + b.reshape(-1, 1, 1)


def _between(planes: Tensor, y: Tensor, x: Tensor, h: int, w: int) -> Tensor:
    """Return planes (N, G, C, H W) at places (N, G, H', W') between pixels; outside is 0."""
    low = [O.floor(one.detach()) for one in (y, x)]
    total: Tensor | None = None
    for down, right in itertools.product((0, 1), repeat=2):
        at = [low[0] + down, low[1] + right]
        share = [T.sub(1.0, T.abs(place - pixel)) for place, pixel in zip((y, x), at, strict=True)]
        inside = T.logical_and(
            T.logical_and(at[0] >= 0, at[0] < h), T.logical_and(at[1] >= 0, at[1] < w)
        )
        index = T.clamp(at[0], 0, h - 1).to("int64") * w + T.clamp(at[1], 0, w - 1).to("int64")
        flat = index.reshape(*index.shape[:2], 1, math.prod(index.shape[2:]))
        flat = O.broadcast_to(flat, (*flat.shape[:2], planes.shape[2], flat.shape[3]))
        values = T.gather(planes, 3, flat).reshape(*planes.shape[:3], *index.shape[2:])
        weight = (share[0] * share[1] * inside.to(planes.dtype)).unsqueeze(2)
        part = values * weight
        total = part if total is None else total + part
    return total  # type: ignore[return-value]
