"""How normalisation goes over an array, on any device: rows, columns, or segments of items."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

Inputs = tuple[Any, ...]
Options = dict[str, Any]


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


def axes_of_weights(W: Any, b: Any, first: int) -> tuple[int, ...]:
    """Return the axes that the weights have, from ``first`` on."""
    dims = W.ndim if W is not None else 0 if b is None else b.ndim
    return tuple(range(first, first + dims))


def fits(X: Any, first: int, *arrays: Any) -> bool:
    """Say whether arrays, or None, have the sizes of axes of X, from ``first`` on."""
    return all(
        one is None or (one.ndim > 0 and one.shape == X.shape[first : first + one.ndim])
        for one in arrays
    )


def why_not_standardize(inputs: Inputs, options: Options) -> str | None:
    """Return why no kernel takes a forward of ``standardize``, or None."""
    X, W, b = (*inputs, None, None)[:3]
    axes, first = options["axes"], options.get("first", 1)
    if not axes or any(not -X.ndim <= axis < X.ndim for axis in axes):
        return "the axes do not fit"
    if len({axis % X.ndim for axis in axes}) < len(axes) or not fits(X, first, W, b):
        return "the axes or the sizes do not fit"
    if W is not None and b is not None and W.shape != b.shape:
        return "the scale and the shift have several shapes"
    if form_of(X.shape, tuple(axes), axes_of_weights(W, b, first)) is None:
        return "it goes over last axes, or over all axes but the second"
    return None


def why_not_standardize_backward(inputs: Inputs, options: Options) -> str | None:
    """Return why no kernel takes a backward of ``standardize``, or None."""
    dY, _, _, X, _, _, _, axes, affine, _ = inputs
    if dY is None or dY.shape != X.shape:
        return "there is no gradient of Y"
    return None if form_of(X.shape, axes, affine) is not None else "the axes do not fit"


def why_not_rms(inputs: Inputs, options: Options) -> str | None:
    """Return why no kernel takes a forward of ``rms_norm``, or None."""
    X, W = (*inputs, None)[:2]
    dims = options["dims"]
    if not 0 < dims <= X.ndim:
        return "the axes do not fit"
    alike = W is None or W.shape == X.shape[X.ndim - dims :]
    return None if alike else "the sizes do not fit"


def why_not_rms_backward(inputs: Inputs, options: Options) -> str | None:
    """Return why no kernel takes a backward of ``rms_norm``, or None."""
    dY, X, *_ = inputs
    return None if dY.shape == X.shape else f"dY has shape {dY.shape}"


def why_not_follow(inputs: Inputs, options: Options) -> str | None:
    """Return why no kernel takes an update of ``running_statistics``, or None."""
    mean, var, count, M, V = inputs
    if options["momentum"] is None:
        return "the momentum follows from the count"
    if mean.ndim != 1 or var.shape != mean.shape or M.shape != V.shape:
        return "the sizes do not fit"
    if M.ndim not in (1, 2) or M.shape[-1:] != mean.shape:
        return "the sizes do not fit"
    if count is not None and (count.shape != () or str(count.dtype) != "int64"):
        return "the count is not one integer of 64 bits"
    return None


def why_not_inference(inputs: Inputs, options: Options) -> str | None:
    """Return why no kernel takes a forward of ``batch_norm_inference``, or None."""
    X, *others = inputs
    return None if X.ndim > 1 and fits(X, 1, *others) else "the sizes do not fit"


def why_not_inference_backward(inputs: Inputs, options: Options) -> str | None:
    """Return why no kernel takes a backward of ``batch_norm_inference``, or None."""
    dY, X, *_ = inputs
    return None if dY.shape == X.shape else f"dY has shape {dY.shape}"
