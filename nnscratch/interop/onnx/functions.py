"""Operators that ONNX itself defines by others: they run by that definition."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import NodeProto, helper

from nnscratch.interop.onnx.graphs import Steps, steps_of_function
from nnscratch.interop.onnx.lookup import Surroundings, function_key
from nnscratch.interop.onnx.schemas import function_of
from nnscratch.interop.onnx.types import ELEMENTS


def expanded(node: NodeProto, around: Surroundings, inputs: list[Any]) -> Steps:
    """Return the steps that a node stands for, given the values of its inputs.

    >>> node = helper.make_node("Softsign", ["x"], ["y"])
    >>> steps = expanded(node, Surroundings({"": 18}, {}, None), [np.ones(2, np.float32)])
    >>> [step.node.op_type for step in steps.steps]
    ['Constant', 'CastLike', 'Abs', 'Add', 'Div']
    """
    own = around.functions.get(function_key(node))
    if own is not None:
        return steps_of_function(own, around, own=True)
    types = [_type_of(value) for value in inputs]
    return steps_of_function(function_of(node, around.opsets, types), around)


def _type_of(value: Any) -> Any:
    if value is None:
        return helper.make_tensor_type_proto(0, None)
    element = ELEMENTS[np.dtype(value.dtype).name]
    return helper.make_tensor_type_proto(element, tuple(value.shape))
