"""Who takes part: every competitor with what it needs, and whether the goals are measured by it."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

HERE = "benchmarks.competitors"


@dataclass(frozen=True)
class Entry:
    """One competitor.

    Attributes:
        name: as it is shown.
        target: the class, as ``module:Class``.
        kind: "ours"; "peer", which the goals are measured by; "baseline"; or "floor", a lower bound
            that computes less than a step and is never a competitor.
        needs: packages without which it is missing.
        compiles: whether its start takes long, so that a quick run leaves it out.
        only: the one device that it is for, empty if it is for all.
    """

    name: str
    target: str
    kind: str
    needs: tuple[str, ...] = ()
    compiles: bool = False
    only: str = ""

    def missing(self) -> str | None:
        """Return what is not installed, or None."""
        absent = [name for name in self.needs if importlib.util.find_spec(name) is None]
        return f"{' and '.join(absent)} not installed" if absent else None


COMPILED, EAGER = "nnscratch compiled", "nnscratch eager"
TORCH, TORCH_FUSED, TORCH_COMPILED = "PyTorch eager", "PyTorch fused Adam", "torch.compile"
TORCH_GRAPH = "PyTorch CUDA graph"
JAX, JAX_AWAITED = "JAX jit", "JAX, steps awaited"
NUMPY, PRODUCTS = "NumPy", "products alone"

COMPETITORS: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry(COMPILED, f"{HERE}.ours:Compiled", "ours"),
        Entry(EAGER, f"{HERE}.ours:Eager", "ours"),
        Entry(TORCH, f"{HERE}.torch_peers:TorchEager", "peer", ("torch",)),
        Entry(TORCH_FUSED, f"{HERE}.torch_peers:TorchFused", "peer", ("torch",)),
        Entry(TORCH_COMPILED, f"{HERE}.torch_peers:TorchCompiled", "peer", ("torch",), True),
        Entry(TORCH_GRAPH, f"{HERE}.torch_peers:TorchGraph", "peer", ("torch",), only="cuda"),
        Entry(JAX, f"{HERE}.jax_peer:JaxJit", "peer", ("jax",)),
        # Never quicker than the one above, so it decides no goal.
        Entry(JAX_AWAITED, f"{HERE}.jax_peer:JaxAwaited", "baseline", ("jax",)),
        Entry(NUMPY, f"{HERE}.numpy_peer:PlainNumpy", "baseline"),
        Entry(PRODUCTS, f"{HERE}.floor:Products", "floor"),
    )
}
REFERENCE = COMPETITORS[NUMPY]


def competitors(task: str, compilers: bool = True, device: str = "cpu") -> list[Entry]:
    """Return who takes part in a task; without ``compilers`` nobody who starts slowly."""
    return [
        entry
        for entry in COMPETITORS.values()
        if (compilers or not entry.compiles)
        and entry.only in ("", device)
        # NumPy computes on the CPU, and is only the reference of what runs elsewhere.
        and (device == "cpu" or entry.kind in ("ours", "peer"))
        and not (task == "infer" and entry.name == JAX_AWAITED)
        # An optimizer makes no difference to inference.
        and not (task == "infer" and entry.name == TORCH_FUSED)
    ]
