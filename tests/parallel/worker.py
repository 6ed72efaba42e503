"""What a rank of a test does: one scenario, named by its first argument."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import many_ranks
import numpy as np

from nnscratch import nn
from nnscratch.array.bfloat16 import bfloat16
from nnscratch.errors import NNScratchError
from nnscratch.parallel import World, world
from nnscratch.parallel.remains import own_segments
from nnscratch.train import Trainer


def equal(folder: Path, names: list[str], **more: Any) -> None:
    made = {name: many_ranks.train(name, **more) for name in names}
    shas = world().gather({name: one["sha"] for name, one in made.items()})
    other = [name for name in names if any(one[name] != shas[0][name] for one in shas)]
    assert not other, f"the ranks have other weights: {other}"
    for one in made.values():
        one["taken"] = world().gather(one["taken"])
    if world().leads:
        (folder / "found.json").write_text(json.dumps(made))


def fit(folder: Path, **options: Any) -> None:
    found = many_ranks.fit(folder, **options)
    if world().leads:
        (folder / "fitted.json").write_text(json.dumps(found))


def errors(folder: Path, cases: dict[str, dict[str, Any]]) -> None:
    """Train what all ranks refuse, and write down what each of them says."""
    found = {}
    for name, options in cases.items():
        try:
            many_ranks.fit(folder / name.replace(" ", "-"), **options)
            said = "no error"
        except NNScratchError as error:
            said = f"{type(error).__name__}: {error}"
        found[name] = world().gather(said)
    if world().leads:
        (folder / "errors.json").write_text(json.dumps(found))


def sums(folder: Path, rounded: bool = False) -> None:
    """Add vectors up, and compare with the tree by hand."""
    here = world()

    def kept(array: Any) -> Any:
        return array.astype(bfloat16()).astype(np.float32) if rounded else array

    for size in (1, 176, 1000, 70_001):
        rng = np.random.default_rng(0)
        given = [rng.normal(size=size).astype(np.float32) for _ in range(here.size)]
        leaves = [kept(one) for one in given]
        own = leaves[here.rank].copy()
        here.add_up(own, rounded)
        power, levels = 1 << (here.size.bit_length() - 1), (here.size - 1).bit_length()
        for extra in range(power, here.size):
            leaves[extra - power] = kept(leaves[extra - power] + leaves[extra])
        leaves = leaves[:power]
        while len(leaves) > 1:
            leaves = [kept(a + b) for a, b in zip(leaves[::2], leaves[1::2], strict=True)]
        assert own.tobytes() == leaves[0].tobytes()
        # The bound that RoundedTreeSum states, and float32's own.
        unit = 2.0**-8 if rounded else 2.0**-24
        error = abs(own - np.sum(given, axis=0, dtype=np.float64))
        bound = ((1.0 + unit) ** (levels + 1) - 1.0) * np.sum(np.abs(given), axis=0)
        assert (error <= bound).all()
        assert not rounded or size < 1000 or error.max() > 1e-3
    # What was added up before is prepared: it comes with other numbers, and others of its size.
    for dtype in [np.float32] if rounded else [np.float32, np.float64]:
        same, others = np.zeros(176, dtype), [np.zeros(176, dtype) for _ in range(2)]
        order = [same, same, others[0], same, others[1], others[1], same, same, same]
        for number, array in enumerate(order):
            array[:] = number
            large = 0.98 * float(np.finfo(dtype).max)
            array[:5] = np.inf, np.nan, large, -0.0, [-np.inf, 1.0][here.rank % 2]
            if number % 3 == 2 and here.rank == 0:
                time.sleep(0.05)  # the others ask for its message longer than machine code does
            here.add_up(array, rounded)
            assert (array[5:] == number * here.size).all(), number
            assert array[[0, 2, 3, 4]].tolist() == [np.inf, np.inf, 0.0, -np.inf], number
            assert np.isnan(array[1]), number
            assert np.signbit(array[3]), number
    assert here.gather(here.rank) == list(range(here.size))
    assert here.from_first(f"rank {here.rank}") == "rank 0"
    assert here.local_rank == here.rank
    print(f"rank {here.rank} of {here.size}")


def on_gpus(folder: Path, names: list[str], **more: Any) -> None:
    """Train on a GPU a rank, and write down what came of it, and what NCCL was asked for."""
    from gpu import played_nccl

    here, found = world(), {}
    for name in names:
        played_nccl.calls.clear()
        made = many_ranks.train(name, device="cuda", **more)
        steps = world().gather((made["sha"], made["steps"], made["device"]))
        assert len({one[:2] for one in steps}) == 1, name
        found[name] = {key: made[key] for key in ("sha", "rows", "steps")}
        found[name] |= {"calls": list(played_nccl.calls), "devices": [one[2] for one in steps]}
    if here.leads:
        (folder / "gpus.json").write_text(json.dumps(found))


def left(folder: Path, name: str, **more: Any) -> None:
    """Train while ranks die, and write down what those that are left have in the end."""
    made = many_ranks.train(name, **more)
    here = world()
    shas = here.gather(made["sha"])
    assert set(shas) == {made["sha"]}, "the ranks have other weights"
    if here.leads:
        found = {"sha": made["sha"], "rows": made["rows"], "left": here.size}
        (folder / "left.json").write_text(json.dumps(found))


def norm(folder: Path, shards: int | None = None) -> None:
    """Take one step with a batch norm, and write down its running statistics on every rank."""
    model = nn.Sequential(nn.BatchNorm1d(6, momentum=1.0), nn.Linear(6, 3))
    data = many_ranks._data("classes")
    Trainer(model, seed=0, shards=shards).fit(data, 1, batch_size=71, shuffle=False)
    own = model[0].running_mean.tolist(), model[0].running_var.tolist()
    found = world().gather((*own, int(model[0].num_batches_tracked)))
    if world().leads:
        (folder / "norm.json").write_text(json.dumps(found))


def divided(folder: Path, compile: bool) -> None:
    """Train with the optimizer's state divided, and write down who has how much of it."""
    found = {}
    for name, model in (("large", nn.Linear(1000, 3)), ("tiny", nn.Linear(6, 3))):
        # Of the second, most ranks have no element.
        weights = many_ranks.sha(model) if name == "tiny" else ""
        trainer = Trainer(model, seed=0, compile=compile, shard_optimizer=True)
        X, y = many_ranks._data("classes")
        trainer.fit((np.tile(X, 167)[:, :1000] if name == "large" else X, y), 2)
        (flat,) = trainer.optimizer.flats()
        sizes = {key: one.nbytes for key, one in flat.state.items()}
        try:
            said = str(trainer.optimizer.state_dict())
        except NNScratchError as error:
            said = str(error)
        assert many_ranks.sha(model) != weights
        found[name] = world().gather((sizes, flat.values.nbytes, flat.steps, said))
    if world().leads:
        (folder / "divided.json").write_text(json.dumps(found))


if __name__ == "__main__":
    scenario, place, options = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
    before = own_segments()
    if "EMULATED_GPU" in os.environ:
        from gpu import played_nccl
        from gpu.emulated.load import load

        load()
        import cupy

        sys.modules["cupy.cuda.nccl"] = cupy.cuda.nccl = played_nccl
    if "SWITCHBOARD" in os.environ:
        from switchboard import switched_mpi

        rank, ranks = int(os.environ["SWITCHED_RANK"]), int(os.environ["SWITCHED_RANKS"])
        made = World(switched_mpi(os.environ["SWITCHBOARD"], rank, ranks))
        sys.modules["nnscratch.parallel.world"]._world = made  # type: ignore[attr-defined]
    here = world()
    # The shared memory has no name any more: what is mapped is marked as deleted.
    note = json.dumps([os.getpid(), own_segments() or before])
    (place / f"{os.getpid()}.rank").write_text(note)
    scenarios = {"equal": equal, "fit": fit, "errors": errors, "sums": sums, "norm": norm}
    scenarios |= {"divided": divided, "left": left, "on_gpus": on_gpus}
    scenarios[scenario](place, **options)
