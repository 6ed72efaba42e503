"""Optimizer updates as loops made of their texts: one pass over flat buffers.

What an update chooses by (which state there is, which options are set) is settled when the loop is
made, so that one without weight decay has no trace of it. Numbers are computed in float64 and
rounded once, as PyTorch does.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from nnscratch.formulas import FORMULAS, Formula

from ..updating import known_options, straight
from .implementation import Builder, CpuKernel, Inputs, Options
from .operands import Operands
from .runtime.kernel import Kernel, KernelCollector


def stepping(formula: Formula) -> CpuKernel:
    """Return the loop of an update that computes each entry by itself."""
    body = formula.update_body
    assert body is not None
    parameters = inspect.signature(body).parameters
    defaults = {name: parameters[name].default for name in formula.options}

    made: dict[Any, tuple[Kernel, tuple[str, ...], tuple[str, ...]]] = {}

    def update(
        builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
    ) -> tuple[tuple[Any, ...], Any]:
        pairs = zip(formula.inputs, inputs, strict=False)
        given = {name: array for name, array in pairs if array is not None}
        chosen = {**defaults, **options}
        known = known_options(chosen)
        first = inputs[0]
        key = (first.dtype, *given, known)
        if key not in made:
            made[key] = _made(body, given, known, formula.updates)
        kernel, arrays, names = made[key]
        words: list[Any] = [first.size, 1, 1, 1]
        step = (first.itemsize, 0, 0, 0)
        for name in arrays:
            words.append(given[name])
            words += step
        builder.emit(kernel, words, [chosen[name] for name in names])
        return (), None

    return CpuKernel(formula.name, {"update": update}, {"update": _alike})


def _made(
    body: Any, given: dict[str, Any], known: tuple[tuple[str, Any], ...], updates: tuple[str, ...]
) -> tuple[Kernel, tuple[str, ...], tuple[str, ...]]:
    """Return the kernel of an update over arrays in one row, and what it takes, in order."""
    line = straight(body, tuple(given), known, updates)
    row = {name: array.reshape(-1) for name, array in given.items()}
    first = next(iter(given.values()))
    loop = Operands((first.size,), first.dtype)
    loop.options = dict.fromkeys(line.options, 0.0)
    takes = [*(loop.add(row[name]) for name in line.arrays), *map(loop.scalar, line.scalars)]
    what, result = loop.apply(line.body, takes, len(line.outputs))
    for place, name in enumerate(line.outputs):
        loop.store((what, result + place), row[name])
    found = KernelCollector()
    loop.emit(found)
    (kernel,) = found.kernels
    return kernel, (*line.arrays, *line.outputs), line.options


def _alike(inputs: Inputs, options: Options) -> str | None:
    shapes = {item.shape for item in inputs if isinstance(item, np.ndarray)}
    return None if len(shapes) == 1 else f"the arrays have the shapes {sorted(shapes)}"


def kernels_of(name: str, dtype: str, arrays: int, **options: Any) -> list[Kernel]:
    """Return what a step of an optimizer runs, with so many arrays and these options."""
    builder: Any = KernelCollector()
    made = tuple(np.zeros(2, dtype) for _ in range(arrays))
    stepping(FORMULAS[name]).lower(builder, "update", made, options, ())
    found: list[Kernel] = builder.kernels
    return found
