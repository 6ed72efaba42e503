"""Threads that load batches ahead of time, in the order in which they will be asked for.

NumPy, decoders of images and files let go of the interpreter while they work, so threads load at
once, and while the training computes. They need no pickles, no guarded main module and no second
copy of the data; but work that is Python alone takes turns with the training.
"""

from __future__ import annotations

import copy
import queue
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from nnscratch.array.random import Generator, own_stream
from nnscratch.data.loading import Ends, Recipe, loaded
from nnscratch.data.samplers import check_count
from nnscratch.errors import ConfigurationError, RunError
from nnscratch.tensors import Tensor

# What a closing loader waits for a batch that is being loaded: a thread cannot be broken off.
_PATIENCE = 5.0
# Windows delivers Ctrl-C between two waits only.
_LOOK = 1.0


@dataclass(frozen=True)
class WorkerInfo:
    """Which worker this is; ``get_worker_info`` returns it.

    Attributes:
        id: its number, from 0.
        num_workers: how many there are.
        seed: a number that follows from the loader's and differs between workers and epochs.
        dataset: this worker's own copy of the data set, which shares what is in it.
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any


class _Here(threading.local):
    info: WorkerInfo | None = None


_here = _Here()


def get_worker_info() -> WorkerInfo | None:
    """Return which worker of a ``DataLoader`` this is; None outside of workers.

    An ``IterableDataset`` asks for it to give each worker another part of its samples.

    >>> get_worker_info() is None
    True
    """
    return _here.info


@dataclass
class _Task:
    """A batch to load in an epoch, or, with a recipe for what follows, its beginning."""

    order: object
    samples: Any = None
    seed: int = 0
    number: int = 0
    recipe: Recipe | None = None


@dataclass
class _Outcome:
    """What came of a task: a batch, an error, or that there are no more."""

    order: object
    batch: Any = None
    drew: bool = False
    error: BaseException | None = None
    ends: bool = False


class Workers:
    """Threads that are given tasks in turn.

    Args:
        count: how many.
        dataset: of what; each has a copy of its own, which shares what is in it.
        seed: what their own seeds follow from.
        init_fn: called in each with its number before its first batch.
        prefetch: how many batches each is ahead.
        timeout: how many seconds a batch may take; 0 for as long as it likes.
    """

    def __init__(
        self,
        count: int,
        dataset: Any,
        seed: int,
        init_fn: Callable[[int], None] | None,
        prefetch: int,
        timeout: float,
    ) -> None:
        self.busy = False
        self._ahead, self._timeout = count * prefetch, timeout
        self._inboxes: list[Any] = [queue.SimpleQueue() for _ in range(count)]
        self._outboxes: list[Any] = [queue.SimpleQueue() for _ in range(count)]
        self._order = [object()]
        self._threads = []
        for place in range(count):
            info = WorkerInfo(place, count, (seed + place) % 2**63, _own(dataset))
            thread = threading.Thread(
                target=_work,
                args=(info, init_fn, self._inboxes[place], self._outboxes[place],
                      self._order),
                name=f"DataLoader worker {place}",
                daemon=True,
            )  # fmt: skip
            thread.start()
            self._threads.append(thread)

    def run(
        self, recipe: Recipe, tasks: Iterator[Any], seed: int, first: int
    ) -> Iterator[tuple[Any, bool]]:
        """Load the batches of an epoch, as ``Crew.load``.

        Raises:
            RunError: if a batch takes longer than the timeout.
        """
        order = self._order[0] = object()  # what is left of an epoch before is passed over
        self.busy = True
        active = deque(range(len(self._threads)))
        waiting: deque[tuple[int, int]] = deque()
        number = first

        def give() -> None:
            nonlocal number
            if not active:
                return
            for task in tasks:
                self._inboxes[active[0]].put(_Task(order, task, seed, number))
                waiting.append((active[0], number))
                active.rotate(-1)
                number += 1
                return

        try:
            for inbox in self._inboxes:
                inbox.put(_Task(order, recipe=recipe))
            for _ in range(self._ahead):
                give()
            while waiting:
                worker, which = waiting.popleft()
                outcome = self._next(worker, which, order)
                if outcome.error is not None:
                    raise outcome.error
                if outcome.ends:
                    if worker in active:
                        active.remove(worker)
                    waiting = deque(one for one in waiting if one[0] != worker)
                    give()
                    continue
                give()
                yield outcome.batch, outcome.drew
        finally:
            self._order[0] = object()
            self.busy = False

    def _next(self, worker: int, number: int, order: object) -> _Outcome:
        waited = 0.0
        while True:
            step = min(_LOOK, self._timeout - waited) if self._timeout else _LOOK
            try:
                outcome: _Outcome = self._outboxes[worker].get(timeout=step)
            except queue.Empty:
                waited += step
                if self._timeout and waited >= self._timeout:
                    raise RunError(
                        f"batch {number} was not loaded by worker {worker} within timeout="
                        f"{self._timeout:g} seconds; give it longer, or look at what the data set "
                        "waits for"
                    ) from None
                continue
            if outcome.order is order:
                return outcome

    def close(self) -> None:
        """End the threads; a batch that one is loading is waited for, but not for ever."""
        self._order[0] = object()
        for inbox in self._inboxes:
            inbox.put(None)
        until = time.monotonic() + _PATIENCE
        for thread in self._threads:
            if thread is not threading.current_thread():  # which may have thrown the loader away
                thread.join(max(0.0, until - time.monotonic()))


class Crew:
    """Who loads the batches of a loader: whoever asks for them, or threads ahead of time.

    Args:
        dataset: of what.
        count: how many threads; 0 for none.
        init_fn: as for ``Workers``.
        prefetch: likewise.
        timeout: likewise.
        persistent: whether the threads go on when a pass has ended, until nobody has this.
    """

    def __init__(
        self,
        dataset: Any,
        *,
        count: int,
        init_fn: Callable[[int], None] | None,
        prefetch: int,
        timeout: float,
        persistent: bool,
    ) -> None:
        self._dataset, self._count, self._init_fn = dataset, count, init_fn
        self._prefetch, self._timeout, self._persistent = prefetch, timeout, persistent
        self._workers: Workers | None = None

    def load(
        self, recipe: Recipe, tasks: Iterator[Any], seed: int, first: int
    ) -> Iterator[tuple[Any, bool]]:
        """Load the batches of an epoch: go through them, each with whether it has drawn numbers.

        Args:
            recipe: how they are made.
            tasks: of which samples.
            seed: what their random numbers follow from.
            first: the number of the first of them in the epoch.
        """
        if not self._count:
            load = recipe.of(self._dataset)
            for number, task in enumerate(tasks, start=first):
                try:
                    made = loaded(load, task, seed, number)
                except Ends:
                    return
                yield made
            return
        workers = self._workers
        if workers is None or workers.busy:
            # Passes at once have threads of their own.
            lasting = self._persistent and workers is None
            workers = Workers(
                self._count, self._dataset, seed, self._init_fn, self._prefetch, self._timeout
            )
            if lasting:
                self._workers = workers
                weakref.finalize(self, workers.close)
        try:
            yield from workers.run(recipe, tasks, seed, first)
        except GeneratorExit:
            raise
        except BaseException:
            # Its traceback holds all that is here, which a worker's own state may hold.
            if workers is self._workers:
                self._workers = None
            raise
        finally:
            if workers is not self._workers:
                workers.close()


def check_workers(loader: Any) -> None:
    """Check a loader's arguments that are about workers, as PyTorch does.

    Raises:
        ConfigurationError: if one makes no sense.
    """
    check_count(loader.num_workers, "num_workers", 0)
    if loader.timeout < 0:
        raise ConfigurationError(f"timeout must be at least 0, got {loader.timeout!r}")
    given = {
        "prefetch_factor": loader.prefetch_factor is not None,
        "persistent_workers": bool(loader.persistent_workers),
        "multiprocessing_context": loader.multiprocessing_context is not None,
    }
    for name, is_given in given.items():
        if is_given and loader.num_workers == 0:
            raise ConfigurationError(f"{name} is for num_workers above 0; leave it out")
    if loader.prefetch_factor is not None:
        check_count(loader.prefetch_factor, "prefetch_factor")
    method = loader.multiprocessing_context
    if isinstance(method, str) and method not in ("fork", "spawn", "forkserver"):
        raise ConfigurationError(
            f"multiprocessing_context must be 'fork', 'spawn' or 'forkserver', got {method!r}; "
            "leave it out, for workers are threads here"
        )


def _own(dataset: Any) -> Any:
    """Return a copy of a data set that shares what is in it: a worker may set attributes."""
    if not hasattr(dataset, "__dict__") or isinstance(dataset, Tensor):
        return dataset
    try:
        return copy.copy(dataset)
    except Exception:
        return dataset  # such as one with a lock that its class does not let be copied


def _work(
    info: WorkerInfo,
    init_fn: Callable[[int], None] | None,
    inbox: Any,
    outbox: Any,
    current: list[object],
) -> None:
    """Load what comes in, until None does."""
    _here.info = info
    failure: BaseException | None = None
    with own_stream(Generator(info.seed)):
        try:
            if init_fn is not None:
                init_fn(info.id)
        except BaseException as error:
            error.add_note(f"This was worker_init_fn({info.id}) of the DataLoader.")
            failure = error
    load: Any = None
    while True:
        task = inbox.get()
        if task is None:
            return
        if task.order is current[0] and task.recipe is not None:
            load = task.recipe.of(info.dataset)
        elif task.order is current[0]:
            outbox.put(_outcome(load, task, info.id, failure))
        task = None  # while it waits, it must hold nothing that others have let go of


def _outcome(
    load: Callable[[Any, bool], Any], task: _Task, worker: int, failure: BaseException | None
) -> _Outcome:
    outcome = _Outcome(task.order, error=failure)
    if failure is not None:
        return outcome
    try:
        outcome.batch, outcome.drew = loaded(load, task.samples, task.seed, task.number)
    except Ends:
        outcome.ends = True
    except BaseException as error:
        error.add_note(f"This was worker {worker} of the DataLoader, at batch {task.number}.")
        outcome.error = error
    return outcome
