"""How many targets are the largest class, as instructions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnscratch.array.addresses import shares_memory
from nnscratch.array.dtypes import dtype_name

from .implementation import Builder, CpuKernel, Inputs, Options
from .runtime.declaration import Floats, Integers, kernel
from .runtime.language import KIND, part

ROWS = 16


@kernel(cost=lambda rows, columns, inner: 0.3 * rows * columns * inner)
def mark_hits(
    Z: Floats, labels: Integers, marks: Floats, rows: int, columns: int, inner: int,
    ignore_index: int, ignores: int, tid, threads,
):  # fmt: skip
    """Marks (rows, inner) = 1 where a label is the first largest of its column, else 0; -1 ignored.

    Z is (rows, columns, inner). A NaN is larger than any number, as for ``argmax``. With ignores =
    0 no label is ignored.
    """
    first, last = part(rows * inner, tid, threads, ROWS)
    for i in range(first, last):
        label = labels[i]
        if ignores == 1 and label == ignore_index:
            marks[i] = KIND(-1.0)
            continue
        if label < 0 or label >= columns:
            marks[i] = KIND(0.0)
            continue
        row = i // inner
        start = row * columns * inner + i - row * inner
        own = Z[start + label * inner]
        larger = 0
        if own != own:
            for j in range(label):
                other = Z[start + j * inner]
                if other != other:
                    larger = 1
        else:
            for j in range(label):
                if not Z[start + j * inner] < own:
                    larger = 1
            for j in range(label + 1, columns):
                if not Z[start + j * inner] <= own:
                    larger = 1
        marks[i] = KIND(1.0 - larger)


@kernel(cost=lambda count: 0.5 * count)
def count_marks(marks: Floats, count: int, counts: Floats, tid, threads):
    """Counts (2,) = how many marks are 1, and how many are not -1. By one thread."""
    if tid != 0:
        return
    right, counted = 0, 0
    for i in range(count):
        if marks[i] > KIND(0.0):
            right += 1
        if marks[i] >= KIND(0.0):
            counted += 1
    counts[0] = KIND(right)
    counts[1] = KIND(counted)


def _count_hits(
    builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
) -> tuple[tuple[Any, ...], Any]:
    C, Z, T = inputs
    ignored = options.get("ignore_index")
    name = dtype_name(C.dtype)
    marks = builder.empty((T.size,), C.dtype)
    mark_hits.emit(
        builder, name, Z=Z, labels=T, marks=marks, rows=Z.shape[0], columns=Z.shape[1],
        inner=math.prod(Z.shape[2:]), ignore_index=0 if ignored is None else ignored,
        ignores=int(ignored is not None),
    )  # fmt: skip
    count_marks.emit(builder, name, marks=marks, count=T.size, counts=C)
    return (), None


def _check(inputs: Inputs, options: Options) -> str | None:
    C, Z, T = inputs
    if C.shape != (2,) or Z.ndim < 2 or Z.dtype != C.dtype:
        return "the counts are not two numbers of the values' dtype"
    if not isinstance(T, np.ndarray) or T.dtype != np.int64:
        return "targets are not int64"
    if T.shape != (Z.shape[0], *Z.shape[2:]):
        return "it takes values (N, K, ...) and targets (N, ...)"
    if shares_memory(C, Z):
        return "the counts are written where the values are"
    return None


COUNT_HITS_KERNEL = CpuKernel("count_hits", {"update": _count_hits}, {"update": _check})
