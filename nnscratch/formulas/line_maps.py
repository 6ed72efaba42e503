r"""Linear maps along one axis that read few entries for each result: windows and interpolation.

A pooling window, an average over unequal windows and linear or cubic interpolation all make entry o
of a line of n entries out of a few entries i of another line,

$$y_o = \sum_k w_{k o}\, x_{i_{k o}},$$

and in two or three dimensions they do so along one axis after another. The derivative by x is the
transposed map, which is again of this form. Each is made once for its sizes and then kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nnscratch.array import array_namespace
from nnscratch.array.integers import intp

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class LineMap:
    """A map of lines of ``size`` entries to others: which entries each result reads, times what.

    Attributes:
        size: how many entries a line has before.
        index: (K, O) the entry that result o reads as its k-th; from 0, also where it reads none.
        weight: (K, O) what it is multiplied by; 0 where result o reads fewer than K entries, which
            is not computed: a NaN there has no effect.
        spacing: (start, stride, dilation) where result o reads start + o stride + k dilation, if
            there is such an entry; None where it reads others.
    """

    size: int
    index: Any
    weight: Any
    spacing: tuple[int, int, int] | None = None

    def __repr__(self) -> str:
        return f"<{self.size} to {self.out} entries>"

    @property
    def out(self) -> int:
        """How many entries a line has afterwards."""
        return int(self.index.shape[1])

    @cached_property
    def transposed(self) -> LineMap:
        """The map of derivatives, from results back to entries."""
        taps, places = np.nonzero(self.weight)
        entries, weights = self.index[taps, places], self.weight[taps, places]
        order = np.argsort(entries, kind="stable")
        entries, places, weights = entries[order], places[order], weights[order]
        counts = np.bincount(intp(entries), minlength=self.size)
        rows = max(1, int(counts.max(initial=0)))
        row = np.arange(len(entries)) - (np.cumsum(counts) - counts)[entries]
        index = np.zeros((rows, self.size), np.int64)
        weight = np.zeros((rows, self.size))
        index[row, entries], weight[row, entries] = places, weights
        made = LineMap(self.out, index, weight)
        made.__dict__["transposed"] = self
        return made

    def weight_in(self, dtype: Any) -> Any:
        """Return the weights in a dtype, always the same array."""
        kept = self.__dict__.setdefault("_weights", {})
        if dtype not in kept:
            kept[dtype] = np.ascontiguousarray(self.weight.astype(dtype))
        return kept[dtype]

    @cached_property
    def ones(self) -> tuple[bool, ...]:
        """Whether every result reads its k-th entry and takes it as it is, for each k."""
        return tuple(bool((row == 1.0).all()) for row in self.weight)

    @cached_property
    def whole(self) -> bool:
        """Whether no weight is a fraction, so that integers can be mapped."""
        return bool((self.weight == np.rint(self.weight)).all())

    @cached_property
    def full(self) -> tuple[bool, ...]:
        """Whether every result reads a k-th entry, for each k."""
        return tuple(bool((row != 0.0).all()) for row in self.weight)

    @cached_property
    def slices(self) -> tuple[slice | None, ...]:
        """The k-th entries as a slice of the line, None where they are not evenly spaced."""
        return tuple(_as_slice(row) for row in self.index)


def _as_slice(row: Any) -> slice | None:
    if len(row) == 0:
        return None
    steps = np.diff(row)
    step = int(steps[0]) if len(steps) else 1
    if step < 1 or (steps != step).any():
        return None
    return slice(int(row[0]), int(row[-1]) + 1, step)


def picked(X: Any, axis: int, line: LineMap, k: int) -> Any:
    """Return the k-th entries that the results read; on NumPy a view where they are a slice."""
    found = line.slices[k]
    if found is not None:
        return X[(*(slice(None),) * axis, found, ...)]
    xp = array_namespace(X)
    return xp.take(X, xp.asarray(intp(line.index[k]), device=X.device), axis=axis)


def along(X: Any, axis: int, line: LineMap) -> Any:
    """Return X with the lines along an axis mapped."""
    xp = array_namespace(X)
    shape = (*X.shape[:axis], line.out, *X.shape[axis + 1 :])
    if 0 in shape or line.size == 0 or not len(line.index):
        return xp.zeros(shape, dtype=X.dtype, device=X.device)
    beside = (-1, *(1,) * (X.ndim - 1 - axis))
    Y = None
    for k in range(len(line.index)):
        part = picked(X, axis, line, k)
        if not line.ones[k]:
            weight = xp.asarray(line.weight[k], dtype=_real(xp, X), device=X.device)
            part = part * xp.reshape(weight, beside)
        if not line.full[k]:
            reads = xp.asarray(line.weight[k] != 0.0, device=X.device)
            part = xp.where(xp.reshape(reads, beside), part, xp.zeros_like(part))
        Y = part if Y is None else Y + part
    return xp.asarray(Y, copy=True) if line.slices[0] is not None and len(line.index) == 1 else Y


def _real(xp: Any, X: Any) -> Any:
    """Return the dtype of weights; the complex-step checker multiplies complex numbers by them."""
    return xp.real(X).dtype if "complex" in str(X.dtype) else X.dtype
