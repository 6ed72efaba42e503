"""What a rank of a test does: one scenario, named by its first argument."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
warnings.simplefilter("error")

import many_ranks
import numpy as np

from nnscratch import nn
from nnscratch.parallel import world
from nnscratch.parallel.world import _own_segments
from nnscratch.train import Callback, Trainer


class At(Callback):
    """Does something after a step on one rank."""

    def __init__(self, rank: int, step: int, what: Any) -> None:
        self.rank, self.step, self.what = rank, step, what

    def on_batch_end(self, trainer: Trainer) -> None:
        if trainer.step_number == self.step and world().rank == self.rank:
            self.what()


def raises() -> None:
    raise ValueError("raised on purpose")


def marked(folder: Path) -> None:
    (folder / "marked").write_text(repr(time.time()))


FAULTS = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "crash": lambda: os.abort(),
    "raise": raises,
    "exit": lambda: sys.exit(3),
    "stuck": lambda: time.sleep(60.0),
}


def equal(folder: Path, names: list[str], **more: Any) -> None:
    made = {name: many_ranks.train(name, **more) for name in names}
    shas = world().gather({name: one["sha"] for name, one in made.items()})
    assert all(one == shas[0] for one in shas), "the ranks have other weights"
    if world().leads:
        (folder / "found.json").write_text(json.dumps(made))


def fit(
    folder: Path,
    *,
    fault: str = "",
    rank: int = 0,
    step: int = 5,
    epochs: int = 3,
    resume: bool = False,
    shards: int | None = None,
    compile: bool | None = None,
    nan: int | None = None,
    different: str = "",
    run: str = "run",
    deadline: float = 1.5,
    slow: float = 0.0,
) -> None:
    """Train in a run folder, with a fault on one rank."""
    here = world()
    model = many_ranks._net(outputs=3, dropout=0.2)
    X, y = many_ranks._data("classes")
    batch, options = 16, {"seed": 3, "lr": 0.01}
    if nan is not None:
        X[nan] = np.nan
    if different and here.rank == rank:
        if different == "seed":
            options["seed"] = 4
        elif different == "settings":
            batch = 32
        elif different == "data":
            X[0] = 7.0
        elif different == "weights":
            model[0].bias.data[0] = 2.0
        elif different == "folder":
            run = f"{run}-{rank}"
    if different == "gradient":
        model = Forgetful(rank)

    def act() -> None:
        (folder / "acted").write_text(repr(time.time()))
        FAULTS[fault]()

    callbacks = [At(rank, step, act)] if fault else []
    if slow:
        callbacks += [At(0, 2, lambda: (folder / "going").touch()), Slow(slow)]
    trainer = Trainer(
        model, callbacks=callbacks, run_dir=folder / run, shards=shards, deadline=deadline,
        compile=compile, checkpoint_seconds=0.0, **options,
    )  # fmt: skip
    shuffle = nan is None
    trainer.fit((X, y), epochs, batch_size=batch, resume=resume, validation=(X, y), shuffle=shuffle)
    if here.leads:
        print(many_ranks.sha(model), trainer.step_number)


class Slow(Callback):
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def on_batch_end(self, trainer: Trainer) -> None:
        time.sleep(self.seconds)


class Forgetful(nn.Module):
    """A network of which one rank leaves a layer out."""

    def __init__(self, rank: int) -> None:
        super().__init__()
        self.layer, self.other = nn.Linear(6, 3), nn.Linear(6, 3)
        self.rank = rank

    def forward(self, x: Any) -> Any:
        made = self.layer(x)
        return made if self.training and world().rank == self.rank else made + self.other(x)


def sums(folder: Path) -> None:
    """Add vectors up, and compare with the tree by hand."""
    here = world()
    for size in (1, 176, 1000, 70_001):
        rng = np.random.default_rng(0)
        leaves = [rng.normal(size=size).astype(np.float32) for _ in range(here.size)]
        own = leaves[here.rank].copy()
        here.add_up(own)
        power = 1 << (here.size.bit_length() - 1)
        for extra in range(power, here.size):
            leaves[extra - power] = leaves[extra - power] + leaves[extra]
        leaves = leaves[:power]
        while len(leaves) > 1:
            leaves = [a + b for a, b in zip(leaves[::2], leaves[1::2], strict=True)]
        assert own.tobytes() == leaves[0].tobytes()
    assert here.gather(here.rank) == list(range(here.size))
    assert here.from_first(f"rank {here.rank}") == "rank 0"
    assert here.local_rank == here.rank
    print(f"rank {here.rank} of {here.size}")


if __name__ == "__main__":
    scenario, place, options = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
    before = _own_segments()
    here = world()
    # The shared memory has no name any more: what is mapped is marked as deleted.
    note = json.dumps([os.getpid(), _own_segments() or before])
    (place / f"{os.getpid()}.rank").write_text(note)
    {"equal": equal, "fit": fit, "sums": sums}[scenario](place, **options)
