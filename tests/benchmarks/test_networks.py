"""Networks beside PyTorch: whose gradients decide where losses part."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest

from benchmarks.arbiter import EXACT, distance, judged
from benchmarks.networks import CASES, Work
from benchmarks.turns import measure, table


class Fake:
    """Steps that take no time, with losses and gradients that are told."""

    def __init__(self, loss: float, gradient: float) -> None:
        self.loss, self.gradient = loss, gradient

    def run(self, count: int) -> float:
        return self.loss

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


@pytest.mark.parametrize(("gradient", "timed"), [(1.001, True), (1.1, False)])
def test_losses_that_part_are_decided_by_gradients(gradient: float, timed: bool) -> None:
    makers = {"compiled": partial(Fake, 2.1, gradient), "torch": partial(Fake, 2.0, 1.01)}
    row = measure("fake", 1.0, makers, 1, 0.0, partial(Fake, 2.0, 1.0))
    assert ("compiled" in row["seconds"]) is timed
    assert ("compiled" in row["absent"]) is not timed
    said = table([row], memory=False, competitors=("compiled", "torch"))
    assert ("timed though its losses part" in said) is timed
    assert f"{0.01 / math.sqrt(2):.1e}" in said


def test_losses_that_part_are_not_timed_without_an_arbiter() -> None:
    makers = {"compiled": partial(Fake, 2.1, 1.0), "torch": partial(Fake, 2.0, 1.0)}
    assert "compiled" in measure("fake", 1.0, makers, 1, 0.0)["absent"]
