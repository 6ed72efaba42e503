"""Kernels, now: what an eager call comes down to once its arrays are known.

A call of a few hundred elements takes about as long as what stands here, so it does little: the
entries are written into a buffer that is there already, behind the instruction that names them.
"""

from __future__ import annotations

import functools
import struct
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnscratch.array.addresses import numpy_address

from .kernel import Kernel
from .pool import pool
from .state import WORDS
from .threads import choose

ROOM = 1024
"""The words of several instructions and their entries that there is room for."""


class _Buffers(threading.local):
    """An instruction and its entries, for each Python thread its own.

    Attributes:
        memory: the instruction (WORDS integers), and behind it the entries of ``a``.
        numbers: the entries of ``s``.
        start: the address of the instruction.
        words: several instructions, and behind them the entries of all.
        first: the address of the first of these.
    """

    def __init__(self) -> None:
        a, s = np.zeros(WORDS + 256, dtype=np.int64), np.zeros(64, dtype=np.float64)
        self.start = numpy_address(a)
        a[:WORDS] = 0, numpy_address(a[WORDS:]), numpy_address(s), 0
        self.memory, self.numbers = a.data, s.data
        several = np.zeros(ROOM, dtype=np.int64)
        self.words, self.first = several.data, numpy_address(several)
        self.pool = pool()


_buffers: _Buffers | None = None
_beginning = threading.Lock()
_integers = functools.cache(lambda count: struct.Struct(f"{count}q"))
_floats = functools.cache(lambda count: struct.Struct(f"{count}d"))


def buffers() -> _Buffers:
    """Return what each Python thread has of its own, made when the first kernel runs."""
    global _buffers
    if _buffers is None:
        with _beginning:
            if _buffers is None:
                _buffers = _Buffers()
    return _buffers


def call(
    kernel: Kernel, a: Sequence[int], s: Sequence[float] = (), threads: int | None = None
) -> None:
    """Run one kernel now: ``a`` holds addresses and integers only, and nothing is checked.

    The arrays behind the addresses must stay alive until it returns.
    """
    local = buffers()
    local.memory[0] = kernel.address
    _integers(len(a)).pack_into(local.memory, 8 * WORDS, *a)  # quicker than assigning a list
    if s:
        _floats(len(s)).pack_into(local.numbers, 0, *s)
    if threads is None:
        threads = choose(kernel.cost(a))
    local.pool.run(local.start, 1, threads)


def run_words(local: Any, words: Sequence[int], count: int, nanoseconds: float) -> None:
    """Run ``count`` instructions now: ``words`` are they, and behind them the entries of all.

    Args:
        local: this thread's ``buffers()``, behind whose ``first`` the entries will be.
        words: at most ROOM.
        count: how many of them are instructions.
        nanoseconds: the work that threads can share.

    The arrays behind the addresses must stay alive until it returns.
    """
    _integers(len(words)).pack_into(local.words, 0, *words)
    local.pool.run(local.first, count, choose(nanoseconds))


class RowCall:
    """An elementwise loop over arrays that lie in one row each, for any arrays of their dtypes."""

    __slots__ = ("_entries", "_kernel")

    def __init__(self, kernel: Kernel, itemsizes: Sequence[int]) -> None:
        """Remember the loop and the size of an element of each array that it takes, in order."""
        self._kernel = kernel
        self._entries = [0, 1, 1, 1]
        for itemsize in itemsizes:
            self._entries += (0, itemsize, 0, 0, 0)

    def __call__(self, arrays: Sequence[Any], numbers: Sequence[float] = ()) -> None:
        """Run it on arrays, all of one size, whose elements lie in order."""
        a = self._entries.copy()
        a[0] = arrays[0].size
        a[4::5] = [numpy_address(array) for array in arrays]
        call(self._kernel, a, numbers)
