"""Runs the contract's cases on arrays whose neighbours in memory nobody may touch.

``python guarded.py end`` lets every array end where a page without access begins, ``start`` lets
it begin where one ends: reading or writing one element too many ends the process. With
``planted`` as well, one kernel is told of one element more than there is.
"""

from __future__ import annotations

import ctypes
import faulthandler
import math
import mmap
import sys
from typing import Any

import numpy as np
from formulas import contract

from nnscratch.formulas import FORMULAS
from nnscratch.formulas.cases import cases
from nnscratch.kernels.cpu import IMPLEMENTATIONS, kernel
from nnscratch.kernels.cpu.implementation import EagerBuilder
from nnscratch.kernels.cpu.runtime.eager import call

NO_ACCESS = 0


def guarded(shape: tuple[int, ...], dtype: Any, side: str) -> Any:
    """Return an array of zeros with a page behind or before it that is not to be touched."""
    kind = np.dtype(dtype)
    size = math.prod(shape) * kind.itemsize
    pages = -(-max(size, 1) // mmap.PAGESIZE) * mmap.PAGESIZE
    block = mmap.mmap(-1, pages + mmap.PAGESIZE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(block))
    wall = start + pages if side == "end" else start
    if ctypes.CDLL(None).mprotect(ctypes.c_void_p(wall), mmap.PAGESIZE, NO_ACCESS) != 0:
        raise OSError("mprotect failed")
    offset = pages - size if side == "end" else mmap.PAGESIZE
    return np.frombuffer(block, kind, math.prod(shape), offset).reshape(shape)


def planted(side: str) -> None:
    """Scale an element too many: behind an array, or before it."""
    X, Y = guarded((100,), "float32", side), np.zeros(200, np.float32)
    start = X.ctypes.data if side == "end" else X.ctypes.data - X.itemsize
    call(kernel("scale", "float32"), [start, Y.ctypes.data, 0, X.size + 1], (1.0,), threads=1)
    print("nothing happened")


def all_cases(side: str) -> None:
    """Take every implementation through the cases of its formula."""
    place = contract.place

    def place_guarded(value: Any, *options: Any) -> Any:
        placed = place(value, *options)
        if not isinstance(placed, np.ndarray):
            return placed
        made = guarded(placed.shape, placed.dtype, side)
        made[...] = placed
        return made

    contract.place = place_guarded
    EagerBuilder.output = lambda self, position, shape, dtype, over=(): guarded(shape, dtype, side)  # type: ignore[method-assign]
    EagerBuilder.empty = lambda self, shape, dtype: guarded(shape, dtype, side)  # type: ignore[method-assign]
    count = 0
    for name, implementation in IMPLEMENTATIONS.items():
        for case in cases(name):
            for dtype in ("float32", "float64"):
                print(f"{name}, {case.name}, {dtype}", file=sys.stderr, flush=True)
                ran = contract.check(
                    FORMULAS[name], case, dtype, "C", contract.NUMPY, implementation
                )
                count += sum(who == implementation.name for _, _, who in ran)
    print(count)


if __name__ == "__main__":
    faulthandler.enable()
    if "planted" in sys.argv:
        planted(sys.argv[1])
    else:
        all_cases(sys.argv[1])
