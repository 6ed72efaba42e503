"""Building a plan's table: planned arrays, kernel instructions, and what changes at a replay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnscratch.formulas.live import LiveFloat, LiveInt

# Planned arrays start at multiples of this many bytes: a cache line, and a vector register.
ALIGNMENT = 64


@dataclass(eq=False, slots=True)
class Chunk:
    """A piece of memory that planned arrays are cut from, one after the other."""

    array: Any
    nbytes: int


class Memory:
    """Hands out planned arrays and takes their memory back when nothing needs it any more."""

    def __init__(self) -> None:
        self._free: list[Chunk] = []
        self._used: dict[int, Chunk] = {}
        self.allocated = 0

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return a planned array, cut from the smallest free chunk that is large enough."""
        kind = np.dtype(dtype)
        nbytes = max(kind.itemsize * int(np.prod(shape, dtype=np.int64)), 1)
        fitting = [chunk for chunk in self._free if nbytes <= chunk.nbytes <= 4 * nbytes + 4096]
        if fitting:
            chunk = min(fitting, key=lambda item: item.nbytes)
            self._free.remove(chunk)
        else:
            raw = np.empty(nbytes + ALIGNMENT, dtype=np.uint8)
            start = -raw.ctypes.data % ALIGNMENT
            chunk = Chunk(raw[start : start + nbytes], nbytes)
            self.allocated += nbytes
        array = np.ndarray(shape, kind, buffer=chunk.array[:nbytes].data)
        self._used[array.ctypes.data] = chunk
        return array

    def release(self, array: Any) -> None:
        """Take back the memory of an array that ``empty`` returned; others are passed over."""
        chunk = self._used.pop(array.ctypes.data, None)
        if chunk is not None:
            self._free.append(chunk)


@dataclass
class Table:
    """Instructions and their arguments, with the places that a replay fills in.

    Attributes:
        words: integer arguments of all kernels, end to end.
        scalars: float arguments of all kernels, end to end.
        code: (kernel, start in words, start in scalars, flags) of each instruction.
        moving: (place in words, argument, byte offset): addresses inside the step's arguments.
        live: (array, place, host event, key): numbers that host events produce.
    """

    arguments: Sequence[Any]
    words: list[int] = field(default_factory=list)
    scalars: list[float] = field(default_factory=list)
    code: list[tuple[Any, int, int, int]] = field(default_factory=list)
    moving: list[tuple[int, int, int]] = field(default_factory=list)
    live: list[tuple[str, int, int, Any]] = field(default_factory=list)
    keep: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ranges = [
            (array.ctypes.data, array.ctypes.data + array.nbytes, position)
            for position, array in enumerate(self.arguments)
            if isinstance(array, np.ndarray) and array.nbytes
        ]

    def emit(self, kernel: Any, a: Sequence[Any], s: Sequence[Any], flags: int = 0) -> None:
        """Add an instruction; arrays among ``a`` stand for their addresses."""
        start, start_scalars = len(self.words), len(self.scalars)
        for item in a:
            self.words.append(self._word(item))
        for item in s:
            if isinstance(item, (LiveFloat, LiveInt)):
                self.live.append(("scalars", len(self.scalars), item.event, item.key))
            self.scalars.append(float(item))
        self.code.append((kernel, start, start_scalars, flags))

    def _word(self, item: Any) -> int:
        if isinstance(item, np.ndarray):
            address = item.ctypes.data
            self.keep.append(item)
            for low, high, position in self._ranges:
                if low <= address < high:
                    self.moving.append((len(self.words), position, address - low))
            return int(address)
        if isinstance(item, LiveInt):
            self.live.append(("words", len(self.words), item.event, item.key))
        number = int(item)
        # A seed is unsigned; the buffer's words are signed.
        return number - 2**64 if number >= 2**63 else number


Runner = Callable[[], None]
