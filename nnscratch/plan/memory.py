"""Planned memory: arrays cut from chunks that are given back as soon as nothing needs them."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np

from nnscratch.array import array_namespace, device_of
from nnscratch.array.addresses import address as address_of
from nnscratch.array.addresses import on_device_of, owner

# Planned arrays start at multiples of this many bytes: a cache line, and a vector register.
ALIGNMENT = 64


@dataclass(eq=False, slots=True)
class Chunk:
    """A piece of memory that planned arrays are cut from, one after the other."""

    array: Any
    address: int | None
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
        wanted = kind.itemsize * math.prod(shape)
        nbytes = max(wanted, 1)
        at = bisect_left(self._free, nbytes, key=_size)
        if at < len(self._free) and self._free[at].nbytes <= 4 * nbytes + 4096:
            chunk = self._free.pop(at)
        else:
            with on_device_of(self._like):
                raw = self._xp.empty(nbytes + ALIGNMENT, dtype=self._xp.uint8)
            self._raw[id(raw)] = raw
            start = -(address_of(raw) or 0) % ALIGNMENT
            cut = raw[start : start + nbytes]
            chunk = Chunk(cut, address_of(cut), nbytes)
            self.allocated += nbytes
        self._used[chunk.address] = chunk
        return chunk.array[:wanted].view(kind).reshape(shape)

    def owns(self, raw: Any) -> bool:
        """Say whether arrays that own their memory are of this one's."""
        return id(raw) in self._raw

    def release(self, array: Any) -> None:
        """Take back the memory of an array that ``empty`` returned; others are passed over."""
        chunk = self._used.pop(address_of(array), None)
        if chunk is not None:
            insort(self._free, chunk, key=_size)


class Memories:
    """Planned memory for every library and device of a plan."""

    def __init__(self) -> None:
        self._by_place: dict[Any, Memory] = {}

    def for_array(self, like: Any) -> Memory:
        """Return the memory for arrays of the library and on the device of another one."""
        place = np.ndarray if type(like) is np.ndarray else (type(like), device_of(like))
        found = self._by_place.get(place)
        if found is None:
            found = self._by_place[place] = Memory(like)
        return found

    def hold(self, array: Any) -> bool:
        """Say whether an array was cut from one of them."""
        raw = owner(array)
        return any([memory.owns(raw) for memory in self._by_place.values()])

    @property
    def allocated(self) -> int:
        """The bytes of all planned arrays."""
        return sum(memory.allocated for memory in self._by_place.values())
