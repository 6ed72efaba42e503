"""``ctx``: what the forward of a ``Function`` leaves for its backward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnscratch.errors import ConfigurationError
from nnscratch.tensors import Tensor


@dataclass
class State:
    """What the methods of a ``ctx`` have set, apart from the attributes of a user.

    Attributes:
        to_save: the tensors to save.
        saved: what was made of them when the forward had returned; None before.
        constant: outputs that have no gradient.
        dirty: inputs that the forward changed in place.
        materialize: whether the backward gets zeros for an output that is not used.
        node: the node whose backward runs, None at all other times.
    """

    to_save: tuple[Any, ...] = ()
    saved: tuple[Any, ...] | None = None
    constant: tuple[Any, ...] = ()
    dirty: tuple[Any, ...] = ()
    materialize: bool = True
    node: Any = None


def state_of(ctx: FunctionCtx) -> State:
    """Return what the methods of a ``ctx`` have set."""
    return ctx._state


class FunctionCtx:
    """What a forward leaves for its backward: ``ctx``. Attributes may be set at will.

    Attributes:
        needs_input_grad: for each argument of the forward whether its gradient is asked for.
    """

    needs_input_grad: tuple[bool, ...]

    def __init__(self) -> None:
        """Start with nothing saved."""
        self._state = State()

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors (or None) for the backward: inputs, outputs, or others, as constants.

        Raises:
            ConfigurationError: for anything else, which is kept as an attribute of ``ctx``.
        """
        for index, one in enumerate(tensors):
            if one is not None and not isinstance(one, Tensor):
                raise ConfigurationError(
                    f"save_for_backward: expected tensors or None, got {type(one).__name__} as "
                    f"argument {index}; set it as an attribute, such as ctx.size = size"
                )
        self._state.to_save = tensors

    def mark_non_differentiable(self, *outputs: Any) -> None:
        """Say which outputs have no gradient."""
        self._state.constant = outputs

    def mark_dirty(self, *inputs: Any) -> None:
        """Say which inputs the forward changed in place; it has to return them."""
        self._state.dirty = inputs

    def set_materialize_grads(self, value: bool) -> None:
        """Choose what the backward gets for an output that is not used: zeros, or None if False."""
        self._state.materialize = value

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The tensors that were saved.

        Raises:
            GradientError: if one was changed in place after the forward.
        """
        state = self._state
        if state.saved is None:
            return state.to_save
        return tuple([None if one is None else one.tensor(state.node) for one in state.saved])
