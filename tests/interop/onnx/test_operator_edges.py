"""Operators at the edges of what they take, beside onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from interop.onnx.onnx_comparisons import run_elsewhere
from onnx import ModelProto, helper

from nnscratch.errors import ConfigurationError
from nnscratch.interop.onnx import backend

node = helper.make_node
INTEGERS = np.array([[0, -3, 5], [-7, -2, 1 << 24]], np.int32)
X = np.random.default_rng(0).standard_normal((2, 3)).astype(np.float32)
LARGE = np.array([[(1 << 24) + 1, -(1 << 30) - 1, 7]], np.int32)


def one_node(op: str, inputs: list[Any], opset: int = 21, **attributes: Any) -> ModelProto:
    given = [(f"x{i}", np.asarray(one)) for i, one in enumerate(inputs) if one is not None]
    names = ["" if one is None else f"x{i}" for i, one in enumerate(inputs)]
    infos = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(one.dtype), one.shape
        )
        for name, one in given
    ]  # fmt: skip
    output = helper.make_empty_tensor_value_info("y")
    graph = helper.make_graph([node(op, names, ["y"], **attributes)], op, infos, [output])
    imports = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


CASES: dict[str, tuple[str, list[Any], dict[str, Any]]] = {
    "a mean of integers is cut towards 0": ("ReduceMean", [INTEGERS], {"keepdims": 0}),
    "along an axis too": ("ReduceMean", [INTEGERS, np.array([1])], {}),
    "squares of a scalar": ("ReduceSumSquare", [np.float32(-3)], {"noop_with_empty_axes": 1}),
    "the size of a scalar": ("ReduceL1", [np.float32(-3)], {"noop_with_empty_axes": 1}),
    "the sign of what is no number": (
        "Sign",
        [np.array([np.nan, -0.5, 0.0, np.inf], np.float32)],
        {},
    ),
    "a size times a scale": (
        "Resize",
        [np.ones(5, np.float32), None, np.array([2.6], np.float32)],
        {},
    ),
    "large integers that are picked": (
        "Resize",
        [LARGE, None, np.array([1, 2], np.float32)],
        {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_an_edge(name: str) -> None:
    op, inputs, attributes = CASES[name]
    made = one_node(op, inputs, **attributes)
    given = [np.asarray(one) for one in inputs if one is not None]
    (want,), (got,) = run_elsewhere(made, *given), backend.prepare(made).run(given)
    assert (got.dtype, got.shape) == (want.dtype, want.shape)
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_a_logarithm_of_no_integers_is_one() -> None:
    made = one_node("ReduceLogSumExp", [np.zeros((1, 0), np.int32), np.array([1])])
    got = backend.prepare(made).run([np.zeros((1, 0), np.int32), np.array([1])])[0]
    assert (got.dtype, got.shape) == (np.int32, (1, 1))


def test_activations_without_numbers_of_their_own_are_refused() -> None:
    x, W, R = np.ones((1, 1, 1), np.float32), np.ones((1, 1, 1), np.float32), np.zeros((1, 1, 1))
    given = [x, W, R.astype(np.float32)]
    for name in ("Affine", "ScaledTanh"):
        made = one_node("RNN", given, activations=[name], hidden_size=1)
        with pytest.raises(ConfigurationError, match=f"{name.lower()} needs activation_alpha"):
            backend.prepare(made).run(given)
        made = one_node(
            "RNN", given, activations=[name], hidden_size=1, activation_alpha=[0.3],
            activation_beta=[0.7],
        )  # fmt: skip
        (want,), (got,) = run_elsewhere(made, *given), backend.prepare(made).run(given)
        np.testing.assert_allclose(got, want, rtol=1e-6)
