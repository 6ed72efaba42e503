"""Small ONNX models for tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper


def model(
    nodes: list[NodeProto],
    weights: dict[str, Any] | None = None,
    inputs: tuple[str, ...] = ("x",),
    outputs: tuple[str, ...] = ("y",),
    opset: int = 21,
    **options: Any,
) -> ModelProto:
    """A model of floats, of any shape."""
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "graph",
        [info(name, TensorProto.FLOAT, None) for name in inputs],
        [info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(one), name) for name, one in (weights or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], **options)


def mlp(seed: int = 0) -> ModelProto:
    source = np.random.default_rng(seed)
    weights = {
        "fc1.weight": source.standard_normal((5, 4)).astype(np.float32),
        "fc1.bias": source.standard_normal(5).astype(np.float32),
        "fc2.weight": source.standard_normal((3, 5)).astype(np.float32),
        "shape": np.array([-1, 3], np.int64),
    }
    nodes = [
        helper.make_node("Gemm", ["x", "fc1.weight", "fc1.bias"], ["h"], "first", transB=1),
        helper.make_node("Relu", ["h"], ["r"], "relu"),
        helper.make_node("Gemm", ["r", "fc2.weight"], ["z"], "second", transB=1),
        helper.make_node("Reshape", ["z", "shape"], ["y"], "shape"),
    ]
    return model(nodes, weights)
