"""A plan is replayed only while what its step looks at is as it was: compiled is as eager."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

import nnscratch
from nnscratch import nn, optim
from nnscratch.errors import PlanError
from nnscratch.tensors import Tensor

SCALE = 2.0
LAYER: Any = None


class Scale(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("k", nnscratch.tensor([2.0]))
        self.power = 1
        self.plain = nnscratch.tensor([1.0])
        self.inner = nn.Identity()

    def forward(self, x: Any) -> Any:
        return self.inner(x) ** self.power * self.k * self.plain


def agree(step: Callable[..., Any], change: Callable[[], None], *inputs: Any) -> None:
    """Compare a compiled step with the eager one, before and after something is changed."""
    compiled = nnscratch.compile(step)
    for _ in range(3):
        assert nnscratch.allclose(compiled(*inputs), step(*inputs))
    before = step(*inputs)
    change()
    for _ in range(3):
        assert nnscratch.allclose(compiled(*inputs), step(*inputs))
    assert not nnscratch.allclose(before, step(*inputs)), "the change changed nothing"


X = nnscratch.tensor([[1.0, -2.0, 3.0], [0.5, 4.0, -1.0]])


@pytest.mark.parametrize(
    "change",
    [
        lambda m: setattr(m, "k", nnscratch.tensor([7.0])),
        lambda m: m.register_buffer("k", nnscratch.tensor([5.0])),
        lambda m: m.k.fill_(3.0),
        lambda m: setattr(m.k, "data", nnscratch.tensor([9.0])),
        lambda m: m.load_state_dict({"k": nnscratch.tensor([4.0])}),
        lambda m: setattr(m, "power", 2),
        lambda m: setattr(m, "plain", nnscratch.tensor([3.0])),
        lambda m: setattr(m, "inner", nn.ReLU()),
        lambda m: m.register_forward_hook(lambda module, inputs, out: out + 1),
        lambda m: m.inner.register_forward_pre_hook(lambda module, inputs: inputs[0] + 1),
    ],
)
def test_a_module_that_changes(change: Callable[[Any], Any]) -> None:
    module = Scale()
    agree(module, lambda: change(module), X)
    module = Scale()
    agree(lambda x: module(x) * 2, lambda: change(module), X)


def test_a_hook_that_is_taken_away() -> None:
    module = Scale()
    handle = module.register_forward_hook(lambda module, inputs, out: out + 1)
    agree(module, handle.remove, X)


def test_the_weight_of_a_loss() -> None:
    loss = nn.CrossEntropyLoss(weight=nnscratch.tensor([1.0, 1.0, 1.0]), reduction="sum")
    labels = nnscratch.tensor([0, 2])
    change = lambda: setattr(loss, "weight", nnscratch.tensor([5.0, 5.0, 1.0]))  # noqa: E731
    agree(lambda x: loss(x, labels), change, X)


def test_options_of_layers() -> None:
    layer = nn.LeakyReLU(0.1)
    agree(layer, lambda: setattr(layer, "negative_slope", 0.5), X)
    softmax = nn.Softmax(dim=1)
    agree(softmax, lambda: setattr(softmax, "dim", 0), X)


def test_names_of_the_code_around() -> None:
    factor, shift = 2.0, nnscratch.tensor([1.0])

    def change() -> None:
        nonlocal factor
        factor = 3.0

    def replace() -> None:
        nonlocal shift
        shift = nnscratch.tensor([5.0])

    agree(lambda x: x * factor + shift, change, X)
    agree(lambda x: (lambda y: y * factor + shift)(x), replace, X)


def test_names_of_the_module_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "LAYER", nn.Linear(3, 2))

    def step(x: Any) -> Any:
        return LAYER(x).detach() * SCALE

    agree(step, lambda: monkeypatch.setitem(globals(), "SCALE", 5.0), X)
    agree(step, lambda: monkeypatch.setitem(globals(), "LAYER", nn.Linear(3, 2)), X)
    agree(functools.partial(step), lambda: monkeypatch.setitem(globals(), "SCALE", 7.0), X)


def test_attributes_of_an_object_with_a_method() -> None:
    class Agent:
        def __init__(self) -> None:
            self.gamma, self.mask = 0.5, nnscratch.tensor([1.0, 0.0, 1.0])

        def step(self, x: Any) -> Any:
            return x * self.gamma * self.mask

        def __call__(self, x: Any) -> Any:
            return self.step(x) + self.gamma

    agent = Agent()
    agree(agent.step, lambda: setattr(agent, "gamma", 0.25), X)
    agree(agent.step, lambda: setattr(agent, "mask", nnscratch.ones(3)), X)
    agree(agent, lambda: setattr(agent, "gamma", 2.0), X)


def test_an_optimizer_that_is_replaced() -> None:
    weights = [nnscratch.ones(3, requires_grad=True) for _ in range(2)]
    optimizers = [optim.SGD([w], lr=0.1) for w in weights]

    def make(which: int) -> Callable[[], Tensor]:
        w, optimizer = weights[which], optimizers[which]

        def step() -> Tensor:
            optimizer.zero_grad()
            (w * w).sum().backward()
            optimizer.step()
            return w.detach().clone()

        def replace() -> None:
            nonlocal optimizer
            optimizer = optim.SGD([w], lr=0.01)

        step.replace = replace  # type: ignore[attr-defined]
        return step

    eager, other = make(0), make(1)
    compiled = nnscratch.compile(other)
    for _ in range(3):
        assert nnscratch.equal(compiled(), eager())
    eager.replace(), other.replace()  # type: ignore[attr-defined]
    for _ in range(3):
        assert nnscratch.equal(compiled(), eager())


def test_a_value_read_from_outside_is_looked_at_again() -> None:
    temperature = nnscratch.tensor(2.0)
    agree(lambda x: x / temperature.item(), lambda: temperature.fill_(4.0), X)
    chosen = nnscratch.tensor([True, False, True])
    agree(lambda x: x[:, chosen].sum(), lambda: chosen.fill_(True), X)


@pytest.mark.parametrize("first", ["read", "write"])
def test_a_value_that_the_step_changes_cannot_be_read_in_it(first: str) -> None:
    counter = nnscratch.tensor(0.0)

    def step(x: Any) -> Any:
        if first == "write":
            counter.add_(1.0)
        x = x * counter.item()
        if first == "read":
            counter.add_(1.0)
        return x

    with pytest.raises(PlanError, match="changes a tensor from outside and reads its value"):
        nnscratch.compile(step)(X)
    counter.zero_()
    eager, one = nnscratch.compile(step, on_unsupported="eager"), nnscratch.ones(1)
    with pytest.warns(RuntimeWarning, match="runs eagerly"):
        found = [eager(one).item()]
    found += [eager(one).item() for _ in range(3)]
    assert found == ([1.0, 2.0, 3.0, 4.0] if first == "write" else [0.0, 1.0, 2.0, 3.0])


def test_a_part_of_what_the_step_changes_cannot_be_read_either() -> None:
    counts = nnscratch.zeros(3)

    def step(x: Any) -> Any:
        counts.add_(1.0)
        return x * counts[0].item()

    with pytest.raises(PlanError):
        nnscratch.compile(step)(X)


def test_plans_stay_when_nothing_changes() -> None:
    module = Scale()
    compiled = nnscratch.compile(module)
    for _ in range(5):
        compiled(X)
    other = nn.Linear(2, 2)
    other.note = "another module's attribute"
    for _ in range(5):
        compiled(X)
    assert len(compiled.plans) == 1


@pytest.mark.parametrize("set_to_none", [True, False])
@pytest.mark.parametrize("clipped", [True, False])
def test_gradients_that_are_there_or_not(set_to_none: bool, clipped: bool) -> None:
    """Of parameters that a step uses now and then: none, zeros, or one that was left behind."""

    def train(compiled: bool) -> list[Any]:
        used, rest = (nnscratch.ones(2, requires_grad=True) for _ in range(2))
        optimizer = optim.SGD([used, rest], lr=0.1, momentum=0.9)
        both = True

        def step() -> None:
            optimizer.zero_grad(set_to_none)
            ((used * used).sum() + (rest.sum() if both else 0.0)).backward()
            if clipped:
                nn.utils.clip_grad_norm_([used, rest], 0.5)
            optimizer.step()

        run = nnscratch.compile(step) if compiled else step
        seen = []
        for n in range(12):
            both = n % 4 < 2
            run()
            seen += [
                used.tolist(),
                rest.tolist(),
                None if rest.grad is None else rest.grad.tolist(),
            ]
        return seen

    assert train(True) == train(False)


def test_a_gradient_that_somebody_else_brings() -> None:
    def train(compiled: bool) -> list[Any]:
        used, rest = (nnscratch.ones(2, requires_grad=True) for _ in range(2))
        optimizer = optim.SGD([used, rest], lr=0.1)

        def step() -> None:
            used.grad = None
            (used * used).sum().backward()
            optimizer.step()

        run = nnscratch.compile(step) if compiled else step
        for n in range(8):
            rest.grad = nnscratch.full((2,), float(n)) if n > 3 else None
            run()
        return [used.tolist(), rest.tolist()]

    assert train(True) == train(False)
