"""PyTorch as a competitor: eager, eager with fused Adam, and compiled with fused Adam."""

from __future__ import annotations

import importlib
from typing import Any, ClassVar

from nnscratch.inspect.bench.competitor import Competitor
from nnscratch.inspect.bench.workload import Array


class TorchEager(Competitor):
    """Ordinary PyTorch."""

    fused: ClassVar[bool] = False

    def build(self, weights: list[tuple[Array, Array]] | None) -> None:
        """Make the model, the loss and the optimizer."""
        self.torch = torch = importlib.import_module("torch")
        torch.set_float32_matmul_precision(self.precision)
        work, nn = self.workload, torch.nn
        activations = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "gelu": nn.GELU}
        parts = []
        for index, (i, o) in enumerate(work.layers):
            layer = nn.Linear(i, o)
            if weights is not None:
                with torch.no_grad():
                    layer.weight.copy_(torch.from_numpy(weights[index][0]))
                    layer.bias.copy_(torch.from_numpy(weights[index][1]))
            parts.append(layer)
            if index + 1 < len(work.layers):
                parts.append(activations[work.activation]())
        self.model = nn.Sequential(*parts).to(self.device)
        losses = {"cross_entropy": nn.CrossEntropyLoss, "mse": nn.MSELoss}
        self.loss = losses[work.loss]()
        if work.task == "train":
            more = {"fused": True} if self.fused else {}
            self.optimizer = torch.optim.Adam(self.model.parameters(), lr=work.lr, **more)

    def give(self, array: Array) -> Any:
        """Return a tensor on the device."""
        return self.torch.from_numpy(array).to(self.device)

    def forward(self, x: Any, y: Any) -> Any:
        """Return the loss."""
        return self.loss(self.model(x), y)

    def step(self, x: Any, y: Any) -> Any:
        """Take one step."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.forward(x, y)
        loss.backward()
        self.optimizer.step()
        return loss

    def predict(self, x: Any) -> Any:
        """Return the outputs."""
        with self.torch.inference_mode():
            return self.model(x)

    def read(self, value: Any) -> Any:
        """Return a result as NumPy."""
        return value.detach().cpu().numpy()

    def wait(self, value: Any) -> None:
        """Wait for the GPU; on a CPU a result is there when the call returns."""
        if self.device != "cpu":
            self.torch.cuda.synchronize()


class TorchFused(TorchEager):
    """PyTorch with ``Adam(fused=True)``."""

    fused = True


class TorchCompiled(TorchEager):
    """``torch.compile`` of forward and loss (and so of the backward), and fused Adam."""

    fused = True

    def build(self, weights: list[tuple[Array, Array]] | None) -> None:
        """Make the model, and compile what runs."""
        super().build(weights)
        torch = self.torch
        self.forward = torch.compile(super().forward, dynamic=False)  # type: ignore[method-assign]
        model = torch.compile(self.model, dynamic=False)

        def predict(x: Any) -> Any:
            with torch.inference_mode():
                return model(x)

        self.predict = predict  # type: ignore[method-assign]
