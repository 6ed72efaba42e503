"""All competitors compute the same network: the reference in plain NumPy is itself compared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from benchmarks.competitors.numpy_peer import PlainNumpy
from benchmarks.competitors.registry import (
    COMPETITORS,
    COMPILED,
    EAGER,
    TORCH,
    TORCH_FUSED,
    TORCH_GRAPH,
    competitors,
)
from benchmarks.competitors.workload import ACTIVATIONS, Workload, shape_name
from benchmarks.stopwatch.measuring import TOLERANCE, disagreement
from benchmarks.stopwatch.worker import make

WORKS = [Workload((6, 9, 8, 3), 20, activation=name) for name in ACTIVATIONS]
WORKS += [Workload((6, 9, 3), 20, loss="mse"), Workload((6, 3), 1)]


@pytest.mark.parametrize("name", [COMPILED, EAGER, TORCH, TORCH_FUSED])
@pytest.mark.parametrize("work", WORKS, ids=Workload.describe)
def test_losses_agree(name: str, work: Workload) -> None:
    expected = PlainNumpy(work).evidence(20)
    given = make(COMPETITORS[name].target, {"workload": work.to_dict()}).evidence(20)
    assert disagreement(given, expected, "train") <= TOLERANCE
    assert 0.0 < min(expected)


@pytest.mark.parametrize("name", [COMPILED, EAGER, TORCH])
def test_predictions_agree(name: str) -> None:
    work = Workload((6, 9, 3), 1, task="infer")
    expected = PlainNumpy(work).evidence(1)
    given = make(COMPETITORS[name].target, {"workload": work.to_dict()}).evidence(1)
    assert len(given) == 3 * work.pools[0]
    assert disagreement(given, expected, "infer") <= TOLERANCE


def test_compiled_really_is() -> None:
    made = make(COMPETITORS[COMPILED].target, {"workload": WORKS[0].to_dict()})
    made.run(5)
    (plan,) = made.step.plans
    assert plan is not None


class Gradients(PlainNumpy):
    """The reference in float64, which keeps its gradients and takes no step."""

    def build(self, weights: Any) -> None:
        super().build([(W.astype(np.float64), b.astype(np.float64)) for W, b in weights])

    def _adam(self, parameters: Any, gradients: Any) -> None:
        self.pairs = list(zip(parameters, gradients, strict=True))


@pytest.mark.parametrize("work", WORKS[:5], ids=Workload.describe)
def test_the_reference_is_right_by_numeric_derivatives(work: Workload) -> None:
    peer = Gradients(work)
    x, y = peer.inputs[0].astype(np.float64), peer.targets[0]
    peer.step(x, y)
    for P, G in peer.pairs:
        with nudged(P, 1e-6):
            high = peer.step(x, y)
        with nudged(P, -1e-6):
            low = peer.step(x, y)
        assert (high - low) / 2e-6 == pytest.approx(G.flat[0], rel=1e-4, abs=1e-8)


@contextmanager
def nudged(array: Any, by: float) -> Iterator[None]:
    array.flat[0] += by
    yield
    array.flat[0] -= by


def test_targets_come_back_with_other_inputs() -> None:
    few, many = Workload((4096,) * 4, 4096).pools, WORKS[0].pools
    for inputs, targets in (few, many):
        assert np.gcd(inputs, targets) == 1


def test_the_work_is_counted() -> None:
    work = Workload((4096,) * 4, 512)
    assert work.flops == 2 * 512 * 4096**2 * 8
    assert work.parameters == 3 * (4096**2 + 4096)
    assert Workload((3, 4), 2, task="infer").flops == 2 * 2 * 3 * 4
    assert Workload.from_dict(work.to_dict()) == work
    assert shape_name((256,) * 9) == "256 x 8"


@pytest.mark.parametrize(
    "change", [{"activation": "swish"}, {"loss": "nll"}, {"task": "dream"}, {"rows": 0}]
)
def test_nonsense_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"Workload|task"):
        Workload.from_dict({"sizes": [3, 4], "rows": 2, **change})


def test_who_takes_part() -> None:
    training = {entry.name for entry in competitors("train")}
    assert {"torch.compile", "PyTorch fused Adam"} <= training
    assert TORCH_GRAPH not in training
    assert TORCH_GRAPH in {entry.name for entry in competitors("train", device="cuda")}
    assert "torch.compile" not in {entry.name for entry in competitors("train", compilers=False)}
    assert "PyTorch fused Adam" not in {entry.name for entry in competitors("infer")}
    assert COMPETITORS[COMPILED].missing() is None
