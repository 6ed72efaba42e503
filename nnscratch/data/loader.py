"""Batches: in order or shuffled anew in every epoch, and resumed in the middle of one."""

from __future__ import annotations

import copy
import types
from collections.abc import Callable, Iterator, Mapping
from itertools import islice, repeat
from typing import Any, ClassVar

import numpy as np

from nnscratch.array import Generator, as_device, device_of, move, permutation
from nnscratch.array.random import blocks_needed, default_generator, own_stream
from nnscratch.data.collate import default_collate, default_convert, fetch, is_in_memory
from nnscratch.data.dataset import IterableDataset, TensorDataset
from nnscratch.data.loading import Recipe, seed_of
from nnscratch.data.samplers import BatchSampler, RandomSampler, SequentialSampler, check_count
from nnscratch.data.uploading import uploaded
from nnscratch.data.workers import Crew, check_workers
from nnscratch.errors import CheckpointError, ConfigurationError, DataError

# Keeps the shuffles apart from the numbers that the same seed gives for weights and dropout.
_SHUFFLE_KEY = 0x9E3779B97F4A7C15


class DataLoader:
    """Goes through a data set in batches; each pass is an epoch.

    The order of a shuffled epoch follows from one number, drawn from ``generator`` or the default
    one when the epoch begins: ``manual_seed`` decides what comes, and ``state_dict`` is enough to
    go on at the very next batch. With ``seed`` the orders of all epochs follow from that alone.

    Batches are loaded when they are asked for, or with ``num_workers`` ahead of time, by threads:
    they read files and decode images at once and while the training computes, the data set and the
    functions need not be pickled, and its arrays are there once. An epoch is the same bits with any
    number of them. What ``nnscratch`` draws at random while it loads a batch follows from the
    loader's seed, or the default generator when the epoch begins, and from the number of the batch;
    Python's ``random`` and NumPy's global generator are one for all threads, so take
    ``nnscratch``'s, or make one of NumPy's from the index. Each worker has a shallow copy of the
    data set, so that it can have attributes of its own. An ``IterableDataset`` is asked by every
    worker, as in PyTorch, and gives it its part of the samples by ``get_worker_info``. Rows of
    arrays in memory (``TensorDataset``, and subsets and stacks of such) are taken when they are
    asked for whatever ``num_workers`` is, which is quicker, unless there is a ``worker_init_fn``.

    An error of a worker is raised with its own traceback, with notes of the worker, the batch and
    the sample. The threads end with the pass, however that ends, or with ``persistent_workers``
    with the loader.

    Args:
        dataset: anything with ``len`` and ``[index]``, or an ``IterableDataset``.
        batch_size: samples a batch, the last of an epoch may have fewer; None to hand out single
            samples.
        shuffle: whether each epoch has an order of its own.
        sampler: gives the indices of an epoch's samples, in the place of ``shuffle``.
        batch_sampler: gives a list of indices for each batch, in the place of ``batch_size``,
            ``shuffle``, ``sampler`` and ``drop_last``.
        collate_fn: makes a batch of a list of samples; ``default_collate`` if it is not given.
        drop_last: leave out a last batch that is smaller.
        generator: where the random numbers of shuffles come from.
        num_workers: how many threads load ahead of time; 0 for none.
        prefetch_factor: how many batches each of them is ahead; 2 if it is not given.
        persistent_workers: whether they live as long as the loader.
        worker_init_fn: called in each with its number, from 0, before its first batch.
        timeout: how many seconds a worker may take for a batch; 0 for as long as it likes.
        pin_memory: taken and not needed: what goes to a GPU goes through pinned memory.
        pin_memory_device: likewise.
        multiprocessing_context: taken and not needed, for workers are threads.
        in_order: taken; batches come in order always.
        seed: a whole number that all shuffles follow from.

    Attributes:
        epoch: the number of the pass that began last, or of the next one when that is done.
        batch: how many batches of it have been handed out.
        seed: what the order of that pass follows from.

    Raises:
        ConfigurationError: for arguments that make no sense, or not together.
        DataError: if the data set is empty, or too small for one batch with ``drop_last``.

    >>> loader = DataLoader(TensorDataset(np.arange(5)), batch_size=2, shuffle=True, seed=1)
    >>> len(loader), sorted(n for (batch,) in loader for n in batch.tolist())
    (3, [0, 1, 2, 3, 4])
    """

    __class_getitem__: ClassVar[Any] = classmethod(types.GenericAlias)

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Any = None,
        batch_sampler: Any = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
        seed: int | None = None,
    ) -> None:
        self.dataset = dataset
        self.iterable = isinstance(dataset, IterableDataset)
        self.num_workers, self.prefetch_factor = num_workers, prefetch_factor
        self.pin_memory, self.pin_memory_device = pin_memory, pin_memory_device
        self.timeout, self.worker_init_fn = timeout, worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.persistent_workers, self.in_order = persistent_workers, in_order
        check_workers(self)
        if num_workers and prefetch_factor is None:
            self.prefetch_factor = 2
        self._crew: Crew | None = None
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ConfigurationError(
                    "batch_sampler says what is in each batch: leave out batch_size, shuffle, "
                    "sampler and drop_last"
                )
            batch_size = None
        elif batch_size is not None:
            check_count(batch_size, "batch_size")
            batch_size = int(batch_size)
        elif drop_last:
            raise ConfigurationError("batch_size=None hands out samples: there is no last batch")
        if sampler is not None and shuffle:
            raise ConfigurationError("give a sampler or shuffle=True, not both")
        if self.iterable and (shuffle or sampler is not None or batch_sampler is not None):
            raise ConfigurationError(
                "an IterableDataset gives its samples in its own order: leave out shuffle, sampler "
                "and batch_sampler, and shuffle in its __iter__"
            )
        self.batch_size: int | None = batch_size
        self.shuffle, self.drop_last = bool(shuffle), bool(drop_last)
        self.generator = generator
        self._draws = seed is None
        self.seed = 0 if seed is None else Generator(seed).seed
        self.epoch = self.batch = self._passes = 0
        self._stream: int | None = None
        self._resume = self._open = self._repeats = False
        self.sampler, self.batch_sampler = sampler, batch_sampler
        single = batch_size is None and batch_sampler is None
        self.collate_fn = collate_fn or (default_convert if single else default_collate)
        self._given = sampler is not None or batch_sampler is not None
        if not self._given and not self.iterable:
            self._check_length()
            self.sampler = (
                RandomSampler(dataset, generator=generator)
                if self.shuffle
                else SequentialSampler(dataset)
            )
        if batch_sampler is None and self.sampler is not None and batch_size is not None:
            self.batch_sampler = BatchSampler(self.sampler, batch_size, self.drop_last)

    def _check_length(self) -> None:
        if not hasattr(self.dataset, "__len__"):
            raise ConfigurationError(
                f"{type(self.dataset).__name__} has no __len__, which a loader needs; add it, give "
                "a sampler, or derive the class from IterableDataset"
            )
        if self.samples == 0:
            raise DataError("the data set is empty")
        if len(self) == 0:
            raise DataError(
                f"the data set has {self.samples} samples, fewer than one batch of "
                f"{self.batch_size}, and drop_last leaves that one out"
            )

    @property
    def samples(self) -> int:
        """The number of samples of an epoch.

        Raises:
            TypeError: if the data set or the sampler has no length.
        """
        return len(self.sampler if self._given and self.sampler is not None else self.dataset)

    def __len__(self) -> int:
        """The number of batches of an epoch."""
        if self.batch_size is None:
            return self.samples if self.batch_sampler is None else len(self.batch_sampler)
        if self.drop_last:
            return self.samples // self.batch_size
        return -(-self.samples // self.batch_size)

    @property
    def start(self) -> int:
        """The batch that the next pass starts with: 0, unless it goes on in the middle of one."""
        return self.batch if self._resume else 0

    @property
    def sized(self) -> bool:
        """Whether ``batch_samples`` can say how many samples a batch has."""
        return self.batch_size is not None and _length(self) is not None

    def batch_samples(self, batch: int) -> int:
        """Return how many samples the batch of that number has.

        Raises:
            ConfigurationError: if that is for the data set or a ``batch_sampler`` to decide.
        """
        if self.batch_size is None or not self.sized:
            raise ConfigurationError(
                "how many samples each batch has is not known beforehand; give a batch_size and "
                "data of known length, in the place of a batch_sampler or batches ready made"
            )
        return min(self.batch_size, self.samples - batch * self.batch_size)

    def head(self, samples: int) -> Any:
        """Return the first samples of the data set as a batch; nothing moves on."""
        with own_stream(Generator(seed_of(self.seed))):
            return self._head(samples)

    def _head(self, samples: int) -> Any:
        if self.batch_size is None and self.batch_sampler is None:
            return self.collate_fn(next(iter(self.dataset)) if self.iterable else self.dataset[0])
        if self.iterable:
            return self.collate_fn(list(islice(iter(self.dataset), samples)))
        return self._fetch(slice(0, samples))

    def order(self, epoch: int) -> Any:
        """Return the order of the samples in an epoch, (N,) int64 on the host."""
        if not self.shuffle:
            return np.arange(self.samples, dtype=np.int64)
        # An order that was drawn follows from its seed alone.
        offset = 0 if self._draws else epoch * blocks_needed("permutation", self.samples)
        key = self.seed ^ _SHUFFLE_KEY
        return permutation(np, self.samples, seed=key, offset=offset % 2**64)

    def __iter__(self) -> Iterator[Any]:
        """Start an epoch, or go on in the one that ``load_state_dict`` named.

        Several passes may run at once, each in an order of its own.
        """
        return self._begin(copies=True)

    def _begin(self, copies: bool) -> Iterator[Any]:
        # Not a generator: the epoch starts now, not when its first batch is asked for.
        if not self._resume:
            # The pass before was broken off, or still runs; this is another one.
            self.epoch, self.batch = self.epoch + self._open, 0
        if self._draws and self.shuffle and not self.batch and not self._repeats:
            generator = self.generator or default_generator
            self.seed = int(generator.randint(0, 2**62, (1,))[0])
        stream = self._stream if self._resume or self._repeats else None
        if stream is None and not self._draws:
            stream = seed_of(self.seed, self.epoch)
        elif stream is None and self.shuffle:
            stream = self.seed  # which was drawn for this epoch
        self._resume, self._open = False, True
        self._passes += 1
        order = self.order(self.epoch) if self.shuffle else None
        return self._batches(self._passes, self.epoch, self.batch, order, stream, copies)

    def _batches(
        self, number: int, epoch: int, batch: int, order: Any, stream: int | None, copies: bool
    ) -> Iterator[Any]:
        count = _length(self)
        tasks = self._tasks(batch, order)
        made: Iterator[Any]
        if self._by_rows:
            made = (self._fetch(task, copies) for task in tasks)
        else:
            made = self._loaded(tasks, number, epoch, batch, stream)
        for one in made:
            batch += 1
            # Only the pass that began last is what the state is of.
            if number == self._passes:
                self._open = batch != count
                self.epoch, self.batch = (epoch, batch) if self._open else (epoch + 1, 0)
            yield one
        if number == self._passes and self._open:
            self.epoch, self.batch, self._open = epoch + 1, 0, False

    @property
    def _single(self) -> bool:
        """Whether single samples are handed out."""
        return self.batch_size is None and self.batch_sampler is None

    @property
    def _by_rows(self) -> bool:
        """Whether batches are rows of arrays in memory, which nobody has to be sent for."""
        ordinary = self.collate_fn is default_collate and not self._single and not self.iterable
        return ordinary and self.worker_init_fn is None and is_in_memory(self.dataset)

    def _tasks(self, batch: int, order: Any) -> Iterator[Any]:
        """Say of each batch of an epoch, from one on, which samples it is made of."""
        if self.iterable:
            return repeat(None)
        if self._given:
            given = self.sampler if self.batch_sampler is None else self.batch_sampler
            return islice(given, batch, None)
        if self.batch_size is None:
            return iter((self.order(0) if order is None else order)[batch:].tolist())
        return self._slices(batch, self.batch_size, None if order is None else self._near(order))

    def _slices(self, batch: int, size: int, order: Any) -> Iterator[Any]:
        samples = self.samples
        for start in range(batch * size, len(self) * size, size):
            stop = min(start + size, samples)
            yield slice(start, stop) if order is None else order[start:stop]

    def _fetch(self, indices: Any, copies: bool = True) -> Any:
        return fetch(self.dataset, indices, self.collate_fn, copies)

    def _loaded(
        self, tasks: Iterator[Any], number: int, epoch: int, batch: int, stream: int | None
    ) -> Iterator[Any]:
        """Load the batches of an epoch from one on, here or by workers."""
        draws = stream is None
        if stream is None:
            # From where the default generator stands when the epoch is first asked for something.
            now = default_generator.state()
            stream = seed_of(now["seed"], now["offset"], epoch)
        if number == self._passes:
            self._stream = stream
        crew = self._crew or Crew(
            self.dataset,
            count=self.num_workers,
            init_fn=self.worker_init_fn,
            prefetch=self.prefetch_factor or 1,
            timeout=self.timeout,
            persistent=self.persistent_workers,
        )
        self._crew = crew if self.persistent_workers else None
        recipe = Recipe(
            self.collate_fn, self.batch_size, self.drop_last, self._single, self.iterable
        )
        # Whoever gives its samples one after another has to give those before, too.
        first = 0 if self.iterable else batch
        made = crew.load(recipe, tasks, stream, first)
        for one, drew in islice(made, batch - first, None):
            if drew and draws:
                # The next epoch has other numbers; where none are drawn, none are taken away.
                default_generator.reserve("randint", 1)
                draws = False
            yield one

    def __getstate__(self) -> dict[str, Any]:
        # Threads are of the loader that started them.
        return {**self.__dict__, "_crew": None}

    def on(self, device: Any) -> Iterator[Any]:
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
        # A subclass may have other batches; the upload is a copy already.
        own = type(self).__iter__ is DataLoader.__iter__
        yield from uploaded(self._begin(copies=device.type != "cuda") if own else self, device)

    def _near(self, order: Any) -> Any:
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
            "samples": _length(self, "samples"),
            "batch_size": self.batch_size,
            "shuffle": self.shuffle,
            "drop_last": self.drop_last,
            **({} if self._stream is None else {"stream": self._stream}),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to where ``state_dict`` was taken: the next pass starts with the batch after it.

        A sampler and an ``IterableDataset`` are asked anew, and what was had of them is passed
        over: where a sampler's order is random, it is another one in this epoch.

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
        numbers.append(state.get("stream", 0))
        if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in numbers):
            raise CheckpointError(f"a data loader's state needs whole numbers, got {numbers}")
        seed, epoch, batch, stream = (int(n) for n in numbers if n is not None)
        count = _length(self)
        if (count is not None and batch >= count) or max(seed, stream) >= 2**64:
            raise CheckpointError(
                f"a data loader's state names batch {batch} of {count} and seed {seed}"
            )
        self.seed, self.epoch, self.batch = seed, epoch, batch
        self._stream = stream if "stream" in state and batch else None
        self._resume = True

    def again(self) -> DataLoader | None:
        """Return a loader that goes once more through the epoch that runs or has just ended.

        None where a sampler or an ``IterableDataset`` decides, which need not repeat themselves.
        """
        if self._given or self.iterable:
            return None
        again = copy.copy(self)
        again.epoch, again.batch = self.epoch if self.batch else max(self.epoch - 1, 0), 0
        again._open, again._resume, again._repeats = False, False, True
        again._stream = self._stream
        return again


def _length(loader: DataLoader, what: str = "__len__") -> int | None:
    """Return the number of batches or samples, None where data set or sampler do not know it."""
    try:
        return loader.samples if what == "samples" else len(loader)
    except TypeError:
        return None
