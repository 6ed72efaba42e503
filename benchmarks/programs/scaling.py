"""One process of several that train the same network, timed: ours by MPI, PyTorch's by gloo.

    mpiexec -n 2 python -m benchmarks.programs.scaling nnscratch '{"layers": [10, 2], ...}' OUT
    RANK=0 WORLD_SIZE=2 ... python -m benchmarks.programs.scaling torch '...' OUT

The network is GPT-2 with 124M parameters where no layers are named. Both have the same weights, the
same global batches and the same Adam. The losses of the first steps are written down before
anything is timed; the caller compares them.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

STEPS = 20
LR = 1e-4
TURN = 0.15
"""About how many seconds a turn lasts."""
GPT2 = {
    "vocab_size": 50257, "n_positions": 1024, "n_embd": 768, "n_layer": 12, "n_head": 12,
    "dropout": 0.0,
}  # fmt: skip
TOKENS = 64


def arrays(case: dict[str, Any]) -> tuple[Any, Any, list[tuple[Any, Any]]]:
    """Return inputs (STEPS batches, I), classes (STEPS batches,) and (W, b) of each layer.

    Of GPT-2 they are rows of tokens, the token that follows each, and no layers.
    """
    rng = np.random.default_rng(0)
    if "layers" not in case:
        rows = rng.integers(0, GPT2["vocab_size"], (STEPS * case["batch"], TOKENS + 1))
        return rows[:, :-1].copy(), rows[:, 1:].copy(), []
    sizes = case["layers"]
    X = rng.normal(size=(STEPS * case["batch"], sizes[0])).astype(np.float32)
    y = rng.integers(0, sizes[-1], len(X))
    weights = [
        ((rng.normal(size=(o, i)) * (2.0 / i) ** 0.5).astype(np.float32), np.zeros(o, np.float32))
        for i, o in pairwise(sizes)
    ]
    return X, y, weights


def gpt2() -> Any:
    """Return our GPT-2, whose weights are always the same."""
    from nnscratch import manual_seed
    from nnscratch.models import GPT2 as Network
    from nnscratch.models import GPT2Config

    manual_seed(0)
    return Network(GPT2Config(**GPT2))  # type: ignore[arg-type]


def of_tokens(judge: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return a loss of one row of classes a sample as one of (N, tokens, classes)."""
    return lambda output, target: judge(output.reshape(-1, output.shape[-1]), target.reshape(-1))


def turns(
    kinds: dict[str, Callable[[int], None]], rounds: int, together: Callable[[float], float]
) -> dict[str, list[float]]:
    """Return the seconds of one step of each kind in every round; all ranks take turns together.

    Args:
        kinds: by name, what takes so many steps.
        rounds: how many rounds; in each, all kinds have a turn.
        together: returns the largest of what all ranks give it, when all have come.
    """
    counts = {}
    for name, take in kinds.items():
        take(3)
        began = time.perf_counter()
        take(3)
        took = together(time.perf_counter() - began) / 3
        counts[name] = max(3, int(TURN / max(took, 1e-7)))
    found: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, take in kinds.items():
            together(0.0)
            began = time.perf_counter()
            take(counts[name])
            found[name].append(together(time.perf_counter() - began) / counts[name])
    return found


def ours(case: dict[str, Any]) -> dict[str, Any]:
    """Train and time nnscratch's compiled step, with the reduction and without."""
    from nnscratch import nn
    from nnscratch.optim import Adam
    from nnscratch.parallel import world
    from nnscratch.tensors import Tensor
    from nnscratch.train import Callback, Trainer

    X, y, weights = arrays(case)
    layers: list[Any] = []
    for W, b in weights:
        layer = nn.Linear(W.shape[1], W.shape[0])
        layer.load_state_dict({"weight": Tensor(W), "bias": Tensor(b)})
        layers += [nn.ReLU()] * bool(layers) + [layer]
    model = nn.Sequential(*layers) if layers else gpt2()
    judge: Any = "cross_entropy" if layers else of_tokens(nn.CrossEntropyLoss())

    class Losses(Callback):
        """Reads the loss of every step from the running sum."""

        def __init__(self) -> None:
            self.sums = [0.0]

        def on_batch_end(self, trainer: Trainer) -> None:
            self.sums.append(trainer.totals.read()["loss"] * trainer.totals.samples)

    losses, here = Losses(), world()
    trainer = Trainer(
        model, loss=judge, optimizer=Adam(model.parameters(), lr=LR), compile=True,
        seed=0, callbacks=[losses],
    )  # fmt: skip
    trainer.fit((X, y), 1, batch_size=case["batch"], shuffle=False)
    stepper = trainer._stepper
    size = case["batch"]
    batches = [(Tensor(X[i : i + size]), Tensor(y[i : i + size])) for i in range(0, len(X), size)]

    def steps(count: int) -> None:
        for index in range(count):
            stepper.take(0, batches[index % STEPS])

    kinds = {"step": steps}
    sharing = stepper.sharing
    if sharing is not None:

        def alone(count: int) -> None:
            with sharing.muted():
                steps(count)

        comm, wire = here._comm, sharing.reducer._wire.copy()
        wire[:] = 0.0

        def reduced(count: int) -> None:
            for _ in range(count):
                here.add_up(wire)

        def bare(count: int) -> None:
            for _ in range(count):
                comm.Allreduce(here._mpi.IN_PLACE, wire)

        kinds |= {"without reduction": alone, "reduction": reduced, "Allreduce": bare}
    found = turns(kinds, case["rounds"], lambda seconds: max(here.gather(seconds)))
    values = sum(p.numel() for p in model.parameters())
    return {
        "losses": (np.diff(losses.sums) / size).tolist(), "seconds": found, "parameters": values,
        "leads": here.leads,
    }  # fmt: skip


def theirs(case: dict[str, Any]) -> dict[str, Any]:
    """Train and time PyTorch's DistributedDataParallel over gloo; a plain step for one process."""
    import torch
    import torch.distributed as dist
    from torch import nn

    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank, ranks = dist.get_rank(), dist.get_world_size()
    X, y, weights = arrays(case)
    layers: list[Any] = []
    for W, b in weights:
        layer = nn.Linear(W.shape[1], W.shape[0])
        layer.load_state_dict({"weight": torch.from_numpy(W), "bias": torch.from_numpy(b)})
        layers += [nn.ReLU()] * bool(layers) + [layer]
    plain = nn.Sequential(*layers) if layers else _gpt2_of_torch()
    model = plain if ranks == 1 else nn.parallel.DistributedDataParallel(plain)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR, fused=True)
    size, own = case["batch"], case["batch"] // ranks
    mine = [slice(i + rank * own, i + (rank + 1) * own) for i in range(0, len(X), size)]
    batches = [(torch.from_numpy(X[one]), torch.from_numpy(y[one])) for one in mine]
    judge = nn.CrossEntropyLoss() if layers else of_tokens(nn.CrossEntropyLoss())

    def step(index: int) -> Any:
        optimizer.zero_grad()
        loss = judge(model(batches[index % STEPS][0]), batches[index % STEPS][1])
        loss.backward()
        optimizer.step()
        return loss.detach()

    losses = []
    for index in range(STEPS):
        loss = step(index)
        dist.all_reduce(loss)
        losses.append(loss.item() / ranks)

    def steps(count: int) -> None:
        for index in range(count):
            step(index)

    def together(seconds: float) -> float:
        found = torch.tensor(seconds, dtype=torch.float64)
        dist.all_reduce(found, dist.ReduceOp.MAX)
        return found.item()

    found = turns({"step": steps}, case["rounds"], together)
    # Who leaves first aborts the other one, whose threads still wait for it.
    dist.barrier()
    dist.destroy_process_group()
    return {"losses": losses, "seconds": found, "leads": rank == 0}


def _gpt2_of_torch() -> Any:
    from benchmarks.twins import copy_weights, twin

    library = twin("gpt2")
    model = library.GPT2(library.GPT2Config(**GPT2))
    copy_weights(gpt2(), model)
    return model


if __name__ == "__main__":
    kind, given, out = sys.argv[1:]
    made = (ours if kind == "nnscratch" else theirs)(json.loads(given))
    if made.pop("leads"):
        Path(out).write_text(json.dumps(made))
    if kind == "torch":
        # Threads of gloo that still run when the interpreter ends abort the process at times.
        sys.stdout.flush()
        os._exit(0)
