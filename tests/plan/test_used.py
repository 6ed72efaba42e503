"""Calls of which nothing is read are left out of a plan, and those that write stay."""

from __future__ import annotations

import numpy as np
import pytest

import nnscratch


def test_what_nothing_reads_is_not_replayed() -> None:
    places = nnscratch.tensor([3, 1])

    def step(x: nnscratch.Tensor) -> nnscratch.Tensor:
        unread = nnscratch.sort(places).values * 2
        assert unread.shape == (2,)
        return x.clone() + 1.0

    compiled = nnscratch.compile(step)
    with nnscratch.no_grad():
        for value in (1.0, 2.0, 3.0):
            x = nnscratch.full((2, 3), value)
            np.testing.assert_array_equal(compiled(x).numpy(), np.full((2, 3), value + 1.0))
    (plan,) = compiled.plans
    assert plan.python == 0
    assert plan.native == 1


def test_what_is_written_to_stays() -> None:
    count = nnscratch.zeros(3)

    def step(x: nnscratch.Tensor) -> nnscratch.Tensor:
        count.add_(x * 2.0)
        return x + 1.0

    compiled = nnscratch.compile(step)
    with nnscratch.no_grad():
        for _ in range(4):
            compiled(nnscratch.ones(3))
    np.testing.assert_array_equal(count.numpy(), np.full(3, 8.0))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_copies_are_loops_forward_and_backward(dtype: str) -> None:
    weight = nnscratch.ones(4, dtype=dtype, requires_grad=True)

    def step(x: nnscratch.Tensor) -> nnscratch.Tensor:
        weight.grad = None
        loss = (weight.clone() * x).clone().sum()
        loss.backward()
        return loss

    compiled = nnscratch.compile(step)
    for value in (1.0, 2.0, 3.0):
        found = compiled(nnscratch.full((4,), value, dtype=dtype))
        assert found.item() == 4 * value
        assert weight.grad is not None
        np.testing.assert_array_equal(weight.grad.numpy(), np.full(4, value))
    plan = compiled.plans[-1]
    assert plan.python == 0


def test_a_plan_may_be_bound_to_by_whoever_knows_that_nothing_changes() -> None:
    network = nnscratch.nn.Sequential(nnscratch.nn.Linear(4, 3), nnscratch.nn.ReLU())
    compiled = nnscratch.compile(network)
    X = np.random.default_rng(0).standard_normal((5, 1, 4)).astype(np.float32)
    with nnscratch.no_grad():
        replay = compiled.bound(nnscratch.tensor(X[0]))
        assert replay is not None
        kept = [replay([one]) for one in X]
        for one, found in zip(X, kept, strict=True):  # results are the caller's own
            x = nnscratch.tensor(one)
            np.testing.assert_array_equal(found.numpy(), compiled(x).numpy())
            # Numbers near 1 are added up, and may all but cancel out.
            np.testing.assert_allclose(found.numpy(), network(x).numpy(), rtol=1e-6, atol=1e-6)
    with_graph = nnscratch.compile(lambda x: x.sum().item(), on_unsupported="eager")
    with pytest.warns(RuntimeWarning, match="runs eagerly"):
        assert with_graph.bound(nnscratch.ones(3)) is None
