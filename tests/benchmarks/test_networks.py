"""Networks beside PyTorch: whose gradients decide where losses part."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest

from benchmarks.arbiter import EXACT, distance, judged
from benchmarks.networks import CASES, Work
from benchmarks.turns import measure, table


class Fake:
    """Steps that take no time, with losses and gradients that are told."""

    def __init__(self, losses: Sequence[float], gradient: float) -> None:
        self.losses, self.gradient, self.taken = losses, gradient, 0

    def run(self, count: int) -> float:
        self.taken += count
        return self.losses[min(self.taken, len(self.losses)) - 1]

    def gradients(self) -> list[Any]:
        return [np.array([self.gradient, 1.0])]


def test_distance_is_beside_the_norm_of_all_gradients() -> None:
    exact = [np.array([3.0]), np.array([[4.0]])]
    assert distance([np.array([3.0]), np.array([[4.5]])], exact) == pytest.approx(0.1)
    assert distance([np.array([3.0])], exact) == math.inf
    assert distance([np.array([math.nan]), np.array([[4.0]])], exact) == math.inf


def test_gradients_of_a_network_are_near_those_in_float64() -> None:
    work = partial(Work, CASES["lenet"], task="train")
    makers = {who: partial(work, who=who) for who in ("torch", "compiled")}
    far = judged(partial(work, who=EXACT), makers, threads=1)
    assert 0 < far["compiled"] < 1e-5
    assert 0 < far["torch"] < 1e-5


TRUTH = [2.0, 1.9, 1.8, 1.7]


@pytest.mark.parametrize(("gradient", "timed"), [(1.001, True), (1.015, True), (1.025, False)])
def test_losses_that_part_are_decided_by_gradients(gradient: float, timed: bool) -> None:
    ours = partial(Fake, [2.0, 1.9, 1.81, 1.74], gradient)
    makers = {"compiled": ours, "torch": partial(Fake, TRUTH, 1.01)}
    row = measure("fake", 1.0, makers, 1, 0.0, partial(Fake, TRUTH, 1.0))
    assert ("compiled" in row["seconds"]) is timed
    assert ("compiled" in row["absent"]) is not timed
    said = table([row], memory=False, competitors=("compiled", "torch"))
    assert ("timed though its losses part" in said) is timed
    assert f"{0.01 / math.sqrt(2):.1e}" in said


@pytest.mark.parametrize(
    "losses", [[2.1, 1.9, 1.8, 1.7], [2.0, 1.9, math.nan, 1.7], [2.0, 1.9, 1.8, 2.7]]
)
def test_losses_that_are_others_are_not_timed_whatever_the_gradients(losses: list[float]) -> None:
    makers = {"compiled": partial(Fake, losses, 1.0), "torch": partial(Fake, TRUTH, 1.01)}
    row = measure("fake", 1.0, makers, 1, 0.0, partial(Fake, TRUTH, 1.0))
    assert "other losses" in row["absent"]["compiled"]
    assert "torch" in row["seconds"]


def test_losses_that_part_are_not_timed_without_an_arbiter() -> None:
    makers = {
        "compiled": partial(Fake, [2.0, 1.9, 1.81, 1.74], 1.0),
        "torch": partial(Fake, TRUTH, 1.0),
    }
    assert "compiled" in measure("fake", 1.0, makers, 1, 0.0)["absent"]


class Dying(Fake):
    """Its process is killed at its first step, as by a system without memory."""

    def run(self, count: int) -> float:
        os._exit(137)


def test_a_process_that_dies_is_absent() -> None:
    makers = {"compiled": partial(Dying, TRUTH, 1.0), "torch": partial(Fake, TRUTH, 1.0)}
    assert measure("fake", 1.0, makers, 1, 0.0)["absent"] == {"compiled": "its process died"}
    with pytest.raises(RuntimeError, match="its process died"):
        judged(partial(Dying, TRUTH, 1.0), {}, 1)


def test_one_row_by_onnxruntime_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNSCRATCH_THREADS", "1")
    for name in ("lenet", "lstm"):
        whose = ("onnxruntime", "eager", "frozen")
        found = [Work(CASES[name], who, "infer").run(3) for who in whose]
        assert found == pytest.approx([found[1]] * 3, rel=1e-5)


def test_onnxruntime_has_a_ratio_and_a_goal_of_its_own() -> None:
    times = {"compiled": 2e-3, "frozen": 1.25e-3, "torch": 3e-3, "onnxruntime": 1e-3}
    seconds = {who: [one] * 3 for who, one in times.items()}
    row = {"what": "a row", "goal": 1.2, "goal_beside_onnxruntime": 1.1, "seconds": seconds}
    said = table([{**row, "absent": {}, "judged": {}}], memory=False)
    assert "| 1.50x; 0.80x LOST | 1.2x, met; 1.1x, missed |" in said
    assert "JAX" not in said
