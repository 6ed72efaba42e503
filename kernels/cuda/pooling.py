"""Pooling and interpolation of up to three axes, as launches of kernels.

The tables of a ``LineMap`` are copied to each GPU once and kept as long as the map is.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from nnscratch.formulas.line_maps import LineMap
from nnscratch.formulas.max_pooling import MaxPoolSaved
from nnscratch.formulas.resampling import ResampleSaved

from .driver import cover
from .implementation import CudaKernel, Inputs, Needs, Options
from .target import Target

Lowered = tuple[tuple[Any, ...], Any]
Lines = tuple[LineMap, ...]

AXES = 3
_PLANES = struct.Struct("=10q")
_POINT = LineMap(1, np.zeros((1, 1), np.int64), np.ones((1, 1)))
"""The map of an axis that is not there."""
_TABLES: WeakKeyDictionary[LineMap, dict[Any, Any]] = WeakKeyDictionary()


def _table(target: Target, line: LineMap, name: str, make: Callable[[], Any]) -> Any:
    """Return a table of a map on the current device."""
    kept = _TABLES.setdefault(line, {})
    key = name, target.driver.library, target.driver.place()
    if key not in kept:
        kept[key] = target.driver.upload(make())
    return kept[key]


def _read(target: Target, line: LineMap) -> Any:
    return _table(target, line, "read", lambda: np.ascontiguousarray(line.index, np.int64))


def _weights(target: Target, line: LineMap, dtype: Any) -> Any:
    return _table(target, line, f"weights {dtype}", lambda: line.weight_in(dtype))


def _windows_of(line: LineMap, which: int) -> Any:
    """Return for each entry the first window that reads it, or (1) the one behind the last."""
    begin, end = np.full(line.size, line.out), np.zeros(line.size, np.int64)
    for row in line.index:
        np.minimum.at(begin, row, np.arange(line.out))
        np.maximum.at(end, row, np.arange(1, line.out + 1))
    return (begin.astype(np.int64), end)[which]


def _three(lines: Lines) -> Lines:
    return (*(_POINT,) * (AXES - len(lines)), *lines)


def _planes(shape: tuple[int, ...], lines: Lines) -> bytes:
    """Return how planes of that shape are mapped, as kernels take it."""
    three = _three(lines)
    count = math.prod(shape[: len(shape) - len(lines)])
    sizes, outs, taps = zip(*((one.size, one.out, len(one.index)) for one in three), strict=True)
    return _PLANES.pack(count, *sizes, *outs, *taps)


def _results(shape: tuple[int, ...], lines: Lines) -> tuple[int, ...]:
    return (*shape[: len(shape) - len(lines)], *(line.out for line in lines))


def _check_lines(inputs: Inputs, options: Options) -> str | None:
    (X,), lines = inputs, options["lines"]
    if not 0 < len(lines) <= AXES:
        return "it maps one to three axes"
    sizes = tuple(line.size for line in lines)
    if X.ndim < len(lines) or X.shape[X.ndim - len(lines) :] != sizes:
        return "the sizes do not fit"  # the reference says what is wrong
    if 0 in _results(X.shape, lines) or not all(len(line.index) for line in lines):
        return "a plane is empty"
    return None


def _max_pool(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    (X,), lines = inputs, options["lines"]
    shape = _results(X.shape, lines)
    V, I = target.output(0, shape, X.dtype), target.output(1, shape, np.dtype("int64"))
    tables = [_read(target, line) for line in _three(lines)]
    arguments = (X, V, I, *tables, _planes(X.shape, lines))
    target.launch("pooling", "largest_of_windows", X.dtype, cover(V.size), arguments)
    return (V, I), MaxPoolSaved(I, tuple(X.shape), lines)


def _max_pool_backward(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    dV, _, I, shape, lines = inputs
    dX = target.output(0, tuple(shape), dV.dtype)
    tables = []
    for line in _three(lines):
        for which in (0, 1):
            make = partial(_windows_of, line, which)
            tables.append(_table(target, line, f"windows {which}", make))
    arguments = (dV, I, dX, *tables, _planes(tuple(shape), lines))
    target.launch("pooling", "largest_of_windows_backward", dV.dtype, cover(dX.size), arguments)
    return (dX,), None


def _check_max_pool_backward(inputs: Inputs, options: Options) -> str | None:
    dV, _, I, shape, _ = inputs
    if dV is None or dV.shape != I.shape:
        return "there is no gradient of the entries"
    return None if math.prod(shape) else "an array is empty"


def _resampled(target: Target, X: Any, lines: Lines) -> Any:
    Y = target.output(0, _results(X.shape, lines), X.dtype)
    tables = []
    for line in _three(lines):
        tables += [_read(target, line), _weights(target, line, X.dtype)]
    arguments = (X, Y, *tables, _planes(X.shape, lines))
    target.launch("pooling", "resample", X.dtype, cover(Y.size), arguments)
    return Y


def _resample(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    lines = options["lines"]
    return (_resampled(target, inputs[0], lines),), ResampleSaved(lines)


def _resample_backward(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    dY, lines = inputs
    return (_resampled(target, dY, tuple(line.transposed for line in lines)),), None


def _check_resample_backward(inputs: Inputs, options: Options) -> str | None:
    dY, lines = inputs
    return _check_lines((dY,), {"lines": tuple(line.transposed for line in lines)})


MAX_POOL_KERNEL = CudaKernel(
    "max_pool",
    ("pooling",),
    {"forward": _max_pool, "backward": _max_pool_backward},
    {"forward": _check_lines, "backward": _check_max_pool_backward},
    several=True,
)
RESAMPLE_KERNEL = CudaKernel(
    "resample",
    ("pooling",),
    {"forward": _resample, "backward": _resample_backward},
    {"forward": _check_lines, "backward": _check_resample_backward},
)
