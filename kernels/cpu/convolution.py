"""Convolutions and their gradients as products with windows that are laid out in the cache.

Y = W · windows(X) + b              convolution_tiles
dX = Wᵀ spread over the windows     the same with turned weights, once for each remainder of the
                                    pixels modulo the stride (sub-pixels, Shi et al. 2016),
                                    or all at once by ``winograd``
dW = dY · windows(X)ᵀ               in ``convolution_weights``
db = Σ dY                           a sum over axes
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np

from nnscratch.formulas.convolution import ConvolutionSaved, ConvolutionWeightSaved
from nnscratch.formulas.windows import Geometry, exact, kernel_size, places, reached

from ..convolved import convolution_call, geometry_of, weight_call
from .convolution_tiles import emit_tiles
from .convolution_weights import emit_weights, weights_fit
from .depthwise import FEW_OUTPUTS, ROW_PLACES
from .elementwise import copy
from .implementation import Builder, CpuKernel, Inputs, Options
from .phases import emit_phase
from .planes import emit_planes
from .reductions import sum_axes
from .windows import Three, Windows, fitting
from .winograd import emit_winograd, pays
from .winograd_pixels import SPREAD

Lowered = tuple[tuple[Any, ...], Any]
Needs = tuple[bool, ...]


def _three(values: Any, fill: int) -> Three:
    made = (fill,) * (3 - len(values)) + tuple(values)
    return made[0], made[1], made[2]


def _axes(
    size: Any, count: Any, kernel: Any, at: Geometry
) -> tuple[Three, Three, Three, Three, Three, Three]:
    """Return sizes, places, kernel, stride, dilation and zeros before, each of three axes.

    Axes of one pixel come first: in memory they make no difference, and what is laid out and
    multiplied are rows, which a last axis of one pixel would cut into single numbers.
    """
    before = [p for p, _ in at.padding]
    given = (
        _three(size, 1), _three(count, 1), _three(kernel, 1), _three(at.stride, 1),
        _three(at.dilation, 1), _three(before, 0),
    )  # fmt: skip
    idle = [one == (1, 1, 1, 0) for one in zip(*given[:3], given[5], strict=True)]
    order = sorted(range(3), key=lambda axis: not idle[axis])
    n, o, k, s, d, p = ([one[axis] for axis in order] for one in given)
    for axis in range(sum(idle)):
        s[axis] = d[axis] = 1
    return _three(n, 1), _three(o, 1), _three(k, 1), _three(s, 1), _three(d, 1), _three(p, 0)


def windows_of(shape: Any, count: Any, kernel_sizes: Any, at: Geometry, groups: int) -> Windows:
    """Return where the windows of an input stand that a kernel has at so many places."""
    n, c, *size = shape
    return Windows(n * groups, groups, c // groups, *_axes(size, count, kernel_sizes, at))


def _kernel_strides(kernel: Three) -> Three:
    return kernel[1] * kernel[2], kernel[2], 1


def emit_convolution(
    builder: Builder, X: Any, W: Any, b: Any, Y: Any, at: Geometry, groups: int
) -> None:
    """Emit Y = the convolution of X with W, and b."""
    w = windows_of(X.shape, Y.shape[2:], W.shape[2:], at, groups)
    outputs = W.shape[0] // groups
    strides = (0, outputs * w.terms, w.terms, w.taps, _kernel_strides(w.kernel))
    emit_tiles(builder, w, X, W, b, Y, outputs, strides)


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
    size, count, kernel_sizes, stride, dilation, before = _axes(
        X.shape[2:], Y.shape[2:], W.shape[2:], at
    )
    inputs, outputs = W.shape[0] // groups, W.shape[1]
    own = _kernel_strides(kernel_sizes)
    taps = math.prod(kernel_sizes)
    whole = stride == (1, 1, 1)
    image = X.reshape(*X.shape[:2], *size)
    if inputs == 1 and outputs <= FEW_OUTPUTS and not whole:
        back = [d * (k - 1) - p for d, k, p in zip(dilation, kernel_sizes, before, strict=True)]
        w = Windows(
            Y.shape[0] * groups, groups, 1, count, size, kernel_sizes, (1, 1, 1), dilation,
            _three(back, 0),
        )  # fmt: skip
        strides = (taps - 1, outputs * taps, taps, 0, _three([-one for one in own], 1))
        if emit_planes(builder, w, Y, W, b, X, outputs, strides, stride):
            return
    spread = Windows(
        Y.shape[0] * groups, groups, inputs, count, size, kernel_sizes, stride, dilation, before
    )
    asked = None
    if before == (0, 1, 1) and pays(spread, outputs, SPREAD):
        asked = emit_winograd(
            builder, replace(spread, before=(0, 0, 0)), Y, W, b, X, outputs,
            (taps - 1, inputs * outputs * taps, taps, outputs * taps, _three([-s for s in own], 1)),
            SPREAD,
        )  # fmt: skip
    at_phases = [
        [
            _phase(*one)
            for one in zip(phases, size, count, kernel_sizes, stride, dilation, before, strict=True)
        ]
        for phases in itertools.product(*map(range, stride))
    ]
    nothing: Any = 0.0 if b is None else b.reshape(-1, 1, 1, 1)
    # One pass over all pixels instead of several over some of them.
    if image.size and sum(None in found for found in at_phases) > 1:
        copy(builder, nothing, image)
        nothing = None
    for phases, found in zip(itertools.product(*map(range, stride)), at_phases, strict=True):
        target = image[(..., *[slice(a, None, s) for a, s in zip(phases, stride, strict=True)])]
        if not target.size:
            continue
        made = [one for one in found if one is not None]
        if len(made) < 3:
            if nothing is not None:
                copy(builder, nothing, target)
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
        emit_tiles(builder, w, Y, W, b, goal, outputs, strides, asked)
        if asked is not None:
            emit_phase(builder, goal, image, phases, stride, asked)
        elif not whole:
            copy(builder, goal, target)


def _convolution(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    X, W = inputs[0], inputs[1]
    b = inputs[2] if len(inputs) > 2 else None
    groups = options["groups"]
    at = exact(X.shape[2:], W.shape[2:], geometry_of(options))
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
    at, groups = geometry_of(options), options["groups"]
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
    at, groups = geometry_of(options), options["groups"]
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
    """Say whether some windows fit into a thread's space in tiles and by rows of places."""
    in_tiles, by_rows = fitting(w.flattened() or w, dtype), fitting(w, dtype, ROW_PLACES)
    return in_tiles is not None and by_rows is not None


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
        call = convolution_call(inputs, options, transposed)
        return call if isinstance(call, str) else _check_sizes(*call, inputs[0].dtype)

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
    call = weight_call(inputs, options)
    return call if isinstance(call, str) else _check_sizes(*call, inputs[0].dtype)


def _check_weight_backward(inputs: Inputs, options: Options) -> str | None:
    dY, X, D, stride, padding, dilation, groups = inputs
    at = Geometry(stride, padding, dilation)
    return _check_sizes(X.shape, dY.shape, D.shape, at, groups, X.dtype)


CONVOLUTION_KERNEL = CpuKernel(
    "convolution",
    {"forward": _convolution, "backward": _convolution_backward},
    {"forward": _check(False), "backward": _check_backward(False)},
    passes=16,
)
CONVOLUTION_TRANSPOSE_KERNEL = CpuKernel(
    "convolution_transpose",
    {"forward": _transpose, "backward": _transpose_backward},
    {"forward": _check(True), "backward": _check_backward(True)},
    passes=16,
)
CONVOLUTION_WEIGHT_KERNEL = CpuKernel(
    "convolution_weight",
    {"forward": _weight, "backward": _weight_backward},
    {"forward": _check_weight, "backward": _check_weight_backward},
    passes=16,
)
