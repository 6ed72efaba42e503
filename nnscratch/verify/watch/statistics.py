"""Numbers about an array: its range, and what is not finite in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nnscratch.array import to_numpy


@dataclass(frozen=True)
class Statistics:
    """Numbers about one array.

    Attributes:
        name: what the formula calls it.
        shape: its shape.
        dtype: its dtype.
        low: its smallest finite value, NaN if there is none.
        high: its largest finite value.
        zeros: how many entries are 0.
        nans: how many are NaN.
        infinities: how many are infinite.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    low: float
    high: float
    zeros: int
    nans: int
    infinities: int

    @property
    def finite(self) -> bool:
        """Whether every entry is a number."""
        return not (self.nans or self.infinities)

    def __str__(self) -> str:
        text = f"{self.name} {self.shape} {self.dtype}: from {self.low:.4g} to {self.high:.4g}"
        for count, word in (
            (self.zeros, "zero"),
            (self.nans, "NaN"),
            (self.infinities, "infinite"),
        ):
            if count:
                text += f", {count} {word}"
        return text


def statistics(name: str, array: Any) -> Statistics:
    """Return the statistics of one floating array.

    >>> print(statistics("X", np.array([0.0, 2.0, np.nan])))
    X (3,) float64: from 0 to 2, 1 zero, 1 NaN
    """
    held = np.asarray(array if isinstance(array, float) else to_numpy(array))
    finite = held[np.isfinite(held)]
    return Statistics(
        name,
        tuple(held.shape),
        str(held.dtype),
        float(finite.min()) if finite.size else float("nan"),
        float(finite.max()) if finite.size else float("nan"),
        int(np.sum(held == 0)),
        int(np.sum(np.isnan(held))),
        int(np.sum(np.isinf(held))),
    )
