"""``explain``: the equations of a formula or a model, and where the code of each stands."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from nnscratch.errors import ConfigurationError
from nnscratch.formulas import FORMULAS, Formula, registry
from nnscratch.inspect.calls import formula_in
from nnscratch.inspect.costs import LayerCost, example_inputs, layer_costs
from nnscratch.inspect.latex import to_text
from nnscratch.inspect.locate import gradients_of, kinks_of, options_of, place_of, summary_of
from nnscratch.inspect.table import plain_table, shape_text, show_table
from nnscratch.nn.module import Module

# Functions of nn.functional and classes of nn whose formula has another name.
_OTHER_NAMES = {
    "softmax2d": "softmax",
    "softmin": "softmax",
    "flatten": "reshape",
    "unflatten": "reshape",
    "square": "power",
}
_Table = tuple[list[str], list[list[str]], list[int]]


def explain(target: Any, *inputs: Any) -> None:
    """Print the equations of a formula or a model, its shapes, and where its code stands.

    For a model also a table of its layers; with a shape or an input, each layer's shapes and the
    formulas that really ran in it.

    Args:
        target: a formula, its name, a function such as ``nn.functional.gelu``, a module or its
            class.
        inputs: for a module: tensors to call it with, or shapes (batch dimension included).

    Raises:
        ConfigurationError: if it is none of these.

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
    """
    title, table, formulas = _parts(target, inputs)
    if table is not None:
        show_table(*table, title=title)
        print()
    print(*map(formula_text, formulas), sep="\n\n")


def explanation(target: Any, *inputs: Any) -> str:
    """Return as plain text what ``explain`` prints.

    >>> from nnscratch import nn
    >>> print(explanation(nn.Linear(4, 2), (3, 4)).partition("linear:")[0].rstrip())
    Linear
    <BLANKLINE>
    layer        kind    input   output  parameters  formula
    --------------------------------------------------------
    (the model)  Linear  (3, 4)  (3, 2)          10  linear
    """
    title, table, formulas = _parts(target, inputs)
    head = [] if table is None else [title, plain_table(*table)]
    return "\n\n".join([*head, *map(formula_text, formulas)])


def formula_text(formula: Formula) -> str:
    """Return what there is to say of one formula."""
    lines = [f"{formula.name}: {_unmarked(summary_of(formula.forward))}", ""]
    facts = [("forward", to_text(formula.equation))]
    facts += [("backward", to_text(equation)) for equation in gradients_of(formula).values()]
    facts.append(("shapes", formula.shapes))
    if formula.backward is not None:
        kinks = kinks_of(formula)
        facts.append(("kinks", kinks) if kinks else ("smooth", "everywhere"))
    elif formula.updates:
        facts.append(("replaces", ", ".join(formula.updates)))
    options = options_of(formula)
    if options:
        named = (f"{name}={value}" if value else name for name, value in options.items())
        facts.append(("options", ", ".join(named)))
    facts.append(("source", formula.source))
    facts.append(("code", f"{place_of(formula.forward)} (forward)"))
    if formula.backward is not None:
        facts.append(("code", f"{place_of(formula.backward)} (backward)"))
    names = [implementation.name for implementation in registry.implementations(formula.name)]
    if names:
        facts.append(("kernels", ", ".join(names)))
    before = ""
    for name, value in facts:
        lines.append(f"  {'' if name == before else name:<8}  {value}")
        before = name
    return "\n".join(lines)


def _parts(target: Any, inputs: Sequence[Any]) -> tuple[str, _Table | None, list[Formula]]:
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
        return FORMULAS.get(target)
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


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _distinct(names: Iterable[str]) -> list[Formula]:
    return [FORMULAS[name] for name in dict.fromkeys(names)]


def _called(costs: Sequence[LayerCost]) -> _Table:
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


def _listed(model: Module) -> _Table:
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


def _unmarked(text: str) -> str:
    """Return a docstring's words without the marks of LaTeX and code."""
    return re.sub(r"\$([^$]*)\$", lambda found: to_text(found[1]), text).replace("``", "")
