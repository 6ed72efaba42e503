"""Making one batch: its samples, and the stream of its random numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from nnscratch.array.random import Generator, own_stream
from nnscratch.data.collate import fetch

# A batch may draw 2 ** 40 blocks of random numbers before it reaches those of the next batch.
_BLOCKS = 40


class Ends(Exception):
    """Raised when an ``IterableDataset`` has no more samples."""


@dataclass(frozen=True)
class Recipe:
    """How a batch is made, given the indices of its samples.

    Attributes:
        collate_fn: makes a batch of a list of samples, or converts a single sample.
        batch_size: how many samples of an ``IterableDataset`` make a batch.
        drop_last: whether a last batch of fewer samples is left out.
        single: whether single samples are loaded instead of batches.
        iterable: whether the data set is an ``IterableDataset``.
    """

    collate_fn: Callable[[Any], Any]
    batch_size: int | None
    drop_last: bool
    single: bool
    iterable: bool

    def of(self, dataset: Any) -> Callable[[Any, bool], Any]:
        """Return the function that makes a batch of a data set.

        Its arguments are the indices of the samples, and whether the batch must not share memory
        with the data set.
        """
        if self.iterable:
            return self._next_of(dataset)
        if self.single:
            return lambda index, copies: self.collate_fn(dataset[index])
        return lambda indices, copies: fetch(dataset, indices, self.collate_fn, copies)

    def _next_of(self, dataset: Any) -> Callable[[Any, bool], Any]:
        samples: Any = None

        def load(task: Any, copies: bool) -> Any:
            nonlocal samples
            if samples is None:  # not before: iter() may draw random numbers of the first batch
                samples = iter(dataset)
            if self.batch_size is None:
                for sample in samples:
                    return self.collate_fn(sample)
                raise Ends
            group = []
            for sample in samples:
                group.append(sample)
                if len(group) == self.batch_size:
                    break
            if not group or (self.drop_last and len(group) < self.batch_size):
                raise Ends
            return self.collate_fn(group)

        return load


def loaded(load: Callable[[Any, bool], Any], task: Any, seed: int, number: int) -> tuple[Any, bool]:
    """Load one batch, with random numbers that depend only on a seed and the batch's number.

    Returns:
        The batch, and whether random numbers were drawn to make it.
    """
    stream = Generator(seed)
    stream.offset = first = (number << _BLOCKS) % 2**64
    with own_stream(stream):
        made = load(task, True)
    return made, stream.offset != first or stream.seed != seed


def seed_of(*numbers: int) -> int:
    """Return a hash of numbers, each from 0 to 2**64 - 1, as a seed from 0 to 2**64 - 1.

    >>> seed_of(0, 1) == seed_of(0, 1) != seed_of(1, 0)
    True
    """
    digest = blake2b(np.array(numbers, "<u8").tobytes(), digest_size=8)
    return int.from_bytes(digest.digest(), "little")
