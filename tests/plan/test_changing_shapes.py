"""Any number of shapes in bounded memory; what changes for the same shapes still has an end."""

from __future__ import annotations

import random
import warnings
from typing import Any

import numpy as np
import pytest

import nnscratch
from nnscratch import nn, optim
from nnscratch.errors import PlanError
from nnscratch.plan import compiled as compiled_module
from nnscratch.plan import store


@pytest.fixture
def recordings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of the arguments that were recorded."""
    found: list[int] = []

    class Counting(compiled_module.Tracer):
        def __init__(self, arguments: list[Any], *rest: Any) -> None:
            super().__init__(arguments, *rest)
            found.append(len(arguments[0]) if arguments else 0)

    monkeypatch.setattr(compiled_module, "Tracer", Counting)
    return found


def lengths(most: int, count: int, seed: int = 0) -> list[int]:
    rng = random.Random(seed)
    return [rng.randint(1, most) for _ in range(count)]


def test_two_hundred_sequence_lengths_are_recorded_once_each(recordings: list[int]) -> None:
    nnscratch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    step = nnscratch.compile(lambda x: model(x).mean(0))
    calls = lengths(200, 1200)
    with nnscratch.no_grad():
        for n in calls:
            x = nnscratch.full((n, 4), 1.0 / n)
            np.testing.assert_allclose(step(x).numpy(), model(x).mean(0).numpy(), rtol=2e-5)
    twice = {n for n in calls if calls.count(n) > 1}
    assert len(step.plans) == len(twice) > 190
    assert sorted(recordings) == sorted(set(recordings))
    assert twice <= set(recordings)
    assert not step._eager


def test_the_plans_used_last_are_kept(
    recordings: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MOST_PLANS", 5)
    step = nnscratch.compile(lambda x: x * 2)
    for n in (1, 2, 3, 4, 5, 6):
        for _ in range(3):
            assert step(nnscratch.ones(n)).tolist() == [2.0] * n
        assert step(nnscratch.ones(1)).tolist() == [2.0]  # the one that is always used
        assert len(step.plans) <= 5
    assert recordings == [1, 2, 3, 4, 5, 6]
    assert step(nnscratch.ones(3)).tolist() == [2.0] * 3  # still there
    assert len(recordings) == 6
    for _ in range(2):  # dropped, and made anew at once
        assert step(nnscratch.ones(2)).tolist() == [2.0] * 2
    assert recordings == [1, 2, 3, 4, 5, 6, 2]


def test_memory_is_bounded_however_many_shapes_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST_BYTES", 300_000)
    step = nnscratch.compile(lambda x: (x.exp() + 1).log().sum())
    most = 0
    for n in lengths(40, 400):
        x = nnscratch.ones(1000 * n)
        np.testing.assert_allclose(step(x).item(), 1000 * n * np.log1p(np.e), rtol=1e-4)
        kept = step._store
        assert kept.nbytes == sum(plan.nbytes for plan in kept.plans)
        assert kept.nbytes <= 300_000 or len(kept.plans) <= store.KEPT
        assert kept.waiting <= store.MOST_WAITING
        most = max(most, len(kept.plans))
    assert most >= store.KEPT
    assert not step._eager


def test_a_plan_says_what_it_keeps() -> None:
    step = nnscratch.compile(lambda x: x.exp().sum())
    for _ in range(2):
        step(nnscratch.ones(1000))
    (plan,) = step.plans
    assert plan.nbytes >= plan.planned_bytes + 4 * 1000
    assert plan.replays == 1


def test_training_on_changing_lengths_is_as_eager() -> None:
    def train(compiled: bool) -> list[Any]:
        nnscratch.manual_seed(0)
        cell, head = nn.Linear(6, 4), nn.Linear(4, 2)
        optimizer = optim.Adam([*cell.parameters(), *head.parameters()], lr=0.01)

        def step(x: Any, y: Any) -> Any:
            optimizer.zero_grad()
            h = nnscratch.zeros(x.shape[0], 4)
            for t in range(x.shape[1]):
                h = cell(nnscratch.cat([x[:, t], h], 1)).tanh()
            loss = nn.functional.cross_entropy(head(h), y)
            loss.backward()
            optimizer.step()
            return loss

        run = nnscratch.compile(step) if compiled else step
        rng = np.random.default_rng(1)
        losses = []
        for n in lengths(12, 150):
            x = nnscratch.tensor(rng.standard_normal((3, n, 2)), dtype="float32")
            losses.append(run(x, nnscratch.tensor(rng.integers(0, 2, 3))).item())
        if compiled:
            assert len(run.plans) == 12
        return losses

    np.testing.assert_allclose(train(True), train(False), rtol=1e-3)


def test_calls_that_never_come_again_run_eagerly_and_are_told_of_once(
    recordings: list[int],
) -> None:
    step = nnscratch.compile(lambda x, factor: x * factor)
    x = nnscratch.ones(2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for n in range(2 * store.MOST_NEW):
            assert step(x, float(n)).tolist() == [float(n)] * 2
    assert [w.category for w in caught] == [RuntimeWarning]
    assert "numbers that change as tensors" in str(caught[0].message)
    assert not step.plans
    assert len(recordings) == store.MOST_WAITING == step._store.waiting
    for _ in range(3):  # which is no reason not to plan what comes again
        step(x, -1.0)
    assert len(step.plans) == 1


def test_signatures_are_forgotten_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST_SIGNATURES", 20)
    step = nnscratch.compile(lambda x, factor: x * factor)
    x = nnscratch.ones(2)
    for n in range(100):
        for _ in range(2):
            assert step(x, float(n)).tolist() == [float(n)] * 2
    assert len(step._store._entries) == 20
    assert len(step.plans) == 20
    assert step._store.nbytes == sum(plan.nbytes for plan in step.plans)


@pytest.mark.parametrize("calls", [1, 2, 5])
def test_what_keeps_changing_for_the_same_arguments_ends_in_one_warning(
    calls: int, recordings: list[int]
) -> None:
    factor = 0.0
    step = nnscratch.compile(lambda x: x * factor)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for n in range(60):
            factor = float(n)
            for _ in range(calls):
                assert step(nnscratch.ones(2)).tolist() == [factor] * 2
    assert [w.category for w in caught] == [RuntimeWarning]
    assert f"recorded {store.MOST_CHANGES} times for the same arguments" in str(caught[0].message)
    assert len(recordings) == store.MOST_CHANGES
    assert not step.plans
    assert step._store.waiting == 0


def test_changes_that_pay_go_on_for_ever(recordings: list[int]) -> None:
    factor = 0.0
    step = nnscratch.compile(lambda x: x * factor)
    for n in range(40):
        factor = float(n)
        for _ in range(store.PAYS + 2):
            assert step(nnscratch.ones(2)).tolist() == [factor] * 2
    assert len(recordings) == 40
    assert len(step.plans) == store.MOST_STATES
    assert not step._eager


def test_a_step_that_is_refused_is_so_for_any_shape() -> None:
    step = nnscratch.compile(lambda x: x * (x.sum().item() if len(x) > 20 else 1.0))
    for n in range(1, 21):
        step(nnscratch.ones(n))
    step(nnscratch.ones(21))  # eager: it is not known whether it comes again
    with pytest.raises(PlanError, match=r"item\(\)"):
        step(nnscratch.ones(21))


def test_results_have_no_graph_however_they_were_computed() -> None:
    layer = nn.Linear(2, 2)
    step = nnscratch.compile(lambda x: layer(x))
    for n in range(1, 2 * store.MOST_WAITING):
        assert not step(nnscratch.ones(n, 2)).requires_grad
