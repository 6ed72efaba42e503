"""Where a NaN began in a run whose step is compiled: the last steps are taken again eagerly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnscratch.errors import CheckpointError
from nnscratch.train.evaluate import batches

if TYPE_CHECKING:
    from nnscratch.train.trainer import Trainer


def take_again(trainer: Trainer) -> None:
    """Go back to the last checkpoint, and from there take the steps of the epoch under guard.

    Raises:
        NonFiniteError: where the loss is no longer finite; the message says where it began.
    """
    path, loader = trainer.checkpoint_path, trainer.loader
    if path is None or loader is None or not path.exists():
        return
    failed = trainer.step_number
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
