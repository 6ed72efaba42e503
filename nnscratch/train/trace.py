"""Where a NaN began in a run whose losses are not looked at step by step.

Those are compiled steps, and steps on a GPU, which every look has to wait for.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from nnscratch.errors import CheckpointError
from nnscratch.tape import no_grad
from nnscratch.train.evaluate import batches
from nnscratch.train.locate import bad_batch

if TYPE_CHECKING:
    from nnscratch.data import DataLoader
    from nnscratch.train.trainer import Trainer


EVERY = 50
"""Steps on a GPU between two looks at the losses, which have to wait for it."""


def trace(trainer: Trainer) -> None:
    """Look at the data, then take the steps since the last checkpoint again, under guard.

    Returns where neither shows it.

    Raises:
        NonFiniteError: saying where it began.
        DataError: if labels were out of range, of which a GPU tells only later.
    """
    path, loader = trainer.checkpoint_path, trainer.loader
    if loader is None:
        return
    failed = trainer.step_number
    taken = loader.batch or len(loader)
    look_at_data(trainer, loader, failed - taken + 1, taken)
    if not _has_checkpoint(trainer):
        return
    assert path is not None
    try:
        trainer.load(path)
    except CheckpointError:
        return
    trainer.make_step(guarded=True)
    trainer.model.train()
    index = loader.batch
    for x, y in batches(loader, trainer.device):
        trainer.take_step(index, x, y)
        index += 1
        trainer.step_number += 1
        if trainer.step_number > failed:
            return
        trainer.step_schedule("batch", index)


def look_at_data(trainer: Trainer, loader: DataLoader, first: int, count: int) -> None:
    """Look at the batches of this epoch that steps were taken with, the first of them ``first``.

    Raises:
        NonFiniteError: at the first batch that holds a number that is not finite.
    """
    state = loader.state_dict()
    epoch = loader.epoch if loader.batch else loader.epoch - 1
    loader.load_state_dict({**state, "epoch": epoch, "batch": 0})
    for index, (x, y) in enumerate(islice(batches(loader, trainer.device), count)):
        found = bad_batch(x, y)
        if found is not None:
            trainer.step_number = first + index
            raise trainer.not_finite(found)
    loader.load_state_dict(state)
    x, y = trainer.on_device(loader.head(1))
    assert trainer.loss is not None
    with no_grad():
        trainer.loss(trainer.model(x), y)


def unknown(trainer: Trainer) -> str:
    """Say in words what is known where the trace has found nothing."""
    where = "the loss" if trainer.on_host else f"the loss of one of the last {EVERY} steps"
    if _has_checkpoint(trainer):
        return f"{where}; taken again from the checkpoint they were finite"
    return (
        f"{where}; to learn in which layer, train with a run_dir, whose checkpoint the steps can "
        "be taken again from"
    )


def _has_checkpoint(trainer: Trainer) -> bool:
    return trainer.checkpoint_path is not None and trainer.checkpoint_path.exists()
