"""A model's graph as steps: checked once, before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import AttributeProto, FunctionProto, GraphProto, NodeProto, ValueInfoProto

from nnscratch.errors import CheckpointError, ConfigurationError, DTypeError
from nnscratch.interop.onnx.arrays import array_of
from nnscratch.interop.onnx.lookup import Surroundings, need_attributes, operator_of, unsupported
from nnscratch.interop.onnx.operators.table import Operator
from nnscratch.interop.onnx.schemas import without_unread
from nnscratch.interop.onnx.types import DTYPES, dtype_named, shown


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
        inputs: the names of the node's: a protobuf makes them anew whenever it is asked.
        outputs: likewise, without optional ones that nothing reads.
        references: which attributes are those of a function around it.
    """

    node: NodeProto
    name: str
    operator: Operator | None
    attributes: dict[str, Any]
    opset: int
    around: Surroundings
    made: dict[Any, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = field(init=False)
    outputs: tuple[str, ...] = field(init=False)
    references: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.inputs, self.outputs = tuple(self.node.input), tuple(self.node.output)
        self.references = tuple(
            name for name, value in self.attributes.items() if isinstance(value, Reference)
        )

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
        given: the names of all inputs in the file's order, ``defaults`` among them.
        dtypes: of those inputs of which the file says it.
        proto: an inner graph as the file has it; None of others.
        around: what its nodes may refer to.
    """

    name: str
    inputs: list[str]
    outputs: list[str]
    values: dict[str, np.ndarray]
    steps: list[GraphStep]
    defaults: list[str]
    last: list[list[str]]
    given: list[str]
    dtypes: dict[str, str]
    proto: GraphProto | None
    around: Surroundings


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
    if around.depth:  # of an inner graph every input is given, a value of its own would go unread
        values = {name: value for name, value in values.items() if name not in given}
    if len(set(given)) < len(given) or "" in given:
        raise CheckpointError(f"the graph {shown(graph.name)}: two inputs with one name")
    for one in (*graph.input, *graph.output):
        _need_known_types(one)
    # What an inner graph is given may have a name of a graph around it, which it hides.
    known = {*given, *values}
    steps = _steps(graph.node, known, outer - known, around, graph.name)
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
        given,
        {one.name: DTYPES[kind] for one in graph.input if (kind := one.type.tensor_type.elem_type)},
        graph if around.depth else None,
        around,
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


def steps_of_function(function: FunctionProto, around: Surroundings, own: bool = False) -> Steps:
    """Return the steps of a function of ONNX's, or of the file's own.

    Raises:
        CheckpointError, ConfigurationError: as ``steps_of``; also if nothing computes an output of
            a function of the file's ``own``.
    """
    known = set(function.input)
    opsets = {**around.opsets, **{one.domain: one.version for one in function.opset_import}}
    steps = _steps(function.node, known, frozenset(), around.deeper(opsets), function.name)
    lost = [name for name in function.output if name not in known]
    if own and lost:
        raise CheckpointError(
            f"the function {shown(function.name)}: nothing computes its output {shown(lost[0])}"
        )
    # ONNX's own leave out what nobody asks for.
    outputs = [name if name in known else "" for name in function.output]
    inputs = list(function.input)
    last = _last_uses(steps, {*outputs})
    return Steps(function.name, inputs, outputs, {}, steps, [], last, inputs, {}, None, around)


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
        found = operator_of(node, around)
        if isinstance(found, str):
            domain = f"{shown(node.domain)[1:-1]}:" if node.domain else ""
            missing.append(f"{domain}{shown(node.op_type)[1:-1]} (node {shown(name)}{found})")
            continue
        need_attributes(node, found, around, _said(node, name))
        attributes = {one.name: attribute_of(one, around, visible, name) for one in node.attribute}
        if len(attributes) < len(node.attribute):
            raise CheckpointError(f"{_said(node, name)} has an attribute twice")
        opset = around.opsets.get("" if node.domain == "ai.onnx" else node.domain, 1)
        steps.append(GraphStep(node, name, found, attributes, opset, around))
    if missing:
        raise ConfigurationError(unsupported(missing))
    return steps


def attribute_of(
    proto: AttributeProto, around: Surroundings, visible: frozenset[str] | set[str], node: str
) -> Any:
    """Return the value of a node's attribute in Python; ``visible`` is what its graphs may read.

    Raises:
        CheckpointError: if no operator takes one of its kind.
    """
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
    """Return for each step the values that no later step needs; those of nobody are left out."""
    last: list[list[str]] = [[] for _ in steps]
    seen = set(kept)
    for number in range(len(steps) - 1, -1, -1):
        step = steps[number]
        if step.operator is not None:
            step.outputs = without_unread(step.node, step.around.opsets, seen.__contains__)
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
