"""What the ``onnx`` package itself says of operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from onnx import FunctionProto, NodeProto, defs, helper


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


def without_unread(
    node: NodeProto, opsets: Mapping[str, int], is_read: Callable[[str], Any]
) -> tuple[str, ...]:
    """Return the outputs of a node without the last ones, if they are optional and nobody's.

    An operator computes what is asked for: where MaxPool has two outputs also the places of the
    largest entries.

    >>> node = helper.make_node("MaxPool", ["x"], ["y", "places"], kernel_shape=[2])
    >>> without_unread(node, {"": 21}, {"y"}.__contains__)
    ('y',)
    """
    outputs = tuple(node.output)
    if len(outputs) < 2 or is_read(outputs[-1]):
        return outputs
    schema, _ = schema_of(node, opsets)
    formal = schema.outputs if schema is not None else ()
    while (
        1 < len(outputs) <= len(formal)
        and formal[len(outputs) - 1].option == defs.OpSchema.FormalParameterOption.Optional
        and not (outputs[-1] and is_read(outputs[-1]))
    ):
        outputs = outputs[:-1]
    return outputs


def function_of(node: NodeProto, opsets: Mapping[str, int], types: Sequence[Any]) -> FunctionProto:
    """Return the definition of an operator by others, given the types of its inputs.

    >>> found = function_of(helper.make_node("Softsign", ["x"], []), {"": 18}, [])
    >>> [one.op_type for one in found.node]
    ['Constant', 'CastLike', 'Abs', 'Add', 'Div']
    """
    schema, version = schema_of(node, opsets)
    if schema.has_function:
        versions = [one for one in schema.function_opset_versions if one <= version]
        content = schema.get_function_with_opset_version(max(versions, default=version))
    else:
        versions = [o for o in schema.context_dependent_function_opset_versions if o <= version]
        content = schema.get_context_dependent_function_with_opset_version(
            max(versions), node.SerializeToString(), [one.SerializeToString() for one in types]
        )
    return FunctionProto.FromString(content)


def usual_types(node: NodeProto, opsets: Mapping[str, int]) -> list[Any] | None:
    """Return types that a node's inputs may have, floats where they may be; None if no tensors."""
    schema, _ = schema_of(node, opsets)
    found = []
    for position, name in enumerate(node.input):
        allowed = schema.inputs[min(position, len(schema.inputs) - 1)].types
        tensors = [one[7:-1] for one in allowed if one.startswith("tensor(")]
        if not tensors:
            return None
        dtype = "float" if "float" in tensors else sorted(tensors)[0]
        element = helper.TensorProto.DataType.Value(dtype.upper()) if name else 0
        found.append(helper.make_tensor_type_proto(element, None))
    return found
