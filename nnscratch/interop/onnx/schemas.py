"""What the ``onnx`` package itself says of operators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onnx import NodeProto, defs


def schema_of(node: NodeProto, opsets: Mapping[str, int]) -> tuple[Any, int]:
    """Return the schema of a node's operator, None if there is none, and the version asked for."""
    domain = "" if node.domain == "ai.onnx" else node.domain
    version = opsets.get(domain, 1)
    try:
        return defs.get_schema(node.op_type, version, domain), version
    except defs.SchemaError:
        return None, version


def has_function(node: NodeProto, opsets: Mapping[str, int]) -> bool:
    """Say whether ONNX defines the operator of a node by others."""
    schema, _ = schema_of(node, opsets)
    return schema is not None and (schema.has_function or schema.has_context_dependent_function)
