"""The workload in plain NumPy, as one would write it down: the baseline, and the reference.

It needs nothing that is not installed anyway, and it shares no code with nnscratch, so the losses
of all competitors are compared with its own.
"""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np

from benchmarks.competitors.base import Competitor
from benchmarks.competitors.workload import Array

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


class PlainNumpy(Competitor):
    """Forward, backward and Adam with NumPy's operators."""

    def build(self, weights: list[tuple[Array, Array]]) -> None:
        """Take the weights and make the moments."""
        self.weights = [W for W, _ in weights]
        self.biases = [b for _, b in weights]
        self.activate, self.slope = _ACTIVATIONS[self.workload.activation]
        self.steps = 0
        if self.workload.task == "train":
            self.moments = [
                (np.zeros_like(p), np.zeros_like(p)) for p in (*self.weights, *self.biases)
            ]

    def give(self, array: Array) -> Any:
        """Return the array itself."""
        return array

    def predict(self, x: Any) -> Any:
        """Return the outputs."""
        last = len(self.weights) - 1
        for index, (W, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = x @ W.T + b
            if index < last:
                x = self.activate(x)
        return x

    def step(self, x: Any, y: Any) -> Any:
        """Take one step."""
        last = len(self.weights) - 1
        inputs, befores = [x], []
        for index, (W, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            Z = inputs[-1] @ W.T + b
            befores.append(Z)
            if index < last:
                inputs.append(self.activate(Z))
        loss, dZ = _LOSSES[self.workload.loss](befores[-1], y)
        dWs: list[Any] = [None] * (last + 1)
        dbs: list[Any] = [None] * (last + 1)
        for index in range(last, -1, -1):
            dWs[index] = dZ.T @ inputs[index]
            dbs[index] = dZ.sum(axis=0)
            if index:
                dZ = (dZ @ self.weights[index]) * self.slope(befores[index - 1], inputs[index])
        self._adam((*self.weights, *self.biases), (*dWs, *dbs))
        return loss

    def _adam(self, parameters: Any, gradients: Any) -> None:
        self.steps += 1
        rate = self.workload.lr / (1 - BETA1**self.steps)
        root = math.sqrt(1 - BETA2**self.steps)
        for p, g, (m, v) in zip(parameters, gradients, self.moments, strict=True):
            m *= BETA1
            m += (1 - BETA1) * g
            v *= BETA2
            v += (1 - BETA2) * (g * g)
            p -= rate * m / (np.sqrt(v) / root + EPS)


def _cross_entropy(Z: Array, y: Array) -> tuple[Any, Array]:
    rows = np.arange(len(Z))
    Z = Z - Z.max(axis=1, keepdims=True)
    E = np.exp(Z)
    S = E.sum(axis=1, keepdims=True)
    loss = (np.log(S[:, 0]) - Z[rows, y]).mean()
    dZ = E / S
    dZ[rows, y] -= 1
    dZ /= len(Z)
    return loss, dZ


def _mse(Z: Array, y: Array) -> tuple[Any, Array]:
    D = Z - y
    return (D * D).mean(), D * np.float32(2 / D.size)


def _erf_by_series(x: Array) -> Array:
    # Abramowitz and Stegun 7.1.26, good to 1.5e-7.
    t = 1 / (1 + np.float32(0.3275911) * np.abs(x))
    total = np.zeros_like(x)
    for c in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        total = (total + np.float32(c)) * t
    return np.asarray(np.copysign(1 - total * np.exp(-x * x), x))


try:
    _erf: Any = importlib.import_module("scipy.special").erf
except ImportError:
    _erf = _erf_by_series

_ROOT_HALF, _DENSITY = np.float32(math.sqrt(0.5)), np.float32(1 / math.sqrt(2 * math.pi))


def _gelu(Z: Array) -> Array:
    return np.asarray(np.float32(0.5) * Z * (1 + _erf(Z * _ROOT_HALF)))


def _gelu_slope(Z: Array, Y: Array) -> Array:
    half = np.float32(0.5)
    return np.asarray(half * (1 + _erf(Z * _ROOT_HALF)) + Z * _DENSITY * np.exp(-half * Z * Z))


_LOSSES: dict[str, Any] = {"cross_entropy": _cross_entropy, "mse": _mse}
# Each activation with its slope from its input and its output.
_ACTIVATIONS: dict[str, tuple[Any, Any]] = {
    "relu": (lambda Z: np.maximum(Z, 0), lambda Z, Y: Z > 0),
    "sigmoid": (lambda Z: 1 / (1 + np.exp(-Z)), lambda Z, Y: Y * (1 - Y)),
    "tanh": (np.tanh, lambda Z, Y: 1 - Y * Y),
    "gelu": (_gelu, _gelu_slope),
}
