"""What every competitor does: hold a network, take steps, say its losses. Nothing is timed here."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.competitors.workload import PRECISION, Array, Workload


class Competitor:
    """One way to compute a workload; a subclass fills in the methods below ``train``.

    Attributes:
        inputs: the batches that take turns, in the competitor's own arrays.
        targets: likewise.
        taken: how many steps were taken.
        precision: of float32 products on a GPU.
    """

    # Here, since a compiled step watches the attributes that a user's ``__init__`` names.
    taken = 0

    def __init__(self, workload: Workload, device: str = "cpu") -> None:
        """Build the network and copy weights and data to it.

        Args:
            workload: the network.
            device: "cpu" or "cuda".
        """
        self.workload, self.device = workload, device
        self.precision = os.environ.get(PRECISION, "highest")
        self.build(workload.weights())
        self.inputs: Sequence[Any] = [self.give(item) for item in workload.inputs()]
        self.targets: Sequence[Any] = [self.give(item) for item in workload.targets()]

    def train(self, steps: int) -> Any:
        """Take training steps, each on the next batch, wait for the last one, return its loss."""
        step, inputs, targets = self.step, self.inputs, self.targets
        many, more, loss = len(inputs), len(targets), None
        for index in range(self.taken, self.taken + steps):
            loss = step(inputs[index % many], targets[index % more])
        self.taken += steps
        self.wait(loss)
        return loss

    def infer(self, calls: int) -> Any:
        """Predict that many times, waiting for each result."""
        predict, inputs, wait = self.predict, self.inputs, self.wait
        many, made = len(inputs), None
        for index in range(calls):
            made = predict(inputs[index % many])
            wait(made)
        return made

    def run(self, count: int) -> None:
        """Do what the workload's task is, that many times."""
        if self.workload.task == "infer":
            self.infer(count)
        else:
            self.train(count)

    def evidence(self, count: int) -> list[float]:
        """Return the numbers that have to agree with everybody's: losses, or sums of outputs."""
        if self.workload.task == "train":
            return [float(self.read(self.train(1))) for _ in range(count)]
        made = []
        for batch in self.inputs:
            Y = np.asarray(self.read(self.predict(batch)), dtype=np.float64)
            made += [float(Y.sum()), float(np.abs(Y).sum()), float(Y.ravel()[0])]
        return made

    # What a subclass fills in.

    def build(self, weights: list[tuple[Array, Array]]) -> None:
        """Make the network with these weights."""
        raise NotImplementedError

    def give(self, array: Array) -> Any:
        """Return an array of the competitor's own library."""
        raise NotImplementedError

    def step(self, x: Any, y: Any) -> Any:
        """Take one training step and return the loss before it."""
        raise NotImplementedError

    def predict(self, x: Any) -> Any:
        """Return the network's outputs."""
        raise NotImplementedError

    def read(self, value: Any) -> Any:
        """Return a result as NumPy."""
        return np.asarray(value)

    def wait(self, value: Any) -> None:
        """Wait until a result is there."""
