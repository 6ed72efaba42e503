"""What is shown of an array: all its numbers if it is tiny, else statistics and small pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnscratch.array import to_numpy

TINY = 48
"""An array of at most so many entries is shown whole."""
BINS = 16
SIDE = 12
LEVELS = 12
"""How many colours a heat map has on each side of zero."""
_SAMPLED = 1 << 16
_ZERO = ord("M")


@dataclass(frozen=True)
class ArrayFacts:
    """What is known of an array after a call.

    Attributes:
        name: what the equation calls it.
        shape: its shape.
        dtype: the name of its dtype.
        values: every entry in C order; empty if there are more than ``TINY``.
        low: the least finite entry, NaN if there is none; of complex numbers the magnitudes count.
        mean: the mean of the finite entries.
        high: the largest.
        odd: how many entries are NaN or infinite.
        bins: a histogram from ``low`` to ``high``; empty where all entries are shown.
        heat: rows of a heat map, a letter for each entry: M is 0, A the most negative and Y the
            most positive, by the largest magnitude in it. Rows and columns are picked evenly from
            the last two axes (of a small kernel, from the matrix of its filters).
        frame: what is framed in the heat map: top, left, height and width in entries of it.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    values: tuple[float, ...]
    low: float
    mean: float
    high: float
    odd: int
    bins: tuple[int, ...] = ()
    heat: tuple[str, ...] = ()
    frame: tuple[int, ...] = ()

    def __str__(self) -> str:
        head = f"{self.name} {self.shape}"
        if not self.values:
            text = f"min {self.low:.4g}, mean {self.mean:.4g}, max {self.high:.4g}"
            return f"{head}: {text}" + (f", {self.odd:,} not finite" if self.odd else "")
        return f"{head} = {_nested([f'{value:.4g}' for value in self.values], self.shape)}"


def numbers(name: str, array: Any) -> ArrayFacts:
    """Return what is shown of an array.

    >>> str(numbers("W", np.array([[1.0, 2.0], [3.0, 4.5]])))
    'W (2, 2) = [[1, 2], [3, 4.5]]'
    >>> str(numbers("X", np.arange(100.0)))
    'X (100,): min 0, mean 49.5, max 99'
    """
    host = to_numpy(array)
    real = np.abs(host) if host.dtype.kind == "c" else host
    real = real.astype(np.float64)
    flat = real.reshape(-1)
    finite = flat[np.isfinite(flat)]
    low = high = mean = math.nan
    if finite.size:
        low, mean, high = float(finite.min()), float(finite.mean()), float(finite.max())
    tiny = 0 < host.size <= TINY and host.dtype.kind != "c"
    return ArrayFacts(
        name=name,
        shape=tuple(int(size) for size in host.shape),
        dtype=str(host.dtype),
        values=tuple(flat.tolist()) if tiny else (),
        low=low,
        mean=mean,
        high=high,
        odd=int(flat.size - finite.size),
        bins=() if tiny or not finite.size else _histogram(finite, low, high),
        heat=() if tiny or not finite.size else heat_map(real),
    )


def _histogram(finite: Any, low: float, high: float) -> tuple[int, ...]:
    if not (math.isfinite(high - low) and high - low > 1e-12 * max(abs(low), abs(high))):
        return ()
    sample = finite[:: finite.size // _SAMPLED + 1]
    return tuple(int(n) for n in np.histogram(sample, BINS, (low, high))[0])


def heat_map(array: Any) -> tuple[str, ...]:
    """Return the rows of a heat map, as ``ArrayFacts`` has it; none of less than two axes."""
    if array.ndim < 2:
        return ()
    if array.ndim > 2 and array.shape[-2] * array.shape[-1] < SIDE:
        matrix = array.reshape(array.shape[0], -1)
    else:
        matrix = array.reshape(-1, *array.shape[-2:])[0]
    rows, columns = (
        np.unique(np.linspace(0, n - 1, min(n, SIDE)).astype(int)) for n in matrix.shape
    )
    part = np.nan_to_num(matrix[np.ix_(rows, columns)], posinf=0.0, neginf=0.0)
    most = float(np.abs(part).max()) or 1.0
    levels = np.rint(part / most * LEVELS).astype(int) + _ZERO
    return tuple("".join(map(chr, row)) for row in levels.tolist())


def _nested(texts: list[str], shape: tuple[int, ...]) -> str:
    if not shape:
        return texts[0]
    size = len(texts) // shape[0]
    parts = (texts[i : i + size] for i in range(0, len(texts), size))
    return f"[{', '.join(_nested(part, shape[1:]) for part in parts)}]"
