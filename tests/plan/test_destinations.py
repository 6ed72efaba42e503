"""Gradients are computed in, or added to, the optimizer's buffer, and are those of eager code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnscratch
from nnscratch import nn, optim
from nnscratch.nn import functional

TOKENS, WIDTH = 300, 130  # above LARGE elements, so that gradients go to their slots
TABLE = 4 * TOKENS * WIDTH


class Tied(nn.Module):
    """A table that is the last layer's weight, too."""

    def __init__(self, padding: int | None = None) -> None:
        super().__init__()
        self.table = nn.Embedding(TOKENS, WIDTH, padding_idx=padding)
        self.last = nn.Linear(WIDTH, TOKENS, bias=False)
        self.last.weight = self.table.weight

    def forward(self, tokens: Any) -> Any:
        return self.last(self.table(tokens).tanh())


class Turned(nn.Module):
    """Layers with transposed weights, one of them square."""

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(3)
        self.a, self.b = (
            nn.Parameter(nnscratch.tensor(rng.normal(0, 0.1, shape).astype(np.float32)))
            for shape in ((WIDTH, TOKENS), (TOKENS, TOKENS))
        )

    def forward(self, x: Any) -> Any:
        return functional.linear(functional.linear(x, self.a.T).relu(), self.b.mT)


def compared(
    make: Callable[[], Any], step: Callable[[Any, Any, Any], Any], *given: Callable[[int], Any]
) -> Any:
    """Take steps eagerly and compiled from the same weights; return the plan."""
    nnscratch.manual_seed(0)
    models = [make(), make()]
    models[1].load_state_dict(models[0].state_dict())
    both = [(model, optim.SGD(model.parameters(), lr=0.1)) for model in models]

    def of(pair: Any) -> Callable[[Any], Any]:
        return lambda x: step(*pair, x)

    steps = of(both[0]), nnscratch.compile(of(both[1]))
    for index in range(4):
        losses = [one(given[0](index)).item() for one in steps]
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)
        for mine, theirs in zip(*(model.parameters() for model in models), strict=True):
            for one, other in ((mine, theirs), (mine.grad, theirs.grad)):
                np.testing.assert_allclose(
                    one.detach().numpy(), other.detach().numpy(), rtol=1e-4, atol=1e-6
                )
    (plan,) = steps[1].plans
    assert plan.python == 0
    assert plan.replays
    return plan


def tokens(seed: int) -> Any:
    """Some of them come several times, the first one most often."""
    return nnscratch.tensor(np.random.default_rng(seed).zipf(1.5, (4, 9)) % TOKENS)


def rows(seed: int) -> Any:
    made = np.random.default_rng(seed).standard_normal((5, WIDTH)).astype(np.float32)
    return nnscratch.tensor(made)


def plain(model: Any, optimizer: Any, x: Any) -> Any:
    optimizer.zero_grad()
    loss = model(x).square().mean()
    loss.backward()
    optimizer.step()
    return loss


def clipped(model: Any, optimizer: Any, x: Any) -> Any:
    optimizer.zero_grad()
    loss = model(x).square().mean()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 0.01)
    optimizer.step()
    return loss


def twice(model: Any, optimizer: Any, x: Any) -> Any:
    optimizer.zero_grad()
    loss = model(x).square().mean()
    loss.backward()
    (model(x) + 1.0).square().mean().backward()
    optimizer.step()
    return loss


def looked_at(model: Any, optimizer: Any, x: Any) -> Any:
    optimizer.zero_grad()
    loss = model(x).square().mean()
    (gradient, *_) = nnscratch.autograd.grad(loss, list(model.parameters()), retain_graph=True)
    loss.backward()
    optimizer.step()
    return loss + gradient.abs().sum() * 0.01


STEPS = [plain, clipped, twice, looked_at]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("padding", [None, 1])
def test_rows_of_a_table_that_two_layers_have(padding: int | None, step: Any) -> None:
    plan = compared(lambda: Tied(padding), step, tokens)
    if step is plain:
        assert plan.planned_bytes < TABLE


@pytest.mark.parametrize("step", STEPS)
def test_weights_that_are_transposed(step: Any) -> None:
    plan = compared(Turned, step, rows)
    if step is plain:
        assert plan.planned_bytes < 4 * WIDTH * TOKENS


def test_a_transposed_result_that_stays() -> None:
    place = nnscratch.zeros(WIDTH, TOKENS)

    def step(x: Any) -> Any:
        with nnscratch.no_grad():
            whole = functional.linear(x, x)
            turned = whole.T
            place[: len(x), : len(x)].copy_(turned)
        return whole * 2.0, turned + 1.0

    compiled = nnscratch.compile(step)
    for seed in range(4):
        x = rows(seed)
        wanted, found = step(x), compiled(x)
        for mine, theirs in zip(found, wanted, strict=True):
            np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=1e-5)
        np.testing.assert_allclose(place[:5, :5].numpy(), wanted[1].numpy() - 1.0, rtol=1e-5)


@pytest.mark.parametrize("change", ["source", "target", "neither"])
def test_a_transpose_that_is_copied_before_one_of_the_two_changes(change: str) -> None:
    weight = nn.Parameter(rows(7).T.contiguous())  # (WIDTH, 5)
    place = nnscratch.zeros(WIDTH, 5)
    seen: dict[str, Any] = {}

    def step(x: Any) -> Any:
        turned = weight.T
        loss = functional.linear(x, turned).square().sum()
        (gradient,) = nnscratch.autograd.grad(loss, (turned,))
        with nnscratch.no_grad():
            place.copy_(gradient.T)
            if change == "source":
                gradient.mul_(2.0)
            elif change == "target":
                place.mul_(3.0)
            return gradient * 1.0

    compiled = nnscratch.compile(step)
    for seed in range(3):
        x = rows(seed)
        seen["eager"] = step(x).numpy(), place.numpy().copy()
        seen["compiled"] = compiled(x).numpy(), place.numpy().copy()
        for mine, theirs in zip(seen["compiled"], seen["eager"], strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-4)
