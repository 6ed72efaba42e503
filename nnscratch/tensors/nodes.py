"""The nodes of the graph: recorded calls of formulas with one output or several."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

from nnscratch.errors import GradientError
from nnscratch.formulas import Formula

_order = itertools.count()


class Origin(NamedTuple):
    """The arguments of a formula's forward, kept to run the forward again on tensors.

    Attributes:
        inputs: the arrays and numbers.
        versions: for each input that was a tensor, its version counter and the version at the
            time of the call; None for the others.
        options: the keyword arguments.
    """

    inputs: tuple[Any, ...]
    versions: tuple[tuple[list[Any], int] | None, ...]
    options: dict[str, Any]


class Node:
    """One recorded call of a formula.

    Attributes:
        formula: the formula that was called.
        saved: what its forward saved for its backward; None once freed.
        edges: for each input the node that computed it, or the leaf tensor; None if the input
            needs no gradient.
        forms: for each input with an edge, the input's shape and dtype.
        guards: for each array in ``saved`` that belongs to a tensor: the tensor's version counter,
            the version that was saved, the position in ``saved``, and the number of the input;
            -1 for the output, or -1, -2, ... for several.
        origin: the arguments of the call if ``saved`` has intermediate floating-point arrays, on
            which the gradient may depend; else None. Only ``create_graph=True`` needs it.
        hooks: functions that are called with the gradient of the output once it is complete.
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
        """Drop the saved arrays and the edges, so that the rest of the graph can be freed too."""
        self.saved = self.hooks = self.origin = None
        self.edges = ()
        self.guards = ()

    def of_outputs(self, dY: Any) -> Any:
        """Return a complete gradient as the formula's backward takes it."""
        return dY

    def gradients(self, dY: Any, needs: tuple[bool, ...]) -> tuple[Any, ...]:
        """Return the gradients of the inputs of a node that is not a formula's.

        Subclasses override it. For the node of a formula it is only reached after ``free``.

        Raises:
            GradientError: because the graph was freed.
        """
        raise GradientError(
            f"the graph behind this {self.formula.name} was freed by an earlier backward(); "
            "call backward(retain_graph=True) the first time to walk it twice"
        )


class MultiOutputNode(Node):
    """One recorded call of a formula with several outputs, each of which has an ``OutputNode``.

    Attributes:
        count: the number of outputs.
    """

    __slots__ = ("count",)
    count: int

    def output(self, index: int) -> OutputNode:
        """Return the node of the output with a number from 0."""
        return OutputNode(self, index)

    def of_outputs(self, dY: Any) -> Any:
        """Return a gradient for each output, None for outputs without one."""
        return tuple([dY.get(index) for index in range(self.count)])


class FirstOutputNode(Node):
    """One recorded call of a formula with several outputs of which only the first has a gradient.

    Attributes:
        count: the number of outputs.
    """

    __slots__ = ("count",)
    count: int

    def of_outputs(self, dY: Any) -> Any:
        """Return the gradient, and None for each of the other outputs."""
        return (dY, *(None,) * (self.count - 1))


class OutputNode(Node):
    """The node of one of several outputs: it passes the gradient on with the output's number."""

    __slots__ = ("index",)

    def __init__(self, call: Node, index: int) -> None:
        super().__init__(call.formula, None, (call,), (None,), ())
        self.index = index

    def gradients(self, dY: Any, needs: tuple[bool, ...]) -> tuple[Any, ...]:
        """Return the gradient with the number of the output that it belongs to."""
        return (
            super().gradients(dY, needs) if not self.edges else (OutputGradients({self.index: dY}),)
        )


class OutputGradients(dict[int, Any]):
    """The gradients of the outputs of a ``MultiOutputNode``, by the number of the output."""

    def plus(self, other: OutputGradients, add: Callable[[Any, Any], Any]) -> OutputGradients:
        """Return the sum of two sets of gradients, output by output."""
        both = {i: add(self[i], other[i]) for i in self.keys() & other.keys()}
        return OutputGradients({**self, **other, **both})
