"""The windows of pooling along one axis, as maps: how many there are, and what each reads."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.formulas.line_maps import LineMap


def window_count(
    where: str, size: int, kernel: int, stride: int, padding: int, dilation: int, ceil: bool
) -> int:
    """Return how many windows there are along an axis.

    With ``ceil`` one more may reach over the end, but none begins in the padding there.

    Raises:
        ConfigurationError: if an option is out of range, the padding is more than half a window.
        ShapeError: if there is no window.

    >>> window_count("pool", 5, 2, 2, 0, 1, False), window_count("pool", 5, 2, 2, 0, 1, True)
    (2, 3)
    """
    reach = dilation * (kernel - 1) + 1
    for name, given, least in (
        ("kernel_size", kernel, 1),
        ("stride", stride, 1),
        ("dilation", dilation, 1),
        ("padding", padding, 0),
    ):
        if given < least:
            raise ConfigurationError(f"{where}: {name} must be at least {least}, got {given}")
    if padding > reach // 2:
        raise ConfigurationError(
            f"{where}: padding should be at most half of the window, got padding={padding} and "
            f"kernel_size={kernel}" + (f", dilation={dilation}" if dilation > 1 else "")
        )
    room = size + 2 * padding - reach
    count = -(-room // stride) + 1 if ceil else room // stride + 1
    if ceil and (count - 1) * stride >= size + padding:
        count -= 1
    if count < 1:
        raise ShapeError(
            f"{where}: a window of {reach} entries is larger than the {size} there are"
            + (f" with {padding} of padding on both sides" if padding else "")
            + "; the output would be empty"
        )
    return count


@lru_cache(maxsize=4096)
def averages(
    size: int, kernel: int, stride: int, padding: int, count: int, inside: bool = False
) -> LineMap:
    """Return the map to averages over windows; padding counts as zeros, unless only ``inside``.

    What reaches over the padding at the end, as windows may in ceil mode, is never counted.
    """
    start = np.arange(count) * stride - padding
    index = start + np.arange(kernel)[:, None]
    there = (index >= 0) & (index < size)
    divisor = there.sum(0) if inside else np.minimum(start + kernel, size + padding) - start
    return LineMap(size, np.clip(index, 0, max(size - 1, 0)), there / np.maximum(divisor, 1))


@lru_cache(maxsize=4096)
def sums(size: int, kernel: int, stride: int, padding: int, count: int) -> LineMap:
    """Return the map to sums over windows, in which padding is 0."""
    index = np.arange(count) * stride - padding + np.arange(kernel)[:, None]
    there = (index >= 0) & (index < size)
    return LineMap(size, np.clip(index, 0, max(size - 1, 0)), there.astype(float))


@lru_cache(maxsize=4096)
def windows(
    size: int, kernel: int, stride: int, padding: int, dilation: int, count: int
) -> LineMap:
    """Return what windows read, weights 1; where that is padding, an entry of theirs once more.

    A largest entry stays what it is when one of the window is looked at twice.

    Raises:
        ShapeError: if a window has nothing but padding.
    """
    index = np.arange(count) * stride - padding + dilation * np.arange(kernel)[:, None]
    spacing = (-padding, stride, dilation)
    return _repeating(size, index, (index >= 0) & (index < size), spacing)


def _repeating(
    size: int, index: np.ndarray, there: np.ndarray, spacing: tuple[int, int, int] | None = None
) -> LineMap:
    if not there.any(0).all():
        raise ShapeError(
            f"max_pool: a window has nothing but padding in a dimension of size {size}; use a "
            "smaller dilation or padding"
        )
    # The nearest one that is there, so that the order in which a window is read stays the same.
    first = np.take_along_axis(index, np.argmax(there, 0)[None], 0)
    last = np.take_along_axis(index, len(index) - 1 - np.argmax(there[::-1], 0)[None], 0)
    kept = np.ascontiguousarray(np.clip(index, first, last))
    return LineMap(size, kept, np.ones(index.shape), spacing)


def _adaptive(size: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which entries ``count`` windows read that divide a line evenly, and which are read."""
    places = np.arange(count)
    start, stop = places * size // count, -(-(places + 1) * size // count)
    index = start + np.arange(max(1, int((stop - start).max(initial=1))))[:, None]
    return np.minimum(index, max(size - 1, 0)), index < stop


@lru_cache(maxsize=4096)
def adaptive_averages(size: int, count: int) -> LineMap:
    """Return the map to averages over windows from floor(o n / O) to ceil((o + 1) n / O).

    >>> adaptive_averages(5, 3).weight.sum(0)
    array([1., 1., 1.])
    """
    index, there = _adaptive(size, count)
    return LineMap(size, index, there / there.sum(0))


@lru_cache(maxsize=4096)
def adaptive_windows(size: int, count: int) -> LineMap:
    """Return what the windows of ``adaptive_averages`` read, as ``windows`` does."""
    return _repeating(size, *_adaptive(size, count))
