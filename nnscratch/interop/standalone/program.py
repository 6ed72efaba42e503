"""A graph as lines of Python: one call of a function for each formula that ran."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from nnscratch.array import to_numpy
from nnscratch.errors import ConfigurationError
from nnscratch.formulas.checks import plain
from nnscratch.formulas.written import parameters
from nnscratch.graph import Graph, Node, Value
from nnscratch.interop.standalone.texts import Texts

_MOST_WRITTEN = 24
"""Arrays of at most so many entries stand in the text itself."""
_WIDTH = 96


def quoted(text: str) -> str:
    """Return a text as Python, in double quotes where it has nothing in it to escape.

    >>> print(quoted("fc1.weight"), quoted('a"b'))
    "fc1.weight" 'a"b'
    """
    written = repr(text)
    return f'"{text}"' if written == f"'{text}'" and '"' not in text else written


def comment(text: str) -> str:
    """Return a text as one line that is a comment, whatever is in it: names are the user's."""
    shown = repr(text)[1:-1] if not text.isprintable() else text
    return f"# {shown[: _WIDTH - 7]}..." if len(shown) > _WIDTH - 4 else f"# {shown}"


def docstring(text: str) -> str:
    """Return a text as a docstring, whatever is in it."""
    made = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"').replace("\0", "\\x00")
    if made.endswith('"'):
        made = f'{made[:-1]}\\"'
    made = made.encode("utf-8", "backslashreplace").decode()  # surrogates have no UTF-8
    return f'"""{made}"""'


class Lines:
    """Writes two graphs of one function, for batches of two sizes, as one text.

    What differs between them is written in terms of ``n``, the size of the batch.

    Args:
        graphs: the two, recorded with sizes ``sizes``.
        sizes: two sizes, or none if the shapes are fixed and the two graphs are one.
        names: what the inputs are called.

    Attributes:
        texts: the functions that the lines call.
        arrays: the arrays that they read, by name.
        constants: statements that have to stand before, by the name of what they make.
    """

    def __init__(
        self, graphs: tuple[Graph, Graph], sizes: tuple[int, int] | None, names: list[str]
    ) -> None:
        self.texts = Texts()
        self.arrays: dict[str, Any] = {}
        self.constants: dict[str, str] = {}
        self._graphs, self._sizes = graphs, sizes
        self._names: dict[Value, str] = {}
        self._shared: dict[int, tuple[Any, str]] = {}
        self.batched = False
        first, second = graphs
        for one, other, name in zip(first.inputs, second.inputs, names, strict=True):
            self._names[one] = self._names[other] = name

    def written(self) -> list[str]:
        """Return the lines of the function's body.

        Raises:
            ConfigurationError: if something in it cannot be written down.
        """
        first, second = self._graphs
        if [n.formula.name for n in first.nodes] != [n.formula.name for n in second.nodes]:
            raise ConfigurationError(
                "the model calls other formulas for another number of samples; export it with "
                "fixed=True, for inputs of the sample's shape alone"
            )
        lines: list[str] = []
        path = None
        needed = _needed(first)
        for node, other in zip(first.nodes, second.nodes, strict=True):
            if node not in needed:
                continue
            layer = node.layer
            if layer is not None and layer.path and layer.path != path:
                lines.append(comment(layer.label))
            path = layer.path if layer is not None else None
            lines += self._call(node, other, needed)
        lines.append(f"return {self._text(first.outputs, second.outputs)}")
        return lines

    def _call(self, node: Node, other: Node, needed: set[Any]) -> list[str]:
        formula = node.formula
        if node.direction != "forward" or formula.updates:
            raise ConfigurationError(
                f"the model computes a {node.direction} of {formula.name}; only forwards can be "
                "exported: call eval() first"
            )
        if formula.family == "random":
            raise ConfigurationError(
                f"the model draws random numbers ({formula.name}"
                + (f" in {node.layer.path}" if node.layer is not None else "")
                + "), and an export gives the same numbers each time: call eval() first"
            )
        if formula.public is not None and formula.public.kind == "loss":
            raise ConfigurationError(
                f"the model computes a loss ({formula.name}); export the network without it"
            )
        called = self.texts.formula(formula)
        given = [self._text(a, b) for a, b in zip(node.inputs, other.inputs, strict=True)]
        while given and given[-1] == "None":
            given.pop()
        defaults = _defaults(formula)
        for name, value in node.options.items():
            if name in defaults and _same(plain(value), defaults[name]):
                continue
            given.append(f"{name}={self._text(value, other.options[name])}")
        made = []
        for one, twin in zip(node.outputs, other.outputs, strict=True):
            if one in needed:
                made.append(self._named(one, twin))
            else:
                made.append("_")
        left = ", ".join(made) + ("," if len(made) == 1 and formula.outputs else "")
        return _folded(f"{left} = {called}(", given)

    def _named(self, one: Value, twin: Value) -> str:
        name = f"h{len({*self._names.values()})}"
        self._names[one] = self._names[twin] = name
        return name

    def _text(self, one: Any, other: Any) -> str:
        """Return a value of the first graph, and of the second, as Python."""
        if isinstance(one, Value):
            return self._value(one, other)
        if isinstance(one, (np.ndarray, np.generic)):
            return self._array(np.asarray(one), np.asarray(other))
        one, other = plain(one), plain(other)
        if isinstance(one, bool) or one is None or isinstance(one, str):
            return repr(one)
        if isinstance(one, int):
            return self._whole(one, other)
        if isinstance(one, float):
            return _float(one)
        if isinstance(one, complex):
            return _number(one)
        if one is Ellipsis:
            return repr(one)
        if isinstance(one, slice):
            parts = ((getattr(one, k), getattr(other, k)) for k in ("start", "stop", "step"))
            return f"slice({', '.join(self._text(*pair) for pair in parts)})"
        if isinstance(one, Mapping):
            inner = (f"{key!r}: {self._text(one[key], other[key])}" for key in one)
            return f"{{{', '.join(inner)}}}"
        if isinstance(one, (tuple, list)) and not hasattr(one, "_fields"):
            inside = ", ".join(self._text(a, b) for a, b in zip(one, other, strict=True))
            if isinstance(one, list):
                return f"[{inside}]"
            return f"({inside},)" if len(one) == 1 else f"({inside})"
        if isinstance(one, tuple) or dataclasses.is_dataclass(one):
            return self._record(one, other)
        raise ConfigurationError(f"{one!r:.80} cannot be written into a program")

    def _record(self, one: Any, other: Any) -> str:
        """Return a named tuple or a dataclass; it is made once, before the function."""
        if id(one) in self._shared:
            return self._shared[id(one)][1]
        fields: tuple[str, ...] = getattr(one, "_fields", ())
        if not isinstance(one, tuple):
            names = [field.name for field in dataclasses.fields(one)]
            kind = self.texts.of_class(type(one))
        elif type(one).__module__.startswith("nnscratch"):
            names, kind = list(fields), self.texts.of_class(type(one))
        else:
            names, kind = list(fields), "tuple"
        given = []
        for name in names:
            mine, twin = getattr(one, name), getattr(other, name)
            inner = _literal(mine) if isinstance(mine, np.ndarray) else self._text(mine, twin)
            given.append(f"{name}={inner}")
        name = f"{kind.lower()}_{len(self.constants)}"
        self._shared[id(one)] = one, name
        self.constants[name] = "\n".join(_folded(f"{name} = {kind}(", given))
        return name

    def _value(self, one: Value, other: Value) -> str:
        if one in self._names:
            return self._names[one]
        if one.kind != "captured":
            raise ConfigurationError("a value is read that no formula computed")
        names = [g.names.get(v) for g, v in zip(self._graphs, (one, other), strict=True)]
        if names[0] is not None and names[0] == names[1]:
            return self._kept(names[0], to_numpy(one.array))
        return self._array(to_numpy(one.array), to_numpy(other.array))

    def _array(self, one: Any, other: Any) -> str:
        """Return an array that is neither a parameter nor computed."""
        if one.shape != other.shape:
            value = np.append(one, 0).reshape(-1)[0]
            if (one == value).all() and (other == value).all():
                shape = self._text(one.shape, other.shape)
                return f"np.full({shape}, {_number(value.item())}, np.{one.dtype})"
            raise ConfigurationError(
                f"the model makes an array of shape {one.shape} outside of all formulas, from the "
                "number of samples; export it with fixed=True, for the sample's shape alone"
            )
        if one.size <= _MOST_WRITTEN and one.dtype.kind in "iub" and np.array_equal(one, other):
            return _literal(one)
        for name, known in self.arrays.items():
            if known.shape == one.shape and known.tobytes() == one.tobytes():
                return f"w[{quoted(name)}]"
        return self._kept(f"constant.{len(self.arrays)}", one)

    def _kept(self, name: str, array: Any) -> str:
        if array.dtype.kind in "fc" and array.dtype.name not in ("float32", "float64"):
            raise ConfigurationError(
                f"{name} is {array.dtype}; an export computes in float32 or float64: call "
                "model.float() first"
            )
        self.arrays[name] = array
        return f"w[{quoted(name)}]"

    def _whole(self, one: int, other: int) -> str:
        if one == other or self._sizes is None:
            return repr(one)
        small, large = self._sizes
        slope, rest = divmod(other - one, large - small)
        if rest:
            raise ConfigurationError(
                f"a number in the model is {one} for {small} samples and {other} for {large}; "
                "export it with fixed=True, for inputs of the sample's shape alone"
            )
        self.batched = True
        offset = one - slope * small
        text = "n" if slope == 1 else f"{slope} * n"
        return text if not offset else f"{text} {'+' if offset > 0 else '-'} {abs(offset)}"


def _literal(array: Any) -> str:
    """Return an array of NumPy as Python."""
    if array.size and (array == array.reshape(-1)[0]).all():
        value = array.reshape(-1)[0].item()
        return f"np.full({array.shape}, {_number(value)}, np.{array.dtype})"
    return f"np.array({_number(array.tolist())}, np.{array.dtype})"


def _number(value: Any) -> str:
    """Return a number, or lists of numbers, as Python, which has no word for NaN and infinity."""
    if isinstance(value, list):
        return f"[{', '.join(map(_number, value))}]"
    if isinstance(value, complex):
        return f"complex({_float(value.real)}, {_float(value.imag)})"
    return _float(value) if isinstance(value, float) else repr(value)


def _float(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return "math.nan" if value != value else f"{'-' if value < 0 else ''}math.inf"


def _same(value: Any, default: Any) -> bool:
    try:
        return type(value) is type(default) and bool(value == default)
    except (TypeError, ValueError):
        return False


def _defaults(formula: Any) -> Mapping[str, Any]:
    if formula.pointwise is not None:
        options: Mapping[str, Any] = formula.pointwise.options
        return options
    return parameters(formula.forward).defaults


def _folded(head: str, given: list[str]) -> list[str]:
    """Return a call in one line, or in several if it is long."""
    line = f"{head}{', '.join(given)})"
    if len(line) <= _WIDTH:
        return [line]
    return [head, *(f"    {one}," for one in given), ")"]


def _needed(graph: Graph) -> set[Any]:
    """Return the nodes and values that the result is computed from."""
    found: set[Any] = set()

    def read(item: Any) -> None:
        if isinstance(item, Value):
            found.add(item)
        elif isinstance(item, Mapping):
            for one in item.values():
                read(one)
        elif isinstance(item, (tuple, list)):
            for one in item:
                read(one)

    read(graph.outputs)
    for node in reversed(graph.nodes):
        if any(isinstance(one, Value) and one in found for one in node.outputs):
            found.add(node)
            read(node.inputs)
    return found
