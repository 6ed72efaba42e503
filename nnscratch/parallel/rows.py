"""Which rows of a batch are whose: parts of it, the same for any number of ranks."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from nnscratch.array.random import ROWS_TOGETHER
from nnscratch.errors import ConfigurationError
from nnscratch.graph.nested import leaves, mapped
from nnscratch.tensors import Tensor, wrap


class RowRange(NamedTuple):
    """The rows of a part: from ``start`` to before ``stop`` of ``total``."""

    start: int
    stop: int
    total: int

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return self.stop - self.start


def divided(total: int, parts: int, together: int = ROWS_TOGETHER) -> list[RowRange]:
    """Divide rows into consecutive parts, as even as can be; some may have none.

    Args:
        total: how many rows.
        parts: how many parts.
        together: how many rows stay together: each part begins at a multiple of so many. Of two or
            more, a last part of a single row goes to the one before it, for a batch norm has no
            variance of one row.

    >>> [(one.start, one.stop) for one in divided(22, 4)]
    [(0, 8), (8, 16), (16, 20), (20, 22)]
    >>> [one.rows for one in divided(9, 4)]
    [4, 5, 0, 0]
    >>> [one.rows for one in divided(9, 4, together=1)]
    [3, 2, 2, 2]
    """
    units = -(-total // together)
    each, more = divmod(units, parts)
    ends = [0]
    for part in range(parts):
        ends.append(ends[-1] + each + (part < more))
    bounds = [min(end * together, total) for end in ends]
    if total > 1 and together > 1:
        bounds = [total if bound == total - 1 else bound for bound in bounds]
    return [RowRange(a, b, total) for a, b in pairwise(bounds)]


def own_parts(
    total: int, rank: int, size: int, shards: int | None = None, together: int = ROWS_TOGETHER
) -> list[RowRange]:
    """Return the parts of a batch that a rank computes: one, or its share of the shards.

    >>> [part.start for part in own_parts(64, 1, 2, shards=4)]
    [32, 48]
    """
    parts = divided(total, size if shards is None else shards, together)
    each = len(parts) // size
    return parts[rank * each : (rank + 1) * each]


def check_shards(shards: int | None, size: int) -> None:
    """Check how many shards each batch is divided into.

    Raises:
        ConfigurationError: if it is no power of two, or no multiple of the number of ranks.
    """
    if shards is None:
        return
    if type(shards) is not int or shards < 1 or shards & (shards - 1):
        raise ConfigurationError(f"shards must be a power of two (1, 2, 4, 8, ...), got {shards!r}")
    if shards % size:
        fitting = ", ".join(str(1 << n) for n in range(shards.bit_length()))
        raise ConfigurationError(
            f"shards={shards} cannot be divided among {size} ranks: start {fitting} of them, or "
            "train with a larger power of two from the beginning"
        )


def with_rows(few: Any, more: Any) -> list[bool] | None:
    """Say of everything in a batch whether it has a row for each sample, given a larger batch.

    A mask (L, L) is as long in both, also where L is the number of samples. None if the two batches
    are made of other parts.

    >>> table = np.ones((2, 2))
    >>> with_rows((np.ones(2), table), (np.ones(3), table))
    [True, False]
    """
    sizes = [[tuple(getattr(one, "shape", ())) for one in leaves(batch)] for batch in (few, more)]
    if len(sizes[0]) != len(sizes[1]):
        return None
    return [a[:1] != b[:1] for a, b in zip(*sizes, strict=True)]


def taken(batch: Any, part: RowRange, which: Sequence[bool] | None = None) -> Any:
    """Return the rows of a part out of a whole batch, of every tensor and array that has them all.

    Args:
        batch: the whole batch.
        part: the rows.
        which: what ``with_rows`` says of it; None to go by the number of rows alone.

    >>> taken((Tensor(np.arange(6, dtype=np.int64)), "words"), RowRange(4, 6, 6))
    (tensor([4, 5]), 'words')
    """
    start, stop, total = part
    if stop - start == total:
        return batch
    if which is None and type(batch) in (tuple, list):
        # Most batches are tensors with a row for each sample: that is seen at once.
        made = []
        for one in batch:
            if type(one) is not Tensor or not (shape := one.array.shape) or shape[0] != total:
                break
            made.append(wrap(one.array[start:stop]))
        else:
            return type(batch)(made)
    number = itertools.count()

    def some(item: Any) -> Any:
        index = next(number)
        array = item.array if isinstance(item, Tensor) else item
        if array is item and not isinstance(item, np.ndarray):
            return item
        shared = which is not None and index < len(which) and not which[index]
        if shared or not array.ndim or array.shape[0] != total:
            return item
        rows = array[start:stop]
        return rows if array is item else wrap(rows)

    return mapped(some, batch)
