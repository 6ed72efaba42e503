"""From a recording to a plan: every recorded call becomes kernel instructions, or stays Python.

A kernel that can be planned has a method ``lower(builder, direction, inputs, options, needs)``. It
takes planned arrays, asks the builder for the arrays that it writes, emits instructions, and
returns what the call returns. A call without such a kernel replays its reference on the planned
arrays, which is slower but never different.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nnscratch import formulas as f
from nnscratch.array import CPU, array_namespace
from nnscratch.array.addresses import address, same_place, shares_memory
from nnscratch.array.device import current, namespace_on
from nnscratch.formulas import registry
from nnscratch.formulas.live import is_dynamic
from nnscratch.graph import Graph, Node, Value
from nnscratch.kernels.lowering import Executor, Fill, Plannable, Segment, SegmentBuilder
from nnscratch.plan.constants import (
    ConstantMemory,
    ConstantPart,
    Constants,
    PlanPart,
    arrays_in,
    known_by,
)
from nnscratch.plan.destinations import Destinations
from nnscratch.plan.fuse import fuse, used
from nnscratch.plan.liveness import Liveness, last_uses, read_alone
from nnscratch.plan.references import (
    is_view,
    makes_nothing,
    replaying,
    results_of,
    updating,
    viewed,
    write,
)

Lowered = tuple[tuple[Any, ...], Any]
"""The outputs of a call, and what it saves."""


class PythonCall:
    """A Python function between segments; a plan runs both alike."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function

    def build(self) -> Callable[[], None]:
        """Return the function."""
        return self._function

    def __len__(self) -> int:
        return 1


class Builder:
    """Turns a graph into segments and Python calls: the ``Planner`` of ``kernels/lowering.py``.

    Attributes:
        arguments: the plan's own arrays, one for each argument of the step.
        reads_arguments: whether any piece reads the plan's own arrays of the arguments.
        produced: what the host events produced last.
        known: what is constant, and the parts that computed some of it.
    """

    def __init__(
        self,
        graph: Graph,
        arguments: list[Any],
        kept: set[Value],
        constants: Constants | None = None,
        known: ConstantMemory | None = None,
    ) -> None:
        """Plan the memory.

        Args:
            graph: the recorded calls.
            arguments: the plan's own arrays of the arguments.
            kept: the values that outlive the step.
            constants: of a frozen step, the constant parts that are there.
            known: of a frozen step, which memory is constant.
        """
        self._nodes = fuse(used(graph.nodes, kept), kept)
        self._at_each_call = self._part = PlanPart()
        self._constants, self.known = constants, known or ConstantMemory(())
        self._python_reads = False
        self.arguments = arguments
        self.produced: list[Any] = [event.produced for event in graph.events]
        self._last_use = last_uses(self._nodes, kept)
        self._liveness = Liveness(self._last_use)
        self._destinations = Destinations(self._nodes, kept, self._last_use)
        self._arrays: dict[Value, Any] = dict(self._destinations.written)
        self._added: set[Value] = set()
        self._node: Node | None = None
        self._index = 0
        self._inputs: tuple[Any, ...] = ()
        self._scratch: list[Any] = []
        self._constant_bytes = 0  # of new constant parts
        self._bound: list[Value] = []
        self._overwritten: list[Any] = []

    # What an executor calls.

    @property
    def pieces(self) -> list[Segment | PythonCall]:
        """The segments and Python calls that run at each call, in order."""
        return self._at_each_call.pieces

    @property
    def last(self) -> Segment | PythonCall | None:
        """The segment or Python call that was added last."""
        return self._part.pieces[-1] if self._part.pieces else None

    def append(self, segment: Segment) -> None:
        """Add a segment."""
        self._part.pieces.append(segment)

    def python(self, function: Callable[[], None], reads_arguments: bool = False) -> None:
        """Add a Python function, which runs between the segments before and behind it."""
        self._part.pieces.append(PythonCall(function))
        if self._part is self._at_each_call:
            self._python_reads = self._python_reads or reads_arguments

    def output(
        self, position: int, shape: tuple[int, ...], dtype: Any, over: tuple[Any, ...] = ()
    ) -> Any:
        """Return the planned array for output number ``position`` of the call being lowered.

        That is one of ``over``, inputs that may be overwritten, if nothing else needs it any more.
        """
        assert self._node is not None
        value = self._node.outputs[position]
        if self._is_placed(value):
            bound = self._arrays[value]
            if bound.shape == tuple(shape) and bound.dtype == np.dtype(dtype):
                return bound
        for array in over:
            if array.shape == tuple(shape) and array.dtype == dtype and self._ends(array):
                self._overwritten.append(array)
                return array
        return self.empty(shape, dtype)

    def turned(self, position: int, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return the array for an output of the call being lowered, a matrix with columns in order.

        That is where its transpose is copied, if nothing else needs the columns elsewhere.
        """
        bound = self._outside(self._destinations.turned, position)
        return self.empty(shape[::-1], dtype).T if bound is None else bound

    def added_to(self, position: int) -> Any | None:
        """Return an array that an output of the call being lowered is only there to be added to.

        If there is one, the call does that, and returns None for the output.
        """
        assert self._node is not None
        found = self._outside(self._destinations.added, position)
        if found is not None:
            self._added.add(self._node.outputs[position])
        return found

    def _outside(self, places: dict[Value, Any], position: int) -> Any | None:
        assert self._node is not None
        value = self._node.outputs[position]
        return places.get(value) if self._part is self._at_each_call else None

    def _is_placed(self, value: Any) -> bool:
        """Say whether a value has its array already, into which every call computes it."""
        if self._part is not self._at_each_call and value in self._destinations.written:
            return False
        return isinstance(value, Value) and value in self._arrays

    def _ends(self, array: Any) -> bool:
        """Say whether the call being lowered is the last that needs an input, and all it lies in.

        No other output was put there.
        """
        assert self._node is not None
        if not self.is_planned(array) or any([array is one for one in self._overwritten]):
            return False
        root = read_alone(self._node, self._inputs, array)
        return (
            root is not None
            and self._last_use[root] == self._index
            and self._liveness.holds_only(root, array)
        )

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return a planned array for something the call saves or needs for itself."""
        part = self._part
        array = part.memories.for_array(self._like()).empty(tuple(shape), dtype)
        (part.arrays if isinstance(part, ConstantPart) else self._scratch).append(array)
        return array

    def is_read(self, position: int) -> bool:
        """Say whether a later call, or whoever called the step, reads an output of the call."""
        assert self._node is not None
        value = self._node.outputs[position]
        if self._part is not self._at_each_call:
            return True  # by another plan, perhaps
        return isinstance(value, Value) and self._last_use[value.root()] > self._index

    def is_planned(self, array: Any) -> bool:
        """Say whether an array lies in the plan's memory."""
        return self._part.memories.hold(array)

    def is_constant(self, array: Any) -> bool:
        """Say whether an array follows from constants, and what is emitted runs at each call."""
        return self._part is self._at_each_call and self.known.holders([array]) is not None

    def once(self, executor: Executor, emit: Callable[..., Any], given: tuple[Any, ...]) -> Any:
        """Let ``emit(builder, *given)`` emit instructions, for one run if they read constants."""
        if self._part is self._at_each_call:
            before = self.known.holders(arrays_in(given))
            if before is not None:
                what = executor, emit, given
                return self._kept(what, before, lambda: emit(self._begun(executor), *given))
        return emit(self._begun(executor), *given)

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
            self._overwritten = []
            self._build_one(node)
            self._release(index)

    @property
    def planned_bytes(self) -> int:
        """The memory of all planned arrays."""
        return self._at_each_call.memories.allocated + self._constant_bytes

    @property
    def reads_arguments(self) -> bool:
        """Whether anything reads the plan's own arrays of the arguments."""
        return self._python_reads or any(
            one.reads_arguments for one in self._at_each_call.builders.values()
        )

    def fills(self) -> list[Fill]:
        """Return what fills in what changes before a replay; the segments are built by now."""
        found = (builder.finish() for builder in self._at_each_call.builders.values())
        return [fill for fill in found if fill is not None]

    def _begun(self, executor: Executor) -> SegmentBuilder:
        """Return what collects the instructions of an executor."""
        builder = self._part.builders.get(executor)
        if builder is None:
            builder = self._part.builders[executor] = executor.begin(self)
        return builder

    def _kept(self, what: Any, before: list[ConstantPart], emit: Callable[[], Any]) -> Any:
        """Return what a constant part computes: one that is there, or a new one that is emitted."""
        assert self._constants is not None
        key = known_by(what)
        part = self._constants.find(key)
        if part is None:
            part = ConstantPart(what, before)
            self._part = part
            try:
                part.result = emit()
            finally:
                self._part = self._at_each_call
            self._constants.add(key, part)
            self._constant_bytes += part.memories.allocated
        self.known.take(part)
        return part.result

    def array_of(self, value: Value) -> Any:
        """Return the planned array of a value."""
        if value.kind != "computed":
            return value.array
        return self._arrays[value]

    def _build_one(self, node: Node) -> None:
        if node.formula is f.COPY_INTO and node.direction == "update":
            target, source = node.inputs
            # A target that the step itself made has no array here, nor has a source without place.
            if target.array is not None and same_place(self._arrays.get(source), target.array):
                return
        if node.formula is f.ACCUMULATE and node.inputs[1] in self._added:
            return
        if makes_nothing(node):
            return
        inputs = self._inputs = tuple(map(self._planned, node.inputs))
        if node.direction != "update" and is_view(node):
            self._bind(node, *viewed(node, inputs))
            return
        before = None if node.direction == "update" else self.known.holders(arrays_in(inputs))
        if before is None or any(map(is_dynamic, (*inputs, *node.options.values()))):
            outputs, saved = self._lowered(node, inputs)
        else:
            what = node.formula, node.direction, node.options, node.needs, inputs
            outputs, saved = self._kept(what, before, lambda: self._lowered(node, inputs))
        if node.direction != "update":
            self._bind(node, outputs, saved)

    def _lowered(self, node: Node, inputs: tuple[Any, ...]) -> Lowered:
        """Emit the instructions of a call; returns its outputs and what it saves."""
        chosen: Plannable | None = registry.plannable(
            node.formula, node.direction, inputs, node.options
        )
        if chosen is None:
            return self._python(node, inputs)
        builder = self._begun(chosen.executor)
        return chosen.lower(builder, node.direction, inputs, node.options, node.needs)

    def _planned(self, item: Any) -> Any:
        if type(item) is tuple:  # the gradients of several outputs
            return tuple(map(self._planned, item))
        return self.array_of(item) if isinstance(item, Value) else item

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
            chosen.lower(self._begun(chosen.executor), "update", (target, source), {}, ())
        else:
            self.python(lambda: write(target, source), reads_arguments=True)

    def _python(self, node: Node, inputs: tuple[Any, ...]) -> Lowered:
        """Replay the reference, writing what it returns into planned arrays."""
        produced = self.produced  # not the builder, which the plan does not keep
        if node.direction == "update":
            change = updating(node, inputs, produced)
            self.python(change, reads_arguments=self._lie_in_arguments(inputs))
            return (), None
        given = [item for item in inputs if hasattr(item, "dtype")]
        made: dict[Value, Any] = {}
        places = []
        for position, is_saved, value in results_of(node):
            if self._is_placed(value):
                made[value] = self._arrays[value]
            elif not given or address(given[0]) is not None:
                made[value] = self.empty(value.shape, value.dtype)
            else:
                xp = array_namespace(*given)
                kind, device = getattr(xp, value.dtype), given[0].device
                made[value] = xp.empty(value.shape, dtype=kind, device=device)
            places.append((position, is_saved, made[value]))
        self.python(replaying(node, inputs, produced, places), reads_arguments=True)

        def array(item: Any) -> Any:
            return made.get(item) if isinstance(item, Value) else None

        saved = node.saved if isinstance(node.saved, tuple) else ()
        return tuple(map(array, node.outputs)), tuple(map(array, saved))

    def _lie_in_arguments(self, inputs: tuple[Any, ...]) -> bool:
        """Say whether one of some arrays lies in the plan's own array of an argument."""
        return any(
            hasattr(one, "dtype") and shares_memory(one, argument)
            for one in inputs
            for argument in self.arguments
        )

    def _release(self, index: int) -> None:
        """Give back the memory of what no later step needs."""
        bound = [(value.root(), self._arrays[value]) for value in self._bound]
        for array in self._liveness.dead_after(index, bound, self._scratch):
            for builder in self._at_each_call.builders.values():
                builder.forget(array)
            self._at_each_call.memories.for_array(array).release(array)
