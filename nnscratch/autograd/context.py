"""``ctx``, through which the forward of a ``Function`` passes data to its backward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnscratch.errors import ConfigurationError
from nnscratch.tensors import Tensor


@dataclass
class State:
    """What the methods of a ``ctx`` set, kept apart from the attributes that a user sets.

    Attributes:
        to_save: the arguments of ``save_for_backward``.
        saved: a ``SavedTensor`` or None for each of them; None until the forward has returned.
        constant: outputs that are marked as having no gradient.
        dirty: inputs that are marked as changed in place.
        materialize: whether the backward gets zeros for an output that is not used.
        node: the node while its backward runs; None at all other times.
    """

    to_save: tuple[Any, ...] = ()
    saved: tuple[Any, ...] | None = None
    constant: tuple[Any, ...] = ()
    dirty: tuple[Any, ...] = ()
    materialize: bool = True
    node: Any = None


def state_of(ctx: FunctionCtx) -> State:
    """Return the state that the methods of a ``ctx`` set."""
    return ctx._state


class FunctionCtx:
    """The ``ctx`` argument of forward and backward. A user may set any other attribute on it.

    Attributes:
        needs_input_grad: for each argument of the forward, whether its gradient is needed.
    """

    needs_input_grad: tuple[bool, ...]

    def __init__(self) -> None:
        """Make a context without saved tensors."""
        self._state = State()

    def save_for_backward(self, *tensors: Any) -> None:
        """Save tensors, or None, which the backward gets as ``ctx.saved_tensors``.

        Inputs and outputs stay connected to the graph; other tensors are constants.

        Raises:
            ConfigurationError: for anything else, which must be an attribute of ``ctx``.
        """
        for index, one in enumerate(tensors):
            if one is not None and not isinstance(one, Tensor):
                raise ConfigurationError(
                    f"save_for_backward: expected tensors or None, got {type(one).__name__} as "
                    f"argument {index}; set it as an attribute, such as ctx.size = size"
                )
        self._state.to_save = tensors

    def mark_non_differentiable(self, *outputs: Any) -> None:
        """Mark outputs that have no gradient."""
        self._state.constant = outputs

    def mark_dirty(self, *inputs: Any) -> None:
        """Mark inputs that the forward changed in place; it must return them as outputs."""
        self._state.dirty = inputs

    def set_materialize_grads(self, value: bool) -> None:
        """Choose what the backward gets for an output that is not used: zeros, or None if False."""
        self._state.materialize = value

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The tensors of ``save_for_backward``.

        Raises:
            GradientError: if one of them was changed in place after the forward.
        """
        state = self._state
        if state.saved is None:
            return state.to_save
        return tuple([None if one is None else one.tensor(state.node) for one in state.saved])
