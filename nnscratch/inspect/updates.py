"""The update of a training step: what an optimizer makes of each parameter, tried on copies."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nnscratch.array import is_array, to_numpy
from nnscratch.errors import ConfigurationError
from nnscratch.formulas import Formula, registry
from nnscratch.formulas.observing import Call, Observer
from nnscratch.inspect.numbers import numbers
from nnscratch.inspect.steps import Step, short_options
from nnscratch.nn import Parameter
from nnscratch.nn.module import Module
from nnscratch.optim import Optimizer
from nnscratch.tensors import Tensor
from nnscratch.train.choices import OPTIMIZERS, choose


class _Updates(Observer):
    """Keeps the updates by one formula."""

    def __init__(self, formula: Formula) -> None:
        self.formula = formula
        self.calls: list[Call] = []

    def on_call(self, call: Call) -> None:
        """Keep an update."""
        if call.direction == "update" and call.formula is self.formula:
            self.calls.append(call)


def update_steps(model: Module, optimizer: Any) -> tuple[Step, ...]:
    """Return the update of each parameter that has a gradient, and leave all as it was.

    Args:
        model: whose parameters have their gradients.
        optimizer: a name as for ``fit``, a class or function of the parameters, or an optimizer of
            this model, whose state is taken into account.

    Raises:
        ConfigurationError: if the optimizer is unknown, has not this model's parameters, or is no
            formula of one parameter, as LBFGS.
    """
    paths = {id(p): path for path, p in model.named_parameters()}
    steps = []
    for parameter, fresh_of in _makers(model, optimizer):
        if parameter.grad is None or id(parameter) not in paths:
            continue
        path = paths[id(parameter)]
        kind = type(model.get_submodule(path.rpartition(".")[0])).__name__
        steps.append(_step(parameter, fresh_of, path, kind))
    return tuple(steps)


_Fresh = Callable[[Tensor], tuple[Optimizer, Mapping[str, Any]]]


def _makers(model: Module, optimizer: Any) -> list[tuple[Tensor, _Fresh]]:
    """Return the parameters, and for each what makes an optimizer of its copy, and its state."""
    if not isinstance(optimizer, Optimizer):
        make = optimizer
        if isinstance(optimizer, str):
            make = OPTIMIZERS[choose(optimizer.lower(), OPTIMIZERS, "optimizer")]
        if not callable(make):
            raise ConfigurationError(
                f"explain: optimizer is a name, a class or an optimizer, got {optimizer!r}"
            )
        return [(parameter, lambda copy: (make([copy]), {})) for parameter in model.parameters()]
    own = {id(parameter) for parameter in model.parameters()}
    state = optimizer.state_dict()["state"]
    found: list[tuple[Tensor, _Fresh]] = []
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if id(parameter) not in own:
                raise ConfigurationError(
                    "explain: the optimizer has parameters that are not the model's; give it one "
                    "that was made of model.parameters()"
                )
            entry = state.get(len(found), {})
            found.append((parameter, _like(optimizer, group, entry)))
    return found


def _like(optimizer: Optimizer, group: Mapping[str, Any], entry: Mapping[str, Any]) -> _Fresh:
    def fresh(copy: Tensor) -> tuple[Optimizer, Mapping[str, Any]]:
        kind: Any = type(optimizer)
        known = inspect.signature(kind).parameters
        options = {name: value for name, value in optimizer.defaults.items() if name in known}
        made: Optimizer = kind([{**group, "params": [copy]}], **options)
        if entry:
            groups = made.state_dict()["param_groups"]
            made.load_state_dict({"state": {0: entry}, "param_groups": groups})
        return made, entry

    return fresh


def _step(parameter: Tensor, fresh_of: _Fresh, path: str, kind: str) -> Step:
    before = to_numpy(parameter.detach().array).copy()
    copy = Parameter(parameter.detach().clone())
    assert parameter.grad is not None
    copy.grad = parameter.grad.clone()
    gradient = to_numpy(copy.grad.array).copy()
    optimizer, entry = fresh_of(copy)
    formula: Any = getattr(optimizer, "formula", None) or getattr(optimizer, "update", None)
    if not isinstance(formula, Formula):
        raise ConfigurationError(
            f"explain: {type(optimizer).__name__} is no formula of one parameter, so there is no "
            "update to show; leave out optimizer"
        )
    group = optimizer.param_groups[0]
    names = _state_names(optimizer, group, copy)
    start = optimizer.initial_state(group)
    with registry.observing(seen := _Updates(formula)):
        optimizer.step()
    (call,) = seen.calls
    state = dict(optimizer.state[copy])
    given = [(formula.inputs[0], before), (formula.inputs[1], gradient)]
    made: list[tuple[str, Any]] = [(formula.inputs[0], to_numpy(copy.detach().array))]
    for letter, name in zip(formula.inputs[2:], names, strict=False):
        if name is None or name not in state:
            continue
        after = _array(state[name])
        was = entry[name] if name in entry else np.full_like(after, start.get(name, 0.0))
        given.append((letter, _array(was)))
        made.append((letter, after))
    return Step(
        formula=formula,
        direction="update",
        layer=path,
        kind=kind,
        implementation=call.implementation,
        inputs=tuple(numbers(name, array) for name, array in given),
        outputs=tuple(numbers(name, array) for name, array in made),
        options=short_options(call.options),
        ran="update",
    )


def _state_names(
    optimizer: Any, group: Mapping[str, Any], parameter: Tensor
) -> tuple[str | None, ...]:
    """Return the names of the state in the order of the formula's inputs."""
    if hasattr(optimizer, "formula"):
        return tuple(optimizer.state_names(group))
    return tuple(optimizer.state_shapes(group, tuple(parameter.shape)))


def _array(value: Any) -> Any:
    value = value.detach().array if isinstance(value, Tensor) else value
    return to_numpy(value) if is_array(value) else np.asarray(value)
