"""What a frozen step computes of parameters and buffers alone: once, when a plan is made.

A plan of a frozen step has one part that runs at every call. The others, each a ``ConstantPart``,
have what follows from constants alone: they run when the plan is made, in memory of their own,
which the calls read. Plans of several shapes share them.

Weights may be written to all the same. Tensors count how often that happened to them, so it is
noticed before the next call, and all parts are computed again, in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from nnscratch.array.addresses import numpy_address
from nnscratch.plan.memory import Memories


class PlanPart:
    """Segments and calls of Python in order, and the memory of what they compute.

    Attributes:
        pieces: the segments and calls.
        builders: by executor, what collects the instructions.
        memories: where their results lie.
    """

    def __init__(self) -> None:
        self.pieces: list[Any] = []
        self.builders: dict[Any, Any] = {}
        self.memories = Memories()


class ConstantPart(PlanPart):
    """Instructions that run once, until a constant changes.

    Args:
        given: what they follow from. It is kept alive, so that nothing else gets an address that
            the part is known by.
        before: the parts that computed some of it.

    Attributes:
        result: what the instructions compute, as whoever emitted them returned it.
        arrays: everything that they write.
    """

    def __init__(self, given: Any, before: list[ConstantPart]) -> None:
        super().__init__()
        self._given, self._before = given, before
        self.result: Any = None
        self.arrays: list[Any] = []
        self._calls: list[Callable[[], None]] = []
        self.count = 0

    def run(self) -> None:
        """Compute everything; the first time the instructions are made ready."""
        if not self._calls:
            self.count = sum(len(piece) for piece in self.pieces)
            self._calls = [piece.build() for piece in self.pieces]
            for builder in self.builders.values():
                builder.finish()
            self.builders.clear()
        for call in self._calls:
            call()


class Constants:
    """The constant parts of all plans of a step, and the versions of the tensors they are made of.

    A part belongs to the plans that use it, and goes with the last of them.
    """

    def __init__(self) -> None:
        self._parts: WeakValueDictionary[Any, ConstantPart] = WeakValueDictionary()
        self._cells: dict[int, list[Any]] = {}
        self._watched: list[list[Any]] = []
        self._versions: list[int] = []

    def find(self, key: Any) -> ConstantPart | None:
        """Return the part that is known by a key."""
        return self._parts.get(key)

    def add(self, key: Any, part: ConstantPart) -> None:
        """Compute a new part, and let others find it."""
        part.run()
        self._parts[key] = part

    def watch(self, cells: Iterable[list[Any]]) -> None:
        """Compute all parts again when one of these version counters counts on."""
        self._cells |= {id(cell): cell for cell in cells}
        self._watched = list(self._cells.values())
        self._versions = [cell[0] for cell in self._watched]

    def refresh(self) -> None:
        """Compute all parts again if a tensor was written to."""
        versions = [cell[0] for cell in self._watched]
        if versions != self._versions:
            # In the order in which they were made: one reads what another one computed.
            for part in list(self._parts.values()):
                part.run()
            self._versions = versions


class ConstantMemory:
    """Which memory is constant, while a plan is made."""

    def __init__(self, arrays: Iterable[Any]) -> None:
        """Begin with the arrays from outside of the step."""
        self._ranges: list[tuple[int, int, ConstantPart | None]] = []
        self.parts: list[ConstantPart] = []
        for array in arrays:
            self._add(array, None)

    def _add(self, array: Any, part: ConstantPart | None) -> None:
        if type(array) is not np.ndarray or not array.nbytes:
            return
        low, high = np.lib.array_utils.byte_bounds(array)
        if high - low == array.nbytes:  # between its elements there may be what is not constant
            self._ranges.append((low, high, part))

    def take(self, part: ConstantPart) -> None:
        """Use a part in this plan: what it computes is constant."""
        if part not in self.parts:
            self.parts.append(part)
            for array in part.arrays:
                self._add(array, part)

    def holders(self, arrays: list[Any]) -> list[ConstantPart] | None:
        """Return the parts that computed some arrays, None unless all are constant."""
        if not self._ranges or not arrays:
            return None
        found = []
        for array in arrays:
            if type(array) is not np.ndarray or not array.nbytes:
                return None
            low, high = np.lib.array_utils.byte_bounds(array)
            for start, stop, part in self._ranges:
                if start <= low and high <= stop:
                    if part is not None:
                        found.append(part)
                    break
            else:
                return None
        return found


def arrays_in(item: Any) -> list[Any]:
    """Return the arrays among arguments, those in tuples too."""
    if isinstance(item, tuple):
        return [array for part in item for array in arrays_in(part)]
    return [item] if hasattr(item, "dtype") else []


def known_by(item: Any) -> Any:
    """Return what stands for something in the key of a part, of an array where and how it lies."""
    if isinstance(item, (tuple, list)):
        return tuple(map(known_by, item))
    if isinstance(item, dict):
        return tuple((name, known_by(one)) for name, one in item.items())
    if isinstance(item, np.ndarray):
        return numpy_address(item), item.shape, item.strides, item.dtype
    if isinstance(item, float):
        return item.hex()  # -0.0 is equal to 0.0
    try:
        hash(item)
    except TypeError:
        return id(item)
    return type(item), item
