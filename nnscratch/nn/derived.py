"""Activations made from formulas: what functions and modules would say is what the formula says.

Nothing is listed here. ``derived_functions`` and ``derived_modules`` hold what is made of the
project's formulas, and of one that is made later by the time that somebody asks for it.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

from nnscratch.formulas import FORMULAS, Formula, Public
from nnscratch.formulas.written import written
from nnscratch.nn.options import FunctionModule
from nnscratch.tensors import Tensor, apply, as_tensor


def made_of(kind: str, written_by: str = "") -> Iterator[tuple[Formula, Public]]:
    """Yield the formulas of a kind ("activation" or "loss"), and what users know them by.

    Args:
        kind: of the formulas.
        written_by: leave those out whose "function" or "module" is written by hand.
    """
    for made in tuple(FORMULAS.values()):
        public = made.public
        if public is None or public.kind != kind:
            continue
        if not written_by or getattr(public, written_by) not in ("", *public.by_hand):
            yield made, public


def activations(written_by: str = "") -> Iterator[tuple[Formula, Public]]:
    """Yield the activations that are one body, as ``made_of`` does."""
    for made, public in made_of("activation", written_by):
        if made.pointwise is not None:
            yield made, public


def function_from(
    head: list[str], body: list[str], scope: dict[str, Any], module: str, name: str, doc: str
) -> Callable[..., Tensor]:
    """Return a function with its text, as if it stood in a module.

    Args:
        head: its arguments, as they are written.
        body: its lines.
        scope: what these use.
        module: the name of the Python module that it will be found in.
        name: its name.
        doc: its docstring.
    """
    lines = [
        "from __future__ import annotations",
        f"def make({', '.join(scope)}):",
        f"    def {name}({', '.join(head)}) -> Tensor:",
        *(f"        {line}" for line in body),
        f"    return {name}",
    ]
    # Among the names of the module that it is found in, where doctest and type hints look.
    names = vars(sys.modules[module])
    function: Callable[..., Tensor] = written("make", lines, names)(**scope)
    del names["make"]
    function.__qualname__ = name
    function.__doc__ = doc
    return function


def said_of(text: str, option: str, default: Any = inspect.Parameter.empty) -> str:
    """Return what a docstring says of an argument, and its default if it has one.

    >>> said_of("    alpha: the slope.", "alpha", 0.5)
    'the slope, 0.5 unless given'
    """
    said = re.search(rf"^ +{option}: (.*(?:\n {{6,}}.*)*)", text, re.MULTILINE)
    meaning = " ".join(said[1].split()).removesuffix(".") if said else "a number"
    usual = "" if default is inspect.Parameter.empty else f", {default!r} unless given"
    return meaning + usual


def activation_function(made: Formula, module: str) -> Callable[..., Tensor]:
    """Return the function of an activation, with PyTorch's arguments.

    Args:
        made: its formula.
        module: the name of the Python module that it will be found in.

    >>> from nnscratch.formulas import SILU
    >>> print(inspect.signature(activation_function(SILU, __name__)))
    (input: 'Any', inplace: 'bool' = False) -> 'Tensor'
    """
    public = made.public
    assert public is not None
    head, passed = ["input: Any"], ""
    scope: dict[str, Any] = {"FORMULA": made, "apply": apply, "as_tensor": as_tensor}
    for option, (kind, default) in options_of(made).items():
        head.append(f"{option}: {kind}")
        passed += f", {option}={option}"
        if default is not inspect.Parameter.empty:
            head[-1] += f" = DEFAULT_{option}"
            scope[f"DEFAULT_{option}"] = default
    if public.inplace:
        head.append("inplace: bool = False")
    body = ["x = as_tensor(input)"]
    if public.inplace:
        body += [f"y = apply(FORMULA, x{passed})", "return x._replace(y) if inplace else y"]
    else:
        body.append(f"return apply(FORMULA, x{passed})")
    return function_from(head, body, scope, module, public.function, _function_doc(made, public))


def options_of(made: Formula) -> dict[str, tuple[str, Any]]:
    """Return the type and the default of each option of a formula.

    >>> from nnscratch.formulas import ELU
    >>> options_of(ELU)
    {'alpha': ('float', 1.0)}
    """
    parameters = inspect.signature(made.pointwise.forward).parameters
    return {
        name: (inspect.formatannotation(parameters[name].annotation).strip("'"), default)
        for name, default in made.pointwise.options.items()
    }


def activation_module(
    made: Formula, function: Callable[..., Tensor], module: str
) -> type[FunctionModule]:
    """Return the class of an activation, whose options are those of its function.

    >>> from nnscratch.formulas import SILU
    >>> activation_module(SILU, activation_function(SILU, __name__), __name__)(inplace=True)
    SiLU(inplace=True)
    """
    public = made.public
    assert public is not None
    head: dict[str, Any] = dict(made.pointwise.options)
    if public.inplace:
        head["inplace"] = False
    body = {"__module__": module, "__doc__": _module_doc(made, public)}
    return type(public.module, (FunctionModule,), body, function=function, **head)


def summary_of(made: Formula) -> str:
    """Return what the body says it computes."""
    text = (inspect.getdoc(made.forward) or "").partition("\n\n")[0]
    text = text.replace("\n", " ").strip().removeprefix("Compute ").removesuffix(".")
    return f"Return {text}." if text else f"Return {made.name} of each element."


def _equation(made: Formula) -> str:
    return f"$$\n{made.equation}\n$$"


def _arguments(made: Formula, public: Public) -> list[str]:
    """Return what is said of the options: by the body's docstring, if it says something."""
    text = inspect.getdoc(made.pointwise.forward) or ""
    lines = []
    for option, (_, default) in options_of(made).items():
        lines.append(f"    {option}: {said_of(text, option, default)}.")
    if public.inplace:
        lines.append("    inplace: whether the input gets the result, and is what is returned.")
    return lines


def _example(made: Formula, call: str) -> list[str]:
    """Return an example that runs. No value is in it: computing one would load much at import."""
    if inspect.Parameter.empty in made.pointwise.options.values():
        return []  # no number would be as good as another
    return [
        "",
        ">>> from nnscratch import nn, tensor",
        f">>> {call}(tensor([-2.0, -0.5, 1.0, 4.0])).shape",
        "(4,)",
    ]


def _function_doc(made: Formula, public: Public) -> str:
    lines = [summary_of(made), "", _equation(made), "", "Args:"]
    lines.append("    input: X, of any shape, floating.")
    lines += _arguments(made, public)
    lines += ["", "Raises:", "    DTypeError: if the input holds integers."]
    return "\n".join([*lines, *_example(made, f"nn.functional.{public.function}"), ""])


def _module_doc(made: Formula, public: Public) -> str:
    lines = [summary_of(made).replace("Return ", "Compute ", 1), "", _equation(made), ""]
    arguments = _arguments(made, public)
    if arguments:
        lines += ["Args:", *arguments, ""]
    lines += ["Raises:", "    DTypeError: when called with an input of integers."]
    return "\n".join([*lines, *_example(made, f"nn.{public.module}()"), ""])
