"""``Function``: a forward and a backward of one's own on tensors, with PyTorch's interface."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnscratch.array import is_floating
from nnscratch.array.dtypes import dtype_name
from nnscratch.errors import ConfigurationError, GradientError
from nnscratch.formulas import CAST, SUM_TO
from nnscratch.formulas.checks import broadcast_shape
from nnscratch.tensors import Tensor, is_grad_enabled, set_grad_enabled
from nnscratch.tensors.asking import place
from nnscratch.tensors.tape import Node, Parts, changed_in_place

__all__ = ["Function", "FunctionCtx", "once_differentiable"]


_WORDS = Tensor(np.empty(0)).__array_namespace__()


class FunctionCtx:
    """What a forward leaves for its backward: ``ctx``. Attributes may be set at will.

    Attributes:
        needs_input_grad: for each argument of the forward whether its gradient is asked for.
    """

    needs_input_grad: tuple[bool, ...]

    def __init__(self) -> None:
        """Start with nothing saved."""
        self._to_save: tuple[Any, ...] = ()
        self._saved: tuple[Any, ...] | None = None
        self._constant: tuple[Any, ...] = ()
        self._dirty: tuple[Any, ...] = ()
        self._materialize = True
        self._node: Any = None

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
        self._to_save = tensors

    def mark_non_differentiable(self, *outputs: Any) -> None:
        """Say which outputs have no gradient."""
        self._constant = outputs

    def mark_dirty(self, *inputs: Any) -> None:
        """Say which inputs the forward changed in place; it has to return them."""
        self._dirty = inputs

    def set_materialize_grads(self, value: bool) -> None:
        """Choose what the backward gets for an output that is not used: zeros, or None if False."""
        self._materialize = value

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The tensors that were saved.

        Raises:
            GradientError: if one was changed in place after the forward.
        """
        if self._saved is None:
            return self._to_save
        return tuple([None if one is None else one.tensor(self._node) for one in self._saved])


@dataclass
class _Saved:
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
            made.node = node if self.spot is None else _Output(node, self.spot)
        made.requires_grad = made.node is not None
        return made


@dataclass(frozen=True)
class _Named:
    """What the tape asks of a node's formula: its name, and whether gradients may be shared."""

    name: str
    aliases: bool = True


class _Call(Node):
    """One recorded call of a ``Function``."""

    __slots__ = ("context", "function", "inputs", "outputs")

    def __init__(self, function: Any, context: FunctionCtx, arguments: Sequence[Any]) -> None:
        edges: list[Any] = []
        forms: list[Any] = []
        for one in arguments:
            tensor = isinstance(one, Tensor)
            edges.append(place(one) if tensor and one.requires_grad else None)
            forms.append((one.shape, one.dtype, one.device) if tensor else None)
        named: Any = _Named(function.__name__)
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
        parts = dY if type(dY) is Parts else Parts({0: dY})
        recorded = isinstance(next(iter(parts.values())), Tensor)
        given = []
        for index, form in enumerate(self.outputs):
            part = parts.get(index)
            if part is None:
                given.append(_zeros(form) if context._materialize and form else None)
            else:
                given.append(part if recorded else Tensor(part))
        context.needs_input_grad = needs
        context._node = self  # while it is needed: else the two would keep each other alive
        with set_grad_enabled(recorded):
            try:
                made = self.function.backward(context, *given)
            finally:
                context._node = None
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


class _Output(Node):
    """One of several outputs of a call: it hands its gradient on, with its number."""

    __slots__ = ("index",)

    def __init__(self, call: _Call, index: int) -> None:
        super().__init__(call.formula, None, (call,), (None,), ())
        self.index = index

    def gradients(self, dY: Any, needs: tuple[bool, ...]) -> tuple[Any, ...]:
        """Return the gradient, as that of one of several outputs."""
        return super().gradients(dY, needs) if not self.edges else (Parts({self.index: dY}),)


def _zeros(form: Any) -> Any:
    shape, dtype, device = form
    return _WORDS.zeros(shape, dtype=dtype, device=device)


def _broadcasts(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    try:
        return broadcast_shape("", shape, other) == other
    except ValueError:
        return False


class Function:
    """An operation with a derivative of one's own.

    A subclass has two static methods: ``forward(ctx, ...)`` returns a tensor or several, and
    ``backward(ctx, ...)`` takes a gradient for each output and returns one, or None, for each
    argument of the forward. Instead of ``ctx`` in the forward there may be a third one,
    ``setup_context(ctx, inputs, output)``. It is called by ``apply``. A backward that is written
    with tensors has derivatives of its own.

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
        """Refuse: a function is not made, it is applied.

        Raises:
            ConfigurationError: always.
        """
        name = type(self).__name__
        raise ConfigurationError(
            f"{name} is not made into an object; call {name}.apply(...), with static methods "
            "forward and backward"
        )

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Return the output or outputs; a subclass says how.

        Raises:
            ConfigurationError: if it does not.
        """
        raise ConfigurationError("a Function needs a static method forward(ctx, ...)")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Save what the backward needs, where ``forward`` has no ``ctx``."""

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """Return a gradient for each argument of the forward; a subclass says how.

        Raises:
            ConfigurationError: if it does not.
        """
        raise ConfigurationError("a Function needs a static method backward(ctx, ...)")

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Call the forward on tensors and whatever else it takes, and record it.

        Returns:
            what the forward returns, its tensors in a graph if an argument asks for a gradient.
        """
        apart = cls.setup_context is not Function.setup_context
        if kwargs or apart:
            args = cls._bound(args, kwargs, apart)
        context = FunctionCtx()
        context.needs_input_grad = tuple(
            [isinstance(one, Tensor) and one.requires_grad for one in args]
        )
        recorded = is_grad_enabled() and any(context.needs_input_grad)
        # What the forward changes in place has another node afterwards.
        call = _Call(cls, context, args) if recorded else None
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
        made = _recorded(call, context, args, outputs)
        if not several:
            return made[0]
        fields = getattr(type(output), "_fields", None)
        return type(output)(*made) if fields else type(output)(made)

    @classmethod
    def _bound(cls, args: Any, kwargs: Any, apart: bool) -> tuple[Any, ...]:
        """Return keyword arguments, and defaults, in their places."""
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


def _refuse_leaf(call: _Call, tensor: Any) -> None:
    if tensor.requires_grad and tensor.node is None:
        raise GradientError(
            f"{call.formula.name} changes a leaf that asks for a gradient in place; give it "
            "x.clone(), or change it under no_grad()"
        )


def _recorded(
    call: _Call, context: FunctionCtx, arguments: tuple[Any, ...], outputs: list[Any]
) -> list[Any]:
    """Put the outputs of a forward into the graph, and keep what it saved."""
    constant = {id(one) for one in context._constant}
    dirty = {id(one) for one in context._dirty}
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
    for one in context._to_save:
        if one is None:
            kept.append(None)
            continue
        as_given = id(one) in given and id(one) not in dirty
        output = None if as_given else number.get(id(one))
        held = one if output is None else None
        spot = output if several else None
        kept.append(_Saved(held, one.array, one._version, one._version[0], one.node, spot))
    context._saved, context._to_save = tuple(kept), ()
    context._constant = context._dirty = ()
    for index in spots:
        made[index].node = _Output(call, index) if several else call
        made[index].requires_grad = True
    return made


class _Once(Node):
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


def once_differentiable(function: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a backward that may leave tensors: its results have no derivative, which is an error.

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
        node = ctx._node
        if not recorded or node is None:
            return output
        several = isinstance(output, (tuple, list))
        edges = tuple([edge for edge in node.edges if edge is not None])
        made = []
        for one in output if several else (output,):
            if isinstance(one, Tensor) and is_floating(one.array):
                one = one.detach()
                one.node = _Once(node.formula, None, edges, (None,) * len(edges), ())
                one.requires_grad = True
            made.append(one)
        return tuple(made) if several else made[0]

    return wrapped
