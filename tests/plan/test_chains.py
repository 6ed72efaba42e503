"""Compiled steps in which neighbouring elementwise formulas are one pass over memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnscratch
import nnscratch.nn.functional as F
from nnscratch import nn


def run(function: Any, *arguments: Any, instructions: int) -> None:
    """Compare a compiled function with the eager one, and count its instructions."""
    step = nnscratch.compile(function)
    for shift in range(3):
        given = [one + shift for one in arguments]
        wanted = function(*given).detach().numpy()
        np.testing.assert_allclose(step(*given).numpy(), wanted, rtol=2e-5, atol=1e-6)
    (plan,) = step.plans
    assert (plan.native, plan.python) == (instructions, 0)


X, Y = nnscratch.randn(6, 32), nnscratch.randn(6, 32)


def test_arithmetic_is_one_pass() -> None:
    run(lambda x, y: ((x * 2 + y) / (y.abs() + 1) - x).relu(), X, Y, instructions=1)
    run(lambda x, y: F.silu(x * y + 1) * x, X, Y, instructions=1)
    run(lambda x: nnscratch.where(x > 0, x * 3, x.exp()), X, instructions=1)
    run(lambda x: (x.exp() + 1).log(), X, instructions=2)  # two heavy ones stay apart


def test_what_comes_between_ends_a_chain() -> None:
    run(lambda x, y: (x * 2 + (x + y).sum(-1, keepdim=True)) * y, X, Y, instructions=3)


def test_several_results_of_one_pass_are_kept() -> None:
    step = nnscratch.compile(lambda x, y: (x + y, (x + y).relu(), x * (x + y)))
    for shift in range(3):
        a, b, c = step(X + shift, Y)
        total = (X + shift + Y).numpy()
        np.testing.assert_array_equal(a.numpy(), total)
        np.testing.assert_array_equal(b.numpy(), np.maximum(total, 0))
        np.testing.assert_array_equal(c.numpy(), (X + shift).numpy() * total)


def test_what_comes_behind_a_product_is_one_pass_with_its_bias() -> None:
    nnscratch.manual_seed(1)
    first, second = nn.Linear(32, 48), nn.Linear(48, 32)
    for parameter in (*first.parameters(), *second.parameters()):
        parameter.requires_grad_(False)
    run(lambda x: x + 0.5 * second(F.gelu(first(x))), X, instructions=4)
    run(lambda x: first(x).relu() * 2, X, instructions=2)


@pytest.mark.parametrize("optimizer", [nnscratch.optim.SGD, nnscratch.optim.Adam])
def test_training_through_chains_is_eager_training(optimizer: Any) -> None:
    def build() -> Any:
        nnscratch.manual_seed(3)
        model = nn.Sequential(nn.Linear(8, 16), nn.SiLU(), nn.Linear(16, 16))
        return model, optimizer(model.parameters(), lr=0.05)

    def step(model: Any, optimizer: Any, x: Any) -> Any:
        optimizer.zero_grad()
        y = model(x)
        loss = ((y * y.sigmoid() - x.mean(1, keepdim=True)) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    eager, twin = build(), build()
    compiled = nnscratch.compile(lambda x: step(*twin, x))
    for seed in range(6):
        x = nnscratch.tensor(np.random.default_rng(seed).standard_normal((5, 8)), dtype="float32")
        np.testing.assert_allclose(compiled(x).item(), step(*eager, x).item(), rtol=1e-5)
    for mine, theirs in zip(twin[0].parameters(), eager[0].parameters(), strict=True):
        np.testing.assert_allclose(
            mine.detach().numpy(), theirs.detach().numpy(), rtol=1e-4, atol=1e-6
        )
    assert compiled.plans[0].python == 0


def test_an_argument_that_is_a_part_of_what_the_step_changes() -> None:
    def make() -> Any:
        state = nnscratch.arange(9.0)

        def step(x: Any) -> Any:
            state[:8].copy_(x * 2 + 1)
            return state * 1

        return state, step

    eager_state, eager = make()
    state, step = make()
    compiled = nnscratch.compile(step)
    for start in (0, 1, 1, 0, 1):
        wanted = eager(eager_state[start : start + 8])
        got = compiled(state[start : start + 8])
        np.testing.assert_array_equal(got.numpy(), wanted.numpy())
