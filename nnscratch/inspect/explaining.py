"""``explain``: the equations of a formula or a model, and where the code of each stands."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from nnscratch import nn, optim
from nnscratch.array import is_array
from nnscratch.errors import ConfigurationError
from nnscratch.formulas import FORMULAS, Formula
from nnscratch.inspect.calls import formula_in
from nnscratch.inspect.costs import LayerCost, example_inputs, layer_costs
from nnscratch.inspect.explanations import Explanation, Table
from nnscratch.inspect.steps import training_step
from nnscratch.inspect.table import shape_text
from nnscratch.inspect.updates import update_steps
from nnscratch.nn.module import Module
from nnscratch.tensors import Tensor

# Functions of nn.functional and classes of nn and optim whose formula has another name.
_OTHER_NAMES = {
    "adamw": "adam",
    "softmax2d": "softmax",
    "softmin": "softmax",
    "flatten": "reshape",
    "unflatten": "reshape",
    "square": "power",
}


def explain(
    subject: Any, /, *inputs: Any, loss: Any = None, target: Any = None, optimizer: Any = None
) -> Explanation:
    """Explain a formula or a model: its equations, its shapes, and where its code stands.

    Of a model there is also a table of its layers; with a shape or an input, each layer's shapes
    and the formulas that really ran in it. With a loss or a target, one training step is taken,
    forward and backward, call by call with the numbers of each; with an optimizer also the update
    of each parameter. Of a convolution one window is shown, of an attention its weights. The model
    and the optimizer are left as they were.

    Args:
        subject: a formula, its name, a function such as ``nn.functional.gelu``, a module or its
            class, an optimizer's class; or the name of one of these, such as "Adam".
        inputs: for a module: tensors to call it with, or shapes (batch dimension included).
        loss: as ``fit`` takes it: a name, a module or a function of output and target; of the
            output alone where there is no target.
        target: what the loss compares the output with.
        optimizer: its name, its class, or one of the model's parameters with its state.

    Returns:
        An explanation. Printed it is text, in a notebook it is HTML, and ``save("step.html")``
        writes a page on which a step is gone through forward and backward.

    Raises:
        ConfigurationError: if it is none of these, or the loss is not a number.

    >>> explain("tanh")  # doctest: +ELLIPSIS
    tanh: Compute the hyperbolic tangent.
    <BLANKLINE>
      forward   Y = tanh X
      backward  ∂L/∂X = ∂L/∂Y ⊙ (1 - Y²)
      shapes    X (any) -> Y (same)
      smooth    everywhere
      source    LeCun, Bottou, Orr and Müller 1998, Efficient BackProp
      code      ...sigmoids.py:... (forward)
                ...sigmoids.py:... (backward)
    ...

    >>> from nnscratch import nn, ones, zeros
    >>> line = nn.Linear(2, 1)
    >>> step = explain(line, ones(3, 2), loss="mse", target=zeros(3, 1))
    >>> [(one.formula.name, one.direction) for one in step.steps]
    [('linear', 'forward'), ('mse', 'forward'), ('mse', 'backward'), ('linear', 'backward')]
    """
    wanted = loss is not None or target is not None
    if (wanted or optimizer is not None) and not (
        isinstance(subject, Module) and inputs and wanted
    ):
        raise ConfigurationError(
            "explain: loss, target and optimizer are of a training step, which needs a module and "
            "its inputs: explain(model, x, loss='mse', target=y)"
        )
    if wanted and not all(isinstance(item, Tensor) or is_array(item) for item in inputs):
        raise ConfigurationError(
            "explain: a training step needs the numbers of its inputs, tensors or arrays, got "
            f"{', '.join(type(item).__name__ for item in inputs)}"
        )
    updates = None if optimizer is None else partial(update_steps, optimizer=optimizer)
    taken = training_step(subject, inputs, loss, target, updates) if wanted else None
    title, table, formulas = _parts(subject, inputs)
    if taken is not None:
        formulas = _distinct(step.formula.name for step in taken.steps)
    return Explanation(title, table, tuple(formulas), taken)


def _parts(target: Any, inputs: Sequence[Any]) -> tuple[str, Table | None, list[Formula]]:
    """Return a title, a table of layers (None for a formula), and the formulas to explain."""
    if isinstance(target, Module):
        title = type(target).__name__
        if inputs:
            shapes = inputs[0] if len(inputs) == 1 else list(inputs)
            costs = layer_costs(target, *example_inputs(target, shapes))
            names: Iterable[str] = (name for cost in costs for name in cost.formulas)
            return title, _called(costs), _distinct(names)
        layers = list(target.named_modules())
        found = [formula_of(type(module)) for _, module in layers]
        return title, _listed(target), _distinct(f.name for f in found if f is not None)
    formula = formula_of(target)
    if formula is None:
        known = difflib.get_close_matches(str(target), FORMULAS, n=3)
        hint = f"; did you mean {' or '.join(map(repr, known))}?" if known else ""
        what = (
            repr(target) if isinstance(target, str) else getattr(target, "__name__", repr(target))
        )
        raise ConfigurationError(
            "explain takes a formula, its name, a module, or a class or function that is one "
            f"formula; got {what}{hint}"
        )
    return formula.name, None, [formula]


def formula_of(target: Any) -> Formula | None:
    """Return the formula that a name, a function or a class of modules stands for, if it is one.

    >>> from nnscratch import nn
    >>> formula_of(nn.BCELoss), formula_of(nn.functional.mse_loss), formula_of(nn.Sequential)
    (<formula bce>, <formula mse>, None)
    """
    if isinstance(target, Formula):
        return target
    if isinstance(target, str):
        return FORMULAS.get(target) or _of_public_name(target)
    function: Callable[..., Any] | None = getattr(target, "function", None)
    public: dict[str, Formula] = {}
    for made in FORMULAS.values():
        if made.public is not None:
            public |= {made.public.function: made, made.public.module: made}
    for named in (function, target):
        name = str(getattr(named, "__name__", ""))
        if name and name in public:
            return public[name]
        for guess in (name, _snake(name), name.lower(), name.removesuffix("_loss")):
            guess = _OTHER_NAMES.get(guess, guess)
            if guess in FORMULAS:
                return FORMULAS[guess]
    return formula_in(target)


def _of_public_name(name: str) -> Formula | None:
    """Return the formula of a public name of ``nn``, ``nn.functional`` or ``optim``."""
    for room in (nn, nn.functional, optim):
        if name in room.__all__:
            return formula_of(getattr(room, name))
    return None


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _distinct(names: Iterable[str]) -> list[Formula]:
    return [FORMULAS[name] for name in dict.fromkeys(names)]


def _called(costs: Sequence[LayerCost]) -> Table:
    rows = [
        [
            _indented(cost.call.path, cost.call.depth),
            type(cost.call.module).__name__,
            shape_text(cost.call.inputs),
            shape_text(cost.call.outputs),
            _own_parameters(cost.call.module),
            ", ".join(dict.fromkeys(cost.formulas)) or "-",
        ]
        for cost in costs
    ]
    return ["layer", "kind", "input", "output", "parameters", "formula"], rows, [4]


def _listed(model: Module) -> Table:
    rows = []
    for path, module in model.named_modules():
        formula = formula_of(type(module))
        rows.append(
            [
                _indented(path, path.count(".") + 1 if path else 0),
                _layer(module),
                _own_parameters(module),
                "-" if formula is None else formula.name,
            ]
        )
    return ["layer", "kind", "parameters", "formula"], rows, [2]


def _indented(path: str, depth: int) -> str:
    return "  " * depth + (path.rpartition(".")[2] or "(the model)")


def _layer(module: Module) -> str:
    return type(module).__name__ if module._modules else repr(module)


def _own_parameters(module: Module) -> str:
    count = sum(parameter.numel() for parameter in module.parameters(recurse=False))
    return f"{count:,}" if count else "-"
