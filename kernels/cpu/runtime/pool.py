"""The one pool of threads that runs tables: persistent daemon threads that live in the driver.

A worker spins for a moment after a run, because in training the next one follows at once, and then
sleeps on a lock. One caller at a time has the pool; a second Python thread that runs a table in
the meantime runs it alone. A forked child starts without workers, and the interpreter's exit ends
them.

Threads of NumPy's BLAS wait awake as well, for longer, and with ours they would be more than there
are processors: an eager step that goes from one to the other took twenty times as long. So BLAS is
kept at one thread from the first shared run on until there was none for a while.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import threading
import time
from typing import Any

import numpy as np

from . import state
from .blas import blas
from .entries import driver_functions
from .heap import keep_freed_memory

SPIN_SECONDS = 300e-6
"""How long a worker waits awake for the next run."""
CHECK_SECONDS = 0.1
"""How often a sleeping worker looks whether it was woken: a safety net, never the usual way."""
IDLE_CHECKS = 20
"""After how many such looks BLAS gets its threads back.

Not at once: OpenBLAS's threads wait awake for 0.1 s after they were needed, and whoever goes on to
train after a pause would have to share the processors with them.
"""
YIELD_SECONDS = 30e-6
"""How long anybody waits before offering the processor to others now and then."""


def _yield_address() -> int:
    try:
        if os.name == "nt":
            function: Any = ctypes.windll.kernel32.SwitchToThread  # type: ignore[attr-defined]
        else:
            function = ctypes.CDLL(None).sched_yield
    except (AttributeError, OSError):
        return 0
    return ctypes.cast(function, ctypes.c_void_p).value or 0


class Pool:
    """Threads 1, 2, ... of a run; the caller is thread 0."""

    def __init__(self) -> None:
        self._driver = driver_functions()
        self._lock = threading.Lock()
        self._space = np.zeros((state.BYTES + state.LINE) // 8, dtype=np.int64)
        start = -self._space.ctypes.data % state.LINE // 8
        self._state = self._space[start:]
        self.address = self._state.ctypes.data
        self._wakers: list[Any] = [None]
        self._threads: list[threading.Thread] = []
        self._library = library = blas()
        self._held = 0  # the threads that BLAS gets back
        self.runs = 0  # by several threads
        pauses = self._pauses_per_second()
        self._patience = int(pauses * SPIN_SECONDS)
        self._set(state.SCHED_YIELD, _yield_address())
        if library is not None and library.set_threads and library.get_threads:
            self._set(state.SET_THREADS, library.set_threads)
            self._set(state.GET_THREADS, library.get_threads)
        self._set(state.SPINS, int(pauses * YIELD_SECONDS))

    def _get(self, field: int) -> int:
        return int(self._state[field // 8])

    def _set(self, field: int, value: int) -> None:
        self._state[field // 8] = value

    def _pauses_per_second(self) -> float:
        count, best = 2000, 1.0
        for _ in range(3):
            start = time.perf_counter()
            self._driver.spin_many(self.address, count)
            best = min(best, time.perf_counter() - start)
        return count / max(best, 1e-9)

    def run(self, code: int, count: int, threads: int) -> None:
        """Run the table of ``count`` instructions at the address ``code``."""
        if threads <= 1 or not self._lock.acquire(blocking=False):
            self._driver.run_alone(self.address, code, count)
            return
        try:
            self.runs += 1
            if not self._held:
                self._hold()
            if len(self._wakers) < threads:
                self._grow(threads)
            asleep = self._driver.lead(self.address, code, count, threads, 0)
            if asleep:
                try:
                    self._wake(threads)
                finally:  # an interrupt must not leave the others waiting at a barrier
                    self._driver.lead(self.address, code, count, threads, 1)
        finally:
            self._lock.release()

    def keep_blas_alone(self) -> bool:
        """Keep BLAS at one thread for a product of NumPy's, as a shared run does.

        Returns False where BLAS has no switch that is known.
        """
        library = self._library
        if library is None or not (library.set_threads and library.get_threads):
            return False
        self.runs += 1  # ahead of the look at what is held: ``rest`` looks the other way round
        if not self._held or library.threads() != 1:
            with self._lock:
                self._hold()
                self._grow(2)  # who gives the threads back
        return True

    def _hold(self) -> None:
        if self._library is not None:
            self._held = max(self._held, self._library.threads())
            self._library.limit_threads(1)

    def _let_go(self) -> None:
        held, self._held = self._held, 0
        if held and self._library is not None:
            self._library.limit_threads(held)

    def rest(self, runs: int) -> None:
        """Give BLAS its threads back if there was no run since that many."""
        if runs == self.runs and self._held and self._lock.acquire(blocking=False):
            try:
                # Not held any more first, and then the look: see ``keep_blas_alone``.
                held, self._held = self._held, 0
                if runs != self.runs:
                    self._held = held
                elif self._library is not None:
                    self._library.limit_threads(held)
            finally:
                self._lock.release()

    def _wake(self, threads: int) -> None:
        for tid in range(1, threads):
            if self._get(state.ASLEEP + tid * state.LINE):
                try:
                    self._wakers[tid].release()
                except RuntimeError:  # woken already: it has only not moved yet
                    pass

    def _grow(self, threads: int) -> None:
        for tid in range(len(self._wakers), threads):
            waker = threading.Lock()
            waker.acquire()
            self._wakers.append(waker)
            thread = threading.Thread(
                target=_live,
                args=(
                    self,
                    tid,
                    waker,
                    self._patience,
                    self._get(state.GENERATION),
                ),
                name=f"nnscratch-{tid}",
                daemon=True,
            )
            self._threads.append(thread)
            thread.start()

    def work(self, tid: int, seen: int, spins: int) -> int:
        """Let a thread do its part of runs until there is nothing to do; see the driver."""
        return int(self._driver.work(self.address, tid, seen, spins))

    def forget(self) -> None:
        """In a forked child: the threads are gone, and locks may be held by nobody."""
        library = blas()
        if self._get(state.USERS) and library is not None:  # another thread was in a run
            library.limit_threads(self._get(state.FORMER))
        self._let_go()
        self._lock = threading.Lock()
        self._wakers = [None]
        self._threads = []
        self._state[: state.SCHED_YIELD // 8] = 0
        self._state[state.LOCK // 8 :] = 0

    def close(self) -> None:
        """End the workers. The next run starts new ones."""
        with self._lock:
            self._set(state.QUIT, 1)
            self._set(state.GENERATION, (self._get(state.GENERATION) // 256 + 1) * 256)
            self._wake(len(self._wakers))
            self._let_go()
            for thread in self._threads:
                thread.join(timeout=5.0)
            self._threads.clear()
            del self._wakers[1:]
            self._set(state.QUIT, 0)


def _live(pool: Pool, tid: int, waker: Any, patience: int, seen: int) -> None:
    # ``seen`` was read before anything was published for this thread, or it would miss that run.
    spins, runs, idle = patience, 0, 0
    while True:
        seen = pool.work(tid, seen, spins)
        if seen < 0:
            return
        # A wake-up may be lost to an interrupt.
        spins = patience if waker.acquire(timeout=CHECK_SECONDS) else 0
        idle = 0 if spins else idle + 1
        if tid == 1 and idle == 1:
            runs = pool.runs
        elif tid == 1 and idle == IDLE_CHECKS:
            pool.rest(runs)


_pool: Pool | None = None
_creation = threading.Lock()


def pool() -> Pool:
    """Return the process's pool, made on first use."""
    global _pool
    if _pool is None:
        with _creation:
            if _pool is None:
                keep_freed_memory()
                _pool = Pool()
    return _pool


def _forget() -> None:
    global _creation
    _creation = threading.Lock()
    if _pool is not None:
        _pool.forget()


@atexit.register
def _end() -> None:
    if _pool is not None:
        _pool.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
