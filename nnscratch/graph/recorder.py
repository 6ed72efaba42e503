"""The recorder: watches a function while it runs, and writes down its graph.

It keeps no intermediate array alive. Each array that a formula computed is a ``Value`` with a
shape and a dtype; arrays that were there before (parameters, state, data closed over) are kept.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from nnscratch.array import dtype_name, is_array
from nnscratch.array.addresses import shares_memory
from nnscratch.formulas.live import live
from nnscratch.formulas.observing import Call
from nnscratch.graph.graph import Graph, HostEvent, Node, Value
from nnscratch.graph.layers import LayerTracker


class Recorder(LayerTracker):
    """Writes down the graph of what its thread computes.

    Args:
        arrays: the inputs of the function that is recorded.

    Attributes:
        graph: what was recorded so far.
    """

    def __init__(self, arrays: list[Any]) -> None:
        super().__init__()
        self.graph = Graph()
        self._known: dict[int, tuple[Any, Value]] = {}
        self._kept: list[Any] = []  # alive, so that no id is used twice
        for position, array in enumerate(arrays):
            value = Value("input", tuple(array.shape), dtype_name(array.dtype), array, position)
            self.graph.inputs.append(value)
            self._remember(array, value)
            self._kept.append(array)

    def value_of(self, array: Any) -> Value:
        """Return the value that stands for an array; an unknown one was there before."""
        known = self._known.get(id(array))
        if known is not None and known[0]() is array:
            return known[1]
        value = Value("captured", tuple(array.shape), dtype_name(array.dtype), array)
        self.on_captured(value)
        self._remember(array, value)
        self._kept.append(array)
        return value

    def on_captured(self, value: Value) -> None:
        """Called with each array that was there before, as it is first used."""

    def is_captured(self, array: Any) -> bool:
        """Say whether an array is none that a formula computed, nor an input."""
        known = self._known.get(id(array))
        return known is None or known[0]() is not array or known[1].kind == "captured"

    def owner_of(self, array: Any) -> Value | None:
        """Return the value that an array is a view of, by what the array itself says."""
        base = getattr(array, "base", None)
        while base is not None:
            known = self._known.get(id(base))
            if known is not None and known[0]() is base:
                return known[1]
            base = getattr(base, "base", None)
        return None

    def _remember(self, array: Any, value: Value) -> None:
        self._known[id(array)] = (weakref.ref(array), value)

    def _refer(self, item: Any) -> Any:
        if type(item) is tuple:
            return tuple(map(self._refer, item))
        return self.value_of(item) if is_array(item) and not isinstance(item, np.generic) else item

    def on_call(self, call: Call) -> None:
        """Write the call down."""
        inputs = tuple(self._refer(item) for item in call.inputs)
        if call.direction == "update":
            for target in call.outputs:
                if target is not None:
                    self.on_change(self.value_of(target).root())
        outputs = tuple(self._computed(item, call) for item in call.outputs)
        saved = call.saved
        if isinstance(saved, tuple) and call.direction != "update":
            saved = type(saved)(*(self._computed(item, call) for item in saved))
        layer = self.layer_of(call)
        self.graph.nodes.append(
            Node(
                call.formula, call.direction, inputs, dict(call.options), outputs, saved,
                call.needs, layer,
            )
        )  # fmt: skip

    def on_change(self, value: Value) -> None:
        """Called with each value that is changed in place."""

    def _computed(self, item: Any, call: Call) -> Any:
        if not is_array(item) or isinstance(item, np.generic):
            return item
        known = self._known.get(id(item))
        if known is not None and known[0]() is item:
            return known[1]
        value = Value("computed", tuple(item.shape), dtype_name(item.dtype))
        for source in call.inputs:
            if is_array(source) and shares_memory(item, source):
                value.alias = self.value_of(source)
                break
        self._remember(item, value)
        return value

    def on_host(self, produce: Callable[[], Any]) -> Any:
        """Run the Python work, keep it, and mark the numbers that it produced."""
        produced = produce()
        self.graph.events.append(HostEvent(produce, produced))
        return live(produced, len(self.graph.events) - 1)

    def on_module(self, module: Any, inputs: tuple[Any, ...]) -> None:
        """Go into a module."""
        super().on_module(module, inputs)
        self.graph.layers.append(self._running[-1])

    def name_captured(self) -> None:
        """Name the parameters and buffers of all modules that were called, and their gradients."""
        taken: set[str] = set()
        for layer in self.graph.layers:
            if layer.depth or layer.again:
                continue
            module = layer.module
            for name, tensor in (*module.named_parameters(), *module.named_buffers()):
                if name in taken:  # of two models
                    name = f"{type(module).__name__}.{name}"
                for array, text in ((tensor.array, name), (_gradient(tensor), f"{name}.grad")):
                    known = self._known.get(id(array))
                    if known is None or known[0]() is not array or known[1].kind != "captured":
                        continue
                    if known[1] not in self.graph.names:
                        taken.add(text)
                        self.graph.names[known[1]] = text


def _gradient(tensor: Any) -> Any:
    return None if tensor.grad is None else tensor.grad.array
