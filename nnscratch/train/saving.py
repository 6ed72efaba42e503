"""Saving a run to a checkpoint, and restoring it from one."""

from __future__ import annotations

import copy
import math
from typing import Any

from nnscratch.array.random import default_generator
from nnscratch.data import DataLoader
from nnscratch.errors import CheckpointError, ConfigurationError, NNScratchError
from nnscratch.optim import lr_scheduler
from nnscratch.optim.schedule import rate_of
from nnscratch.tensors import Tensor
from nnscratch.train import checkpoint
from nnscratch.train.choices import restore, state_of
from nnscratch.train.files import FilePath
from nnscratch.train.history import History
from nnscratch.train.run import TrainingRun
from nnscratch.train.tensor_file import TensorFile

# The steps of these schedulers only set learning rates; a user's scheduler may do anything.
_OURS = frozenset(getattr(lr_scheduler, name) for name in lr_scheduler.__all__)


def save_run(run: TrainingRun, path: FilePath) -> None:
    """Write the whole state of a run to a checkpoint.

    Raises:
        ConfigurationError: before the first fit.
        RunError: if it cannot be written; the file is as before.
    """
    loader = _loader(run)
    tensors = {f"model.{name}": value for name, value in run.model.state_dict().items()}
    arrays, optimizer = checkpoint.optimizer_state(run.optimizer)
    tensors |= arrays
    states = []
    for index, part in enumerate(run.parts):
        states.append({"kind": type(part).__name__, "state": part.state_dict()})
        tensors |= {f"callback.{index}.{k}": Tensor(v) for k, v in part.tensors().items()}
    record = {
        "config": run.config,
        "model": repr(run.model),
        "epoch": run.epoch,
        "step_number": run.step,
        "loader": loader.state_dict(),
        "random": default_generator.state(),
        "optimizer": optimizer,
        "scheduler": state_of(run.scheduler),
        "callbacks": states,
        "totals": run.totals.state_dict(),
        "seconds": run.seconds,
        "history": run.history.rows,
        "stop": run.stop,
        **({} if run.shards is None else {"shards": run.shards}),
    }
    checkpoint.write_record(path, checkpoint.CHECKPOINT, tensors, record)


def load_run(run: TrainingRun, path: FilePath) -> None:
    """Restore the state of a run from a checkpoint.

    Raises:
        ConfigurationError: before the first fit.
        CheckpointError: if it is damaged, or of another model, optimizer or data.
    """
    loader = _loader(run)
    with TensorFile(path) as file:
        record = checkpoint.record_of(file, checkpoint.CHECKPOINT)
        try:
            _load(run, loader, file, record)
        except CheckpointError:
            raise
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise CheckpointError(f"{file.name}: the record is damaged ({error!r})") from error
        except RecursionError as error:
            raise CheckpointError(f"{file.name}: the record is nested too deeply") from error


def give_data(run: TrainingRun, loader: DataLoader) -> None:
    """Set the data of a run, to start an epoch or to resume one at the batch of a checkpoint.

    What a fit that was broken off has left of its epoch is forgotten.

    Raises:
        CheckpointError: if a checkpoint was loaded that is of the middle of an epoch of other data.
    """
    if not run.loaded:
        run.forget_epoch()
    elif run.loader is not None and run.loader is not loader:
        try:
            loader.load_state_dict(run.loader.state_dict())
        except CheckpointError:
            if run.totals.samples:
                raise
    run.loader = loader


def _loader(run: TrainingRun) -> DataLoader:
    if run.loader is None:
        raise ConfigurationError(
            "a checkpoint says where in its data a run is, and this trainer has seen none yet: "
            "call fit first, with resume=True to go on from the checkpoint in the run_dir"
        )
    return run.loader


def _load(run: TrainingRun, loader: DataLoader, file: TensorFile, record: dict[str, Any]) -> None:
    def part(name: str, kind: type) -> Any:
        return checkpoint.part(record, name, kind, file.name)

    states = part("callbacks", list)
    kinds = [state["kind"] for state in states]
    own = [type(one).__name__ for one in run.parts]
    if kinds != own:
        raise CheckpointError(
            f"{file.name}: the callbacks were {', '.join(map(str, kinds))[:200] or 'none'}, these "
            f"are {', '.join(own) or 'none'}"
        )
    if part("epoch", int) < 0 or part("step_number", int) < 0:
        raise CheckpointError(f"{file.name}: the number of the epoch or step is negative")
    shards = record.get("shards")
    if shards is not None and shards != run.shards:
        raise CheckpointError(
            f"{file.name}: the run divides its batches into {str(shards)[:20]} shards, this one "
            f"into {run.shards}: its bits would be others. Go on with shards={str(shards)[:20]}"
        )
    history, totals = History.from_rows(part("history", list), file.name), part("totals", dict)
    epoch, step = part("epoch", int), part("step_number", int)
    seconds, stop = float(part("seconds", float)), part("stop", str)
    checkpoint.check_fits(file, "model.", run.model)
    loader.load_state_dict(part("loader", dict))
    checkpoint.load_optimizer(file, part("optimizer", dict), run.optimizer)
    checkpoint.load_into(file, "model.", run.model)
    if run.scheduler is not None:
        restore(run.scheduler, part("scheduler", dict))
        if type(run.scheduler) in _OURS:
            _try(run)
    for index, one in enumerate(run.parts):
        one.load_state_dict(states[index]["state"])
        prefix = f"callback.{index}."
        names = [name for name in file if name.startswith(prefix)]
        one.load_tensors({n.removeprefix(prefix): file.read(n, keep_bfloat16=True) for n in names})
    default_generator.set_state(part("random", dict))
    run.totals.load(totals)
    run.history, run.epoch, run.step = history, epoch, step
    run.seconds, run.stop = seconds, stop


def _try(run: TrainingRun) -> None:
    """Try one step of a scheduler and undo it, so that a damaged state raises at once."""
    scheduler, groups = run.scheduler, run.optimizer.param_groups
    before, options = copy.deepcopy(scheduler.state_dict()), [dict(group) for group in groups]
    try:
        scheduler.step(1.0) if scheduler.takes_metric else scheduler.step()
        rates = [rate_of(group) for group in groups]
    except NNScratchError:
        # For example, because the schedule has ended.
        rates = []
    except (ArithmeticError, LookupError) as error:
        raise CheckpointError(f"the state of the schedule is damaged ({error!r})") from error
    if not all(type(rate) in (int, float) and math.isfinite(rate) for rate in rates):
        raise CheckpointError("the state of the schedule is damaged: it gives no learning rate")
    scheduler.load_state_dict(before)
    for group, saved in zip(groups, options, strict=True):
        group.update(saved)
