"""The recorder: watches one eager run of a step and writes down every formula that ran.

It keeps no intermediate array alive. Each array that a formula made is a ``Value`` with a shape and
a dtype; arrays that were there before (parameters, state, data closed over) are kept themselves,
since a plan reads and writes them where they are.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnscratch.array import dtype_name, is_array
from nnscratch.array.addresses import shares_memory
from nnscratch.errors import PlanError
from nnscratch.formulas import Formula
from nnscratch.formulas.live import live
from nnscratch.formulas.observing import Call, Observer
from nnscratch.plan.guards import Read
from nnscratch.plan.reach import Reach

_READ_AND_WRITTEN = (
    "a compiled step changes a tensor from outside and reads its value ({what}); Python would see "
    "it only while recording. Compute with the tensor itself, without item(), or keep the number "
    "in Python and pass it to the step"
)


@dataclass(eq=False, slots=True)
class Value:
    """An array of the step.

    Attributes:
        kind: "argument" of the step, "outside" of it (kept in ``array``), or "made" by a formula.
        position: which argument it is.
        alias: the value whose memory it shares, for views.
    """

    kind: str
    shape: tuple[int, ...]
    dtype: str
    array: Any = None
    position: int = -1
    alias: Value | None = None

    def root(self) -> Value:
        """Return the value that owns the memory."""
        value = self
        while value.alias is not None:
            value = value.alias
        return value


@dataclass(eq=False, slots=True)
class Step:
    """One recorded call: what ``Call`` says, with values in the place of arrays."""

    formula: Formula
    direction: str
    inputs: tuple[Any, ...]
    options: dict[str, Any]
    outputs: tuple[Any, ...]
    saved: Any
    needs: tuple[bool, ...]

    def given(self, inputs: tuple[Any, ...]) -> tuple[Any, Any]:
        """Return what a backward takes, of its inputs: dY (of several outputs a tuple), saved."""
        count = len(inputs) - len(self.saved)
        dY = inputs[:count] if self.formula.outputs else inputs[0]
        return dY, type(self.saved)(*inputs[count:])

    def values(self) -> list[Value]:
        """Return every value that it reads or writes."""
        saved = self.saved if isinstance(self.saved, tuple) else ()
        return [v for v in (*self.inputs, *self.outputs, *saved) if isinstance(v, Value)]


@dataclass(slots=True)
class HostEvent:
    """Python work of every step, and what it produced while recording."""

    produce: Callable[[], Any]
    produced: Any


@dataclass
class Recording:
    """Everything that one eager run of a step did."""

    steps: list[Step] = field(default_factory=list)
    events: list[HostEvent] = field(default_factory=list)
    tensors: dict[int, Any] = field(default_factory=dict)
    modules: dict[int, Any] = field(default_factory=dict)
    # Leaves whose gradients the step touches; those it adds to; and, where it matters what there
    # was in the beginning, the array of the gradient then, None if there was none.
    touched: dict[int, Any] = field(default_factory=dict)
    added: dict[int, Any] = field(default_factory=dict)
    initial: dict[int, Any] = field(default_factory=dict)
    reads: list[Read] = field(default_factory=list)


class Recorder(Observer):
    """Writes down a step while it runs eagerly.

    Where the step does something that a replay could not repeat, a strict recorder raises
    ``PlanError`` from inside the step; the other kind lets it run on and keeps the reason in
    ``refusal``.

    Attributes:
        changed: positions of the arguments that the step changed, which are ``copies`` of what it
            was called with.
    """

    def __init__(
        self,
        arguments: list[Any],
        strict: bool = True,
        copies: frozenset[int] = frozenset(),
        reach: Reach | None = None,
    ) -> None:
        self.recording = Recording()
        self.refusal: str | None = None
        self.changed: set[int] = set()
        self._strict = strict
        self._copies = copies
        self._reach = reach
        self._known: dict[int, tuple[Any, Value]] = {}
        self._constants: set[int] = set()
        self._kept: list[Any] = []
        self._written: list[Any] = []  # arrays from outside that the step changes
        self._looked_at: list[Any] = []  # and those whose values Python saw
        for position, array in enumerate(arguments):
            value = Value("argument", tuple(array.shape), dtype_name(array.dtype), array, position)
            self._remember(array, value)
            self._kept.append(array)

    def refuse(self, reason: str) -> None:
        """Raise, or keep the first reason for running the step eagerly from now on."""
        if self._strict:
            raise PlanError(reason)
        self.refusal = self.refusal or reason

    def value_of(self, array: Any) -> Value:
        """Return the value that stands for an array; an unknown one comes from outside."""
        known = self._known.get(id(array))
        if known is not None and known[0]() is array:
            return known[1]
        value = Value("outside", tuple(array.shape), dtype_name(array.dtype), array)
        # A view of an argument, or of something that the step made, taken behind the recorder's
        # back.
        owner = self._owner(array)
        if owner is not None:
            whose = "a result" if owner.kind == "made" else "an argument"
            self.refuse(
                f"an array of shape {value.shape} shares memory with {whose} of the step, but no "
                "formula made it; a compiled step may touch arrays only through tensors"
            )
        self._remember(array, value)
        self._kept.append(array)
        return value

    def _owner(self, array: Any) -> Value | None:
        base = getattr(array, "base", None)
        while base is not None:
            known = self._known.get(id(base))
            if known is not None and known[0]() is base:
                value = known[1]
                return value if value.kind == "made" or value.position in self._copies else None
            base = getattr(base, "base", None)
        return None

    def _remember(self, array: Any, value: Value) -> None:
        self._known[id(array)] = (weakref.ref(array), value)

    def _refer(self, item: Any) -> Any:
        return self.value_of(item) if is_array(item) and not isinstance(item, np.generic) else item

    # What an observer is told.

    def on_call(self, call: Call) -> None:
        """Write the call down."""
        inputs = tuple(self._refer(item) for item in call.inputs)
        if call.direction == "update":
            for target in call.outputs:
                if target is not None:
                    self._check_change(self.value_of(target).root())
        outputs = tuple(self._result(item, call) for item in call.outputs)
        saved = call.saved
        if isinstance(saved, tuple) and call.direction != "update":
            saved = type(saved)(*(self._result(item, call) for item in saved))
        self.recording.steps.append(
            Step(
                call.formula, call.direction, inputs, dict(call.options), outputs, saved, call.needs
            )
        )

    def _check_change(self, value: Value) -> None:
        """Refuse to change in place what a replay would not have as the step finds it."""
        if id(value.array) in self._constants:
            self.refuse(
                "a tensor that is made inside the step is changed in place there; a replay "
                "would not make it anew. Make it outside of the step, or avoid the change"
            )
        if value.kind == "outside":
            if any(shares_memory(value.array, one) for one in self._looked_at):
                self.refuse(_READ_AND_WRITTEN.format(what="item(), a branch or an index"))
            self._written.append(value.array)
        if value.position in self._copies:
            self.changed.add(value.position)
            self.refuse(
                f"a compiled step changes an argument of shape {value.shape} in place; the tensor "
                "of the caller would keep its values. Change a clone() of it and return that, or "
                "use the tensor from outside of the step instead of passing it"
            )

    def _result(self, item: Any, call: Call) -> Any:
        if not is_array(item) or isinstance(item, np.generic):
            return item
        known = self._known.get(id(item))
        if known is not None and known[0]() is item:
            return known[1]
        value = Value("made", tuple(item.shape), dtype_name(item.dtype))
        for source in call.inputs:
            if is_array(source) and shares_memory(item, source):
                value.alias = self.value_of(source)
                break
        self._remember(item, value)
        return value

    def on_host(self, produce: Callable[[], Any]) -> Any:
        """Run the Python work, keep it, and mark the numbers that it produced."""
        produced = produce()
        self.recording.events.append(HostEvent(produce, produced))
        return live(produced, len(self.recording.events) - 1)

    def on_read(self, array: Any, what: str) -> None:
        """Refuse: what Python does with a value would be frozen."""
        value = self.value_of(array)
        if value.root().kind == "outside":
            if any(shares_memory(array, one) for one in self._written):
                self.refuse(_READ_AND_WRITTEN.format(what=what))
            if not any(array is one for one in self._looked_at):
                self._looked_at.append(array)
                self.recording.reads.append(Read(array))
        else:
            self.refuse(
                f"a compiled step reads a value out of a tensor ({what}); Python would see it only "
                "while recording. Return the tensor and read it outside of the step, or write "
                "nnscratch.where(...) in the place of a branch"
            )

    def on_move(self, array: Any, device: str) -> None:
        """Refuse: the copy that is made while recording would be used at every replay."""
        if self.value_of(array).kind != "outside":
            self.refuse(
                f"a compiled step moves a tensor to {device}, which is not recorded; move it "
                "before the step"
            )

    def on_create(self, array: Any, what: str) -> None:
        """Refuse random numbers that Python draws; remember constants."""
        if what.startswith("rand"):
            self.refuse(
                f"a compiled step calls {what}; its numbers would be the same at every replay. "
                "Draw them outside of the step and pass them as an argument"
            )
        self._constants.add(id(array))
        self._kept.append(array)

    def on_copied(self, array: Any) -> None:
        """Remember an array that the step's code can reach, of which it makes a constant."""
        owner = array
        while owner is not None and self._reach is not None:
            if id(owner) in self._reach.arrays:
                self.recording.reads.append(Read(array))
                return
            owner = getattr(owner, "base", None)

    def on_inputs(self, inputs: tuple[Any, ...]) -> None:
        """Remember the leaf tensors whose arrays the plan will be bound to."""
        for item in inputs:
            array = getattr(item, "array", None)
            if array is not None and item.node is None:
                known = self._known.get(id(array))
                if known is None or known[0]() is not array or known[1].kind == "outside":
                    self.recording.tensors[id(item)] = item

    def on_module(self, module: Any) -> None:
        """Remember the module, whose structure and mode the plan depends on."""
        self.recording.modules[id(module)] = module

    def on_gradient(self, tensor: Any, what: str) -> None:
        """Remember what happens to the gradients of leaves."""
        recording, key = self.recording, id(tensor)
        if key not in recording.touched:
            recording.touched[key] = tensor
            if what != "cleared":
                recording.initial[key] = None if tensor.grad is None else tensor.grad.array
        if what == "added":
            recording.added[key] = tensor
