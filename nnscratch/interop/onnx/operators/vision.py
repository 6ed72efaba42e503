"""What networks that look for objects need: grids, regions, and boxes that overlap."""

from __future__ import annotations

import math

import numpy as np

from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.interop.onnx.operators.room import checked_shape
from nnscratch.interop.onnx.operators.table import Numbers, operator
from nnscratch.nn import functional as F
from nnscratch.tensors import Tensor
from nnscratch.tensors import functions as T

_MODES = {"linear": "bilinear", "cubic": "bicubic"}


@operator("GridSample")
def grid_sample(
    x: Tensor,
    grid: Tensor,
    /,
    *,
    align_corners: int = 0,
    mode: str = "linear",
    padding_mode: str = "zeros",
) -> Tensor:
    name = _MODES.get(mode, mode)
    return F.grid_sample(x, grid, name, padding_mode, bool(align_corners))


@operator("AffineGrid")
def affine_grid(theta: Tensor, size: Numbers, /, *, align_corners: int = 0) -> Tensor:
    wanted = checked_shape("AffineGrid", size.tolist())
    return F.affine_grid(theta, wanted, bool(align_corners))


@operator("RoiAlign")
def regions(
    x: Tensor,
    boxes: Numbers,
    images: Numbers,
    /,
    *,
    coordinate_transformation_mode: str | None = None,
    mode: str = "avg",
    output_height: int = 1,
    output_width: int = 1,
    sampling_ratio: int = 0,
    spatial_scale: float = 1.0,
    opset: int,
) -> Tensor:
    """Read each box at a grid of places, and take the average or the largest of each cell."""
    how = coordinate_transformation_mode or ("half_pixel" if opset >= 16 else "output_half_pixel")
    if how not in ("half_pixel", "output_half_pixel"):
        raise ConfigurationError(
            "RoiAlign: coordinate_transformation_mode is half_pixel or output_half_pixel, "
            f"got {how!r}"
        )
    if mode not in ("avg", "max"):
        raise ConfigurationError(f"RoiAlign: mode is avg or max, got {mode!r}")
    n, c, h, w = x.shape
    if images.size and not 0 <= images.min() <= images.max() < n:
        raise ShapeError(f"RoiAlign: a box in image {images.max()} of {n}")
    checked_shape("RoiAlign", (len(boxes), c, output_height, output_width), x.dtype.itemsize)
    shift = 0.5 if how == "half_pixel" else 0.0
    found = []
    for box, image in zip(boxes.astype(np.float64), images, strict=True):
        x1, y1, x2, y2 = box * spatial_scale - shift
        wide, high = x2 - x1, y2 - y1
        if how != "half_pixel":
            wide, high = max(wide, 1.0), max(high, 1.0)
        sides = []
        for start, span, cells, size in ((y1, high, output_height, h), (x1, wide, output_width, w)):
            count = sampling_ratio or max(1, math.ceil(span / cells))
            cell = span / cells
            at = start + (np.arange(cells * count) + 0.5) * (cell / count)
            sides.append((at, size, count))
        found.append(_cells(x[int(image)], sides, output_height, output_width, mode))
    if not found:
        return x.new_zeros((0, c, output_height, output_width))
    return T.stack(found, 0)


def _cells(
    plane: Tensor, sides: list[tuple[np.ndarray, int, int]], high: int, wide: int, mode: str
) -> Tensor:
    """Return one box (C, high, wide) of an image (C, H, W)."""
    (y, h, rows), (x, w, columns) = sides
    checked_shape("RoiAlign", (plane.shape[0], len(y), len(x)), 16)
    parts = []
    (y0, y1, ty, iny), (x0, x1, tx, inx) = _beside(y, h), _beside(x, w)
    inside = (iny[:, None] & inx[None, :]).astype(np.float64)
    for a, wa in ((y0, 1 - ty), (y1, ty)):
        for b, wb in ((x0, 1 - tx), (x1, tx)):
            index = plane.new_tensor(
                (a[:, None] * w + b[None, :]).reshape(-1).tolist(), dtype="int64"
            )
            values = T.index_select(plane.reshape(plane.shape[0], h * w), 1, index)
            weight = plane.new_tensor((wa[:, None] * wb[None, :] * inside).reshape(-1).tolist())
            parts.append((values * weight).reshape(plane.shape[0], high, rows, wide, columns))
    if mode == "avg":
        total = parts[0] + parts[1] + parts[2] + parts[3]
        return T.mean(total, (2, 4))
    # ONNX takes the largest of the four weighted pixels too, not of their sum.
    largest = T.maximum(T.maximum(parts[0], parts[1]), T.maximum(parts[2], parts[3]))
    return T.amax(largest, (2, 4))


def _beside(at: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    inside = (at >= -1.0) & (at <= size)
    at = np.clip(at, 0.0, size - 1)
    low = np.floor(at).astype(np.int64)
    return low, np.minimum(low + 1, size - 1), at - low, inside


@operator("NonMaxSuppression")
def suppress(
    boxes: Numbers,
    scores: Numbers,
    most: Numbers | None = None,
    overlap: Numbers | None = None,
    least: Numbers | None = None,
    /,
    *,
    center_point_box: int = 0,
) -> np.ndarray:
    """Take boxes from the best score on, none that overlaps one already taken too much."""
    limit = 0 if most is None else int(most.reshape(-1)[0])
    share = 0.0 if overlap is None else float(overlap.reshape(-1)[0])
    found: list[tuple[int, int, int]] = []
    for image in range(boxes.shape[0]):
        corners = _corners(boxes[image].astype(np.float64), bool(center_point_box))
        for kind in range(scores.shape[1]):
            given = scores[image, kind]
            order = np.argsort(-given, kind="stable")
            if least is not None:
                order = order[given[order] > float(least.reshape(-1)[0])]
            taken = 0
            while order.size and taken < limit:
                best, order = int(order[0]), order[1:]
                found.append((image, kind, best))
                taken += 1
                order = order[_overlaps(corners[best], corners[order]) <= share]
    return np.asarray(found, np.int64).reshape(-1, 3)


def _corners(boxes: np.ndarray, centred: bool) -> np.ndarray:
    a, b = boxes[:, :2], boxes[:, 2:]
    if centred:
        return np.concatenate([a - b / 2, a + b / 2], 1)
    return np.concatenate([np.minimum(a, b), np.maximum(a, b)], 1)


def _overlaps(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the shared part of a box and others, of what both cover together."""
    low, high = np.maximum(one[:2], others[:, :2]), np.minimum(one[2:], others[:, 2:])
    both = np.prod(np.maximum(high - low, 0.0), 1)
    whole = np.prod(one[2:] - one[:2]) + np.prod(others[:, 2:] - others[:, :2], 1) - both
    return np.where(whole > 0, both / np.where(whole > 0, whole, 1.0), 0.0)
