"""One training step, call by call: what the registry ran, and the numbers that went in and out.

The model is left as it was: parameters, gradients, buffers and random numbers.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from nnscratch.array import is_array
from nnscratch.errors import ConfigurationError
from nnscratch.formulas import Formula, registry
from nnscratch.formulas.observing import Call
from nnscratch.graph import LayerTracker
from nnscratch.graph.nested import leaves
from nnscratch.inspect.closer import closer_look
from nnscratch.inspect.costs import left_as_it_was
from nnscratch.inspect.numbers import ArrayFacts, numbers
from nnscratch.nn.module import Module
from nnscratch.tensors import Tensor, as_tensor
from nnscratch.tensors.grad_mode import enable_grad
from nnscratch.train.losses import loss_for
from nnscratch.verify.watch.anomaly import named_inputs, named_outputs


@dataclass(frozen=True)
class Step:
    """One call of a formula in a training step.

    Attributes:
        formula: which one.
        direction: "forward", "backward" or "update": the part of the training step.
        ran: which of the formula's functions. In a backward it is the forward where the chain rule
            adds the gradients of several uses, or sums those of what was broadcast.
        layer: the path of the module in which it ran, of an update that of the parameter; empty
            in the model itself.
        kind: the class of that module, "loss" outside of the model, "chain rule" of a forward in
            the backward.
        implementation: which one ran, such as "reference" or "numba".
        inputs: the arrays of a forward; of a backward dY, then what the forward saved; of an
            update the parameter, its gradient and the state as they were.
        outputs: those of a forward; of a backward the gradients that were asked for; of an update
            the parameter and the state as they are then.
        options: the options that are not the default, and numbers among the inputs, as text.
        closer: of a convolution one window, of an attention the weights.
        of: of a backward the number of its forward among the steps, from 0.
        sources: for each of the inputs the number of the step that made it; None if none did.
    """

    formula: Formula
    direction: str
    layer: str
    kind: str
    implementation: str
    inputs: tuple[ArrayFacts, ...]
    outputs: tuple[ArrayFacts, ...]
    options: tuple[tuple[str, str], ...]
    closer: tuple[ArrayFacts, ...] = ()
    ran: str = ""
    of: int | None = None
    sources: tuple[int | None, ...] = ()

    @property
    def where(self) -> str:
        """The layer in words: "fc1 (Linear)"."""
        return f"{self.layer} ({self.kind})" if self.layer else self.kind


@dataclass(frozen=True)
class TrainingStep:
    """A forward and a backward of a model, and the update by an optimizer if there is one.

    Attributes:
        loss: its value.
        steps: the calls in the order in which they ran.
    """

    loss: float
    steps: tuple[Step, ...]


class StepRecorder(LayerTracker):
    """Keeps what is shown of every call.

    Attributes:
        steps: the calls so far.
        turned: whether the backward has begun.
    """

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[Step] = []
        self.turned = False
        self._forwards: dict[int, int] = {}
        self._makers: dict[int, tuple[weakref.ref[Any], int]] = {}

    def on_call(self, call: Call) -> None:
        """Keep what is shown of a call; later the arrays may have other values."""
        layer = self.layer_of(call)
        if call.direction == "update" or not any(map(is_array, call.outputs)):
            return
        given, made = named_inputs(call), named_outputs(call)
        if call.direction == "forward":
            made = _result_named(call.formula, made)
        else:
            given = _result_named(call.formula, given)
        number, outside = len(self.steps), "loss"
        of = self._forwards.get(id(call.saved)) if call.direction == "backward" else None
        if call.direction == "forward" and not self.turned:
            self._forwards[id(call.saved)] = number
        elif call.direction == "forward":
            outside = "chain rule"
        self.steps.append(
            Step(
                formula=call.formula,
                direction="backward" if self.turned else "forward",
                layer="" if layer is None else layer.path,
                kind=outside if layer is None else type(layer.module).__name__,
                implementation=call.implementation,
                inputs=_arrays(given),
                outputs=_arrays(made),
                options=_options(call, given),
                closer=closer_look(call),
                ran=call.direction,
                of=of,
                sources=tuple(self._maker(value) for _, value in given if is_array(value)),
            )
        )
        for _, value in made:
            if is_array(value):
                self._makers[id(value)] = weakref.ref(value), number

    def _maker(self, array: Any) -> int | None:
        """Return the number of the step that made an array, which is still that very one."""
        made, number = self._makers.get(id(array), (None, None))
        return number if made is not None and made() is array else None


def training_step(
    model: Module,
    inputs: Sequence[Any],
    loss: Any = None,
    target: Any = None,
    updates: Callable[[Module], tuple[Step, ...]] | None = None,
) -> TrainingStep:
    """Take a forward and a backward of a model in its present mode, and leave it as it was.

    Args:
        model: the model.
        inputs: what it is called with, tensors or arrays.
        loss: as for ``fit``, by name, a module or a function of output and target; a function of
            the output alone where there is no target.
        target: the target of the loss, a tensor or an array.
        updates: returns the updates of the model, once it has its gradients.

    Raises:
        ConfigurationError: if the loss is no single number, nothing in the model asks for a
            gradient, or there is neither loss nor target.
    """
    given = [as_tensor(item) if is_array(item) else item for item in inputs]
    wanted = as_tensor(target) if is_array(target) else target
    recorder = StepRecorder()
    differentiated = _leaves(model, loss, (*given, wanted))
    with left_as_it_was(model), _gradients_kept(differentiated):
        with enable_grad(), registry.observing(recorder):
            value = _loss(loss, model(*given), wanted)
            if not isinstance(value, Tensor) or value.numel() != 1:
                got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value)
                raise ConfigurationError(
                    f"explain: expected a loss that is one number, got {got}; take its mean or sum"
                )
            if not value.requires_grad:
                raise ConfigurationError(
                    "explain: nothing that the loss depends on asks for a gradient, so there is no "
                    "backward to show; call requires_grad_() on the model or on an input"
                )
            recorder.turned = True
            value.backward()
        steps = (*recorder.steps, *(() if updates is None else updates(model)))
    return TrainingStep(float(value.item()), steps)


def _loss(loss: Any, output: Any, target: Any) -> Any:
    if target is not None:
        return loss_for(loss, output, target)(output, target)
    if not callable(loss) or isinstance(loss, type):
        raise ConfigurationError(
            f"explain: loss={loss!r} needs a target to compare with, target=...; without one, loss "
            "is a function of the output"
        )
    chosen: Callable[[Any], Any] = loss
    return chosen(output)


def _leaves(model: Module, loss: Any, given: Any) -> list[Tensor]:
    """Return what a step may give a gradient: parameters, of the loss too, buffers, inputs."""
    modules = [one for one in (model, loss) if isinstance(one, Module)]
    held = [tensor for one in modules for tensor in (*one.parameters(), *one.buffers())]
    passed = [one for one in leaves(given) if isinstance(one, Tensor) and one.node is None]
    return list({id(tensor): tensor for tensor in (*held, *passed)}.values())


@contextmanager
def _gradients_kept(tensors: Sequence[Tensor]) -> Iterator[None]:
    """Put the gradients of tensors aside for the block."""
    gradients = [(tensor, tensor.grad) for tensor in tensors]
    for tensor, _ in gradients:
        tensor.grad = None
    try:
        yield
    finally:
        for tensor, gradient in gradients:
            tensor.grad = gradient


def _result_named(formula: Formula, named: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Call a single output as the equation does: Z of a linear layer, L of a loss."""
    left = re.findall(r"(?<![A-Za-z\\])([A-Z]) =", formula.equation)
    left = [name for name in left if name not in formula.inputs]  # as in Y = [A = B]
    if formula.outputs or not left:
        return named
    (name, value), *others = named
    return [(name.replace("Y", left[-1]), value), *others]


def _arrays(named: Sequence[tuple[str, Any]]) -> tuple[ArrayFacts, ...]:
    return tuple(numbers(name, value) for name, value in named if is_array(value))


def _options(call: Call, given: Sequence[tuple[str, Any]]) -> tuple[tuple[str, str], ...]:
    if call.direction == "backward":
        return ()
    plain = [(name, value) for name, value in given if isinstance(value, (bool, int, float))]
    return short_options(dict(plain) | call.options)


def short_options(options: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return options as texts, without those that are None, arrays, or long.

    >>> short_options({"lr": 0.1, "mask": None})
    (('lr', '0.1'),)
    """
    told = [(n, repr(v)) for n, v in options.items() if v is not None and not is_array(v)]
    return tuple((name, text) for name, text in told if len(text) <= _LONGEST)


_LONGEST = 60
