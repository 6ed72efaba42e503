"""Calls of the normalisation formulas as instructions: which kernel goes over which axes."""

from __future__ import annotations

import math
from typing import Any

from nnscratch.array.dtypes import dtype_name
from nnscratch.formulas.normalization import StandardizeSaved
from nnscratch.formulas.rms_norm import RmsNormSaved

from ..normalized import (
    Columns,
    Rows,
    Segments,
    axes_of_weights,
    form_of,
    why_not_rms,
    why_not_rms_backward,
    why_not_standardize,
    why_not_standardize_backward,
)
from .implementation import Builder, CpuKernel, Inputs, Options
from .normalization import (
    standardize_columns,
    standardize_columns_backward,
    standardize_segments,
    standardize_segments_backward,
)
from .normalization_rows import (
    ROW_BLOCKS,
    standardize_rows,
    standardize_rows_backward,
    weight_gradients,
)
from .reductions import sum_axes

Lowered = tuple[tuple[Any, ...], Any]
Needs = tuple[bool, ...]


def _standardize(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    X, W, b = (*inputs, None, None)[:3]
    eps = options["eps"]
    axes = tuple([axis % X.ndim for axis in options["axes"]])
    affine = axes_of_weights(W, b, options.get("first", 1))
    form = form_of(X.shape, axes, affine)
    kept = tuple([size for axis, size in enumerate(X.shape) if axis not in axes])
    Y = builder.output(0, X.shape, X.dtype)
    M, V = (builder.output(place, kept, X.dtype) for place in (1, 2))
    name = dtype_name(X.dtype)
    given = {"X": X, "W": W, "b": b, "Y": Y, "M": M, "V": V, "eps": eps}
    if isinstance(form, Rows):
        standardize_rows.emit(builder, name, **given, **vars(form))
    elif isinstance(form, Columns):
        standardize_columns.emit(builder, name, **given, **vars(form))
    else:
        assert form is not None
        standardize_segments.emit(builder, name, **given, **form.arguments())
    return (Y, M, V), StandardizeSaved(X, W, M, V, axes, affine, eps)


def _standardize_backward(
    builder: Builder, inputs: Inputs, options: Options, needs: Needs
) -> Lowered:
    dY, dM, dV, X, W, M, V, axes, affine, eps = inputs
    form = form_of(X.shape, axes, affine)
    shape = tuple([X.shape[axis] for axis in affine])
    over = ((dY,) if isinstance(form, Segments) else (), (), ())
    outputs = [
        builder.output(place, wanted, X.dtype, over[place]) if need else None
        for place, (wanted, need) in enumerate(zip((X.shape, shape, shape), needs, strict=True))
    ]
    name = dtype_name(X.dtype)
    given = {"dY": dY, "dM": dM, "dV": dV, "X": X, "W": W, "M": M, "V": V, "eps": eps}
    given["dX"] = outputs[0]
    if isinstance(form, Rows):
        _rows_backward(builder, name, form, given, outputs)
        return tuple(outputs), None
    assert form is not None
    # Segments with a weight each have sums of their own.
    each = form if isinstance(form, Segments) and form.weight_step == 1 else None
    size = math.prod(M.shape) * (each.segments if each else 1)
    sums = [builder.empty((size,), X.dtype) if each or out is None else out for out in outputs[1:]]
    given |= {"dW": sums[0], "db": sums[1]}
    if isinstance(form, Columns):
        standardize_columns_backward.emit(builder, name, **given, **vars(form))
        return tuple(outputs), None
    standardize_segments_backward.emit(builder, name, **given, **form.arguments())
    for out, one in zip(outputs[1:], sums, strict=True):
        if out is not None and each:
            parts = one.reshape(-1, each.groups * each.segments)
            sum_axes(builder, parts, (0,), out.reshape(-1), 1.0)
    return tuple(outputs), None


def _rows_backward(
    builder: Builder,
    name: str,
    form: Rows,
    given: dict[str, Any],
    outputs: list[Any],
) -> None:
    """Emit the backward over rows: dX, and the sums over rows for dW and db."""
    together = max(LEAST, -(-form.rows // ROW_BLOCKS))
    blocks = -(-form.rows // together)
    X = given["X"]
    sums = [
        None if one is None else builder.empty((blocks, form.columns), X.dtype)
        for one in outputs[1:]
    ]
    if sums[0] is not None and sums[1] is None:  # two rows are added at once where there are both
        sums[1] = builder.empty((blocks, form.columns), X.dtype)
    standardize_rows_backward.emit(
        builder, name, **given,
        dW=sums[0], db=sums[1], together=together, **vars(form),
    )  # fmt: skip
    if any(one is not None for one in sums):
        dW, db = [None if one is None else one.reshape(-1) for one in outputs[1:]]
        weight_gradients.emit(
            builder, name,
            dWs=sums[0], dbs=sums[1], dW=dW, db=db, blocks=blocks, columns=form.columns,
        )  # fmt: skip


LEAST = 8
"""Rows whose sums for dW and db are made by one thread, at least."""


def _rms(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    X, W = (*inputs, None)[:2]
    dims = options["dims"]
    axes = tuple(range(X.ndim - dims, X.ndim))
    Y = builder.output(0, X.shape, X.dtype)
    R = builder.empty((*X.shape[: X.ndim - dims], *(1,) * dims), X.dtype)
    standardize_rows.emit(
        builder, dtype_name(X.dtype),
        X=X, W=W, b=None, Y=Y, M=None, V=R, rows=R.size, columns=X.size // R.size,
        eps=options["eps"],
    )  # fmt: skip
    return (Y,), RmsNormSaved(X, W, R, axes)


def _rms_backward(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    dY, X, W, R, axes = inputs
    shape = tuple([X.shape[axis] for axis in axes])
    dX = builder.output(0, X.shape, X.dtype) if needs[0] else None
    dW = builder.output(1, shape, X.dtype) if needs[1] else None
    given = {"dY": dY, "dM": None, "dV": None, "X": X, "W": W, "M": None, "V": R, "eps": 0.0}
    form = Rows(R.size, X.size // R.size)
    _rows_backward(builder, dtype_name(X.dtype), form, {**given, "dX": dX}, [dX, dW, None])
    return (dX, dW), None


STANDARDIZE_KERNEL = CpuKernel(
    "standardize",
    {"forward": _standardize, "backward": _standardize_backward},
    {"forward": why_not_standardize, "backward": why_not_standardize_backward},
    passes=8,
    several=True,
    repeats=True,
)
RMS_NORM_KERNEL = CpuKernel(
    "rms_norm",
    {"forward": _rms, "backward": _rms_backward},
    {"forward": why_not_rms, "backward": why_not_rms_backward},
    passes=6,
    repeats=True,
)
