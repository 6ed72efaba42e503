"""Elementwise loops that follow one another, joined into one pass over memory.

A plan does not emit a loop at once: the next one may go over the same elements. Then the two become
one, in which a result of the first is read from a register, and is not even written where nothing
else reads it. A chain ends at the first instruction that is no such loop.

Two loops are joined if they have one shape and compute in one dtype, and if each array of the
second either lies element for element where one of the first does, or overlaps none that either of
them writes: only then is the order of elements the same as that of loops.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from ..strided import TooManyAxesError, broadcast_strides, walk
from .operands import Operands
from .runtime.table import address

MOST_ARRAYS = 12
"""Arrays of a chain: each takes a pointer, of which a processor holds 16 to 32 in registers."""
MOST_NODES = 24
HEAVY = 0.1
"""Nanoseconds for an element from which a body is an exponential or its like. Two of them in one
loop were a third slower than in two (float32): their constants do not all fit into registers."""
SHORTEST_ROW = 16
"""An inner axis is not cut to fewer elements than this: each row costs as much as some dozens."""


class Place(NamedTuple):
    """Where an array's elements lie, for a loop over a shape that it broadcasts to."""

    address: int
    strides: tuple[int, ...]
    dtype: str


class Chain:
    """One loop, or several that were joined.

    Args:
        loop: the first of them.
        reads_arguments: whether it reads an array in whose place each replay puts another one.
        writes_outside: whether it writes into an array that was there before the step.

    Attributes:
        loop: all of them as one.
        joined: how many they are.
    """

    def __init__(self, loop: Operands, reads_arguments: bool, writes_outside: bool) -> None:
        self.loop, self.joined = loop, 1
        self._reads_arguments, self._writes_outside = reads_arguments, writes_outside
        self._inputs = [_place(array, loop.shape) for array in loop.inputs]
        self._outputs = [_place(array, loop.shape) for array, _ in loop.outputs]
        self._nodes = {
            place: node for place, (_, node) in zip(self._outputs, loop.outputs, strict=True)
        }
        self._row = _row(loop.shape, [*self._inputs, *self._outputs])

    def join(self, other: Operands, reads_arguments: bool, writes_outside: bool) -> bool:
        """Take up another loop behind the others if that is possible, and say whether it was."""
        reads_arguments = reads_arguments or self._reads_arguments
        writes_outside = writes_outside or self._writes_outside
        if reads_arguments and writes_outside:
            return False  # nobody knows here how the two will lie
        loop = self.loop
        if loop.scalars or other.scalars:
            return False  # an optimizer's step has arrays enough of its own
        if other.shape != loop.shape or other.dtype != loop.dtype:
            return False
        count = len(loop.inputs) + len(loop.outputs) + len(other.inputs) + len(other.outputs)
        if count > MOST_ARRAYS or len(loop.nodes) + len(other.nodes) > MOST_NODES:
            return False
        if sum(node.body.cost > HEAVY for node in (*loop.nodes, *other.nodes)) > 1:
            return False
        inputs = [_place(array, loop.shape) for array in other.inputs]
        outputs = [_place(array, loop.shape) for array, _ in other.outputs]
        if not self._in_order(inputs, outputs):
            return False
        row = _row(loop.shape, [*self._inputs, *self._outputs, *inputs, *outputs])
        alone = _row(loop.shape, [*inputs, *outputs])
        if row is None or self._row is None or alone is None:
            return False
        shortest = min(SHORTEST_ROW, self._row[0], alone[0])
        if row[0] < shortest or not row[1] == self._row[1] == alone[1]:
            return False
        self._row = row
        self._reads_arguments, self._writes_outside = reads_arguments, writes_outside
        self._take(other, inputs, outputs)
        return True

    def _in_order(self, inputs: list[Place], outputs: list[Place]) -> bool:
        """Say whether an element at a time gives what a loop at a time does."""
        shape = self.loop.shape
        written = [(place, _span(place, shape)) for place in self._outputs]
        read = [(place, _span(place, shape)) for place in self._inputs]
        for place in inputs:
            span = _span(place, shape)
            if any(place != other and _meet(span, its) for other, its in written):
                return False
        for place in outputs:
            span = _span(place, shape)
            if any(place != other and _meet(span, its) for other, its in (*written, *read)):
                return False
        return True

    def _take(self, other: Operands, inputs: list[Place], outputs: list[Place]) -> None:
        loop = self.loop
        loop.alone = None
        moved: list[tuple[str, int]] = []
        for array, place in zip(other.inputs, inputs, strict=True):
            if place in self._nodes:
                moved.append(("node", self._nodes[place]))
            elif place in self._inputs:
                moved.append(("input", self._inputs.index(place)))
            else:
                moved.append(loop.add(array))
                self._inputs.append(place)
        numbers, nodes = len(loop.numbers), loop.results
        loop.numbers += other.numbers
        for node in other.nodes:
            takes = [
                moved[which]
                if what == "input"
                else (what, which + (numbers if what == "number" else nodes))
                for what, which in node.takes
            ]
            loop.apply(node.body, takes, node.results)
        for (array, result), place in zip(other.outputs, outputs, strict=True):
            if place in self._outputs:  # what was written there before is overwritten
                at = self._outputs.index(place)
                loop.outputs.pop(at)
                self._outputs.pop(at)
            loop.outputs.append((array, result + nodes))
            self._outputs.append(place)
            self._nodes[place] = result + nodes
        self.joined += 1

    def forget(self, array: Any) -> None:
        """Do not write results into an array's memory, since nothing behind the chain reads them.

        Another loop may get that memory and join: what it writes there is another result.
        """
        start = address(array)
        stop = start + array.nbytes
        for at in reversed(range(len(self._outputs))):
            place = self._outputs[at]
            low, high = _span(place, self.loop.shape)
            if start <= low and high <= stop:
                self.loop.outputs.pop(at)
                self._outputs.pop(at)
                del self._nodes[place]

    def emit(self, builder: Any) -> None:
        """Emit the loop; nothing if no result of it is wanted."""
        if self.loop.outputs:
            self.loop.emit_now(builder)


def _place(array: Any, shape: tuple[int, ...]) -> Place:
    strides = broadcast_strides(array, shape)
    if 1 in shape:
        strides = tuple(
            [0 if size == 1 else step for size, step in zip(shape, strides, strict=True)]
        )
    return Place(address(array), strides, array.dtype.str)


def _span(place: Place, shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the first address of an array and the one behind its last."""
    before, behind = _reach(shape, place.strides)
    return place.address - before, place.address + behind + int(place.dtype[2:])


@functools.lru_cache(maxsize=4096)
def _reach(shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, int]:
    """Return how many bytes the elements of an array lie before and behind its first one."""
    ways = [(size - 1) * step for size, step in zip(shape, strides, strict=True)]
    return -sum(way for way in ways if way < 0), sum(way for way in ways if way > 0)


def _meet(a: tuple[int, int], b: tuple[int, int]) -> bool:
    return a[0] < b[1] and b[0] < a[1]


def _row(shape: tuple[int, ...], places: list[Place]) -> tuple[int, bool] | None:
    """Return the inner axis of a loop and whether elements lie apart there; None for no loop."""
    try:
        sizes, steps = walk(shape, tuple([place.strides for place in places]))
    except TooManyAxesError:
        return None
    apart = any(
        step[0] not in (0, int(place.dtype[2:])) for step, place in zip(steps, places, strict=True)
    )
    return sizes[0], apart and sizes[0] > 1
