"""The table of operators: what each ONNX operator computes, in functions on tensors.

A file of this room has a family of them. ``operator`` enters a function under ONNX's name; its
signature says the rest. What stands before ``/`` are the inputs, in ONNX's order: tensors, or,
where the annotation is ``Numbers``, NumPy arrays whose values are read (a shape, axes, a size);
``Known | Tensor`` takes a NumPy array for what is the same in every run, and a tensor otherwise.
What stands behind ``*`` are attributes under ONNX's names, and two that the runner adds:
``opset``, the version of the operator set, and ``wanted``, how many outputs are asked for.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

Numbers = np.ndarray
"""An input whose values are read: it decides about shapes."""

Known = np.ndarray
"""An input whose values are read where they are the same in every run."""

_ADDED = ("opset", "wanted")


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator of the table.

    Attributes:
        name: ONNX's name.
        function: what computes it.
        numbers: the positions of inputs whose values are read.
        known: the positions of inputs that are arrays where they are the same in every run.
        least: how many inputs it needs.
        most: how many it takes; None for any number.
        attributes: the names of attributes that it knows.
        added: which of ``opset`` and ``wanted`` it asks for.
        repeats: whether it gives the same for the same inputs: it draws nothing at random.
        fixed: the positions of inputs that are no parameters where a file gives them: statistics.
    """

    name: str
    function: Callable[..., Any]
    numbers: frozenset[int]
    known: frozenset[int]
    least: int
    most: int | None
    attributes: frozenset[str]
    added: tuple[str, ...]
    repeats: bool
    fixed: frozenset[int]


_TABLE: dict[str, Operator] = {}


def operator(
    *names: str, draws: bool = False, fixed: tuple[int, ...] = (), more: tuple[str, ...] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that enters a function as an operator, under one or more names.

    Args:
        names: ONNX's.
        draws: whether it draws random numbers.
        fixed: the positions of inputs that are statistics, not learned.
        more: attributes that it takes besides, where it has ``**options``.
    """

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        parameters = inspect.signature(function).parameters.values()
        inputs = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        several = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        options = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
        numbers = {i for i, p in enumerate(inputs) if str(p.annotation).startswith("Numbers")}
        known = {i for i, p in enumerate(inputs) if str(p.annotation).startswith("Known")}
        for name in names:
            _TABLE[name] = Operator(
                name,
                function,
                frozenset(numbers),
                frozenset(known),
                sum(p.default is p.empty for p in inputs) + (several and not inputs),
                None if several else len(inputs),
                frozenset([*more, *(option for option in options if option not in _ADDED)]),
                tuple(option for option in options if option in _ADDED),
                not draws,
                frozenset(fixed),
            )
        return function

    return enter


@cache
def operators() -> dict[str, Operator]:
    """Return the whole table by ONNX's names; every file of this room is loaded for it.

    >>> operators()["Softmax"].attributes
    frozenset({'axis'})
    """
    package = __name__.rpartition(".")[0]
    for module in pkgutil.iter_modules(import_module(package).__path__):
        import_module(f"{package}.{module.name}")
    return dict(sorted(_TABLE.items()))
