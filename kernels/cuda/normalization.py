"""Normalisation as launches of kernels: over items, down columns, by running statistics."""

from __future__ import annotations

import math
import struct
from dataclasses import astuple
from typing import Any

import numpy as np

from nnscratch.formulas.normalization import StandardizeSaved
from nnscratch.formulas.rms_norm import RmsNormSaved
from nnscratch.formulas.running_statistics import BatchNormInferenceSaved

from ..normalized import (
    Columns,
    Form,
    Rows,
    Segments,
    axes_of_weights,
    form_of,
    why_not_follow,
    why_not_inference,
    why_not_inference_backward,
    why_not_rms,
    why_not_rms_backward,
    why_not_standardize,
    why_not_standardize_backward,
)
from .driver import MOST_BLOCKS, WARP, cover
from .implementation import CudaKernel, Inputs, Needs, Options
from .launch import Numbers
from .target import Target

Lowered = tuple[tuple[Any, ...], Any]

LONG = 1024
"""Numbers of an item from which a block has it, below a warp."""
LANES_X, LANES_Y = 32, 8
STRIPES = 128
"""Stripes at most whose sums for the weights are added up in the end."""
_EIGHT = struct.Struct("=8q")


def _items(form: Rows | Segments) -> Segments:
    """Return rows as items whose segments are their numbers."""
    if isinstance(form, Segments):
        return form
    return Segments(form.rows, form.columns, 1, form.columns, 1, 1, 0, 1)


def _launch_items(target: Target, kernel: str, arrays: Inputs, at: Segments, eps: float) -> None:
    blocks = at.segments * at.pixels > LONG
    grid = (min(at.items, MOST_BLOCKS),) if blocks else cover(at.items * WARP)
    arguments = (*arrays, _EIGHT.pack(*astuple(at)), eps)
    name = f"{kernel}_{'blocks' if blocks else 'warps'}"
    target.launch("normalization", name, arrays[0].dtype, grid, arguments)


def _launch_columns(target: Target, kernel: str, arrays: Inputs, at: Columns, eps: float) -> None:
    grid, block = (-(-at.columns // LANES_X),), (LANES_X, LANES_Y)
    arguments = (*arrays, at.rows, at.columns, eps)
    target.launch("normalization", kernel, arrays[0].dtype, grid, arguments, block)


def _weight_sums(
    target: Target, dY: Any, X: Any, M: Any, V: Any, gradients: tuple[Any, Any],
    sizes: tuple[int, int, int], stat: tuple[int, int], eps: float,
) -> None:  # fmt: skip
    """Add dW and db, either of which may be None: sums over all but the middle one of ``sizes``.

    ``stat`` is how far it is from one of the outer ones to the next in M and V, and how many
    weights have one entry of these.
    """
    outer, weights, pixels = sizes
    stripes = max(1, min(STRIPES, -(-outer * pixels // 256), outer))
    stripe = -(-outer // stripes)
    stripes = -(-outer // stripe)
    partial = [
        None if one is None else target.empty((stripes, weights), np.float64) for one in gradients
    ]
    arguments = (dY, X, M, V, *partial, _EIGHT.pack(*sizes, *stat, stripe, 0, 0), eps)
    if pixels == 1:
        grid: tuple[int, ...] = (-(-weights // LANES_X), stripes)
        block: tuple[int, ...] = (LANES_X, LANES_Y)
        target.launch("normalization", "weight_sums_of_columns", X.dtype, grid, arguments, block)
    else:
        grid = (min(weights, MOST_BLOCKS), stripes)
        target.launch("normalization", "weight_sums_of_pixels", X.dtype, grid, arguments)
    for sums, out in zip(partial, gradients, strict=True):
        if out is not None:
            finish = (sums, out, weights, stripes, 1.0)
            target.launch("reductions", "axis_sums_finish", X.dtype, cover(weights), finish)


def _backward(
    target: Target, form: Form, given: Inputs, outputs: tuple[Any, ...], eps: float
) -> None:
    """Add the gradients (dX, dW, db) that are not None; given are dY, dM, dV, X, W, M and V."""
    if isinstance(form, Columns):
        arrays = (*given, *outputs)
        _launch_columns(target, "standardize_columns_backward", arrays, form, eps)
        return
    at = _items(form)
    own = at.weight_step == 0
    if own or outputs[0] is not None:
        arrays = (*given, outputs[0], *(outputs[1:] if own else (None, None)))
        _launch_items(target, "standardize_backward", arrays, at, eps)
    if not own and any(one is not None for one in outputs[1:]):
        dY, _, _, X, _, M, V = given
        sizes = (at.items // at.groups, at.groups * at.segments, at.pixels)
        gradients = (outputs[1], outputs[2])
        _weight_sums(target, dY, X, M, V, gradients, sizes, (at.groups, at.segments), eps)


def _standardize(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    X, W, b = (*inputs, None, None)[:3]
    eps = options["eps"]
    axes = tuple([axis % X.ndim for axis in options["axes"]])
    affine = axes_of_weights(W, b, options.get("first", 1))
    form = form_of(X.shape, axes, affine)
    kept = tuple([size for axis, size in enumerate(X.shape) if axis not in axes])
    Y = target.output(0, X.shape, X.dtype)
    M, V = (target.output(place, kept, X.dtype) for place in (1, 2))
    arrays = (X, W, b, Y, M, V)
    if isinstance(form, Columns):
        _launch_columns(target, "standardize_columns", arrays, form, eps)
    else:
        assert form is not None
        _launch_items(target, "standardize", arrays, _items(form), eps)
    return (Y, M, V), StandardizeSaved(X, W, M, V, axes, affine, eps)


def _standardize_backward(
    target: Target, inputs: Inputs, options: Options, needs: Needs
) -> Lowered:
    dY, dM, dV, X, W, M, V, axes, affine, eps = inputs
    form = form_of(X.shape, axes, affine)
    assert form is not None
    shape = tuple([X.shape[axis] for axis in affine])
    outputs = tuple([
        target.output(place, wanted, X.dtype) if need else None
        for place, (wanted, need) in enumerate(zip((X.shape, shape, shape), needs, strict=True))
    ])  # fmt: skip
    _backward(target, form, (dY, dM, dV, X, W, M, V), outputs, eps)
    return outputs, None


def _rms(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    X, W = (*inputs, None)[:2]
    dims = options["dims"]
    Y = target.output(0, X.shape, X.dtype)
    R = target.empty((*X.shape[: X.ndim - dims], *(1,) * dims), X.dtype)
    form = Rows(R.size, X.size // R.size)
    _launch_items(target, "standardize", (X, W, None, Y, None, R), _items(form), options["eps"])
    return (Y,), RmsNormSaved(X, W, R, tuple(range(X.ndim - dims, X.ndim)))


def _rms_backward(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    dY, X, W, R, axes = inputs
    shape = tuple([X.shape[axis] for axis in axes])
    dX = target.output(0, X.shape, X.dtype) if needs[0] else None
    dW = target.output(1, shape, X.dtype) if needs[1] else None
    form = Rows(R.size, X.size // R.size)
    _backward(target, form, (dY, None, None, X, W, None, R), (dX, dW, None), 0.0)
    return (dX, dW), None


def _inference(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    X, M, V, W, b = (*inputs, None, None)[:5]
    Y = target.output(0, X.shape, X.dtype)
    _scale_channels(target, (X, M, V, W, b, Y), options["eps"])
    return (Y,), BatchNormInferenceSaved(X, M, V, W, options["eps"])


def _scale_channels(target: Target, arrays: Inputs, eps: float) -> None:
    X = arrays[0]
    arguments = (*arrays, X.size, X.shape[1], math.prod(X.shape[2:]), eps)
    target.launch("normalization", "scale_channels", X.dtype, cover(X.size), arguments)


def _inference_backward(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    dY, X, M, V, W, eps = inputs
    dX = target.output(0, X.shape, X.dtype) if needs[0] else None
    dW, db = (target.output(k, V.shape, X.dtype) if needs[k] else None for k in (3, 4))
    if dX is not None:
        _scale_channels(target, (dY, None, V, W, None, dX), eps)
    if needs[3] or needs[4]:
        sizes = (X.shape[0], X.shape[1], math.prod(X.shape[2:]))
        _weight_sums(target, dY, X, M, V, (dW, db), sizes, (0, 1), eps)
    return (dX, None, None, dW, db), None


def _follow(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    mean, _, _, M, _ = inputs
    arguments = (*inputs, mean.size, M.size // mean.size)
    numbers = Numbers(lambda given: (given["momentum"], given.get("correction", 1.0)), options)
    target.launch(
        "normalization", "running_statistics", mean.dtype, cover(mean.size), arguments,
        numbers=numbers,
    )  # fmt: skip
    return (), None


STANDARDIZE_KERNEL = CudaKernel(
    "standardize",
    ("normalization", "reductions"),
    {"forward": _standardize, "backward": _standardize_backward},
    {"forward": why_not_standardize, "backward": why_not_standardize_backward},
    several=True,
)
RMS_NORM_KERNEL = CudaKernel(
    "rms_norm",
    ("normalization", "reductions"),
    {"forward": _rms, "backward": _rms_backward},
    {"forward": why_not_rms, "backward": why_not_rms_backward},
)
BATCH_NORM_INFERENCE_KERNEL = CudaKernel(
    "batch_norm_inference",
    ("normalization", "reductions"),
    {"forward": _inference, "backward": _inference_backward},
    {"forward": why_not_inference, "backward": why_not_inference_backward},
)
RUNNING_STATISTICS_KERNEL = CudaKernel(
    "running_statistics", ("normalization",), {"update": _follow}, {"update": why_not_follow}
)
