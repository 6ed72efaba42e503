"""How many threads a table may use: the one policy for threads, in one place. Needs no Numba."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from nnscratch.errors import ConfigurationError

MAX_THREADS = 128
NANOSECONDS_A_THREAD = 40_000
"""A further thread is worth waking for this much work; barriers and caches eat less than that."""
NANOSECONDS_TO_SHARE = 500
"""What it costs to share one instruction: a barrier, at which all wait for the slowest. Where other
processes want the processors it is the slowest by far, so many short instructions run alone."""
NANOSECONDS_ALONE = 2_000
"""Of short instructions in a row, one thread does those that take less than this: what the threads
would save by sharing one is less than what they wait for each other behind it."""


def _affinity() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    return set(range(os.cpu_count() or 1))


def _cores(processors: set[int]) -> int:
    """Count physical cores: two threads on one core share its arithmetic units."""
    cores = set()
    for cpu in processors:
        path = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        try:
            cores.add(path.read_text().strip())
        except OSError:
            cores.add(str(cpu))
    return len(cores)


def _quota() -> int | None:
    """Return the whole processors that a container's quota allows, if there is one."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return None if quota == "max" else max(1, int(quota) // int(period))
    except (OSError, ValueError):
        return None


def available() -> int:
    """Return how many threads this process can usefully run: cores, affinity and quota."""
    count = _cores(_affinity())
    quota = _quota()
    return max(1, min(count, quota or count, MAX_THREADS))


_most: int | None = None


def set_limit(count: int) -> None:
    """Set the most threads a table may use, from the next table on.

    Raises:
        ConfigurationError: if it is no whole number of at least 1.
    """
    global _most
    if type(count) is not int or count < 1:
        raise ConfigurationError(
            f"the number of threads must be a whole number of at least 1, got {count!r}"
        )
    _most = min(count, MAX_THREADS)


def limit() -> int:
    """Return the most threads a table may use: those that were set, else ``NNSCRATCH_THREADS``.

    Without either it is what is available. It is looked up once: at every step it would cost more
    than a small step.

    Raises:
        ConfigurationError: if the variable is no whole number of at least 1.
    """
    global _most
    if _most is None:
        _most = _asked()
    return _most


def _asked() -> int:
    text = os.environ.get("NNSCRATCH_THREADS", "").strip()
    if not text:
        return available()
    try:
        count = int(text)
    except ValueError:
        raise ConfigurationError(
            f"NNSCRATCH_THREADS must be a whole number of at least 1, got {text!r}"
        ) from None
    if count < 1:
        raise ConfigurationError(f"NNSCRATCH_THREADS must be at least 1, got {count}")
    return min(count, MAX_THREADS)


def choose(nanoseconds: float, most: int | None = None) -> int:
    """Return the threads for a table whose work takes that long on one thread.

    Small tables run alone: two threads that share 30 microseconds of work mostly wait.
    """
    if nanoseconds < 2 * NANOSECONDS_A_THREAD:
        return 1
    return max(1, min(limit() if most is None else most, int(nanoseconds // NANOSECONDS_A_THREAD)))


def worth_sharing(nanoseconds: Iterable[float]) -> float:
    """Return the work of a table, given that of its instructions, that threads can share.

    >>> worth_sharing([20_500.0, 300.0, 300.0])
    20000.0
    """
    return sum(max(0.0, one - NANOSECONDS_TO_SHARE) for one in nanoseconds)
