"""Numbers that are not finite, and where they began, also in a run whose losses nobody looks at.

Those are compiled steps, and steps on a GPU, which every look has to wait for.
"""

from __future__ import annotations

from itertools import islice

from nnscratch.errors import CheckpointError, NonFiniteError
from nnscratch.train.batches import batches
from nnscratch.train.evaluate import evaluating
from nnscratch.train.locate import bad_batch
from nnscratch.train.run import TrainingRun
from nnscratch.train.saving import load_run
from nnscratch.train.stepper import Stepper

EVERY = 50
"""Steps on a GPU between two looks at the losses, which have to wait for it."""


def not_finite(
    run: TrainingRun, where: str, step: int | None = None, epoch: int | None = None
) -> NonFiniteError:
    """Return the error of a step that ended in NaN or infinity, and of where that began.

    Args:
        run: whose step.
        where: in words.
        step: its number, from 1; None for the one that runs.
        epoch: likewise.
    """
    step = run.step + 1 if step is None else step
    epoch = run.epoch + 1 if epoch is None else epoch
    kept = ""
    if run.has_checkpoint:
        kept = f" The last good checkpoint is kept: {run.checkpoint_path}."
    return NonFiniteError(
        f"training stopped at step {step} (epoch {epoch}): the loss is not finite; it "
        f"began in {where}. Try a smaller learning rate, clip_norm=1, or scaled inputs.{kept}"
    )


def trace(run: TrainingRun, stepper: Stepper) -> NonFiniteError | None:
    """Look at the data, then take the steps since the last checkpoint again, under guard.

    The run is left where that ended.

    Returns:
        An error that says where it began, None where neither shows it.

    Raises:
        DataError: if labels were out of range, of which a GPU tells only later.
    """
    if run.loader is None or stepper.guarded:
        return None
    last, _ = run.taken
    found = look_at_data(run, stepper)
    if found is not None or not run.has_checkpoint:
        return found
    assert run.checkpoint_path is not None
    try:
        load_run(run, run.checkpoint_path)
    except CheckpointError:
        run.kept = False
        return None
    run.loaded = False
    stepper.make(guarded=True)
    run.model.train()
    index = run.loader.start
    try:
        for batch in stepper.batches():
            if run.step >= last:
                break
            stepper.take(index, batch)
            index += 1
            run.step += 1
            stepper.schedule("batch", index)
    except NonFiniteError as error:
        return error
    return None


def look_at_data(run: TrainingRun, stepper: Stepper) -> NonFiniteError | None:
    """Look at the batches that steps were taken with in the epoch that runs or has just ended.

    Returns:
        The error of the first batch that holds a number that is not finite, None if all are.

    Raises:
        DataError: if labels were out of range.
    """
    loader = run.data
    last, epoch = run.taken
    taken = loader.batch or len(loader)
    again = loader.again()
    seen = batches(again, stepper.device, stepper.rearrange) if again else iter(())
    for index, batch in enumerate(islice(seen, taken)):
        found = bad_batch(batch)
        if found is not None:
            return not_finite(run, found, last - taken + index + 1, epoch)
    # A GPU tells of a label that is out of range when it is asked for the next loss.
    assert stepper.forward is not None
    with evaluating(run.model):
        stepper.forward(stepper.head(1))
    return None


def unknown(run: TrainingRun, on_host: bool) -> str:
    """Say in words what is known where the trace has found nothing."""
    where = "the loss" if on_host else f"the loss of one of the last {EVERY} steps"
    if run.has_checkpoint:
        return f"{where}; taken again from the checkpoint they were finite"
    if run.checkpoint_path is not None:
        return f"{where}; there was no checkpoint yet that the steps could be taken again from"
    return (
        f"{where}; to learn in which layer, train with a run_dir, whose checkpoint the steps can "
        "be taken again from"
    )
