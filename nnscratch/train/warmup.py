"""Plans made before training begins, so that every step of a run is a replay.

A compiled step runs eagerly the first time it sees a shape, and a replay may round differently. A
run that is resumed would have its eager steps elsewhere than one that was never broken off, and end
with other bits. So each kind of step is taken once beforehand, and everything it changed put back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnscratch.array import array_namespace
from nnscratch.array.random import default_generator
from nnscratch.tensors import Tensor

if TYPE_CHECKING:
    from nnscratch.train.trainer import Trainer


def warm_up(trainer: Trainer) -> None:
    """Take each kind of step of an epoch once, and leave everything as it was."""
    loader, group = trainer.loader, trainer.accumulate
    assert loader is not None
    if not loader.sized:
        return
    model, optimizer = trainer.model, trainer.optimizer
    weights = {name: _copy(tensor) for name, tensor in model.state_dict().items()}
    state = optimizer.state_dict()
    state["state"] = {
        index: {
            name: _copy(value) if isinstance(value, Tensor) else value
            for name, value in entry.items()
        }
        for index, entry in state["state"].items()
    }
    random, totals = default_generator.state(), trainer.totals.state_dict()
    model.train()
    # The first group of batches is like all others but the last.
    count = len(loader)
    last = count - 1 - (count - 1) % group
    try:
        for index in sorted({*range(min(group, count)), *range(last, count)}):
            trainer.take_step(index, *trainer.on_device(loader.head(loader.batch_samples(index))))
    finally:
        model.load_state_dict(weights)
        optimizer.load_state_dict(state)
        default_generator.set_state(random)
        trainer.totals.load(totals)


def _copy(tensor: Any) -> Tensor:
    array = tensor.array
    return Tensor(array_namespace(array).asarray(array, copy=True))
