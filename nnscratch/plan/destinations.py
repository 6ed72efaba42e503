"""Results that only go to an array outside: they are computed there, or added to it, at once.

So it is with a weight's gradient, on its way to its place in an optimizer's flat buffer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from nnscratch import formulas as f
from nnscratch.array.addresses import address, shares_memory
from nnscratch.graph import Node, Value


class Destinations:
    """Where outside of a plan its results go.

    Attributes:
        written: the arrays that values are computed into.
        turned: likewise, for matrices of which the transpose is copied there.
        added: the arrays that values are added to, if nothing else reads these.
    """

    def __init__(self, nodes: list[Node], kept: set[Value], last_use: Mapping[Value, int]) -> None:
        """Find them.

        Args:
            nodes: the calls of a plan.
            kept: the values that outlive the step.
            last_use: for each value that owns its memory the last call that uses it.
        """
        self._nodes, self._kept, self._last_use = nodes, kept, last_use
        self._users = Counter(root for node in nodes for root in {v.root() for v in node.values()})
        self._made_at: dict[Value, int] = {}
        self._transposed: dict[Value, Value] = {}
        self.written: dict[Value, Any] = {}
        self.turned: dict[Value, Any] = {}
        self.added: dict[Value, Any] = {}
        for index, node in enumerate(nodes):
            if node.direction == "update" and node.formula in (f.COPY_INTO, f.ACCUMULATE):
                self._look_at(node, index)
            for value in node.outputs:
                if not isinstance(value, Value) or value.kind != "computed":
                    continue
                if value.alias is None:
                    self._made_at.setdefault(value, index)
                elif _transposes(node):
                    self._transposed[value] = value.alias

    def _look_at(self, node: Node, index: int) -> None:
        target, source = node.inputs
        if source in self._kept or source.shape != target.shape or source.dtype != target.dtype:
            return
        if node.formula is f.ACCUMULATE:
            # Only two calls know of it: what makes it, and this one.
            if self._users[source] == 2 and self._is_free(target, source, index):
                self.added[source] = target.array
        elif (whole := self._transposed.get(source)) is not None:
            if whole not in self._kept and self._is_free(target, whole, index):
                self.turned[whole] = target.array.T
        elif source not in self.written and self._is_free(target, source, index):
            self.written[source] = target.array

    def _is_free(self, target: Value, made: Value, index: int) -> bool:
        """Say whether what a call has made can lie at its target from there on."""
        start = self._made_at.get(made)
        return (
            start is not None
            and target.kind == "captured"
            and address(target.array) is not None
            and target.array.flags.c_contiguous
            and not any(
                _lies_in(value, target)
                for node in self._nodes[start:index]
                for value in node.values()
            )
            and not self._parts_later(index + 1, target, made)
        )

    def _parts_later(self, start: int, target: Value, source: Value) -> bool:
        """Say whether one of two values, copied from one to the other, changes and both are used.

        They cannot lie in one place then.
        """
        if self._last_use[source] < start:
            return False
        return any(
            value.root() is source or _lies_in(value, target)
            for node in self._nodes[start:]
            if node.direction == "update"
            for value in node.outputs
            if isinstance(value, Value)
        )


def _transposes(node: Node) -> bool:
    """Say whether a call returns the transpose of a matrix."""
    if node.formula is not f.TRANSPOSE:
        return False
    axes = node.options["axes"] if node.direction == "forward" else node.inputs[1]
    return tuple(axes) == (1, 0)


def _lies_in(value: Value, target: Value) -> bool:
    """Say whether a value, or what it is a view of, lies in the memory of one from outside."""
    owner = value.root()
    return owner.kind == "captured" and shares_memory(owner.array, target.array)
