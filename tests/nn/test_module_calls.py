"""A module's own methods, called as in PyTorch: walking, hooks, state dicts, registration."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import nnscratch
from nnscratch import nn
from nnscratch.errors import CheckpointError, NNScratchError

LIBRARIES = [(nnscratch, nn), (torch, torch.nn)]


def tree(library: Any, kinds: Any) -> Any:
    """A module with a tied weight, a module twice, buffers and names left empty."""

    class Inner(kinds.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lin = kinds.Linear(2, 2)
            self.again = self.lin
            self.register_buffer("scale", library.ones(2))
            self.register_buffer("kept", library.zeros(1), persistent=False)
            self.register_buffer("none", None)
            self.register_parameter("missing", None)

    class Net(kinds.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = Inner()
            self.list = kinds.ModuleList([kinds.Linear(2, 2), kinds.ReLU()])
            self.list[0].weight = self.first.lin.weight
            self.first_again = self.first
            self.extra = kinds.Parameter(library.ones(3))
            self.register_buffer("shared", self.first.scale)

    return Net()


def both(see: Any) -> None:
    mine, its = (see(tree(*pair)) for pair in LIBRARIES)
    assert mine == its


@pytest.mark.parametrize("duplicates", [False, True])
@pytest.mark.parametrize("prefix", ["", "net"])
def test_walking(prefix: str, duplicates: bool) -> None:
    keep = {"remove_duplicate": not duplicates}
    both(lambda m: [name for name, _ in m.named_modules(prefix=prefix, **keep)])
    both(lambda m: [type(x).__name__ for _, x in m.named_modules(None, prefix, not duplicates)])
    for recurse in (True, False):
        both(lambda m, r=recurse: [n for n, _ in m.named_parameters(prefix, r, not duplicates)])
        both(lambda m, r=recurse: [n for n, _ in m.named_buffers(prefix, r, not duplicates)])
    both(lambda m: len(list(m.parameters(recurse=False))))
    both(lambda m: len(list(m.buffers(recurse=False))))
    both(lambda m: len(list(m.modules())))
    both(lambda m: [name for name, _ in m.named_children()])
    both(lambda m: len(list(m.first.children())))


def test_at_a_path() -> None:
    both(lambda m: m.get_submodule(target="first.lin") is m.first.lin)
    both(lambda m: m.get_parameter(target="first.lin.bias") is m.first.lin.bias)
    both(lambda m: m.get_buffer(target="first.scale") is m.shared)
    for see in (
        lambda m: m.get_submodule("first.none"),
        lambda m: m.get_parameter("first.lin.bais"),
        lambda m: m.get_buffer("first.lin.bias"),
        lambda m: m.get_parameter("first.missing.x"),
    ):
        for pair in LIBRARIES:
            with pytest.raises(AttributeError):
                see(tree(*pair))


def test_apply_calls_children_first() -> None:
    def see(m: Any) -> list[str]:
        seen: list[str] = []
        m.apply(fn=lambda x: seen.append(type(x).__name__))
        return seen

    both(see)


def test_state_dicts() -> None:
    both(lambda m: list(m.state_dict()))
    both(lambda m: list(m.state_dict(prefix="net.")))
    both(lambda m: m.state_dict(keep_vars=True)["extra"] is m.extra)
    both(lambda m: m.state_dict()["extra"].requires_grad)

    def see(m: Any) -> Any:
        given = {"before": 1}
        found = m.state_dict(destination=given)
        return found is given, list(found)

    both(see)


def test_a_child_with_a_state_dict_of_its_own() -> None:
    def net(kinds: Any) -> Any:
        class Own(kinds.Linear):
            def state_dict(self, *args: Any, **kwargs: Any) -> Any:
                found = super().state_dict(*args, **kwargs)
                found.pop(kwargs["prefix"] + "bias")
                return found

        return kinds.Sequential(Own(1, 1), kinds.Linear(1, 1))

    assert list(net(nn).state_dict()) == list(net(torch.nn).state_dict())


@pytest.mark.parametrize("assign", [False, True])
def test_loading(assign: bool) -> None:
    def see(library: Any, kinds: Any) -> Any:
        model = kinds.Sequential(kinds.Linear(2, 1), kinds.ReLU())
        model[0].bias.requires_grad_(False)
        model.register_buffer("k", library.zeros(2))
        weight, bias = library.tensor([[1.0, 2.0]]), library.tensor([3.0])
        before = model[0].weight
        found = model.load_state_dict(
            state_dict={"0.weight": weight, "0.bias": bias, "more": bias},
            strict=False,
            assign=assign,
        )
        weight[0, 0] = 9.0
        return (
            list(found.missing_keys), list(found.unexpected_keys), model[0].weight is before,
            model[0].weight.tolist(), model[0].bias.requires_grad, model[0].weight.requires_grad,
            type(model[0].weight).__name__,
        )  # fmt: skip

    mine, its = (see(*pair) for pair in LIBRARIES)
    assert mine == its


def test_assigned_tensors_keep_their_dtype() -> None:
    for library, kinds in LIBRARIES:
        layer = kinds.Linear(2, 1)
        double = library.ones(1, 2, dtype=library.float64)
        layer.load_state_dict({"weight": double, "bias": library.ones(1)}, assign=True)
        assert layer.weight.dtype == library.float64
        layer.load_state_dict({"weight": library.ones(1, 2), "bias": library.ones(1)})
        assert layer.weight.dtype == library.float64


def test_a_state_that_does_not_fit_changes_nothing() -> None:
    layer = nn.Linear(2, 1)
    before = layer.weight.tolist()
    for assign in (False, True):
        with pytest.raises(CheckpointError, match="bias has shape"):
            layer.load_state_dict(
                {"weight": nnscratch.ones(1, 2), "bias": nnscratch.ones(2)}, assign=assign
            )
    assert layer.weight.tolist() == before
    with pytest.raises(TypeError, match="a state dict is a dictionary"):
        layer.load_state_dict([1, 2])


# Hooks.


def hooked(library: Any, kinds: Any) -> list[Any]:
    """What hooks of all kinds see, and what comes out."""
    seen: list[Any] = []

    class Scale(kinds.Module):
        def forward(self, x: Any, *, by: float = 1.0) -> Any:
            seen.append(("forward", x.tolist(), by))
            if by < 0:
                raise ValueError("negative")
            return x * by

    def pre(name: str) -> Any:
        return lambda module, args: seen.append((name, len(args)))

    def post(name: str) -> Any:
        return lambda module, args, output: seen.append((name, output is None))

    def pre_kwargs(module: Any, args: Any, kwargs: Any) -> Any:
        return (args[0] + 1,), {"by": kwargs.get("by", 1.0) * 2}

    def post_kwargs(module: Any, args: Any, kwargs: Any, output: Any) -> Any:
        seen.append(("kwargs", dict(kwargs)))
        return output + 100

    layer = Scale()
    layer.register_forward_pre_hook(pre("a"))
    layer.register_forward_pre_hook(pre("b"), prepend=True)
    layer.register_forward_pre_hook(pre_kwargs, with_kwargs=True)
    layer.register_forward_hook(post("c"))
    layer.register_forward_hook(post("d"), prepend=True, always_call=True)
    handle = layer.register_forward_hook(post_kwargs, with_kwargs=True)
    x = library.ones(2)
    seen.append(layer(x, by=3.0).tolist())
    handle.remove()
    seen.append(layer(x).tolist())
    with pytest.raises(ValueError, match="negative"):
        layer(x, by=-1.0)
    with layer.register_forward_pre_hook(lambda module, args: args[0] * 10):
        seen.append(layer(x).tolist())
    seen.append(layer(x).tolist())
    return seen


def test_hooks_are_called_as_in_pytorch() -> None:
    assert hooked(nnscratch, nn) == hooked(torch, torch.nn)


def test_a_hook_that_returns_something_of_a_wrong_shape() -> None:
    layer = nn.Linear(2, 1)
    layer.register_forward_pre_hook(lambda m, a, k: a[0], with_kwargs=True)
    with pytest.raises(TypeError, match="returns None or"):
        layer(nnscratch.ones(1, 2))
    layer = nn.Linear(2, 1)
    layer.register_forward_pre_hook(lambda m, a: a[0][:, :1])
    with pytest.raises(NNScratchError, match="Linear"):
        layer(nnscratch.ones(1, 2))


# Registration.


@pytest.mark.parametrize(
    ("register", "error"),
    [
        (lambda m, lib: m.register_buffer("", lib.ones(1)), KeyError),
        (lambda m, lib: m.register_buffer("a.b", lib.ones(1)), KeyError),
        (lambda m, lib: m.register_buffer("weight", lib.ones(1)), KeyError),
        (lambda m, lib: m.register_buffer("forward", lib.ones(1)), KeyError),
        (lambda m, lib: m.register_buffer("x", [1.0]), TypeError),
        (lambda m, lib: m.register_buffer(3, lib.ones(1)), TypeError),
        (lambda m, lib: m.register_parameter("x", lib.ones(1)), TypeError),
        (lambda m, lib: m.register_parameter("in_features", None), KeyError),
        (lambda m, lib: m.register_parameter("a.b", None), KeyError),
        (lambda m, lib: m.add_module("x", lib.ones(1)), TypeError),
        (lambda m, lib: m.add_module("weight", None), KeyError),
        (lambda m, lib: m.register_module("a.b", None), KeyError),
        (lambda m, lib: setattr(m, "weight", lib.ones(1)), TypeError),
        (lambda m, lib: m.train("eval"), ValueError),
    ],
)
def test_what_cannot_be_registered(register: Any, error: type[Exception]) -> None:
    for library, kinds in LIBRARIES:
        with pytest.raises(error):
            register(kinds.Linear(1, 1), library)


def test_registered_again() -> None:
    for library, kinds in LIBRARIES:
        layer = kinds.Linear(1, 1)
        layer.register_buffer(name="k", tensor=library.ones(1), persistent=False)
        assert "k" not in layer.state_dict()
        layer.register_buffer("k", library.zeros(1))
        assert layer.state_dict()["k"].tolist() == [0.0]
        layer.register_parameter(name="p", param=kinds.Parameter(library.ones(1)))
        layer.register_parameter("p", None)
        assert layer.p is None


def test_a_module_that_stays_in_evaluation_mode() -> None:
    def see(library: Any, kinds: Any) -> list[bool]:
        class Frozen(kinds.Module):
            def __init__(self) -> None:
                super().__init__()
                self.inner = kinds.Dropout(0.5)

            def train(self, mode: bool = True) -> Any:
                return super().train(False)

        model = kinds.Sequential(Frozen(), kinds.Dropout(0.5)).train()
        return [m.training for m in model.modules()]

    assert see(nnscratch, nn) == see(torch, torch.nn) == [True, False, False, True]


def test_to_takes_a_tensor() -> None:
    layer = nn.Linear(1, 1).to(nnscratch.ones(1, dtype="float64"))
    assert layer.weight.dtype == np.dtype("float64")
    assert nn.Linear(1, 1).to(tensor=layer.weight).weight.dtype == np.dtype("float64")
