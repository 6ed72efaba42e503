"""Worker threads that prefetch batches, in the order in which the loader yields them.

NumPy, image decoders and file reads release the GIL, so threads load in parallel with one another
and with the training. Unlike processes they need no pickling, no guarded main module and no second
copy of the data; but pure Python code of a data set competes with the training for the GIL.
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

# How many seconds ``close`` waits for a batch that is being loaded: a thread cannot be killed.
_CLOSE_TIMEOUT = 5.0
# Waits are cut into intervals of so many seconds, between which Windows delivers Ctrl-C.
_POLL_INTERVAL = 1.0


@dataclass(frozen=True)
class WorkerInfo:
    """The identity of the current worker; ``get_worker_info`` returns it.

    Attributes:
        id: the number of the worker, from 0.
        num_workers: how many workers there are.
        seed: a seed derived from the loader's, different for every worker and epoch.
        dataset: the worker's shallow copy of the data set.
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any


class _Here(threading.local):
    info: WorkerInfo | None = None


_here = _Here()


def get_worker_info() -> WorkerInfo | None:
    """Return which worker of a ``DataLoader`` the current thread is; None outside of workers.

    An ``IterableDataset`` calls it to give each worker a different part of its samples.

    >>> get_worker_info() is None
    True
    """
    return _here.info


@dataclass
class _Task:
    """A message to a worker: load a batch, or, with a recipe, begin an epoch.

    Attributes:
        order: an object that stands for the epoch; tasks of an earlier epoch are ignored.
        samples: the indices of the batch's samples.
        seed: the seed of the epoch's random numbers.
        number: the number of the batch in the epoch.
        recipe: how the following batches are made; None in the message of a batch.
    """

    order: object
    samples: Any = None
    seed: int = 0
    number: int = 0
    recipe: Recipe | None = None


@dataclass
class _Outcome:
    """The result of a task: a batch, an error, or the end of the samples.

    Attributes:
        order: the ``order`` of the task.
        batch: the batch.
        drew: whether random numbers were drawn to make it.
        error: the exception that was raised instead.
        ends: whether there are no more samples.
    """

    order: object
    batch: Any = None
    drew: bool = False
    error: BaseException | None = None
    ends: bool = False


class Workers:
    """A pool of threads that load batches, to which tasks are assigned round robin.

    Args:
        count: how many threads.
        dataset: the data set; each thread has a shallow copy.
        seed: the seed from which the threads' seeds are derived.
        init_fn: called in each thread with its number before its first batch.
        prefetch: how many batches each thread loads ahead.
        timeout: how many seconds a batch may take; 0 for no limit.
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
        """Load the batches of an epoch, as ``BatchSource.load``.

        Raises:
            RunError: if a batch takes longer than the timeout.
        """
        order = self._order[0] = object()  # makes workers ignore tasks of an earlier epoch
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
            step = _POLL_INTERVAL
            if self._timeout:
                step = min(step, self._timeout - waited)
            try:
                outcome: _Outcome = self._outboxes[worker].get(timeout=step)
            except queue.Empty:
                waited += step
                if self._timeout and waited >= self._timeout:
                    raise RunError(
                        f"batch {number} was not loaded by worker {worker} within timeout="
                        f"{self._timeout:g} seconds; raise timeout, or find out what the data set "
                        "waits for"
                    ) from None
                continue
            if outcome.order is order:
                return outcome

    def close(self) -> None:
        """End the threads, waiting a few seconds for batches that are being loaded."""
        self._order[0] = object()
        for inbox in self._inboxes:
            inbox.put(None)
        until = time.monotonic() + _CLOSE_TIMEOUT
        for thread in self._threads:
            # A worker that drops the last reference to the loader closes it: it cannot join itself.
            if thread is not threading.current_thread():
                thread.join(max(0.0, until - time.monotonic()))


class BatchSource:
    """Loads the batches of a loader, in the calling thread or ahead of time by workers.

    Args:
        dataset: the data set.
        count: how many worker threads; 0 to load in the calling thread.
        init_fn: as for ``Workers``.
        prefetch: as for ``Workers``.
        timeout: as for ``Workers``.
        persistent: whether the threads live as long as this object, instead of one pass.
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
        """Yield the batches of an epoch, each with whether random numbers were drawn to make it.

        Args:
            recipe: how a batch is made.
            tasks: the samples of each batch.
            seed: the seed of the batches' random numbers.
            first: the number, in the epoch, of the first batch.
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
            # Each of several simultaneous passes has threads of its own.
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
            # The traceback keeps this frame and the workers alive: start new ones next time.
            if workers is self._workers:
                self._workers = None
            raise
        finally:
            if workers is not self._workers:
                workers.close()


def check_workers(loader: Any) -> None:
    """Check the arguments of a loader that concern workers, as PyTorch does.

    Raises:
        ConfigurationError: if one is invalid, or is given although there are no workers.
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
    """Return a shallow copy of a data set, on which a worker may set attributes."""
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
    """Run the loop of a worker thread: load the batches of the inbox, until None arrives."""
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
        task = None  # a waiting worker must not keep the last task's objects alive


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
