"""Convolution of up to three axes and its gradients, as launches of kernels.

Groups of many channels go in tiles, those of few (depthwise ones among them) entry by entry. The
sums for the weights are cut into stripes of images and places, which are added up in order.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nnscratch.formulas.convolution import ConvolutionSaved, ConvolutionWeightSaved
from nnscratch.formulas.windows import Geometry, exact, kernel_size, places, reached

from ..convolved import convolution_call, geometry_of, weight_call
from .driver import MOST_BLOCKS, cover
from .implementation import CudaKernel, Inputs, Needs, Options, Refusal
from .sums import sum_axes
from .target import Target

Lowered = tuple[tuple[Any, ...], Any]

AXES = 3
ROWS, COLUMNS = 64, 64
LOW = 16
"""Rows of the lower tiles, for which fewer are left idle where a group has few channels."""
FEW = 4
"""Channels of a group below which it goes entry by entry."""
BLOCKS = 512
"""About how many blocks the sums for weights are divided among."""
SHORTEST = 1024
"""Terms of a stripe, at least."""
MOST_GROUPS = 65535
"""Blocks that a grid has in its second direction at most."""
LARGEST = 2**31
"""Entries of an axis that the kernels count to."""
_WINDOWS = struct.Struct("=22q")


class WindowSizes(NamedTuple):
    """Sizes of one group of channels, and where its windows stand."""

    images: int
    groups: int
    channels: int
    outputs: int
    size: tuple[int, ...]
    places: tuple[int, ...]
    kernel: tuple[int, ...]
    at: Geometry

    def packed(self) -> bytes:
        """Return it as kernels take it: of one or two axes the first ones have size 1."""
        numbers: list[int] = list(self[:4])
        for values, fill in (
            (self.size, 1), (self.places, 1), (self.kernel, 1), (self.at.stride, 1),
            (self.at.dilation, 1), (tuple([p for p, _ in self.at.padding]), 0),
        ):  # fmt: skip
            numbers += (*(fill,) * (AXES - len(values)), *values)
        return _WINDOWS.pack(*numbers)


def _windows(X: Any, W: Any, Y: Any, at: Geometry, groups: int) -> WindowSizes:
    """Return the windows by the shapes of images, weights and results."""
    return WindowSizes(X[0], groups, W[1], W[0] // groups, X[2:], Y[2:], W[2:], at)


def _launch(
    target: Target, kernel: str, arrays: Inputs, w: WindowSizes, rows: int, columns: int, size: int
) -> None:
    """Add a product of so many rows and columns for each group; the whole result has that size."""
    dtype = arrays[0].dtype
    if rows < FEW:
        arguments = (*arrays, w.packed())
        target.launch("convolution", f"{kernel}_direct", dtype, cover(size), arguments)
        return
    height, name = (LOW, "low") if rows <= LOW else (ROWS, "high")
    grid = (-(-rows // height) * -(-columns // COLUMNS), w.groups)
    target.launch("convolution", f"{kernel}_{name}", dtype, grid, (*arrays, w.packed()))


def _convolve(target: Target, X: Any, W: Any, b: Any, Y: Any, at: Geometry, groups: int) -> None:
    """Add Y = the convolution of X with W, and b."""
    w = _windows(X.shape, W.shape, Y.shape, at, groups)
    columns = w.images * math.prod(w.places)
    _launch(target, "convolve", (W, X, b, Y), w, w.outputs, columns, Y.size)


def _spread(target: Target, Y: Any, W: Any, b: Any, X: Any, at: Geometry, groups: int) -> None:
    """Add X = Y spread over the windows that it comes from, and b."""
    w = _windows(X.shape, W.shape, Y.shape, at, groups)
    columns = w.images * math.prod(w.size)
    _launch(target, "spread", (W, Y, b, X), w, w.channels, columns, X.size)


def _match(target: Target, X: Any, Y: Any, W: Any, at: Geometry, groups: int) -> None:
    """Add W = the windows of X, each times the pixel of Y that it makes."""
    w = _windows(X.shape, W.shape, Y.shape, at, groups)
    terms, columns = w.images * math.prod(w.places), w.channels * math.prod(w.kernel)
    if w.outputs < FEW:
        kernel, blocks = "weights_direct", min(W.size, MOST_BLOCKS)
        grid: tuple[int, ...] = (blocks,)
    else:
        height, name = (LOW, "low") if w.outputs <= LOW else (ROWS, "high")
        kernel = f"weights_{name}"
        grid = (-(-w.outputs // height) * -(-columns // COLUMNS), groups)
        blocks = math.prod(grid)
    stripes = max(1, min(-(-terms // SHORTEST), BLOCKS // blocks))
    stripe = -(-terms // stripes)
    stripes = -(-terms // stripe)
    partial = target.empty((stripes, W.size), np.float64)
    arguments = (Y, X, partial, w.packed(), stripe)
    target.launch("convolution", kernel, X.dtype, (*grid, stripes), arguments)
    finish = (partial, W, W.size, stripes, 1.0)
    target.launch("reductions", "axis_sums_finish", X.dtype, cover(W.size), finish)


def _convolution(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    X, W, b = (*inputs, None)[:3]
    groups = options["groups"]
    at = exact(X.shape[2:], W.shape[2:], geometry_of(options))
    count = places("convolution", X.shape[2:], W.shape[2:], at)
    Y = target.output(0, (X.shape[0], W.shape[0], *count), X.dtype)
    _convolve(target, X, W, b, Y, at, groups)
    return (Y,), ConvolutionSaved(X, W, *at, groups)


def _transpose(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    X, W, b = (*inputs, None)[:3]
    at, groups = geometry_of(options), options["groups"]
    size = reached(X.shape[2:], W.shape[2:], at)
    Y = target.output(0, (X.shape[0], W.shape[1] * groups, *size), X.dtype)
    _spread(target, X, W, b, Y, at, groups)
    return (Y,), ConvolutionSaved(X, W, *at, groups)


def _backward_of(transposed: bool) -> Any:
    def backward(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
        dY, X, W, stride, padding, dilation, groups = inputs
        at = Geometry(stride, padding, dilation)
        dX = target.output(0, X.shape, X.dtype) if needs[0] else None
        dW = target.output(1, W.shape, W.dtype) if needs[1] else None
        db = target.output(2, (dY.shape[1],), W.dtype) if needs[2] else None
        if dX is not None:
            (_convolve if transposed else _spread)(target, dY, W, None, dX, at, groups)
        if dW is not None:
            image, result = (dY, X) if transposed else (X, dY)
            _match(target, image, result, dW, at, groups)
        if db is not None:
            sum_axes(target, dY, (0, *range(2, dY.ndim)), db)
        return (dX, dW, db), None

    return backward


def _weight(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    X, D = inputs
    at, groups = geometry_of(options), options["groups"]
    pixels = kernel_size(D.shape[2:], X.shape[2:], at)
    Y = target.output(0, (D.shape[1], X.shape[1] // groups, *pixels), X.dtype)
    _match(target, X, D, Y, at, groups)
    return (Y,), ConvolutionWeightSaved(X, D, *at, groups)


def _weight_backward(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    dY, X, D, stride, padding, dilation, groups = inputs
    at = Geometry(stride, padding, dilation)
    dX = target.output(0, X.shape, X.dtype) if needs[0] else None
    dD = target.output(1, D.shape, D.dtype) if needs[1] else None
    if dX is not None:
        _spread(target, D, dY, None, dX, at, groups)
    if dD is not None:
        _convolve(target, X, dY, None, dD, at, groups)
    return (dX, dD), None


def _why_not(sizes: tuple[int, ...], axes: int, groups: int) -> str | None:
    if not 1 <= axes <= AXES:
        return "it knows one to three axes"
    if groups > MOST_GROUPS or max(sizes) >= LARGEST:
        return "there are too many groups, or an axis is too long"
    return None


def _check(transposed: bool) -> Refusal:
    def check(inputs: Inputs, options: Options) -> str | None:
        call = convolution_call(inputs, options, transposed)
        if isinstance(call, str):
            return call
        return _why_not(call.image[2:], len(call.image) - 2, call.groups)

    return check


def _check_backward(inputs: Inputs, options: Options) -> str | None:
    dY, X, groups = inputs[0], inputs[1], inputs[-1]
    return _why_not((*dY.shape[2:], *X.shape[2:]), X.ndim - 2, groups)


def _check_weight(inputs: Inputs, options: Options) -> str | None:
    call = weight_call(inputs, options)
    if isinstance(call, str):
        return call
    return _why_not(call.image[2:], len(call.image) - 2, call.groups)


def _kernel(formula: str, forward: Any, backward: Any, *checks: Callable[..., Any]) -> CudaKernel:
    return CudaKernel(
        formula,
        ("convolution", "reductions"),
        {"forward": forward, "backward": backward},
        dict(zip(("forward", "backward"), checks, strict=True)),
    )


CONVOLUTION_KERNEL = _kernel(
    "convolution", _convolution, _backward_of(False), _check(False), _check_backward
)
CONVOLUTION_TRANSPOSE_KERNEL = _kernel(
    "convolution_transpose", _transpose, _backward_of(True), _check(True), _check_backward
)
CONVOLUTION_WEIGHT_KERNEL = _kernel(
    "convolution_weight", _weight, _weight_backward, _check_weight, _check_backward
)
