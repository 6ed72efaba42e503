"""Hooks of modules in a backward pass and around state dicts, as PyTorch calls them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

import nnscratch
from nnscratch import nn, optim, train
from nnscratch.errors import CheckpointError, DTypeError, GradientError
from nnscratch.interop.safetensors import save_model

LIBRARIES = [(nnscratch, nn), (torch, torch.nn)]


def both(see: Any) -> Any:
    mine, its = (see(*pair) for pair in LIBRARIES)
    assert mine == its
    return mine


def plain(item: Any) -> Any:
    if isinstance(item, tuple):
        return tuple(map(plain, item))
    return item.tolist() if hasattr(item, "tolist") else item


def noting(log: list[Any], name: str, give: Any = None) -> Any:
    def hook(module: Any, *gradients: Any) -> Any:
        log.append((name, type(module).__name__, plain(gradients)))
        return give and give(*gradients)

    return hook


def linear(library: Any, kinds: Any) -> Any:
    layer = kinds.Linear(2, 1)
    with library.no_grad():
        layer.weight.fill_(1.0)
        layer.bias.fill_(0.0)
    return layer


def test_backward_hooks_see_each_input_and_output() -> None:
    def see(library: Any, kinds: Any) -> Any:
        class Several(kinds.Module):
            def forward(self, a: Any, n: int, b: Any, c: Any = None) -> Any:
                return a * 2, n, a + b.detach() + c, a.detach()

        log: list[Any] = []
        module = Several()
        module.register_full_backward_hook(noting(log, "last"))
        module.register_full_backward_hook(noting(log, "first"), prepend=True)
        module.register_full_backward_pre_hook(noting(log, "before"))
        a, b = (library.tensor([float(n), 2.0], requires_grad=True) for n in (1, 3))
        module(a, 5, b, c=b)[0].sum().backward()
        log.append(plain((a.grad, b.grad)))
        return log

    assert [name for name, *_ in both(see)[:3]] == ["before", "first", "last"]


def test_backward_hooks_replace_gradients_until_they_are_removed() -> None:
    def see(library: Any, kinds: Any) -> Any:
        log: list[Any] = []
        layer, x = linear(library, kinds), library.ones(1, 2, requires_grad=True)
        after = layer.register_full_backward_hook(noting(log, "r", lambda dx, dy: (dx[0] * 10,)))
        before = layer.register_full_backward_pre_hook(noting(log, "p", lambda dy: (dy[0] * 3,)))
        y = layer(x)
        y.sum().backward(retain_graph=True)
        y.sum().backward()
        log.append(plain((x.grad, layer.weight.grad, layer.bias.grad)))
        after.remove()
        library.autograd.grad(layer(x).sum(), layer.weight)
        before.remove()
        with library.no_grad():
            layer(x)
        layer(x).sum().backward()
        return log, plain((x.grad, layer.weight.grad))

    assert len(both(see)[0]) == 6


def test_a_backward_hook_without_gradients_of_inputs() -> None:
    def see(library: Any, kinds: Any) -> Any:
        log: list[Any] = []
        layer = linear(library, kinds)
        layer.register_full_backward_hook(noting(log, "none"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            layer(library.ones(1, 2)).sum().backward()
        return log, plain(layer.weight.grad)

    assert both(see)[0] == [("none", "Linear", ((None,), ([[1.0]],)))]
    layer = linear(nnscratch, nn)
    layer.register_full_backward_hook(lambda m, dx, dy: dy)
    with pytest.raises(GradientError, match="no input of Linear"):
        layer(nnscratch.ones(1, 2)).sum().backward()


def test_a_backward_hook_of_a_recorded_pass() -> None:
    def see(library: Any, kinds: Any) -> Any:
        log: list[Any] = []
        module, x = kinds.Softsign(), library.tensor([1.0], requires_grad=True)
        module.register_full_backward_hook(noting(log, "r", lambda dx, dy: (dx[0] * 2,)))
        (first,) = library.autograd.grad(module(x).sum(), x, create_graph=True)
        first.sum().backward()
        return log, first.item(), x.grad.item()

    assert both(see)[1:] == (0.5, -0.5)


def test_what_a_backward_hook_must_return() -> None:
    x = nnscratch.ones(1, 2, requires_grad=True)
    for given, said in (((x, x), "tuple of 1 gradients, got tuple of 2"), (x, "got Tensor")):
        layer = nn.Linear(2, 1)
        with layer.register_full_backward_hook(lambda m, dx, dy, given=given: given):
            y = layer(x)
        with pytest.raises(GradientError, match=said):
            y.sum().backward()


def test_backward_hooks_in_a_compiled_step() -> None:
    def trained(compiled: bool) -> list[float]:
        model = nn.Sequential(linear(nnscratch, nn), nn.Tanh())
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        model[1].register_full_backward_hook(lambda m, dx, dy: (dx[0] * 3 + dy[0],))

        def step(x: Any) -> Any:
            optimizer.zero_grad()
            loss = model(x).sum()
            loss.backward()
            optimizer.step()
            return loss

        run = nnscratch.compile(step) if compiled else step
        x = nnscratch.tensor([[0.5, 0.25]])
        losses = [run(x).item() for _ in range(4)]
        handle = model[1].register_full_backward_hook(lambda m, dx, dy: (dx[0] * 0,))
        losses += [run(x).item() for _ in range(4)]
        handle.remove()
        return losses + [run(x).item() for _ in range(4)]

    assert trained(True) == pytest.approx(trained(False), rel=1e-6)  # of fused loops


# State dicts.


def counting(kinds: Any) -> Any:
    class Counting(kinds.Linear):
        count: Any = 0

        def get_extra_state(self) -> Any:
            return {"count": self.count}

        def set_extra_state(self, state: Any) -> None:
            self.count = state["count"]

    return Counting


def test_extra_state(tmp_path: Path) -> None:
    def see(library: Any, kinds: Any) -> Any:
        made = [kinds.Sequential(kinds.ReLU(), counting(kinds)(1, 1)) for _ in range(2)]
        made[0][1].count = 7
        state = made[0].state_dict()
        found = [list(state), state["1._extra_state"], tuple(made[1].load_state_dict(state))]
        found.append(made[1][1].count)
        del state["1._extra_state"]
        found.append(made[1].load_state_dict(state, strict=False).missing_keys)
        more = {"0._extra_state": 1, **made[0].state_dict()}
        found.append(made[1].load_state_dict(more, strict=False).unexpected_keys)
        return found

    assert both(see)[3] == 7
    model = counting(nn)(1, 1)
    model.count = [1, "two", nnscratch.ones(2)]
    nnscratch.save(model.state_dict(), tmp_path / "run")
    other = counting(nn)(1, 1)
    with pytest.raises(CheckpointError, match="missing keys: _extra_state"):
        other.load_state_dict(nn.Linear(1, 1).state_dict())
    assert other.count == 0
    other.load_state_dict(nnscratch.load(tmp_path / "run"))
    assert plain(tuple(other.count)) == (1, "two", [1.0, 1.0])
    with pytest.raises(DTypeError, match="let get_extra_state return a tensor, or write"):
        save_model(other, tmp_path / "model")
    for use in (lambda m: m.get_extra_state(), lambda m: m.set_extra_state(1)):
        with pytest.raises(TypeError, match=r"Linear defines no .et_extra_state"):
            use(nn.Linear(1, 1))


def test_extra_state_in_a_fit() -> None:
    model = counting(nn)(1, 1)
    model.count = 7
    data = nnscratch.ones(8, 1).numpy()
    options = {"loss": "mse", "optimizer": "sgd", "lr": 0.1}
    trainer = train.Trainer(model, callbacks=[train.EarlyStopping(patience=1)], **options)
    trainer.fit((data, data), 2, validation=(data, data))
    assert model.count == 7


def test_hooks_behind_state_dict() -> None:
    def see(library: Any, kinds: Any) -> Any:
        seen: list[Any] = []

        def hook(module: Any, state: Any, prefix: str, metadata: Any) -> None:
            seen.append((type(module).__name__, prefix, list(state), dict(metadata)))
            if prefix:
                state[f"{prefix}old"] = state.pop(f"{prefix}weight")

        model = kinds.Sequential(kinds.Linear(1, 1), kinds.ReLU())
        model[0].register_state_dict_post_hook(hook)
        handle = model.register_state_dict_post_hook(hook)
        found = list(model.state_dict())
        handle.remove()
        return found, list(model.state_dict()), seen

    assert both(see)[0] == ["0.bias", "0.old"]
    layer = nn.Linear(1, 1)
    layer.register_state_dict_post_hook(lambda *_: {})
    with pytest.raises(TypeError, match="returns None, got dict"):
        layer.state_dict()


@pytest.mark.parametrize("strict", [True, False])
def test_hooks_behind_load_state_dict(strict: bool) -> None:
    def see(library: Any, kinds: Any) -> Any:
        seen: list[Any] = []

        def hook(module: Any, keys: Any) -> None:
            weight = [p.tolist() for name, p in module.named_parameters() if "weight" in name]
            seen.append((type(module).__name__, weight, [*keys.missing_keys], [*keys[1]]))
            if isinstance(module, kinds.Sequential):
                keys.missing_keys.remove("0.bias")
                keys.unexpected_keys.clear()

        model = kinds.Sequential(kinds.Linear(1, 1), kinds.ReLU())
        for one in (model, *model):
            one.register_load_state_dict_post_hook(hook)
        state = {"0.weight": library.ones(1, 1), "more": library.ones(1)}
        found = model.load_state_dict(state, strict=strict)
        return seen, tuple(found)

    assert [name for name, *_ in both(see)[0]] == ["Linear", "ReLU", "Sequential"]


def test_errors_behind_hooks_of_load_state_dict() -> None:
    layer = linear(nnscratch, nn)
    layer.register_load_state_dict_post_hook(lambda m, keys: keys.missing_keys.append("mine"))
    with pytest.raises(CheckpointError, match="missing keys: bias, mine"):
        layer.load_state_dict({"weight": nnscratch.zeros(1, 2)})
    assert layer.weight.tolist() == [[0.0, 0.0]]  # values are copied before the hook
    with pytest.raises(CheckpointError, match="weight has shape"):
        layer.load_state_dict({"weight": nnscratch.zeros(1, 3)})


def test_putting_a_module_at_a_path() -> None:
    def see(library: Any, kinds: Any) -> Any:
        model = kinds.Sequential(kinds.Sequential(kinds.Linear(1, 1)), kinds.ReLU())
        model.set_submodule("0.0", kinds.Tanh())
        model.set_submodule(target="1", module=kinds.Sigmoid(), strict=True)
        model.set_submodule("0.more", kinds.GELU())
        failed = []
        for path, module, strict in (
            ("0.none", kinds.ReLU(), True), ("0.1.2", kinds.ReLU(), False), ("", model, False),
            ("0.0", 3, False), ("0.training", kinds.ReLU(), False),
        ):  # fmt: skip
            with pytest.raises((AttributeError, ValueError)) as error:
                model.set_submodule(path, module, strict)
            failed.append(error.type is ValueError)
        return [(name, type(one).__name__) for name, one in model.named_modules()], failed

    both(see)
