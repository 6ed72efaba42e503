"""What a plan is made of: planned memory, and runs of kernel instructions."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np

from nnscratch.array import array_namespace
from nnscratch.array.addresses import address as address_of
from nnscratch.array.addresses import on_device_of, owner
from nnscratch.formulas.live import LiveFloat, LiveInt
from nnscratch.kernels.cpu.chains import Chain
from nnscratch.kernels.cpu.runtime.table import Shifted, Table, word

# Planned arrays start at multiples of this many bytes: a cache line, and a vector register.
ALIGNMENT = 64


@dataclass(eq=False, slots=True)
class Chunk:
    """A piece of memory that planned arrays are cut from, one after the other."""

    array: Any
    nbytes: int


_size = attrgetter("nbytes")


class Memory:
    """Hands out planned arrays and takes their memory back when nothing needs it any more.

    They are of the library, and on the device, of the array that it was made for.
    """

    def __init__(self, like: Any) -> None:
        self._like, self._xp = like, array_namespace(like)
        self._free: list[Chunk] = []  # the smallest first
        self._used: dict[int | None, Chunk] = {}
        self._raw: dict[int, Any] = {}
        self.allocated = 0

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return a planned array, cut from the smallest free chunk that is large enough."""
        kind = np.dtype(dtype)
        nbytes = max(kind.itemsize * math.prod(shape), 1)
        at = bisect_left(self._free, nbytes, key=_size)
        if at < len(self._free) and self._free[at].nbytes <= 4 * nbytes + 4096:
            chunk = self._free.pop(at)
        else:
            with on_device_of(self._like):
                raw = self._xp.empty(nbytes + ALIGNMENT, dtype=self._xp.uint8)
            start = -(address_of(raw) or 0) % ALIGNMENT
            self._raw[id(raw)] = raw
            chunk = Chunk(raw[start : start + nbytes], nbytes)
            self.allocated += nbytes
        items = math.prod(shape)
        array = chunk.array[: items * kind.itemsize].view(kind).reshape(shape)
        self._used[address_of(chunk.array)] = chunk
        return array

    def holds(self, array: Any) -> bool:
        """Say whether an array was cut from this memory."""
        return id(owner(array)) in self._raw

    def release(self, array: Any) -> None:
        """Take back the memory of an array that ``empty`` returned; others are passed over."""
        chunk = self._used.pop(address_of(array), None)
        if chunk is not None:
            insort(self._free, chunk, key=_size)


class Piece:
    """A run of kernel instructions, with the places that a replay fills in."""

    def __init__(self, ranges: Sequence[tuple[int, int, int]]) -> None:
        """Start an empty piece; ``ranges`` are (first, last address, position) of arguments."""
        self._table = Table()
        self._ranges = ranges
        self._moving: list[tuple[int, int, int, int]] = []
        self._live: list[tuple[bool, int, int, int, Any]] = []
        self._program: Any = None
        self._chain: Chain | None = None
        self.joined = 0
        self.checks: list[Callable[[], None]] = []
        self.moving: list[tuple[Any, int, int, int]] = []
        self.live: list[tuple[Any, int, int, Any]] = []

    def loop(self, operands: Any, writes_outside: bool) -> None:
        """Append an elementwise loop, which may be joined with those before and behind it."""
        reads = any(
            low <= at < high for at in map(word, operands.inputs) for low, high, _ in self._ranges
        )
        if self._chain is None or not self._chain.join(operands, reads, writes_outside):
            self.flush()
            self._chain = Chain(operands, reads, writes_outside)

    def forget(self, array: Any) -> None:
        """Note that nothing behind the last loop reads an array any more."""
        if self._chain is not None:
            self._chain.forget(array)

    def flush(self) -> None:
        """Append the instruction of the last loops."""
        chain, self._chain = self._chain, None
        if chain is not None:
            self.joined += chain.joined - 1
            chain.emit(self)

    def add(self, kernel: Any, a: Sequence[Any], s: Sequence[Any], flags: int) -> None:
        """Append an instruction; arrays among ``a`` stand for their addresses."""
        self.flush()
        self.emit(kernel, a, s, flags)

    def emit(self, kernel: Any, a: Sequence[Any], s: Sequence[Any] = (), flags: int = 0) -> None:
        """Append an instruction behind those that are there."""
        index = self._table.add(kernel, a, s, flags)
        for place, item in enumerate(a):
            if isinstance(item, (np.ndarray, Shifted)):
                at = word(item)
                for low, high, position in self._ranges:
                    if low <= at < high:
                        self._moving.append((index, place, position, at - low))
            elif isinstance(item, (LiveInt, LiveFloat)):
                self._live.append((True, index, place, item.event, item.key))
        for place, item in enumerate(s):
            if isinstance(item, (LiveInt, LiveFloat)):
                self._live.append((False, index, place, item.event, item.key))

    def build(self) -> Callable[[], None]:
        """Compile the kernels, find the places to fill in, and return what runs the piece."""
        self.flush()
        program = self._table.build()
        self._program = program
        # Python writes one number into a memoryview in half the time that an array takes.
        self.moving = [
            (program.a(index).data, place, position, offset)
            for index, place, position, offset in self._moving
        ]
        self.live = [
            ((program.a(index) if integer else program.s(index)).data, place, event, key)
            for integer, index, place, event, key in self._live
        ]
        if not self.checks:
            return program.run
        run, checks = program.run, tuple(self.checks)

        def run_and_check() -> None:
            run()
            for check in checks:
                check()

        return run_and_check

    def __len__(self) -> int:
        return len(self._table.instructions)
