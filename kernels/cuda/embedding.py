"""Embeddings and sums of bags as launches of kernels, their gradients without races.

An index that is out of range makes NaN at once; the error comes with the next call, since a GPU is
not waited for.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from nnscratch.errors import IndexRangeError
from nnscratch.formulas.embedding import EmbeddingBagSaved, EmbeddingSaved

from .copies import copy
from .driver import MOST_BLOCKS, THREADS, WARP, Driver, cover
from .implementation import CudaKernel, Inputs, Needs, Options
from .target import Target

Lowered = tuple[tuple[Any, ...], Any]

RUN = 512
"""Keys that a block sorts in shared memory; a power of two, two for each of its threads."""
LANES_X, LANES_Y = 32, 8
NO_PADDING = -(2**63)
"""No index: -1 would be one that is out of range."""
MOST_ENTRIES = 2**31
"""A key has 32 bits for the index and 32 for the number of the entry."""
_INTEGERS = np.dtype("int64")

assert RUN == 2 * THREADS


def _refuse_indices(driver: Driver) -> None:
    """Raise if the kernels have found indices that are out of range by now."""
    bad = driver.bad_indices
    count = int(bad[0])
    if count:
        bad[0] = 0
        when = "" if driver.waits else " in an earlier call, whose rows for them are NaN"
        raise IndexRangeError(
            f"embedding: expected indices of rows of the table, and offsets that start at 0, never "
            f"fall and end within the indices; {count} are out of range{when}"
        )


def _report(target: Target, dtype: Any, partials: Any) -> None:
    """Add what tells the host how many indices are out of range."""
    arguments = (partials, target.driver.bad_indices, partials.size)
    target.launch("embedding", "report_bad", dtype, (1,), arguments)


def _padding(padding_idx: int | None) -> int:
    return NO_PADDING if padding_idx is None else padding_idx


def _embedding(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    W, I = inputs
    (rows, columns), flat = W.shape, I.reshape(-1)
    target.poll(partial(_refuse_indices, target.driver))
    Y = target.output(0, (*I.shape, columns), W.dtype)
    grid = cover(Y.size)
    partials = target.empty(grid, _INTEGERS)
    arguments = (W, flat, Y, partials, rows, columns, flat.size)
    target.launch("embedding", "pick_rows", W.dtype, grid, arguments)
    _report(target, W.dtype, partials)
    padding, by_frequency = options.get("padding_idx"), options.get("scale_grad_by_freq", False)
    return (Y,), EmbeddingSaved(flat, rows, padding, by_frequency)


def _sorted(target: Target, I: Any, dtype: Any, rows: int, padding: int) -> Any:
    """Return the keys of entries in order: by index, and by number where that is the same."""
    padded = max(RUN, 1 << (I.size - 1).bit_length())
    keys = target.empty((padded,), np.uint64)
    arguments = (I, keys, rows, I.size, padded, padding)
    target.launch("embedding", "make_keys", dtype, cover(padded), arguments)
    runs = (min(padded // RUN, MOST_BLOCKS),)
    target.launch("embedding", "sort_runs", dtype, runs, (keys, padded, 2, 1, RUN))
    size = 2 * RUN
    while size <= padded:
        step = size // 2
        while step >= RUN:
            grid = cover(padded // 2)
            target.launch("embedding", "sort_step", dtype, grid, (keys, padded, size, step))
            step //= 2
        target.launch("embedding", "sort_runs", dtype, runs, (keys, padded, size, step, size))
        size *= 2
    return keys


def _added(
    target: Target, G: Any, I: Any, sizes: tuple[int, int], padding_idx: int | None,
    by_frequency: bool, bags: Any = None, S: Any = None, counts: Any = None,
) -> Any:  # fmt: skip
    """Return the sums of the rows of G by the index of each: output 0."""
    rows, columns = sizes
    dW = target.output(0, sizes, G.dtype)
    copy(target, 0.0, dW)
    keys = _sorted(target, I, G.dtype, rows, _padding(padding_idx))
    grid = (min(I.size, 8 * MOST_BLOCKS), -(-columns // LANES_X))
    arguments = (keys, G, bags, S, counts, dW, columns, I.size, by_frequency)
    target.launch("embedding", "add_rows_by_index", G.dtype, grid, arguments, (LANES_X, LANES_Y))
    return dW


def _embedding_backward(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    dY, I, rows, padding_idx, by_frequency = inputs
    if not needs[0]:
        return (None, None), None
    return (_added(target, dY, I, (rows, dY.shape[-1]), padding_idx, by_frequency), None), None


def _bag(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    W, I, O, S = (*inputs, None, None)[:4]
    (rows, columns), flat = W.shape, I.reshape(-1)
    many, mean = I.shape[0] if O is None else O.size, options.get("mode", "mean") == "mean"
    length = I.shape[1] if O is None else 0
    padding_idx = options.get("padding_idx")
    target.poll(partial(_refuse_indices, target.driver))
    Y = target.output(0, (many, columns), W.dtype)
    bags, counts = target.empty(flat.shape, _INTEGERS), target.empty((many, 1), _INTEGERS)
    grid = cover(max(flat.size, many))
    partials = target.empty(grid, _INTEGERS)
    arguments: tuple[Any, ...] = (flat, O, bags, partials, rows, flat.size, many, length)
    target.launch("embedding", "bags_of_entries", W.dtype, grid, arguments)
    _report(target, W.dtype, partials)
    arguments = (
        W, flat, O, S, Y, counts, rows, columns, flat.size, many, length, _padding(padding_idx),
        mean,
    )  # fmt: skip
    target.launch("embedding", "sum_bags", W.dtype, cover(Y.size), arguments)
    by_frequency = options.get("scale_grad_by_freq", False)
    table, kept = None if S is None else W, counts if mean else None
    return (Y,), EmbeddingBagSaved(
        table, flat, S, bags, kept, None, rows, padding_idx, by_frequency
    )


def _bag_backward(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    dY, W, I, S, bags, counts, _, rows, padding_idx, by_frequency = inputs
    columns, dW, dS = dY.shape[1], None, None
    if needs[0]:
        sizes = (rows, columns)
        dW = _added(target, dY, I, sizes, padding_idx, by_frequency, bags, S, counts)
    if needs[3]:
        dS = target.output(3, S.shape, S.dtype)
        arguments = (W, dY, I, bags, dS, rows, columns, I.size, _padding(padding_idx))
        grid = cover(I.size * WARP)
        target.launch("embedding", "bag_weights_backward", dY.dtype, grid, arguments)
    return (dW, None, None, dS), None


def _check_table(W: Any, I: Any) -> str | None:
    if not hasattr(W, "dtype") or not hasattr(I, "dtype") or W.ndim != 2:
        return "it takes a table of rows and columns, and indices"
    if I.size >= MOST_ENTRIES or W.shape[0] >= MOST_ENTRIES:
        return "there are too many indices or rows"
    return None if I.dtype == _INTEGERS else f"the indices are {I.dtype}, not int64"


def _check_embedding(inputs: Inputs, options: Options) -> str | None:
    return _check_table(*inputs)


def _check_embedding_backward(inputs: Inputs, options: Options) -> str | None:
    dY, I = inputs[:2]
    fits = I.dtype == _INTEGERS and dY.size == I.size * dY.shape[-1]
    return None if fits else f"dY has shape {dY.shape}"


def _check_bag(inputs: Inputs, options: Options) -> str | None:
    W, I, O, S = (*inputs, None, None)[:4]
    if options.get("mode", "mean") not in ("sum", "mean"):
        return "it takes sums and means"
    if O is not None and (O.dtype != _INTEGERS or O.ndim != 1 or I.ndim != 1):
        return "offsets are int64, one for each bag"
    if O is not None and options.get("include_last_offset", False):
        return "the last offset is checked by the reference"
    if O is None and I.ndim != 2:
        return "without offsets each row is a bag"
    if S is not None and (options.get("mode", "mean") != "sum" or S.shape != I.shape):
        return "the weights of the entries do not fit"
    return _check_table(W, I)


def _check_bag_backward(inputs: Inputs, options: Options) -> str | None:
    dY, _, I, _, bags, _, largest = inputs[:7]
    if largest is not None:
        return "it takes sums and means"
    return None if dY.ndim == 2 and I.shape == bags.shape else "the sizes differ"


EMBEDDING_KERNEL = CudaKernel(
    "embedding",
    ("embedding", "elementwise"),
    {"forward": _embedding, "backward": _embedding_backward},
    {"forward": _check_embedding, "backward": _check_embedding_backward},
)
EMBEDDING_BAG_KERNEL = CudaKernel(
    "embedding_bag",
    ("embedding", "elementwise"),
    {"forward": _bag, "backward": _bag_backward},
    {"forward": _check_bag, "backward": _check_bag_backward},
)
