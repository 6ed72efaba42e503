"""Calls of a ``Function`` on the tape: nodes whose backward is a user's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnscratch.array import is_floating
from nnscratch.array.dtypes import dtype_name
from nnscratch.autograd.context import FunctionCtx, state_of
from nnscratch.errors import GradientError
from nnscratch.formulas import CAST, SUM_TO
from nnscratch.formulas.checks import broadcast_shape
from nnscratch.tensors import Tensor, set_grad_enabled
from nnscratch.tensors.asking import place
from nnscratch.tensors.tape import Node, Output, Parts, changed_in_place

_WORDS = Tensor(np.empty(0)).__array_namespace__()


@dataclass
class Saved:
    """A tensor that was saved, as it was then: it may get another node when it is changed.

    Attributes:
        held: the tensor; None for an output, which holds the node that holds this.
        array: its array.
        cell: the cell of its version.
        version: its version.
        node: its node, unless it is an output.
        spot: which output it is; None if it is the only one.
    """

    held: Any
    array: Any
    cell: list[Any]
    version: int
    node: Any
    spot: int | None

    def tensor(self, node: Any) -> Any:
        """Return it, connected to the graph of the node whose backward asks.

        Raises:
            GradientError: if it was changed in place after the forward.
        """
        if self.cell[0] != self.version:
            raise changed_in_place("a Function" if node is None else node.formula.name)
        held = self.held
        if held is not None and held.array is self.array and held.node is self.node:
            return held
        made = Tensor(self.array)
        made._version = self.cell
        if held is not None:
            made.node = self.node
        elif node is not None:
            # One of several outputs goes on from a node of its own.
            made.node = node if self.spot is None else Output(node, self.spot)
        made.requires_grad = made.node is not None
        return made


@dataclass(frozen=True)
class Named:
    """What the tape asks of a node's formula: its name, and whether gradients may be shared."""

    name: str
    aliases: bool = True


class Call(Node):
    """One recorded call of a ``Function``."""

    __slots__ = ("context", "function", "inputs", "outputs")

    def __init__(self, function: Any, context: FunctionCtx, arguments: Sequence[Any]) -> None:
        edges: list[Any] = []
        forms: list[Any] = []
        for one in arguments:
            tensor = isinstance(one, Tensor)
            edges.append(place(one) if tensor and one.requires_grad else None)
            forms.append((one.shape, one.dtype, one.device) if tensor else None)
        named: Any = Named(function.__name__)
        super().__init__(named, None, tuple(edges), tuple(forms), ())
        self.function = function
        self.context: FunctionCtx | None = context
        self.outputs: list[Any] = []

    def free(self) -> None:
        """Drop what the backward needed."""
        super().free()
        self.context = None

    def gradients(self, dY: Any, needs: tuple[bool, ...]) -> tuple[Any, ...]:
        """Call the backward of the function, and check what it returns."""
        context = self.context
        if context is None:
            return super().gradients(dY, needs)
        state = state_of(context)
        parts = dY if type(dY) is Parts else Parts({0: dY})
        recorded = isinstance(next(iter(parts.values())), Tensor)
        given = []
        for index, form in enumerate(self.outputs):
            part = parts.get(index)
            if part is None:
                given.append(_zeros(form) if state.materialize and form else None)
            else:
                given.append(part if recorded else Tensor(part))
        context.needs_input_grad = needs
        state.node = self  # while it is needed: else the two would keep each other alive
        with set_grad_enabled(recorded):
            try:
                made = self.function.backward(context, *given)
            finally:
                state.node = None
            made = made if isinstance(made, (tuple, list)) else (made,)
            self._check_count(made)
            found = [
                self._checked(index, gradient) if need or self.forms[index] is None else None
                for index, (gradient, need) in enumerate(zip(made, needs, strict=False))
            ]
        return tuple([one if recorded or one is None else one.array for one in found])

    def _check_count(self, made: Sequence[Any]) -> None:
        expected = len(self.edges)
        if len(made) < expected or any(one is not None for one in made[expected:]):
            raise GradientError(
                f"{self.formula.name}.backward must return a gradient, or None, for each of the "
                f"{expected} arguments of its forward, and returned {len(made)}"
            )

    def _checked(self, index: int, gradient: Any) -> Any:
        """Return a gradient in the form of its input.

        Raises:
            GradientError: if it is no tensor, belongs to no tensor, or has another shape.
        """
        if gradient is None:
            return None
        name = f"{self.formula.name}.backward"
        form = self.forms[index]
        if form is None:
            raise GradientError(
                f"{name} returned gradient {index}, and argument {index} of its forward is no "
                "tensor; return None in its place"
            )
        if not isinstance(gradient, Tensor):
            raise GradientError(
                f"{name} must return tensors or None, and returned {type(gradient).__name__} as "
                f"gradient {index}"
            )
        shape, dtype, device = form
        if gradient.device != device:
            raise GradientError(
                f"{name} returned gradient {index} on {gradient.device}, and its input is on "
                f"{device}; move it there with .to('{device}')"
            )
        if gradient.shape != shape:
            if not _broadcasts(shape, gradient.shape):
                raise GradientError(
                    f"{name} returned gradient {index} of shape {gradient.shape}, and its input "
                    f"has shape {shape}; the two must be the same"
                )
            gradient = gradient._apply(SUM_TO, shape=shape)
        if gradient.dtype != dtype:
            gradient = gradient._apply(CAST, dtype=dtype_name(dtype))
        return gradient


def _zeros(form: Any) -> Any:
    shape, dtype, device = form
    return _WORDS.zeros(shape, dtype=dtype, device=device)


def _broadcasts(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    try:
        return broadcast_shape("", shape, other) == other
    except ValueError:
        return False


def _refuse_leaf(call: Call, tensor: Any) -> None:
    if tensor.requires_grad and tensor.node is None:
        raise GradientError(
            f"{call.formula.name} changes a leaf that asks for a gradient in place; give it "
            "x.clone(), or change it under no_grad()"
        )


def put_into_graph(
    call: Call, context: FunctionCtx, arguments: tuple[Any, ...], outputs: list[Any]
) -> list[Any]:
    """Put the outputs of a forward into the graph, and keep what it saved."""
    state = state_of(context)
    constant = {id(one) for one in state.constant}
    dirty = {id(one) for one in state.dirty}
    given = {id(one) for one in arguments if isinstance(one, Tensor)}
    spots: list[int] = []
    made: list[Any] = []
    seen: set[int] = set()
    for index, one in enumerate(outputs):
        call.outputs.append((one.shape, one.dtype, one.device) if isinstance(one, Tensor) else None)
        able = isinstance(one, Tensor) and is_floating(one.array) and id(one) not in constant
        if able:
            spots.append(index)
            if id(one) in dirty:
                _refuse_leaf(call, one)
            elif id(one) in given or id(one) in seen or one.requires_grad:
                own = one._wrap(one.array)
                own._lies_in(one)
                one = own
        seen.add(id(one))
        made.append(one)
    # Saved tensors are looked at before the outputs have a node: a saved output is an array.
    number = {id(one): index for index, one in enumerate(outputs) if index in spots}
    several = len(outputs) > 1
    kept: list[Any] = []
    for one in state.to_save:
        if one is None:
            kept.append(None)
            continue
        as_given = id(one) in given and id(one) not in dirty
        output = None if as_given else number.get(id(one))
        held = one if output is None else None
        spot = output if several else None
        kept.append(Saved(held, one.array, one._version, one._version[0], one.node, spot))
    state.saved, state.to_save = tuple(kept), ()
    state.constant = state.dirty = ()
    for index in spots:
        made[index].node = Output(call, index) if several else call
        made[index].requires_grad = True
    return made


class Once(Node):
    """A gradient that must not be differentiated again."""

    __slots__ = ()

    def gradients(self, dY: Any, needs: tuple[bool, ...]) -> tuple[Any, ...]:
        """Refuse.

        Raises:
            GradientError: always.
        """
        raise GradientError(
            f"{self.formula.name} is marked @once_differentiable and has no second derivative; "
            "write its backward with tensors only and take the mark away"
        )
