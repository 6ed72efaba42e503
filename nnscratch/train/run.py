"""What a training run is: all that its loop changes and a checkpoint brings back."""

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
    """A training run: what is trained, with what, and how far it has come.

    The loop changes it, callbacks read it by the names that ``Trainer`` has for it, and ``saving``
    writes it to a checkpoint and goes back to one.

    Attributes:
        model: what is trained.
        optimizer: what changes its parameters.
        scheduler: what changes the optimizer's rates, or None.
        loader: where the batches come from, None before the first fit.
        callbacks: called around its steps, in this order.
        config: what a checkpoint says of the run, in JSON's types.
        checkpoint_path: the checkpoint in the run folder, None without one.
        epoch: how many epochs are done.
        epochs: how many are to be done.
        step: how many batches are done, over all epochs.
        history: one row an epoch.
        totals: the sums of the epoch that runs.
        seconds: how long that has trained.
        stop: a text that says why training should end after this epoch; empty if it should not.
        between_steps: whether no gradients of several batches are adding up.
        broken_off: whether a fit runs, or was broken off.
        loaded: whether a checkpoint was loaded and no step has been taken since.
        kept: whether the checkpoint in the run folder is of this run.
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
    # What follows is of this process alone, and in no file.
    between_steps: bool = True
    broken_off: bool = False
    loaded: bool = False
    kept: bool = False

    @property
    def data(self) -> DataLoader:
        """The loader, in a fit."""
        assert self.loader is not None
        return self.loader

    @property
    def parts(self) -> list[Callback]:
        """The callbacks that have something to save."""
        plain = Callback.state_dict
        return [one for one in self.callbacks if type(one).state_dict is not plain]

    @property
    def has_checkpoint(self) -> bool:
        """Whether the run folder has a checkpoint of this run."""
        path = self.checkpoint_path
        return self.kept and path is not None and path.exists()

    @property
    def taken(self) -> tuple[int, int]:
        """The numbers of the step that was taken last and of its epoch, from 1."""
        # At the end of an epoch it is counted and its sums are gone.
        epoch = self.epoch + 1 if self.totals.samples else self.epoch
        return max(self.step, 1), max(epoch, 1)

    @property
    def where(self) -> str:
        """After which batch or epoch it stands, in words."""
        if self.loader is None or not self.loader.batch:
            return f"after epoch {self.epoch}"
        return f"in epoch {self.epoch + 1} after batch {self.loader.batch}"

    def start(self, epochs: int) -> None:
        """Begin a fit, or go on from a checkpoint that was loaded."""
        self.epochs, self.stop, self.broken_off = epochs, "", False
        # A file of another run, or of another order of the batches, says nothing about this one.
        self.between_steps, self.kept = True, self.kept and self.loaded

    def forget_epoch(self) -> None:
        """Forget what was summed up of an epoch."""
        self.totals.reset()
        self.seconds = 0.0

    def count_step(self, between_steps: bool) -> None:
        """Count a batch that was trained with."""
        self.step += 1
        self.between_steps, self.loaded = between_steps, False

    def end_epoch(self, row: dict[str, Any]) -> None:
        """Count an epoch, and add its row to the history."""
        self.epoch += 1
        self.forget_epoch()
        self.loaded = False
        self.history.rows.append(row)
