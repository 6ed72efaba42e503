r"""The tape: nodes of recorded formulas, and reverse-mode differentiation through them.

Each recorded call is a node with edges to the nodes or leaf tensors that its inputs came from.
Nodes are numbered in the order of their creation, and the backward pass visits them by falling
number. So when it visits a node, it has visited every node that used the output of this one, and
the gradient of the output is complete. Gradients of several uses are added,

$$\frac{\partial L}{\partial X} = \sum_{\text{uses } Y_i \text{ of } X}
  \frac{\partial L}{\partial Y_i} \frac{\partial Y_i}{\partial X},$$

and the gradient of an input that was broadcast is summed to the input's shape, here and nowhere
else. No derivative is written in this file: those are the backwards in ``nnscratch.formulas``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from heapq import heappop, heappush
from typing import Any, Protocol

from nnscratch.array import dtype_name
from nnscratch.array.addresses import shares_memory
from nnscratch.errors import GradientError
from nnscratch.formulas import ADD, CAST, SUM_TO, registry
from nnscratch.tensors.anomaly import anomaly, refuse_nan
from nnscratch.tensors.grad_mode import mode
from nnscratch.tensors.nodes import Node, OutputGradients


class Handle:
    """Removes a hook: by ``remove()``, by a call, or at the end of a ``with`` block."""

    def __init__(self, hooks: list[Any], hook: Any) -> None:
        """Make the handle of a hook, given the list that contains the hook."""
        self._hooks, self._hook = hooks, hook

    def remove(self) -> None:
        """Remove the hook; a second call does nothing."""
        hooks, self._hooks = self._hooks, []
        if self._hook in hooks:
            hooks.remove(self._hook)

    __call__ = remove

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


class Leaf(Protocol):
    """The methods of a leaf tensor that the tape calls.

    A leaf may have a slot: an array, such as its part of an optimizer's flat gradient buffer, in
    which the next gradient must end up. Between ``claim_slot`` and ``take_slot`` a formula may
    write the gradient there itself, which saves a copy.
    """

    hooks: list[Callable[[Any], Any]] | None

    def accumulate(self, gradient: Any, shared: Any) -> None:
        """Add a gradient to ``grad``; copy it first if ``shared``: others may hold the array."""

    def claim_slot(self) -> Any:
        """Return the slot for a formula to write the gradient into, None if it must not."""

    def release_slot(self) -> None:
        """End a claim without a gradient."""

    def take_slot(self, gradient: Any) -> None:
        """End a claim: ``grad`` is the gradient that was written into the slot."""


def walk_back(root: Any, gradient: Any, retain_graph: bool = False) -> None:
    """Add ∂L/∂leaf to the ``grad`` of every leaf that ``root`` was computed from.

    Args:
        root: a node or a leaf.
        gradient: ∂L/∂root, an array.
        retain_graph: whether to keep the graph for another backward pass.

    Raises:
        GradientError: if the graph was freed by an earlier backward pass, or a value that a
            backward needs was changed in place after the forward.
    """
    hooked: dict[Any, Any] = {}
    if isinstance(root, Node):
        _walk_nodes(root, gradient, retain_graph, hooked)
    elif root.hooks:
        hooked[root] = gradient
    else:
        root.accumulate(gradient, True)
    # The hooks of a leaf receive the sum over all its uses, which is complete only now.
    for leaf, total in hooked.items():
        leaf.accumulate(call_hooks(leaf.hooks, total), True)
        before, mode.enabled = mode.enabled, False
        try:
            call_hooks_after(leaf)
        finally:
            mode.enabled = before


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
        if anomaly.enabled:
            refuse_nan(node.formula.name, found)
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
                # Another tensor may hold the same array if dX is a view, or dY itself.
                shared = dX is dY or node.formula.aliases or getattr(dX, "base", None) is not None
                edge.accumulate(dX, shared)
        if not retain_graph:
            node.free()


def _sum(met: Any, dX: Any) -> Any:
    if type(met) is OutputGradients:
        return met.plus(dX, _sum)
    return registry.forward(ADD, met, dX)[0]


def call_hooks(hooks: Any, gradient: Any) -> Any:
    """Return the gradient after passing it through all hooks in order."""
    for hook in tuple(hooks):
        gradient = hook(gradient)
    return gradient


def unchanged(hook: Callable[[Any], Any], gradient: Any) -> Any:
    """Return the gradient: so ``partial(unchanged, hook)`` waits among the hooks of a leaf."""
    return gradient


def call_hooks_after(leaf: Any) -> None:
    """Call the hooks that wait until ``grad`` of a leaf is updated.

    Raises:
        GradientError: if one returns something.
    """
    for hook in tuple(leaf.hooks or ()):
        if isinstance(hook, partial) and hook.func is unchanged:
            given = hook.args[0](leaf)
            if given is not None:
                raise GradientError(
                    "a post-accumulate hook changes grad in place and returns None, got "
                    f"{type(given).__name__}"
                )


def _slots(node: Node, dY: Any) -> tuple[Any, ...]:
    """Return for each input a view of the leaf's slot for the gradient, or None; () if all are.

    It is a view, not the slot itself, so that observers can tell it from the slot: the recording of
    a step then has the same copy into the slot as a step in which the slot was not claimed.
    """
    slots: list[Any] = []
    written = False
    for edge in node.edges:
        slot = None if edge is None or isinstance(edge, Node) else edge.claim_slot()
        # The backward must not overwrite what it reads: dY or a saved array may be an earlier
        # gradient in the same slot.
        if slot is not None and any(shares_memory(slot, a) for a in _arrays((dY, node.saved))):
            edge.release_slot()
            slot = None
        written = written or slot is not None
        slots.append(None if slot is None else slot[...])
    return tuple(slots) if written else ()


def _arrays(item: Any) -> Iterator[Any]:
    """Yield the arrays in a nested tuple."""
    if isinstance(item, (tuple, list)):
        for part in item:
            yield from _arrays(part)
    elif type(item) is OutputGradients:
        yield from item.values()
    elif hasattr(item, "dtype"):
        yield item


def _written(node: Node, dY: Any, into: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a node's gradients, and end the claims on slots that the backward did not write."""
    found: tuple[Any, ...] = (None,) * len(into)
    try:
        found = _gradients_of_inputs(node, dY, into)
    finally:
        for edge, given, dX in zip(node.edges, into, found, strict=True):
            if given is not None and dX is not given:
                edge.release_slot()
    return found


def _gradients_of_inputs(node: Node, dY: Any, into: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the gradients of one node's inputs, in the inputs' shapes and dtypes."""
    needs = tuple([edge is not None for edge in node.edges])
    if node.saved is None:
        return node.gradients(dY, needs)
    check_versions(node)
    given = node.of_outputs(dY)
    return in_form(node, registry.backward(node.formula, given, node.saved, needs, into))


def check_versions(node: Node) -> None:
    """Check by the version counters that no saved tensor was changed since the forward.

    Raises:
        GradientError: if a saved tensor was changed in place.
    """
    for cell, version, _, _ in node.guards:
        if cell[0] != version:
            raise changed_in_place_error(node.formula.name)


def in_form(node: Node, found: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a node's gradients summed and cast to the shapes and dtypes of its inputs."""
    for dX, form in zip(found, node.forms, strict=True):
        if dX is not None and form is not None and (dX.shape != form[0] or dX.dtype != form[1]):
            break
    else:
        return found
    return tuple([_in_form(dX, form) for dX, form in zip(found, node.forms, strict=True)])


def changed_in_place_error(name: str) -> GradientError:
    """Return the error for a backward that saved a tensor which was changed since."""
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
