"""PyTorch as a competitor: eager, eager with fused Adam, compiled, and captured in a CUDA graph."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, ClassVar

from benchmarks.competitors.base import Competitor
from benchmarks.competitors.workload import Array


class TorchEager(Competitor):
    """Ordinary PyTorch."""

    adam: ClassVar[dict[str, bool]] = {}

    def build(self, weights: list[tuple[Array, Array]]) -> None:
        """Make the model, the loss and the optimizer."""
        self.torch = torch = importlib.import_module("torch")
        torch.set_float32_matmul_precision(self.precision)
        work, nn = self.workload, torch.nn
        activations = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "gelu": nn.GELU}
        parts = []
        for index, (i, o) in enumerate(work.layers):
            layer = nn.Linear(i, o)
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
            self.optimizer = torch.optim.Adam(self.model.parameters(), lr=work.lr, **self.adam)

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

    adam: ClassVar[dict[str, bool]] = {"fused": True}


class TorchCompiled(TorchEager):
    """``torch.compile`` of forward and loss (and so of the backward), and fused Adam.

    On a GPU in its mode "reduce-overhead", which captures what it compiled into CUDA graphs.
    """

    adam: ClassVar[dict[str, bool]] = {"fused": True}

    def build(self, weights: list[tuple[Array, Array]]) -> None:
        """Make the model, and compile what runs."""
        super().build(weights)
        torch = self.torch
        graphs = self.device == "cuda"
        how = {"dynamic": False, "mode": "reduce-overhead" if graphs else None}
        self.forward = torch.compile(super().forward, **how)  # type: ignore[method-assign]
        model = torch.compile(self.model, **how)

        def predict(x: Any) -> Any:
            with torch.inference_mode():
                return model(x)

        self.predict = predict  # type: ignore[method-assign]
        if graphs:
            # On the instance: on a CPU there is no call in between.
            self.step = self._marking(super().step)  # type: ignore[method-assign]
            self.predict = self._marking(predict)  # type: ignore[method-assign]

    def _marking(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """Say before each call that what the last one returned may be overwritten.

        A graph's outputs lie where its next run puts its own. PyTorch keeps them apart as long as
        somebody holds them, as ``train`` holds the last loss; without this it would have to guess.
        """
        mark = self.torch.compiler.cudagraph_mark_step_begin

        def marked(*given: Any) -> Any:
            mark()
            return work(*given)

        return marked


class TorchGraph(TorchEager):
    """The whole step (forward, backward, fused Adam), captured into one CUDA graph by hand.

    As PyTorch's documentation has it: a few steps on a side stream, which count, then the capture,
    which computes nothing, and from then on copies into the captured inputs and one launch.
    """

    adam: ClassVar[dict[str, bool]] = {"fused": True, "capturable": True}
    warm_ups = 3

    def build(self, weights: list[tuple[Array, Array]]) -> None:
        """Make the model; nothing is captured yet."""
        super().build(weights)
        self.stream, self.warmed = self.torch.cuda.Stream(), 0
        self.graph: Any = None
        self.held: tuple[Any, ...] = ()

    def step(self, x: Any, y: Any) -> Any:
        """Take one step."""
        return self._run(super().step, x, y)

    def predict(self, x: Any) -> Any:
        """Return the outputs."""
        return self._run(super().predict, x)

    def _run(self, work: Callable[..., Any], *given: Any) -> Any:
        cuda = self.torch.cuda
        if self.graph is None and self.warmed < self.warm_ups:
            self.warmed += 1
            self.stream.wait_stream(cuda.current_stream())
            with cuda.stream(self.stream):
                # Who holds a loss holds its graph, whose nodes the capture would meet again.
                made = work(*given).detach()
            cuda.current_stream().wait_stream(self.stream)
            return made
        if self.graph is None:
            if self.workload.task == "train":
                # Gradients then lie in the graph's own memory.
                self.optimizer.zero_grad(set_to_none=True)
            self.held, graph = tuple(item.clone() for item in given), cuda.CUDAGraph()
            with cuda.graph(graph, stream=self.stream):
                self.made = work(*self.held).detach()
            self.graph = graph
        for mine, item in zip(self.held, given, strict=True):
            mine.copy_(item)
        self.graph.replay()
        return self.made
