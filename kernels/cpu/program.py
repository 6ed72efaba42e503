"""A program: instructions bound to their argument buffers, run by one Python call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .threads import choose

# One instruction: the kernel, where its arguments start in the two buffers, and flags.
Instruction = tuple[Any, int, int, int]


class Program:
    """A table of instructions over two argument buffers, which may change between runs."""

    def __init__(self, code: Sequence[Instruction], words: Any, scalars: Any) -> None:
        """Compile or load every kernel of the table and write down its addresses."""
        from .driver import WORDS
        from .pool import pool

        self._pool = pool()
        self._keep = (words, scalars)
        base, base_scalars = words.ctypes.data, scalars.ctypes.data
        self._table = np.empty(WORDS * max(len(code), 1), dtype=np.int64)
        self._costs = []
        for i, (kernel, start, start_scalars, flags) in enumerate(code):
            count = len(kernel.layout.a)
            self._table[WORDS * i : WORDS * (i + 1)] = (
                kernel.address,
                base + 8 * start,
                base_scalars + 8 * start_scalars,
                flags,
            )
            self._costs.append(kernel.cost([int(word) for word in words[start : start + count]]))

    def part(self, first: int, last: int) -> Callable[[], None]:
        """Return a function that runs the instructions from ``first`` up to ``last``."""
        from .driver import WORDS

        address = self._table.ctypes.data + 8 * WORDS * first
        threads = choose(sum(self._costs[first:last]))
        run, count = self._pool.run, last - first
        return lambda: run(address, count, threads)
