"""Shapes: reshaped, moved, joined, split, padded and repeated tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnscratch import formulas as f
from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.interop.onnx.operators.room import axes_of, axis_of, checked_shape
from nnscratch.interop.onnx.operators.table import Numbers, operator
from nnscratch.tensors import Tensor, apply
from nnscratch.tensors import functions as T
from nnscratch.tensors import ops as O

_FEW_RUNS = 4
"""Runs of places up to which slices side by side are quicker than picking each by its number."""


@operator("Identity")
def identity(x: Any, /) -> Any:
    return x


@operator("Shape")
def shape(x: Tensor, /, *, start: int = 0, end: int | None = None) -> np.ndarray:
    return np.asarray(tuple(x.shape)[start:end], np.int64)


@operator("Size")
def size(x: Tensor, /) -> np.ndarray:
    return np.asarray(math.prod(x.shape), np.int64)


@operator("Reshape")
def reshape(
    x: Tensor,
    given: Numbers | None = None,
    /,
    *,
    allowzero: int = 0,
    shape: Sequence[int] | None = None,
    consumed_inputs: Any = None,
) -> Tensor:
    wanted = list(shape or ()) if given is None else given.reshape(-1).tolist()
    if not allowzero:
        if any(n == 0 and i >= x.ndim for i, n in enumerate(wanted)):
            raise ShapeError(f"Reshape: {wanted} keeps a size that {tuple(x.shape)} has not")
        wanted = [x.shape[i] if n == 0 else n for i, n in enumerate(wanted)]
    return x.reshape(tuple(wanted))


@operator("Flatten")
def flatten(x: Tensor, /, *, axis: int = 1) -> Tensor:
    if not -x.ndim <= axis <= x.ndim:
        raise ShapeError(f"Flatten: axis {axis} of a tensor with {x.ndim} dimensions")
    axis = axis % x.ndim if axis < 0 else axis
    return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))


@operator("Squeeze")
def squeeze(x: Tensor, given: Numbers | None = None, /, *, axes: Any = None) -> Tensor:
    axes = axes if given is None else given.reshape(-1).tolist()
    if axes is None:
        gone = {i for i, n in enumerate(x.shape) if n == 1}
    else:
        gone = {*axes_of("Squeeze", axes, x.ndim)}
    if any(x.shape[i] != 1 for i in gone):
        raise ShapeError(f"Squeeze: axes {sorted(gone)} of {tuple(x.shape)} are not all of size 1")
    return x.reshape(tuple(n for i, n in enumerate(x.shape) if i not in gone))


@operator("Unsqueeze")
def unsqueeze(x: Tensor, given: Numbers | None = None, /, *, axes: Any = None) -> Tensor:
    axes = axes if given is None else given.reshape(-1).tolist()
    ndim = x.ndim + len(axes)
    new = {*axes_of("Unsqueeze", axes, ndim)}
    sizes = iter(x.shape)
    return x.reshape(tuple(1 if i in new else next(sizes) for i in range(ndim)))


@operator("Transpose")
def transpose(x: Tensor, /, *, perm: Sequence[int] | None = None) -> Tensor:
    order = tuple(range(x.ndim))[::-1] if perm is None else tuple(perm)
    if sorted(order) != list(range(x.ndim)):
        raise ShapeError(f"Transpose: {order} is no order of {x.ndim} axes")
    return apply(f.TRANSPOSE, x, axes=order)


@operator("Expand")
def expand(x: Tensor, given: Numbers, /) -> Tensor:
    wanted = np.broadcast_shapes(tuple(x.shape), checked_shape("Expand", given.tolist()))
    checked_shape("Expand", wanted, x.dtype.itemsize)
    return O.broadcast_to(x, wanted).clone()


@operator("Tile")
def tile(x: Tensor, repeats: Numbers, /) -> Tensor:
    times = repeats.reshape(-1).tolist()
    if len(times) != x.ndim or any(n < 0 for n in times):
        raise ShapeError(f"Tile: expected {x.ndim} numbers of at least 0, got {times}")
    checked_shape("Tile", [n * m for n, m in zip(x.shape, times, strict=True)], x.dtype.itemsize)
    return O.tile(x, tuple(times))


@operator("Concat")
def concatenate(*xs: Tensor, axis: int = 1) -> Tensor:
    return T.cat(list(xs), axis_of("Concat", axis, xs[0].ndim))


@operator("Split")
def split(
    x: Tensor,
    given: Numbers | None = None,
    /,
    *,
    axis: int = 0,
    split: Sequence[int] | None = None,
    num_outputs: int | None = None,
    opset: int,
    wanted: int,
) -> tuple[Tensor, ...]:
    axis = axis_of("Split", axis, x.ndim)
    whole = x.shape[axis]
    if given is not None:
        sizes = given.reshape(-1).tolist()
    elif split is not None:
        sizes = list(split)
    else:
        count = wanted if num_outputs is None else num_outputs
        if opset < 18 and whole % count:
            raise ShapeError(f"Split: {whole} entries of axis {axis} in {count} equal parts")
        each = -(-whole // count)
        sizes = [min(each, max(whole - each * i, 0)) for i in range(count)]
    if sum(sizes) != whole or min(sizes, default=0) < 0:
        raise ShapeError(f"Split: {sizes} do not add up to the {whole} entries of axis {axis}")
    return apply(f.SPLIT, x, sizes=tuple(sizes), axis=axis)  # type: ignore[return-value]


@operator("Pad")
def pad(
    x: Tensor,
    given: Numbers | None = None,
    number: Numbers | None = None,
    axes: Numbers | None = None,
    /,
    *,
    mode: str = "constant",
    pads: Sequence[int] | None = None,
    paddings: Sequence[int] | None = None,
    value: float = 0.0,
) -> Tensor:
    widths = list(pads or paddings or ()) if given is None else given.reshape(-1).tolist()
    where = axes_of("Pad", None if axes is None else axes.reshape(-1).tolist(), x.ndim)
    if len(widths) != 2 * len(where):
        raise ShapeError(f"Pad: expected two numbers for each of {len(where)} axes, got {widths}")
    pairs = {axis: (widths[i], widths[i + len(where)]) for i, axis in enumerate(where)}
    each = [pairs.get(axis, (0, 0)) for axis in range(x.ndim)]
    after = [n + a + b for n, (a, b) in zip(x.shape, each, strict=True)]
    checked_shape("Pad", after, x.dtype.itemsize)
    if mode == "constant":
        return _constant_pad(x, each, value if number is None else number.item())
    if mode not in ("reflect", "edge", "wrap"):
        raise ConfigurationError(f"Pad: mode is constant, reflect, edge or wrap; got {mode!r}")
    x, more = _cropped(x, each)
    for axis, (before, behind) in enumerate(more):
        if before or behind:
            x = _picked(x, axis, before, behind, mode)
    return x


def _cropped(x: Tensor, pairs: list[tuple[int, int]]) -> tuple[Tensor, list[tuple[int, int]]]:
    """Return x without what negative numbers take away, which goes first, and the others."""
    cut = tuple(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, pairs, strict=True))
    if any(a < 0 or b < 0 for a, b in pairs):
        x = x[cut]
    return x, [(max(a, 0), max(b, 0)) for a, b in pairs]


def _constant_pad(x: Tensor, pairs: list[tuple[int, int]], value: Any) -> Tensor:
    x, more = _cropped(x, pairs)
    for axis, sides in enumerate(more):
        parts = [x]
        for where, count in zip((0, 1), sides, strict=True):
            if count:
                block = x.new_full(
                    [count if i == axis else n for i, n in enumerate(x.shape)], value
                )
                parts.insert(0 if where == 0 else len(parts), block)
        x = T.cat(parts, axis) if len(parts) > 1 else x
    return x


def _picked(x: Tensor, axis: int, before: int, behind: int, mode: str) -> Tensor:
    size = x.shape[axis]
    places = np.arange(-before, size + behind)
    if size == 0:
        raise ShapeError(f"Pad: mode {mode!r} needs an entry along axis {axis}")
    if mode == "edge":
        places = np.clip(places, 0, size - 1)
    elif mode == "wrap":
        places %= size
    else:
        period = max(2 * (size - 1), 1)
        places = np.abs((places + size - 1) % period - (size - 1)) if size > 1 else places * 0
    runs = _runs(places)
    if len(runs) > _FEW_RUNS:
        return T.index_select(x, axis, x.new_tensor(places.tolist(), dtype="int64"))
    front = (slice(None),) * axis
    return T.cat([apply(f.GETITEM, x, index=(*front, run)) for run in runs], axis)


def _runs(places: np.ndarray) -> list[slice]:
    """Return places as slices one behind the other, each forwards or backwards.

    >>> _runs(np.array([2, 1, 0, 1, 2, 3]))
    [slice(2, None, -1), slice(1, 4, 1)]
    """
    runs, start, steps = [], 0, np.diff(places)
    while start < len(places):
        step = int(steps[start]) if start < len(steps) and abs(steps[start]) == 1 else 1
        stop = start + 1
        while stop < len(places) and steps[stop - 1] == step:
            stop += 1
        end = int(places[stop - 1]) + step
        runs.append(slice(int(places[start]), None if end < 0 else end, step))
        start = stop
    return runs


@operator("DepthToSpace")
def depth_to_space(x: Tensor, /, *, blocksize: int, mode: str = "DCR") -> Tensor:
    n, c, h, w = x.shape
    b = blocksize
    if mode not in ("DCR", "CRD"):
        raise ConfigurationError(f"DepthToSpace: mode is DCR or CRD, got {mode!r}")
    if b < 1 or c % (b * b):
        raise ShapeError(f"DepthToSpace: {c} channels do not fit blocks of {b} x {b}")
    if mode == "DCR":
        parts = x.reshape(n, b, b, c // b**2, h, w).permute(0, 3, 4, 1, 5, 2)
    else:
        parts = x.reshape(n, c // b**2, b, b, h, w).permute(0, 1, 4, 2, 5, 3)
    return parts.reshape(n, c // b**2, h * b, w * b)


@operator("SpaceToDepth")
def space_to_depth(x: Tensor, /, *, blocksize: int, mode: str = "DCR") -> Tensor:
    n, c, h, w = x.shape
    b = blocksize
    if mode not in ("DCR", "CRD"):
        raise ConfigurationError(f"SpaceToDepth: mode is DCR or CRD, got {mode!r}")
    if b < 1 or h % b or w % b:
        raise ShapeError(f"SpaceToDepth: {h} x {w} does not fit blocks of {b} x {b}")
    parts = x.reshape(n, c, h // b, b, w // b, b)
    order = (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4)
    return parts.permute(*order).reshape(n, c * b * b, h // b, w // b)


@operator("CenterCropPad")
def center_crop_or_pad(x: Tensor, given: Numbers, /, *, axes: Any = None) -> Tensor:
    where = axes_of("CenterCropPad", axes, x.ndim)
    wanted = dict(zip(where, given.reshape(-1).tolist(), strict=True))
    pairs = []
    for axis, size in enumerate(x.shape):
        more = wanted.get(axis, size) - size
        first = more // 2 if more >= 0 else -(-more // 2)
        pairs.append((first, more - first))
    after = [n + a + b for n, (a, b) in zip(x.shape, pairs, strict=True)]
    checked_shape("CenterCropPad", after, x.dtype.itemsize)
    return _constant_pad(x, pairs, 0)


@operator("Trilu")
def triangle(x: Tensor, k: Numbers | None = None, /, *, upper: int = 1) -> Tensor:
    diagonal = 0 if k is None else int(k.item())
    diagonal = max(-(1 << 31), min(diagonal, 1 << 31))
    if 0 in x.shape:
        return x
    keep = np.tri(x.shape[-2], x.shape[-1], k=diagonal - 1 if upper else diagonal, dtype=bool)
    kept = x.new_tensor((~keep if upper else keep).tolist(), dtype="bool")
    return T.where(kept, x, x.new_zeros(()))


@operator("ReverseSequence")
def reverse_sequences(
    x: Tensor, lengths: Numbers, /, *, batch_axis: int = 1, time_axis: int = 0
) -> Tensor:
    if {batch_axis, time_axis} != {0, 1}:
        raise ConfigurationError("ReverseSequence: the axes of batch and time are 0 and 1")
    steps, rows = x.shape[time_axis], x.shape[batch_axis]
    if lengths.shape != (rows,) or lengths.min(initial=0) < 0 or lengths.max(initial=0) > steps:
        raise ShapeError(f"ReverseSequence: lengths {lengths.tolist()} for {rows} of {steps} steps")
    t = np.arange(steps)[:, None]
    places = np.where(t < lengths, lengths - 1 - t, t)
    places = places if time_axis == 0 else places.T
    shape = (*places.shape, *(1,) * (x.ndim - 2))
    index = x.new_tensor(places.tolist(), dtype="int64").reshape(shape)
    return T.gather(x, time_axis, O.broadcast_to(index, tuple(x.shape)))


@operator("OptionalHasElement")
def has_element(x: Any = None, /) -> np.ndarray:
    return np.asarray(x is not None)


@operator("OptionalGetElement")
def get_element(x: Any, /) -> Any:
    if x is None:
        raise ShapeError("OptionalGetElement: there is none")
    return x
