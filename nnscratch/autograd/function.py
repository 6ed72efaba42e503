"""``Function``: an operation with a user-defined forward and backward, as in PyTorch."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from nnscratch.array.dtypes import is_inexact
from nnscratch.autograd.context import FunctionCtx, state_of
from nnscratch.autograd.function_node import FunctionNode, OnceDifferentiable, put_into_graph
from nnscratch.errors import ConfigurationError
from nnscratch.tensors import Tensor, is_grad_enabled, set_grad_enabled

__all__ = ["Function", "FunctionCtx", "once_differentiable"]


class Function:
    """An operation whose derivative the user defines.

    A subclass has two static methods. ``forward(ctx, ...)`` returns a tensor or several.
    ``backward(ctx, ...)`` takes ∂L/∂output for each output, and returns ∂L/∂argument, or None, for
    each argument of the forward. Instead of taking ``ctx``, the forward may leave the saving to a
    third static method ``setup_context(ctx, inputs, output)``.

    Call ``apply``, not the class. A backward that computes with tensors can be differentiated
    again.

    >>> import nnscratch
    >>> class Cube(Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x * x
    ...     @staticmethod
    ...     def backward(ctx, dy):
    ...         (x,) = ctx.saved_tensors
    ...         return dy * 3 * x * x
    >>> x = nnscratch.tensor(2.0, requires_grad=True)
    >>> Cube.apply(x).backward()
    >>> x.grad
    tensor(12.)
    """

    def __init__(self, *_: Any, **__: Any) -> None:
        """Raise an error: a ``Function`` has no instances.

        Raises:
            ConfigurationError: always.
        """
        name = type(self).__name__
        raise ConfigurationError(
            f"{name} is a Function, which has no instances; make forward and backward static "
            f"methods and call {name}.apply(...)"
        )

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Return the output or outputs; a subclass must override it.

        Raises:
            ConfigurationError: if the subclass does not.
        """
        raise ConfigurationError("a Function needs a static method forward(ctx, ...)")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Save what the backward needs; override it if ``forward`` takes no ``ctx``."""

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """Return a gradient, or None, for each argument of the forward; a subclass overrides it.

        Raises:
            ConfigurationError: if the subclass does not.
        """
        raise ConfigurationError("a Function needs a static method backward(ctx, ...)")

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Call the forward with its arguments, tensors and others, and record the call.

        Returns:
            What the forward returns; its floating-point and complex tensors are part of the graph
            if an argument has ``requires_grad=True``.
        """
        apart = cls.setup_context is not Function.setup_context
        if kwargs or apart:
            args = cls._bound(args, kwargs, apart)
        context = FunctionCtx()
        context.needs_input_grad = tuple(
            [isinstance(one, Tensor) and one.requires_grad for one in args]
        )
        recorded = is_grad_enabled() and any(context.needs_input_grad)
        # Made before the forward runs, because an input that it changes in place gets another node.
        call = FunctionNode(cls, context, args) if recorded else None
        with set_grad_enabled(False):
            if apart:
                output = cls.forward(*args)
                cls.setup_context(context, args, output)
            else:
                output = cls.forward(context, *args)
        if call is None:
            return output
        several = isinstance(output, (tuple, list))
        outputs = list(output) if several else [output]
        made = put_into_graph(call, context, args, outputs)
        if not several:
            return made[0]
        fields = getattr(type(output), "_fields", None)
        return type(output)(*made) if fields else type(output)(made)

    @classmethod
    def _bound(cls, args: Any, kwargs: Any, apart: bool) -> tuple[Any, ...]:
        """Return all arguments by position; with a ``setup_context``, defaults included.

        Raises:
            ConfigurationError: if an argument can be given by keyword only.
        """
        first = () if apart else (None,)
        bound = inspect.signature(cls.forward).bind(*first, *args, **kwargs)
        if apart:
            bound.apply_defaults()
        if bound.kwargs:
            raise ConfigurationError(
                f"{cls.__name__}.apply: {', '.join(bound.kwargs)} can be given by keyword only, "
                "and the backward has no place for the gradient; let forward take it by position"
            )
        return bound.args[len(first) :]


def once_differentiable(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a backward that cannot be differentiated again, such as one that computes in NumPy.

    Under ``create_graph=True``, differentiating its results raises a ``GradientError``.

    >>> import nnscratch
    >>> class Square(Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x
    ...     @staticmethod
    ...     @once_differentiable
    ...     def backward(ctx, dy):
    ...         return nnscratch.tensor(2 * dy.numpy() * ctx.saved_tensors[0].detach().numpy())
    >>> x = nnscratch.tensor(3.0, requires_grad=True)
    >>> Square.apply(x).backward()
    >>> x.grad
    tensor(6.)
    """

    @functools.wraps(function)
    def wrapped(ctx: Any, *grad_outputs: Any) -> Any:
        recorded = is_grad_enabled()
        with set_grad_enabled(False):
            plain = [one.detach() if isinstance(one, Tensor) else one for one in grad_outputs]
            output = function(ctx, *plain)
        node = state_of(ctx).node
        if not recorded or node is None:
            return output
        several = isinstance(output, (tuple, list))
        edges = tuple([edge for edge in node.edges if edge is not None])
        made = []
        for one in output if several else (output,):
            if isinstance(one, Tensor) and is_inexact(one.array):
                one = one.detach()
                one.node = OnceDifferentiable(node.formula, None, edges, (None,) * len(edges), ())
                one.requires_grad = True
            made.append(one)
        return tuple(made) if several else made[0]

    return wrapped
