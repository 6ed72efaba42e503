"""Which sizes a call of the convolution formulas has, on any device, or why they do not fit."""

from __future__ import annotations

from typing import Any, NamedTuple

from nnscratch.errors import NNScratchError
from nnscratch.formulas.windows import Geometry, kernel_size, places, reached

Inputs = tuple[Any, ...]
Options = dict[str, Any]
Shape = tuple[int, ...]


class Convolved(NamedTuple):
    """The shapes of what has the windows, of the weights, and of what has a pixel for each window.

    A transposed convolution makes the first of the last, a convolution the last of the first.
    """

    image: Shape
    weights: Shape
    result: Shape
    at: Geometry
    groups: int


def geometry_of(options: Options) -> Geometry:
    """Return where the windows stand by the options of a formula."""
    return Geometry(tuple(options["stride"]), tuple(options["padding"]), tuple(options["dilation"]))


def convolution_call(inputs: Inputs, options: Options, transposed: bool) -> Convolved | str:
    """Return the sizes of a forward of a convolution or a transposed one, or what does not fit.

    The reference says what is wrong, and where.
    """
    X, W, b = (*inputs, None)[:3]
    groups = options["groups"]
    if not (hasattr(X, "dtype") and hasattr(W, "dtype")) or X.ndim != W.ndim or X.ndim < 3:
        return "it needs images and weights of as many axes"
    if groups < 1 or W.shape[0] % groups:
        return "the groups do not fit"
    own, other = W.shape[0], W.shape[1] * groups
    channels, outputs = (own, other) if transposed else (other, own)
    if X.shape[1] != channels or (b is not None and b.shape != (outputs,)):
        return "the channels do not fit"
    at, given, kernel = geometry_of(options), tuple(X.shape), W.shape[2:]
    try:
        if not transposed:
            made = (X.shape[0], outputs, *places("", X.shape[2:], kernel, at))
            return Convolved(given, tuple(W.shape), made, at, groups)
        size = reached(X.shape[2:], kernel, at)
        if min(size) < 1:
            return "nothing would be made"
        if places("", size, kernel, at) != X.shape[2:]:
            return "the places do not fit"
    except NNScratchError as error:
        return str(error)
    return Convolved((X.shape[0], outputs, *size), tuple(W.shape), given, at, groups)


def weight_call(inputs: Inputs, options: Options) -> Convolved | str:
    """Return the sizes of a forward of ``convolution_weight``, or what does not fit."""
    X, D = inputs
    at, groups = geometry_of(options), options["groups"]
    if X.ndim != D.ndim or X.shape[0] != D.shape[0] or X.ndim < 3:
        return "the axes do not fit"
    pixels = kernel_size(D.shape[2:], X.shape[2:], at)
    if min(pixels) < 1 or groups < 1 or X.shape[1] % groups or D.shape[1] % groups:
        return "the sizes do not fit"
    if reached(D.shape[2:], pixels, at) != X.shape[2:]:
        return "the places do not fit"
    weights = (D.shape[1], X.shape[1] // groups, *pixels)
    return Convolved(tuple(X.shape), weights, tuple(D.shape), at, groups)
