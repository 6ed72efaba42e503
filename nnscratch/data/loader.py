"""``DataLoader``: batches of a data set, in order or shuffled, resumable within an epoch."""

from __future__ import annotations

import copy
import types
from collections.abc import Callable, Iterator, Mapping
from itertools import islice, repeat
from typing import Any, ClassVar

import numpy as np

from nnscratch.array import Generator, as_device, device_of, move, permutation
from nnscratch.array.philox import blocks_needed
from nnscratch.array.random import default_generator, own_stream
from nnscratch.data.collate import default_collate, default_convert, fetch, is_in_memory
from nnscratch.data.dataset import IterableDataset, TensorDataset
from nnscratch.data.loading import Recipe, seed_of
from nnscratch.data.samplers import BatchSampler, RandomSampler, SequentialSampler, check_count
from nnscratch.data.uploading import uploaded
from nnscratch.data.workers import BatchSource, check_workers
from nnscratch.errors import CheckpointError, ConfigurationError, DataError

# Makes the random numbers of shuffles differ from those of weights and dropout of the same seed.
_SHUFFLE_KEY = 0x9E3779B97F4A7C15


class DataLoader:
    """Iterates over a data set in batches; each pass is an epoch.

    **Order.** The order of a shuffled epoch depends only on one number, which is drawn when the
    epoch begins from ``generator``, by default the default generator. So ``manual_seed`` makes a
    run repeatable, and ``state_dict`` is enough to resume at the next batch. With ``seed``, the
    orders of all epochs depend on that number alone.

    **Workers.** With ``num_workers``, threads load batches ahead of time. They read files and
    decode images in parallel with one another and with the training; the data set and the
    functions need not be picklable, and the data is in memory once. Each worker has a shallow copy
    of the data set, on which it can set attributes. As in PyTorch, every worker iterates over an
    ``IterableDataset``, which must select its part of the samples by ``get_worker_info``. Rows of
    arrays in memory (``TensorDataset``, and subsets and stacks of such) are taken without workers
    unless there is a ``worker_init_fn``, because that is quicker.

    **Random numbers.** An epoch has the same bits for any number of workers. What a data set draws
    from nnscratch's default generator while a batch is loaded depends on the seed of the epoch and
    the number of the batch only. Python's ``random`` and NumPy's global generator are shared by all
    threads, so use nnscratch's, or make a NumPy generator from the index of the sample.

    **Errors.** An error in a worker is raised with its own traceback, and with notes that name the
    worker, the batch and the sample. The threads end with the pass, or with the loader if
    ``persistent_workers`` is set.

    Args:
        dataset: anything with ``len`` and ``[index]``, or an ``IterableDataset``.
        batch_size: how many samples a batch has (the last of an epoch may have fewer); None to
            yield single samples.
        shuffle: whether each epoch has a new random order.
        sampler: yields the indices of an epoch's samples, instead of ``shuffle``.
        batch_sampler: yields a list of indices for each batch, instead of ``batch_size``,
            ``shuffle``, ``sampler`` and ``drop_last``.
        collate_fn: makes a batch of a list of samples; by default ``default_collate``.
        drop_last: whether to leave out a last batch that is smaller.
        generator: the generator of the shuffles' random numbers.
        num_workers: how many threads load batches ahead of time; 0 to load when a batch is needed.
        prefetch_factor: how many batches each worker loads ahead; 2 by default.
        persistent_workers: whether the workers live as long as the loader.
        worker_init_fn: called in each worker with its number, from 0, before its first batch.
        timeout: how many seconds a worker may take for a batch; 0 for no limit.
        pin_memory: accepted as in PyTorch; copies to a GPU always go through pinned memory.
        pin_memory_device: accepted as in PyTorch, without an effect.
        multiprocessing_context: accepted as in PyTorch; workers are threads.
        in_order: accepted as in PyTorch; batches are always in order.
        seed: an integer on which the orders of all epochs depend.

    Attributes:
        epoch: the number of the current pass, from 0; after a pass, that of the next.
        batch: how many batches of the current pass have been yielded.
        seed: the number on which the order of the current pass depends.

    Raises:
        ConfigurationError: if an argument is invalid, or two exclude each other.
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
        self._source: BatchSource | None = None
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ConfigurationError(
                    "batch_sampler determines the samples of each batch: leave out batch_size, "
                    "shuffle, sampler and drop_last"
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
        """The batch that the next pass starts with: above 0 if it resumes an epoch."""
        return self.batch if self._resume else 0

    @property
    def sized(self) -> bool:
        """Whether ``batch_samples`` can say how many samples a batch has."""
        return self.batch_size is not None and _length(self) is not None

    def batch_samples(self, batch: int) -> int:
        """Return how many samples the batch of that number has.

        Raises:
            ConfigurationError: if only the data set or the ``batch_sampler`` can know.
        """
        if self.batch_size is None or not self.sized:
            raise ConfigurationError(
                "how many samples each batch has is not known beforehand; give a batch_size and "
                "data of known length, instead of a batch_sampler or ready-made batches"
            )
        return min(self.batch_size, self.samples - batch * self.batch_size)

    def head(self, samples: int) -> Any:
        """Return the first samples of the data set as a batch, without advancing a pass."""
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
        """Start an epoch, or resume the one of ``load_state_dict``.

        Several passes may run at once, each with its own order.
        """
        return self._begin(copies=True)

    def _begin(self, copies: bool) -> Iterator[Any]:
        # Not a generator: the epoch starts now, not when its first batch is asked for.
        if not self._resume:
            # If the previous pass was not finished, or is still running, this one is another epoch.
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
            # ``state_dict`` describes the pass that began last.
            if number == self._passes:
                self._open = batch != count
                self.epoch, self.batch = (epoch, batch) if self._open else (epoch + 1, 0)
            yield one
        if number == self._passes and self._open:
            self.epoch, self.batch, self._open = epoch + 1, 0, False

    @property
    def _single(self) -> bool:
        """Whether single samples are yielded instead of batches."""
        return self.batch_size is None and self.batch_sampler is None

    @property
    def _by_rows(self) -> bool:
        """Whether batches are rows of arrays in memory, so that workers would gain nothing."""
        ordinary = self.collate_fn is default_collate and not self._single and not self.iterable
        return ordinary and self.worker_init_fn is None and is_in_memory(self.dataset)

    def _tasks(self, batch: int, order: Any) -> Iterator[Any]:
        """Yield the indices of the samples of each batch of an epoch, from batch ``batch`` on."""
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
        """Load the batches of an epoch from batch ``batch`` on, in this thread or by workers."""
        draws = stream is None
        if stream is None:
            # Derived from the state of the default generator when the first batch is requested.
            now = default_generator.state()
            stream = seed_of(now["seed"], now["offset"], epoch)
        if number == self._passes:
            self._stream = stream
        source = self._source or BatchSource(
            self.dataset,
            count=self.num_workers,
            init_fn=self.worker_init_fn,
            prefetch=self.prefetch_factor or 1,
            timeout=self.timeout,
            persistent=self.persistent_workers,
        )
        self._source = source if self.persistent_workers else None
        recipe = Recipe(
            self.collate_fn, self.batch_size, self.drop_last, self._single, self.iterable
        )
        # An IterableDataset has to yield the samples before ``batch`` too; they are skipped here.
        first = 0 if self.iterable else batch
        made = source.load(recipe, tasks, stream, first)
        for one, drew in islice(made, batch - first, None):
            if drew and draws:
                # Advance the default generator, so that the next epoch has other numbers; but not
                # if no batch draws any, in which case it must stay as it is.
                default_generator.reserve("randint", 1)
                draws = False
            yield one

    def __getstate__(self) -> dict[str, Any]:
        # A copy starts threads of its own.
        return {**self.__dict__, "_source": None}

    def on(self, device: Any) -> Iterator[Any]:
        """Start an epoch whose batches are on a device; None leaves them on the data's device.

        Copies to a GPU go through pinned memory, and overlap with the computation on the batch
        before.

        Raises:
            DeviceError: if this machine has no such device.
        """
        if device is None:
            yield from self
            return
        device = as_device(device)
        # A subclass may override __iter__. Batches need no copy if the upload makes one anyway.
        own = type(self).__iter__ is DataLoader.__iter__
        yield from uploaded(self._begin(copies=device.type != "cuda") if own else self, device)

    def _near(self, order: Any) -> Any:
        if isinstance(self.dataset, TensorDataset):
            places = {device_of(array) for array in self.dataset.arrays}
            if len(places) == 1:
                # One copy per epoch to the data's device, instead of one per batch.
                return move(order, places.pop())
        return order

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the epoch and the settings it depends on, in JSON's types."""
        return {
            "seed": self.seed,
            "epoch": self.epoch,
            "batch": self.batch,
            "samples": _length(self, "samples"),
            "batch_size": self.batch_size,
            "shuffle": self.shuffle,
            "drop_last": self.drop_last,
            # Between two epochs the numbers of the last one are gone, and mean nothing.
            **({"stream": self._stream} if self._stream is not None and self.batch else {}),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a state of ``state_dict``: the next pass starts with the batch after it.

        A sampler or an ``IterableDataset`` is iterated over from its beginning, and the batches
        before are skipped. If a sampler's order is random, this epoch has another order.

        Raises:
            CheckpointError: if the state is of another data set, or of another division of it
                into batches, or is damaged.
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
        if (count is not None and batch >= count) or max(seed, stream, epoch + 1) >= 2**64:
            raise CheckpointError(
                f"a data loader's state names batch {str(batch)[:20]} of {count}, epoch "
                f"{str(epoch)[:20]} and seed {str(seed)[:20]}"
            )
        self.seed, self.epoch, self.batch = seed, epoch, batch
        self._stream = stream if "stream" in state and batch else None
        self._resume = True

    def again(self) -> DataLoader | None:
        """Return a loader that repeats the current epoch, or the one that has just ended.

        It is None for a sampler or an ``IterableDataset``, which need not repeat themselves.
        """
        if self._given or self.iterable:
            return None
        again = copy.copy(self)
        again.epoch, again.batch = self.epoch if self.batch else max(self.epoch - 1, 0), 0
        again._open, again._resume, again._repeats = False, False, True
        again._stream = self._stream
        return again


def _length(loader: DataLoader, what: str = "__len__") -> int | None:
    """Return the number of batches or samples, None if the data set or sampler has no length."""
    try:
        return loader.samples if what == "samples" else len(loader)
    except TypeError:
        return None
