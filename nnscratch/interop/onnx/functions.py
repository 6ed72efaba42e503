"""Operators that ONNX itself defines by others: they run by that definition."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import FunctionProto, NodeProto, helper

from nnscratch.interop.onnx.graphs import Steps, Surroundings, steps_of_function
from nnscratch.interop.onnx.schemas import schema_of
from nnscratch.interop.onnx.types import ELEMENTS


def expanded(node: NodeProto, around: Surroundings, inputs: list[Any]) -> Steps:
    """Return the steps that a node stands for, given the values of its inputs.

    >>> node = helper.make_node("Softsign", ["x"], ["y"])
    >>> steps = expanded(node, Surroundings({"": 18}, {}, None), [np.ones(2, np.float32)])
    >>> [step.node.op_type for step in steps.steps]
    ['Constant', 'CastLike', 'Abs', 'Add', 'Div']
    """
    own = around.functions.get((node.domain, node.op_type))
    if own is not None:
        return steps_of_function(own, around)
    schema, version = schema_of(node, around.opsets)
    if schema.has_function:
        versions = [one for one in schema.function_opset_versions if one <= version]
        content = schema.get_function_with_opset_version(max(versions, default=version))
    else:
        types = [_type_of(value).SerializeToString() for value in inputs]
        versions = [o for o in schema.context_dependent_function_opset_versions if o <= version]
        content = schema.get_context_dependent_function_with_opset_version(
            max(versions), node.SerializeToString(), types
        )
    return steps_of_function(FunctionProto.FromString(content), around)


def _type_of(value: Any) -> Any:
    if value is None:
        return helper.make_tensor_type_proto(0, None)
    element = ELEMENTS[np.dtype(value.dtype).name]
    return helper.make_tensor_type_proto(element, tuple(value.shape))
