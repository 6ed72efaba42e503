"""Which calls a plan needs, and joining neighbours for which there is one faster kernel."""

from __future__ import annotations

from collections.abc import Iterator

from nnscratch import formulas as f
from nnscratch.formulas.fused import FUSABLE, LinearActivationSaved
from nnscratch.graph import Node, Value


def used(nodes: list[Node], kept: set[Value]) -> list[Node]:
    """Return the nodes without those whose results nothing reads: a replay need not run them.

    What is computed only while recording leaves such calls: a shape that became a constant. Those
    that write to what was there before (updates) all stay.
    """
    needed = {value.root() for value in kept}
    live: list[Node] = []
    for node in reversed(nodes):
        saved = node.saved if isinstance(node.saved, tuple) else ()
        made = {v.root() for v in (*node.outputs, *saved) if isinstance(v, Value)}
        if node.direction == "update" or not made.isdisjoint(needed):
            live.append(node)
            needed.update(value.root() for value in _read(node.inputs))
    return live[::-1]


def _read(items: tuple[object, ...]) -> Iterator[Value]:
    for item in items:
        if isinstance(item, Value):
            yield item
        elif type(item) is tuple:  # the gradients of several outputs
            yield from _read(item)


def fuse(nodes: list[Node], kept: set[Value]) -> list[Node]:
    """Return the nodes with each linear layer and the activation behind it as one.

    Both ways: the forward of the pair where nothing else reads what is between them, and the
    backward, where dZ is read by the linear layer alone. The sums and products are the same ones
    in the same order, so the results are the same bits.
    """
    readers: dict[Value, list[int]] = {}
    for index, node in enumerate(nodes):
        for value in node.inputs:
            if isinstance(value, Value):
                readers.setdefault(value, []).append(index)
    made = {
        value: index
        for index, node in enumerate(nodes)
        for value in node.outputs
        if isinstance(value, Value) and value.kind == "computed" and value.alias is None
    }
    joined = list(nodes)
    gone: set[int] = set()
    for index, node in enumerate(nodes):
        between = node.inputs[0] if node.inputs else None
        if not isinstance(between, Value) or between in kept or between not in made:
            continue
        before = nodes[made[between]]
        if _activates(node, "forward") and _is(before, f.LINEAR, "forward"):
            others = [i for i in readers[between] if i != index]
            if all(_activates(nodes[i], "backward") for i in others):
                joined[index] = _forward(before, node)
                gone.add(made[between])
        elif (
            _is(node, f.LINEAR, "backward")
            and _activates(before, "backward")
            and readers[between] == [index]
        ):
            joined[index] = _backward(before, node)
            gone.add(made[between])
    return [node for index, node in enumerate(joined) if index not in gone]


def _is(node: Node, formula: f.Formula, direction: str) -> bool:
    return node.formula is formula and node.direction == direction


def _activates(node: Node, direction: str) -> bool:
    return node.direction == direction and node.formula.name in FUSABLE


def _forward(linear: Node, activation: Node) -> Node:
    name = activation.formula.name
    names = FUSABLE[name][1]
    numbers = [*(activation.options.get(key) for key in names), None, None][:2]
    kept = activation.saved[0]
    return Node(
        f.LINEAR_ACTIVATION,
        "forward",
        linear.inputs,
        {"activation": name, "alpha": numbers[0], "beta": numbers[1]},
        activation.outputs,
        LinearActivationSaved(linear.saved.X, linear.saved.W, kept, name, *numbers),
        (),
    )


def _backward(activation: Node, linear: Node) -> Node:
    dY, kept, *rest = activation.inputs
    name = activation.formula.name
    numbers = [*rest, None, None][:2]
    X, W = linear.inputs[1:]
    saved = LinearActivationSaved(X, W, kept, name, *numbers)
    return Node(
        f.LINEAR_ACTIVATION,
        "backward",
        (dY, *saved),
        {},
        linear.outputs,
        saved,
        linear.needs,
    )
