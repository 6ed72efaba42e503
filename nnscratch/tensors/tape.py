r"""The chain rule, and nothing else: record which formula made which array, walk back in reverse.

Each recorded call is a node with edges to the nodes or leaf tensors that its inputs came from.
Nodes are numbered as they are made, so "in reverse" is simply by falling number: when a node's turn
comes, every node that used its output has been walked. Gradients that meet are added,

$$\frac{\partial L}{\partial X} = \sum_{\text{uses } Y_i \text{ of } X}
  \frac{\partial L}{\partial Y_i} \frac{\partial Y_i}{\partial X},$$

and what broadcasting repeated is summed again, here and nowhere else. No derivative is written in
this file: those are the backwards in ``nnscratch.formulas``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from typing import Any, NamedTuple, Protocol

from nnscratch.array import dtype_name
from nnscratch.array.addresses import shares_memory
from nnscratch.errors import GradientError
from nnscratch.formulas import ADD, CAST, SUM_TO, Formula, registry

_order = itertools.count()


class Handle:
    """Takes a hook away again: ``remove()``, a call, or the end of a ``with`` block."""

    def __init__(self, hooks: list[Any], hook: Any) -> None:
        """Remember a hook and the list that it is in."""
        self._hooks, self._hook = hooks, hook

    def remove(self) -> None:
        """Take the hook away; a second time does nothing."""
        if self._hook in self._hooks:
            self._hooks.remove(self._hook)

    __call__ = remove

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


class Leaf(Protocol):
    """What the tape needs of a leaf tensor: a place to add a gradient to."""

    hooks: list[Callable[[Any], Any]] | None

    def accumulate(self, gradient: Any, shared: Any) -> None:
        """Add a gradient; ``shared`` says that somebody else may hold the same array."""

    def claim_slot(self) -> Any:
        """Return the array that the next gradient is to end up in, None if there is none."""

    def release_slot(self) -> None:
        """Give it back without a gradient."""

    def take_slot(self, gradient: Any) -> None:
        """Take the gradient that was written there."""


class Origin(NamedTuple):
    """What a formula was called with: to call it again on tensors.

    Attributes:
        inputs: the arrays and numbers.
        versions: for each input that was a tensor its version cell and its version, else None.
        options: its options.
    """

    inputs: tuple[Any, ...]
    versions: tuple[tuple[list[Any], int] | None, ...]
    options: dict[str, Any]


class Node:
    """One recorded call of a formula.

    Attributes:
        formula: which one.
        saved: what its forward left for its backward; None once freed.
        edges: for each input the node or the leaf tensor it came from, None if nobody asks.
        forms: for each input with an edge its shape and dtype.
        guards: for each tensor whose array is in ``saved`` its version cell, its version, where in
            ``saved`` it is, and which input it is; -1 for the output, of several -1, -2, ...
        origin: what the call was made with, where ``saved`` has arrays of its own that the gradient
            may depend on; None for most. Only a recorded walk needs it.
        hooks: what to call with the gradient of its output when it is known.
    """

    __slots__ = (
        "__weakref__",
        "edges",
        "formula",
        "forms",
        "guards",
        "hooks",
        "order",
        "origin",
        "saved",
    )

    def __init__(
        self,
        formula: Formula,
        saved: Any,
        edges: tuple[Any, ...],
        forms: tuple[Any, ...],
        guards: tuple[tuple[list[Any], int, int, int], ...],
        origin: Origin | None = None,
    ) -> None:
        self.formula = formula
        self.saved = saved
        self.edges = edges
        self.forms = forms
        self.guards = guards
        self.origin = origin
        self.order = next(_order)
        self.hooks: list[Callable[[Any], Any]] | None = None

    def __repr__(self) -> str:
        return f"<{self.formula.name} backward>"

    def free(self) -> None:
        """Drop what the backward needed; the graph behind it can go with it."""
        self.saved = self.hooks = self.origin = None
        self.edges = ()
        self.guards = ()

    def gradients(self, dY: Any, needs: tuple[bool, ...]) -> tuple[Any, ...]:
        """Return the gradients of a node that saves nothing for a formula; only others have any.

        Raises:
            GradientError: here, where the graph was used up.
        """
        raise GradientError(
            f"the graph behind this {self.formula.name} was freed by an earlier backward(); "
            "call backward(retain_graph=True) the first time to walk it twice"
        )


class SeveralNode(Node):
    """One recorded call of a formula with several outputs, which have a node each.

    Attributes:
        count: how many outputs it has.
    """

    __slots__ = ("count",)
    count: int

    def output(self, index: int) -> Output:
        """Return a node for one of the outputs."""
        return Output(self, index)


class Output(Node):
    """One of several outputs of a call: it hands its gradient on, with its number."""

    __slots__ = ("index",)

    def __init__(self, call: Node, index: int) -> None:
        super().__init__(call.formula, None, (call,), (None,), ())
        self.index = index

    def gradients(self, dY: Any, needs: tuple[bool, ...]) -> tuple[Any, ...]:
        """Return the gradient, as that of one of several outputs."""
        return super().gradients(dY, needs) if not self.edges else (Parts({self.index: dY}),)


class Parts(dict[int, Any]):
    """The gradients of a node that has several outputs, by the number of the output."""

    def of(self, node: SeveralNode) -> tuple[Any, ...]:
        """Return one gradient for each output of a node, None for those that nobody asks for."""
        return tuple([self.get(index) for index in range(node.count)])

    def plus(self, other: Parts, add: Callable[[Any, Any], Any]) -> Parts:
        """Return the gradients of two walks that met."""
        both = {i: add(self[i], other[i]) for i in self.keys() & other.keys()}
        return Parts({**self, **other, **both})


def walk_back(root: Any, gradient: Any, retain_graph: bool = False) -> None:
    """Run every backward behind ``root``, starting from ∂L/∂root = ``gradient``.

    Raises:
        GradientError: if the graph was used up by an earlier walk, or a value that a backward
            needs was changed in place after the forward.
    """
    hooked: dict[Any, Any] = {}
    if isinstance(root, Node):
        _walk_nodes(root, gradient, retain_graph, hooked)
    elif root.hooks:
        hooked[root] = gradient
    else:
        root.accumulate(gradient, True)
    # The hooks of a leaf see the sum over all its uses, which is known only now.
    for leaf, total in hooked.items():
        leaf.accumulate(call_hooks(leaf.hooks, total), True)


def _walk_nodes(root: Node, gradient: Any, retain_graph: bool, hooked: dict[Any, Any]) -> None:
    gradients: dict[Any, Any] = {root: gradient}
    waiting = [(-root.order, root)]
    while waiting:
        node = heappop(waiting)[1]
        dY = gradients.pop(node)
        if node.hooks:
            dY = call_hooks(node.hooks, dY)
        into = _slots(node, dY)
        found = _written(node, dY, into) if into else _gradients_of_inputs(node, dY, into)
        for index, (edge, dX) in enumerate(zip(node.edges, found, strict=True)):
            if edge is None or dX is None:
                continue
            if isinstance(edge, Node):
                met = gradients.get(edge)
                if met is None:
                    gradients[edge] = dX
                    heappush(waiting, (-edge.order, edge))
                else:
                    gradients[edge] = _sum(met, dX)
            elif edge.hooks:
                met = hooked.get(edge)
                hooked[edge] = dX if met is None else registry.forward(ADD, met, dX)[0]
            elif into and dX is into[index]:
                edge.take_slot(dX)
            else:
                # A view, or dY itself, may be held by somebody else too.
                shared = dX is dY or node.formula.aliases or getattr(dX, "base", None) is not None
                edge.accumulate(dX, shared)
        if not retain_graph:
            node.free()


def _sum(met: Any, dX: Any) -> Any:
    if type(met) is Parts:
        return met.plus(dX, _sum)
    return registry.forward(ADD, met, dX)[0]


def call_hooks(hooks: Any, gradient: Any) -> Any:
    """Return what hooks make of a gradient, one after the other."""
    for hook in tuple(hooks):
        gradient = hook(gradient)
    return gradient


def _slots(node: Node, dY: Any) -> tuple[Any, ...]:
    """Return for each input the array where its gradient is to end up in any case, or None.

    It is a view of the slot, so that observers see a gradient that is copied there, as elsewhere.
    """
    slots: list[Any] = []
    written = False
    for edge in node.edges:
        slot = None if edge is None or isinstance(edge, Node) else edge.claim_slot()
        # What the backward reads may be an earlier gradient, in the same memory.
        if slot is not None and any(shares_memory(slot, a) for a in _arrays((dY, node.saved))):
            edge.release_slot()
            slot = None
        written = written or slot is not None
        slots.append(None if slot is None else slot[...])
    return tuple(slots) if written else ()


def _arrays(item: Any) -> Iterator[Any]:
    """Yield the arrays in a tuple, however deep."""
    if isinstance(item, (tuple, list)):
        for part in item:
            yield from _arrays(part)
    elif type(item) is Parts:
        yield from item.values()
    elif hasattr(item, "dtype"):
        yield item


def _written(node: Node, dY: Any, into: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a node's gradients, and give back the places into which none was written."""
    found: tuple[Any, ...] = (None,) * len(into)
    try:
        found = _gradients_of_inputs(node, dY, into)
    finally:
        for edge, given, dX in zip(node.edges, into, found, strict=True):
            if given is not None and dX is not given:
                edge.release_slot()
    return found


def _gradients_of_inputs(node: Node, dY: Any, into: tuple[Any, ...]) -> tuple[Any, ...]:
    """Take one formula's backward, and bring each gradient into the form of its input."""
    needs = tuple([edge is not None for edge in node.edges])
    if node.saved is None:
        return node.gradients(dY, needs)
    check_versions(node)
    if isinstance(node, SeveralNode):
        dY = dY.of(node)
    return in_form(node, registry.backward(node.formula, dY, node.saved, needs, into))


def check_versions(node: Node) -> None:
    """Check that what a node has saved of tensors is what the forward saw.

    Raises:
        GradientError: if one was changed in place.
    """
    for cell, version, _, _ in node.guards:
        if cell[0] != version:
            raise changed_in_place(node.formula.name)


def in_form(node: Node, found: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a node's gradients in the shapes and dtypes of its inputs."""
    for dX, form in zip(found, node.forms, strict=True):
        if dX is not None and form is not None and (dX.shape != form[0] or dX.dtype != form[1]):
            break
    else:
        return found
    return tuple([_in_form(dX, form) for dX, form in zip(found, node.forms, strict=True)])


def changed_in_place(name: str) -> GradientError:
    """Return the error of a backward whose tensors no longer hold what the forward saw."""
    return GradientError(
        f"a tensor that the backward of {name} needs was changed in place after the forward; "
        "change it after backward(), or work on x.clone()"
    )


def _in_form(dX: Any, form: Any) -> Any:
    if dX is None or form is None:
        return None
    shape, dtype = form
    if dX.shape != shape:
        dX = registry.forward(SUM_TO, dX, shape=tuple(shape))[0]
    if dX.dtype != dtype:
        dX = registry.forward(CAST, dX, dtype=dtype_name(dtype))[0]
    return dX
