"""Optimizer updates as loops made of their texts: one pass over flat buffers.

What an update chooses by (which state there is, which options are set) is settled when the loop is
made, so that one without weight decay has no trace of it. Numbers are computed in float64 and
rounded once, as PyTorch does.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnscratch.formulas import FORMULAS, Formula

from ..updating import known_options, straight
from .implementation import Builder, CpuKernel, EagerBuilder, Inputs, Options
from .operands import Operands
from .runtime.eager import RowCall
from .runtime.kernel import Kernel, KernelCollector

_ARRAY = np.ndarray


def stepping(formula: Formula) -> CpuKernel:
    """Return the loop of an update that computes each entry by itself."""
    body = formula.update_body
    assert body is not None
    parameters = inspect.signature(body).parameters
    defaults = {name: parameters[name].default for name in formula.options}

    made: dict[Any, _Made] = {}

    def update(
        builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
    ) -> tuple[tuple[Any, ...], Any]:
        pairs = zip(formula.inputs, inputs, strict=False)
        given = {name: array for name, array in pairs if array is not None}
        chosen = {**defaults, **options}
        known = known_options(chosen)
        first = inputs[0]
        found = made.get(key := (first.dtype, *given, known))
        if found is None:
            found = made[key] = _made(body, given, known, formula.updates)
        arrays = [given[name] for name in found.arrays]
        numbers = [chosen[name] for name in found.options]
        if type(builder) is EagerBuilder:
            found.now(arrays, numbers)
            return (), None
        words: list[Any] = [first.size, 1, 1, 1]
        for array in arrays:
            words += (array, first.itemsize, 0, 0, 0)
        builder.emit(found.kernel, words, numbers)
        return (), None

    passes = len(formula.inputs)  # an operation of NumPy for each array, or more
    return CpuKernel(formula.name, {"update": update}, {"update": _alike}, passes=passes)


@dataclass(frozen=True)
class _Made:
    """A loop of an update: the names of the arrays and options that it takes, and a call of it."""

    kernel: Kernel
    arrays: tuple[str, ...]
    options: tuple[str, ...]
    now: RowCall


def _made(
    body: Any, given: dict[str, Any], known: tuple[tuple[str, Any], ...], updates: tuple[str, ...]
) -> _Made:
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
    arrays = (*line.arrays, *line.outputs)
    return _Made(kernel, arrays, line.options, RowCall(kernel, [first.itemsize] * len(arrays)))


def _alike(inputs: Inputs, options: Options) -> str | None:
    shapes = {item.shape for item in inputs if isinstance(item, _ARRAY)}
    return None if len(shapes) == 1 else f"the arrays have the shapes {sorted(shapes)}"


def kernels_of(name: str, dtype: str, arrays: int, **options: Any) -> list[Kernel]:
    """Return what a step of an optimizer runs, with so many arrays and these options."""
    builder: Any = KernelCollector()
    made = tuple(np.zeros(2, dtype) for _ in range(arrays))
    stepping(FORMULAS[name]).lower(builder, "update", made, options, ())
    found: list[Kernel] = builder.kernels
    return found
