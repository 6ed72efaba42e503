"""The general backward pass: from several tensors, to chosen ones only, or recorded.

A plain ``loss.backward()`` takes the simpler ``walk_back`` in ``tape``. With ``create_graph=True``
the pass here runs the same backwards on tensors instead of arrays. Their operations are recorded,
so that gradients are parts of a graph and can be differentiated by the chain rule again. For that,
what a forward saved must be connected to the graph that it came from:

- a saved array that is an input or an output of the formula becomes that tensor,
- if there are other floating-point arrays, the forward runs again on tensors, and what it saves
  this time is used,
- everything else (masks, labels, counts) is a constant.

A recorded pass runs the reference of a formula, not its kernel. Kernels still compute the single
operations that the reference consists of.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from typing import Any

from nnscratch.array import array_namespace, dtype_name, is_array, is_floating
from nnscratch.array.addresses import on_device_of
from nnscratch.errors import GradientError
from nnscratch.formulas import ADD, CAST, SUM_TO, registry
from nnscratch.tensors.anomaly import anomaly, refuse_nan
from nnscratch.tensors.base import TensorBase
from nnscratch.tensors.nodes import MultiOutputNode, Node, OutputGradients
from nnscratch.tensors.tape import (
    call_hooks,
    changed_in_place_error,
    check_versions,
    in_form,
)


class BackwardPass:
    """One backward pass from roots to leaves.

    Attributes:
        wanted: the ids of the nodes and leaves whose gradients to compute; None for all leaves.
        retain_graph: whether to keep the graph for another pass.
        recorded: whether gradients are tensors of a graph instead of arrays.
        found: the gradients of the wanted nodes and leaves, or of all leaves.
        shared: those of ``found`` whose array other tensors may hold too.
    """

    def __init__(self, wanted: Iterable[Any] | None, retain_graph: bool, recorded: bool) -> None:
        self.wanted = None if wanted is None else set(map(id, wanted))
        self.retain_graph = retain_graph
        self.recorded = recorded
        self.found: dict[Any, Any] = {}
        self.shared: set[Any] = set()
        self._gradients: dict[Node, Any] = {}
        self._waiting: list[tuple[int, Node]] = []
        self._needed: dict[int, bool] = {}

    def run(self, roots: Sequence[tuple[Any, Any]]) -> None:
        """Run the pass from pairs of a node (or a leaf) and its gradient.

        Raises:
            GradientError: if the graph was freed, a saved tensor was changed in place, or a
                formula has no second derivative.
        """
        self._mark_needed([root for root, _ in roots])
        for root, gradient in roots:
            self._accumulate(root, gradient, True)
        while self._waiting:
            node = heappop(self._waiting)[1]
            dY = self._gradients.pop(node)
            if node.hooks:
                dY = call_hooks(node.hooks, dY)
            if self.wanted is not None and id(node) in self.wanted:
                self.found[node] = dY
                self.shared.add(node)
            needs = tuple([edge is not None and self._is_needed(edge) for edge in node.edges])
            if any(needs) or (_is_freed(node) and node not in self.found):
                self._propagate(node, dY, needs)
                if not self.retain_graph:
                    node.free()
        # The hooks of a leaf receive the sum over all its uses, which is complete only now.
        for edge in [one for one in self.found if not isinstance(one, Node) and one.hooks]:
            self.found[edge] = call_hooks(edge.hooks, self.found[edge])
            self.shared.add(edge)

    def _propagate(self, node: Node, dY: Any, needs: tuple[bool, ...]) -> None:
        found = self._backward(node, dY, needs)
        if anomaly.enabled:
            refuse_nan(node.formula.name, found)
        for edge, dX in zip(node.edges, found, strict=True):
            if edge is not None and dX is not None and self._is_needed(edge):
                base = None if self.recorded else getattr(dX, "base", None)
                self._accumulate(edge, dX, dX is dY or node.formula.aliases or base is not None)

    def _accumulate(self, edge: Any, gradient: Any, shared: bool) -> None:
        """Add a gradient to the sum at a node or a leaf."""
        if isinstance(edge, Node):
            met = self._gradients.get(edge)
            if met is None:
                self._gradients[edge] = gradient
                heappush(self._waiting, (-edge.order, edge))
            else:
                self._gradients[edge] = self._sum(met, gradient)
        elif self.wanted is None or id(edge) in self.wanted:
            met = self.found.get(edge)
            self.found[edge] = gradient if met is None else self._sum(met, gradient)
            if met is None and shared:
                self.shared.add(edge)
            elif met is not None:
                self.shared.discard(edge)

    def _sum(self, met: Any, gradient: Any) -> Any:
        if type(met) is OutputGradients:
            return met.plus(gradient, self._sum)
        if self.recorded:
            return met._apply(ADD, gradient)
        return registry.forward(ADD, met, gradient)[0]

    # Which nodes the pass must visit.

    def _mark_needed(self, roots: list[Any]) -> None:
        """Find the nodes from which a path leads to a wanted node or leaf."""
        if self.wanted is None:
            return
        reached: dict[int, Node] = {}
        todo = [root for root in roots if isinstance(root, Node)]
        while todo:
            node = todo.pop()
            if id(node) not in reached:
                reached[id(node)] = node
                todo += [edge for edge in node.edges if isinstance(edge, Node)]
        # In order of creation, a node comes after all nodes that its edges lead to.
        for node in sorted(reached.values(), key=lambda one: one.order):
            # A freed node counts as needed: visiting it raises the error that says so.
            leads = any(edge is not None and self._is_needed(edge) for edge in node.edges)
            self._needed[id(node)] = leads or id(node) in self.wanted or _is_freed(node)

    def _is_needed(self, edge: Any) -> bool:
        if self.wanted is None:
            return True
        return self._needed.get(id(edge), False) or id(edge) in self.wanted

    # One node.

    def _backward(self, node: Node, dY: Any, needs: tuple[bool, ...]) -> tuple[Any, ...]:
        if node.saved is None:
            return node.gradients(dY, needs)
        check_versions(node)
        dY = node.of_outputs(dY)
        if not self.recorded:
            return in_form(node, registry.backward(node.formula, dY, node.saved, needs))
        formula = node.formula
        assert formula.backward is not None
        like = next(one for one in dY if one is not None) if type(dY) is tuple else dY
        try:
            made = formula.backward(dY, _connected(node, like), needs)
        except AttributeError as error:
            if error.obj is not like.__array_namespace__():
                raise
            raise GradientError(
                f"{formula.name} has no second derivative: its backward uses {error.name!r}, which "
                "does not exist for tensors; call backward() without create_graph=True for first "
                "derivatives"
            ) from error
        found = [_in_form(dX, form) for dX, form in zip(made, node.forms, strict=True)]
        if formula.kinks:
            found = [
                dX if dX is None or dX.requires_grad else _with_zero_derivative(node, dX)
                for dX in found
            ]
        return tuple(found)


def _is_freed(node: Node) -> bool:
    return node.saved is None and not node.edges


class _ZeroDerivative(Node):
    """The node of a gradient that is piecewise constant, such as relu's: its derivative is 0."""

    __slots__ = ()

    def gradients(self, dY: Any, needs: tuple[bool, ...]) -> tuple[Any, ...]:
        """Return zeros."""
        if not self.edges:
            return super().gradients(dY, needs)
        made = [
            _zeros(dY, form) if need else None for need, form in zip(needs, self.forms, strict=True)
        ]
        return tuple(made)


def _with_zero_derivative(node: Node, dX: Any) -> Any:
    """Return a gradient connected to the graph of its node, with a derivative of 0.

    Without the connection, ``grad`` of it would raise that it has no graph.
    """
    made = dX._wrap(dX.array)
    made.node = _ZeroDerivative(node.formula, None, node.edges, node.forms, ())
    made.requires_grad = True
    return made


def _zeros(like: Any, form: Any) -> Any:
    shape, dtype = form
    array = like.array if isinstance(like, TensorBase) else like
    with on_device_of(array):
        zeros = array_namespace(array).zeros(shape, dtype=dtype, device=array.device)
    return like._wrap(zeros) if isinstance(like, TensorBase) else zeros


def _in_form(dX: Any, form: Any) -> Any:
    """Return a gradient summed and cast to the shape and dtype of its input."""
    if dX is None or form is None:
        return None
    shape, dtype = form
    if dX.shape != tuple(shape):
        dX = dX._apply(SUM_TO, shape=tuple(shape))
    if dX.array.dtype != dtype:
        dX = dX._apply(CAST, dtype=dtype_name(dtype))
    return dX


def _connected(node: Node, like: TensorBase) -> Any:
    """Return what a node's forward saved, with its arrays as tensors connected to the graph."""
    saved = node.saved
    if node.origin is not None:
        return _recompute_saved(node, like)
    sources = {position: (cell, source) for cell, _, position, source in node.guards}
    names = getattr(saved, "_fields", ())
    made: list[Any] = []
    for position, kept in enumerate(saved):
        if isinstance(kept, (tuple, list)) and _holds_floats(kept):
            raise GradientError(
                f"{node.formula.name} has no second derivative: its forward saves arrays inside a "
                "tuple, where they cannot be connected to the graph; save each array by itself, or "
                "call backward() without create_graph=True for first derivatives"
            )
        if not is_array(kept):
            made.append(kept)
        elif position not in sources:
            made.append(like._wrap(kept))
        else:
            cell, source = sources[position]
            # Several inputs may have the same array, as in x * x.detach(): then the name under
            # which it was saved says which input it is.
            name = names[position] if names else ""
            if source >= 0 and name in node.formula.inputs and not node.formula.variadic:
                source = node.formula.inputs.index(name)
            edge = _output(node, source) if source < 0 else node.edges[source]
            made.append(_tensor(like, kept, edge, cell))
    return type(saved)(*made) if names else tuple(made)


def _output(node: Node, source: int) -> Node:
    """Return the node of a saved output; ``source`` is -1 - its number."""
    return node.output(-1 - source) if isinstance(node, MultiOutputNode) else node


def _recompute_saved(node: Node, like: TensorBase) -> Any:
    """Run a node's forward again, on tensors, and return what it saves."""
    assert node.origin is not None
    inputs, versions, options = node.origin
    edges = [*node.edges, *(None,) * (len(inputs) - len(node.edges))]
    given = []
    for array, version, edge in zip(inputs, versions, edges, strict=True):
        if version is not None and version[0][0] != version[1]:
            raise changed_in_place_error(node.formula.name)
        cell = None if version is None else version[0]
        given.append(_tensor(like, array, edge, cell) if is_array(array) else array)
    _, saved = node.formula.forward(*given, **options)
    made = [like._wrap(kept) if is_array(kept) else kept for kept in saved]
    return type(saved)(*made) if hasattr(saved, "_fields") else tuple(made)


def _tensor(like: TensorBase, array: Any, edge: Any, cell: Any) -> Any:
    """Return a tensor of an array, connected to the node or leaf at the end of an edge."""
    if edge is not None and not isinstance(edge, Node):
        return edge
    made = like._wrap(array)
    if cell is not None:
        made._version = cell  # the version counter of the same memory
    if edge is not None:
        made.node, made.requires_grad = edge, True
    return made


def _holds_floats(items: Any) -> bool:
    return any(
        _holds_floats(one) if isinstance(one, (tuple, list)) else is_array(one) and is_floating(one)
        for one in items
    )
