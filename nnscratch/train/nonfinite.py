"""Finding the step and layer in which a training run got its first NaN or infinity.

Compiled steps, and steps on a GPU, do not read every loss, since reading one would make the host
wait. So a NaN is noticed later, and the steps are repeated to find where it began.
"""

from __future__ import annotations

from itertools import islice

from nnscratch.errors import CheckpointError, NonFiniteError
from nnscratch.train.batches import batches
from nnscratch.train.evaluation import evaluating
from nnscratch.train.finite_checks import bad_batch
from nnscratch.train.run import TrainingRun
from nnscratch.train.saving import load_run
from nnscratch.train.stepper import Stepper

EVERY = 50
"""How many steps on a GPU pass between two checks of the losses, each of which waits for it."""


def not_finite(
    run: TrainingRun, where: str, step: int | None = None, epoch: int | None = None
) -> NonFiniteError:
    """Return the error for a step whose loss is NaN or infinite.

    Args:
        run: the training run.
        where: where the first non-finite value appeared, in words.
        step: the number of the step, from 1; None for the current one.
        epoch: the number of the epoch, from 1; None for the current one.
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
    """Check the data, then repeat the steps since the last checkpoint with a check of every loss.

    The run is left in the state in which that ended.

    Returns:
        An error that says where the first non-finite value appeared, None if none was found.

    Raises:
        DataError: if labels were out of range, which a GPU reports with a delay.
    """
    if run.loader is None or stepper.guarded:
        return None
    last, _ = run.taken
    found = look_at_data(run, stepper)
    kept = run.has_checkpoint
    if stepper.sharing is not None:
        # The steps are repeated by all ranks or by none; the first knows what it has written.
        kept = stepper.sharing.world.from_first(kept)
    if found is not None or not kept:
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
    """Check the batches that the current epoch, or the one that has just ended, trained with.

    Returns:
        The error for the first batch with a non-finite number, None if there is none.

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
    # A GPU reports a label that is out of range when the next loss is computed.
    assert stepper.forward is not None
    with evaluating(run.model):
        stepper.forward(stepper.head(1))
    return None


def unknown(run: TrainingRun, on_host: bool) -> str:
    """Return in words what is known about the origin if ``trace`` has found nothing."""
    where = "the loss" if on_host else f"the loss of one of the last {EVERY} steps"
    if run.has_checkpoint:
        return f"{where}; repeated from the checkpoint, the losses were finite"
    if run.checkpoint_path is not None:
        return f"{where}; there was no checkpoint yet from which the steps could be repeated"
    return (
        f"{where}; to find the layer, train with a run_dir, from whose checkpoint the steps can be "
        "repeated"
    )
