"""Tables of instructions: built once, run many times with one Python call each.

table = Table()
first = table.add(kernel("fill", "float32"), (y, y.size), (1.0,))
program = table.build()
program.run()
program.s(first)[0] = 2.0       # live values are written between runs
program.run()
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nnscratch.array.addresses import POINTER, numpy_address, word_at

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


class Shifted:
    """An array from some byte on, as an entry of a kernel's ``a``."""

    __slots__ = ("array", "offset")

    def __init__(self, array: Any, offset: int) -> None:
        """Remember both."""
        self.array, self.offset = array, offset


class Instruction(NamedTuple):
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
        given = [*a]
        for place, item in enumerate(a):
            if type(item) is not int:
                self._keep.append(item)
                given[place] = numpy_address(item) if type(item) is np.ndarray else word(item)
        values = tuple(given if max(given, default=0) < 2**63 else map(signed, given))
        numbers = tuple(map(float, s))
        self.instructions.append(Instruction(kernel, values, numbers, flags, kernel.cost(values)))
        return len(self.instructions) - 1

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
        self._start = numpy_address(self._code)
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
        self._base = numpy_address(self._array)

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
        return numpy_address(value)
    if isinstance(value, Shifted):
        return numpy_address(value.array) + value.offset
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
        elif kind is np.ndarray and POINTER:
            made.append(word_at(id(value) + POINTER).value)
        else:
            made.append(word(value))
    return made
