"""How one batch is made: what its samples are, and where its random numbers come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from nnscratch.array.random import Generator, own_stream
from nnscratch.data.collate import fetch

# Blocks of random numbers that a batch may draw before it reaches those of the next one: 2 ** 40.
_BLOCKS = 40


class Ends(Exception):
    """An ``IterableDataset`` has no more samples."""


@dataclass(frozen=True)
class Recipe:
    """How a batch is made of what a task names.

    Attributes:
        collate_fn: makes it of a list of samples, or converts a sample.
        batch_size: how many samples of an ``IterableDataset`` there are in one.
        drop_last: whether a last one of fewer is left out.
        single: whether a task names one sample, which is no batch.
        iterable: whether the samples come one after another.
    """

    collate_fn: Callable[[Any], Any]
    batch_size: int | None
    drop_last: bool
    single: bool
    iterable: bool

    def of(self, dataset: Any) -> Callable[[Any, bool], Any]:
        """Return a function of a task, and of whether it copies, that makes the batch."""
        if self.iterable:
            return self._next_of(dataset)
        if self.single:
            return lambda index, copies: self.collate_fn(dataset[index])
        return lambda indices, copies: fetch(dataset, indices, self.collate_fn, copies)

    def _next_of(self, dataset: Any) -> Callable[[Any, bool], Any]:
        samples: Any = None

        def load(task: Any, copies: bool) -> Any:
            nonlocal samples
            if samples is None:  # here, where the random numbers are those of the first batch
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
    """Load one batch, whose random numbers follow from a seed and its own number in the epoch.

    Returns:
        The batch, and whether it has drawn any.
    """
    stream = Generator(seed)
    stream.offset = first = (number << _BLOCKS) % 2**64
    with own_stream(stream):
        made = load(task, True)
    return made, stream.offset != first or stream.seed != seed


def seed_of(*numbers: int) -> int:
    """Return a seed that follows from numbers, each from 0 to 2**64 - 1, and looks like none.

    >>> seed_of(0, 1) == seed_of(0, 1) != seed_of(1, 0)
    True
    """
    digest = blake2b(np.array(numbers, "<u8").tobytes(), digest_size=8)
    return int.from_bytes(digest.digest(), "little")
