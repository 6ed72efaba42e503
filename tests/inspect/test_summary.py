"""`summary`: shapes, parameters, memory and operations, counted by hand here."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

import nnscratch
from nnscratch import nn
from nnscratch.array.random import default_generator
from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.inspect.costs import layer_costs
from nnscratch.inspect.summarising import summary


def test_a_chain_of_layers() -> None:
    model = nn.Sequential(nn.Linear(10, 6), nn.Tanh(), nn.Linear(6, 2, bias=False))
    found = summary(model, (5, 10))
    assert [row.outputs for row in found.rows] == [((5, 2),), ((5, 6),), ((5, 6),), ((5, 2),)]
    assert [row.parameters for row in found.rows] == [0, 66, 0, 12]
    # N(2IO + O), NO of the activation, 2NIO without a bias.
    assert [row.flops for row in found.rows] == [0, 5 * (2 * 60 + 6), 30, 5 * 24]
    assert (found.parameters, found.trainable) == (78, 78)
    assert found.parameter_bytes == found.gradient_bytes == 4 * 78
    # tanh keeps its output (5, 6), which is also the input that the second layer keeps.
    assert found.kept_bytes == 4 * 30
    assert found.flops == 630 + 30 + 120


LAYERS = [
    (nn.Conv2d(3, 16, 3, padding=1), (2, 3, 8, 8), 2 * 16 * 64 * (2 * 27 + 1)),
    (nn.Conv1d(4, 8, 3, groups=2, bias=False), (2, 4, 9), 2 * 8 * 7 * 2 * 6),
    (nn.ConvTranspose1d(4, 6, 3, stride=2), (2, 4, 8), 2 * (2 * 4 * 8) * (6 * 3) + 2 * 6 * 17),
    (nn.RNN(8, 16), (5, 2, 8), 10 * (2 * 16 * 24 + 3 * 16 + 16)),
    (nn.GRU(8, 16), (5, 2, 8), 10 * (2 * 48 * 24 + 3 * 48 + 7 * 16)),
    (nn.LSTM(8, 16, bias=False), (5, 2, 8), 10 * (2 * 64 * 24 + 64 + 9 * 16)),
    (nn.LSTM(8, 16, proj_size=4), (5, 2, 8), 10 * (2 * 64 * 12 + 3 * 64 + 9 * 16 + 2 * 64)),
    (nn.MaxPool2d(2), (2, 3, 8, 8), 2 * 3 * 64),
    (nn.Embedding(1000, 8), (2, 3), 0),
]


@pytest.mark.parametrize(("layer", "shape", "flops"), LAYERS, ids=lambda one: type(one).__name__)
def test_operations_of_layers(layer: nn.Module, shape: tuple[int, ...], flops: int) -> None:
    kind = "int64" if isinstance(layer, nn.Embedding) else "float32"
    assert summary(layer, shape, dtype=kind).flops == flops


def test_attention_counts_both_products_and_the_softmax() -> None:
    class Attention(nn.Module):
        def forward(self, q: Any, k: Any, v: Any) -> Any:
            return nn.functional.scaled_dot_product_attention(q, k, v)

    found = summary(Attention(), [(2, 3, 5, 4), (2, 3, 7, 4), (2, 3, 7, 6)])
    assert found.flops == 2 * 3 * 5 * 7 * (2 * 4 + 1 + 2 * 6)


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)
        self.head = nn.Sequential(nn.Linear(4, 1), nn.Dropout(0.5))
        self.spare = nn.Linear(2, 2)
        self.spare.requires_grad_(False)
        self.register_buffer("scale", nnscratch.ones(3))

    def forward(self, x: Any, y: Any) -> Any:
        return self.head(self.inner(self.inner(x)) + y)


def test_modules_called_twice_or_never_and_frozen_parameters() -> None:
    found = summary(Shared(), [(3, 4), (3, 4)])
    assert [(row.path, row.depth, row.parameters) for row in found.rows] == [
        ("", 0, 0),
        ("inner", 1, 20),
        ("inner", 1, 0),
        ("head", 1, 0),
        ("head.0", 2, 5),
        ("head.1", 2, 0),
        ("spare", 1, 6),
    ]
    text = repr(found)
    assert "Linear (again)" in text
    assert "not called" in text
    assert "31, 6 of them frozen" in text
    assert "Shared with inputs of shapes (3, 4), (3, 4)" in text
    assert found.parameter_bytes == 4 * (31 + 3)
    assert found.gradient_bytes == 4 * 25


def test_the_model_and_the_random_numbers_stay_as_they_were() -> None:
    model = Shared()
    model.head[1].generator = nnscratch.Generator(5)
    before = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    state = default_generator.state()
    summary(model, [(3, 4), (3, 4)])
    assert default_generator.state() == state
    assert model.head[1].generator.state() == {"seed": 5, "offset": 0}
    assert all(np.array_equal(before[n], v.numpy()) for n, v in model.state_dict().items())
    assert all(not m._hooks and not m._pre_hooks for m in model.modules())
    assert all(p.grad is None for p in model.parameters())
    assert model.training


def test_hooks_go_away_after_an_error_too() -> None:
    model = nn.Sequential(nn.Linear(4, 2), nn.Linear(3, 2))
    with pytest.raises(ShapeError, match="in 1 "):
        summary(model, (5, 4))
    assert all(not m._hooks and not m._pre_hooks for m in model.modules())


def test_the_dtype_follows_the_parameters_unless_it_is_given() -> None:
    double = summary(nn.Linear(4, 2).double(), (3, 4))
    assert double.parameter_bytes == 8 * 10
    flags = nnscratch.zeros(3, 2, dtype="int64")
    labels = nnscratch.zeros(4, dtype="int64")
    costs = layer_costs(nn.CrossEntropyLoss(), nnscratch.zeros(4, 3), labels)
    assert costs[0].formulas == ["cross_entropy"]
    assert "Flatten with an input of shape (3, 2)" in repr(summary(nn.Flatten(), flags))
    assert summary(nn.Flatten(), (3, 2, 2), dtype="int64").flops == 0


def test_what_is_no_shape_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="batch dimension included"):
        summary(nn.Linear(4, 2), [(3, 4.5)])


def test_a_model_with_arithmetic_of_its_own() -> None:
    class Free(nn.Module):
        def forward(self, x: Any) -> Any:
            return (x @ x.T).reshape(-1).sum()

    found = summary(Free(), (3, 5))
    assert found.flops == 2 * 9 * 5 + 9
    assert found.rows[0].outputs == ((),)


@pytest.mark.parametrize("with_rich", [True, False])
def test_show(
    with_rich: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not with_rich:
        for name in ("rich", "rich.box", "rich.console", "rich.table"):
            monkeypatch.setitem(sys.modules, name, None)
    nnscratch.summary(nn.Linear(4, 2), (3, 4)).show()
    out = capsys.readouterr().out
    assert ("──" in out) == with_rich
    assert "54 FLOPs" in out
