"""Sums, products and extremes along axes, sums up to each entry, the largest few."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnscratch import formulas as f
from nnscratch.errors import ShapeError
from nnscratch.interop.onnx.operators.room import axes_of, axis_of
from nnscratch.interop.onnx.operators.table import Numbers, operator
from nnscratch.tensors import Tensor, apply
from nnscratch.tensors import functions as T
from nnscratch.tensors import ops as O


def _sum(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return apply(f.SUM, x, axis=axes, keepdims=keep).to(x.dtype)


def _mean(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    if x.is_floating_point():
        return apply(f.MEAN, x, axis=axes, keepdims=keep)
    count = 1
    for axis in axes:
        count *= x.shape[axis]
    # Cut towards 0, as a float is when it becomes a whole number.
    return O.div(_sum(x, axes, keep), max(count, 1), rounding_mode="trunc").to(x.dtype)


def _extreme(formula: Any, lowest: bool) -> Callable[..., Tensor]:
    def reduce(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
        if 0 in [x.shape[axis] for axis in axes]:
            # Of nothing: the neutral element, the far end of the dtype.
            shape = [1 if i in axes else n for i, n in enumerate(x.shape)]
            kept = shape if keep else [n for i, n in enumerate(x.shape) if i not in axes]
            return x.new_full(kept, _far_end(x, lowest))
        if x.dtype == "bool":
            return reduce(x.to("uint8"), axes, keep).to("bool")
        return apply(formula, x, axis=axes, keepdims=keep)

    return reduce


def _far_end(x: Tensor, high: bool) -> Any:
    if x.dtype == "bool":
        return high
    if x.is_floating_point():
        return float("inf") if high else float("-inf")
    limits = np.iinfo(x.dtype)
    return int(limits.max if high else limits.min)


def _product(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    for axis in sorted(axes, reverse=True):
        x = apply(f.PROD, x, axis=axis, keepdims=keep).to(x.dtype)
    return x


def _sum_of_sizes(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return _sum(T.abs(x), axes, keep)


def _sum_of_squares(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return _sum(x * x, axes, keep)


def _length(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    if not x.is_floating_point():
        return T.sqrt(_sum_of_squares(x, axes, keep).to("float64")).to(x.dtype)
    return apply(f.NORM, x, p=2.0, axis=axes, keepdims=keep)


def _log_of_sum(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return T.log(_sum(x, axes, keep)).to(x.dtype)


def _log_of_sum_of_exponentials(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    if not axes:
        return x
    if 0 in [x.shape[axis] for axis in axes]:
        return _log_of_sum(T.exp(x), axes, keep).to(x.dtype)
    return T.logsumexp(x if x.is_floating_point() else x.to("float64"), axes, keep).to(x.dtype)


def _reduction(name: str, function: Callable[..., Tensor]) -> None:
    @operator(name)
    def reduce(
        x: Tensor,
        given: Numbers | None = None,
        /,
        *,
        axes: Sequence[int] | None = None,
        keepdims: int = 1,
        noop_with_empty_axes: int = 0,
    ) -> Tensor:
        if given is not None:
            axes = given.reshape(-1).tolist()
        if not axes:
            if noop_with_empty_axes:
                # Of no axes: each entry by itself.
                return function(x, (), True)
            axes = None
        return function(x, axes_of(name, axes, x.ndim), bool(keepdims))


for _name, _function in (
    ("Sum", _sum),
    ("Mean", _mean),
    ("Max", _extreme(f.MAX, False)),
    ("Min", _extreme(f.MIN, True)),
    ("Prod", _product),
    ("L1", _sum_of_sizes),
    ("L2", _length),
    ("SumSquare", _sum_of_squares),
    ("LogSum", _log_of_sum),
    ("LogSumExp", _log_of_sum_of_exponentials),
):
    _reduction(f"Reduce{_name}", _function)


def _place_of(where: str, formula: Any, x: Tensor, axis: int, keep: int, last: int) -> Tensor:
    axis = axis_of(where, axis, x.ndim)
    if not last:
        return apply(formula, x, axis=axis, keepdims=bool(keep))
    found = apply(formula, O.flip(x, (axis,)), axis=axis, keepdims=bool(keep))
    return found * -1 + (x.shape[axis] - 1)


@operator("ArgMax")
def place_of_largest(
    x: Tensor, /, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0
) -> Tensor:
    return _place_of("ArgMax", f.ARGMAX, x, axis, keepdims, select_last_index)


@operator("ArgMin")
def place_of_smallest(
    x: Tensor, /, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0
) -> Tensor:
    return _place_of("ArgMin", f.ARGMIN, x, axis, keepdims, select_last_index)


def _scanned(
    where: str, function: Any, x: Tensor, axis: int, exclusive: int, reverse: int
) -> Tensor:
    axis = axis_of(where, axis, x.ndim)
    if reverse:
        x = O.flip(x, (axis,))
    y = function(x, axis).to(x.dtype)
    if exclusive:
        start = T.narrow(x, axis, 0, min(1, x.shape[axis]))
        neutral = start * 0 if function is O.cumsum else start * 0 + 1
        y = T.cat([neutral, T.narrow(y, axis, 0, max(x.shape[axis] - 1, 0))], axis)
    return O.flip(y, (axis,)) if reverse else y


@operator("CumSum")
def sums_up_to(x: Tensor, axis: Numbers, /, *, exclusive: int = 0, reverse: int = 0) -> Tensor:
    return _scanned("CumSum", O.cumsum, x, int(axis.item()), exclusive, reverse)


@operator("CumProd")
def products_up_to(x: Tensor, axis: Numbers, /, *, exclusive: int = 0, reverse: int = 0) -> Tensor:
    return _scanned("CumProd", O.cumprod, x, int(axis.item()), exclusive, reverse)


@operator("TopK")
def largest_few(
    x: Tensor,
    count: Numbers | None = None,
    /,
    *,
    axis: int = -1,
    largest: int = 1,
    sorted: int = 1,
    k: int | None = None,
) -> tuple[Tensor, Tensor]:
    wanted = int(k if count is None else count.item())  # type: ignore[arg-type]
    axis = axis_of("TopK", axis, x.ndim)
    if not 0 <= wanted <= x.shape[axis]:
        raise ShapeError(f"TopK: {wanted} entries of an axis of {x.shape[axis]}")
    # Sorted stably: of equal entries the first, as ONNX asks.
    places = apply(f.ARGSORT, x, axis=axis, descending=bool(largest), count=None)
    places = T.narrow(places, axis, 0, wanted)
    return T.gather(x, axis, places), places
