"""Inputs at which every implementation of ``nnscratch.kernels.cpu`` is measured for its page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnscratch.formulas import FORMULAS
from nnscratch.formulas.fused import FUSABLE

ROWS, COLUMNS, CLASSES = 2048, 512, 64
SMALL = 64
"""For tests, which look at everything but the times: rows and columns of matrices."""


@dataclass(frozen=True)
class Example:
    """One call that a kernel can take over.

    Attributes:
        formula: its name.
        direction: "forward", "backward" or "update".
        inputs: of the call; ``(dY, *saved)`` of a backward.
        saved: what the backward of the formula is given.
        options: of a forward or an update.
        needs: of a backward.
        what: sizes, and what is special.
    """

    formula: str
    direction: str
    inputs: tuple[Any, ...]
    saved: Any
    options: dict[str, Any]
    needs: tuple[bool, ...]
    what: str


Arrays = Callable[..., Any]
_UPDATES: dict[str, tuple[int, dict[str, Any]]] = {
    # How many arrays beside the parameters, and the options.
    "adam": (3, {"lr": 1e-3, "step": 10}),
    "sgd": (2, {"lr": 1e-3, "momentum": 0.9, "step": 10}),
    "rmsprop": (2, {"lr": 1e-3}),
    "adagrad": (2, {"lr": 1e-3, "step": 10}),
    "adadelta": (3, {}),
    "nadam": (3, {"step": 10, "mu_product": 0.5}),
    "copy_into": (1, {}),
    "accumulate": (1, {}),
    "fill": (0, {"value": 0.5}),
}
_PAIRS = ("mse", "bce_with_logits")
_BINARY = ("add", "subtract", "multiply", "divide", "maximum", "minimum")


def examples(name: str, shrink: int = 1) -> list[Example]:
    """Return the calls of one formula; ``shrink`` divides the sizes.

    Raises:
        KeyError: if nobody wrote down what the formula's inputs look like.
    """
    rng = np.random.default_rng(0)
    rows, columns = ROWS // shrink, COLUMNS // shrink

    def normal(*shape: int) -> Any:
        return rng.standard_normal(shape, dtype=np.float32)

    def positive(*shape: int) -> Any:
        return np.abs(normal(*shape)) + np.float32(0.5)

    size = f"{rows} x {columns}"
    if name in _UPDATES:
        count, options = _UPDATES[name]
        arrays = (normal(rows * columns), *(positive(rows * columns) for _ in range(count)))
        return [Example(name, "update", arrays, None, options, (), f"{rows * columns:,} entries")]
    if name == "scale_by_norm":
        arrays = (normal(rows * columns), np.asarray(np.float32(7.0)))
        return [
            Example(
                name, "update", arrays, None, {"max_norm": 1.0}, (), f"{rows * columns:,} entries"
            )
        ]
    return [
        example
        for inputs, options, what in _forwards(name, rows, columns, normal, positive, rng)
        for example in _both(name, inputs, options, what or size, normal)
    ]


def _forwards(
    name: str, rows: int, columns: int, normal: Arrays, positive: Arrays, rng: Any
) -> Iterator[tuple[tuple[Any, ...], dict[str, Any], str]]:
    linear = (normal(rows // 8, columns), normal(columns, columns), normal(columns))
    shape = f"{rows // 8} x {columns}, weights {columns} x {columns}"
    if name == "linear":
        yield linear, {}, shape
    elif name == "linear_activation":
        for activation in FUSABLE:
            yield linear, {"activation": activation}, f"{activation}, {shape}"
    elif name == "cross_entropy":
        yield (normal(rows, CLASSES), rng.integers(0, CLASSES, rows)), {}, f"{rows} x {CLASSES}"
    elif name in _PAIRS:
        yield (normal(rows, columns), positive(rows, columns)), {}, ""
    elif name in _BINARY:
        yield (normal(rows, columns), positive(rows, columns)), {}, ""
    elif name == "dropout":
        yield (normal(rows, columns),), {"p": 0.5, "seed": 1, "offset": 0}, ""
    elif name == "sum_to":
        yield (normal(rows, columns),), {"shape": (columns,)}, ""
    elif name == "gelu":
        yield (normal(rows, columns),), {}, "exact"
        yield (normal(rows, columns),), {"approximate": "tanh"}, "tanh form"
    elif len(FORMULAS[name].inputs) == 1:
        yield (normal(rows, columns),), {}, ""
    else:
        raise KeyError(f"{name}: no example says what its inputs look like")


def _both(
    name: str, inputs: tuple[Any, ...], options: dict[str, Any], what: str, normal: Arrays
) -> Iterator[Example]:
    formula = FORMULAS[name]
    yield Example(name, "forward", inputs, None, options, (), what)
    if formula.backward is None:
        return
    Y, saved = formula.forward(*inputs, **options)
    dY = normal(*np.shape(Y)) if np.shape(Y) else np.asarray(np.float32(0.7))
    needs = tuple(
        wanted and index < len(inputs) and np.asarray(inputs[index]).dtype.kind == "f"
        for index, wanted in enumerate(formula.differentiable)
    )
    if name in _PAIRS:
        needs = (True, *(False for _ in needs[1:]))
    yield Example(name, "backward", (dY, *saved), saved, options, needs, what)
