"""Where a formula's lines stand: file and line of its two functions, and what they say they do."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from nnscratch.formulas import Formula


class Place(NamedTuple):
    """A file and the number of a line in it."""

    file: Path
    line: int

    def __str__(self) -> str:
        return f"{short(self.file)}:{self.line}"


def place_of(function: Callable[..., Any]) -> Place:
    """Return where a function or class is written, under any decorators."""
    written = inspect.unwrap(function)
    file = inspect.getsourcefile(written)
    line = inspect.getsourcelines(written)[1]
    return Place(Path(file or "?"), line)


def short(file: Path) -> str:
    """Return a path relative to the working folder if it lies below it, else the whole path."""
    try:
        relative = os.path.relpath(file)
    except ValueError:  # another drive
        return str(file)
    return str(file) if relative.startswith(os.pardir) else relative


def summary_of(function: Callable[..., Any]) -> str:
    """Return the first paragraph of a docstring on one line.

    >>> summary_of(summary_of)
    'Return the first paragraph of a docstring on one line.'
    """
    text = inspect.getdoc(inspect.unwrap(function)) or ""
    return " ".join(text.partition("\n\n")[0].split())


def options_of(formula: Formula) -> dict[str, str]:
    """Return the options of a formula by name, with their defaults as text ("" for none).

    >>> from nnscratch.formulas import LEAKY_RELU
    >>> options_of(LEAKY_RELU)
    {'negative_slope': '0.01'}
    """
    parameters = inspect.signature(formula.forward).parameters
    return {
        name: "" if parameters[name].default is inspect.Parameter.empty
        else repr(parameters[name].default)
        for name in formula.options
    }  # fmt: skip


def kinks_of(formula: Formula) -> str:
    """Return in words where a formula has no derivative; empty if it has one everywhere."""
    if isinstance(formula.kinks, str):
        return formula.kinks
    name = formula.inputs[0] if formula.inputs else "x"
    told = " and ".join(
        f"at {name} = {kink if isinstance(kink, str) else format(kink, 'g')}"
        for kink in formula.kinks
    )
    usual = formula.kinks_at()
    if any(isinstance(kink, str) for kink in formula.kinks) and len(usual) == len(formula.kinks):
        told += f" ({' and '.join(format(value, 'g') for value in usual)} by default)"
    return told


def gradients_of(formula: Formula) -> dict[str, str]:
    r"""Return the gradients in LaTeX as whole equations, the left side included.

    >>> from nnscratch.formulas import EXP
    >>> print(gradients_of(EXP)["A"])
    \frac{\partial L}{\partial A} = \frac{\partial L}{\partial Y} \odot Y

    If the right side is that of one entry i, the left side is too:

    >>> from nnscratch.formulas import MAX
    >>> print(gradients_of(MAX)["A"])
    \frac{\partial L}{\partial A_i} = \frac{\partial L}{\partial Y} [A_i = Y]
    """
    found = {}
    for name, right in formula.gradients.items():
        left = rf"\frac{{\partial L}}{{\partial {symbol(name)}{_entry(formula, name, right)}}}"
        found[name] = right if right.startswith(f"{left} =") else f"{left} = {right}"
    return found


def _entry(formula: Formula, name: str, right: str) -> str:
    """Return the index of the entry that a gradient is written for, empty if it is for all of them.

    It is what the formula says, or the one index that is free and that an entry of the input has.
    """
    if name in formula.entries:
        index = formula.entries[name]
        return f"_{index}" if len(index) == 1 else f"_{{{index}}}"
    first = re.split(r",?\s*\\q?quad", right)[0]
    bound = set(re.findall(r"[a-z]", "".join(map("".join, _BOUND.findall(first)))))
    free = set(re.findall(r"[a-z]", "".join(map("".join, _INDEX.findall(first))))) - bound
    index = f"_{min(free)}" if len(free) == 1 else ""
    both = f"{formula.equation} {first}"
    return index if index and re.search(rf"(?<![A-Za-z]){name}{index}(?![A-Za-z])", both) else ""


_BOUND = re.compile(r"\\(?:sum|prod|max|min)_(?:\{([^{}]*)\}|([A-Za-z]))")
_INDEX = re.compile(r"_(?:\{([^{}]*)\}|([A-Za-z]))")


def symbol(name: str) -> str:
    r"""Return the name of an input as it stands in an equation.

    >>> print(symbol("X1"), symbol("logP"), symbol("arrays"))
    X_1 (\log P) A_i
    """
    if name == "arrays":
        return "A_i"
    if name.startswith("log"):
        return rf"(\log {name[3:]})"
    if len(name) == 2 and name[1].isdigit():
        return f"{name[0]}_{name[1]}"
    return name if len(name) == 1 else rf"\mathrm{{{name}}}"
