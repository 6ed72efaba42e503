"""The state of a training run: what a checkpoint holds of it, and the way back."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any

from nnscratch.array.random import default_generator
from nnscratch.data import DataLoader
from nnscratch.errors import CheckpointError, ConfigurationError, NNScratchError
from nnscratch.optim.schedule import rate_of
from nnscratch.tensors import Tensor
from nnscratch.train import checkpoint
from nnscratch.train.callbacks import Callback
from nnscratch.train.choices import restore, state_of
from nnscratch.train.files import FilePath
from nnscratch.train.history import History
from nnscratch.train.tensor_file import TensorFile

if TYPE_CHECKING:
    from nnscratch.train.trainer import Trainer


def save_state(trainer: Trainer, path: FilePath) -> None:
    """Write all that a run needs to go on.

    Raises:
        ConfigurationError: before the first fit.
        RunError: if it cannot be written; the file is as before.
    """
    loader = _loader(trainer)
    tensors = {f"model.{name}": value for name, value in trainer.model.state_dict().items()}
    arrays, optimizer = checkpoint.optimizer_state(trainer.optimizer)
    tensors |= arrays
    states = []
    for index, callback in enumerate(_stateful(trainer)):
        states.append({"kind": type(callback).__name__, "state": callback.state_dict()})
        tensors |= {f"callback.{index}.{k}": Tensor(v) for k, v in callback.tensors().items()}
    record = {
        "config": trainer.config,
        "model": repr(trainer.model),
        "epoch": trainer.epoch,
        "step_number": trainer.step_number,
        "loader": loader.state_dict(),
        "random": default_generator.state(),
        "optimizer": optimizer,
        "scheduler": state_of(trainer.scheduler),
        "callbacks": states,
        "totals": trainer.totals.state_dict(),
        "seconds": trainer.seconds,
        "history": trainer.history.rows,
        "stop": trainer.stop,
    }
    checkpoint.write_record(path, checkpoint.CHECKPOINT, tensors, record)


def load_state(trainer: Trainer, path: FilePath) -> None:
    """Go to where a checkpoint was written.

    Raises:
        ConfigurationError: before the first fit.
        CheckpointError: if it is damaged, or of another model, optimizer or data.
    """
    loader = _loader(trainer)
    with TensorFile(path) as file:
        record = checkpoint.record_of(file, checkpoint.CHECKPOINT)
        try:
            _load(trainer, loader, file, record)
        except CheckpointError:
            raise
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise CheckpointError(f"{file.name}: the record is damaged ({error!r})") from error
        except RecursionError as error:
            raise CheckpointError(f"{file.name}: the record is nested too deeply") from error


def begin(trainer: Trainer, loader: DataLoader) -> None:
    """Give a trainer its data, for an epoch from the first batch on, or from a checkpoint's.

    What a fit that was broken off has left of its epoch is forgotten.

    Raises:
        CheckpointError: if a checkpoint was loaded that is of the middle of an epoch of other data.
    """
    if not trainer.loaded:
        trainer.totals.reset()
        trainer.seconds = 0.0
    elif trainer.loader is not None and trainer.loader is not loader:
        try:
            loader.load_state_dict(trainer.loader.state_dict())
        except CheckpointError:
            if trainer.totals.samples:
                raise
    trainer.loader = loader


def _loader(trainer: Trainer) -> DataLoader:
    if trainer.loader is None:
        raise ConfigurationError(
            "a checkpoint says where in its data a run is, and this trainer has seen none yet: "
            "call fit first, with resume=True to go on from the checkpoint in the run_dir"
        )
    return trainer.loader


def _stateful(trainer: Trainer) -> list[Callback]:
    """Return the callbacks that have something to save."""
    plain = Callback.state_dict
    return [c for c in trainer.callbacks if type(c).state_dict is not plain]


def _load(trainer: Trainer, loader: DataLoader, file: TensorFile, record: dict[str, Any]) -> None:
    def part(name: str, kind: type) -> Any:
        return checkpoint.part(record, name, kind, file.name)

    states = part("callbacks", list)
    kinds = [state["kind"] for state in states]
    own = [type(callback).__name__ for callback in _stateful(trainer)]
    if kinds != own:
        raise CheckpointError(
            f"{file.name}: the callbacks were {', '.join(map(str, kinds))[:200] or 'none'}, these "
            f"are {', '.join(own) or 'none'}"
        )
    if part("epoch", int) < 0 or part("step_number", int) < 0:
        raise CheckpointError(f"{file.name}: the number of the epoch or step is negative")
    history, totals = History.from_rows(part("history", list), file.name), part("totals", dict)
    epoch, step_number = part("epoch", int), part("step_number", int)
    seconds, stop = float(part("seconds", float)), part("stop", str)
    checkpoint.check_fits(file, "model.", trainer.model)
    loader.load_state_dict(part("loader", dict))
    checkpoint.load_optimizer(file, part("optimizer", dict), trainer.optimizer)
    checkpoint.load_into(file, "model.", trainer.model)
    if trainer.scheduler is not None:
        restore(trainer.scheduler, part("scheduler", dict))
        if type(trainer.scheduler).__module__.startswith("nnscratch."):
            _try(trainer)
    for index, callback in enumerate(_stateful(trainer)):
        callback.load_state_dict(states[index]["state"])
        prefix = f"callback.{index}."
        names = [name for name in file if name.startswith(prefix)]
        callback.load_tensors({n.removeprefix(prefix): file.read(n) for n in names})
    default_generator.set_state(part("random", dict))
    trainer.totals.load(totals)
    trainer.history = history
    trainer.epoch, trainer.step_number = epoch, step_number
    trainer.seconds, trainer.stop = seconds, stop


def _try(trainer: Trainer) -> None:
    """Take a step of a schedule and go back: a damaged state shows now and not after an epoch."""
    scheduler, groups = trainer.scheduler, trainer.optimizer.param_groups
    before, options = copy.deepcopy(scheduler.state_dict()), [dict(group) for group in groups]
    try:
        scheduler.step(1.0) if scheduler.takes_metric else scheduler.step()
        rates = [rate_of(group) for group in groups]
    except NNScratchError:
        # Such as that the schedule is at its end.
        rates = []
    except (ArithmeticError, LookupError) as error:
        raise CheckpointError(f"the state of the schedule is damaged ({error!r})") from error
    if not all(type(rate) in (int, float) and math.isfinite(rate) for rate in rates):
        raise CheckpointError("the state of the schedule is damaged: it gives no learning rate")
    scheduler.load_state_dict(before)
    for group, saved in zip(groups, options, strict=True):
        group.update(saved)
