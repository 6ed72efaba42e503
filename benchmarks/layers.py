"""Single layers beside PyTorch: forward and backward by itself, eager, float32.

    python -m benchmarks.layers                    # all of them, about five minutes
    python -m benchmarks.layers attention          # those whose name contains this

Each case is one text for both libraries: a function of tensors, of which those of numbers get
gradients. First the sums of outputs and gradients are compared: who differs is not timed. Then all
take turns, each in a process of its own with the same number of threads.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from benchmarks.turns import measure, table

COMPETITORS = ("eager", "torch", "torch, channels last")


@dataclass(frozen=True)
class Layer:
    """A layer and what it is applied to.

    Attributes:
        make: takes the library's module and returns the function of the tensors.
        inputs: shapes of arrays of numbers, or (highest, shape) of integers below that.
        goal: by how many times it should be quicker than PyTorch.
        pictures: whether PyTorch's channels-last layout takes part.
    """

    make: Callable[[Any], Callable[..., Any]]
    inputs: tuple[Any, ...]
    goal: float
    pictures: bool = False


def _attention(lib: Any, causal: bool) -> Callable[..., Any]:
    return partial(lib.nn.functional.scaled_dot_product_attention, is_causal=causal)


def _last_layer(lib: Any) -> Callable[..., Any]:
    F = lib.nn.functional
    return lambda x, W, y: F.cross_entropy(F.linear(x, W), y)


PICTURES = (64, 64, 16, 16)
ROWS = (2048, 256)
LAYERS: dict[str, Layer] = {
    "BatchNorm2d": Layer(lambda lib: lib.nn.BatchNorm2d(64), (PICTURES,), 1.3, pictures=True),
    "LayerNorm": Layer(lambda lib: lib.nn.LayerNorm(256), (ROWS,), 2.0),
    "MaxPool2d": Layer(lambda lib: lib.nn.MaxPool2d(2), (PICTURES,), 2.0, pictures=True),
    "softmax": Layer(lambda lib: lambda x: x.softmax(-1), (ROWS,), 1.5),
    "cross-entropy of pixels, 8 x 21 x 64 x 64": Layer(
        lambda lib: lambda x, i: lib.nn.functional.cross_entropy(x, i),
        ((8, 21, 64, 64), (21, (8, 64, 64))),
        1.0,
    ),
    "embedding, 50257 x 768": Layer(
        lambda lib: lambda W, i: lib.nn.functional.embedding(i, W),
        ((50257, 768), (50257, (16, 64))),
        8.0,
    ),
    "embedding bag, 512 x 32": Layer(
        lambda lib: lambda W, i: lib.nn.functional.embedding_bag(i, W),
        ((50000, 64), (50000, (512, 32))),
        3.0,
    ),
    "attention 4 x 6 x 256 x 64": Layer(
        partial(_attention, causal=False), ((4, 6, 256, 64),) * 3, 2.2
    ),
    "causal attention 4 x 6 x 256 x 64": Layer(
        partial(_attention, causal=True), ((4, 6, 256, 64),) * 3, 3.5
    ),
    "causal attention 1 x 12 x 1024 x 64": Layer(
        partial(_attention, causal=True), ((1, 12, 1024, 64),) * 3, 2.8
    ),
    "last layer with cross-entropy, 256 x 50257": Layer(
        _last_layer, ((256, 768), (50257, 768), (50257, (256,))), 1.7
    ),
    "depthwise 3 x 3, 192 x 16 x 16": Layer(
        lambda lib: lambda x, W: lib.nn.functional.conv2d(x, W, padding=1, groups=192),
        ((32, 192, 16, 16), (192, 1, 3, 3)),
        1.0,
        pictures=True,
    ),
}  # fmt: skip


class Work:
    """One layer in one library, with its inputs."""

    def __init__(self, name: str, who: str) -> None:
        """Make it: ``who`` is one of ``COMPETITORS``."""
        layer = LAYERS[name]
        lib = import_module("torch" if who.startswith("torch") else "nnscratch")
        rng = np.random.default_rng(0)
        self.inputs = []
        for one in layer.inputs:
            if isinstance(one[-1], tuple):
                self.inputs.append(lib.tensor(rng.integers(0, *one)))
                continue
            made = lib.tensor(rng.standard_normal(one).astype(np.float32) * 0.1)
            if who.endswith("channels last") and made.ndim == 4:
                made = made.to(memory_format=lib.channels_last)
            self.inputs.append(made.requires_grad_())
        self.call = layer.make(lib)
        out = self.call(*self.inputs)
        weights = np.cos(np.arange(out.numel(), dtype=np.float32)).reshape(tuple(out.shape))
        self.cotangent = lib.tensor(weights)

    def run(self, count: int) -> float:
        """Go forward and backward, and return a sum over the output and the gradients."""
        for _ in range(count):
            for one in self.inputs:
                one.grad = None
            out = self.call(*self.inputs)
            out.backward(self.cotangent)
        found = [out, *(one.grad for one in self.inputs if one.grad is not None)]
        return sum(float((one.detach() ** 2).sum()) for one in found)


def main() -> None:
    """Measure what the command line asks for, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="parts of names; all unless named")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=12.0, help="for the turns of a row")
    asked = parser.parse_args()
    rows = []
    for name, layer in LAYERS.items():
        if asked.names and not any(part in name for part in asked.names):
            continue
        who = COMPETITORS if layer.pictures else COMPETITORS[:2]
        makers = {one: partial(Work, name, one) for one in who}
        rows.append(measure(name, layer.goal, makers, asked.threads, asked.seconds))
        print(table(rows[-1:], memory=False, competitors=COMPETITORS), flush=True)
    print("\n" + table(rows, memory=False, competitors=COMPETITORS))


if __name__ == "__main__":
    main()
