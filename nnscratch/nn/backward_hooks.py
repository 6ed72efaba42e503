"""Hooks that see the gradients of a module: of its outputs, and then of its inputs."""

from __future__ import annotations

from typing import Any

from nnscratch.autograd import Function
from nnscratch.errors import GradientError
from nnscratch.tensors import Tensor, is_grad_enabled


class Passage:
    """One call of a module whose backward hooks are waiting.

    Its inputs go through one identity and its outputs through another, whose backwards call the
    hooks: in between, the gradient passes through the module.
    """

    def __init__(self, module: Any) -> None:
        """Take a module with its hooks of now."""
        self._module = module
        self._before = [hook.function for hook in module._backward_pre_hooks]
        self._after = [hook.function for hook in module._backward_hooks]
        self._inputs = 0
        self._asked = False
        self._gradients: tuple[Any, ...] | None = None

    def enter(self, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the inputs by position as the module is to get them."""
        self._inputs, self._asked = len(inputs), _has_graph(inputs)
        return _Inputs.apply(self, *inputs) if self._asked else inputs

    def leave(self, output: Any) -> Any:
        """Return the output as the caller is to get it."""
        outputs = output if isinstance(output, tuple) else (output,)
        if not _has_graph(outputs):
            return output
        made = _Outputs.apply(self, *outputs)
        if not isinstance(output, tuple):
            return made[0]
        return type(output)(*made) if hasattr(output, "_fields") else made

    def before(self, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        """Call the pre-hooks with ∂L/∂outputs; return them as they are from then on."""
        for hook in self._before:
            gradients = _replaced("pre-hook", hook(self._module, gradients), gradients)
        if self._asked:
            self._gradients = gradients
            return gradients
        nothing = (None,) * self._inputs
        for hook in self._after:
            given = hook(self._module, nothing, gradients)
            if given is not None and any(one is not None for one in given):
                raise GradientError(
                    "a full backward hook replaces gradients of inputs, and no input of "
                    f"{type(self._module).__name__} has requires_grad=True; return None"
                )
        return gradients

    def after(self, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        """Call the hooks with ∂L/∂inputs and ∂L/∂outputs; return what replaces the former."""
        above, self._gradients = self._gradients, None
        if above is None:  # it comes past the outputs, as in a backward of a recorded backward
            return gradients
        for hook in self._after:
            gradients = _replaced("hook", hook(self._module, gradients, above), gradients)
        return gradients


class _Inputs(Function):
    @staticmethod
    def forward(ctx: Any, passage: Passage, *inputs: Any) -> Any:
        ctx.passage = passage
        ctx.mark_non_differentiable(*_without_gradient(inputs))
        return inputs

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        needs = ctx.needs_input_grad[1:]
        given = tuple([dX if need else None for dX, need in zip(gradients, needs, strict=True)])
        return None, *ctx.passage.after(given)


class _Outputs(Function):
    @staticmethod
    def forward(ctx: Any, passage: Passage, *outputs: Any) -> Any:
        ctx.passage = passage
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*_without_gradient(outputs))
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return None, *ctx.passage.before(gradients)


def _has_graph(items: tuple[Any, ...]) -> bool:
    return is_grad_enabled() and any(isinstance(x, Tensor) and x.requires_grad for x in items)


def _without_gradient(items: tuple[Any, ...]) -> list[Any]:
    return [x for x in items if isinstance(x, Tensor) and not x.requires_grad]


def _replaced(kind: str, given: Any, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
    if given is None:
        return gradients
    if not isinstance(given, (tuple, list)) or len(given) != len(gradients):
        count = f" of {len(given)}" if isinstance(given, (tuple, list)) else ""
        raise GradientError(
            f"a full backward {kind} returns None or a tuple of {len(gradients)} gradients, got "
            f"{type(given).__name__}{count}"
        )
    return tuple(given)
