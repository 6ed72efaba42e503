"""Graphs of unusual but legal structure, beside onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from interop.onnx.onnx_comparisons import run_elsewhere
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from nnscratch.errors import NNScratchError
from nnscratch.interop.onnx import backend
from nnscratch.interop.onnx.loading import model_of

node, info = helper.make_node, helper.make_tensor_value_info
FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
X = np.random.default_rng(0).standard_normal((2, 3)).astype(np.float32)
W = np.array([2.0, -1.0, 0.5], np.float32)


def model(
    nodes: list[NodeProto],
    inputs: list[Any],
    outputs: list[Any],
    weights: dict[str, Any] | None = None,
    functions: list[Any] | None = None,
) -> ModelProto:
    held = [numpy_helper.from_array(np.asarray(one), name) for name, one in (weights or {}).items()]
    graph = helper.make_graph(nodes, "graph", inputs, outputs, held)
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("mine", 1)]
    return helper.make_model(graph, opset_imports=imports, functions=functions or [], ir_version=10)


def same_as_elsewhere(made: ModelProto, *arrays: np.ndarray) -> list[np.ndarray]:
    want = run_elsewhere(made, *arrays)
    got = backend.prepare(made).run(list(arrays))
    assert len(want) == len(got)
    for one, other in zip(want, got, strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    return want


def loop(shape: Any, dtype: int = FLOAT) -> NodeProto:
    """Doubles what it carries, while it is told to; yields it in a dtype."""
    body = helper.make_graph(
        [
            node("Identity", ["go"], ["on"]),
            node("Add", ["s", "s"], ["twice"]),
            node("Cast", ["s"], ["yield"], to=dtype),
        ],
        "body",
        [info("i", INT64, []), info("go", BOOL, []), info("s", FLOAT, [2, 3])],
        [info("on", BOOL, []), info("twice", FLOAT, [2, 3]), info("yield", dtype, shape)],
    )
    return node("Loop", ["n", "c", "x"], ["y", "z"], body=body)


@pytest.mark.parametrize("dtype", [FLOAT, INT64, TensorProto.FLOAT16, BOOL])
@pytest.mark.parametrize("shape", [[2, 3], [2, "k"], None])
@pytest.mark.parametrize(("count", "go"), [(0, True), (3, False), (-1, True), (2, True)])
def test_a_loop_of_any_number_of_turns(dtype: int, shape: Any, count: int, go: bool) -> None:
    inputs = [info("x", FLOAT, [2, 3]), info("n", INT64, []), info("c", BOOL, [])]
    outputs = [info("y", FLOAT, None), info("z", dtype, None)]
    made = model([loop(shape, dtype)], inputs, outputs)
    found = same_as_elsewhere(made, X, np.array(count), np.array(go))
    assert found[1].shape == ((count if go and count > 0 else 0), 2, 3)


def test_a_loop_of_no_turns_follows_what_it_is_given() -> None:
    """Sizes that the file leaves open are those of what is carried, and of the graph around."""
    body = helper.make_graph(
        [
            node("Identity", ["go"], ["on"]),
            node("MatMul", ["s", "w"], ["product"]),
            node("Identity", ["s"], ["out"]),
        ],
        "body",
        [info("i", INT64, []), info("go", BOOL, []), info("s", FLOAT, ["a", "b"])],
        [info("on", BOOL, []), info("out", FLOAT, ["a", "b"]), info("product", FLOAT, ["a", "c"])],
    )
    made = model(
        [node("Loop", ["n", "", "x"], ["y", "z"], body=body)],
        [info("x", FLOAT, ["a", "b"]), info("n", INT64, [])],
        [info("y", FLOAT, None), info("z", FLOAT, None)],
        {"w": np.ones((3, 5), np.float32)},
    )
    for count in (0, 2):
        y, z = model_of(made)(X, np.array(count))
        assert y.shape == (2, 3)
        assert z.shape == (count, 2, 5)


def scan(**attributes: Any) -> ModelProto:
    # Its inputs have names of the graph around, which they hide.
    body = helper.make_graph(
        [node("Add", ["s", "x"], ["sum"]), node("Mul", ["sum", "w"], ["scaled"])],
        "body",
        [info("s", FLOAT, [3]), info("x", FLOAT, [3])],
        [info("sum", FLOAT, [3]), info("scaled", FLOAT, [3])],
    )
    return model(
        [node("Scan", ["s", "x"], ["y", "z"], body=body, num_scan_inputs=1, **attributes)],
        [info("s", FLOAT, [3]), info("x", FLOAT, None)],
        [info("y", FLOAT, None), info("z", FLOAT, None)],
        {"w": W},
    )


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"scan_input_directions": [1]},
        {"scan_output_directions": [1], "scan_output_axes": [1]},
        {"scan_input_axes": [1], "scan_output_axes": [-1]},
    ],
)
def test_a_scan_of_any_axes_and_directions(attributes: dict[str, Any]) -> None:
    axis = attributes.get("scan_input_axes", [0])[0]
    same_as_elsewhere(scan(**attributes), W, X if axis == 0 else np.ascontiguousarray(X.T))
    # onnxruntime refuses nothing to scan, or falls over it.
    nothing = np.zeros((0, 3) if axis == 0 else (3, 0), np.float32)
    y, z = backend.prepare(scan(**attributes)).run([W, nothing])
    assert np.array_equal(y, W)
    place = attributes.get("scan_output_axes", [0])[0]
    assert (z.dtype, z.shape) == (np.float32, (0, 3) if place == 0 else (3, 0))


def test_a_branch_in_a_loop_reads_all_around_it() -> None:
    def branch(name: str, made: NodeProto) -> Any:
        return helper.make_graph([made], name, [], [info(made.output[0], FLOAT, None)])

    body = helper.make_graph(
        [
            node("ReduceSum", ["s"], ["total"], keepdims=0),
            node("Greater", ["total", "limit"], ["large"]),
            node(
                "If", ["large"], ["next"],
                then_branch=branch("then", node("Mul", ["s", "w"], ["product"])),
                else_branch=branch("else", node("Add", ["s", "x"], ["total of two"])),
            ),
            node("Identity", ["go"], ["on"]),
        ],
        "body",
        [info("i", INT64, []), info("go", BOOL, []), info("s", FLOAT, [2, 3])],
        [info("on", BOOL, []), info("next", FLOAT, [2, 3])],
    )  # fmt: skip
    for count in (0, 1, 5):
        made = model(
            [node("Loop", ["n", "", "x"], ["y"], body=body)],
            [info("x", FLOAT, [2, 3])],
            [info("y", FLOAT, None)],
            {"n": np.array(count), "w": W, "limit": np.float32(0.5)},
        )
        same_as_elsewhere(made, X)


def test_names_and_places_of_values() -> None:
    """Names with dots and slashes, inputs left out, outputs that are weights or inputs."""
    made = model(
        [
            node("Mul", ["x", "a/b.c:0"], ["/h.0/"], "n/1"),
            node("Clip", ["/h.0/", "", "top"], ["forward"], "n.2"),
            node("Dropout", ["forward"], ["y", ""]),
        ],
        [info("x", FLOAT, [2, 3])],
        [info(name, FLOAT, None) for name in ("y", "x", "a/b.c:0", "/h.0/")],
        {"a/b.c:0": W, "top": np.float32(0.25)},
    )
    same_as_elsewhere(made, X)


def test_weights_among_the_inputs_are_replaced_in_the_files_order() -> None:
    made = model(
        [node("Mul", ["x", "w"], ["a"]), node("Sub", ["a", "z"], ["y"])],
        [info("x", FLOAT, None), info("w", FLOAT, None), info("z", FLOAT, None)],
        [info("y", FLOAT, None)],
        {"w": W},
    )
    prepared, z = backend.prepare(made), X + 1
    assert np.array_equal(prepared.run([X, z])[0], X * W - z)
    assert np.array_equal(prepared.run([X, 2 * W, z])[0], X * (2 * W) - z)
    assert np.array_equal(prepared.run({"z": z, "x": X, "w": 3 * W})[0], X * (3 * W) - z)
    with pytest.raises(NNScratchError, match="takes 2 inputs"):
        prepared.run([X, W, z, z])


def function(body: list[NodeProto], inputs: list[str], **more: Any) -> Any:
    made = helper.make_function(
        "mine", more.pop("name", "f"), inputs, ["b"], body,
        [helper.make_opsetid("", 21), helper.make_opsetid("mine", 1)],
        more.pop("attributes", []), more.pop("defaults", []),
    )  # fmt: skip
    made.overload = more.pop("overload", "")
    return made


def referring(op: str, inputs: list[str], target: str, own: str, name: str, kind: int) -> NodeProto:
    """A node whose attribute is one of the function around it."""
    made = node(op, inputs, [target])
    made.attribute.add(name=own, type=kind).ref_attr_name = name
    return made


def call(function: str = "f", overload: str = "", **attributes: Any) -> NodeProto:
    made = node(function, ["x"], ["y"], domain="mine", **attributes)
    made.overload = overload
    return made


def of_function(nodes: list[NodeProto], *functions: Any) -> ModelProto:
    return model(nodes, [info("x", FLOAT, [2, 3])], [info("y", FLOAT, None)], None, [*functions])


def test_functions_have_attributes_with_values_of_their_own() -> None:
    kinds = onnx.AttributeProto
    weight = referring("Constant", [], "k", "value", "w", kinds.TENSOR)
    made = function(
        [weight, node("Mul", ["a", "k"], ["b"])],
        ["a"],
        defaults=[helper.make_attribute("w", numpy_helper.from_array(W))],
    )
    same_as_elsewhere(of_function([call()], made), X)
    other = numpy_helper.from_array(W * 3)
    found = same_as_elsewhere(of_function([call(w=other)], made), X)
    np.testing.assert_allclose(found[0], X * W * 3, rtol=1e-6)


def test_functions_call_one_another_and_have_branches() -> None:
    leaky = referring("LeakyRelu", ["a"], "small", "alpha", "slope", onnx.AttributeProto.FLOAT)
    other = helper.make_graph([leaky], "else", [], [info("small", FLOAT, None)])
    then = helper.make_graph([node("Neg", ["a"], ["n"])], "then", [], [info("n", FLOAT, None)])
    inner = function(
        [
            node("ReduceSum", ["a"], ["total"], keepdims=0),
            node("Constant", [], ["zero"], value_float=0.0),
            node("Greater", ["total", "zero"], ["c"]),
            node("If", ["c"], ["b"], then_branch=then, else_branch=other),
        ],
        ["a"],
        name="g",
        attributes=["slope"],
    )
    outer = function([node("g", ["a"], ["b"], domain="mine", slope=0.3)], ["a"])
    for x in (np.abs(X), -np.abs(X)):
        same_as_elsewhere(of_function([call()], inner, outer), x)


def test_functions_of_one_name_are_told_apart() -> None:
    one = function([node("Relu", ["a"], ["b"])], ["a"], overload="one")
    two = function([node("Neg", ["a"], ["b"])], ["a"], overload="two")
    for overload in ("one", "two"):
        same_as_elsewhere(of_function([call(overload=overload)], one, two), X)
    with pytest.raises(NNScratchError, match="mine:f"):
        model_of(of_function([call(overload="three")], one, two))


def test_inputs_of_functions_may_be_left_out() -> None:
    made = function([node("Clip", ["a", "low"], ["b"])], ["a", "low"])
    same_as_elsewhere(of_function([call()], made), X)
