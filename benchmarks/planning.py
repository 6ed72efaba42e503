"""How long a compiled step takes to plan, and what of it is left to Python.

    python -m benchmarks.planning            # all of them, about ten seconds
    python -m benchmarks.planning lstm       # those whose name begins so

The first call of a compiled step runs eagerly and is recorded, the second one makes the plan, the
later ones replay it. Every network is written in tensor operations and linear layers, so each gate,
head and row statistic is formulas that a plan has to find kernels for. A small network of the same
kind goes first, so that no kernel is compiled while the clock runs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import nnscratch
from nnscratch import nn, optim


class Cell(nn.Module):
    """An LSTM unrolled over the second axis, with the last state as its output."""

    def __init__(self, inputs: int = 8, width: int = 16) -> None:
        super().__init__()
        self.width = width
        self.ih, self.hh = nn.Linear(inputs, 4 * width), nn.Linear(width, 4 * width)
        self.out = nn.Linear(width, 2)

    def forward(self, x: Any) -> Any:
        """Run over the sequence."""
        h = c = nnscratch.zeros(len(x), self.width)
        for t in range(x.shape[1]):
            i, f, g, o = (self.ih(x[:, t]) + self.hh(h)).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
        return self.out(h)


class LayerNorm(nn.Module):
    """Rows brought to mean 0 and variance 1, scaled and shifted, and a linear layer."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.weight = nn.Parameter(nnscratch.ones(width))
        self.bias = nn.Parameter(nnscratch.zeros(width))
        self.out = nn.Linear(width, 2)

    def forward(self, x: Any) -> Any:
        """Normalise the last axis."""
        d = x - x.mean(-1, keepdim=True)
        v = (d**2).mean(-1, keepdim=True)
        return self.out(d / (v + 1e-5).sqrt() * self.weight + self.bias)


class Attention(nn.Module):
    """Self-attention of some heads, averaged over the positions."""

    def __init__(self, width: int = 16, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, 2)

    def forward(self, x: Any) -> Any:
        """Attend to all positions."""
        N, T, C = x.shape
        q, k, v = (
            part.reshape(N, T, self.heads, -1).transpose(1, 2) for part in self.qkv(x).chunk(3, -1)
        )
        P = (q @ k.transpose(-1, -2) / (C / self.heads) ** 0.5).softmax(-1)
        return self.out((P @ v).transpose(1, 2).reshape(N, T, C).mean(1))


def _mlp(layers: int) -> nn.Module:
    hidden = [part for _ in range(layers) for part in (nn.Linear(16, 16), nn.ReLU())]
    return nn.Sequential(*hidden, nn.Linear(16, 2))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], Callable[[], nn.Module], tuple[int, ...]]] = {
    "mlp of 40 layers": (lambda: _mlp(2), lambda: _mlp(40), (8, 16)),
    "mlp of 320 layers": (lambda: _mlp(2), lambda: _mlp(320), (8, 16)),
    "lstm of 16 steps": (Cell, Cell, (4, 16, 8)),
    "lstm of 64 steps": (Cell, Cell, (4, 64, 8)),
    "lstm of 256 steps": (Cell, Cell, (4, 256, 8)),
    "layer norm": (LayerNorm, LayerNorm, (8, 16)),
    "attention": (Attention, Attention, (4, 6, 16)),
}
"""For each a small network that compiles its kernels, the network, and the shape of its input."""


def planned(model: nn.Module, shape: tuple[int, ...]) -> dict[str, Any]:
    """Compile a training step, call it three times, and return what that took.

    Returns:
        seconds of the recording, the planning and a replay; the plan's instructions, and the calls
        that are left to Python.
    """
    optimizer, criterion = optim.Adam(model.parameters()), nn.CrossEntropyLoss()

    @nnscratch.compile
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    x, y = nnscratch.randn(*shape), nnscratch.randint(0, 2, (shape[0],))
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        step(x, y)
        seconds.append(time.perf_counter() - start)
    (plan,) = step.plans
    record, second, replay = seconds
    return {
        "record": record,
        "plan": second - replay,
        "replay": replay,
        "instructions": plan.native,
        "python": plan.python,
    }


def main(arguments: list[str] | None = None) -> None:
    """Print a table of the networks that the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="beginnings of names; all if none is given")
    names = parser.parse_args(arguments).names
    print("| network | recording | planning | replay | instructions | left to Python |")
    print("|---|---|---|---|---|---|")
    for name, (small, make, shape) in NETWORKS.items():
        if names and not any(name.startswith(one) for one in names):
            continue
        nnscratch.manual_seed(0)
        short = (shape[0], min(shape[1], 6), *shape[2:]) if len(shape) > 2 else shape
        planned(small(), short)
        found = planned(make(), shape)
        print(
            f"| {name} | {found['record']:.2f} s | {found['plan']:.2f} s "
            f"| {1e3 * found['replay']:.2f} ms | {found['instructions']} | {found['python']} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
