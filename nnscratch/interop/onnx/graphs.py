"""A model's graph as steps: checked once, before anything runs."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from onnx import AttributeProto, FunctionProto, GraphProto, NodeProto, ValueInfoProto

from nnscratch.errors import CheckpointError, ConfigurationError, DTypeError
from nnscratch.interop.onnx.arrays import array_of
from nnscratch.interop.onnx.operators.table import Operator, operators
from nnscratch.interop.onnx.schemas import has_function
from nnscratch.interop.onnx.types import dtype_named, shown

DOMAINS = ("", "ai.onnx", "ai.onnx.preview", "ai.onnx.preview.training")
"""The operator sets that are looked up in the table."""
_DEEPEST = 16


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a graph's nodes may refer to: operator sets, the file's own functions, its folder."""

    opsets: Mapping[str, int]
    functions: Mapping[tuple[str, str], FunctionProto]
    folder: Path | None
    depth: int = 0

    def deeper(self, opsets: Mapping[str, int] | None = None) -> Surroundings:
        """Return the same one level further inside.

        Raises:
            CheckpointError: if there are too many levels: a function that calls itself.
        """
        if self.depth >= _DEEPEST:
            raise CheckpointError(
                f"graphs inside of graphs to more than {_DEEPEST} levels; a function must not "
                "call itself"
            )
        return Surroundings(opsets or self.opsets, self.functions, self.folder, self.depth + 1)


@dataclass(eq=False, slots=True)
class GraphStep:
    """One node, ready to run.

    Attributes:
        node: the node.
        name: its name, or its number where it has none.
        operator: what computes it; None where it is control flow or a function of others.
        attributes: its attributes in Python, graphs among them as ``Steps``.
        opset: the version of its operator set.
        around: what its own graphs, and the function that it stands for, may refer to.
    """

    node: NodeProto
    name: str
    operator: Operator | None
    attributes: dict[str, Any]
    opset: int
    around: Surroundings
    made: dict[Any, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The node in words: "node 'fc1' (Gemm)"."""
        return _said(self.node, self.name)


@dataclass(eq=False, slots=True)
class Steps:
    """A graph: its steps in order, and the names of what goes in and comes out.

    Attributes:
        name: the graph's.
        inputs: the names of its inputs that have no value of their own.
        outputs: the names of its outputs.
        values: by name, the arrays that it brings along.
        steps: the nodes in order.
        defaults: of ``values`` those that a caller may replace, as old files have it.
        last: which values are not needed after a step.
    """

    name: str
    inputs: list[str]
    outputs: list[str]
    values: dict[str, np.ndarray]
    steps: list[GraphStep]
    defaults: list[str]
    last: list[list[str]]


def _said(node: NodeProto, name: str) -> str:
    return f"node {shown(name)} ({shown(node.op_type)[1:-1]})"


def steps_of(graph: GraphProto, around: Surroundings, outer: frozenset[str] = frozenset()) -> Steps:
    """Return the steps of a graph.

    Args:
        graph: the graph.
        around: what its nodes may refer to.
        outer: the names that it may use of the graphs around it.

    Raises:
        CheckpointError: if it is no graph that can run: names that stand twice, or for nothing.
        ConfigurationError: if it has operators that there are not; all of them are named.
    """
    if graph.sparse_initializer:
        raise CheckpointError(
            f"the graph {shown(graph.name)} has sparse initializers; store them as dense ones"
        )
    need_text(graph.name, *(one.name for one in (*graph.input, *graph.output)))
    need_text(*(one.name for one in graph.initializer))
    values: dict[str, np.ndarray] = {}
    for tensor in graph.initializer:
        if not tensor.name or tensor.name in values:
            raise CheckpointError(
                f"the graph {shown(graph.name)}: two initializers with one name, "
                f"{shown(tensor.name)}"
            )
        values[tensor.name] = array_of(tensor, around.folder)
    given = [one.name for one in graph.input]
    if len(set(given)) < len(given) or "" in given:
        raise CheckpointError(f"the graph {shown(graph.name)}: two inputs with one name")
    for one in (*graph.input, *graph.output):
        _need_known_types(one)
    known = {*given, *values}
    if known & outer:
        name = sorted(known & outer)[0]
        raise CheckpointError(
            f"the graph {shown(graph.name)}: {shown(name)} stands for a value already"
        )
    steps = _steps(graph.node, known, outer, around, graph.name)
    outputs = [one.name for one in graph.output]
    lost = [name for name in outputs if name not in known and name not in outer]
    if lost:
        raise CheckpointError(
            f"the graph {shown(graph.name)}: nothing computes its output {shown(lost[0])}"
        )
    return Steps(
        graph.name,
        [name for name in given if name not in values],
        outputs,
        values,
        steps,
        [name for name in given if name in values],
        _last_uses(steps, {*outputs, *values}),
    )


def need_text(*names: Any) -> None:
    """Check that names are text.

    Raises:
        CheckpointError: if one is not: what came out of the file is bytes then.
    """
    for name in names:
        if not isinstance(name, str):
            raise CheckpointError(f"a name in the model is no UTF-8 text: {shown(name)}")


def _need_known_types(value: ValueInfoProto) -> None:
    """Check that tensors have the type of an input or output of a graph.

    Raises:
        DTypeError: if they have not.
    """
    kind = value.type.WhichOneof("value")
    proto = value.type
    if kind == "optional_type":
        proto = proto.optional_type.elem_type
        kind = proto.WhichOneof("value")
    if kind not in (None, "tensor_type"):
        raise DTypeError(f"{shown(value.name)} is a {kind.replace('_type', '')}, not a tensor")
    if kind and proto.tensor_type.elem_type:
        dtype_named(shown(value.name), proto.tensor_type.elem_type)


def steps_of_function(function: FunctionProto, around: Surroundings) -> Steps:
    """Return the steps of a function of ONNX's, or of the file's own.

    Raises:
        CheckpointError, ConfigurationError: as ``steps_of``.
    """
    known = set(function.input)
    opsets = {**around.opsets, **{one.domain: one.version for one in function.opset_import}}
    steps = _steps(function.node, known, frozenset(), around.deeper(opsets), function.name)
    # An output that nobody asks for need not be computed.
    outputs = [name if name in known else "" for name in function.output]
    return Steps(
        function.name, list(function.input), outputs, {}, steps, [], _last_uses(steps, {*outputs})
    )


def _steps(
    nodes: Iterable[NodeProto],
    known: set[str],
    outer: frozenset[str],
    around: Surroundings,
    where: str,
) -> list[GraphStep]:
    """Return the steps of nodes, and add the names that they compute to those that are known."""
    nodes = list(nodes)
    later = {name for node in nodes for name in node.output if name}
    missing: list[str] = []
    steps = []
    for number, node in enumerate(nodes):
        need_text(node.name, node.op_type, node.domain, *node.input, *node.output)
        need_text(*(text for one in node.attribute for text in (one.name, one.ref_attr_name)))
        name = node.name or f"{node.op_type}_{number}"
        for source in node.input:
            if source and source not in known and source not in outer:
                said = (
                    "which is computed later: the nodes are not in order, or go round in a circle"
                    if source in later
                    else "which nothing computes"
                )
                raise CheckpointError(
                    f"{_said(node, name)} in {shown(where)} reads {shown(source)}, {said}"
                )
        for target in node.output:
            if target and (target in known or target in outer):
                raise CheckpointError(
                    f"{_said(node, name)} in {shown(where)} computes {shown(target)}, which "
                    "stands for another value already"
                )
        visible = outer | known
        known.update(filter(None, node.output))
        found = _operator_of(node, around)
        if found == "missing":
            domain = f"{shown(node.domain)[1:-1]}:" if node.domain else ""
            missing.append(f"{domain}{shown(node.op_type)[1:-1]} (node {shown(name)})")
            continue
        attributes = {one.name: _attribute(one, around, visible, name) for one in node.attribute}
        if len(attributes) < len(node.attribute):
            raise CheckpointError(f"{_said(node, name)} has an attribute twice")
        opset = around.opsets.get("" if node.domain == "ai.onnx" else node.domain, 1)
        steps.append(GraphStep(node, name, found, attributes, opset, around))
    if missing:
        raise ConfigurationError(_unsupported(missing))
    return steps


CONTROL = ("If", "Loop", "Scan")


def _operator_of(node: NodeProto, around: Surroundings) -> Operator | Literal["missing"] | None:
    """Return the operator of a node, None if it runs by other means.

    "missing" if there is none.
    """
    if (node.domain, node.op_type) in around.functions:
        return None
    if node.domain not in DOMAINS:
        return "missing"
    if node.op_type in CONTROL:
        return None
    found = operators().get(node.op_type)
    if found is not None:
        return found
    return None if has_function(node, around.opsets) else "missing"


def _unsupported(missing: list[str]) -> str:
    table = operators()
    near = {
        close
        for one in missing
        for close in difflib.get_close_matches(one.split(" ")[0].split(":")[-1], table, 2)
    }
    more = f" and {len(missing) - 8} more" if len(missing) > 8 else ""
    hint = f"; near to these: {', '.join(sorted(near))}" if near else ""
    return (
        f"the model has operators that nnscratch has not: {', '.join(missing[:8])}{more}. "
        f"There are {len(table)}, see nnscratch.interop.onnx.backend.supported(){hint}"
    )


def _attribute(
    proto: AttributeProto, around: Surroundings, visible: frozenset[str] | set[str], node: str
) -> Any:
    kind = proto.type
    if proto.ref_attr_name:
        return Reference(proto.ref_attr_name)
    if kind == AttributeProto.GRAPH:
        return steps_of(proto.g, around.deeper(), frozenset(visible))
    if kind == AttributeProto.TENSOR:
        return array_of(proto.t, around.folder)
    if kind == AttributeProto.STRING:
        return proto.s.decode("utf-8", "replace")
    if kind == AttributeProto.STRINGS:
        return [one.decode("utf-8", "replace") for one in proto.strings]
    plain: dict[int, Callable[[], Any]] = {
        AttributeProto.FLOAT: lambda: proto.f,
        AttributeProto.INT: lambda: proto.i,
        AttributeProto.FLOATS: lambda: list(proto.floats),
        AttributeProto.INTS: lambda: list(proto.ints),
    }
    if kind not in plain:
        kinds = {number: word for word, number in AttributeProto.AttributeType.items()}
        raise CheckpointError(
            f"node {shown(node)}: the attribute {shown(proto.name)} is of the kind "
            f"{kinds.get(kind, kind)}, which no operator here takes"
        )
    return plain[kind]()


@dataclass(frozen=True, slots=True)
class Reference:
    """An attribute inside a function that has the value of the function's own attribute."""

    name: str


def _last_uses(steps: list[GraphStep], kept: set[str]) -> list[list[str]]:
    """Return for each step the values that no later step needs."""
    last: list[list[str]] = [[] for _ in steps]
    seen = set(kept)
    for number in range(len(steps) - 1, -1, -1):
        step = steps[number]
        used = {*step.node.input, *step.node.output, *_used_inside(step)}
        for name in used - seen - {""}:
            last[number].append(name)
        seen |= used
    return last


def _used_inside(step: GraphStep) -> set[str]:
    """Return the names that a node's own graphs use."""
    used: set[str] = set()
    for graph in step.attributes.values():
        if isinstance(graph, Steps):
            used.update(graph.outputs)
            for inner in graph.steps:
                used.update(inner.node.input)
                used |= _used_inside(inner)
    return used
