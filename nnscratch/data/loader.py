"""Batches: in order or shuffled anew in every epoch, and resumed in the middle of one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nnscratch.array import (
    Generator,
    array_namespace,
    as_device,
    device_of,
    move,
    permutation,
)
from nnscratch.array.random import blocks_needed
from nnscratch.array.upload import Upload
from nnscratch.data.dataset import TensorDataset
from nnscratch.errors import CheckpointError, ConfigurationError, DataError
from nnscratch.tensor import Tensor, as_tensor

# Keeps the shuffles apart from the numbers that the same seed gives for weights and dropout.
_SHUFFLE_KEY = 0x9E3779B97F4A7C15


class DataLoader:
    """Goes through a data set in batches; each pass is an epoch.

    The order of epoch e is a permutation that depends on the seed and on e alone, so any epoch can
    be repeated, and ``state_dict`` is enough to go on at the very next batch.

    Args:
        dataset: a ``TensorDataset``, or anything with ``len`` and ``[index]`` that gives a tuple.
        batch_size: samples a batch; the last one of an epoch may be smaller.
        shuffle: whether each epoch has an order of its own.
        drop_last: leave out a last batch that is smaller.
        generator: gives the seed of the shuffles where ``seed`` is not given.
        seed: a whole number; 0 if there is no generator either.

    Attributes:
        epoch: the number of the pass that runs, or of the next one.
        batch: how many batches of it have been handed out.

    Raises:
        ConfigurationError: for a batch size below 1 or a seed that is none.
        DataError: if the data set is empty, or too small for one batch with ``drop_last``.

    >>> loader = DataLoader(TensorDataset(np.arange(5)), batch_size=2, shuffle=True, seed=1)
    >>> len(loader), sorted(n for (batch,) in loader for n in batch.tolist())
    (3, [0, 1, 2, 3, 4])
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        drop_last: bool = False,
        generator: Generator | None = None,
        seed: int | None = None,
    ) -> None:
        if isinstance(batch_size, bool) or not hasattr(batch_size, "__index__") or batch_size < 1:
            raise ConfigurationError(
                f"batch_size must be a whole number of at least 1, got {batch_size!r}"
            )
        if isinstance(dataset, (Tensor, np.ndarray)):
            dataset = TensorDataset(dataset)
        self.dataset = dataset
        self.batch_size = int(batch_size)
        self.shuffle, self.drop_last = bool(shuffle), bool(drop_last)
        if seed is None:
            seed = 0 if generator is None else int(generator.randint(0, 2**62, (1,))[0])
        self.seed = Generator(seed).seed
        self.epoch = self.batch = 0
        self._resume = False
        self.samples = len(dataset)
        if self.samples == 0:
            raise DataError("the data set is empty")
        if len(self) == 0:
            raise DataError(
                f"the data set has {self.samples} samples, fewer than one batch of "
                f"{self.batch_size}, and drop_last leaves that one out"
            )

    def __len__(self) -> int:
        """The number of batches of an epoch."""
        if self.drop_last:
            return self.samples // self.batch_size
        return -(-self.samples // self.batch_size)

    @property
    def start(self) -> int:
        """The batch that the next pass starts with: 0, unless it goes on in the middle of one."""
        return self.batch if self._resume else 0

    def batch_samples(self, batch: int) -> int:
        """Return how many samples the batch of that number has."""
        return min(self.batch_size, self.samples - batch * self.batch_size)

    def head(self, samples: int) -> tuple[Tensor, ...]:
        """Return the first samples of the data set as a batch; nothing moves on."""
        if isinstance(self.dataset, TensorDataset):
            return self.dataset.slice(0, samples)
        return _collate([self.dataset[index] for index in range(samples)])

    def order(self, epoch: int) -> Any:
        """Return the order of the samples in an epoch, (N,) int64 on the host."""
        if not self.shuffle:
            return np.arange(self.samples, dtype=np.int64)
        offset = epoch * blocks_needed("permutation", self.samples)
        key = self.seed ^ _SHUFFLE_KEY
        return permutation(np, self.samples, seed=key, offset=offset % 2**64)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        """Start an epoch, or go on in the one that ``load_state_dict`` named."""
        if self._resume:
            self._resume = False
        elif self.batch:
            # The pass before was broken off; this is another one.
            self.epoch, self.batch = self.epoch + 1, 0
        return self._batches(self.epoch)

    def _batches(self, epoch: int) -> Iterator[tuple[Tensor, ...]]:
        dataset, size, count, batch = self.dataset, self.batch_size, len(self), self.batch
        fast = isinstance(dataset, TensorDataset)
        order: Any = self._order_for(epoch) if self.shuffle or not fast else None
        while batch < count:
            start, stop = batch * size, min((batch + 1) * size, self.samples)
            if not fast:
                made = _collate([dataset[int(index)] for index in order[start:stop]])
            elif order is None:
                made = dataset.slice(start, stop)
            else:
                made = dataset.take(order[start:stop])
            batch += 1
            self.epoch, self.batch = (epoch + 1, 0) if batch == count else (epoch, batch)
            yield made

    def on(self, device: Any) -> Iterator[tuple[Tensor, ...]]:
        """Start an epoch whose batches are on a device; None for where the data are.

        To a GPU they go through pinned memory, each while the GPU still computes with the one
        before.

        Raises:
            DeviceError: if this machine has no such device.
        """
        if device is None:
            yield from self
            return
        device = as_device(device)
        upload = None
        try:
            for batch in self:
                arrays = [tensor.array for tensor in batch]
                if device.type != "cuda" or not all(isinstance(one, np.ndarray) for one in arrays):
                    yield tuple([tensor.to(device=device) for tensor in batch])
                    continue
                upload = upload or Upload(device)
                yield tuple([Tensor(array) for array in upload(arrays)])
        finally:
            if upload is not None:
                upload.close()

    def _order_for(self, epoch: int) -> Any:
        order = self.order(epoch)
        if isinstance(self.dataset, TensorDataset):
            places = {device_of(array) for array in self.dataset.arrays}
            if len(places) == 1:
                # Once an epoch, to where the data lie.
                return move(order, places.pop())
        return order

    def state_dict(self) -> dict[str, Any]:
        """Return where it stands, in plain JSON types."""
        return {
            "seed": self.seed,
            "epoch": self.epoch,
            "batch": self.batch,
            "samples": self.samples,
            "batch_size": self.batch_size,
            "shuffle": self.shuffle,
            "drop_last": self.drop_last,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to where ``state_dict`` was taken: the next pass starts with the batch after it.

        Raises:
            CheckpointError: if that was another data set or another way to cut it.
        """
        own = self.state_dict()
        for name in ("samples", "batch_size", "shuffle", "drop_last"):
            if state.get(name) != own[name]:
                raise CheckpointError(
                    f"the data loader was saved with {name}={state.get(name)!r}, this one has "
                    f"{name}={own[name]!r}: the order of the batches would be another"
                )
        numbers = [state.get(name) for name in ("seed", "epoch", "batch")]
        if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in numbers):
            raise CheckpointError(f"a data loader's state needs whole numbers, got {numbers}")
        seed, epoch, batch = (int(n) for n in numbers if n is not None)
        if batch >= len(self) or seed >= 2**64:
            raise CheckpointError(
                f"a data loader's state names batch {batch} of {len(self)} and seed {seed}"
            )
        self.seed, self.epoch, self.batch = seed, epoch, batch
        self._resume = True


def _collate(samples: list[Any]) -> tuple[Tensor, ...]:
    """Stack single samples into one batch, part by part."""
    rows = [sample if isinstance(sample, (tuple, list)) else (sample,) for sample in samples]
    made = []
    for column in zip(*rows, strict=True):
        arrays = [as_tensor(item).array for item in column]
        shapes = {tuple(array.shape) for array in arrays}
        if len(shapes) > 1:
            raise DataError(f"samples of one batch have different shapes: {sorted(shapes)}")
        made.append(Tensor(array_namespace(arrays[0]).stack(arrays)))
    return tuple(made)
