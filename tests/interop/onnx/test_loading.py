"""A model that was loaded runs, trains on, explains itself, and moves like any module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from interop.onnx.onnx_comparisons import run_elsewhere
from interop.onnx.onnx_models import mlp, model
from onnx import TensorProto, helper, numpy_helper

import nnscratch
from nnscratch import nn, optim
from nnscratch.errors import DataError, DTypeError, ShapeError
from nnscratch.graph import record
from nnscratch.interop.onnx import OnnxModel, backend, load
from nnscratch.interop.onnx.loading import model_of

node = helper.make_node
X = np.random.default_rng(3).standard_normal((6, 4)).astype(np.float32)


@pytest.fixture
def loaded(tmp_path: Path) -> OnnxModel:
    onnx.save(mlp(), tmp_path / "mlp.onnx")
    return load(tmp_path / "mlp.onnx")


def test_it_runs_and_has_the_files_names(loaded: OnnxModel) -> None:
    assert [*loaded.state_dict()] == ["fc1.weight", "fc1.bias", "fc2.weight"]
    assert not loaded.training
    want = run_elsewhere(mlp(), X)[0]
    np.testing.assert_allclose(loaded(X).detach().numpy(), want, rtol=1e-5, atol=1e-6)
    assert loaded(x=X).shape == (6, 3)
    assert "Gemm" in repr(loaded)


def test_it_trains_on_as_the_same_network_does(loaded: OnnxModel) -> None:
    twin = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3, bias=False))
    for own, other in zip(twin.parameters(), loaded.parameters(), strict=True):
        own.data.copy_(other.detach())
    losses: list[list[float]] = []
    labels = nnscratch.tensor(np.arange(6) % 3)
    for one in (loaded, twin):
        optimizer = optim.Adam(one.train().parameters(), lr=0.05)
        losses.append([])
        for _ in range(12):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(one(nnscratch.tensor(X)), labels)
            loss.backward()
            optimizer.step()
            losses[-1].append(loss.item())
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
    assert losses[0][-1] < 0.5 * losses[0][0]


def test_its_gradients_are_right(loaded: OnnxModel) -> None:
    doubled = loaded.double()
    x = nnscratch.tensor(X.astype(np.float64), requires_grad=True)
    assert nnscratch.gradcheck(lambda x: doubled(x), (x,))


def test_it_explains_itself_by_its_nodes(loaded: OnnxModel) -> None:
    paths = [entry.layer.path for entry in nnscratch.graph.record(loaded, X).nodes]
    assert paths == ["nodes.first", "nodes.relu", "nodes.second", "nodes.shape"]
    for text in (str(nnscratch.explain(loaded, X)), str(nnscratch.summary(loaded, X))):
        assert all(f"{name} " in text for name in ("first", "relu", "second"))


def test_compiled_it_gives_the_same(loaded: OnnxModel) -> None:
    step = nnscratch.compile(lambda x: loaded(x))
    x = nnscratch.tensor(X)
    with nnscratch.no_grad():
        want = loaded(x).numpy()
        for _ in range(3):
            np.testing.assert_allclose(step(x).numpy(), want, rtol=1e-5, atol=1e-6)


def test_weights_go_through_a_state_dict(loaded: OnnxModel, tmp_path: Path) -> None:
    other = model_of(mlp(seed=1))
    assert not np.allclose(other(X).detach().numpy(), loaded(X).detach().numpy())
    nnscratch.save(loaded.state_dict(), tmp_path / "weights.safetensors")
    other.load_state_dict(nnscratch.load(tmp_path / "weights.safetensors"))
    assert np.array_equal(other(X).detach().numpy(), loaded(X).detach().numpy())


def test_inputs_that_do_not_fit_are_named(loaded: OnnxModel) -> None:
    with pytest.raises(ShapeError, match="takes 1 inputs, 'x'; got 2 by position"):
        loaded(X, X)
    with pytest.raises(ShapeError, match="'z' by name"):
        loaded(z=X)
    with pytest.raises(ShapeError, match=r"nodes\.first \(Gemm"):
        loaded(X[:, :3])
    with pytest.raises(DTypeError, match="'x' is float32 in the file, got int64"):
        loaded(np.ones((2, 4), np.int64))
    assert loaded.double()(X.astype(np.float64)).dtype == "float64"


def test_weights_that_come_as_nodes_are_parameters() -> None:
    weight = numpy_helper.from_array(np.ones((4, 2), np.float32))
    made = model_of(
        model([node("Constant", [], ["w"], value=weight), node("MatMul", ["x", "w"], ["y"])])
    )
    assert [name for name, _ in made.named_parameters()] == ["w"]


def test_names_of_any_kind_become_parts_of_a_module() -> None:
    names = ["a", "a.b", "forward", "nodes", "nodes.x", "", "x\ny", "." * 40, "a..b"]
    names = [name for name in names if name]
    nodes = [node("Add", ["x", names[0]], ["t0"])]
    nodes += [node("Add", [f"t{i}", name], [f"t{i + 1}"]) for i, name in enumerate(names[1:])]
    nodes.append(node("Identity", [f"t{len(names) - 1}"], ["y"]))
    weights = {name: np.full(2, i + 1.0, np.float32) for i, name in enumerate(names)}
    made = model_of(model(nodes, weights))
    assert len([*made.parameters()]) == len(names)
    assert made(np.zeros(2, np.float32)).tolist() == [36.0, 36.0]
    assert all(name.isprintable() for name in made.state_dict())


def test_control_flow_is_differentiated() -> None:
    info = helper.make_tensor_value_info
    body = helper.make_graph(
        [node("Mul", ["s", "w"], ["out"]), node("Identity", ["go"], ["on"])],
        "body",
        [info("i", TensorProto.INT64, []), info("go", TensorProto.BOOL, []), info("s", 1, None)],
        [info("on", TensorProto.BOOL, []), info("out", 1, None)],
    )
    given = model(
        [node("Loop", ["n", "", "x"], ["y"], body=body)],
        {"n": np.array(3), "w": np.array([2.0, 0.5], np.float32)},
    )
    made, x = model_of(given), np.array([1.0, 3.0], np.float32)
    y = made(x)
    assert y.tolist() == [8.0, 0.375] == run_elsewhere(given, x)[0].tolist()
    y.sum().backward()
    assert made.w.grad.tolist() == [12.0, 2.25]  # 3 w² x


def test_functions_of_the_file_run() -> None:
    made = model([node("twice", ["x"], ["y"], domain="mine", times=3.0)])
    made.opset_import.append(helper.make_opsetid("mine", 1))
    times = node("Constant", [], ["t"])
    attribute = times.attribute.add(name="value_float", type=onnx.AttributeProto.FLOAT)
    attribute.ref_attr_name = "times"
    made.functions.append(
        helper.make_function(
            "mine", "twice", ["a"], ["b"], [times, node("Mul", ["a", "t"], ["b"])],
            [helper.make_opsetid("", 21)], ["times"],
        )
    )  # fmt: skip
    x = np.array([1.0, -2.0], np.float32)
    assert model_of(made)(x).tolist() == [3.0, -6.0] == run_elsewhere(made, x)[0].tolist()


def test_random_operators_draw_from_a_seed() -> None:
    for op, more in (
        ("RandomNormalLike", {}),
        ("RandomUniformLike", {"high": 2.0}),
        ("Bernoulli", {}),
    ):
        made = model_of(model([node(op, ["x"], ["y"], seed=4.0, **more)]))
        half = np.full((500, 4), 0.5, np.float32)
        first, second = (made(half).numpy() for _ in range(2))
        assert np.array_equal(first, second)
        assert 0.2 < first.std() < 1.2
    ratio, on = np.array(0.25, np.float32), np.array(True)
    made = model_of(model([node("Dropout", ["x", "r", "t"], ["y"])], {"r": ratio, "t": on}))
    kept = made(np.ones((500, 4), np.float32)).numpy()
    assert set(np.unique(kept).round(4)) == {0.0, np.float32(4 / 3).round(4)}
    assert 0.7 < (kept > 0).mean() < 0.8


def test_the_backend_takes_nodes_and_devices() -> None:
    one = np.ones(2, np.float32)
    assert backend.run_node(node("Add", ["a", "b"], ["c"]), [one, one])[0].tolist() == [2.0, 2.0]
    two = np.array([5.0, 7.0], np.float32)
    difference = node("Sub", ["a", "b"], ["c"])
    assert backend.run_node(difference, {"b": one, "a": two})[0].tolist() == [4.0, 6.0]
    assert backend.run_node(node("Mul", ["a", "a"], ["c"]), [two, two])[0].tolist() == [25.0, 49.0]
    assert backend.run_model(mlp(), [X])[0].shape == (6, 3)
    assert backend.prepare(mlp()).run(nnscratch.tensor(X))[0].shape == (6, 3)
    assert backend.prepare(mlp()).run({"x": X})[0].shape == (6, 3)
    assert backend.supports_device("CPU")
    assert not backend.supports_device("TPU")
    assert backend.NNScratchBackend.is_compatible(mlp())
    assert not backend.NNScratchBackend.is_compatible(model([node("Sofmax", ["x"], ["y"])]))
    with pytest.raises(ValueError, match="takes 1 inputs"):
        backend.run_node(node("Relu", ["a", "b"], ["c"]), [one, one])


def test_a_loop_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    from nnscratch.interop.onnx import control

    monkeypatch.setattr(control, "_MOST", 50)
    info = helper.make_tensor_value_info
    body = helper.make_graph(
        [node("Identity", ["s"], ["out"]), node("Identity", ["go"], ["on"])],
        "body",
        [info("i", TensorProto.INT64, []), info("go", TensorProto.BOOL, []), info("s", 1, None)],
        [info("on", TensorProto.BOOL, []), info("out", 1, None)],
    )
    with pytest.raises(DataError, match="50 turns"):
        model_of(model([node("Loop", ["", "", "x"], ["y"], body=body)]))(np.ones(2, np.float32))


def test_recurrent_layers_that_the_formulas_have_not_go_step_by_step() -> None:
    """Other activations, clipping, peepholes: beside onnxruntime."""
    source = np.random.default_rng(0)

    def draw(*shape: int) -> Any:
        return source.standard_normal(shape).astype(np.float32)

    x = draw(5, 2, 3)
    for op, gates, options in (
        ("LSTM", 4, {"activations": ["HardSigmoid", "Softsign", "Relu"]}),
        ("LSTM", 4, {"clip": 0.4}),
        ("LSTM", 4, {"direction": "reverse", "peepholes": True}),
        ("GRU", 3, {"direction": "reverse"}),
        ("GRU", 3, {"activations": ["Sigmoid", "Relu"], "linear_before_reset": 1}),
        ("RNN", 1, {"activations": ["Softsign"]}),
        ("RNN", 1, {"direction": "bidirectional", "activations": ["Tanh", "Relu"]}),
    ):
        count = 2 if options.get("direction") == "bidirectional" else 1
        weights = {"W": draw(count, gates * 4, 3), "R": draw(count, gates * 4, 4)}
        weights["B"] = draw(count, 2 * gates * 4)
        inputs = ["x", "W", "R", "B"]
        if options.pop("peepholes", False):
            weights["P"] = draw(1, 12)
            inputs += ["", "", "", "P"]
        made = model(
            [node(op, inputs, ["y", "h"], hidden_size=4, **options)], weights, outputs=("y", "h")
        )
        for one, other in zip(run_elsewhere(made, x), model_of(made)(x), strict=True):
            np.testing.assert_allclose(one, other.detach().numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("reads", [False, True])
def test_outputs_that_nobody_reads_are_not_computed(reads: bool) -> None:
    """The places of MaxPool's entries are; the parts of Split are how many it makes."""
    nodes = [
        node("MaxPool", ["x"], ["y", "places"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Split", ["y"], ["a", "b"], axis=3, num_outputs=2),
    ]
    outputs = [helper.make_tensor_value_info("a", TensorProto.FLOAT, None)]
    if reads:
        outputs.append(helper.make_tensor_value_info("places", TensorProto.INT64, None))
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 4, 4])]
    graph = helper.make_graph(nodes, "pools", inputs, outputs)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    x = np.random.default_rng(0).standard_normal((1, 2, 4, 4)).astype(np.float32)
    loaded = model_of(made)
    assert [len(step.outputs) for step in loaded.graph.steps] == [1 + reads, 2]
    found = loaded.run([x])
    for one, other in zip(found, run_elsewhere(made, x), strict=True):
        np.testing.assert_array_equal(one.numpy(), other)
    with nnscratch.no_grad():
        replayed = nnscratch.compile(lambda x: tuple(loaded.run([x])))
        for _ in range(3):
            again = replayed(nnscratch.tensor(x))
    np.testing.assert_array_equal(again[0].numpy(), found[0].numpy())
    casts = [one.formula.name for one in record(loaded, x).nodes].count("cast")
    assert casts == int(reads)
