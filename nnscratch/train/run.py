"""The state of a training run: what the training loop changes and a checkpoint restores."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnscratch.data import DataLoader
from nnscratch.nn import Module
from nnscratch.optim import Optimizer
from nnscratch.train.callbacks import Callback
from nnscratch.train.history import History
from nnscratch.train.step import Totals


@dataclass
class TrainingRun:
    """The state of a training run.

    The training loop changes it; callbacks read it through properties of ``Trainer``; ``saving``
    writes it to a checkpoint and restores it from one.

    Attributes:
        model: the model that is trained.
        optimizer: the optimizer of its parameters.
        scheduler: the scheduler of the optimizer's learning rates, or None.
        loader: the loader of the batches, None before the first fit.
        callbacks: the callbacks, in the order in which they are called.
        config: what a checkpoint stores about the run, in JSON's types.
        checkpoint_path: the checkpoint file in the run folder, None without a run folder.
        epoch: the number of finished epochs.
        epochs: the number of epochs to train.
        step: the number of batches trained with, over all epochs.
        history: one row per epoch.
        totals: the running sums of the current epoch.
        seconds: how long the current epoch has trained.
        stop: why training should end after this epoch; empty if it should not.
        shards: into how many parts batches are divided, None for one a process.
        between_steps: whether no gradients are accumulated for a step that is still to come.
        broken_off: whether a fit is running, or ended early by an error or interruption.
        loaded: whether a checkpoint was loaded and no step has been taken since.
        kept: whether the checkpoint in the run folder belongs to this run.
    """

    model: Module
    optimizer: Optimizer
    scheduler: Any = None
    loader: DataLoader | None = None
    callbacks: list[Callback] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    checkpoint_path: Path | None = None
    epoch: int = 0
    epochs: int = 0
    step: int = 0
    history: History = field(default_factory=History)
    totals: Totals = field(default_factory=Totals)
    seconds: float = 0.0
    stop: str = ""
    shards: int | None = None
    # The attributes below are not saved to a checkpoint.
    between_steps: bool = True
    broken_off: bool = False
    loaded: bool = False
    kept: bool = False

    @property
    def data(self) -> DataLoader:
        """The loader; only while a fit runs, when there is one."""
        assert self.loader is not None
        return self.loader

    @property
    def parts(self) -> list[Callback]:
        """The callbacks with a state to save: those that override ``state_dict``."""
        plain = Callback.state_dict
        return [one for one in self.callbacks if type(one).state_dict is not plain]

    @property
    def has_checkpoint(self) -> bool:
        """Whether the run folder has a checkpoint of this run."""
        path = self.checkpoint_path
        return self.kept and path is not None and path.exists()

    @property
    def taken(self) -> tuple[int, int]:
        """The number of the last step and of its epoch, each from 1."""
        # At the end of an epoch, ``epoch`` is already increased and the sums are reset.
        epoch = self.epoch + 1 if self.totals.samples else self.epoch
        return max(self.step, 1), max(epoch, 1)

    @property
    def where(self) -> str:
        """The position of the run in words: after which batch or epoch."""
        if self.loader is None or not self.loader.batch:
            return f"after epoch {self.epoch}"
        return f"in epoch {self.epoch + 1} after batch {self.loader.batch}"

    def start(self, epochs: int) -> None:
        """Begin a fit, or continue from a checkpoint that was loaded."""
        self.epochs, self.stop, self.broken_off = epochs, "", False
        # A checkpoint of another run, or of another order of batches, is of no use for this one.
        self.between_steps, self.kept = True, self.kept and self.loaded

    def forget_epoch(self) -> None:
        """Reset the sums of the current epoch."""
        self.totals.reset()
        self.seconds = 0.0

    def count_step(self, between_steps: bool) -> None:
        """Count a batch after training with it."""
        self.step += 1
        self.between_steps, self.loaded = between_steps, False

    def end_epoch(self, row: dict[str, Any]) -> None:
        """Count an epoch, and add its row to the history."""
        self.epoch += 1
        self.forget_epoch()
        self.loaded = False
        self.history.rows.append(row)
