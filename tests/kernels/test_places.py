"""Where arrays lie in memory changes no bit: end to end, or far from each other.

A compiler asks at run time whether the arrays of a loop may overlap, and takes what is written just
behind what is read for a yes: then it goes number by number. A sum in that loop would have another
order.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from formulas.contract import NUMPY, cotangents, needs_of, outputs_of, place

from nnscratch.formulas import FORMULAS
from nnscratch.formulas.cases import Case, cases
from nnscratch.kernels.cpu import IMPLEMENTATIONS
from nnscratch.kernels.cpu.implementation import CpuKernel, EagerBuilder

ROOM = 1 << 24
WIDE = 17, 33, 47
"""Columns for which there are whole registers, and fewer than an unrolled loop takes."""


class Arena:
    """Memory from which arrays are taken in order, ``apart`` bytes from each other."""

    def __init__(self, apart: int) -> None:
        self.memory, self.used, self.apart = np.zeros(ROOM, np.uint8), 0, apart

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return the next array."""
        kind = np.dtype(dtype)
        start = -(-self.used // kind.itemsize) * kind.itemsize
        size = math.prod(shape) * kind.itemsize
        self.used = start + size + self.apart
        return self.memory[start : start + size].view(kind).reshape(shape)

    def placed(self, value: Any, dtype: str) -> Any:
        """Return a copy of an array here, and what is no array as it is."""
        made = place(value, dtype, NUMPY, "C")
        if not isinstance(made, np.ndarray):
            return made
        here = self.empty(made.shape, made.dtype)
        here[...] = made
        return here


def bits(found: Any) -> list[bytes]:
    return [one.tobytes() for one in outputs_of(found) if isinstance(one, np.ndarray)]


def run(
    monkeypatch: pytest.MonkeyPatch, kernel: CpuKernel, case: Case, dtype: str, apart: int
) -> list[bytes] | None:
    """Return the bits of outputs and gradients, None where the kernel does not take the case."""
    arena, values = Arena(apart), case.build()
    inputs, options = tuple(arena.placed(one, dtype) for one in values), dict(case.options)
    if kernel.refuses("forward", inputs, options) is not None:
        return None
    with monkeypatch.context() as patched:
        patched.setattr(EagerBuilder, "empty", lambda _, shape, dtype: arena.empty(shape, dtype))
        patched.setattr(
            EagerBuilder,
            "output",
            lambda _, position, shape, dtype, over=(): arena.empty(shape, dtype),
        )
        Y, saved = kernel.forward(*inputs, **options)
        found, needs = bits(Y), needs_of(FORMULAS[kernel.formula], values)
        if any(needs):
            dY = [arena.placed(one, dtype) for one in outputs_of(cotangents(Y))]
            given = tuple(dY) if isinstance(Y, tuple) else dY[0]
            if kernel.refuses("backward", (*dY, *saved), {}) is None:
                found += bits(kernel.backward(given, saved, needs))
    return found


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_all_cases_lie_anywhere(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = IMPLEMENTATIONS[name]
    for case in cases(name):
        near, far = (run(monkeypatch, kernel, case, "float32", apart) for apart in (0, 8192))
        assert near == far, case.name


def rows(columns: int, seed: int) -> dict[str, tuple[tuple[Any, ...], dict[str, Any]]]:
    """Formulas that add up along rows, with inputs and options."""
    rng = np.random.default_rng(seed)
    X, W, b = (rng.uniform(0.5, 2, shape) for shape in ((3, columns), (columns,), (columns,)))
    axes = {"axes": (1,), "first": 1, "eps": 1e-5}
    return {
        "softmax": ((X,), {}),
        "log_softmax": ((X,), {}),
        "standardize": ((X, W, b), axes),
        "rms_norm": ((X, W), {"dims": 1, "eps": 1e-5}),
    }


@pytest.mark.parametrize("columns", WIDE)
def test_rows_lie_anywhere(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(6):
        for name, (inputs, options) in rows(columns, seed).items():
            case = Case("rows", tuple(lambda _, one=one: one for one in inputs), options=options)
            near, far = (
                run(monkeypatch, IMPLEMENTATIONS[name], case, "float32", apart)
                for apart in (0, 8192)
            )
            assert near is not None
            assert near == far, name
