"""Numbers that are not finite, and where they began, also in a run whose losses nobody looks at.

Those are compiled steps, and steps on a GPU, which every look has to wait for.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from nnscratch.errors import CheckpointError, NonFiniteError
from nnscratch.train.evaluate import batches, evaluating
from nnscratch.train.locate import bad_batch

if TYPE_CHECKING:
    from nnscratch.data import DataLoader
    from nnscratch.train.trainer import Trainer


EVERY = 50
"""Steps on a GPU between two looks at the losses, which have to wait for it."""


def not_finite(
    trainer: Trainer, where: str, step: int | None = None, epoch: int | None = None
) -> NonFiniteError:
    """Return the error of a step that ended in NaN or infinity, and of where that began.

    Args:
        where: in words.
        step: its number, from 1; None for the one that runs.
        epoch: likewise.
    """
    step = trainer.step_number + 1 if step is None else step
    epoch = trainer.epoch + 1 if epoch is None else epoch
    kept = ""
    if _has_checkpoint(trainer):
        kept = f" The last good checkpoint is kept: {trainer.checkpoint_path}."
    return NonFiniteError(
        f"training stopped at step {step} (epoch {epoch}): the loss is not finite; it "
        f"began in {where}. Try a smaller learning rate, clip_norm=1, or scaled inputs.{kept}"
    )


def taken_step(trainer: Trainer) -> tuple[int, int]:
    """Return the numbers of the step that was taken last and of its epoch, from 1."""
    # At the end of an epoch it is counted and its sums are gone.
    epoch = trainer.epoch + 1 if trainer.totals.samples else trainer.epoch
    return max(trainer.step_number, 1), max(epoch, 1)


def trace(trainer: Trainer) -> NonFiniteError | None:
    """Look at the data, then take the steps since the last checkpoint again, under guard.

    The trainer is left where that ended.

    Returns:
        An error that says where it began, None where neither shows it.

    Raises:
        DataError: if labels were out of range, of which a GPU tells only later.
    """
    loader = trainer.loader
    if loader is None or trainer.guarded:
        return None
    last, _ = taken_step(trainer)
    found = look_at_data(trainer, loader)
    if found is not None or not _has_checkpoint(trainer):
        return found
    assert trainer.checkpoint_path is not None
    try:
        trainer.load(trainer.checkpoint_path)
    except CheckpointError:
        trainer.kept = False
        return None
    trainer.loaded = False
    trainer.make_step(guarded=True)
    trainer.model.train()
    index = loader.start
    try:
        for x, y in batches(loader, trainer.device):
            if trainer.step_number >= last:
                break
            trainer.take_step(index, x, y)
            index += 1
            trainer.step_number += 1
            trainer.step_schedule("batch", index)
    except NonFiniteError as error:
        return error
    return None


def look_at_data(trainer: Trainer, loader: DataLoader) -> NonFiniteError | None:
    """Look at the batches that steps were taken with in the epoch that runs or has just ended.

    Returns:
        The error of the first batch that holds a number that is not finite, None if all are.

    Raises:
        DataError: if labels were out of range.
    """
    last, epoch = taken_step(trainer)
    taken = loader.batch or len(loader)
    again = loader.again()
    for index, (x, y) in enumerate(islice(batches(again, trainer.device) if again else (), taken)):
        found = bad_batch(x, y)
        if found is not None:
            return not_finite(trainer, found, last - taken + index + 1, epoch)
    # A GPU tells of a label that is out of range when it is asked for the next loss.
    x, y = trainer.on_device(loader.head(1))
    assert trainer.loss is not None
    with evaluating(trainer.model):
        trainer.loss(trainer.model(x), y)
    return None


def unknown(trainer: Trainer) -> str:
    """Say in words what is known where the trace has found nothing."""
    where = "the loss" if trainer.on_host else f"the loss of one of the last {EVERY} steps"
    if _has_checkpoint(trainer):
        return f"{where}; taken again from the checkpoint they were finite"
    if trainer.checkpoint_path is not None:
        return f"{where}; there was no checkpoint yet that the steps could be taken again from"
    return (
        f"{where}; to learn in which layer, train with a run_dir, whose checkpoint the steps can "
        "be taken again from"
    )


def _has_checkpoint(trainer: Trainer) -> bool:
    path = trainer.checkpoint_path
    return trainer.kept and path is not None and path.exists()
