"""Copies in another order of axes: squares of numbers are turned in registers.

Where the numbers that lie side by side in the source lie far apart in the target, a loop reads or
writes a whole cache line for each of them. Here a square of as many rows as a register has numbers
is read by whole registers, turned, and written by whole ones.
"""

from __future__ import annotations

import functools
from typing import Any

from nnscratch.array.dtypes import dtype_name

from ..strided import TooManyAxesError, walk
from .implementation import FLOATS, Builder, Inputs
from .laid_out import of_tiles, put_turned
from .runtime.declaration import Address, Constant, kernel
from .runtime.language import KIND, address_of, move, part, stack

BESIDE = 4
"""Squares that are turned one behind the other: their lines lie side by side in the target."""
LEAST = 4096
"""From how many numbers on it is worth while to look how they lie."""


@kernel(
    cost=lambda wide, high, outer0, outer1, outer2: 0.5 * wide * high * outer0 * outer1 * outer2,
    constants=of_tiles,
)
def copy_turned(
    source: Address, target: Address, wide: int, high: int, apart: int, line: int,
    outer: tuple[int, int, int], source_strides: tuple[int, int, int],
    target_strides: tuple[int, int, int], tid, threads, *, size: Constant, L: Constant,
    panel: Constant,
):  # fmt: skip
    """Copy matrices (wide, high) into ones (high, wide), along up to three outer axes.

    Rows of the source begin ``apart`` bytes behind one another, those of the target ``line``.
    """
    like = KIND(0.0)
    square = address_of(stack(256, KIND))
    o0, o1, o2 = outer
    s0, s1, s2 = source_strides
    t0, t1, t2 = target_strides
    # A line of the target is written to the end while it is in the nearest cache.
    beside = BESIDE * L
    blocks, whole = (wide + beside - 1) // beside, high // L * L
    first, last = part(o0 * o1 * o2 * blocks, tid, threads, 1)
    for block in range(first, last):
        i, place = block % blocks * beside, block // blocks
        a, b, c = place % o0, place // o0 % o1, place // o0 // o1
        rows = min(beside, wide - i)
        start = source + a * s0 + b * s1 + c * s2 + i * apart
        goal = target + a * t0 + b * t1 + c * t2 + i * size
        for j in range(0, whole, L):
            put_turned(
                like, L, size, rows, L, start + j * size, apart, square, goal + j * line, line
            )
        for j in range(whole, high):
            for k in range(rows):
                move(like, start + k * apart + j * size, goal + j * line + k * size)


Order = tuple[int, int, int, int, tuple[int, ...], tuple[int, ...], tuple[int, ...]]


@functools.lru_cache(maxsize=4096)
def _order(
    shape: tuple[int, ...], target: tuple[int, ...], source: tuple[int, ...], size: int
) -> Order | None:
    """Return the matrices that a copy turns, as ``copy_turned`` takes them; None if it turns none.

    Args:
        shape: of both.
        target: its strides.
        source: its strides.
        size: the bytes of a number.
    """
    try:
        sizes, (to, of) = walk(shape, (target, source), outer=4)
    except TooManyAxesError:
        return None
    if to[0] != size or size not in of[1:] or of[0] == size:
        return None
    along = of.index(size)
    # A register of each row, and nothing that is read for several places.
    if sizes[along] < 64 // size or any(a == 0 < n - 1 for a, n in zip(of, sizes, strict=True)):
        return None
    rest = [k for k in range(1, 5) if k != along]
    outer, of_outer, to_outer = (tuple([one[k] for k in rest]) for one in (sizes, of, to))
    return sizes[0], sizes[along], of[0], to[along], outer, of_outer, to_outer


def copied_turned(builder: Builder, source: Any, target: Any) -> bool:
    """Emit target = source if that is a copy in another order of axes, and say whether it is."""
    if target.size < LEAST or target.dtype not in FLOATS or source.dtype != target.dtype:
        return False
    if source.shape != target.shape:
        return False
    found = _order(target.shape, target.strides, source.strides, target.itemsize)
    if found is None:
        return False
    wide, high, apart, line, outer, source_strides, target_strides = found
    copy_turned.emit(
        builder, dtype_name(target.dtype), source=source, target=target, wide=wide, high=high,
        apart=apart, line=line, outer=outer, source_strides=source_strides,
        target_strides=target_strides,
    )  # fmt: skip
    return True


def turns(direction: str, inputs: Inputs) -> bool:
    """Say whether a reshape of an array copies it in another order of its axes.

    That is several times as quick as NumPy's copy; any other one is not.
    """
    A = inputs[0]
    if A.dtype not in FLOATS or A.flags.c_contiguous:
        return False
    ends = [A.itemsize]
    for size in A.shape[:0:-1]:
        ends.append(ends[-1] * size)
    return _order(A.shape, tuple(ends[::-1]), A.strides, A.itemsize) is not None
