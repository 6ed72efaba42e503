"""Calls of the normalisation formulas as instructions: which kernel goes over which axes."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

from nnscratch.array.dtypes import dtype_name
from nnscratch.formulas.normalization import RmsNormSaved, StandardizeSaved

from .implementation import Builder, CpuKernel, Inputs, Options
from .normalization import (
    ROW_BLOCKS,
    standardize_columns,
    standardize_columns_backward,
    standardize_rows,
    standardize_rows_backward,
    standardize_segments,
    standardize_segments_backward,
    weight_gradients,
)
from .reductions import sum_axes

Lowered = tuple[tuple[Any, ...], Any]
Needs = tuple[bool, ...]


@dataclass(frozen=True)
class Rows:
    """Rows behind one another, with a weight for each column or none."""

    rows: int
    columns: int


@dataclass(frozen=True)
class Columns:
    """Columns of a matrix, with one weight each."""

    rows: int
    columns: int


@dataclass(frozen=True)
class Segments:
    """Items of several segments each, with a weight for each segment; see the kernel."""

    items: int
    segments: int
    pixels: int
    item_step: int
    step: int
    groups: int
    group_step: int
    weight_step: int

    def arguments(self) -> dict[str, int]:
        """Return what the kernels take."""
        return dict(vars(self))


Form = Rows | Columns | Segments


@functools.lru_cache(maxsize=1024)  # an eager call asks four times
def form_of(shape: tuple[int, ...], axes: tuple[int, ...], affine: tuple[int, ...]) -> Form | None:
    """Return how an array is gone over, None if no kernel can.

    Args:
        shape: its shape.
        axes: those of the mean.
        affine: those that the weights have, consecutive; empty without weights.

    >>> form_of((8, 3, 5, 5), (0, 2, 3), (1,))
    Segments(items=3, segments=8, pixels=25, item_step=25, step=75, ...
    >>> form_of((8, 3), (1,), (1,))
    Rows(rows=8, columns=3)
    """
    ndim = len(shape)
    axes = tuple(sorted(axis % ndim for axis in axes))
    begin = ndim - len(axes)
    if axes == tuple(range(begin, ndim)):
        items, columns = math.prod(shape[:begin]), math.prod(shape[begin:])
        if not affine or affine == axes:
            return Rows(items, columns)
        first, end = affine[0], affine[-1] + 1
        if first > begin or end < begin:
            return None
        groups, segments = math.prod(shape[first:begin]), math.prod(shape[begin:end])
        pixels = math.prod(shape[end:])
        return Segments(items, segments, pixels, segments * pixels, pixels, groups, segments, 1)
    if axes == (0, *range(2, ndim)) and affine in ((), (1,)):
        pixels = math.prod(shape[2:])
        if pixels == 1:
            return Columns(shape[0], shape[1])
        return Segments(shape[1], shape[0], pixels, pixels, shape[1] * pixels, shape[1], 1, 0)
    return None


def _affine(W: Any, b: Any, first: int) -> tuple[int, ...]:
    dims = W.ndim if W is not None else 0 if b is None else b.ndim
    return tuple(range(first, first + dims))


def _standardize(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    X, W, b = (*inputs, None, None)[:3]
    eps = options["eps"]
    axes = tuple([axis % X.ndim for axis in options["axes"]])
    affine = _affine(W, b, options.get("first", 1))
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
    outputs = [
        builder.output(place, wanted, X.dtype) if need else None
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


def fits(X: Any, first: int, *arrays: Any) -> bool:
    """Say whether arrays, or None, have the sizes of axes of X, from ``first`` on."""
    return all(
        one is None or (one.ndim > 0 and one.shape == X.shape[first : first + one.ndim])
        for one in arrays
    )


def _check_standardize(inputs: Inputs, options: Options) -> str | None:
    X, W, b = (*inputs, None, None)[:3]
    axes, first = options["axes"], options.get("first", 1)
    if not axes or any(not -X.ndim <= axis < X.ndim for axis in axes):
        return "the axes do not fit"
    if len({axis % X.ndim for axis in axes}) < len(axes) or not fits(X, first, W, b):
        return "the axes or the sizes do not fit"
    if W is not None and b is not None and W.shape != b.shape:
        return "the scale and the shift have several shapes"
    if form_of(X.shape, tuple(axes), _affine(W, b, first)) is None:
        return "it goes over last axes, or over all axes but the second"
    return None


def _check_standardize_backward(inputs: Inputs, options: Options) -> str | None:
    dY, _, _, X, _, _, _, axes, affine, _ = inputs
    if dY is None or dY.shape != X.shape:
        return "there is no gradient of Y"
    return None if form_of(X.shape, axes, affine) is not None else "the axes do not fit"


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


def _check_rms(inputs: Inputs, options: Options) -> str | None:
    X, W = (*inputs, None)[:2]
    dims = options["dims"]
    if not 0 < dims <= X.ndim:
        return "the axes do not fit"
    fits = W is None or W.shape == X.shape[X.ndim - dims :]
    return None if fits else "the sizes do not fit"


def _check_rms_backward(inputs: Inputs, options: Options) -> str | None:
    dY, X, *_ = inputs
    return None if dY.shape == X.shape else f"dY has shape {dY.shape}"


STANDARDIZE_KERNEL = CpuKernel(
    "standardize",
    {"forward": _standardize, "backward": _standardize_backward},
    {"forward": _check_standardize, "backward": _check_standardize_backward},
    passes=8,
    several=True,
)
RMS_NORM_KERNEL = CpuKernel(
    "rms_norm",
    {"forward": _rms, "backward": _rms_backward},
    {"forward": _check_rms, "backward": _check_rms_backward},
    passes=6,
)
