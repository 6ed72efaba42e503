"""A graph: the calls of formulas in the order in which they ran, and the values between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from nnscratch.formulas import Formula
from nnscratch.formulas.live import LiveFloat, LiveInt


@dataclass(eq=False, slots=True)
class Value:
    """An array of a graph. Two values are the same one only if they are the same object.

    Attributes:
        kind: "input" of the recorded function, "captured" (it was there before: a parameter, a
            buffer, data closed over) or "computed" by a formula.
        shape: its shape.
        dtype: the name of its dtype.
        array: the array itself of an input and of a captured value. A computed one has none: a
            recording keeps no intermediate array alive.
        position: which input it is, counted from 0.
        alias: the value whose memory it shares, for views.
    """

    kind: str
    shape: tuple[int, ...]
    dtype: str
    array: Any = None
    position: int = -1
    alias: Value | None = None

    def root(self) -> Value:
        """Return the value that owns the memory."""
        value = self
        while value.alias is not None:
            value = value.alias
        return value


@dataclass(eq=False, slots=True)
class Node:
    """One call of a formula, with values in the place of arrays.

    Attributes:
        formula: which one.
        direction: "forward", "backward" or "update" (of a state, in place).
        inputs: values, numbers and None, as the formula takes them; of a backward the gradient of
            the output and what the forward saved.
        options: its keyword arguments; a number among them that may be another one at every run
            is a dynamic scalar (``nnscratch.formulas.live``).
        outputs: the outputs of a forward, the gradients of a backward, the inputs that were
            updated.
        saved: what a forward left for its backward.
        needs: of a backward: for which inputs a gradient was asked.
        layer: the call of the module in which it ran, None outside of all modules.
    """

    formula: Formula
    direction: str
    inputs: tuple[Any, ...]
    options: dict[str, Any]
    outputs: tuple[Any, ...]
    saved: Any
    needs: tuple[bool, ...]
    layer: LayerCall | None = None

    def values(self) -> list[Value]:
        """Return every value that it reads or writes."""
        saved = self.saved if isinstance(self.saved, tuple) else ()
        return [v for v in (*self.inputs, *self.outputs, *saved) if isinstance(v, Value)]

    def given(self, inputs: tuple[Any, ...]) -> tuple[Any, Any]:
        """Return what a backward takes, of its inputs: dY (of several outputs a tuple), saved."""
        count = len(inputs) - len(self.saved)
        dY = inputs[:count] if self.formula.outputs else inputs[0]
        return dY, type(self.saved)(*inputs[count:])


@dataclass(eq=False, slots=True)
class LayerCall:
    """One call of a module.

    Attributes:
        path: of the module, from the outermost one that was running; empty for that one.
        module: which one.
        depth: how many calls it lies inside of.
        again: whether the module was called before.
        inputs: the shapes of the tensors that it was called with.
        outputs: the shapes of the tensors that it returned.
    """

    path: str
    module: Any
    depth: int
    again: bool
    inputs: tuple[tuple[int, ...], ...] = ()
    outputs: tuple[tuple[int, ...], ...] = ()

    @property
    def label(self) -> str:
        """The path with the layer in words: "fc1 (Linear(in_features=4, out_features=2))"."""
        inner = any(True for _ in self.module.children())
        words = type(self.module).__name__ if inner else repr(self.module)
        return f"{self.path} ({words})" if self.path else words


@dataclass(slots=True)
class HostEvent:
    """Python work of every run (a step is counted, a learning rate read), and what it produced."""

    produce: Callable[[], Any]
    produced: Any


@dataclass(eq=False)
class Graph:
    """What one run of a function did; ``str`` has a line for each call.

    Attributes:
        nodes: the calls, in order.
        events: the Python work whose numbers the nodes' dynamic scalars are.
        layers: the calls of modules, in the order in which they began.
        inputs: a value for each array that the function was called with.
        outputs: what it returned, with a value in the place of each tensor.
        names: of captured values, as in ``named_parameters()`` and ``named_buffers()``.
    """

    nodes: list[Node] = field(default_factory=list)
    events: list[HostEvent] = field(default_factory=list)
    layers: list[LayerCall] = field(default_factory=list)
    inputs: list[Value] = field(default_factory=list)
    outputs: Any = None
    names: dict[Value, str] = field(default_factory=dict)

    def values(self) -> Iterator[Value]:
        """Go through all values, each once, in the order in which they appear."""
        seen: set[Value] = set()
        for value in (*self.inputs, *(v for node in self.nodes for v in node.values())):
            if value not in seen:
                seen.add(value)
                yield value

    def parameters(self) -> dict[str, Value]:
        """Return the captured values that have a name: parameters and buffers of modules."""
        return {name: value for value, name in self.names.items()}

    def __str__(self) -> str:
        return "\n".join(_Writer(self).lines())

    def __repr__(self) -> str:
        return f"<graph of {len(self.nodes)} calls>\n{self}"


class _Writer:
    """Writes a graph down as text, and numbers its values on the way."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._names: dict[Value, str] = dict(graph.names)
        self._computed = 0
        self._captured: list[Value] = []
        self._read = {v for node in graph.nodes for v in node.inputs if isinstance(v, Value)}

    def lines(self) -> list[str]:
        """Return the signature, what is captured without a name, the calls, and the result."""
        given = [f"{self._text(value)}: {_type(value)}" for value in self._graph.inputs]
        body = [f"  {self._line(node)}" for node in self._graph.nodes]
        body.append(f"  return {self._text(self._graph.outputs)}")
        captured = [f"  {self._names[v]}: {_type(v)}, captured" for v in self._captured]
        return [f"graph({', '.join(given)}):", *captured, *body]

    def _line(self, node: Node) -> str:
        names: tuple[str, ...] = () if node.formula.variadic else node.formula.inputs
        if node.direction == "backward":
            gradients = len(node.inputs) - len(node.saved)  # one for each output
            names = (*("dY",) * gradients, *getattr(type(node.saved), "_fields", ()))
        arguments = [
            self._argument(names, n, item) for n, item in enumerate(node.inputs) if item is not None
        ]
        arguments += [f"{name}={self._text(value)}" for name, value in node.options.items()]
        call = node.formula.name + ("" if node.direction == "forward" else f".{node.direction}")
        made = ", ".join("_" if one is None else self._text(one) for one in node.outputs)
        made += self._saved_beside(node)
        place = f"  # {node.layer.path}" if node.layer is not None and node.layer.path else ""
        return f"{made} = {call}({', '.join(arguments)}){place}"

    def _saved_beside(self, node: Node) -> str:
        """Return what a forward computed for its backward alone, where a backward reads it."""
        if node.direction != "forward" or not isinstance(node.saved, tuple):
            return ""
        saved = [one for one in node.saved if isinstance(one, Value)]
        beside = [one for one in saved if one in self._read and one not in self._names]
        return f" [{', '.join(map(self._text, beside))}]" if beside else ""

    def _argument(self, names: tuple[str, ...], position: int, item: Any) -> str:
        """Return an argument; what is no array says by its name what it is."""
        named = position < len(names) and not isinstance(item, Value)
        return f"{names[position]}={self._text(item)}" if named else self._text(item)

    def _text(self, item: Any) -> str:
        if isinstance(item, Value):
            return self._names[item] if item in self._names else self._number(item)
        if isinstance(item, dict):
            return f"{{{', '.join(f'{key!r}: {self._text(one)}' for key, one in item.items())}}}"
        if isinstance(item, (list, tuple)):
            inside = ", ".join(map(self._text, item))
            return f"({inside},)" if len(item) == 1 else f"({inside})"
        if isinstance(item, (LiveFloat, LiveInt)):
            return f"<{float(item) if isinstance(item, float) else int(item)}>"
        return repr(item)

    def _number(self, value: Value) -> str:
        if value.kind == "captured":
            name = f"@{len(self._captured)}"
            self._captured.append(value)
        else:
            name = f"%{self._computed}"
            self._computed += 1
        self._names[value] = name
        return name


def _type(value: Value) -> str:
    return f"{value.dtype} {value.shape}"
