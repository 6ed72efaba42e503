"""Dtypes, constants, and tensors made of nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch.errors import DTypeError, ShapeError
from nnscratch.interop.onnx.operators.room import checked_shape
from nnscratch.interop.onnx.operators.table import Numbers, operator
from nnscratch.interop.onnx.types import DTYPES, dtype_named
from nnscratch.tensors import Tensor


def _cast(x: Tensor, name: str) -> Tensor:
    if x.is_floating_point() and name not in ("bool", *DTYPES.values()):
        raise DTypeError(f"Cast: no tensors of {name}")
    return x.to(name)


@operator("Cast")
def cast(x: Tensor, /, *, to: Any, saturate: int = 1, round_mode: str = "up") -> Tensor:
    return _cast(x, dtype_named("Cast", to))


@operator("CastLike")
def cast_like(x: Tensor, y: Tensor, /, *, saturate: int = 1, round_mode: str = "up") -> Tensor:
    return _cast(x, y.dtype.name)


@operator("BitCast")
def bits_as(x: Numbers, /, *, to: int) -> np.ndarray:
    name = dtype_named("BitCast", to)
    dtype = np.dtype(name)
    if dtype.itemsize != x.dtype.itemsize:
        raise DTypeError(f"BitCast: {x.dtype} and {name} are of different sizes")
    return np.ascontiguousarray(x).view(dtype).reshape(x.shape)


@operator("Constant")
def constant(
    *,
    value: Any = None,
    value_float: float | None = None,
    value_floats: Any = None,
    value_int: int | None = None,
    value_ints: Any = None,
) -> np.ndarray:
    if value is not None:
        return value
    floats = value_floats if value_float is None else value_float
    if floats is not None:
        return np.asarray(floats, np.float32)
    return np.asarray(value_ints if value_int is None else value_int, np.int64)


@operator("ConstantOfShape")
def constant_of_shape(shape: Numbers, /, *, value: Any = None) -> np.ndarray:
    number = np.zeros(1, np.float32) if value is None else value
    wanted = checked_shape("ConstantOfShape", shape.reshape(-1).tolist(), number.itemsize)
    return np.full(wanted, number.reshape(-1)[0], number.dtype)


@operator("Range")
def numbers_from_to(
    start: Numbers, stop: Numbers, step: Numbers, /, *, stash_type: int = 1
) -> np.ndarray:
    if step.item() == 0:
        raise ShapeError("Range: a step of 0")
    wide = [
        one.astype(np.float64) if one.dtype.kind not in "iu" else one.astype(object)
        for one in (start, stop, step)
    ]
    first, last, by = (one.item() for one in wide)
    count = max(
        0,
        -int(-(last - first) // by)
        if isinstance(first, int)
        else int(np.ceil((last - first) / by)),
    )
    checked_shape("Range", (count,), start.itemsize)
    return np.asarray(first + np.arange(count) * by).astype(start.dtype)


@operator("EyeLike")
def ones_on_diagonal(x: Tensor, /, *, dtype: int | None = None, k: int = 0) -> np.ndarray:
    name = x.dtype.name if dtype is None else dtype_named("EyeLike", dtype)
    if x.ndim != 2:
        raise ShapeError(f"EyeLike: expected a matrix, got shape {tuple(x.shape)}")
    rows, columns = checked_shape("EyeLike", x.shape)
    return np.eye(rows, columns, k=k).astype(name)
