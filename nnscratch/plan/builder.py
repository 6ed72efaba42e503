"""From a recording to a plan: every recorded call becomes kernel instructions, or stays Python.

A kernel that can be planned has a method ``lower(builder, direction, inputs, options, needs)``. It
takes planned arrays, asks the builder for the arrays that it writes, emits instructions, and
returns what the call returns. A call without such a kernel replays its reference on the planned
arrays, which is slower but never different.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from nnscratch import formulas as f
from nnscratch.array import CPU, array_namespace
from nnscratch.array.addresses import address, shares_memory
from nnscratch.array.device import current, namespace_on
from nnscratch.formulas import registry
from nnscratch.formulas.live import split_live
from nnscratch.graph import Graph, Node, Value
from nnscratch.kernels.lowering import Executor, Fill, Segment, SegmentBuilder
from nnscratch.plan.fuse import fuse, used
from nnscratch.plan.liveness import Liveness
from nnscratch.plan.memory import Memories


class PythonCall:
    """A Python function between segments; a plan runs both alike."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function

    def build(self) -> Callable[[], None]:
        """Return the function."""
        return self._function


class Builder:
    """Turns a graph into segments and Python calls: the ``Planner`` of ``kernels/lowering.py``.

    Attributes:
        arguments: the plan's own arrays, one for each argument of the step.
        pieces: segments and Python calls, in order.
        reads_arguments: whether any of these reads the plan's own arrays of the arguments.
        produced: what the host events produced last.
    """

    def __init__(self, graph: Graph, arguments: list[Any], kept: set[Value]) -> None:
        """Plan the memory; ``kept`` are the values that outlive the step."""
        self._nodes = fuse(used(graph.nodes, kept), kept)
        self._memories = Memories()
        self._builders: dict[Executor, SegmentBuilder] = {}
        self._python_reads = False
        self.arguments = arguments
        self.pieces: list[Segment | PythonCall] = []
        self.produced: list[Any] = [event.produced for event in graph.events]
        self._arrays: dict[Value, Any] = {}
        self._last_use = self._lifetimes(kept)
        self._liveness = Liveness(self._last_use)
        self._destinations = self._find_destinations(kept)
        self._node: Node | None = None
        self._index = 0
        self._inputs: tuple[Any, ...] = ()
        self._scratch: list[Any] = []
        self._bound: list[Value] = []

    # What an executor calls.

    @property
    def last(self) -> Segment | PythonCall | None:
        """The segment or Python call that was added last."""
        return self.pieces[-1] if self.pieces else None

    def append(self, segment: Segment) -> None:
        """Add a segment."""
        self.pieces.append(segment)

    def python(self, function: Callable[[], None], reads_arguments: bool = False) -> None:
        """Add a Python function, which runs between the segments before and behind it."""
        self.pieces.append(PythonCall(function))
        self._python_reads = self._python_reads or reads_arguments

    def output(self, position: int, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return the planned array for output number ``position`` of the call being lowered."""
        assert self._node is not None
        value = self._node.outputs[position]
        if isinstance(value, Value) and value in self._arrays:
            bound = self._arrays[value]
            if bound.shape == tuple(shape) and bound.dtype == np.dtype(dtype):
                return bound
        return self.empty(shape, dtype)

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return a planned array for something the call saves or needs for itself."""
        array = self._memories.for_array(self._like()).empty(tuple(shape), dtype)
        self._scratch.append(array)
        return array

    def is_read(self, position: int) -> bool:
        """Say whether a later call, or whoever called the step, reads an output of the call."""
        assert self._node is not None
        value = self._node.outputs[position]
        return isinstance(value, Value) and self._last_use[value.root()] > self._index

    def is_planned(self, array: Any) -> bool:
        """Say whether an array lies in the plan's memory."""
        return self._memories.hold(array)

    def _like(self) -> Any:
        """Return an array of the library and on the device of the call being lowered."""
        for item in self._inputs:
            if hasattr(item, "dtype"):
                return item
        # A call without arrays, of random numbers, names its device among its options.
        device = None if self._node is None else self._node.options.get("device")
        device = CPU if device is None else device
        with current(device):
            return namespace_on(device).empty(0)

    # Building.

    def build(self) -> None:
        """Lower every node in order."""
        for index, node in enumerate(self._nodes):
            self._node, self._index, self._scratch, self._bound = node, index, [], []
            self._build_one(node)
            self._release(index)

    @property
    def planned_bytes(self) -> int:
        """The memory of all planned arrays."""
        return self._memories.allocated

    @property
    def reads_arguments(self) -> bool:
        """Whether anything reads the plan's own arrays of the arguments."""
        return self._python_reads or any(one.reads_arguments for one in self._builders.values())

    def fills(self) -> list[Fill]:
        """Return what fills in what changes before a replay; the segments are built by now."""
        found = (builder.finish() for builder in self._builders.values())
        return [fill for fill in found if fill is not None]

    def _lower(self, chosen: Any, direction: str, inputs: Any, options: Any, needs: Any) -> Any:
        """Let an implementation emit the instructions of a call."""
        executor = chosen.executor
        builder = self._builders.get(executor)
        if builder is None:
            builder = self._builders[executor] = executor.begin(self)
        return chosen.lower(builder, direction, inputs, options, needs)

    def array_of(self, value: Value) -> Any:
        """Return the planned array of a value."""
        if value.kind != "computed":
            return value.array
        return self._arrays[value]

    def _lifetimes(self, kept: set[Value]) -> dict[Value, int]:
        last: dict[Value, int] = {}
        for index, node in enumerate(self._nodes):
            for value in node.values():
                last[value.root()] = index
        for value in kept:
            last[value.root()] = len(self._nodes)
        return last

    def _find_destinations(self, kept: set[Value]) -> dict[Value, Any]:
        """Find results that are only computed to be copied to an array outside of the node.

        Such a result (a weight's gradient, on its way to its place in the flat buffer) is written
        there at once.
        """
        made_at: dict[Value, int] = {}
        for index, node in enumerate(self._nodes):
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
                    and not self._touched(target, start, index)
                    and not self._parts_later(target, source, index + 1)
                    and source not in self._arrays
                ):
                    self._arrays[source] = target.array
            for value in node.outputs:
                if isinstance(value, Value) and value.kind == "computed" and value.alias is None:
                    made_at.setdefault(value, index)
        return dict(self._arrays)

    def _parts_later(self, target: Value, source: Value, start: int) -> bool:
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

    def _touched(self, target: Value, start: int, stop: int) -> bool:
        return any(
            _lies_in(value, target) for node in self._nodes[start:stop] for value in node.values()
        )

    def _build_one(self, node: Node) -> None:
        if node.formula is f.COPY_INTO and node.direction == "update":
            target, source = node.inputs
            # A target that the step itself made has no array here, nor has a source without place.
            if target.array is not None and self._destinations.get(source) is target.array:
                return
        if self._all_known(node):
            return
        inputs = self._inputs = tuple(map(self._planned, node.inputs))
        if node.direction != "update" and self._is_view(node):
            self._bind(node, *self._compute(node, inputs))
            return
        chosen = registry.plannable(node.formula, node.direction, inputs, node.options)
        if chosen is None:
            self._python(node, inputs)
        else:
            outputs, saved = self._lower(chosen, node.direction, inputs, node.options, node.needs)
            if node.direction != "update":
                self._bind(node, outputs, saved)

    def _planned(self, item: Any) -> Any:
        if type(item) is tuple:  # the gradients of several outputs
            return tuple(map(self._planned, item))
        return self.array_of(item) if isinstance(item, Value) else item

    def _all_known(self, node: Node) -> bool:
        """Say whether a call made nothing new, like the backward of an addition."""
        if node.direction == "update":
            return False
        saved = node.saved if isinstance(node.saved, tuple) and node.direction == "forward" else ()
        for value in (*node.outputs, *saved):
            if isinstance(value, Value) and value not in node.inputs:
                return False
        return True

    def _is_view(self, node: Node) -> bool:
        return all(
            value.alias is not None or value in node.inputs
            for value in node.outputs
            if isinstance(value, Value)
        )

    def _compute(self, node: Node, inputs: tuple[Any, ...]) -> tuple[tuple[Any, ...], Any]:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            if node.direction == "forward":
                Y, saved = node.formula.forward(*inputs, **node.options)
                return Y if node.formula.outputs else (Y,), saved
            assert node.formula.backward is not None
            dY, saved = node.given(inputs)
            return tuple(node.formula.backward(dY, saved, node.needs)), saved

    def _bind(self, node: Node, outputs: Any, saved: Any) -> None:
        pairs = list(zip(node.outputs, outputs, strict=True))
        if node.direction == "forward" and isinstance(node.saved, tuple):
            pairs += list(zip(node.saved, saved, strict=True))
        for value, array in pairs:
            if not isinstance(value, Value) or value.kind != "computed" or array is None:
                continue
            if value not in self._arrays:
                self._set(value, array)
            elif self._arrays[value] is not array and value in node.outputs:
                self._copy(self._arrays[value], array)

    def _set(self, value: Value, array: Any) -> None:
        self._arrays[value] = array
        self._bound.append(value)

    def _copy(self, target: Any, source: Any) -> None:
        chosen = registry.plannable(f.COPY_INTO, "update", (target, source), {})
        if chosen is not None:
            self._lower(chosen, "update", (target, source), {}, ())
        else:
            self.python(lambda: _write(target, source), reads_arguments=True)

    def _python(self, node: Node, inputs: tuple[Any, ...]) -> None:
        """Replay the reference, writing what it returns into planned arrays."""
        xp_arrays = [item for item in inputs if hasattr(item, "dtype")]
        xp = array_namespace(*xp_arrays) if xp_arrays else None
        fixed, dynamic = split_live(node.options)
        produced = self.produced  # not the builder, which the plan does not keep
        if node.direction == "update":
            names = node.formula.inputs
            targets = [inputs[names.index(name)] for name in node.formula.updates
                       if names.index(name) < len(inputs)]  # fmt: skip
            update = registry.choose(node.formula, "update", inputs, node.options)

            def change() -> None:
                options = {**fixed, **_dynamic(produced, dynamic)} if dynamic else fixed
                if update is not None:
                    update.update(*inputs, **options)
                    return
                for target, result in zip(
                    targets, node.formula.forward(*inputs, **options), strict=False
                ):
                    if target is not None:
                        target[...] = result

            self.python(change, reads_arguments=self._lie_in_arguments(inputs))
            return
        places: list[tuple[int, bool, Any]] = []

        def place(position: int, is_saved: bool, value: Any) -> None:
            if not isinstance(value, Value) or value.kind != "computed" or value in node.inputs:
                return
            if any(existing[2] is value for existing in made):
                return
            made.append((position, is_saved, value))

        made: list[tuple[int, bool, Any]] = []
        for position, value in enumerate(node.outputs):
            place(position, False, value)
        if node.direction == "forward" and isinstance(node.saved, tuple):
            for position, value in enumerate(node.saved):
                place(position, True, value)
        for position, is_saved, value in made:
            if value not in self._arrays:
                if xp is None or address(xp_arrays[0]) is not None:
                    self._set(value, self.empty(value.shape, value.dtype))
                else:
                    kind, device = getattr(xp, value.dtype), xp_arrays[0].device
                    self._set(value, xp.empty(value.shape, dtype=kind, device=device))
            places.append((position, is_saved, self._arrays[value]))
        compute = self._callable(node, inputs)

        def replay() -> None:
            outputs, saved = compute({**fixed, **_dynamic(produced, dynamic)})
            for position, is_saved, target in places:
                _write(target, saved[position] if is_saved else outputs[position])

        self.python(replay, reads_arguments=True)

    def _lie_in_arguments(self, inputs: tuple[Any, ...]) -> bool:
        """Say whether one of some arrays lies in the plan's own array of an argument."""
        return any(
            hasattr(one, "dtype") and shares_memory(one, argument)
            for one in inputs
            for argument in self.arguments
        )

    def _callable(self, node: Node, inputs: tuple[Any, ...]) -> Callable[[dict[str, Any]], Any]:
        chosen = registry.choose(node.formula, node.direction, inputs, node.options)
        if node.direction == "forward":
            forward = node.formula.forward if chosen is None else chosen.forward

            def run_forward(options: dict[str, Any]) -> Any:
                Y, saved = forward(*inputs, **options)
                return Y if node.formula.outputs else (Y,), saved

            return run_forward
        backward = node.formula.backward if chosen is None else chosen.backward
        assert backward is not None
        dY, saved = node.given(inputs)
        needs = node.needs
        return lambda options: (backward(dY, saved, needs), None)

    def _release(self, index: int) -> None:
        """Give back the memory of what no later step needs."""
        bound = [(value.root(), self._arrays[value]) for value in self._bound]
        for array in self._liveness.dead_after(index, bound, self._scratch):
            for builder in self._builders.values():
                builder.forget(array)
            self._memories.for_array(array).release(array)


def _lies_in(value: Value, target: Value) -> bool:
    """Say whether a value, or what it is a view of, lies in the memory of one from outside."""
    owner = value.root()
    return owner.kind == "captured" and shares_memory(owner.array, target.array)


def _dynamic(produced: list[Any], scalars: dict[str, Any]) -> dict[str, Any]:
    """Return the dynamic scalars of a call as the host events of this replay produced them."""
    return {name: produced[item.event][item.key] for name, item in scalars.items()}


def _write(target: Any, value: Any) -> None:
    target[...] = value
