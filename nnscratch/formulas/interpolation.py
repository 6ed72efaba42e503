r"""Interpolation along one axis, as maps: which entries each result lies between, and the weights.

Result o of O lies at $x = (o + \frac12) s - \frac12$ of a line of n entries, with the scale
$s = n / O$, or at $x = o (n - 1) / (O - 1)$ where the outer entries are aligned.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from nnscratch.formulas.line_maps import LineMap


def _positions(size: int, count: int, scale: float | None, align: bool) -> np.ndarray:
    places = np.arange(count, dtype=np.float64)
    if align:
        return places * ((size - 1) / (count - 1) if count > 1 else 0.0)
    return (places + 0.5) * _step(size, count, scale) - 0.5


def _step(size: int, count: int, scale: float | None) -> float:
    """Return how far two results lie apart; ``scale`` is by how much the line was to grow."""
    return 1.0 / scale if scale else size / max(count, 1)


@lru_cache(maxsize=4096)
def nearest(size: int, count: int, scale: float | None, exact: bool) -> LineMap:
    """Return the map to the entry at floor(o s), or with ``exact`` at floor((o + 1/2) s).

    >>> nearest(2, 4, None, False).index
    array([[0, 0, 1, 1]])
    """
    # As PyTorch has it: the step is a float32 there, and decides at which of two entries it lies.
    step = np.float32(_step(size, count, scale))
    places = np.arange(count, dtype=np.float32)
    found = np.floor((places + np.float32(0.5)) * step if exact else places * step)
    index = np.minimum(found.astype(np.int64), size - 1)
    return LineMap(size, index[None], np.ones((1, count)))


@lru_cache(maxsize=4096)
def linear(size: int, count: int, scale: float | None, align: bool) -> LineMap:
    """Return the map to the straight line between the two nearest entries.

    >>> linear(2, 3, None, True).weight
    array([[1. , 0.5, 1. ],
           [0. , 0.5, 0. ]])
    """
    x = _positions(size, count, scale, align)
    x = np.maximum(x, 0.0)
    low = np.minimum(np.floor(x).astype(np.int64), size - 1)
    share = np.clip(x - low, 0.0, 1.0)
    index = np.stack([low, np.minimum(low + 1, size - 1)])
    share[low == size - 1] = 0.0
    return LineMap(size, index, np.stack([1.0 - share, share]))


@lru_cache(maxsize=4096)
def cubic(size: int, count: int, scale: float | None, align: bool) -> LineMap:
    r"""Return the map to the cubic through the four nearest entries (Keys 1981, a = -3/4).

    Behind the first and the last entry these are repeated.
    """
    x = _positions(size, count, scale, align)
    low = np.floor(x).astype(np.int64)
    index = np.clip(low + np.arange(-1, 3)[:, None], 0, size - 1)
    return LineMap(size, index, np.stack(cubic_weights(x - low)))


def cubic_weights(t: Any) -> list[Any]:
    """Return the weights of the entries at -1, 0, 1 and 2 for a place t between 0 and 1."""
    a = -0.75
    near = [1.0 - t, t]
    far = [1.0 + t, 2.0 - t]
    inner = [((a + 2.0) * d - (a + 3.0)) * d * d + 1.0 for d in (t, near[0])]
    outer = [((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a for d in far]
    return [outer[0], inner[0], inner[1], outer[1]]


@lru_cache(maxsize=4096)
def filtered(size: int, count: int, scale: float | None, align: bool, cubes: bool) -> LineMap:
    """Return the map to the line (or the cubic, a = -1/2) through an average of what lies near.

    Where a line shrinks, the triangle (or the cubic) is as much wider, so that every entry takes
    part: "antialias".
    """
    step = (size - 1) / (count - 1) if align and count > 1 else _step(size, count, scale)
    wide = max(step, 1.0)
    reach = (2.0 if cubes else 1.0) * wide
    middle = step * (np.arange(count) + 0.5)
    start = np.maximum((middle - reach + 0.5).astype(np.int64), 0)
    stop = np.minimum((middle + reach + 0.5).astype(np.int64), size)
    index = start + np.arange(max(1, int((stop - start).max(initial=1))))[:, None]
    d = np.abs(index - middle + 0.5) / wide
    if cubes:
        a = -0.5
        near = ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0
        weight = np.where(d < 1.0, near, (((d - 5.0) * d + 8.0) * d - 4.0) * a)
    else:
        weight = 1.0 - d
    weight = np.where((d < (2.0 if cubes else 1.0)) & (index < stop), weight, 0.0)
    return LineMap(size, np.minimum(index, size - 1), weight / weight.sum(0))
