"""The tracer: a recorder that also notes what has to hold for its graph to be replayed.

A replay runs the formulas and no Python. So whatever else a step does is either noted here, to be
checked before each replay, or refused.
"""

from __future__ import annotations

from typing import Any

from nnscratch.array.addresses import shares_memory
from nnscratch.errors import PlanError
from nnscratch.graph import Recorder, Value
from nnscratch.plan.guards import Read
from nnscratch.plan.reach import Reach

_READ_AND_WRITTEN = (
    "a compiled step changes a tensor from outside and reads its value ({what}); Python would see "
    "it only while recording. Compute with the tensor itself, without item(), or keep the number "
    "in Python and pass it to the step"
)


_TRAINS = (
    "a frozen step calls a module in training mode ({name}), but with freeze=True parameters and "
    "buffers are constants. Call eval() first, or compile the step without freeze"
)
_WRITES = (
    "a frozen step changes a parameter or buffer of shape {shape} in place, but with freeze=True "
    "these are constants. Compile the step without freeze, or keep what it changes in a tensor "
    "that is neither"
)


class Tracer(Recorder):
    """Records a step while it runs eagerly.

    Where the step does something that a replay could not repeat, a strict tracer raises
    ``PlanError`` from inside the step; the other kind lets it run on and keeps the reason in
    ``refusal``.

    Attributes:
        frozen: whether parameters and buffers are constants.
        changed: positions of the arguments that the step changed, which are ``copies`` of what it
            was called with.
        tensors: the leaf tensors that the step used, by id, with the arrays that they had then.
        modules: the modules that it called, by id.
        touched: the leaves whose gradients it touched, by id.
        added: those whose gradients it added to.
        initial: where it matters what there was in the beginning, the array of the gradient then,
            None if there was none.
        reads: the values that Python looked at.
        written: the captured arrays that it changed in place.
        versions: the version counters of the tensors from outside, by id, and what they said first.
    """

    records = True

    def __init__(
        self,
        arguments: list[Any],
        strict: bool = True,
        copies: frozenset[int] = frozenset(),
        reach: Reach | None = None,
        frozen: bool = False,
    ) -> None:
        super().__init__(arguments)
        self.refusal: str | None = None
        self.changed: set[int] = set()
        self.tensors: dict[int, tuple[Any, Any]] = {}
        self.modules: dict[int, Any] = {}
        self.touched: dict[int, Any] = {}
        self.added: dict[int, Any] = {}
        self.initial: dict[int, Any] = {}
        self.reads: list[Read] = []
        self._strict = strict
        self._copies = copies
        self._reach = reach
        self.frozen = frozen
        self._constants: set[int] = set()
        self.versions: dict[int, tuple[list[Any], int]] = {}
        for tensor, _ in reach.tensors if reach else ():
            self._count(tensor)
        self.written: list[Any] = []
        self._looked_at: list[Any] = []  # the captured arrays whose values Python saw

    def refuse(self, reason: str) -> None:
        """Raise, or keep the first reason for running the step eagerly from now on."""
        if self._strict:
            raise PlanError(reason)
        self.refusal = self.refusal or reason

    def on_captured(self, value: Value) -> None:
        """Refuse a view of an argument, or of a result, taken behind the recorder's back."""
        owner = self.owner_of(value.array)
        if owner is not None and (owner.kind == "computed" or owner.position in self._copies):
            whose = "a result" if owner.kind == "computed" else "an argument"
            self.refuse(
                f"an array of shape {value.shape} shares memory with {whose} of the step, but no "
                "formula made it; a compiled step may touch arrays only through tensors"
            )

    def on_change(self, value: Value) -> None:
        """Refuse to change in place what a replay would not have as the step finds it."""
        if id(value.array) in self._constants:
            self.refuse(
                "a tensor that is made inside the step is changed in place there; a replay "
                "would not make it anew. Make it outside of the step, or avoid the change"
            )
        if value.kind == "captured":
            if self.frozen and any(shares_memory(value.array, one.array) for one in self.held()):
                self.refuse(_WRITES.format(shape=value.shape))
            if any(shares_memory(value.array, one) for one in self._looked_at):
                self.refuse(_READ_AND_WRITTEN.format(what="item(), a branch or an index"))
            self.written.append(value.array)
        if value.position in self._copies:
            self.changed.add(value.position)
            self.refuse(
                f"a compiled step changes an argument of shape {value.shape} in place; the tensor "
                "of the caller would keep its values. Change a clone() of it and return that, or "
                "use the tensor from outside of the step instead of passing it"
            )

    def on_read(self, array: Any, what: str) -> None:
        """Refuse: what Python does with a value would be frozen."""
        value = self.value_of(array)
        if value.root().kind == "captured":
            if any(shares_memory(array, one) for one in self.written):
                self.refuse(_READ_AND_WRITTEN.format(what=what))
            if not any(array is one for one in self._looked_at):
                self._looked_at.append(array)
                self.reads.append(Read(array))
        else:
            self.refuse(
                f"a compiled step reads a value out of a tensor ({what}); Python would see it only "
                "while recording. Return the tensor and read it outside of the step, or write "
                "nnscratch.where(...) in the place of a branch"
            )

    def on_move(self, array: Any, device: str) -> None:
        """Refuse: the copy that is made while recording would be used at every replay."""
        if self.value_of(array).kind != "captured":
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
                self.reads.append(Read(array))
                return
            owner = getattr(owner, "base", None)

    def on_inputs(self, inputs: tuple[Any, ...]) -> None:
        """Remember the leaf tensors whose arrays the plan will be bound to."""
        for item in inputs:
            array = getattr(item, "array", None)
            if array is not None and item.node is None and self.is_captured(array):
                self.tensors.setdefault(id(item), (item, array))
                self._count(item)

    def _count(self, tensor: Any) -> None:
        counter = tensor._version
        self.versions.setdefault(id(counter), (counter, counter[0]))

    def held(self) -> list[Any]:
        """Return the parameters and buffers of all modules that the step called or can reach."""
        modules = {id(one): one for one in (self._reach.modules if self._reach else ())}
        tables = [
            one.__dict__[table].values()
            for one in (modules | self.modules).values()
            for table in ("_parameters", "_buffers")
        ]
        return [tensor for table in tables for tensor in table if tensor is not None]

    def rebound(self) -> list[Any]:
        """Return the tensors that have another array now than in the beginning (``data =``)."""
        seen = [*self.tensors.values(), *(self._reach.tensors if self._reach else ())]
        return [tensor for tensor, array in seen if tensor.array is not array]

    def on_module(self, module: Any, inputs: tuple[Any, ...]) -> None:
        """Remember the module, whose structure and mode the plan depends on."""
        super().on_module(module, inputs)
        self.modules[id(module)] = module
        if self.frozen and module.training:
            self.refuse(_TRAINS.format(name=type(module).__name__))

    def on_gradient(self, tensor: Any, what: str) -> None:
        """Remember what happens to the gradients of leaves."""
        key = id(tensor)
        if key not in self.touched:
            self.touched[key] = tensor
            self._count(tensor)
            if what != "cleared":
                self.initial[key] = None if tensor.grad is None else tensor.grad.array
        if what == "added":
            self.added[key] = tensor
