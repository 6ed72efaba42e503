"""The vectors of all ranks added up by one fixed tree, so that every rank gets the same bits."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import Context
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nnscratch.array.bfloat16 import bfloat16

HALVING = 1 << 16
"""From how many elements on the work of adding is divided among the ranks.

Two ranks each add one half then, and fetch the other as a sum: they copy as many bytes as if they
exchanged whole vectors, and read and write fewer. With 670,000 elements that took 0.7 to 0.8 of the
time, with 40,000 a tenth longer.
"""


class Neighbours(Protocol):
    """A rank of several, as a sum needs it: who it is, and how it talks to the others."""

    rank: int
    size: int

    def exchange(self, out: Any, into: Any, other: int) -> None:
        """Send a vector to another rank, which does the same, and receive its vector."""

    def send(self, array: Any, to: int) -> None:
        """Send a vector to another rank."""

    def receive(self, array: Any, source: int) -> None:
        """Receive a vector from another rank."""


class TreeSum:
    """Adds up the vectors of all ranks.

    The tree is ((0 + 1) + (2 + 3)) + ((4 + 5) + (6 + 7)) of the ranks, whatever the vectors'
    length; ranks beyond a power of two are added to the first ones before.

    Args:
        here: this rank.
    """

    def __init__(self, here: Neighbours) -> None:
        self._here = here
        self._rooms: dict[Any, npt.NDArray[Any]] = {}
        # Sums may become infinite. To enter this takes a tenth of what ``np.errstate`` takes.
        self._quiet = Context()
        self._quiet.run(np.seterr, all="ignore")

    def add_up(self, array: npt.NDArray[Any]) -> None:
        """Write the sum of all ranks' vectors into each.

        Args:
            array: (n,) float32 or float64, the same on all ranks.
        """
        self._quiet.run(self._add_up, array)

    def _add_up(self, array: Any) -> None:
        here = self._here
        power = 1 << (here.size.bit_length() - 1)
        if here.rank >= power:
            self._send(array, here.rank - power)
            self._receive(array, here.rank - power)
            return
        room = self._room(array)
        if here.rank + power < here.size:
            self._receive(room, here.rank + power)
            self._add(array, room)
        if power > 1 and array.size >= HALVING:
            self._halve(array, room, power)
        else:
            self._double(array, room, power)
        if here.rank + power < here.size:
            self._send(array, here.rank + power)

    def _double(self, array: Any, room: Any, power: int) -> None:
        """Exchange whole vectors with the rank at distance 1, 2, 4, ..."""
        distance = 1
        while distance < power:
            self._exchange(array, room, self._here.rank ^ distance)
            self._add(array, room)
            distance *= 2

    def _halve(self, array: Any, room: Any, power: int) -> None:
        """Add halves, quarters, ... with the rank at distance 1, 2, ..., then collect the sums."""
        start, stop, distance = 0, array.size, 1
        taken = []
        while distance < power:
            middle = start + (stop - start) // 2
            upper = bool(self._here.rank & distance)
            mine = slice(middle, stop) if upper else slice(start, middle)
            theirs = slice(start, middle) if upper else slice(middle, stop)
            taken.append((distance, mine, theirs))
            self._exchange(array[theirs], room[mine], self._here.rank ^ distance)
            self._add(array[mine], room[mine])
            start, stop, distance = mine.start, mine.stop, distance * 2
        for distance, mine, theirs in reversed(taken):
            self._exchange(array[mine], array[theirs], self._here.rank ^ distance)

    def _exchange(self, out: Any, into: Any, other: int) -> None:
        self._here.exchange(out, into, other)

    def _send(self, array: Any, to: int) -> None:
        self._here.send(array, to)

    def _receive(self, array: Any, source: int) -> None:
        self._here.receive(array, source)

    def _add(self, array: Any, other: Any) -> None:
        np.add(array, other, out=array)

    def _room(self, array: Any) -> Any:
        key = array.dtype, array.size
        if key not in self._rooms:
            self._rooms[key] = np.empty_like(array)
        return self._rooms[key]


class RoundedTreeSum(TreeSum):
    """Adds up vectors of float32 whose entries bfloat16 holds, and sends them as that.

    Each sum of the tree is rounded to bfloat16. So it is the same number on both sides, sending it
    rounds nothing, and the bits do not depend on where the sums are made. With u = 2⁻⁸, half the
    distance from 1 to the next number, and L levels of the tree, the error is at most
    ((1 + u)^(L + 1) - 1) Σ |Gᵣ|, the rounding of the summands included.
    """

    def _exchange(self, out: Any, into: Any, other: int) -> None:
        room = np.empty(into.size, np.uint16)
        self._here.exchange(out.astype(bfloat16()).view(np.uint16), room, other)
        into[...] = room.view(bfloat16())

    def _send(self, array: Any, to: int) -> None:
        self._here.send(array.astype(bfloat16()).view(np.uint16), to)

    def _receive(self, array: Any, source: int) -> None:
        room = np.empty(array.size, np.uint16)
        self._here.receive(room, source)
        array[...] = room.view(bfloat16())

    def _add(self, array: Any, other: Any) -> None:
        np.add(array, other, out=array)
        round_to_bfloat16(array)


def round_to_bfloat16(array: npt.NDArray[Any]) -> None:
    """Round the numbers of an array to ones that bfloat16 holds, in place.

    >>> some = np.array([1.0, 1.001, 1.01], np.float32)
    >>> round_to_bfloat16(some)
    >>> some.tolist()
    [1.0, 1.0, 1.0078125]
    """
    array[...] = array.astype(bfloat16())


def words_of(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return an array as unsigned integers, which MPI knows of every size."""
    words: npt.NDArray[Any] = np.ascontiguousarray(array).view(f"u{array.dtype.itemsize}")
    return words


def extents_of(bounds: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return how long parts are, and where they begin."""
    return np.diff(bounds).tolist(), list(bounds[:-1])
