"""What is computed: a network, a batch, a loss; the weights and data that every competitor gets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

ACTIVATIONS = ("relu", "sigmoid", "tanh", "gelu")
LOSSES = ("cross_entropy", "mse")
PRECISION = "NNSCRATCH_BENCH_PRECISION"
"""The variable that says how float32 products on a GPU are computed."""
# The pools of inputs and of targets have lengths without a common factor, so that the same input
# comes back with other targets: nothing can be fitted, no gradient fades into denormal numbers.
INPUTS, TARGETS = 5, 7
_POOL_BYTES = 256 << 20


@dataclass(frozen=True)
class Workload:
    """One network and what is done with it, in float32.

    Attributes:
        sizes: units of every layer, inputs first.
        rows: samples in a batch.
        activation: behind every layer but the last.
        loss: "cross_entropy" (of class indices) or "mse".
        task: "train" (forward, loss, backward, Adam) or "infer" (forward).
        lr: Adam's learning rate; 0 stands for 0.001, or less for layers of more than 100 units.
            There a rate of 0.001 blows up the rounding errors of 20 steps to more than 1e-4.
        seed: of weights and data.
    """

    sizes: tuple[int, ...]
    rows: int
    activation: str = "relu"
    loss: str = "cross_entropy"
    task: str = "train"
    lr: float = 0.0
    seed: int = 1

    def __post_init__(self) -> None:
        if len(self.sizes) < 2 or min(*self.sizes, self.rows) < 1:
            raise ValueError(f"a network needs inputs, outputs and rows, got {self}")
        if self.activation not in ACTIVATIONS or self.loss not in LOSSES:
            raise ValueError(f"unknown activation or loss in {self}")
        if self.task not in ("train", "infer"):
            raise ValueError(f"the task is train or infer, got {self.task!r}")
        if not self.lr:
            object.__setattr__(self, "lr", min(1e-3, 0.1 / max(self.sizes)))

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Workload:
        """Return the workload that ``to_dict`` wrote down."""
        return cls(**{**record, "sizes": tuple(record["sizes"])})

    def to_dict(self) -> dict[str, Any]:
        """Return it in JSON's types."""
        return {**asdict(self), "sizes": list(self.sizes)}

    @property
    def layers(self) -> list[tuple[int, int]]:
        """The (inputs, outputs) of every layer."""
        return list(zip(self.sizes, self.sizes[1:], strict=False))

    @property
    def parameters(self) -> int:
        """How many weights and biases there are."""
        return sum(i * o + o for i, o in self.layers)

    @property
    def flops(self) -> int:
        """Floating-point operations of the matrix products of one step."""
        forward = sum(2 * self.rows * i * o for i, o in self.layers)
        if self.task == "infer":
            return forward
        # One more product for every dW, and one for every dX but the first.
        return 3 * forward - 2 * self.rows * self.sizes[0] * self.sizes[1]

    @property
    def bytes(self) -> int:
        """The bytes that a step has to move if nothing stays in a cache and nothing moves twice.

        Inference reads every parameter. Training reads it forward and backward, writes its gradient
        and updates it by Adam (reading and writing parameter and both moments, reading the
        gradient): 40 bytes. An activation is written, read forward and backward, and its gradient
        written and read twice: 24 bytes.
        """
        units = self.rows * sum(self.sizes[1:])
        if self.task == "infer":
            return 4 * self.parameters + 8 * units
        return 40 * self.parameters + 24 * units + 8 * self.rows * self.sizes[0]

    @cached_property
    def pools(self) -> tuple[int, int]:
        """How many batches of inputs and of targets take turns."""
        batch = 4 * self.rows * (self.sizes[0] + self.sizes[-1])
        if (INPUTS + TARGETS) * batch <= _POOL_BYTES:
            return INPUTS, TARGETS
        return 2, 3

    def weights(self) -> list[tuple[Array, Array]]:
        """Return (W, b) of every layer, as PyTorch's Linear would start: uniform in ±1/√inputs."""
        rng = np.random.default_rng((self.seed, 1))
        made = []
        for i, o in self.layers:
            bound = np.float32(1.0 / math.sqrt(i))
            W = rng.random((o, i), dtype=np.float32)
            b = rng.random(o, dtype=np.float32)
            for array in (W, b):
                array *= 2 * bound
                array -= bound
            made.append((W, b))
        return made

    def inputs(self) -> list[Array]:
        """Return the batches of inputs that take turns, normally distributed."""
        rng = np.random.default_rng((self.seed, 2))
        shape = (self.rows, self.sizes[0])
        return [rng.standard_normal(shape, dtype=np.float32) for _ in range(self.pools[0])]

    def targets(self) -> list[Array]:
        """Return the batches of targets: class indices in int64, or normally distributed."""
        rng = np.random.default_rng((self.seed, 3))
        shape = (self.rows, self.sizes[-1])
        if self.loss == "mse":
            return [rng.standard_normal(shape, dtype=np.float32) for _ in range(self.pools[1])]
        return [rng.integers(0, shape[1], self.rows) for _ in range(self.pools[1])]

    def describe(self) -> str:
        """Say it in one line: ``784-512-512-10, 128 rows, relu, cross-entropy``."""
        rows = "1 row" if self.rows == 1 else f"{self.rows} rows"
        what = "inference" if self.task == "infer" else self.loss.replace("_", "-")
        return f"{shape_name(self.sizes)}, {rows}, {self.activation}, {what}"


def shape_name(sizes: tuple[int, ...]) -> str:
    """Return 784-512-512-10 for those sizes, and 1024 x 4 for four equal layers.

    >>> shape_name((64, 128, 10)), shape_name((1024,) * 5)
    ('64-128-10', '1024 x 4')
    """
    if len(sizes) > 3 and len(set(sizes)) == 1:
        return f"{sizes[0]} x {len(sizes) - 1}"
    if len(sizes) > 6 and len(set(sizes[1:-1])) == 1:
        return f"{sizes[0]}-{len(sizes) - 2} x {sizes[1]}-{sizes[-1]}"
    return "-".join(map(str, sizes))
