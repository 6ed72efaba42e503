"""`record`: the graph has every call, in order, with values, options, layers and names."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import nnscratch
from nnscratch import nn, optim
from nnscratch.errors import ShapeError
from nnscratch.formulas.live import is_live
from nnscratch.graph import Recorder, Value, record


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(4, 3)
        self.head = nn.Sequential(nn.Tanh(), nn.Linear(3, 2, bias=False))
        self.register_buffer("scale", nnscratch.ones(3))

    def forward(self, x: Any) -> Any:
        return self.head(self.fc1(x) * self.scale)


def names(graph: Any) -> list[tuple[str, str]]:
    return [(node.formula.name, node.direction) for node in graph.nodes]


def test_calls_values_layers_and_names() -> None:
    x = nnscratch.ones(5, 4)
    graph = record(Net(), x)
    assert names(graph) == [(n, "forward") for n in ("linear", "multiply", "tanh", "linear")]
    layers = [node.layer for node in graph.nodes]
    assert [layer.path for layer in layers] == ["fc1", "", "head.0", "head.1"]
    assert layers[0].label == "fc1 (Linear(in_features=4, out_features=3, bias=True))"
    assert [(one.path, one.depth, one.inputs, one.outputs) for one in graph.layers] == [
        ("", 0, ((5, 4),), ((5, 2),)),
        ("fc1", 1, ((5, 4),), ((5, 3),)),
        ("head", 1, ((5, 3),), ((5, 2),)),
        ("head.0", 2, ((5, 3),), ((5, 3),)),
        ("head.1", 2, ((5, 3),), ((5, 2),)),
    ]
    first, product, tanh, last = graph.nodes
    assert first.inputs[0] is graph.inputs[0]
    assert graph.inputs[0].array is x.array
    assert product.inputs[0] is first.outputs[0]
    assert tanh.inputs[0] is product.outputs[0]
    assert graph.outputs is last.outputs[0]
    assert set(graph.parameters()) == {"fc1.weight", "fc1.bias", "scale", "head.1.weight"}
    assert [value.kind for value in graph.values()] == [
        "input", "captured", "captured", "computed", "captured", "computed", "computed",
        "captured", "computed",
    ]  # fmt: skip


def test_a_training_step_with_its_backward_update_and_dynamic_scalars() -> None:
    model, loss = Net(), nn.CrossEntropyLoss()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    before = model.fc1.weight.detach().numpy().copy()

    def step(x: Any, y: Any) -> dict[str, Any]:
        optimizer.zero_grad()
        value = loss(model(x), y)
        value.backward()
        optimizer.step()
        return {"loss": value, "rows": len(x)}

    graph = record(step, nnscratch.ones(5, 4), y=nnscratch.zeros(5, dtype="int64"))
    assert not np.array_equal(model.fc1.weight.detach().numpy(), before)
    back = [node for node in graph.nodes if node.direction == "backward"]
    places = {"linear": ["head.1", "fc1"], "tanh": ["head.0"], "multiply": [""]}
    for name, paths in places.items():
        assert [node.layer.path for node in back if node.formula.name == name] == paths
    (update,) = [node for node in graph.nodes if node.formula.name == "sgd"]
    assert update.options["lr"] == 0.1
    assert is_live(update.options["lr"])
    assert graph.events
    assert graph.outputs["rows"] == 5
    assert graph.outputs["loss"].shape == ()
    text = str(graph)
    assert "lr=<0.1>" in text
    assert "cross_entropy.backward(" in text
    assert "# head.1" in text
    assert repr(graph).startswith(f"<graph of {len(graph.nodes)} calls>")


def test_every_value_is_written_before_it_is_read() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5), nn.GELU())

    def step(x: Any) -> Any:
        (model(x).var(0).sum()).backward()

    lines = str(record(step, nnscratch.randn(5, 4))).splitlines()
    known = {"%0"}
    for line in lines[1:-1]:
        made, _, call = line.partition(" = ")
        if call:
            used = {word.strip("(),") for word in call.split() if word.startswith("%")}
            assert used <= known, line
            known |= {word.strip("[],") for word in made.split()}


def test_two_models_and_views() -> None:
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    graph = record(lambda x: second(first(x)).T[:1], nnscratch.ones(2, 4))
    assert set(graph.parameters()) == {"weight", "bias", "Linear.weight", "Linear.bias"}
    *_, turned, part = graph.nodes
    assert part.outputs[0].root() is turned.inputs[0]


def test_shared_modules_are_called_again_and_gradients_have_names() -> None:
    layer = nn.Linear(3, 3)
    model = nn.Sequential(layer, layer)
    model(nnscratch.ones(1, 3)).sum().backward()
    graph = record(lambda x: model(x) + model[0].weight.grad.sum(), nnscratch.ones(1, 3))
    assert [(one.path, one.again) for one in graph.layers] == [
        ("", False),
        ("0", False),
        ("0", True),
    ]
    assert "0.weight.grad" in graph.parameters()


def test_arrays_and_nested_inputs_are_values_and_numbers_are_not() -> None:
    def function(pair: Any, scale: float, note: str) -> Any:
        return (pair["a"] + pair["b"]) * scale

    x = np.ones((2, 2), np.float32)
    graph = record(function, {"a": x, "b": nnscratch.ones(2)}, 3.0, note="n")
    assert [value.shape for value in graph.inputs] == [(2, 2), (2,)]
    assert graph.nodes[1].inputs[1] == 3.0
    assert "multiply(%2, B=3.0)" in str(graph)
    again = record(lambda a, b: a * b, *[nnscratch.tensor(x)] * 2)
    assert len(again.inputs) == 1


def test_no_intermediate_array_is_kept_alive() -> None:
    made: list[Any] = []

    def function(x: Any) -> Any:
        y = x * 2
        made.append(weakref.ref(y.array))
        return (y + 1).sum()

    graph = record(function, nnscratch.ones(3))
    gc.collect()
    assert made[0]() is None
    assert all(v.array is None for v in graph.values() if v.kind == "computed")


def test_an_error_leaves_no_observer_behind() -> None:
    model = nn.Sequential(nn.Linear(4, 2), nn.Linear(3, 2))
    with pytest.raises(ShapeError, match="in 1 "):
        record(model, nnscratch.ones(5, 4))
    assert nnscratch.formulas.registry.observers() == ()


def test_a_module_that_runs_when_the_observer_comes() -> None:
    """The calls of modules may be left that were never entered."""
    recorder = Recorder([])
    layer = nn.Linear(2, 2)
    recorder.on_module_left(layer, None)
    recorder.on_module(layer, (nnscratch.ones(1, 2),))
    recorder.on_module_left(nn.ReLU(), None)
    assert recorder.running.module is layer


def test_values_are_told_apart_by_identity() -> None:
    assert Value("input", (2,), "float32") != Value("input", (2,), "float32")


def test_several_outputs_and_what_is_saved_as_text() -> None:
    def step(x: Any) -> Any:
        var, mean = nnscratch.var_mean(x, dim=0)
        first, second = x.split(2)
        ((var * mean).sum() + (first * second).sum()).backward()
        return x.grad

    lines = str(record(step, nnscratch.ones(4, 2, requires_grad=True))).splitlines()
    calls = [line.strip().partition(" = ") for line in lines if " = " in line]
    made = {call.partition("(")[0]: (left, call) for left, _, call in calls}
    assert made["var_mean"] == (
        "%1, %2 [%3]", "var_mean(%0, axis=0, correction=1, keepdims=False)",
    )  # fmt: skip
    assert made["split"] == ("%4, %5", "split(%0, sizes=(2, 2), axis=0)")
    assert made["var_mean.backward"][1].endswith(", %3, axes=(0,), divisor=3)")
    assert made["split.backward"][1].endswith(", shape=(4, 2), axis=0, sizes=(2, 2))")
