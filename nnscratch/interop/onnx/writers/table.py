"""The table of formulas that can be written as ONNX operators, and what a writer is given."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from nnscratch.errors import ConfigurationError
from nnscratch.formulas import FORMULAS
from nnscratch.graph import Node, Value
from nnscratch.interop.onnx.writing import GraphWriter

Writer = Callable[["FormulaCall"], Any]
_TABLE: dict[str, Writer] = {}


def writes(*names: str) -> Callable[[Writer], Writer]:
    """Return a decorator that enters a function as the writer of formulas, by their names.

    It is given a ``FormulaCall`` and returns the name of the output, or of each.
    """

    def enter(function: Writer) -> Writer:
        for name in names:
            if name not in FORMULAS:
                raise LookupError(f"there is no formula {name!r}")
            _TABLE[name] = function
        return function

    return enter


@cache
def writers() -> dict[str, Writer]:
    """Return the whole table by the names of formulas; every file of this room is loaded for it.

    >>> "convolution" in writers()
    True
    """
    package = __name__.rpartition(".")[0]
    for module in pkgutil.iter_modules(import_module(package).__path__):
        import_module(f"{package}.{module.name}")
    return _TABLE


class FormulaCall:
    """One call of a formula that is to be written.

    Attributes:
        graph: what it is written into.
        node: the call, as it was recorded with the sample.
        twin: the same call with one row more; the same one if the batch is not dynamic.
    """

    def __init__(self, graph: GraphWriter, node: Node, twin: Node) -> None:
        """Take the call."""
        self.graph, self.node, self.twin = graph, node, twin

    @property
    def options(self) -> dict[str, Any]:
        """The options."""
        return self.node.options

    @property
    def opset(self) -> int:
        """The version of the operator set that is written."""
        return self.graph.opset

    def value(self, position: int) -> Value | None:
        """Return an input as it was recorded; None if it is left out or a number."""
        if position >= len(self.node.inputs):
            return None
        found = self.node.inputs[position]
        return found if isinstance(found, Value) else None

    def given(self, position: int) -> bool:
        """Say whether there is such an input."""
        return position < len(self.node.inputs) and self.node.inputs[position] is not None

    def input(self, position: int) -> str:
        """Return the name of an input; a number becomes a constant of the other inputs' dtype."""
        found = self.node.inputs[position]
        if isinstance(found, Value):
            return self.graph.name_of(found, self.twin.inputs[position])
        if found is None:
            return ""
        return self.number(found)

    def inputs(self) -> list[str]:
        """Return the names of all inputs."""
        return [self.input(position) for position in range(len(self.node.inputs))]

    def number(self, number: Any) -> str:
        """Return the name of a constant of the dtype of the first input that has one.

        The condition of a choice has none that counts.
        """
        first = 1 if self.node.formula.name == "where" else 0
        dtypes = [one.dtype for one in self.node.inputs[first:] if isinstance(one, Value)]
        dtype = dtypes[0] if dtypes else self.node.outputs[0].dtype
        if isinstance(number, float) and not dtype.startswith(("float", "bfloat")):
            dtype = "float32"
        return self.graph.constant(np.asarray(number, dtype))

    def array(self, position: int) -> np.ndarray | None:
        """Return the values of an input that is no result of another formula.

        Raises:
            ConfigurationError: if it is one.
        """
        value = self.value(position)
        if value is None:
            return None
        if value.kind != "captured":
            raise ConfigurationError(
                f"{self.node.formula.name}: its weights are computed in the forward pass, which "
                "ONNX's operator has no place for; remove the parametrization first"
            )
        return self.graph.array_of(value)

    def shape(self, position: int = 0) -> tuple[int, ...]:
        """Return the shape of an input, with the sample."""
        value = self.value(position)
        return () if value is None else value.shape

    def fixed_shape(self, position: int = 0) -> tuple[int, ...]:
        """Return the shape of an input that must not depend on the batch behind its first axis.

        Raises:
            ConfigurationError: if it does.
        """
        shape, twin = self.shape(position), self.twin.inputs[position].shape
        if shape[1:] != twin[1:]:
            raise ConfigurationError(
                f"{self.node.formula.name}: a size behind the first axis depends on the batch; "
                "export with dynamic_batch=False"
            )
        return shape

    def out(self, index: int = 0) -> Value:
        """Return an output as it was recorded."""
        return self.node.outputs[index]  # type: ignore[no-any-return]

    def shape_tensor(self, shape: Sequence[int], twin: Sequence[int]) -> str:
        """Return the name of a shape, in which what depends on the batch is computed."""
        return self.graph.shape(shape, twin)

    def emit(self, op: str, inputs: Sequence[str], count: int = 1, **attributes: Any) -> Any:
        """Write a node and return the names of its outputs, one as a string."""
        return self.graph.emit(op, inputs, count, self.node.layer, **attributes)
