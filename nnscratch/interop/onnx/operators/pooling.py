"""Pooling over windows and over everything."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from nnscratch import formulas as f
from nnscratch.errors import ShapeError
from nnscratch.formulas.line_maps import LineMap
from nnscratch.formulas.pooling_windows import windows
from nnscratch.interop.onnx.operators.room import checked_shape
from nnscratch.interop.onnx.operators.spans import Span, each, pairs, spans
from nnscratch.interop.onnx.operators.table import Numbers, operator
from nnscratch.tensors import Tensor, apply
from nnscratch.tensors import functions as T


@lru_cache(maxsize=4096)
def _summing(span: Span, average: bool, padded: bool) -> LineMap:
    """Return the map to sums or averages over windows; padding is 0, counted only if asked."""
    index = (
        np.arange(span.count) * span.stride
        - span.pads[0]
        + span.dilation * np.arange(span.kernel)[:, None]
    )
    there = (index >= 0) & (index < span.size)
    counted = (index < span.size + span.pads[1]) if padded else there
    divisor = np.maximum(counted.sum(0), 1) if average else 1
    return LineMap(span.size, np.clip(index, 0, max(span.size - 1, 0)), there / divisor)


@operator("AveragePool")
def average_pool(
    x: Tensor,
    /,
    *,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    count_include_pad: int = 0,
    dilations: Sequence[int] | None = None,
    kernel_shape: Sequence[int],
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    found = spans(
        "AveragePool", x.shape[2:], kernel_shape, strides, pads, dilations, auto_pad,
        bool(ceil_mode),
    )  # fmt: skip
    lines = tuple([_summing(span, True, bool(count_include_pad)) for span in found])
    return apply(f.RESAMPLE, x, lines=lines)


@operator("LpPool")
def norm_pool(
    x: Tensor,
    /,
    *,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    kernel_shape: Sequence[int],
    p: float = 2,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    found = spans(
        "LpPool", x.shape[2:], kernel_shape, strides, pads, dilations, auto_pad, bool(ceil_mode)
    )
    lines = tuple([_summing(span, False, False) for span in found])
    return T.pow(apply(f.RESAMPLE, T.pow(T.abs(x), p), lines=lines), 1.0 / p)


@operator("MaxPool")
def max_pool(
    x: Tensor,
    /,
    *,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    kernel_shape: Sequence[int],
    pads: Sequence[int] | None = None,
    storage_order: int = 0,
    strides: Sequence[int] | None = None,
    wanted: int,
) -> Any:
    found = spans(
        "MaxPool", x.shape[2:], kernel_shape, strides, pads, dilations, auto_pad, bool(ceil_mode)
    )
    lines = tuple(
        [windows(s.size, s.kernel, s.stride, s.pads[0], s.dilation, s.count) for s in found]
    )
    values, places = apply(f.MAX_POOL, x, lines=lines)
    if wanted < 2:
        return values
    plane = math.prod(x.shape[2:])
    if storage_order:
        places = _by_columns(places, x.shape[2:])
    first = places.new_tensor(range(x.shape[0] * x.shape[1]), dtype="int64") * plane
    return values, places + first.reshape(*x.shape[:2], *(1,) * (x.ndim - 2))


def _by_columns(places: Tensor, sizes: Sequence[int]) -> Tensor:
    """Return numbers of entries counted with the first axis as the fastest, not the last."""
    total, step = places * 0, math.prod(sizes)
    for size in reversed(sizes):
        step //= size
        behind = places // size
        total = total + (places - behind * size) * step
        places = behind
    return total


@operator("MaxUnpool")
def max_unpool(
    x: Tensor,
    I: Tensor,
    shape: Numbers | None = None,
    /,
    *,
    kernel_shape: Sequence[int],
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    dims = x.ndim - 2
    steps = each("MaxUnpool", "strides", strides, dims, 1)
    sizes = [
        (n - 1) * s + k - a - b
        for n, s, k, (a, b) in zip(
            x.shape[2:], steps, kernel_shape, pairs("MaxUnpool", pads, dims), strict=True
        )
    ]
    whole = checked_shape("MaxUnpool", (*x.shape[:2], *sizes), x.dtype.itemsize)
    zeros = x.new_zeros((math.prod(whole),))
    y = apply(f.SCATTER, zeros, I.reshape(-1), x.reshape(-1), axis=0).reshape(whole)
    if shape is None:
        return y
    wanted = checked_shape("MaxUnpool", shape.tolist(), x.dtype.itemsize)
    if len(wanted) != x.ndim or any(a < b for a, b in zip(wanted, whole, strict=True)):
        raise ShapeError(f"MaxUnpool: a result of {whole} in an output_shape of {wanted}")
    index = tuple([slice(0, n) for n in whole])
    return apply(f.PLACE, y, shape=wanted, index=index)


def _spatial(where: str, x: Tensor) -> tuple[int, ...]:
    if x.ndim < 3:
        raise ShapeError(f"{where}: expected (N, C, ...), got shape {tuple(x.shape)}")
    return tuple(range(2, x.ndim))


@operator("GlobalAveragePool")
def global_average_pool(x: Tensor, /) -> Tensor:
    return apply(f.MEAN, x, axis=_spatial("GlobalAveragePool", x), keepdims=True)


@operator("GlobalMaxPool")
def global_max_pool(x: Tensor, /) -> Tensor:
    return apply(f.MAX, x, axis=_spatial("GlobalMaxPool", x), keepdims=True)


@operator("GlobalLpPool")
def global_norm_pool(x: Tensor, /, *, p: float = 2) -> Tensor:
    return apply(f.NORM, x, p=float(p), axis=_spatial("GlobalLpPool", x), keepdims=True)
