"""A trace: a finished recording of a step, with what has to hold for it to be repeated."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from nnscratch.array.addresses import on_device_of, shares_memory
from nnscratch.array.device import CPU, place_on
from nnscratch.array.streams import follow
from nnscratch.graph import Graph, Value
from nnscratch.graph.nested import leaves, mapped
from nnscratch.nn.hooks import structure
from nnscratch.plan.guards import Read, held_by, module_state
from nnscratch.plan.reach import MOST_ENTRIES, Reach
from nnscratch.plan.tracer import Tracer
from nnscratch.tensors import Tensor


class Trace:
    """A finished recording, and its guards.

    All of it is looked at right after the recorded run: by the time the plan is built, modes and
    gradients may have changed.
    """

    def __init__(self, tracer: Tracer, result: Any, arguments: list[Any], reach: Reach) -> None:
        """Take down the outputs, the gradients left behind, and the guards."""
        self.graph = tracer.graph
        self.arguments = arguments
        # What the step returned, with a value in the place of each tensor.
        self.graph.outputs = mapped(
            lambda item: tracer.value_of(item.array) if isinstance(item, Tensor) else item, result
        )
        self.gradients = _final_gradients(tracer)
        # A gradient (read by clipping) is a new tensor at every step, in the same place.
        gradients = {id(tensor.grad) for tensor in tracer.added.values()}
        tensors = tracer.tensors | {id(pair[0]): pair for pair in reach.tensors}
        self.tensors = [
            (t, array, t.requires_grad, len(t.hooks or ()))
            for t, array in tensors.values()
            if id(t) not in gradients
        ]
        modules = {id(module): module for module in reach.modules} | tracer.modules
        self.modules = [(module, module_state(module)) for module in modules.values()]
        self.held = [held_by(module) for module, _ in self.modules]
        self.reach, self.reads = reach, [*tracer.reads, *_read_in_python(tracer, reach)]
        self.structure = structure.changes
        self.initial = [(tracer.touched[key], a) for key, a in tracer.initial.items()]
        if "grad" in reach.names:
            # The step may look at gradients that it has no part in.
            others = (one for one, _ in reach.tensors if id(one) not in tracer.touched)
            self.initial += [(one, None if one.grad is None else one.grad.array) for one in others]
        self.cleared = [one for one in tracer.touched.values() if one.grad is None]
        # A replay changes what the recorded run did, and says so where others look.
        self.written = [one for one, first in tracer.versions.values() if one[0] != first]
        self.constants, self.counted = _constants(tracer, arguments) if tracer.frozen else ([], [])
        self.device = _device_context(self.graph, arguments)
        self.stream: Any = None
        if self.device is not None:
            with self.device:
                self.stream = follow(None)

    def results(self) -> set[Value]:
        """Return the values that the step returns or leaves as gradients."""
        found = {value for value in leaves(self.graph.outputs) if isinstance(value, Value)}
        return found | {value for _, value in self.gradients if value is not None}

    def kept(self) -> set[Value]:
        """Return the values that outlive the step."""
        left = {value for _, value in self.gradients if value is not None}
        return {v for v in self.results() if v.kind == "computed" or v in left}


def _constants(tracer: Tracer, arguments: list[Any]) -> tuple[list[Any], list[list[Any]]]:
    """Return what a frozen step takes for constant, and the version counters of it.

    These are the parameters and buffers that it computes with, also through views that count with
    them, but for those that it changes or is given.
    """
    held = tracer.held()
    counters = {id(tensor._version): tensor._version for tensor in held}
    views = [one for one, _ in tracer.tensors.values() if id(one._version) in counters]
    arrays = {id(tensor.array): tensor for tensor in (*held, *views)}
    captured = {id(v.array): v.array for v in tracer.graph.values() if v.kind == "captured"}
    changing = [*tracer.written, *arguments]
    constants = {
        key: array
        for key, array in captured.items()
        if key in arrays and not any(shares_memory(array, one) for one in changing)
    }
    used = {id(arrays[key]._version) for key in constants}
    return list(constants.values()), [counters[key] for key in used]


def _read_in_python(tracer: Tracer, reach: Reach) -> list[Read]:
    """Return the arrays behind the step that no formula took: Python may have read their entries.

    What a formula took is read anew at every replay.
    """
    captured = [v.array for v in tracer.graph.values() if v.kind == "captured"]
    return [
        Read(array)
        for array in reach.arrays.values()
        if array.size <= MOST_ENTRIES and not any(shares_memory(array, one) for one in captured)
    ]


def _device_context(graph: Graph, arguments: list[Any]) -> AbstractContextManager[Any] | None:
    """Return the context that makes the device of a step's arrays the current one, None if none."""
    values = (value for node in graph.nodes for value in node.values())
    for array in [*arguments, *(value.array for value in values)]:
        context = on_device_of(array)
        if not isinstance(context, nullcontext):
            return context
    # A step of random numbers alone names their device.
    places = (place_on(node.options.get("device", CPU)) for node in graph.nodes)
    return next((place for place in places if place is not None), None)


def _final_gradients(tracer: Tracer) -> list[tuple[Tensor, Value | None]]:
    """Return for each leaf with a gradient the value to copy it from, None if it has its slot."""
    found: list[tuple[Tensor, Value | None]] = []
    for tensor in tracer.added.values():
        if tensor.grad is None:
            continue
        in_slot = tensor.grad_slot is not None and tensor.grad.array is tensor.grad_slot
        in_place = tracer.initial.get(id(tensor)) is tensor.grad.array
        found.append((tensor, None if in_slot or in_place else tracer.value_of(tensor.grad.array)))
    return found
