"""nnscratch as a competitor: compiled, and eager."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from benchmarks.competitors.base import Competitor
from benchmarks.competitors.workload import Array
from nnscratch import nn
from nnscratch.array import to_numpy
from nnscratch.array.precision import set_float32_matmul_precision
from nnscratch.cuda import synchronize
from nnscratch.optim import Adam
from nnscratch.plan import compile
from nnscratch.tensors.creation import tensor
from nnscratch.tensors.grad_mode import no_grad

_ACTIVATIONS = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "gelu": nn.GELU}
_LOSSES = {"cross_entropy": nn.CrossEntropyLoss, "mse": nn.MSELoss}


class Eager(Competitor):
    """Ordinary eager code."""

    def build(self, weights: list[tuple[Array, Array]]) -> None:
        """Make the model, the loss and the optimizer."""
        set_float32_matmul_precision(self.precision)
        work = self.workload
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        for index, (i, o) in enumerate(work.layers):
            parts[f"linear{index}"] = layer = nn.Linear(i, o)
            with no_grad():
                layer.weight.copy_(tensor(weights[index][0]))
                layer.bias.copy_(tensor(weights[index][1]))
            if index + 1 < len(work.layers):
                parts[f"activation{index}"] = _ACTIVATIONS[work.activation]()
        self.model = nn.Sequential(parts).to(self.device)
        self.loss = _LOSSES[work.loss]()
        if work.task == "train":
            self.optimizer = Adam(self.model.parameters(), lr=work.lr)

    def give(self, array: Array) -> Any:
        """Return a tensor on the device."""
        return tensor(array).to(self.device)

    def step(self, x: Any, y: Any) -> Any:
        """Take one step."""
        self.optimizer.zero_grad()
        loss = self.loss(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss

    def predict(self, x: Any) -> Any:
        """Return the outputs."""
        with no_grad():
            return self.model(x)

    def read(self, value: Any) -> Any:
        """Return a result as NumPy."""
        return to_numpy(value.detach().array)

    def wait(self, value: Any) -> None:
        """Wait for the GPU; on a CPU a result is there when the call returns."""
        if self.device != "cpu":
            synchronize()


class Compiled(Eager):
    """The same step and the same prediction, compiled."""

    def build(self, weights: list[tuple[Array, Array]]) -> None:
        """Make the model, and compile what runs."""
        super().build(weights)
        # On the instance: no method in between at every call.
        self.step = compile(super().step)  # type: ignore[method-assign]
        self.predict = compile(super().predict)  # type: ignore[method-assign]
