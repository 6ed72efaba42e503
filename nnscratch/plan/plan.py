"""A plan: one recorded step, replayed on preallocated arrays."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from nnscratch.array.addresses import copied
from nnscratch.array.memory import explained
from nnscratch.array.streams import follow
from nnscratch.errors import PlanError
from nnscratch.formulas.live import is_live
from nnscratch.graph import Value
from nnscratch.graph.nested import mapped
from nnscratch.loading import collecting_later
from nnscratch.nn.hooks import structure
from nnscratch.plan.builder import Builder, PythonCall
from nnscratch.plan.constants import ConstantMemory, Constants
from nnscratch.plan.guards import module_state
from nnscratch.plan.trace import Trace
from nnscratch.tensors import Tensor, wrap

INSTRUCTION_BYTES = 1152
"""About what an instruction takes, in tables and in Python's objects; measured for an LSTM."""


class Plan:
    """A recorded step, bound to the arrays it read and wrote.

    Attributes:
        native: how many instructions its segments have.
        python: how many calls replay their reference in Python.
        once: how many of both, of a frozen step, follow from constants and do not run at each call.
        planned_bytes: memory of the intermediate arrays.
        nbytes: about all the memory that it keeps: beside these its own arrays of the arguments,
            and its instructions.
        replays: how often it ran.
    """

    def __init__(self, trace: Trace, constants: Constants | None = None) -> None:
        """Build the plan of a trace.

        Args:
            trace: the recording.
            constants: of a frozen step, what its plans share.
        """
        self._events = [(event.produce, _constants(event.produced)) for event in trace.graph.events]
        self._template = trace.graph.outputs
        self._gradients = trace.gradients
        self._guards, self._modules, self._held = trace.tensors, trace.modules, trace.held
        self._reach, self._reads = trace.reach, trace.reads
        self._structure = trace.structure
        self._initial, self._cleared = trace.initial, trace.cleared
        self._device, self._stream = trace.device, trace.stream
        with self._device or nullcontext(), collecting_later():
            known = None
            if constants is not None:
                constants.refresh()
                known = ConstantMemory(trace.constants)
            builder = Builder(trace.graph, trace.arguments, trace.kept(), constants, known)
            builder.build()
            if constants is not None:
                constants.watch(trace.counted)
        self._constants, self._parts = constants, builder.known.parts
        self.once = sum(part.count for part in self._parts)
        self._written = trace.written
        self._arguments = [_Argument(array) for array in trace.arguments]
        self._in_order = all(argument.in_order for argument in self._arguments)
        native = [piece for piece in builder.pieces if not isinstance(piece, PythonCall)]
        self.native = sum(map(len, native))
        self.python = len(builder.pieces) - len(native)
        # What is left behind may be a view of an argument, in the plan's own memory.
        views = any(value.root().kind == "input" for value in trace.kept())
        self._copies_arguments = builder.reads_arguments or views
        self.planned_bytes = builder.planned_bytes
        held = [array for array in trace.arguments if hasattr(array, "nbytes")]
        self.nbytes = (
            self.planned_bytes
            + sum(int(array.nbytes) for array in held)
            + INSTRUCTION_BYTES * (self.native + self.python)
        )
        self.replays = 0
        self._pieces = builder.pieces
        self._calls = [piece.build() for piece in builder.pieces]
        self._fills = builder.fills()
        self._produced = builder.produced
        self._results = {value: builder.array_of(value) for value in trace.results()}

    def fits(self) -> bool:
        """Say whether everything that the plan was recorded with is still as it was.

        The form of the arguments is not looked at: plans are kept by it.
        """
        for tensor, array, requires_grad, hooks in self._guards:
            if tensor.array is not array or tensor.requires_grad is not requires_grad:
                return False
            if tensor.hooks is not None and len(tensor.hooks) != hooks:
                return False
        if not self._reach.hold():
            return False
        for tensor, array in self._initial:
            if (None if tensor.grad is None else tensor.grad.array) is not array:
                return False
        if structure.changes != self._structure:
            for module, state in self._modules:
                if module_state(module) != state:
                    return False
            self._structure = structure.changes
        return all(read.holds() for read in self._reads) if self._reads else True

    def replay(self, arrays: list[Any]) -> Any:
        """Run the step on new arguments and return what it returns.

        Raises:
            OutOfMemory: if what it returns does not fit.
        """
        try:
            if self._device is None:
                return self._replay(arrays)
            with self._device:
                self._stream = follow(self._stream)
                return self._replay(arrays)
        except MemoryError as error:
            raise explained(error, "replaying a compiled step") from error

    def _replay(self, arrays: list[Any]) -> Any:
        self.replays += 1
        if self._constants is not None:
            self._constants.refresh()
        for counter in self._written:
            counter[0] += 1
        produced = self._produced
        for index, (produce, constants) in enumerate(self._events):
            value = produced[index] = produce()
            for key, constant in constants:
                if value[key] != constant:
                    raise PlanError(
                        f"an option that a plan keeps as a constant ({key}) was changed between "
                        f"two steps from {constant!r} to {value[key]!r}. Compile the step again"
                    )
        placed = self._place_arguments(arrays)
        for fill in self._fills:
            fill(placed, produced)
        for call in self._calls:
            call()
        for tensor in self._cleared:
            tensor.grad = None
        for tensor, value in self._gradients:
            if value is not None:
                tensor.grad = Tensor(copied(self._results[value]))
            elif tensor.grad is None:
                tensor.grad = Tensor(tensor.grad_slot)
        if type(self._template) is Value:
            return self._result(self._template, arrays)
        return mapped(lambda item: self._result(item, arrays), self._template)

    def _result(self, item: Any, arrays: list[Any]) -> Any:
        if not isinstance(item, Value):
            return item
        if item.kind == "input":
            return wrap(arrays[item.position])
        array = self._results[item]
        # What the caller keeps must not change at the next replay; what was there before the step
        # (a parameter, say) is the caller's own.
        return wrap(array if item.kind == "captured" else copied(array))

    def _place_arguments(self, arrays: list[Any]) -> list[Any]:
        if not self._copies_arguments:
            if self._in_order and all([array.flags.c_contiguous for array in arrays]):
                return arrays
            return [
                array if array.strides == argument.strides else argument.laid_out(array)
                for argument, array in zip(self._arguments, arrays, strict=True)
            ]
        for argument, array in zip(self._arguments, arrays, strict=True):
            if argument.array is not array:
                argument.array[...] = array
        return [argument.array for argument in self._arguments]


class _Argument:
    """An argument's form, and the array that it had while recording."""

    __slots__ = ("array", "dtype", "shape", "strides")

    def __init__(self, array: Any) -> None:
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        self.strides = getattr(array, "strides", None)

    @property
    def in_order(self) -> bool:
        """Whether its elements lie in the order of its indices, one behind the other."""
        return bool(getattr(getattr(self.array, "flags", None), "c_contiguous", False))

    def laid_out(self, array: Any) -> Any:
        """Return an array whose elements lie as the plan expects: it itself, or a copy."""
        if array is self.array or array.strides == self.array.strides:
            return array
        if array.flags.c_contiguous and self.array.flags.c_contiguous:
            return array  # they differ in strides along axes of one entry only
        self.array[...] = array
        return self.array


def _constants(produced: Any) -> list[tuple[Any, Any]]:
    """Return the entries of what a host event produced that are no live numbers."""
    if isinstance(produced, dict):
        entries = list(produced.items())
    else:
        entries = list(enumerate(produced)) if isinstance(produced, tuple) else []
    return [(key, value) for key, value in entries if not is_live(value)]


def without_graph(result: Any) -> Any:
    """Return what a step returned, its tensors without their graphs, as a replay returns them."""

    def alone(item: Any) -> Any:
        return item.detach() if isinstance(item, Tensor) and item.requires_grad else item

    return mapped(alone, result)
