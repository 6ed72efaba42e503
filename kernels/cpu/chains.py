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
from typing import Any

import numpy as np

from nnscratch.array.addresses import numpy_address

from ..strided import TooManyAxesError, walk
from .operands import Lie, Operands, Place, place_of

MOST_ARRAYS = 12
"""Arrays of a chain: each takes a pointer, of which a processor holds 16 to 32 in registers."""
MOST_NODES = 24
HEAVY = 0.1
"""Nanoseconds for an element from which a body is an exponential or its like. Two of them in one
loop were a third slower than in two (float32): their constants do not all fit into registers."""
SHORTEST_ROW = 16
"""An inner axis is not cut to fewer elements than this: each row costs as much as some dozens."""


class PlacedLoop:
    """A loop with the places of its arrays.

    Attributes:
        operands: the loop.
        inputs: the place of each input.
        outputs: the place of each output.
    """

    def __init__(self, operands: Operands) -> None:
        self.operands, shape = operands, operands.shape
        self.inputs = [place_of(array, shape) for array in operands.inputs]
        self.outputs = [place_of(array, shape) for array, _ in operands.outputs]


class Chain:
    """One loop, or several that were joined.

    Args:
        first: the first of them.
        reads_arguments: whether it reads an array in whose place each replay puts another one.
        writes_outside: whether it writes into an array that was there before the step.

    Attributes:
        loop: all of them as one.
        joined: how many they are.
    """

    def __init__(self, first: PlacedLoop, reads_arguments: bool, writes_outside: bool) -> None:
        self.loop, self.joined = first.operands, 1
        self._reads_arguments, self._writes_outside = reads_arguments, writes_outside
        self._inputs, self._outputs = [*first.inputs], [*first.outputs]
        self._nodes = {
            place: node for place, (_, node) in zip(self._outputs, self.loop.outputs, strict=True)
        }

    def join(self, other: PlacedLoop, reads_arguments: bool, writes_outside: bool) -> bool:
        """Take up another loop behind the others if that is possible, and say whether it was."""
        reads_arguments = reads_arguments or self._reads_arguments
        writes_outside = writes_outside or self._writes_outside
        if reads_arguments and writes_outside:
            return False  # nobody knows here how the two will lie
        loop, more = self.loop, other.operands
        if loop.scalars or more.scalars:
            return False  # an optimizer's step has arrays enough of its own
        if more.shape != loop.shape or more.dtype != loop.dtype:
            return False
        count = len(loop.inputs) + len(loop.outputs) + len(more.inputs) + len(more.outputs)
        if count > MOST_ARRAYS or len(loop.nodes) + len(more.nodes) > MOST_NODES:
            return False
        if sum(node.body.cost > HEAVY for node in (*loop.nodes, *more.nodes)) > 1:
            return False
        if not self._in_order(other):
            return False
        mine, others = self._inputs + self._outputs, other.inputs + other.outputs
        if not _alike(loop.shape, _lies(mine), _lies(others)):
            return False
        self._reads_arguments, self._writes_outside = reads_arguments, writes_outside
        self._take(other)
        return True

    def _in_order(self, other: PlacedLoop) -> bool:
        """Say whether an element at a time gives what a loop at a time does."""
        pairs = (
            (other.inputs, self._outputs),
            (other.outputs, self._inputs + self._outputs),
        )
        for places, befores in pairs:
            for one in places:
                for its in befores:
                    if one.first < its.behind and its.first < one.behind and one != its:
                        return False
        return True

    def _take(self, other: PlacedLoop) -> None:
        loop, more = self.loop, other.operands
        loop.alone = None
        moved: list[tuple[str, int]] = []
        for array, place in zip(more.inputs, other.inputs, strict=True):
            if place in self._nodes:
                moved.append(("node", self._nodes[place]))
            elif place in self._inputs:
                moved.append(("input", self._inputs.index(place)))
            else:
                moved.append(loop.add(array))
                self._inputs.append(place)
        numbers, nodes = len(loop.numbers), loop.results
        loop.numbers += more.numbers
        for node in more.nodes:
            takes = [
                moved[which]
                if what == "input"
                else (what, which + (numbers if what == "number" else nodes))
                for what, which in node.takes
            ]
            loop.apply(node.body, takes, node.results)
        for (array, result), place in zip(more.outputs, other.outputs, strict=True):
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
        start = numpy_address(array)
        stop = start + array.nbytes
        for at in reversed(range(len(self._outputs))):
            place = self._outputs[at]
            if start <= place.first and place.behind <= stop:
                self.loop.outputs.pop(at)
                self._outputs.pop(at)
                del self._nodes[place]

    def emit(self, builder: Any) -> None:
        """Emit the loop; nothing if no result of it is wanted."""
        if self.loop.outputs:
            self.loop.emit_now(builder, self._inputs + self._outputs)


def _lies(places: list[Place]) -> tuple[Lie, ...]:
    return tuple([place.lie for place in places])


@functools.lru_cache(maxsize=4096)  # a step of many layers asks for the same ones again and again
def _alike(shape: tuple[int, ...], mine: tuple[Lie, ...], others: tuple[Lie, ...]) -> bool:
    """Say whether two loops go over their arrays alike, and as well when they are one."""
    try:
        size, apart = _inner(shape, mine + others)
        rows = [_inner(shape, mine), _inner(shape, others)]
    except TooManyAxesError:
        return False
    shortest = min(SHORTEST_ROW, *[row[0] for row in rows])
    return size >= shortest and all(row[1] == apart for row in rows)


def _inner(shape: tuple[int, ...], lies: tuple[Lie, ...]) -> tuple[int, bool]:
    """Return the inner axis of a loop, and whether elements lie apart there."""
    sizes, steps = walk(shape, tuple([strides for strides, _ in lies]))
    kinds = [np.dtype(dtype) for _, dtype in lies]
    apart = any(step[0] not in (0, kind.itemsize) for step, kind in zip(steps, kinds, strict=True))
    return sizes[0], apart and sizes[0] > 1
