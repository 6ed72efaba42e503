"""Which planned memory is free after each step, found in time linear in the length of the plan.

Several values can lie in one chunk of memory: views of one another, and results written where an
input was. A chunk is free once the last of the values that lie in it has been used.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nnscratch.array.addresses import owner
from nnscratch.graph import Node, Value


class Liveness:
    """Counts, for each chunk of memory, the values in it that later steps still use.

    Args:
        last_use: for each value that owns its memory (``Value.root``) the last step that uses it.
    """

    def __init__(self, last_use: Mapping[Any, int]) -> None:
        self._last_use = last_use
        self._ending: dict[int, list[Any]] = {}
        for value, index in last_use.items():
            self._ending.setdefault(index, []).append(value)
        self._living: dict[int, set[Any]] = {}  # by chunk
        self._chunks: dict[Any, set[int]] = {}  # by value
        self._arrays: dict[int, Any] = {}  # one for each chunk that is in use

    def holds_only(self, value: Any, array: Any) -> bool:
        """Say whether an array lies in planned memory where no other value does."""
        return self._living.get(id(owner(array))) == {value}

    def dead_after(
        self, index: int, bound: Iterable[tuple[Any, Any]], planned: Iterable[Any]
    ) -> list[Any]:
        """Return an array in each chunk that nothing behind a step uses.

        Args:
            index: the number of the step.
            bound: the values that it made, each with the array that it has in the plan.
            planned: the arrays that were planned for it.
        """
        changed: dict[int, None] = {}  # in order, so that plans are alike
        for array in planned:
            chunk = id(owner(array))
            self._arrays[chunk] = array
            changed[chunk] = None
        for value, array in bound:
            if self._last_use.get(value, -1) > index:
                chunk = id(owner(array))
                self._living.setdefault(chunk, set()).add(value)
                self._chunks.setdefault(value, set()).add(chunk)
        for value in self._ending.pop(index, ()):
            for chunk in self._chunks.pop(value, ()):
                self._living[chunk].discard(value)
                changed[chunk] = None
        free = [chunk for chunk in changed if chunk in self._arrays and not self._living.get(chunk)]
        return [self._arrays.pop(chunk) for chunk in free]


def last_uses(nodes: list[Node], kept: set[Value]) -> dict[Value, int]:
    """Return for each value that owns its memory the last step that uses it, as ``Liveness`` takes.

    Of what is kept that is the end.
    """
    last: dict[Value, int] = {}
    for index, node in enumerate(nodes):
        for value in node.values():
            last[value.root()] = index
    for value in kept:
        last[value.root()] = len(nodes)
    return last


def read_alone(node: Node, inputs: tuple[Any, ...], array: Any) -> Value | None:
    """Return what owns the memory of an array that a call takes, if it takes nothing else of it.

    Args:
        node: the call.
        inputs: what it takes, with arrays in the place of values.
        array: one of these; one with gaps, or a part of what owns its memory, is not taken alone.
    """
    given = zip(_flat(node.inputs), _flat(inputs), strict=True)
    value = next((value for value, one in given if one is array), None)
    if not isinstance(value, Value) or not array.flags.c_contiguous:
        return None
    root = value.root()
    others = [one for one in node.values() if one is not value and one.root() is root]
    return root if not others and math.prod(root.shape) == array.size else None


def _flat(items: tuple[Any, ...]) -> Iterator[Any]:
    for item in items:
        if type(item) is tuple:  # the gradients of several outputs
            yield from item
        else:
            yield item
