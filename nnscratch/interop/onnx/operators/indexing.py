"""Entries picked by numbers, slices and conditions, and put back."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nnscratch import formulas as f
from nnscratch.errors import ConfigurationError, IndexRangeError, ShapeError
from nnscratch.interop.onnx.operators.room import axes_of, axis_of, checked_shape
from nnscratch.interop.onnx.operators.table import Known, Numbers, operator
from nnscratch.tensors import Tensor, apply
from nnscratch.tensors import functions as T
from nnscratch.tensors import ops as O
from nnscratch.tensors.ops.placing import from_front


@operator("Gather")
def gather(x: Tensor, I: Known | Tensor, /, *, axis: int = 0) -> Tensor:
    axis = axis_of("Gather", axis, x.ndim)
    if isinstance(I, Tensor):
        return apply(f.TAKE, x, I.to("int64"), axis=axis)
    n = x.shape[axis]
    if I.shape in ((), (1,)) and I.dtype.kind in "iu" and -n <= I.item() < n:
        first = I.item() % n  # one entry in a known place is a view
        place = slice(first, first + 1) if I.ndim else first
        return apply(f.GETITEM, x, index=(*(slice(None),) * axis, place))
    return apply(f.TAKE, x, x.new_tensor(I, dtype="int64"), axis=axis)


@operator("GatherElements")
def gather_elements(x: Tensor, I: Tensor, /, *, axis: int = 0) -> Tensor:
    axis = axis_of("GatherElements", axis, x.ndim)
    return T.gather(x, axis, from_front(I.to("int64"), x.shape[axis]))


def _flat_places(where: str, I: Tensor, sizes: Sequence[int]) -> Tensor:
    """Return (..., k) indices into k axes as one number each.

    Raises:
        IndexRangeError: if one is out of range.
    """
    top = I.new_tensor(list(sizes), dtype="int64")
    I = T.where(I < 0, I + top, I)
    if bool(T.any(T.logical_or(I < 0, I >= top))):
        raise IndexRangeError(f"{where}: an index is out of range of the sizes {tuple(sizes)}")
    steps = [math.prod(sizes[i + 1 :]) for i in range(len(sizes))]
    return T.sum(I * I.new_tensor(steps, dtype="int64"), -1)


def _pair(where: str, x: Tensor, I: Tensor, batch: int) -> tuple[Tensor, Tensor, int]:
    """Return x as (rows, ...) and a row for each index, behind axes that both have in common."""
    deep = I.shape[-1] if I.ndim else 0
    if not I.ndim or deep + batch > x.ndim or tuple(I.shape[:batch]) != tuple(x.shape[:batch]):
        raise ShapeError(f"{where}: indices {tuple(I.shape)} do not fit {tuple(x.shape)}")
    sizes = tuple(x.shape[batch : batch + deep])
    places = _flat_places(where, I.to("int64"), sizes)
    if batch:
        count = math.prod(x.shape[:batch])
        first = I.new_tensor(range(count), dtype="int64") * math.prod(sizes)
        places = places + first.reshape(*x.shape[:batch], *(1,) * (places.ndim - batch))
    rows = x.reshape(math.prod(x.shape[: batch + deep]), *x.shape[batch + deep :])
    return rows, places, deep


@operator("GatherND")
def gather_at(x: Tensor, I: Tensor, /, *, batch_dims: int = 0) -> Tensor:
    rows, places, _ = _pair("GatherND", x, I, batch_dims)
    return apply(f.TAKE, rows, places, axis=0)


_REDUCTIONS = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


def _scattered(where: str, x: Tensor, I: Tensor, U: Tensor, axis: int, how: str) -> Tensor:
    I = from_front(I, x.shape[axis])
    if how == "none":
        return apply(f.SCATTER, x, I, U, axis=axis)
    if how not in _REDUCTIONS:
        raise ConfigurationError(
            f"{where}: reduction is none, {', '.join(_REDUCTIONS)}; got {how!r}"
        )
    return O.scatter_reduce(x, axis, I, U, _REDUCTIONS[how])


@operator("ScatterElements", "Scatter")
def scatter_elements(
    x: Tensor, I: Tensor, U: Tensor, /, *, axis: int = 0, reduction: str = "none"
) -> Tensor:
    axis = axis_of("ScatterElements", axis, x.ndim)
    return _scattered("ScatterElements", x, I.to("int64"), U, axis, reduction)


@operator("ScatterND")
def scatter_at(x: Tensor, I: Tensor, U: Tensor, /, *, reduction: str = "none") -> Tensor:
    rows, places, deep = _pair("ScatterND", x, I, 0)
    behind = tuple(x.shape[deep:])
    if tuple(U.shape) != (*I.shape[:-1], *behind):
        raise ShapeError(
            f"ScatterND: updates {tuple(U.shape)} for indices {tuple(I.shape)} into "
            f"{tuple(x.shape)}; expected {(*I.shape[:-1], *behind)}"
        )
    wide = math.prod(behind)
    flat = rows.reshape(rows.shape[0], wide)
    at = O.broadcast_to(places.reshape(-1, 1), (math.prod(places.shape), wide))
    updates = U.reshape(math.prod(places.shape), wide)
    return _scattered("ScatterND", flat, at, updates, 0, reduction).reshape(x.shape)


@operator("TensorScatter")
def write_into_cache(
    past: Tensor,
    U: Tensor,
    starts: Numbers | None = None,
    /,
    *,
    axis: int = -2,
    mode: str = "linear",
) -> Tensor:
    axis = axis_of("TensorScatter", axis, past.ndim)
    if axis == 0 or mode not in ("linear", "circular"):
        raise ConfigurationError(
            "TensorScatter: the axis is not that of the batch, mode is linear or circular"
        )
    size, count = past.shape[axis], U.shape[axis]
    first = np.zeros(past.shape[0], np.int64) if starts is None else starts.astype(np.int64)
    places = first[:, None] + np.arange(count)
    if mode == "circular":
        places %= size
    elif places.size and (places.max() >= size or places.min() < 0):
        raise IndexRangeError(f"TensorScatter: {count} entries from {first.tolist()} on, of {size}")
    shape = [1] * past.ndim
    shape[0], shape[axis] = places.shape
    index = past.new_tensor(places.tolist(), dtype="int64").reshape(shape)
    return apply(f.SCATTER, past, O.broadcast_to(index, tuple(U.shape)), U, axis=axis)


@operator("Slice")
def slice_of(
    x: Tensor,
    first: Numbers | None = None,
    last: Numbers | None = None,
    along: Numbers | None = None,
    by: Numbers | None = None,
    /,
    *,
    starts: Sequence[int] | None = None,
    ends: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
) -> Tensor:
    begin = list(starts or ()) if first is None else first.reshape(-1).tolist()
    end = list(ends or ()) if last is None else last.reshape(-1).tolist()
    where = axes if along is None else along.reshape(-1).tolist()
    if where is None:
        where = range(len(begin))
    steps = [1] * len(begin) if by is None else by.reshape(-1).tolist()
    index = [slice(None)] * x.ndim
    for axis, a, b, step in zip(axes_of("Slice", where, x.ndim), begin, end, steps, strict=True):
        if step == 0:
            raise ShapeError("Slice: a step of 0")
        n = x.shape[axis]
        a, b = (one + n if one < 0 else one for one in (a, b))
        if step > 0:
            index[axis] = slice(max(a, 0), max(b, 0), step)
        elif n:
            # A start beyond either end is that end; only the end may lie before the first.
            index[axis] = slice(min(max(a, 0), n - 1), b if b >= 0 else None, step)
    return apply(f.GETITEM, x, index=tuple(index))


@operator("Compress")
def where_it_holds(x: Tensor, condition: Numbers, /, *, axis: int | None = None) -> Tensor:
    if axis is None:
        x, axis = x.reshape(-1), 0
    axis = axis_of("Compress", axis, x.ndim)
    places = np.flatnonzero(condition[: x.shape[axis]])
    return T.index_select(x, axis, x.new_tensor(places.tolist(), dtype="int64"))


@operator("NonZero")
def places_not_zero(x: Numbers, /) -> np.ndarray:
    return (
        np.stack(np.nonzero(x)).astype(np.int64) if x.ndim else np.zeros((0, int(x != 0)), np.int64)
    )


@operator("OneHot")
def one_hot(I: Tensor, depth: Numbers, values: Tensor, /, *, axis: int = -1) -> Tensor:
    count = int(depth.reshape(-1)[0])
    axis = axis_of("OneHot", axis, I.ndim + 1)
    checked_shape("OneHot", (*I.shape, count), values.dtype.itemsize)
    places = [1] * (I.ndim + 1)
    places[axis] = count
    whole = I.to("int64")
    whole = T.where(whole < 0, whole + count, whole)
    hit = T.eq(
        T.unsqueeze(whole, axis), whole.new_tensor(range(count), dtype="int64").reshape(places)
    )
    return T.where(hit, values[1], values[0])


@operator("Unique")
def unique(x: Numbers, /, *, axis: int | None = None, sorted: int = 1) -> tuple[np.ndarray, ...]:
    values, first, back, counts = np.unique(
        x, return_index=True, return_inverse=True, return_counts=True, axis=axis
    )
    back = back.reshape(-1)
    if not sorted:
        order = np.argsort(first, kind="stable")
        values = np.take(values, order, axis=0 if axis is None else axis)
        first, counts = first[order], counts[order]
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        back = place[back]
    return values, first.astype(np.int64), back.astype(np.int64), counts.astype(np.int64)
