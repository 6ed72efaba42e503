"""A result lies where an input lay that nothing reads any more, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnscratch
from nnscratch import nn

SIDE = 48
BYTES = 4 * SIDE * SIDE


def given(seed: int) -> Any:
    rng = np.random.default_rng(seed)
    return nnscratch.tensor(rng.standard_normal((SIDE, SIDE)).astype(np.float32))


def planned(function: Callable[..., Any], count: int = 2) -> int:
    """Compare a compiled function with the eager one; return its planned memory."""
    step = nnscratch.compile(function)
    for shift in range(4):
        arguments = [given(10 * shift + k) for k in range(count)]
        wanted, found = function(*arguments), step(*arguments)
        wanted, found = ((one,) if nnscratch.is_tensor(one) else one for one in (wanted, found))
        for mine, theirs in zip(found, wanted, strict=True):
            np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=1e-4, atol=1e-3)
    (plan,) = step.plans
    assert plan.python == 0
    return int(plan.planned_bytes)


def test_a_chain_of_results_takes_the_memory_of_one() -> None:
    # The product keeps what is around it from being one loop.
    assert planned(lambda x, y: ((x @ y) * 2 + 1).relu()) == BYTES
    assert planned(lambda x, y: ((x @ y).relu() @ y).relu()) == 2 * BYTES


def test_what_is_read_again_stays() -> None:
    def later(x: Any, y: Any) -> Any:
        z = x @ y
        return z.relu() @ z

    def returned(x: Any, y: Any) -> Any:
        z = x @ y
        return z, z.relu()

    planned(later)
    planned(returned)


def test_arguments_and_what_was_there_before_stay() -> None:
    kept = given(99)
    before = kept.numpy().copy()
    planned(lambda x, y: (kept.relu() + x.relu()) * y)
    np.testing.assert_array_equal(kept.numpy(), before)


@pytest.mark.parametrize(
    "other", [lambda z: z.T, lambda z: z.flip(0), lambda z: z[:1], lambda z: z[:, :1]]
)
def test_what_another_view_reads_is_not_overwritten(other: Callable[[Any], Any]) -> None:
    def once(x: Any, y: Any) -> Any:
        z = x @ y
        return z + other(z)

    def twice(x: Any, y: Any) -> Any:
        z = x @ y
        return (z * 2 + other(z)) * (other(z) - z)

    planned(once)
    planned(twice)


def test_a_part_gives_no_memory_to_a_result() -> None:
    planned(lambda x, y: (x @ y)[: SIDE // 2].relu() * 2)
    planned(lambda x, y: (x @ y).reshape(-1).relu().reshape(SIDE, SIDE) @ y)


def test_two_gradients_of_one_call_do_not_share_memory() -> None:
    def gradients(x: Any, y: Any) -> Any:
        a, b = (x * 1).requires_grad_(True), (y * 1).requires_grad_(True)
        return nnscratch.autograd.grad(((a * b) @ (a - b)).square().sum(), (a, b))

    planned(gradients)


@pytest.mark.parametrize("pixels", [(3, 5), (16, 16), (40, 40)])
def test_normalisation_pulls_back_in_place(pixels: tuple[int, int]) -> None:
    def network() -> Any:
        nnscratch.manual_seed(0)
        return nn.Sequential(
            *(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU6()),
            *(nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU()),
        )

    eager, twin = network(), network()

    def gradients(model: Any, x: Any) -> Any:
        return nnscratch.autograd.grad(
            ((model(x) - 1.0) ** 2).mean(), [*model.parameters()], allow_unused=True
        )

    step = nnscratch.compile(lambda x: gradients(twin, x))
    for seed in range(3):
        rng = np.random.default_rng(seed)
        x = nnscratch.tensor(rng.standard_normal((4, 3, *pixels)).astype(np.float32))
        for mine, theirs in zip(step(x), gradients(eager, x), strict=True):
            np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=1e-4, atol=1e-6)
