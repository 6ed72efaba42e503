"""A compiled step over rows gives what calls with the slices give, to the bit."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnscratch
from nnscratch import nn, optim


def trained(go: Callable[..., list[Any]], rows: int, weighted: bool) -> tuple[list[float], Any]:
    """Return the losses of four epochs of batches of 8, and the weights."""
    nnscratch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Dropout(0.25), nn.Linear(7, 3))
    optimizer = optim.Adam(model.parameters(), lr=0.01, weight_decay=0.1)

    def step(x: Any, t: Any, w: Any) -> Any:
        optimizer.zero_grad()
        each = nn.functional.cross_entropy(model(x), t, reduction="none")
        loss = each.mean() if w is None else (each * w).sum()
        loss.backward()
        optimizer.step()
        return loss.detach()

    rng = np.random.default_rng(0)
    x = nnscratch.tensor(rng.standard_normal((rows, 5)).astype(np.float32))
    t = nnscratch.tensor(rng.integers(0, 3, rows))
    w = nnscratch.tensor(rng.random(rows).astype(np.float32)) if weighted else None
    compiled = nnscratch.compile(step)
    losses = []
    for epoch in range(4):
        losses += [loss.item() for loss in go(compiled, x, t, w)]
        optimizer.param_groups[0]["lr"] = 0.01 / (epoch + 1)
    return losses, np.concatenate([p.detach().numpy().ravel() for p in model.parameters()])


def one_by_one(compiled: Any, *args: Any) -> list[Any]:
    slices = [slice(first, first + 8) for first in range(0, args[0].shape[0], 8)]
    return [compiled(*[None if one is None else one[rows] for one in args]) for rows in slices]


@pytest.mark.parametrize("rows", [3, 8, 24, 29])
@pytest.mark.parametrize("weighted", [False, True])
def test_it_gives_what_calls_with_slices_give(rows: int, weighted: bool) -> None:
    expected, weights = trained(one_by_one, rows, weighted)
    found, same = trained(lambda compiled, *args: compiled.over(8, *args), rows, weighted)
    assert found == expected
    assert len(found) == 4 * -(-rows // 8)
    np.testing.assert_array_equal(weights, same)


def test_a_step_that_runs_eagerly_goes_over_rows_too() -> None:
    step = nnscratch.compile(lambda x: x * x.sum().item(), on_unsupported="eager")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = step.over(2, nnscratch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert [one.numpy().tolist() for one in found] == [[3.0, 6.0], [21.0, 28.0], [25.0]]


def test_what_was_changed_between_two_calls_is_seen() -> None:
    layer = nn.Linear(2, 1, bias=False)
    step = nnscratch.compile(lambda x: layer(x))
    x = nnscratch.ones(6, 2)
    with nnscratch.no_grad():
        for value in (1.0, 2.0):
            layer.weight = nn.Parameter(nnscratch.full((1, 2), value))
            for _ in range(3):
                found = step.over(2, x)
                assert [one.numpy().tolist() for one in found] == [[[2 * value]] * 2] * 3


def test_no_rows_are_no_calls() -> None:
    assert nnscratch.compile(lambda x: x + 1).over(4, nnscratch.ones(0, 3)) == []
