"""The rows of the benchmark: which networks, for how long, and who takes part."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from benchmarks.competitors.registry import (
    COMPILED,
    EAGER,
    JAX,
    TORCH,
    TORCH_COMPILED,
    TORCH_FUSED,
    TORCH_GRAPH,
)
from benchmarks.competitors.workload import Workload
from benchmarks.stopwatch.measuring import Effort

GROUPS = (
    "steps",
    "variants",
    "inference",
    "elementwise",
    "programs",
    "epoch",
    "memory",
    "sweeps",
)
# What a GPU alone is asked for, and what only a CPU can be: the article's program as a process, and
# the memory of the host.
ONLY = {"elementwise": "cuda", "8192x3": "cuda", "programs": "cpu", "memory": "cpu"}
LONG = Effort(rounds=25, turn=0.2, warm=0.7, budget=50.0, rest=0.06)
# Twenty steps of eight thousand units would take the NumPy of the reference a minute.
LARGE = replace(LONG, check_steps=5)
CALL = Effort(rounds=15, turn=0.1, warm=0.2, budget=10.0, rest=0.03)
SWEEP = Effort(rounds=9, turn=0.05, warm=0.3, budget=20.0, check_steps=5, rest=0.04)
BRIEF = Effort(rounds=5, turn=0.02, warm=0.05, budget=3.0, check_steps=5, rest=0.02)

STEPS: dict[str, Workload] = {
    "10-10-2": Workload((10, 10, 2), 1000),
    "64-128-10": Workload((64, 128, 10), 64),
    "784-512-512-10": Workload((784, 512, 512, 10), 128),
    "1024x4": Workload((1024,) * 5, 256),
    "4096x3": Workload((4096,) * 4, 512),
    "8192x3": Workload((8192,) * 4, 512),
}
INFERENCE: dict[str, Workload] = {
    "predict-64-128-10": Workload((64, 128, 10), 1, task="infer"),
    "predict-784-512-512-10": Workload((784, 512, 512, 10), 1, task="infer"),
}
# Every other activation, and the other loss, at a small, a middle and a large size.
VARIANTS: dict[str, Workload] = {
    f"{name}-{what}": Workload(
        work.sizes,
        work.rows,
        activation="relu" if what == "mse" else what,
        loss="mse" if what == "mse" else "cross_entropy",
    )
    for name, work in STEPS.items()
    if name in ("64-128-10", "784-512-512-10", "1024x4")
    for what in ("sigmoid", "tanh", "gelu", "mse")
}
QUICK_NAMES = (
    "10-10-2",
    "64-128-10",
    "784-512-512-10",
    "64-128-10-gelu",
    "64-128-10-mse",
    *INFERENCE,
)


@dataclass(frozen=True)
class Sweep:
    """One network at many sizes.

    Attributes:
        name: what is swept.
        title: the axis of the picture.
        points: the workloads by the number on the axis.
    """

    name: str
    title: str
    points: dict[int, Workload] = field(default_factory=dict)

    def row(self, value: int) -> str:
        """Return the name of a point's row."""
        return f"{self.name}-{value}"


def _powers(first: int, last: int) -> list[int]:
    return [1 << n for n in range(first, last + 1)]


SWEEPS: tuple[Sweep, ...] = (
    Sweep(
        "batch",
        "rows in a batch (784-512-512-10)",
        {n: Workload((784, 512, 512, 10), n) for n in _powers(0, 12)},
    ),
    Sweep(
        "width",
        "units of the hidden layers (64-n-n-10, 128 rows)",
        {n: Workload((64, n, n, 10), 128) for n in _powers(3, 13)},
    ),
    Sweep(
        "depth",
        "layers (256 units, 128 rows)",
        {n: Workload((256,) * (n + 1), 128) for n in _powers(0, 6)},
    ),
)
SWEPT = (COMPILED, EAGER, TORCH, TORCH_FUSED, TORCH_COMPILED, TORCH_GRAPH, JAX)
# Competitors are all in memory at once; eager ones need temporaries besides their 16 bytes.
BYTES_A_PARAMETER = 32


def too_large(work: Workload, competitors: int, memory: int) -> bool:
    """Say whether that many competitors and the reference cannot all be in memory."""
    need = (competitors + 1) * (
        BYTES_A_PARAMETER * work.parameters + 8 * work.rows * sum(work.sizes)
    )
    return 0 < memory < 1.3 * need


def cliffs(values: list[int], works: list[int], times: list[float]) -> list[str]:
    """Return where the time grew by over 1.6 times as much as the arithmetic, from point to point.

    >>> cliffs([1, 2, 4], [10, 20, 40], [1.0, 1.5, 6.0])
    ['from 2 to 4: 4.0x the time for 2.0x the arithmetic']
    """
    found = []
    for k in range(1, len(values)):
        time, work = times[k] / times[k - 1], works[k] / works[k - 1]
        if time > 1.6 * work:
            found.append(
                f"from {values[k - 1]} to {values[k]}: {time:.1f}x the time for {work:.1f}x the "
                "arithmetic"
            )
    return found
