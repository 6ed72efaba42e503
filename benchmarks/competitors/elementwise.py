"""Kernels that only read and write, on arrays that no cache holds, against a copy of memory.

Every call goes through the registry as an operation of a tensor does, on the block of rows below,
repeated. A call is started many times before the GPU is waited for, so it is the kernels that are
timed and not Python.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.competitors.workload import Array
from nnscratch.array import array_namespace, move, to_numpy
from nnscratch.cuda import synchronize
from nnscratch.formulas import FORMULAS, registry

BLOCK, COLUMNS = 1024, 512
CHECKED = 8
"""Blocks in an array whose results are compared: a grid of threads takes more than one turn."""
SAMPLES = 500


@dataclass(frozen=True)
class Call:
    """One call of a formula.

    Attributes:
        formula: its name.
        direction: "forward", "backward" or "update".
        moves: bytes that an entry takes at least, reads and writes together, where each array of
            the formula's definition is read or written once.
        options: of the formula.
        needs: of a backward, which gradients are asked for.
        note: what a reader should know.
    """

    formula: str
    direction: str
    moves: float
    options: dict[str, Any] = field(default_factory=dict)
    needs: tuple[bool, ...] = (True,)
    note: str = ""

    @property
    def title(self) -> str:
        """What is shown."""
        if self.formula == "linear_activation":
            return f"bias and {self.options['activation']}, backward"
        return f"{self.formula.replace('_', '-')}, {self.direction}"


_DROPOUT = {"p": 0.5, "seed": 1, "offset": 0}
_ALSO_DZ = "The gradient before the activation is written too: the products of a step read it."
_LABELS = 8 / COLUMNS
_ROWS = "A row has 512 classes. The probabilities are written too: the backward reads them."

CALLS: dict[str, Call] = {
    f"elementwise-{name}": call
    for name, call in (
        *((name, Call(name, "forward", 8)) for name in ("relu", "gelu", "tanh", "sigmoid")),
        *(
            (f"{name}-backward", Call(name, "backward", 12))
            for name in ("relu", "gelu", "tanh", "sigmoid")
        ),
        ("dropout", Call("dropout", "forward", 9, _DROPOUT)),
        ("dropout-backward", Call("dropout", "backward", 9, _DROPOUT)),
        *(
            (
                f"bias-{name}-backward",
                Call(
                    "linear_activation",
                    "backward",
                    12,
                    {"activation": name},
                    (False, False, True),
                    _ALSO_DZ,
                ),
            )
            for name in ("relu", "gelu")
        ),
        ("adam", Call("adam", "update", 28, {"lr": 1e-3, "step": 10})),
        ("cross-entropy", Call("cross_entropy", "forward", 8 + _LABELS, note=_ROWS)),
        (
            "cross-entropy-backward",
            Call("cross_entropy", "backward", 8 + _LABELS, needs=(True, False, False)),
        ),
    )
}


def block(call: Call) -> tuple[tuple[Array, ...], Array]:
    """Return the inputs of a forward or an update of one block of rows, and a dY."""
    rng = np.random.default_rng(1)

    def normal(*shape: int) -> Array:
        return rng.standard_normal(shape, dtype=np.float32)

    dY = normal(BLOCK, COLUMNS)
    if call.formula == "linear_activation":
        # Sums that are exact and never 0: no sign depends on how they are rounded.
        X, W = np.round(8 * normal(BLOCK, 1)) / 8, np.sign(normal(COLUMNS, 1))
        return (X, W, np.round(8 * normal(COLUMNS)) / 8 + np.float32(1 / 16)), dY
    X = normal(BLOCK, COLUMNS)
    if call.formula == "adam":
        return (X, normal(BLOCK, COLUMNS), normal(BLOCK, COLUMNS), X * X), dY
    if call.formula == "cross_entropy":
        return (X, rng.integers(0, COLUMNS, BLOCK)), np.asarray(np.float32(0.7))
    return (X,), dY


class Kernels:
    """nnscratch as a competitor: one call, again and again."""

    def __init__(self, call: str, repeats: int, device: str = "cpu") -> None:
        """Make the arrays.

        Args:
            call: its name.
            repeats: blocks in a timed array.
            device: "cpu" or "cuda".
        """
        self.call, self.device = CALLS[call], device
        self.work = self.prepare(repeats)

    def run(self, count: int) -> None:
        """Make the call that many times, and wait for the last one."""
        work = self.work
        for _ in range(count):
            work()
        self.wait()

    def evidence(self, count: int) -> list[float]:
        """Return means and single entries of what the call makes of a smaller array."""
        made: list[float] = []
        for array in self.prepare(CHECKED)():
            Y = np.asarray(self.read(array), dtype=np.float64).ravel()
            places = np.linspace(0, Y.size - 1, min(SAMPLES, Y.size)).astype(np.int64)
            made += [float(Y.mean()), float(np.abs(Y).mean()), *map(float, Y[places])]
        return made

    # What another library does its own way.

    def prepare(self, repeats: int) -> Callable[[], tuple[Any, ...]]:
        """Return the call on arrays of its own; it returns the outputs, or what it updated."""
        call, formula = self.call, FORMULAS[self.call.formula]
        arrays, upstream = block(call)
        inputs = [self.give(array, repeats) for array in arrays]
        if call.direction == "forward":
            return lambda: registry.forward(formula, *inputs, **call.options)[:1]
        if call.direction == "update":
            places = [formula.inputs.index(name) for name in formula.updates]
            updated = tuple(inputs[place] for place in places if place < len(inputs))

            def update() -> tuple[Any, ...]:
                registry.update(formula, *inputs, **call.options)
                return updated

            return update
        _, saved = registry.forward(formula, *inputs, **call.options)
        dY = self.give(upstream, repeats)

        def backward() -> tuple[Any, ...]:
            gradients = registry.backward(formula, dY, saved, call.needs)
            return tuple(one for one in gradients if one is not None)

        return backward

    def give(self, array: Array, repeats: int) -> Any:
        """Return an array on the device; one that has a block of rows is repeated."""
        made = move(array, self.device)
        if not has_rows(array):
            return made
        return array_namespace(made).tile(made, (repeats, *(1,) * (array.ndim - 1)))

    def read(self, array: Any) -> Any:
        """Return a result as NumPy."""
        return to_numpy(array)

    def wait(self) -> None:
        """Wait for the GPU."""
        if self.device != "cpu":
            synchronize()


def has_rows(array: Array) -> bool:
    """Say whether an array has a row for each of the block."""
    return array.shape[:1] == (BLOCK,)


class Reference(Kernels):
    """The formulas themselves on NumPy arrays, without kernels; it is not timed."""

    def prepare(self, repeats: int) -> Callable[[], tuple[Any, ...]]:
        """Return the call, whose outputs are computed already."""
        with registry.use_kernels("off"):
            made = super().prepare(repeats)()
        return lambda: made
