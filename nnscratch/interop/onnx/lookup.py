"""What a node runs by: an operator of the table, control flow, a function, or nothing."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from onnx import FunctionProto, NodeProto

from nnscratch.errors import CheckpointError, ConfigurationError
from nnscratch.interop.onnx.operators.table import Operator, operators
from nnscratch.interop.onnx.schemas import function_of, has_function, schema_of, usual_types
from nnscratch.interop.onnx.types import shown

DOMAINS = ("", "ai.onnx", "ai.onnx.preview", "ai.onnx.preview.training")
"""The operator sets that are looked up in the table."""
_DEEPEST = 16
FunctionKey = tuple[str, str, str]
"""What a node calls a function by: domain, name, and which of several with both."""


def function_key(node: NodeProto) -> FunctionKey:
    """Return what a node calls a function of its file by."""
    return node.domain, node.op_type, node.overload


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a graph's nodes may refer to: operator sets, the file's own functions, its folder."""

    opsets: Mapping[str, int]
    functions: Mapping[FunctionKey, FunctionProto]
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


CONTROL = ("If", "Loop", "Scan")


def operator_of(node: NodeProto, around: Surroundings) -> Operator | str | None:
    """Return the operator of a node, None if it runs by other means.

    A text if there is none, that says what it lacks where its name alone does not.
    """
    if function_key(node) in around.functions:
        return None
    if node.domain not in DOMAINS:
        return ""
    schema, version = schema_of(node, around.opsets)
    known = node.op_type in CONTROL or node.op_type in operators()
    if schema is None:
        return f", not in opset {version}" if known else ""
    if known:
        return operators().get(node.op_type)
    if not has_function(node, around.opsets):
        return ""
    lacking = lacking_inside(node, around.opsets)
    return f", by {', '.join(lacking)}" if lacking else None


def need_attributes(
    node: NodeProto, operator: Operator | None, around: Surroundings, said: str
) -> None:
    """Check the names and kinds of a node's attributes; ``said`` is the node in words.

    Raises:
        ConfigurationError: if there is one that its operator does not know.
        CheckpointError: if one that it must have is missing, or of another kind.
    """
    if function_key(node) in around.functions:
        return
    given = {one.name: one for one in node.attribute}
    unknown = set() if operator is None else set(given) - operator.attributes
    if operator is not None and unknown:
        known = ", ".join(sorted(operator.attributes)) or "none"
        raise ConfigurationError(
            f"{said}: {operator.name} has no attribute {shown(sorted(unknown)[0])}; there are: "
            f"{known}"
        )
    schema, _ = schema_of(node, around.opsets)
    for name, one in schema.attributes.items():
        if name not in given:
            if one.required:
                raise CheckpointError(f"{said} has no attribute {shown(name)}, which it needs")
        elif given[name].type != int(one.type.value):
            raise CheckpointError(
                f"{said}: its attribute {shown(name)} is of another kind than {one.type.name}"
            )


def lacking_inside(node: NodeProto, opsets: Mapping[str, int]) -> list[str]:
    """Return the operators that there are not, of those by which ONNX defines a node's operator."""
    types = usual_types(node, opsets)
    if types is None:
        return ["sequences of tensors"]
    try:
        function = function_of(node, opsets, types)
    except Exception:
        return []  # it depends on more than dtypes: what it lacks is named when it runs
    inside = {**opsets, **{one.domain: one.version for one in function.opset_import}}
    around = Surroundings(inside, {}, None)
    return sorted(
        {
            one.op_type
            for one in all_nodes(function.node)
            if isinstance(operator_of(one, around), str)
        }
    )


def all_nodes(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """Go through nodes, and those of the graphs in their attributes."""
    for node in nodes:
        yield node
        for one in node.attribute:
            yield from all_nodes(one.g.node)


def unsupported(missing: list[str]) -> str:
    """Return the message for operators that there are not, given with their nodes."""
    table = operators()
    near = {
        close
        for one in missing
        if ", " not in one
        for close in difflib.get_close_matches(one.split(" ")[0].split(":")[-1], table, 2)
    }
    more = f" and {len(missing) - 8} more" if len(missing) > 8 else ""
    hint = f"; near to these: {', '.join(sorted(near))}" if near else ""
    return (
        f"the model has operators that nnscratch has not: {', '.join(missing[:8])}{more}. "
        f"There are {len(table)}, see nnscratch.interop.onnx.backend.supported(){hint}"
    )
