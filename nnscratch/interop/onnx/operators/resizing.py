"""Images in another size, each axis by a map of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnscratch import formulas as f
from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.formulas.line_maps import LineMap
from nnscratch.interop.onnx.operators.room import axes_of, checked_shape
from nnscratch.interop.onnx.operators.table import Numbers, operator
from nnscratch.tensors import Tensor, apply
from nnscratch.tensors import functions as T

_ROUND: dict[str, Callable[[np.ndarray], Any]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


def _places(
    how: str, size: int, count: int, scale: float, roi: tuple[float, float], dtype: str
) -> np.ndarray:
    """Return where each result lies in the line of entries, computed in a dtype.

    Raises:
        ConfigurationError: if there is no such way.
    """
    x = np.arange(count, dtype=dtype)
    if how == "half_pixel":
        return (x + 0.5) / scale - 0.5
    if how == "half_pixel_symmetric":
        adjustment = count / (scale * size)
        return size / 2 * (1 - adjustment) + (x + 0.5) / scale - 0.5
    if how == "pytorch_half_pixel":
        return (x + 0.5) / scale - 0.5 if count > 1 else x * 0.0
    if how == "align_corners":
        return x * ((size - 1) / (size * scale - 1) if size * scale != 1 else 0.0)
    if how == "asymmetric":
        return x / scale
    if how == "tf_crop_and_resize":
        start, end = roi
        if count > 1:
            return start * (size - 1) + x * (end - start) * (size - 1) / (count - 1)
        return x + 0.5 * (start + end) * (size - 1)
    raise ConfigurationError(f"Resize: there is no coordinate_transformation_mode {how!r}")


def _cubic(d: np.ndarray, a: float) -> np.ndarray:
    d = np.abs(d)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


def _line(mode: str, x: np.ndarray, size: int, scale: float, options: dict[str, Any]) -> LineMap:
    """Return the map for results at places x."""
    if mode == "nearest":
        near = options["nearest_mode"]
        if near not in _ROUND:
            raise ConfigurationError(f"Resize: there is no nearest_mode {near!r}")
        index = np.clip(_ROUND[near](x), 0, size - 1).astype(np.int64)
        return LineMap(size, index[None], np.ones((1, len(x))))
    reach = 2 if mode == "cubic" else 1
    wide = max(1.0 / scale, 1.0) if options["antialias"] else 1.0
    taps = int(np.ceil(reach * wide))
    low = np.floor(x).astype(np.int64)
    index = low + np.arange(1 - taps, taps + 1)[:, None]
    distance = (index - x) / wide
    if mode == "cubic":
        weight = _cubic(distance, options["cubic_coeff_a"])
    else:
        weight = np.maximum(1 - np.abs(distance), 0.0)
    there = (index >= 0) & (index < size)
    if options["exclude_outside"]:
        weight = np.where(there, weight, 0.0)
    weight = weight / weight.sum(0)
    return LineMap(size, np.clip(index, 0, size - 1), weight)


def _resized(
    x: Tensor,
    mode: str,
    counts: list[int],
    scales: list[float],
    roi: list[tuple[float, float]],
    how: str,
    options: dict[str, Any],
) -> Tensor:
    if mode not in ("nearest", "linear", "cubic"):
        raise ConfigurationError(f"Resize: mode is nearest, linear or cubic; got {mode!r}")
    checked_shape("Resize", counts, x.dtype.itemsize)
    if 0 in x.shape:
        raise ShapeError(f"Resize: nothing to read in {tuple(x.shape)}")
    dtype = x.dtype
    # float64 holds more whole numbers; where entries are only picked they stay what they are.
    y = x if x.is_floating_point() or mode == "nearest" else x.to("float64")
    outside: Any = None
    for axis, (count, scale) in enumerate(zip(counts, scales, strict=True)):
        size = x.shape[axis]
        if count == size and scale == 1.0 and how != "tf_crop_and_resize":
            continue
        # A file's scale is a float32. Half-way in those is not half-way in float64, and the
        # nearest entry another one than onnxruntime and ONNX's reference take.
        dtype_of_places = "float32" if mode == "nearest" else "float64"
        places = _places(how, size, count, scale, roi[axis], dtype_of_places)
        line = _line(mode, places, size, scale, options)
        y = _along(y, axis, line)
        if how == "tf_crop_and_resize":
            beyond = (places < 0) | (places > size - 1)
            shape = [len(places) if i == axis else 1 for i in range(x.ndim)]
            beyond = beyond.reshape(shape)
            outside = beyond if outside is None else outside | beyond
    if outside is not None and outside.any():
        mask = x.new_tensor(outside.tolist(), dtype="bool")
        y = T.where(mask, y.new_full((), options["extrapolation_value"]), y)
    return y if dtype == y.dtype else y.to(dtype)


def _along(y: Tensor, axis: int, line: LineMap) -> Tensor:
    """Apply a map along any axis: the formula takes the last ones."""
    if not y.is_floating_point():
        return T.index_select(y, axis, y.new_tensor(line.index[0].tolist(), dtype="int64"))
    if axis == y.ndim - 1:
        return apply(f.RESAMPLE, y, lines=(line,))
    return T.transpose(apply(f.RESAMPLE, T.transpose(y, axis, -1), lines=(line,)), axis, -1)


def _scaled(size: int, scale: float) -> int:
    """Return how many entries there are of a size that is scaled by a float32.

    The product is one too, as in ONNX's inference of shapes: 2.6 is a little less than that in a
    file, and five times it are 13 all the same.
    """
    return int(np.floor(np.float32(size) * np.float32(scale)))


@operator("Resize")
def resize(
    x: Tensor,
    first: Numbers | None = None,
    second: Numbers | None = None,
    third: Numbers | None = None,
    /,
    *,
    antialias: int = 0,
    axes: Sequence[int] | None = None,
    coordinate_transformation_mode: str = "half_pixel",
    cubic_coeff_a: float = -0.75,
    exclude_outside: int = 0,
    extrapolation_value: float = 0.0,
    keep_aspect_ratio_policy: str = "stretch",
    mode: str = "nearest",
    nearest_mode: str = "round_prefer_floor",
    opset: int,
) -> Tensor:
    # Before opset 11 there were scales only.
    roi, scales, sizes = (first, second, third) if opset >= 11 else (None, first, None)
    how = coordinate_transformation_mode if opset >= 11 else "asymmetric"
    near = nearest_mode if opset >= 11 else "floor"
    where = axes_of("Resize", axes, x.ndim)
    given_sizes = sizes is not None and sizes.size > 0
    numbers = sizes if given_sizes else scales
    if numbers is None or numbers.size != len(where):
        raise ShapeError(f"Resize: expected a scale or a size for each of {len(where)} axes")
    counts, factors = list(x.shape), [1.0] * x.ndim
    wanted = [float(one) for one in numbers.reshape(-1)]
    if (not given_sizes and min(wanted) <= 0) or not np.isfinite(wanted).all():
        raise ShapeError(f"Resize: scales are numbers larger than 0, got {wanted}")
    policy = keep_aspect_ratio_policy
    if policy not in ("stretch", "not_larger", "not_smaller"):
        raise ConfigurationError(f"Resize: there is no keep_aspect_ratio_policy {policy!r}")
    if given_sizes and policy != "stretch":
        ratios = [n / x.shape[axis] for n, axis in zip(wanted, where, strict=True)]
        one = min(ratios) if policy == "not_larger" else max(ratios)
        wanted = [float(np.floor(x.shape[axis] * one + 0.5)) for axis in where]
        for axis, n in zip(where, wanted, strict=True):
            counts[axis], factors[axis] = int(n), one
    else:
        for axis, n in zip(where, wanted, strict=True):
            counts[axis] = int(n) if given_sizes else _scaled(x.shape[axis], n)
            factors[axis] = n / max(x.shape[axis], 1) if given_sizes else n
    spans = [(0.0, 1.0)] * x.ndim
    if roi is not None and roi.size == 2 * len(where):
        for i, axis in enumerate(where):
            spans[axis] = (float(roi[i]), float(roi[i + len(where)]))
    options = {
        "nearest_mode": near, "antialias": antialias, "cubic_coeff_a": cubic_coeff_a,
        "exclude_outside": exclude_outside, "extrapolation_value": extrapolation_value,
    }  # fmt: skip
    return _resized(x, mode, counts, factors, spans, how, options)


@operator("Upsample")
def upsample(
    x: Tensor,
    given: Numbers | None = None,
    /,
    *,
    mode: str = "nearest",
    scales: Sequence[float] | None = None,
    height_scale: float = 1.0,
    width_scale: float = 1.0,
) -> Tensor:
    if given is not None:
        factors = [float(one) for one in given.reshape(-1)]
    elif scales is not None:
        factors = [float(one) for one in scales]
    else:
        factors = [1.0, 1.0, height_scale, width_scale]
    if len(factors) != x.ndim or min(factors) <= 0:
        raise ShapeError(f"Upsample: expected {x.ndim} scales larger than 0, got {factors}")
    counts = [_scaled(n, s) for n, s in zip(x.shape, factors, strict=True)]
    options = {
        "nearest_mode": "floor", "antialias": 0, "cubic_coeff_a": -0.75, "exclude_outside": 0,
        "extrapolation_value": 0.0,
    }  # fmt: skip
    spans = [(0.0, 1.0)] * x.ndim
    name = "linear" if mode in ("linear", "bilinear") else mode
    return _resized(x, name, counts, factors, spans, "asymmetric", options)
