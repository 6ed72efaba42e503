"""The nodes of a ``Function`` on the tape, whose backward is written by the user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnscratch.array.dtypes import dtype_name, is_complex, is_inexact
from nnscratch.autograd.context import FunctionCtx, state_of
from nnscratch.errors import GradientError
from nnscratch.formulas import CAST, SUM_TO
from nnscratch.formulas.checks import broadcast_shape
from nnscratch.tensors import Tensor, set_grad_enabled
from nnscratch.tensors.backward_pass import gradient_edge
from nnscratch.tensors.nodes import Node, OutputGradients, OutputNode
from nnscratch.tensors.tape import changed_in_place_error

_WORDS = Tensor(np.empty(0)).__array_namespace__()


@dataclass
class SavedTensor:
    """A tensor of ``save_for_backward``, with the state that it had then.

    A later in-place change may give the tensor another array or node.

    Attributes:
        held: the tensor; None for an output, because a reference to it would be a cycle: the
            output holds its node, and the node holds this.
        array: the tensor's array when it was saved.
        cell: the version counter of its memory.
        version: the version when it was saved.
        node: the tensor's node when it was saved, unless it is an output.
        spot: the number of the output; None if it is the only one, or no output.
    """

    held: Any
    array: Any
    cell: list[Any]
    version: int
    node: Any
    spot: int | None

    def tensor(self, node: Any) -> Any:
        """Return the saved tensor, connected to the graph.

        Args:
            node: the node whose backward runs, to which a saved output is connected; else None.

        Raises:
            GradientError: if the tensor was changed in place after the forward.
        """
        if self.cell[0] != self.version:
            raise changed_in_place_error("a Function" if node is None else node.formula.name)
        held = self.held
        if held is not None and held.array is self.array and held.node is self.node:
            return held
        made = Tensor(self.array)
        made._version = self.cell
        if held is not None:
            made.node = self.node
        elif node is not None:
            # Each of several outputs has a node of its own.
            made.node = node if self.spot is None else OutputNode(node, self.spot)
        made.requires_grad = made.node is not None
        return made


@dataclass(frozen=True)
class FunctionName:
    """Stands for the formula of a ``FunctionNode``: the attributes of one that the tape reads.

    Attributes:
        name: the name of the user's class.
        aliases: whether a gradient may be an array that others hold too. It may: a backward may
            return the gradient that it was given.
    """

    name: str
    aliases: bool = True


class FunctionNode(Node):
    """One recorded call of a ``Function``."""

    __slots__ = ("context", "function", "inputs", "outputs")

    def __init__(self, function: Any, context: FunctionCtx, arguments: Sequence[Any]) -> None:
        edges: list[Any] = []
        forms: list[Any] = []
        for one in arguments:
            tensor = isinstance(one, Tensor)
            edges.append(gradient_edge(one) if tensor and one.requires_grad else None)
            forms.append((one.shape, one.dtype, one.device) if tensor else None)
        named: Any = FunctionName(function.__name__)
        super().__init__(named, None, tuple(edges), tuple(forms), ())
        self.function = function
        self.context: FunctionCtx | None = context
        self.outputs: list[Any] = []

    def free(self) -> None:
        """Drop the saved tensors and the edges."""
        super().free()
        self.context = None

    def gradients(self, dY: Any, needs: tuple[bool, ...]) -> tuple[Any, ...]:
        """Call the backward of the function, and check what it returns."""
        context = self.context
        if context is None:
            return super().gradients(dY, needs)
        state = state_of(context)
        parts = dY if type(dY) is OutputGradients else OutputGradients({0: dY})
        recorded = isinstance(next(iter(parts.values())), Tensor)
        given = []
        for index, form in enumerate(self.outputs):
            part = parts.get(index)
            if part is None:
                given.append(_zeros(form) if state.materialize and form else None)
            else:
                given.append(part if recorded else Tensor(part))
        context.needs_input_grad = needs
        state.node = self  # for saved outputs; reset below, or node and state would be a cycle
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
        """Return the gradient of one input, summed and cast to the input's shape and dtype.

        Raises:
            GradientError: if it is no tensor, its input is no tensor, the two differ in device or
                in shapes that do not broadcast, or it is complex and its input is not.
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
            if is_complex(gradient.array) and not dtype_name(dtype).startswith("complex"):
                raise GradientError(
                    f"{name} returned a complex gradient {index}, and its input is {dtype}; return "
                    "its real part, .real"
                )
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


def _refuse_leaf(call: FunctionNode, tensor: Any) -> None:
    if tensor.requires_grad and tensor.node is None:
        raise GradientError(
            f"{call.formula.name} changes a leaf with requires_grad=True in place; call it with "
            "x.clone(), or under no_grad()"
        )


def put_into_graph(
    call: FunctionNode, context: FunctionCtx, arguments: tuple[Any, ...], outputs: list[Any]
) -> list[Any]:
    """Connect the outputs of a forward to its node, and keep the tensors that it saved.

    Args:
        call: the node.
        context: the ``ctx`` of the call.
        arguments: the arguments of the forward.
        outputs: what the forward returned, as a list.

    Returns:
        The outputs, the floating-point and complex tensors among them with a node. One that is an
        argument, appears twice, or has a graph already is replaced by a new tensor over its memory.

    Raises:
        GradientError: if the forward changed a leaf with ``requires_grad=True`` in place.
    """
    state = state_of(context)
    constant = {id(one) for one in state.constant}
    dirty = {id(one) for one in state.dirty}
    given = {id(one) for one in arguments if isinstance(one, Tensor)}
    spots: list[int] = []
    made: list[Any] = []
    seen: set[int] = set()
    for index, one in enumerate(outputs):
        call.outputs.append((one.shape, one.dtype, one.device) if isinstance(one, Tensor) else None)
        able = isinstance(one, Tensor) and is_inexact(one.array) and id(one) not in constant
        if able:
            spots.append(index)
            if id(one) in dirty:
                _refuse_leaf(call, one)
            elif id(one) in given or id(one) in seen or one.requires_grad:
                own = one._wrap(one.array)
                own._share_memory_with(one)
                one = own
        seen.add(id(one))
        made.append(one)
    # Read the saved tensors before the outputs get their nodes, so that a saved output is recorded
    # as its array, without a reference to the node.
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
        kept.append(SavedTensor(held, one.array, one._version, one._version[0], one.node, spot))
    state.saved, state.to_save = tuple(kept), ()
    state.constant = state.dirty = ()
    for index in spots:
        made[index].node = OutputNode(call, index) if several else call
        made[index].requires_grad = True
    return made


class OnceDifferentiable(Node):
    """The node of a gradient from a ``once_differentiable`` backward: it has no derivative."""

    __slots__ = ()

    def gradients(self, dY: Any, needs: tuple[bool, ...]) -> tuple[Any, ...]:
        """Raise the error for a second derivative that does not exist.

        Raises:
            GradientError: always.
        """
        raise GradientError(
            f"{self.formula.name} is marked @once_differentiable and has no second derivative; "
            "write its backward with operations on tensors only, and remove the decorator"
        )
