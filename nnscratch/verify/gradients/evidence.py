"""What is known about one wrong gradient, and how to learn more."""

from __future__ import annotations

import numpy as np

from nnscratch.verify.gradients.elements import Element, TensorReport
from nnscratch.verify.gradients.measurement import Measurement
from nnscratch.verify.gradients.problem import Array


class Slopes:
    """The numeric derivatives of one input, measured when they are asked for."""

    def __init__(self, measured: Measurement, slot: int) -> None:
        self._measured, self._slot = measured, slot
        self.shape = measured.numeric.x[slot].shape
        self.known: dict[tuple[int, ...], float] = {}

    def at(self, index: tuple[int, ...]) -> float:
        """Return the numeric derivative at any index."""
        if index not in self.known:
            flat = int(np.ravel_multi_index(index, self.shape))
            direction = self._measured.direction(self._slot, flat)
            weight = float(direction.weights[0])
            slope = self._measured.slope(direction, float("nan"), 0.0, 1e-3)
            self.known[index] = slope.value / weight
        return self.known[index]


class Evidence:
    """What is known about one wrong gradient.

    Attributes:
        measured: the measurement that found it.
        slot: the position of the input.
        shape: of the input.
        promised: the gradient as the code under test gave it.
        known: every element that was checked by itself.
        wrong: those that are wrong.
        a: the analytic gradient at these.
        n: the numeric one.
        room: by how much the two may differ.
        slopes: numeric derivatives at any index.
    """

    def __init__(
        self, measured: Measurement, report: TensorReport, slot: int, promised: Array
    ) -> None:
        self.measured, self.slot = measured, slot
        self.shape = promised.shape
        self.promised = promised
        self.known = report.elements
        self.wrong = report.wrong
        self.a = np.array([e.analytic for e in self.wrong])
        self.n = np.array([e.numeric for e in self.wrong])
        self.room = np.array([e.allowance for e in self.wrong])
        self.slopes = Slopes(measured, slot)
        self.slopes.known = {e.index: e.numeric for e in self.known}

    def close(self, a: Array, n: Array) -> bool:
        """Say whether two sets of numbers for the wrong elements agree, up to what noise allows."""
        if not len(a) or a.shape != n.shape:
            return False
        with np.errstate(all="ignore"):
            size = np.maximum(np.abs(a), np.abs(n))
            scale = float(np.max(size, initial=0.0))
            near = np.abs(a - n) <= 1e-3 * size + 4 * self.room + 1e-6 * scale
        telling = bool(np.any(size > 10 * self.room))
        return bool(near.all()) and telling

    def some(self, count: int = 12) -> list[Element]:
        """Return a few wrong elements, spread over the tensor."""
        ordered = sorted(self.wrong, key=lambda e: e.index)
        places = np.linspace(0, len(ordered) - 1, min(count, len(ordered))).astype(int)
        return [ordered[place] for place in places]
