"""An ONNX model as a module: parameters under the file's names, a layer for each node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from nnscratch.array import is_floating
from nnscratch.errors import DTypeError, NNScratchError, ShapeError
from nnscratch.interop.onnx.apart import apart, arrays_inside
from nnscratch.interop.onnx.graphs import GraphStep, Steps
from nnscratch.interop.onnx.operators.room import at_most
from nnscratch.interop.onnx.running import GraphPlace, run_step, run_steps
from nnscratch.interop.onnx.types import shown
from nnscratch.nn import Module
from nnscratch.nn.parameter import Buffer, Parameter
from nnscratch.tensors import Tensor, as_tensor

_DEEPEST = 16
_MOST_FOLDED, _LARGEST_FOLDED = 512, 1 << 22


class _Around:
    """What a node may refer to besides its inputs; no hook or summary looks into it."""

    __slots__ = ("place", "values")

    def __init__(self, values: dict[str, Any], place: GraphPlace) -> None:
        self.values, self.place = values, place


class OnnxNode(Module):
    """One node of an ONNX model, so that what happens in it has its name."""

    def __init__(self, step: GraphStep) -> None:
        """Take the step."""
        super().__init__()
        self.step = step

    def forward(self, *inputs: Any) -> Any:
        """Return the outputs of the node, a tuple; the last argument is what stands around it."""
        *given, around = inputs
        return run_step(self.step, given, around.values, around.place, inside=True)

    def __repr__(self) -> str:
        told = ", ".join(
            f"{name}={value!r}"
            for name, value in self.step.attributes.items()
            if len(repr(value)) < 200 and not isinstance(value, (Steps, np.ndarray))
        )
        return f"{self.step.node.op_type}({told})"


class OnnxWeights(Module):
    """Parameters and buffers under one part of their names."""


class OnnxModel(Module):
    """An ONNX graph that runs, trains further and explains itself; ``load`` makes it.

    Its parameters are the initializers of floating-point numbers that nodes compute with, under
    their names in the file; ``nodes`` has a module for each node. It is called with the graph's
    inputs in order, and returns its output, or a tuple of them. What the file has switched off
    stays off: a dropout drops nothing and running statistics stay as they are, in either mode.

    Attributes:
        graph: its steps.
        nodes: the nodes, modules by name.
    """

    def __init__(self, graph: Steps) -> None:
        """Take a graph that was checked."""
        super().__init__()
        self._constants: dict[str, np.ndarray] = {}
        self._held: dict[str, tuple[Module, str]] = {}
        self.nodes = Module()
        _lift_weights(graph)
        self.graph = graph
        learned, kept = _roles(graph)
        for name, array in graph.values.items():
            if name in learned:
                self._hold(name, Parameter(Tensor(array)))
            elif name in kept:
                self._hold(name, Buffer(Tensor(array)))
            else:
                self._constants[name] = array
        self._made_in = self._precision()
        self._fold()
        self._layers: dict[GraphStep, OnnxNode] = {}
        for step in graph.steps:
            layer = self._layers[step] = OnnxNode(step)
            self.nodes.add_module(_free_name(self.nodes, step.name), layer)
        self.eval()

    def _hold(self, name: str, tensor: Tensor) -> None:
        """Register a tensor under a name; dots lead into modules as in ``state_dict``."""
        owner: Module = self
        *path, last = [part or "_" for part in name.split(".")]
        if len(path) > _DEEPEST:
            path, last = [], name
        for part in path:
            inner = owner._modules.get(part)
            if not isinstance(inner, OnnxWeights):
                part = _free_name(owner, part)
                inner = OnnxWeights()
                owner.add_module(part, inner)
            owner = inner
        last = _free_name(owner, last)
        setattr(owner, last, tensor)
        self._held[name] = (owner, last)

    def _fold(self) -> None:
        """Compute now what is the same in every run, and small: shapes, mostly."""
        graph, kept, last = self.graph, [], []
        for step, ended in zip(graph.steps, graph.last, strict=True):
            if not self._folded(step):
                kept.append(step)
                last.append(ended)
        self.graph = replace(graph, values={}, steps=kept, last=last)

    def _folded(self, step: GraphStep) -> bool:
        names = [name for name in step.inputs if name]
        if step.operator is None or not step.operator.repeats:
            return False
        if any(name not in self._constants or name in self.graph.defaults for name in names):
            return False
        if sum(self._constants[name].size for name in names) > _MOST_FOLDED:
            return False
        inputs = [self._constants[name] if name else None for name in step.inputs]
        try:
            with at_most(_LARGEST_FOLDED):
                outputs = run_step(step, inputs, {}, None)
        except NNScratchError:
            return False  # it is too large, or will be refused when it is run
        self._constants.update(zip(step.outputs, outputs, strict=False))
        return True

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """Return the outputs of the graph, which share no memory with weights or inputs.

        Args:
            inputs: a tensor or an array for each input of the graph, in order.
            named: or by name, also values for initializers that old files list as inputs. What
                decides about shapes or branches (a sampling rate) is best an ``int`` or ``bool`` of
                Python: a compiled step takes it for a constant, and cannot read it from a tensor.

        Raises:
            ShapeError: if their number is another one.
            DTypeError: if one is of another dtype than the file says; floats may be of any.
        """
        found = self.run(inputs, named)
        return found[0] if len(found) == 1 else tuple(found)

    def run(self, inputs: Any, named: dict[str, Any] | None = None) -> list[Any]:
        """Return all outputs of the graph as a list, see ``forward``."""
        graph = self.graph
        given = dict(zip(graph.inputs, inputs, strict=False))
        given.update(named or {})
        wrong = [name for name in given if name not in (*graph.inputs, *graph.defaults)]
        lacking = [name for name in graph.inputs if name not in given]
        if len(inputs) > len(graph.inputs) or wrong or lacking:
            raise ShapeError(
                f"{shown(graph.name)} takes {len(graph.inputs)} inputs, "
                f"{', '.join(map(shown, graph.inputs[:8]))}; got "
                f"{len(inputs)} by position"
                + (f" and {', '.join(map(shown, [*named][:8]))} by name" if named else "")
            )
        tensors = {
            name: value if value is None else _argument(value, graph.dtypes.get(name))
            for name, value in given.items()
        }
        for name, one in tensors.items():
            if one is not None:
                _need_dtype(name, one, graph.dtypes.get(name))
        device = next((one.device for one in tensors.values() if isinstance(one, Tensor)), None)
        if device is not None and device.type == "cpu":
            device = None
        place = GraphPlace(device, self._made_in, self._precision())
        values: dict[str, Any] = {**self._constants}
        for name, (owner, last) in self._held.items():
            values[name] = getattr(owner, last)
        values.update(tensors)
        arguments = [tensors[name] for name in graph.inputs]

        def call(step: GraphStep, given: list[Any], known: dict[str, Any]) -> Any:
            return self._layers[step](*given, _Around(known, place))

        outputs = run_steps(graph, arguments, values, place, None, call)
        return apart(outputs, [*values.values(), *arrays_inside(graph.steps)])

    def _precision(self) -> str | None:
        """Return the dtype of the first parameter, without walking through all nodes."""
        for owner, last in self._held.values():
            if (held := owner._parameters.get(last)) is not None:
                return str(held.dtype.name)
        return None

    def extra_repr(self) -> str:
        """Return what goes in and comes out."""
        return f"inputs={self.graph.inputs}, outputs={self.graph.outputs}"


def _argument(value: Any, dtype: str | None) -> Any:
    """Return an input as a tensor; a whole number of Python, which is known, as a NumPy array."""
    if isinstance(value, (bool, int)) and dtype is not None and "float" not in dtype:
        try:
            return np.asarray(value, dtype)
        except (OverflowError, TypeError) as error:
            raise DTypeError(f"{value!r} is no {dtype}") from error
    return as_tensor(value)


def _need_dtype(name: str, tensor: Any, dtype: str | None) -> None:
    """Check that an input is what its operators were chosen for: whole numbers divide otherwise."""
    floats = dtype is not None and "float" in dtype
    if dtype is not None and not (tensor.is_floating_point() if floats else tensor.dtype == dtype):
        raise DTypeError(
            f"the input {shown(name)} is {dtype} in the file, got {tensor.dtype}; convert it first "
            f"with .to({dtype!r})"
        )


def _free_name(owner: Module, name: str) -> str:
    # As an error or a summary may show it.
    name = "".join(c if c.isprintable() and c != "." else "_" for c in name)[:100] or "_"
    while hasattr(owner, name):
        name += "_"
    return name


def _lift_weights(graph: Steps) -> None:
    """Move weights that come as nodes, or lie inside of control flow, to the graph's own values.

    Of two that have one name in two branches, each stays where it is.
    """
    inside = list(_graphs_inside(graph))
    for one in (graph, *inside):
        steps, last = [], []
        for step, ended in zip(one.steps, one.last, strict=True):
            weight = step.attributes.get("value") if step.node.op_type == "Constant" else None
            if isinstance(weight, np.ndarray) and weight.size > 1 and is_floating(weight):
                one.values[step.outputs[0]] = weight
            else:
                steps.append(step)
                last.append(ended)
        one.steps, one.last = steps, last
    counts = Counter(name for one in (graph, *inside) for name in one.values)
    counts.update(name for step in _all_steps(graph) for name in step.outputs)
    counts.update(name for one in (graph, *inside) for name in one.inputs)
    for one in inside:
        for name in [name for name in one.values if counts[name] == 1]:
            if is_floating(one.values[name]) and name not in (*one.defaults, *one.outputs):
                graph.values[name] = one.values.pop(name)
                for ended in one.last:
                    if name in ended:
                        ended.remove(name)


def _graphs_inside(graph: Steps) -> Iterator[Steps]:
    for step in graph.steps:
        for inner in step.attributes.values():
            if isinstance(inner, Steps):
                yield inner
                yield from _graphs_inside(inner)


def _roles(graph: Steps) -> tuple[set[str], set[str]]:
    """Return which initializers are parameters, and which are buffers."""
    learned: set[str] = set()
    kept: set[str] = set()
    read: set[str] = set()
    for step in _all_steps(graph):
        entry = step.operator
        for position, name in enumerate(step.inputs):
            array = graph.values.get(name)
            if array is None or not is_floating(array):
                continue
            if entry is not None and position in entry.numbers:
                read.add(name)
            elif entry is not None and position in entry.fixed:
                kept.add(name)
            elif array.ndim:
                learned.add(name)
    return learned - kept - read, kept - read


def _all_steps(graph: Steps) -> Iterator[GraphStep]:
    """Go through the steps of a graph and of those in its control flow."""
    for one in (graph, *_graphs_inside(graph)):
        yield from one.steps
