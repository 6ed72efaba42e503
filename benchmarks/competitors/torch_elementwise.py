"""PyTorch's own operations for the calls of ``elementwise``; its derivatives through autograd."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from benchmarks.competitors.elementwise import Kernels, block, has_rows
from benchmarks.competitors.workload import Array


class TorchKernels(Kernels):
    """PyTorch, eager; Adam is the fused one."""

    def prepare(self, repeats: int) -> Callable[[], tuple[Any, ...]]:
        """Return the call on arrays of its own."""
        self.torch = torch = importlib.import_module("torch")
        call = self.call
        arrays, upstream = block(call)
        inputs = [self.give(array, repeats) for array in arrays]
        if call.direction == "update":
            return self._adam(*inputs)
        function = self._function()
        if call.direction == "forward":

            def forward() -> tuple[Any, ...]:
                with torch.no_grad():
                    return (function(*inputs),)

            return forward
        wanted = [
            one.requires_grad_() for one, need in zip(inputs, call.needs, strict=False) if need
        ]
        Y, dY = function(*inputs), self.give(upstream, repeats)

        def backward() -> tuple[Any, ...]:
            return tuple(torch.autograd.grad(Y, wanted, dY, retain_graph=True))

        return backward

    def _function(self) -> Callable[..., Any]:
        torch, name = self.torch, self.call.formula
        if name == "linear_activation":
            activate = self._activation(self.call.options["activation"])
            return lambda X, W, b: activate(torch.nn.functional.linear(X, W, b))
        if name == "cross_entropy":
            return torch.nn.functional.cross_entropy  # type: ignore[no-any-return]
        return self._activation(name)

    def _activation(self, name: str) -> Callable[..., Any]:
        torch = self.torch
        return {  # type: ignore[no-any-return]
            "relu": torch.relu,
            "gelu": torch.nn.functional.gelu,
            "tanh": torch.tanh,
            "sigmoid": torch.sigmoid,
        }[name]

    def _adam(self, P: Any, G: Any, M: Any, V: Any) -> Callable[[], tuple[Any, ...]]:
        torch, options = self.torch, self.call.options
        P = torch.nn.Parameter(P)
        P.grad = G
        adam = torch.optim.Adam([P], lr=options["lr"], fused=True)
        before = torch.tensor(options["step"] - 1.0, device=self.device)
        adam.state[P] = {"step": before, "exp_avg": M, "exp_avg_sq": V}

        def update() -> tuple[Any, ...]:
            adam.step()
            return P, M, V

        return update

    def give(self, array: Array, repeats: int) -> Any:
        """Return a tensor on the device."""
        made = self.torch.from_numpy(array).to(self.device)
        return made.repeat(repeats, *(1,) * (array.ndim - 1)) if has_rows(array) else made

    def read(self, array: Any) -> Any:
        """Return a result as NumPy."""
        return array.detach().cpu().numpy()

    def wait(self) -> None:
        """Wait for the GPU."""
        if self.device != "cpu":
            self.torch.cuda.synchronize()
