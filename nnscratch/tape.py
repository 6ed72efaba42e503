r"""The chain rule, and nothing else: record which formula made which array, walk back in reverse.

Each recorded call is a node with edges to the nodes or leaf tensors that its inputs came from. Nodes
are numbered as they are made, so "in reverse" is simply by falling number: when a node's turn comes,
every node that used its output has been walked. Gradients that meet are added,

$$\frac{\partial L}{\partial X} = \sum_{\text{uses } Y_i \text{ of } X}
  \frac{\partial L}{\partial Y_i} \frac{\partial Y_i}{\partial X},$$

and what broadcasting repeated is summed again, here and nowhere else. No derivative is written in
this file: those are the backwards in ``nnscratch.formulas``.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from nnscratch.array import dtype_name
from nnscratch.errors import GradientError
from nnscratch.formulas import ADD, CAST, SUM_TO, Formula, registry

_order = itertools.count()


class _Mode(threading.local):
    enabled = True


_mode = _Mode()


def is_grad_enabled() -> bool:
    """Say whether this thread records what it computes."""
    return _mode.enabled


class set_grad_enabled:  # noqa: N801
    """Record or do not record, in a ``with`` block or as a decorator.

    >>> with set_grad_enabled(False):
    ...     is_grad_enabled()
    False
    """

    def __init__(self, mode: bool) -> None:
        """Choose whether the block records."""
        self.mode = mode
        self._before: list[bool] = []

    def __enter__(self) -> None:
        self._before.append(_mode.enabled)
        _mode.enabled = self.mode

    def __exit__(self, *_: object) -> None:
        _mode.enabled = self._before.pop()

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function so that it runs in this mode."""
        import functools

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with type(self)(self.mode) if type(self) is set_grad_enabled else type(self)():  # type: ignore[call-arg]
                return function(*args, **kwargs)

        return wrapped


class no_grad(set_grad_enabled):  # noqa: N801
    """Do not record: for evaluation and for updates of parameters."""

    def __init__(self) -> None:
        """Switch recording off for the block."""
        super().__init__(False)


class enable_grad(set_grad_enabled):  # noqa: N801
    """Record, also inside ``no_grad``."""

    def __init__(self) -> None:
        """Switch recording on for the block."""
        super().__init__(True)


class Leaf(Protocol):
    """What the tape needs of a leaf tensor: a place to add a gradient to."""

    def accumulate(self, gradient: Any, shared: bool) -> None:
        """Add a gradient; ``shared`` says that somebody else may hold the same array."""


class Node:
    """One recorded call of a formula.

    Attributes:
        formula: which one.
        saved: what its forward left for its backward; None once freed.
        edges: for each input the node or the leaf tensor it came from, None if nobody asks.
        forms: for each input with an edge its shape and dtype name.
        guards: (version cell, version) of tensors whose array is in ``saved``.
    """

    __slots__ = (
        "__weakref__",
        "edges",
        "formula",
        "forms",
        "guards",
        "hooks",
        "order",
        "saved",
    )

    def __init__(
        self,
        formula: Formula,
        saved: Any,
        edges: tuple[Any, ...],
        forms: tuple[Any, ...],
        guards: list[tuple[list[int], int]],
    ) -> None:
        self.formula = formula
        self.saved = saved
        self.edges = edges
        self.forms = forms
        self.guards = guards
        self.order = next(_order)
        self.hooks: list[Callable[[Any], Any]] | None = None

    def __repr__(self) -> str:
        return f"<{self.formula.name} backward>"

    def free(self) -> None:
        """Drop what the backward needed; the graph behind it can go with it."""
        self.saved = None
        self.edges = ()
        self.guards = []


def walk_back(root: Node | Leaf, gradient: Any, retain_graph: bool = False) -> None:
    """Run every backward behind ``root``, starting from ∂L/∂root = ``gradient``.

    Raises:
        GradientError: if the graph was used up by an earlier walk, or a value that a backward
            needs was changed in place after the forward.
    """
    if not isinstance(root, Node):
        root.accumulate(gradient, shared=True)
        return
    gradients: dict[Node, Any] = {root: gradient}
    waiting = [(-root.order, root)]
    while waiting:
        _, node = heapq.heappop(waiting)
        dY = gradients.pop(node)
        for hook in node.hooks or ():
            dY = hook(dY)
        for edge, dX in _one_step(node, dY):
            if not isinstance(edge, Node):
                edge.accumulate(dX, shared=dX is dY or len(node.edges) > 1)
            elif edge in gradients:
                gradients[edge] = registry.forward(ADD, gradients[edge], dX)[0]
            else:
                gradients[edge] = dX
                heapq.heappush(waiting, (-edge.order, edge))
        if not retain_graph:
            node.free()


def _one_step(node: Node, dY: Any) -> Iterator[tuple[Any, Any]]:
    """Take one formula backward and give each edge its gradient in the input's form."""
    if node.saved is None:
        raise GradientError(
            f"the graph behind this {node.formula.name} was freed by an earlier backward(); "
            "call backward(retain_graph=True) the first time to walk it twice"
        )
    for cell, version in node.guards:
        if cell[0] != version:
            raise GradientError(
                f"a tensor that the backward of {node.formula.name} needs was changed in place "
                "after the forward; change it after backward(), or work on x.clone()"
            )
    needs = tuple(edge is not None for edge in node.edges)
    found = registry.backward(node.formula, dY, node.saved, needs)
    for edge, dX, form in zip(node.edges, found, node.forms, strict=True):
        if edge is not None and dX is not None:
            shape, dtype = form
            if dX.shape != shape:
                dX = registry.forward(SUM_TO, dX, shape=shape)[0]
            if dtype_name(dX.dtype) != dtype:
                dX = registry.forward(CAST, dX, dtype=dtype)[0]
            yield edge, dX

