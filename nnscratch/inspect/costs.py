"""What each layer of a model does and costs in one forward, read from its graph.

The model is left as it was: no gradients are recorded, and its running statistics and the random
numbers that dropout takes are given back.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnscratch.array import Generator, is_array
from nnscratch.array.random import default_generator
from nnscratch.errors import ConfigurationError
from nnscratch.graph import Graph, LayerCall, Node, Value, record
from nnscratch.nn.module import Module
from nnscratch.tensors import Tensor, creation
from nnscratch.tensors.grad_mode import no_grad


@dataclass(eq=False)
class LayerCost:
    """What one call of a module did in its own ``forward``, not in a child's.

    Attributes:
        call: the call: path, module, depth, shapes.
        formulas: names of the formulas that ran.
        flops: how many operations these were.
        kept: bytes that these keep for the backward, beside parameters and inputs of the model.
    """

    call: LayerCall
    formulas: list[str] = field(default_factory=list)
    flops: int = 0
    kept: int = 0


def layer_costs(model: Module, *inputs: Any) -> list[LayerCost]:
    """Call a model once in its present mode, and return what each call of a module cost.

    Raises:
        NNScratchError: whatever the model raises for these inputs.

    >>> from nnscratch import nn
    >>> model = nn.Sequential(nn.Linear(4, 2), nn.ReLU())
    >>> [cost.flops for cost in layer_costs(model, creation.zeros(3, 4))]
    [0, 54, 6]
    """
    with left_as_it_was(model), no_grad():
        return _costs(record(model, *inputs))


def _costs(graph: Graph) -> list[LayerCost]:
    """Return the costs of the calls of a forward's graph, in the order in which they began."""
    costs = {id(call): LayerCost(call) for call in graph.layers}
    seen = {*graph.inputs, *graph.names}
    for node in graph.nodes:
        cost = None if node.layer is None else costs.get(id(node.layer))
        if cost is None or node.direction != "forward":
            continue
        cost.formulas.append(node.formula.name)
        cost.flops += flops_of(node)
        if node.formula.backward is None or not isinstance(node.saved, tuple):
            continue
        for item in node.saved:
            if isinstance(item, Value) and item.shape and item.root() not in seen:
                seen.add(item.root())
                cost.kept += _bytes(item.root())
    return list(costs.values())


def _bytes(value: Value) -> int:
    return math.prod(value.shape) * np.dtype(value.dtype).itemsize


def example_inputs(model: Module, shapes: Any, dtype: Any = None) -> list[Any]:
    """Return zeros of one shape or of several, where the model's parameters are.

    Tensors and arrays in the place of shapes are taken as they are.

    Raises:
        ConfigurationError: if it is neither.
    """
    if isinstance(shapes, (Tensor, int)) or is_array(shapes):
        shapes = [shapes]
    elif all(isinstance(size, int) for size in shapes):
        shapes = [tuple(shapes)]
    first = next(iter(model.parameters()), None)
    made = []
    for shape in shapes:
        if isinstance(shape, Tensor) or is_array(shape):
            made.append(shape)
            continue
        sizes = (shape,) if isinstance(shape, int) else tuple(shape)
        if not all(isinstance(n, int) and n >= 0 for n in sizes):
            raise ConfigurationError(
                f"expected a shape such as (32, 10), its batch dimension included, got {shape!r}"
            )
        device = None if first is None else first.device
        kind = dtype if dtype is not None or first is None else first.dtype
        made.append(creation.zeros(*sizes, dtype=kind, device=device))
    return made


MOVING = {"shaping", "indexing", "assignment", "striding", "padding", "placing"}
"""Families of formulas that only move entries."""
REDUCING = {
    *("reductions", "variance", "extremes", "max_pooling", "resampling"),
    *("losses", "class_losses", "binary_losses", "margin_losses"),
}
"""Those that count an operation for each entry that they take together."""


def flops_of(node: Node) -> int:
    """Return the operations of a forward: a product and a sum one each, a function of an entry one.

    What only moves entries counts nothing.
    """
    outputs = [tuple(getattr(one, "shape", ())) for one in node.outputs]
    inputs = [None if one is None else tuple(getattr(one, "shape", ())) for one in node.inputs]
    made = node.formula
    if made.flops is not None:
        return made.flops([*inputs, *[None] * (len(made.inputs) - len(inputs))], outputs)
    if made.family in MOVING:
        return 0
    if made.family in REDUCING:
        return math.prod(inputs[0] or ())
    return max(map(math.prod, outputs))


@contextmanager
def left_as_it_was(model: Module) -> Iterator[None]:
    """Give back a model's buffers, and the random numbers that were taken, after the block."""
    held = [v for m in model.modules() for v in vars(m).values() if isinstance(v, Generator)]
    states = [(generator, generator.state()) for generator in (default_generator, *held)]
    tables = [(module._buffers, dict(module._buffers)) for module in model.modules()]
    buffers = [(buffer, buffer._version[0], buffer.detach().clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        for generator, state in states:
            generator.set_state(state)
        for table, before in tables:
            if [*map(id, table.values())] != [*map(id, before.values())]:
                table.clear()
                table.update(before)
        # Only what was changed: an earlier forward, which is still to be differentiated, may have
        # saved the others.
        with no_grad():
            for buffer, version, values in buffers:
                if buffer._version[0] != version:
                    buffer.copy_(values)
