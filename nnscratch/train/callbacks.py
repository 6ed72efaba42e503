"""Callbacks, whose methods are called at the start and end of epochs, steps and runs."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnscratch.array import array_namespace, device_of
from nnscratch.errors import ConfigurationError, NonFiniteError
from nnscratch.tensors import Tensor
from nnscratch.train.files import FilePath, prepare_folder

if TYPE_CHECKING:
    from nnscratch.train.trainer import Trainer


class Callback:
    """The base of all callbacks: override what is needed.

    ``on_batch_end`` is called after every batch only where a subclass overrides it. To end the
    training after an epoch, set ``trainer.stop`` to a text that says why.
    """

    def on_fit_start(self, trainer: Trainer) -> None:
        """Called before the first epoch, after a checkpoint was loaded."""

    def on_epoch_start(self, trainer: Trainer) -> None:
        """Called before the first batch of an epoch, or where it is resumed."""

    def on_batch_end(self, trainer: Trainer) -> None:
        """Called after every batch."""

    def on_epoch_end(self, trainer: Trainer, row: dict[str, Any]) -> None:
        """Called after an epoch and its validation, with the epoch's row of the history."""

    def on_fit_end(self, trainer: Trainer) -> None:
        """Called when training ended, also by an exception or Ctrl-C."""

    def on_lead(self, trainer: Trainer) -> None:
        """Called on the rank that writes the files from now on, since the one that did has died."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state to save in a checkpoint, in JSON's types."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what ``state_dict`` returned."""

    def tensors(self) -> dict[str, Any]:
        """Return the arrays to save in a checkpoint, by name."""
        return {}

    def load_tensors(self, tensors: dict[str, Any]) -> None:
        """Restore the arrays that ``tensors`` returned."""


def _mode(monitor: str, mode: str) -> str:
    if mode not in ("auto", "min", "max"):
        raise ConfigurationError(f"mode must be 'auto', 'min' or 'max', got {mode!r}")
    if mode != "auto":
        return mode
    falls = ("loss", "mse", "mae", "seconds")
    return "min" if monitor.endswith(falls) else "max"


def monitored(row: Mapping[str, Any], monitor: str) -> float:
    """Return the monitored value of a row of the history.

    Raises:
        ConfigurationError: if the row has none.
    """
    value = row.get(monitor)
    if not isinstance(value, (int, float)):
        mend = "; give validation data" if monitor.startswith("val_") else ""
        raise ConfigurationError(
            f"the history has no {monitor!r} to monitor, only {', '.join(row)}{mend}"
        )
    return float(value)


class BestWeights(Callback):
    """Keeps a copy of the weights of the best epoch, and restores them when training ends.

    Args:
        monitor: the column of the history by which epochs are compared.
        mode: whether the best value is the "min" or the "max"; "auto" decides by the column's name.
        min_delta: how much better than the best an epoch must be to count as an improvement.
        restore: whether to restore the best weights at the end.

    Attributes:
        best: the best value so far, None before the first epoch.
        best_epoch: its epoch, from 1.
        wait: epochs since.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        mode: str = "auto",
        min_delta: float = 0.0,
        restore: bool = True,
    ) -> None:
        self.monitor, self.mode = monitor, _mode(monitor, mode)
        self.min_delta, self.restore = min_delta, restore
        self.best: float | None = None
        self.best_epoch = self.wait = 0
        self._weights: dict[str, Any] = {}

    def on_epoch_end(self, trainer: Trainer, row: dict[str, Any]) -> None:
        """Compare, and copy the weights if they are better."""
        value = monitored(row, self.monitor)
        if self.best is None or self._gain(value) > self.min_delta:
            self.best, self.best_epoch, self.wait = value, row["epoch"], 0
            if self.restore:
                self._keep(trainer)
        else:
            self.wait += 1

    def _gain(self, value: float) -> float:
        assert self.best is not None
        return self.best - value if self.mode == "min" else value - self.best

    def _keep(self, trainer: Trainer) -> None:
        for name, tensor in trainer.model.state_dict().items():
            if not isinstance(tensor, Tensor):
                continue
            kept = self._weights.get(name)
            # The weights from a checkpoint are on the CPU, on whatever device the model is.
            if kept is None or device_of(kept) != tensor.device:
                self._weights[name] = array_namespace(tensor.array).asarray(tensor.array, copy=True)
            else:
                kept[...] = tensor.array

    def on_fit_end(self, trainer: Trainer) -> None:
        """Restore the best weights, unless training was interrupted and will be resumed."""
        if self.restore and self._weights and not trainer.run.broken_off:
            best = {name: Tensor(array) for name, array in self._weights.items()}
            trainer.model.load_state_dict(best, strict=False)  # extra state stays as it is

    def state_dict(self) -> dict[str, Any]:
        """Return the best value, its epoch, and the number of epochs since."""
        return {"best": self.best, "best_epoch": self.best_epoch, "wait": self.wait}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what ``state_dict`` returned."""
        best = state.get("best")
        self.best = None if best is None else float(best)
        self.best_epoch, self.wait = int(state.get("best_epoch", 0)), int(state.get("wait", 0))

    def tensors(self) -> dict[str, Any]:
        """Return the best weights."""
        return self._weights

    def load_tensors(self, tensors: dict[str, Any]) -> None:
        """Restore the best weights."""
        self._weights = tensors


class EarlyStopping(BestWeights):
    """Early stopping: ends training after ``patience`` epochs without improvement.

    Args:
        patience: after how many epochs without improvement training ends.
        monitor: the column of the history by which epochs are compared.
        mode: whether the best value is the "min" or the "max"; "auto" decides by the column's name.
        min_delta: how much better than the best an epoch must be to count as an improvement.
        restore: whether to restore the best weights at the end.

    Raises:
        ConfigurationError: for a patience below 1.
    """

    def __init__(
        self,
        patience: int = 10,
        monitor: str = "val_loss",
        mode: str = "auto",
        min_delta: float = 0.0,
        restore: bool = True,
    ) -> None:
        if patience < 1:
            raise ConfigurationError(f"patience must be at least 1, got {patience}")
        super().__init__(monitor, mode, min_delta, restore)
        self.patience = patience

    def on_epoch_end(self, trainer: Trainer, row: dict[str, Any]) -> None:
        """Compare with the best epoch, and stop training if the patience is exhausted."""
        super().on_epoch_end(trainer, row)
        if self.wait >= self.patience:
            trainer.stop = (
                f"{self.monitor} has not got better since epoch {self.best_epoch} ({self.best:.4g})"
            )


class Checkpoint(Callback):
    """Writes a checkpoint after every epoch, and at intervals within long epochs.

    Args:
        path: the file.
        every_seconds: how long between two within an epoch; None for none within.
        every_epochs: how many epochs between two.
    """

    def __init__(
        self, path: FilePath, every_seconds: float | None = 60.0, every_epochs: int = 1
    ) -> None:
        self.path = Path(path)
        self._seconds = math.inf if every_seconds is None else every_seconds
        self._epochs = every_epochs
        self._last = 0.0

    def on_fit_start(self, trainer: Trainer) -> None:
        """Check that the file can be written, so that an error comes before the first epoch."""
        prepare_folder(self.path.parent)
        self._last = time.monotonic()

    def on_batch_end(self, trainer: Trainer) -> None:
        """Write if the interval has passed and no gradients are accumulated for a later step."""
        if not trainer.run.between_steps:
            return
        due = time.monotonic() - self._last >= self._seconds or trainer.team.took_over
        if trainer.team.divided:
            if trainer.team.agreed_to_save(trainer.callbacks.index(self), due):
                self.write(trainer)
        elif not due:
            return
        elif trainer.team.several is None:
            self.write(trainer)
        elif trainer.leads:
            # The clocks of ranks differ, so that the others are not at this place. What is not
            # finite now, all of them find together: in the loss that comes next, or at the end.
            with suppress(NonFiniteError):
                trainer.save(self.path)
            self._last = time.monotonic()

    def on_epoch_end(self, trainer: Trainer, row: dict[str, Any]) -> None:
        """Write the checkpoint if this epoch is due."""
        if trainer.epoch % self._epochs == 0 or trainer.stop:
            self.write(trainer)

    def write(self, trainer: Trainer) -> None:
        """Write the checkpoint.

        Raises:
            RunError: if it cannot be written; the one before is intact.
            NonFiniteError: if a parameter is not finite; the one before is intact.
        """
        try:
            trainer.save(self.path)
        except NonFiniteError as error:
            raise trainer.trace() or error from None
        self._last = time.monotonic()


class CSVHistory(Callback):
    """Writes the history as CSV and, if a second path is given, as JSON.

    It is written when training ends, and before that at most once a second.
    """

    def __init__(self, path: FilePath, json_path: FilePath | None = None) -> None:
        self.path, self.json_path = Path(path), json_path
        self._last = -math.inf

    def on_epoch_end(self, trainer: Trainer, row: dict[str, Any]) -> None:
        """Write if the last time was more than a second ago."""
        if time.monotonic() - self._last > 1.0:
            self._write(trainer)

    def on_fit_end(self, trainer: Trainer) -> None:
        """Write."""
        if len(trainer.history):
            self._write(trainer)

    def _write(self, trainer: Trainer) -> None:
        if not trainer.leads:
            return
        trainer.history.write_csv(self.path)
        if self.json_path is not None:
            trainer.history.write_json(self.json_path)
        self._last = time.monotonic()


class LearningRateLog(Callback):
    """Records the learning rate of every step.

    Attributes:
        rates: (step, learning rate), one for each batch at which it changed.
    """

    def __init__(self) -> None:
        self.rates: list[tuple[int, float]] = []

    def on_batch_end(self, trainer: Trainer) -> None:
        """Record the rate if it has changed."""
        rate = trainer.learning_rate
        if not self.rates or self.rates[-1][1] != rate:
            self.rates.append((trainer.step_number, rate))

    def state_dict(self) -> dict[str, Any]:
        """Return the rates."""
        return {"rates": self.rates}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the rates."""
        self.rates = [(int(step), float(rate)) for step, rate in state.get("rates", [])]
