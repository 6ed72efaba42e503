"""Modules are compiled as in PyTorch: in place, or as another module with the same parameters."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import nnscratch
from nnscratch import nn, optim
from nnscratch.errors import ConfigurationError, PlanError, ShapeError
from nnscratch.formulas import registry
from nnscratch.plan.modules import CompiledModule


def network() -> nn.Sequential:
    nnscratch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 2))


def in_place(model: nn.Module, **settings: Any) -> nn.Module:
    assert model.compile(**settings) is None
    return model


def apart(model: nn.Module, **settings: Any) -> nn.Module:
    made = nnscratch.compile(model, **settings)
    assert isinstance(made, CompiledModule)
    return made


BOTH = pytest.mark.parametrize("compiled", [in_place, apart])
X = np.random.default_rng(0).standard_normal((4, 3)).astype("float32")


def near(made: Any, expected: Any) -> None:
    np.testing.assert_allclose(made.numpy(), expected.detach().numpy(), rtol=1e-5, atol=1e-6)


class Calls(registry.Observer):
    """Counts the formulas that are called."""

    count = 0

    def on_call(self, call: registry.Call) -> None:
        self.count += 1


def plans(model: Any) -> list[Any]:
    return list(model._compiled_call.plans)


@BOTH
def test_calls_without_a_graph_are_replayed(compiled: Callable[..., Any]) -> None:
    expected, model = network().eval(), compiled(network().eval())
    with nnscratch.no_grad():
        for rows in (1, 2, 4, 1, 2, 4, 4):
            near(model(X[:rows]), expected(X[:rows]))
        with registry.observing(watch := Calls()):
            model(X)
        assert watch.count > 0  # whoever watches sees every formula
    assert len(plans(model)) == 3
    model.requires_grad_(False)
    for _ in range(3):
        y = model(X[:3])
        assert not y.requires_grad
        near(y, expected(X[:3]))
    assert len(plans(model)) == 4


@BOTH
def test_calls_that_are_differentiated_have_a_graph(compiled: Callable[..., Any]) -> None:
    """The whole of a training script, which may not know that its model is compiled."""

    def train(model: nn.Module) -> list[float]:
        optimizer = optim.Adam(model.parameters(), lr=0.1)
        losses = []
        for _ in range(4):
            model.train()
            loss = (model(nnscratch.tensor(X)) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            model.eval()
            with nnscratch.no_grad():
                losses += [loss.item(), model(nnscratch.tensor(X)).abs().sum().item()]
        return losses

    expected = train(network())
    np.testing.assert_allclose(train(compiled(network())), expected, rtol=1e-5)
    model = compiled(nn.Linear(3, 2).requires_grad_(False))
    for _ in range(3):
        for named in (False, True):
            x = nnscratch.tensor(X, requires_grad=True)
            (model(input=x) if named else model(x)).sum().backward()
            assert x.grad is not None
    assert plans(model) == []


class Weighted(nn.Module):
    """What it learns, or is differentiated by, is no parameter."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        nnscratch.manual_seed(0)
        self.hidden: list[nn.Module] = []
        self.weight: Any = nnscratch.ones(3, requires_grad=kind == "attribute")
        if kind == "buffer":
            self.weight = nn.Buffer(nnscratch.ones(3, requires_grad=True))
        if kind == "list":
            self.hidden = [nn.Linear(3, 3), nn.BatchNorm1d(3, affine=False)]
            self.weight = self.hidden[0].weight.detach()

    def forward(self, x: Any) -> Any:
        for layer in self.hidden:
            x = layer(x)
        return x * self.weight.sum(), x


@BOTH
@pytest.mark.parametrize("kind", ["attribute", "buffer", "list"])
def test_graphs_of_what_is_no_parameter(compiled: Callable[..., Any], kind: str) -> None:
    plain, model = Weighted(kind), compiled(Weighted(kind))
    for _ in range(3):
        found = []
        for call in (plain, model):
            one, x = getattr(call, "_orig_mod", call), nnscratch.tensor(X)
            y, z = call(x)
            assert (z.array is x.array) == (kind != "list")
            y.sum().square().backward()
            leaf = one.hidden[0].bias if kind == "list" else one.weight
            found.append([leaf.grad, *(one.hidden[1].buffers() if kind == "list" else ())])
        for made, expected in zip(*found, strict=True):
            near(made, expected)
    assert plans(model) == []
    with nnscratch.no_grad():
        for _ in range(3):
            assert not model(nnscratch.tensor(X))[0].requires_grad
    assert len(plans(model)) == 1


@BOTH
def test_an_attribute_that_asks_for_a_gradient_later(compiled: Callable[..., Any]) -> None:
    model = compiled(Weighted("none"))
    for _ in range(3):
        assert not model(nnscratch.tensor(X))[0].requires_grad
    assert len(plans(model)) == 1
    model.weight.requires_grad_()
    for _ in range(3):
        model(nnscratch.tensor(X))[0].sum().backward()
    near(model.weight.grad, torch.tensor(X).sum() * 3 * torch.ones(3))


@BOTH
def test_hooks_run_and_errors_say_where(compiled: Callable[..., Any]) -> None:
    model = compiled(network().eval())
    handle = model.register_forward_hook(lambda module, inputs, output: output * 2)
    with nnscratch.no_grad():
        for _ in range(3):
            near(model(X), 2 * network().eval()(X))
        handle.remove()
        for _ in range(3):
            near(model(X), network().eval()(X))
        with pytest.raises(ShapeError, match=r"^in (_orig_mod\.)?0 \(Linear"):
            model(X[:, :2])


@BOTH
def test_what_cannot_be_replayed(compiled: Callable[..., Any]) -> None:
    class Branch(nn.Module):
        def forward(self, x: Any) -> Any:
            return x * 2 if x.sum() > 0 else x

    x = nnscratch.ones(2)
    with pytest.raises(PlanError, match="a compiled step"):
        compiled(Branch())(x)
    model = compiled(Branch(), fullgraph=False)
    with pytest.warns(RuntimeWarning, match="^Branch runs eagerly"):
        assert model(x).tolist() == [2.0, 2.0]
    assert model(-x).tolist() == [-1.0, -1.0]
    with pytest.warns(RuntimeWarning, match="^the switch runs eagerly"):
        compiled(Branch(), on_unsupported="eager", name="the switch")(x)


@BOTH
@pytest.mark.parametrize(
    "twin", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_copies(compiled: Callable[..., Any], twin: Callable[[Any], Any]) -> None:
    model = compiled(network().eval())
    with nnscratch.no_grad():
        expected = network().eval()(X)
        other = twin(model)
        near(other(X), expected)
        assert (other._compiled_call is None) == (compiled is in_place)
        if twin is not copy.copy:
            for parameter in other.parameters():
                parameter.zero_()
            for _ in range(3):
                assert other(X).abs().sum().item() == 0.0
        for _ in range(3):
            near(model(X), expected)


def test_in_place_and_back() -> None:
    model = network().eval()
    model.compile(fullgraph=True, dynamic=False, backend="inductor", mode="max-autotune")
    assert plans(model) == []
    model.compile(disable=True)
    assert model._compiled_call is None
    with pytest.raises(ConfigurationError, match="mode is one of"):
        model.compile(mode="fast")


def test_a_compiled_module_inside_another_and_inside_a_step() -> None:
    def made() -> tuple[Any, Any]:
        model = network().eval()
        return model, optim.SGD(model.parameters(), lr=0.1)

    def step(model: Any, optimizer: Any) -> Callable[[Any], Any]:
        def run(x: Any) -> Any:
            optimizer.zero_grad()
            loss = (model(x) ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss

        return run

    (plain, first), (inner, second) = made(), made()
    for layer in inner:
        layer.compile()
    inner.compile()
    eager, replayed = step(plain, first), nnscratch.compile(step(inner, second))
    x = nnscratch.tensor(X)
    for _ in range(4):
        near(replayed(x), eager(x))
    with nnscratch.no_grad():
        for _ in range(3):
            near(inner(x), plain(x))


def test_a_compiled_module_is_the_other_one() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 2)
            self.scale = 2.0

        def forward(self, x: Any) -> Any:
            return self.fc(x) * self.scale

        def doubled(self) -> float:
            return self.scale * 2

    model = Net()
    made = nnscratch.compile(model)
    assert isinstance(made, nn.Module)
    assert [*made.state_dict()] == ["_orig_mod.fc.weight", "_orig_mod.fc.bias"]
    assert [id(p) for p in made.parameters()] == [id(p) for p in model.parameters()]
    assert made.fc is model.fc
    made.scale = 3.0
    assert (model.scale, made.scale, made.doubled()) == (3.0, 3.0, 6.0)
    del made.scale
    assert not hasattr(model, "scale")
    made.scale = 1.0
    made.eval()
    assert (model.training, made.training, model.fc.training) == (False, False, False)
    made.training = True
    assert (model.training, made.training) == (True, True)
    for wanted in (False, True):
        assert model.train(wanted).training is made.training is wanted
        assert copy.deepcopy(made).training is wanted
    with pytest.raises(AttributeError, match="Net has no attribute 'zzz'"):
        made.zzz
    with nnscratch.no_grad():
        expected = model(X).tolist()
        for scale in (1.0, 1.0, 5.0, 5.0, 1.0):
            made.scale = scale
            np.testing.assert_allclose(made(X).numpy(), np.array(expected) * scale, rtol=1e-6)
    assert 0 < len(made.plans) <= 3
    assert "(_orig_mod): Net(" in repr(made)


def test_words_are_pytorchs() -> None:
    ours = inspect.signature(nnscratch.compile).parameters
    for name, one in inspect.signature(torch.compile).parameters.items():
        assert name in ours
        # A step that cannot be replayed is an error unless one says otherwise.
        assert ours[name].default == (True if name == "fullgraph" else one.default)
    given = {"name": "step", "recompile_limit": 4, "isolate_recompiles": True, "dynamic": True}
    assert nnscratch.compile(lambda x: x * 2, **given)(nnscratch.ones(1)).item() == 2.0
    with pytest.raises(ConfigurationError, match=r"backend is a name.* got <function"):
        nnscratch.compile(lambda x: x, backend=lambda graph, inputs: graph)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="shapes_spec must be None"):
        nnscratch.compile(lambda x: x, shapes_spec={0: 4})
    step = nnscratch.compile(lambda x: x + 1 if x.item() else x, fullgraph=False)
    with pytest.warns(RuntimeWarning, match="runs eagerly"):
        assert step(nnscratch.ones(1)).item() == 2.0
