"""How long a training step and a prediction of a few networks take, eager and compiled."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

import numpy as np

from nnscratch import nn
from nnscratch.cuda import synchronize
from nnscratch.errors import PlanError
from nnscratch.optim import Adam
from nnscratch.plan import compile
from nnscratch.tensors.creation import tensor
from nnscratch.tensors.grad_mode import no_grad


@dataclass(frozen=True)
class Network:
    """A dense network with ReLU, in float32.

    Attributes:
        sizes: units of every layer, inputs first.
        rows: samples in a batch.
        trains: whether a step is timed (forward, cross-entropy, backward, Adam) or a prediction.
    """

    sizes: tuple[int, ...]
    rows: int
    trains: bool = True


NETWORKS: dict[str, Network] = {
    "10-10-2": Network((10, 10, 2), 1000),
    "64-128-10": Network((64, 128, 10), 64),
    "784-512-512-10": Network((784, 512, 512, 10), 128),
    "predict-64-128-10": Network((64, 128, 10), 1, trains=False),
}

ROUNDS = 10


@dataclass(frozen=True)
class Timing:
    """Seconds of one step: the median over the rounds, the 10th and the 90th percentile."""

    median: float
    p10: float
    p90: float


def time_network(network: Network, device: str = "cpu", seconds: float = 0.5) -> dict[str, Timing]:
    """Time a network, eager and compiled in turns, after both computed the same results.

    Args:
        network: what is computed.
        device: "cpu" or "cuda".
        seconds: how long each of the two is timed.

    Returns:
        The timings of "compiled" and "eager".

    Raises:
        PlanError: if the two do not compute the same.

    >>> sorted(time_network(Network((3, 4, 2), 5), seconds=0.01))
    ['compiled', 'eager']
    """
    parts: list[nn.Module] = []
    for i, o in zip(network.sizes, network.sizes[1:], strict=False):
        parts += [nn.Linear(i, o), nn.ReLU()]
    model = nn.Sequential(*parts[:-1]).to(device)

    def both(rate: float) -> dict[str, Callable[[], Any]]:
        return {
            "compiled": _step(network, copy.deepcopy(model), device, rate, compile),
            "eager": _step(network, copy.deepcopy(model), device, rate, lambda function: function),
        }

    steps = both(1e-3)
    results = {name: [float(step().sum()) for _ in range(5)] for name, step in steps.items()}
    if not np.allclose(results["compiled"], results["eager"], rtol=1e-4):
        raise PlanError(
            f"compiled and eager steps compute different numbers, {results}; please report this"
        )
    # So slow that nothing is learned: gradients that fade away would be denormal, and slower.
    steps = both(1e-7)
    wait = synchronize if device != "cpu" else lambda: None
    counts = {name: _fitting(step, wait, seconds / ROUNDS) for name, step in steps.items()}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS):
        for name, step in steps.items():
            times[name].append(_each(step, wait, counts[name]))
    return {name: _timing(found) for name, found in times.items()}


def _step(
    network: Network, model: nn.Module, device: str, rate: float, through: Callable[[Any], Any]
) -> Callable[[], Any]:
    """Return a call that takes one step and returns its loss, or predicts and returns outputs."""
    rng = np.random.default_rng(0)
    x = tensor(rng.standard_normal((network.rows, network.sizes[0]), dtype=np.float32)).to(device)
    y = tensor(rng.integers(0, network.sizes[-1], network.rows)).to(device)

    def predict(x: Any) -> Any:
        with no_grad():
            return model(x)

    if not network.trains:
        predicted = through(predict)
        return lambda: predicted(x)
    criterion, optimizer = nn.CrossEntropyLoss(), Adam(model.parameters(), lr=rate)

    def train(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    trained = through(train)
    return lambda: trained(x, y)


def _each(step: Callable[[], Any], wait: Callable[[], None], count: int) -> float:
    began = time.perf_counter()
    for _ in range(count):
        step()
    wait()
    return (time.perf_counter() - began) / count


def _fitting(step: Callable[[], Any], wait: Callable[[], None], seconds: float) -> int:
    """Return how many steps fill that time; those that find it out are the warm-up."""
    count, each = 1, 0.0
    while count * each < seconds / 2:
        count *= 2
        each = _each(step, wait, count)
    return math.ceil(seconds / each)


def _timing(found: list[float]) -> Timing:
    tenths = quantiles(found, n=10, method="inclusive")
    return Timing(median(found), tenths[0], tenths[-1])
