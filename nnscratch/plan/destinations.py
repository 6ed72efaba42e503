"""Results that are only computed to be copied to an array outside: they are written there at once.

So it is with a weight's gradient, on its way to its place in an optimizer's flat buffer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnscratch import formulas as f
from nnscratch.array.addresses import address, shares_memory
from nnscratch.graph import Node, Value


def destinations(
    nodes: list[Node], kept: set[Value], last_use: Mapping[Value, int]
) -> dict[Value, Any]:
    """Return the arrays from outside that values are computed into.

    Args:
        nodes: the calls of a plan.
        kept: the values that outlive the step.
        last_use: for each value that owns its memory the last call that uses it.
    """
    found: dict[Value, Any] = {}
    made_at: dict[Value, int] = {}
    for index, node in enumerate(nodes):
        if node.direction == "update" and node.formula is f.COPY_INTO:
            target, source = node.inputs
            start = made_at.get(source)
            if (
                start is not None
                and source not in kept
                and target.kind == "captured"
                and source.shape == target.shape
                and source.dtype == target.dtype
                and address(target.array) is not None
                and target.array.flags.c_contiguous
                and not _touched(nodes[start:index], target)
                and not _parts_later(nodes, index + 1, target, source, last_use)
                and source not in found
            ):
                found[source] = target.array
        for value in node.outputs:
            if isinstance(value, Value) and value.kind == "computed" and value.alias is None:
                made_at.setdefault(value, index)
    return found


def _parts_later(
    nodes: list[Node], start: int, target: Value, source: Value, last_use: Mapping[Value, int]
) -> bool:
    """Say whether one of two values, copied from one to the other, changes and both are used.

    They cannot lie in one place then.
    """
    if last_use[source] < start:
        return False
    return any(
        value.root() is source or _lies_in(value, target)
        for node in nodes[start:]
        if node.direction == "update"
        for value in node.outputs
        if isinstance(value, Value)
    )


def _touched(nodes: list[Node], target: Value) -> bool:
    return any(_lies_in(value, target) for node in nodes for value in node.values())


def _lies_in(value: Value, target: Value) -> bool:
    """Say whether a value, or what it is a view of, lies in the memory of one from outside."""
    owner = value.root()
    return owner.kind == "captured" and shares_memory(owner.array, target.array)
