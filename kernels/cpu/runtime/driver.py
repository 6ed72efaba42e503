"""The driver: runs a table of instructions, alone or with other threads. Imports Numba.

A table is a flat int64 array, four words an instruction: the address of the kernel, of its ``a``,
of its ``s``, and flags. Every thread goes through the whole table and does its own part of each
instruction; between two instructions they meet at a barrier (unless a flag says that the parts
match). There is no second thread pool: BLAS is held at one thread while a table runs, and every
thread calls it for its own part of a product.

``state`` has the names of what the threads share; ``entries`` compiles the functions without
decorator, and makes them callable.
"""

from __future__ import annotations

from numba import njit, types

from .intrinsics import (
    INLINE,
    atomic_add,
    atomic_load,
    atomic_store,
    atomic_swap,
    call_get_threads,
    call_kernel,
    call_plain,
    call_set_threads,
    pause,
    pointer,
)
from .state import (
    ALONE,
    ARRIVED,
    ASLEEP,
    CODE,
    COUNT,
    FORMER,
    GENERATION,
    GET_THREADS,
    LINE,
    LOCK,
    MET,
    NO_BARRIER,
    OPENED,
    QUIT,
    SCHED_YIELD,
    SET_THREADS,
    SPINS,
    STOP,
    USERS,
    WORDS,
)  # fmt: skip

HASTE = 16
"""How many times sooner a thread offers its processor to others that waits within an instruction:
there threads meet every microsecond, and one that is not there has no processor."""


@njit(**INLINE)
def _spin(state, times):
    """Wait a moment; after many moments, let another process have the processor."""
    pause()
    if times > atomic_load(state + SPINS) and times % 16 == 0:
        give_way = atomic_load(state + SCHED_YIELD)
        if give_way != 0:
            call_plain(give_way)


@njit(**INLINE)
def blas_hold(state):
    """Bring BLAS down to one thread; the first of several users remembers what it had."""
    if atomic_load(state + SET_THREADS) == 0:
        return
    lock, users, former = state + LOCK, state + USERS, state + FORMER
    times = 0
    while atomic_swap(lock, 1) != 0:
        times += 1
        _spin(state, times)
    if atomic_add(users, 1) == 0:
        count = call_get_threads(atomic_load(state + GET_THREADS))
        atomic_store(former, count)
        if count != 1:
            call_set_threads(atomic_load(state + SET_THREADS), 1)
    atomic_store(lock, 0)


@njit(**INLINE)
def blas_release(state):
    """Give BLAS its threads back when the last user has done."""
    if atomic_load(state + SET_THREADS) == 0:
        return
    lock, users, former = state + LOCK, state + USERS, state + FORMER
    times = 0
    while atomic_swap(lock, 1) != 0:
        times += 1
        _spin(state, times)
    if atomic_add(users, -1) == 1:
        count = atomic_load(former)
        if count != 1:
            call_set_threads(atomic_load(state + SET_THREADS), count)
    atomic_store(lock, 0)


@njit(**INLINE)
def _stopped(words, flags):
    """Say whether an instruction that may end the run has raised its status, an int64."""
    return atomic_load(pointer(words, types.int64)[flags >> 8]) != 0


def run_alone(state, code, count):
    """Run a table on this thread only."""
    blas_hold(state)
    table = pointer(code, types.int64)
    for i in range(0, WORDS * count, WORDS):
        call_kernel(table[i], table[i + 1], table[i + 2], 0, 1)
        if table[i + 3] & STOP and _stopped(table[i + 1], table[i + 3]):
            break
    blas_release(state)
    return 0


@njit(**INLINE)
def barrier(state, threads, opened):
    """Wait until all threads are here; ``opened`` is the number of barriers opened so far."""
    if atomic_add(state + ARRIVED, 1) == threads - 1:
        atomic_store(state + ARRIVED, 0)
        atomic_store(state + OPENED, opened + 1)
        return
    times = 0
    while atomic_load(state + OPENED) == opened:
        times += 1
        _spin(state, times)


@njit(**INLINE)
def meet(state, tid, threads, turn):
    """Within an instruction, wait until its first ``threads`` threads are here; tid is one of them.

    ``turn`` counts the meetings of the instruction, which has a barrier before it and behind it.
    """
    if threads == 1:  # such a run may go on beside one of several threads
        return
    meeting = atomic_load(state + OPENED) * 2**32 + turn + 1  # later ones have larger numbers
    atomic_store(state + MET + tid * LINE, meeting)
    times = 0
    for other in range(threads):
        while atomic_load(state + MET + other * LINE) < meeting:
            times += HASTE
            _spin(state, times)


@njit(**INLINE)
def _share(state, code, count, tid, threads):
    """Do one thread's part of a table, and wait for the others at its end."""
    opened = atomic_load(state + OPENED)
    table = pointer(code, types.int64)
    for i in range(0, WORDS * count, WORDS):
        flags = table[i + 3]
        if flags & ALONE == 0:
            call_kernel(table[i], table[i + 1], table[i + 2], tid, threads)
        elif tid == 0:
            call_kernel(table[i], table[i + 1], table[i + 2], 0, 1)
        last = i == WORDS * (count - 1)
        if flags & NO_BARRIER == 0 or last:
            barrier(state, threads, opened)
            opened += 1
        if last:  # behind this barrier the table may be gone
            return
        if flags & STOP and _stopped(table[i + 1], flags):
            barrier(state, threads, opened)
            return


def lead(state, code, count, threads, resume):
    """Publish a table and do part 0 of it; the caller holds the pool's lock.

    Returns 0 when the run is over. Returns the number of sleeping threads without having run
    anything if there are some: the caller wakes them and calls again with ``resume=1``.
    """
    if resume == 0:
        blas_hold(state)
        atomic_store(state + CODE, code)
        atomic_store(state + COUNT, count)
        generation = atomic_load(state + GENERATION) // 256 + 1
        atomic_store(state + GENERATION, generation * 256 + threads)
        asleep = 0
        for t in range(1, threads):
            asleep += atomic_load(state + ASLEEP + t * LINE)
        if asleep != 0:
            return asleep
    _share(state, code, count, 0, threads)
    blas_release(state)
    return 0


def work(state, tid, seen, patience):
    """The life of thread ``tid``: wait for a run, do its part, wait again.

    Returns the generation last seen after ``patience`` spins without work: the thread then sleeps
    until somebody wakes it. Returns -1 when it shall end.
    """
    asleep = state + ASLEEP + tid * LINE
    atomic_store(asleep, 0)
    times = 0
    while True:
        generation = atomic_load(state + GENERATION)
        if generation != seen:
            if atomic_load(state + QUIT) != 0:
                return -1
            seen = generation
            threads = generation % 256
            if tid < threads:
                code = atomic_load(state + CODE)
                count = atomic_load(state + COUNT)
                _share(state, code, count, tid, threads)
                times = 0
            continue
        times += 1
        if times > patience:
            # Say so first and look again afterwards: the leader publishes first and looks at the
            # flag afterwards, so one of the two always notices the other.
            atomic_store(asleep, 1)
            if atomic_load(state + GENERATION) == seen:
                return seen
            atomic_store(asleep, 0)
            times = 0
        _spin(state, times)


def spin_many(state, count):
    """Spin ``count`` times without yielding, to measure how long a spin takes here."""
    for _ in range(count):
        pause()
    return 0
