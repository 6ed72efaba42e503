"""Tables of instructions: built once, run many times with one Python call each.

table = Table()
first = table.add(kernel("fill", "float32"), (y, y.size), (1.0,))
program = table.build()
program.run()
program.s(first)[0] = 2.0       # live values are written between runs
program.run()
"""

from __future__ import annotations

import ctypes
import functools
import struct
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .kernel import Kernel
from .pool import pool
from .state import STOP, WORDS
from .threads import choose, limit, worth_sharing


def stops_at(entry: int) -> int:
    """Return the flags of an instruction whose status stands at the address in ``a[entry]``.

    The status is an int64 that the kernel sets to 1 when what follows must not happen, as with a
    class label that does not exist. Every thread sees it behind the instruction's barrier.
    """
    return STOP | entry << 8


def address(array: np.ndarray[Any, Any]) -> int:
    """Return the address of an array's first element."""
    return _word_at(id(array) + _POINTER).value if _POINTER else _told_address(array)


def _told_address(array: np.ndarray[Any, Any]) -> int:
    return int(array.__array_interface__["data"][0])


def _find_pointer() -> int:
    """Return where in an array object its pointer to the data stands; 0 where that is not known.

    NumPy's C interface promises that it is the first thing behind the object's head. Reading it
    there takes a fifth of the time of asking for ``__array_interface__``.
    """
    if sys.implementation.name != "cpython":
        return 0
    probe = np.zeros(3)[1:]
    behind = object.__basicsize__
    return behind if _word_at(id(probe) + behind).value == _told_address(probe) else 0


_word_at = ctypes.c_size_t.from_address
_POINTER = _find_pointer()


class Shifted:
    """An array from some byte on, as an entry of a kernel's ``a``."""

    __slots__ = ("array", "offset")

    def __init__(self, array: Any, offset: int) -> None:
        """Remember both."""
        self.array, self.offset = array, offset


@dataclass(frozen=True)
class Instruction:
    """One line of a table, as it was added."""

    kernel: Kernel
    a: tuple[int, ...]
    s: tuple[float, ...]
    flags: int
    nanoseconds: float


class Table:
    """Instructions in order, with the arrays that they work on kept alive."""

    def __init__(self) -> None:
        """Start an empty table."""
        self.instructions: list[Instruction] = []
        self._keep: list[Any] = []

    def add(self, kernel: Kernel, a: Sequence[Any], s: Sequence[float] = (), flags: int = 0) -> int:
        """Append an instruction and return its index.

        Args:
            kernel: see ``declaration``.
            a: the entries of the kernel's ``a``; an array stands for its address, None for 0.
            s: the entries of the kernel's ``s``.
            flags: NO_BARRIER and ALONE.

        Raises:
            ValueError: if a buffer has the wrong length.
        """
        kernel.check(a, s)
        values = tuple(self._entry(kernel, value) for value in a)
        cost = kernel.cost(values)
        numbers = tuple(float(value) for value in s)
        self.instructions.append(Instruction(kernel, values, numbers, flags, cost))
        return len(self.instructions) - 1

    def _entry(self, kernel: Kernel, value: Any) -> int:
        array = value.array if isinstance(value, Shifted) else value
        if isinstance(array, np.ndarray):
            self._keep.append(array)
        return word(value)

    def build(self) -> Program:
        """Compile the kernels and lay out the buffers."""
        return Program(self.instructions, self._keep)


class Program:
    """A table laid out in memory, ready to run.

    Attributes:
        instructions: what was added, in order.
        nanoseconds: the estimate of its time on one thread.
    """

    def __init__(self, instructions: Sequence[Instruction], keep: Sequence[Any]) -> None:
        """Lay out instructions; ``Table.build`` calls this."""
        self.instructions = tuple(instructions)
        self._keep = list(keep)
        self._a = _Buffer(np.int64, [i.a for i in instructions])
        self._s = _Buffer(np.float64, [i.s for i in instructions])
        self._code = np.zeros(max(1, WORDS * len(instructions)), dtype=np.int64)
        for k, i in enumerate(instructions):
            row = (i.kernel.address, self._a.address(k), self._s.address(k), i.flags)
            self._code[WORDS * k : WORDS * k + WORDS] = row
        self.nanoseconds = sum(i.nanoseconds for i in instructions)
        self._shared = worth_sharing(i.nanoseconds for i in instructions)
        self._start = address(self._code)
        self._count = len(instructions)
        self._pool = pool()

    def a(self, index: int) -> np.ndarray[Any, Any]:
        """Return the live ``a`` of an instruction, to be written between runs."""
        return self._a.view(index)

    def s(self, index: int) -> np.ndarray[Any, Any]:
        """Return the live ``s`` of an instruction, to be written between runs."""
        return self._s.view(index)

    def threads(self) -> int:
        """Return how many threads the next run would use."""
        return choose(self._shared)

    def run(self, threads: int | None = None) -> None:
        """Run all instructions, with the threads that their work deserves unless told."""
        if threads is None:
            threads = choose(self._shared, limit())
        self._pool.run(self._start, self._count, threads)


class _Buffer:
    """The entries of all instructions end to end, never empty, so that addresses exist."""

    def __init__(self, dtype: Any, entries: Sequence[Sequence[Any]]) -> None:
        self._offsets = [0]
        for entry in entries:
            self._offsets.append(self._offsets[-1] + len(entry))
        self._array = np.zeros(self._offsets[-1] + 1, dtype=dtype)
        for start, entry in zip(self._offsets, entries, strict=False):
            self._array[start : start + len(entry)] = entry
        self._base = address(self._array)

    def address(self, index: int) -> int:
        return self._base + 8 * self._offsets[index]

    def view(self, index: int) -> np.ndarray[Any, Any]:
        return self._array[self._offsets[index] : self._offsets[index + 1]]


def signed(value: int) -> int:
    """Return an integer of 64 bits as the signed number with the same bits (seeds)."""
    return value - 2**64 if value >= 2**63 else value


def word(value: Any) -> int:
    """Return an entry of a kernel's ``a``: an array's address, 0 for None, an integer as it is."""
    if type(value) is int:  # most are: a dozen entries for every eager product
        return signed(value) if value >= 2**63 else value
    if isinstance(value, np.ndarray):
        return address(value)
    if isinstance(value, Shifted):
        return address(value.array) + value.offset
    if isinstance(value, np.inexact):
        raise TypeError(f"a kernel takes arrays and integers, got the number {value!r}")
    return 0 if value is None else signed(int(value))


def words(values: Sequence[Any]) -> list[int]:
    """Return the entries of a kernel's ``a``: ``word`` of each, without a call for the usual."""
    made: list[int] = []
    for value in values:
        kind = type(value)
        if kind is int and value < 2**63:
            made.append(value)
        elif kind is np.ndarray and _POINTER:
            made.append(_word_at(id(value) + _POINTER).value)
        else:
            made.append(word(value))
    return made


class _Eager(threading.local):
    """The buffers of one-instruction calls, for each Python thread its own."""

    def __init__(self) -> None:
        self.a = np.zeros(256, dtype=np.int64)
        self.memory = self.a.data
        self.s = np.zeros(64, dtype=np.float64)
        self.code = np.array([0, address(self.a), address(self.s), 0], dtype=np.int64)
        self.start = address(self.code)
        self.pool = pool()


_eager: _Eager | None = None
_words = functools.cache(lambda count: struct.Struct(f"{count}q"))


def call(
    kernel: Kernel, a: Sequence[int], s: Sequence[float] = (), threads: int | None = None
) -> None:
    """Run one kernel now: ``a`` holds addresses and integers only, and nothing is checked.

    The arrays behind the addresses must stay alive until it returns.
    """
    global _eager
    if _eager is None:
        _eager = _Eager()
    local = _eager
    _words(len(a)).pack_into(local.memory, 0, *a)  # twice as quick as an assignment of a list
    if s:
        local.s[: len(s)] = s
    local.code[0] = kernel.address
    if threads is None:
        threads = choose(kernel.cost(a), limit())
    local.pool.run(local.start, 1, threads)
