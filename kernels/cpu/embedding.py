"""Rows of a table that indices pick, alone and added up in bags, and their sums by index.

Of a gradient the threads share the rows: what one index picked is added by one thread, in the order
of the indices, so that the sums are the same for any number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch.array.dtypes import dtype_name
from nnscratch.formulas.embedding import (
    EmbeddingBagSaved,
    EmbeddingSaved,
    bag_starts,
    flat_rows,
)

from .elementwise import zeros
from .implementation import Builder, CpuKernel, Inputs, Options
from .runtime.declaration import Floats, Integers, OptionalFloats, OptionalIntegers, helper, kernel
from .runtime.language import KIND, given, part, prefetch, stack
from .runtime.table import stops_at

Lowered = tuple[tuple[Any, ...], Any]
Needs = tuple[bool, ...]
NO_PADDING = -1
TOGETHER = 64
"""Numbers in rows behind one another that belong to one thread, so that few lines have two."""
PAGES = 1 << 22
"""Bytes in such rows where the system has still to make the pages, of up to 2 MB."""
SPREAD = 40503
"""2^16 over the golden ratio: the last 16 bits of that many times its number say whose a row is, so
that neighbours go to several threads. The first rows of a vocabulary are by far the most usual.
"""
AHEAD = 1024
"""Numbers in the rows between the one that is read and the one that is asked for. Nobody but the
indices knows which it will be: bags of short rows take up to half as long again without."""


@helper
def prefetch_row(x, row, columns):
    """Ask for the cache lines of a row, which will be needed soon."""
    for j in range(row * columns, (row + 1) * columns, 16):
        prefetch(x, j, 0)


@kernel(cost=lambda count, columns: 0.3 * count * columns)
def pick_rows(
    W: Floats, I: Integers, kept: Integers, Y: Floats, rows: int, columns: int, count: int,
    status: Integers, tid, threads,
):  # fmt: skip
    """Y = the rows of W (rows, columns) that I (count) names, and a copy of I.

    The status is 1 if there is no such row.
    """
    first, last = part(count, tid, threads, 1)
    ahead = max(1, AHEAD // columns)
    for k in range(first, last):
        if k + ahead < last:
            prefetch_row(W, I[k + ahead], columns)
        index = I[k]
        kept[k] = index
        if index < 0 or index >= rows:
            status[0] = 1
            continue
        for j in range(columns):
            Y[k * columns + j] = W[index * columns + j]


@helper
def owner(index, neighbours, threads):
    """Return the thread that a row belongs to: 2^neighbours behind one another to the same."""
    return ((index >> neighbours) * SPREAD & 0xFFFF) * threads >> 16


@kernel(cost=lambda count, columns: 0.5 * count * columns)
def add_picked_rows(
    G: Floats, I: Integers, bags: OptionalIntegers, S: OptionalFloats, sizes: OptionalIntegers,
    padding: int, out: Floats, new: int, rows: int, columns: int, count: int, neighbours: int,
    status: Integers, tid, threads,
):  # fmt: skip
    """Out[I_k] += S_k G_k for k in order, or G of its bag over the size; not of ``padding``.

    Of ``new`` zeros a page is written to before anything is read there, or the system would make it
    twice. The status is 1 if an index names no row: it was changed since the forward.
    """
    mine, ahead = stack(256, np.int64), max(1, AHEAD // columns)
    for k in range(count if new else 0):
        index = I[k]
        if 0 <= index < rows and owner(index, neighbours, threads) == tid:
            out[index * columns] = out[(index + 1) * columns - 1] = KIND(0.0)
    for top in range(0, count, 256):
        found = 0
        for k in range(top, min(top + 256, count)):
            index = I[k]
            if index < 0 or index >= rows:
                status[0] = 1
                continue
            mine[found] = k
            if owner(index, neighbours, threads) == tid and index != padding:
                found += 1
        for n in range(found):
            if n + ahead < found:
                prefetch_row(out, I[mine[n + ahead]], columns)
            k = mine[n]
            b = bags[k] if given(bags) else k
            to, start = I[k] * columns, b * columns
            if given(S):
                factor = S[k]
                for j in range(columns):
                    out[to + j] += factor * G[start + j]
            elif given(sizes):
                divisor = KIND(sizes[b])
                for j in range(columns):
                    out[to + j] += G[start + j] / divisor
            else:
                for j in range(columns):
                    out[to + j] += G[start + j]


@kernel(cost=lambda count, columns: 0.4 * count * columns)
def sum_bags(
    W: Floats, I: Integers, O: OptionalIntegers, S: OptionalFloats, Y: Floats, bags: Integers,
    sizes: Integers, kept: Integers, starts: OptionalIntegers, rows: int, columns: int, count: int,
    many: int, length: int, padding: int, mean: int, status: Integers, tid, threads,
):  # fmt: skip
    """Y (many, columns): the sum or mean of the rows of W that the indices of each bag name.

    Bag b begins at O_b and ends where the next one does, the last one with I; without O bags have
    ``length`` indices. bags says for each index where it is, and sizes how many count; kept
    and starts are copies of I and O. The status is 1 if an index or an offset makes no sense.
    """
    if tid == 0:
        for k in range(count):
            kept[k] = I[k]
        for b in range(many if given(O) else 0):
            starts[b] = O[b]
    first, last = part(many, tid, threads, 1)
    ahead = max(1, AHEAD // columns)
    for b in range(first, last):
        begin, end = b * length, (b + 1) * length
        if given(O):
            begin = O[b]
            end = O[b + 1] if b + 1 < many else count
            if begin < 0 or end < begin or end > count or (b == 0 and begin != 0):
                status[0] = 1
                continue
        here, number = b * columns, 0
        for j in range(columns):
            Y[here + j] = KIND(0.0)
        for k in range(begin, end):
            if k + ahead < count:
                prefetch_row(W, I[k + ahead], columns)
            bags[k] = b
            index = I[k]
            if index < 0 or index >= rows:
                status[0] = 1
                continue
            if index == padding:
                continue
            number += 1
            row = index * columns
            if given(S):
                factor = S[k]
                for j in range(columns):
                    Y[here + j] += factor * W[row + j]
            else:
                for j in range(columns):
                    Y[here + j] += W[row + j]
        sizes[b] = number
        if mean == 1 and number > 1:
            for j in range(columns):
                Y[here + j] /= KIND(number)


@kernel(cost=lambda count, columns: 0.4 * count * columns)
def bag_weights_backward(
    W: Floats, dY: Floats, I: Integers, bags: Integers, padding: int, dS: Floats, columns: int,
    count: int, tid, threads,
):  # fmt: skip
    """DS_k = the product of row I_k of W with the gradient of its bag; 0 of ``padding``."""
    first, last = part(count, tid, threads, 1)
    for k in range(first, last):
        total = 0.0
        if I[k] != padding:
            row, here = I[k] * columns, bags[k] * columns
            for j in range(columns):
                total += np.float64(W[row + j]) * np.float64(dY[here + j])
        dS[k] = KIND(total)


def _no_padding(padding_idx: int | None) -> int:
    return NO_PADDING if padding_idx is None else padding_idx


def _check_table(W: Any, I: Any) -> str | None:
    if not isinstance(W, np.ndarray) or not isinstance(I, np.ndarray) or W.ndim != 2:
        return "it takes a table of rows and columns, and indices"
    return None if I.dtype == np.int64 else f"the indices are {I.dtype}, not int64"


def _embedding(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    W, I = inputs
    (rows, columns), flat = W.shape, I.reshape(-1)
    Y, status = builder.output(0, (*I.shape, columns), W.dtype), np.zeros(1, np.int64)
    kept = builder.empty(flat.shape, flat.dtype)
    pick_rows.emit(
        builder, dtype_name(W.dtype), W=W, I=flat, kept=kept, Y=Y, rows=rows, columns=columns,
        count=flat.size, status=status, flags=stops_at(pick_rows.place("status")),
    )  # fmt: skip
    shape = I.shape  # a plan's check must not read the call's arguments
    builder.check(lambda: _refuse(status, lambda: flat_rows("embedding", W, kept.reshape(shape))))
    padding, by_frequency = options.get("padding_idx"), options.get("scale_grad_by_freq", False)
    return (Y,), EmbeddingSaved(kept, rows, padding, by_frequency)


def _refuse(status: Any, refusal: Any) -> None:
    """Let the formula say what is wrong, if a kernel found that something is."""
    if status[0]:
        status[0] = 0
        refusal()


def _embedding_backward(
    builder: Builder, inputs: Inputs, options: Options, needs: Needs
) -> Lowered:
    dY, I, rows, padding, _ = inputs
    if not needs[0]:
        return (None, None), None
    return (_added(builder, dY, I, rows, dY.shape[-1], padding), None), None


def _added(
    builder: Builder, G: Any, I: Any, rows: int, columns: int, padding: int | None,
    bags: Any = None, S: Any = None, sizes: Any = None,
) -> Any:  # fmt: skip
    """Emit the sums of the rows of G by the index of each.

    Where a plan only adds them to another gradient, of a table that two layers have, they are added
    to that, row by row: a large table has few rows that are named.
    """
    status = np.zeros(1, np.int64)
    out, new = builder.added_to(0), False
    alone = out is None
    if alone:
        out, new = zeros(builder, 0, (rows, columns), G.dtype)
    together = PAGES // G.dtype.itemsize if new else TOGETHER
    add_picked_rows.emit(
        builder, dtype_name(G.dtype), G=G, I=I, bags=bags, S=S, sizes=sizes,
        padding=_no_padding(padding), out=out, new=int(new), rows=rows, columns=columns,
        count=I.size, neighbours=(together // columns).bit_length(), status=status,
        flags=stops_at(add_picked_rows.place("status")),
    )  # fmt: skip
    builder.check(lambda: _refuse(status, lambda: flat_rows("the backward of embedding", out, I)))
    return out if alone else None


def _check_embedding_backward(inputs: Inputs, options: Options) -> str | None:
    dY, I, _, _, by_frequency = inputs
    if by_frequency:
        return "it does not divide by how often an index occurs"
    fits = I.dtype == np.int64 and dY.size == I.size * dY.shape[-1]
    return None if fits else f"dY has shape {dY.shape}"


def _bag(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    W, I, O, S = (*inputs, None, None)[:4]
    (rows, columns), flat = W.shape, I.reshape(-1)
    many, mode = I.shape[0] if O is None else O.size, options.get("mode", "mean")
    padding, by_frequency = options.get("padding_idx"), options.get("scale_grad_by_freq", False)
    Y = builder.output(0, (many, columns), W.dtype)
    whole = np.dtype(np.int64)
    bags, sizes = builder.empty(flat.shape, whole), builder.empty((many, 1), whole)
    kept = builder.empty(flat.shape, whole)
    starts = None if O is None else builder.empty(O.shape, whole)
    status = np.zeros(1, np.int64)
    sum_bags.emit(
        builder, dtype_name(W.dtype), W=W, I=flat, O=O, S=S, Y=Y, bags=bags, sizes=sizes,
        kept=kept, starts=starts, rows=rows, columns=columns, count=flat.size, many=many,
        length=I.shape[1] if O is None else 0,
        padding=_no_padding(padding), mean=mode == "mean", status=status,
        flags=stops_at(sum_bags.place("status")),
    )  # fmt: skip

    shape = I.shape

    def refuse() -> None:
        bag_starts(np, kept.reshape(shape), starts, False)
        flat_rows("embedding_bag", W, kept.reshape(shape))

    builder.check(lambda: _refuse(status, refuse))
    return (Y,), EmbeddingBagSaved(
        None if S is None else W, kept, S, bags, sizes if mode == "mean" else None, None, rows,
        padding, by_frequency,
    )  # fmt: skip


def _bag_backward(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    dY, W, I, S, bags, sizes, _, rows, padding, _ = inputs
    columns, dW, dS = dY.shape[1], None, None
    if needs[0]:
        weights = None if S is None else S.reshape(-1)
        dW = _added(builder, dY, I, rows, columns, padding, bags, weights, sizes)
    if needs[3]:
        dS = builder.output(3, S.shape, S.dtype)
        bag_weights_backward.emit(
            builder, dtype_name(dY.dtype), W=W, dY=dY, I=I, bags=bags,
            padding=_no_padding(padding), dS=dS, columns=columns, count=I.size,
        )  # fmt: skip
    return (dW, None, None, dS), None


def _check_embedding(inputs: Inputs, options: Options) -> str | None:
    return _check_table(*inputs)


def _check_bag(inputs: Inputs, options: Options) -> str | None:
    W, I, O, S = (*inputs, None, None)[:4]
    if options.get("mode", "mean") not in ("sum", "mean"):
        return "it takes sums and means"
    if O is not None and (O.dtype != np.int64 or O.ndim != 1 or I.ndim != 1):
        return "offsets are int64, one for each bag"
    if O is not None and options.get("include_last_offset", False):
        return "the last offset is checked by the reference"
    if O is None and I.ndim != 2:
        return "without offsets each row is a bag"
    if S is not None and (options.get("mode", "mean") != "sum" or S.shape != I.shape):
        return "the weights of the entries do not fit"
    return _check_table(W, I)


def _check_bag_backward(inputs: Inputs, options: Options) -> str | None:
    dY, _, I, _, bags, _, largest, _, _, by_frequency = inputs
    if largest is not None or by_frequency:
        return "it takes sums and means, and does not divide by how often an index occurs"
    return None if dY.ndim == 2 and I.shape == bags.shape else "the sizes differ"


EMBEDDING_KERNEL = CpuKernel(
    "embedding",
    {"forward": _embedding, "backward": _embedding_backward},
    {"forward": _check_embedding, "backward": _check_embedding_backward},
)
EMBEDDING_BAG_KERNEL = CpuKernel(
    "embedding_bag",
    {"forward": _bag, "backward": _bag_backward},
    {"forward": _check_bag, "backward": _check_bag_backward},
)
