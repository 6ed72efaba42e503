"""The training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from nnscratch.array.device import current
from nnscratch.array.random import default_generator
from nnscratch.data import DataLoader
from nnscratch.errors import ConfigurationError
from nnscratch.nn import Module
from nnscratch.plan import compile as compile_step
from nnscratch.tensors import Tensor
from nnscratch.train.callbacks import Callback, Checkpoint, CSVHistory
from nnscratch.train.choices import make_optimizer, make_schedule
from nnscratch.train.evaluate import (
    as_loader,
    as_pair,
    batches,
    check_loader,
    device_of_model,
    evaluate,
    evaluating,
)
from nnscratch.train.files import FilePath, run_folder
from nnscratch.train.history import History
from nnscratch.train.inputs import for_model
from nnscratch.train.interrupt import Interruption, interrupt
from nnscratch.train.locate import bad_parameter, locate
from nnscratch.train.losses import check_labels, loss_for, weights_of
from nnscratch.train.metrics import Metric, as_metrics
from nnscratch.train.pace import threads_for, worth_compiling
from nnscratch.train.state import begin, load_state, save_state
from nnscratch.train.step import Step, Totals, counts_hits, make_step
from nnscratch.train.trace import EVERY, not_finite, taken_step, trace, unknown
from nnscratch.train.warmup import warm_up

CHECKPOINT_FILE = "checkpoint.safetensors"


class Trainer:
    """Trains a model; ``fit`` makes one and calls its ``fit``.

    Args:
        model: what is trained.
        loss: a function of output and target, a module, or a name ("cross_entropy", "mse", ...);
            None for cross-entropy with integer targets and mean squared error with others.
        optimizer: one of ``nnscratch.optim``, a function of the parameters, or a name.
        lr: the learning rate of an optimizer given by name.
        scheduler: one of ``optim.lr_scheduler``, a function of the optimizer, or a name
            ("cosine", "one_cycle", "plateau", ...), which then spans the whole run.
        schedule_every: whether a scheduler that is not given by name steps each "epoch" or "batch".
        metrics: computed on the validation data after every epoch: names or metrics.
        callbacks: called around the steps, in this order.
        class_weight: a weight for each class, or "balanced", for cross-entropy and binary
            cross-entropy by name.
        accumulate: how many batches are added up for one step of the optimizer.
        clip_norm: the largest norm that all gradients together may have.
        device: where to train; the model is moved there.
        seed: of the shuffles and of all random numbers from here on; None leaves those as they are.
        run_dir: a folder for checkpoints and the history, held by one process at a time.
        lock: whether to hold it; not where the caller does (``run_folder``).
        compile: replay the step as a plan where that is possible; None to do so where an epoch is
            long enough to repay it.
        checkpoint_seconds: how long between two checkpoints within an epoch.
        config: what a checkpoint should say of the run, in JSON's types.

    Attributes:
        epoch: how many epochs are done.
        step_number: how many batches are done, over all epochs.
        history: one row an epoch.
        totals: the sums of the epoch that runs.
        seconds: how long the epoch that runs has trained.
        stop: a text that says why training should end after this epoch; empty if it should not.
        loaded: whether a checkpoint was loaded and no step has been taken since.
        kept: whether the checkpoint in the run folder is of this run.

    Raises:
        ConfigurationError, DeviceError: if an argument makes no sense.
    """

    def __init__(
        self,
        model: Module,
        *,
        loss: Any = None,
        optimizer: Any = "adam",
        lr: float | None = None,
        scheduler: Any = None,
        schedule_every: str = "epoch",
        metrics: Iterable[str | Metric] = (),
        callbacks: Iterable[Callback] = (),
        class_weight: Any = None,
        accumulate: int = 1,
        clip_norm: float | None = None,
        device: Any = None,
        seed: int | None = None,
        run_dir: FilePath | None = None,
        lock: bool = True,
        compile: bool | None = None,
        checkpoint_seconds: float | None = 60.0,
        config: dict[str, Any] | None = None,
    ) -> None:
        if accumulate < 1:
            raise ConfigurationError(f"accumulate must be at least 1, got {accumulate}")
        if clip_norm is not None and not clip_norm > 0.0:
            raise ConfigurationError(f"clip_norm must be above 0, got {clip_norm}")
        if schedule_every not in ("epoch", "batch"):
            raise ConfigurationError(
                f"schedule_every must be 'epoch' or 'batch', got {schedule_every!r}"
            )
        if seed is not None:
            default_generator.manual_seed(seed)
        self.model = model if device is None else model.to(device=device)
        self.optimizer = make_optimizer(optimizer, self.model, lr)
        self.device = device_of_model(self.model)
        self.metrics = as_metrics(metrics)
        self.callbacks = list(callbacks)
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise ConfigurationError(
                    f"a callback is derived from nnscratch.train.Callback, got {callback!r}"
                )
        self.accumulate, self.clip_norm, self.compile = accumulate, clip_norm, compile
        self.seed, self._lock = seed, lock
        self.config = dict(config or {})
        self.run_dir = None if run_dir is None else Path(run_dir)
        self.checkpoint_path: Path | None = None
        if self.run_dir is not None:
            self.checkpoint_path = self.run_dir / CHECKPOINT_FILE
            self.callbacks.append(CSVHistory(self.run_dir / "history.csv"))
            self.callbacks.append(Checkpoint(self.checkpoint_path, checkpoint_seconds))
        self.scheduler: Any = None
        self._scheduler, self._schedule_every = scheduler, schedule_every
        self._loss, self._class_weight = loss, class_weight
        self.loss: Callable[[Any, Any], Any] | None = None
        self.epoch = self.epochs = self.step_number = 0
        self.history = History()
        self.stop = ""
        self.broken_off = self.loaded = self.kept = self.guarded = False
        self.between_steps = True
        self.loader: DataLoader | None = None
        self.totals = Totals()
        self.seconds = 0.0
        self._step: Step | None = None

    @property
    def learning_rate(self) -> float:
        """The learning rate of the optimizer's first group."""
        return float(self.optimizer.param_groups[0]["lr"])

    # Training.

    def fit(
        self,
        data: Any,
        epochs: int,
        *,
        validation: Any = None,
        batch_size: int = 32,
        shuffle: bool = True,
        resume: bool = False,
    ) -> History:
        """Train until so many epochs are done, and return the history.

        An epoch that was broken off begins anew, unless it goes on from a checkpoint.

        Args:
            data: a loader, a data set or a tuple (X, y).
            epochs: how many in all, those before a resumed checkpoint included.
            validation: like ``data``, for the loss and metrics after every epoch.
            batch_size: of data that are no loader yet.
            shuffle: likewise.
            resume: go on from the checkpoint in the run folder; if there is none, begin.

        Raises:
            NonFiniteError: if the loss is no longer finite; the message says where it began.
            TrainingInterrupted: on Ctrl-C, after the batch was finished and a checkpoint written.
            RunError: if the run folder cannot be written to, or another process holds it.
            CheckpointError: if the checkpoint is damaged or of another run.
        """
        if epochs < 1:
            raise ConfigurationError(f"epochs must be at least 1, got {epochs}")
        if resume and self.checkpoint_path is None:
            raise ConfigurationError("resume needs a run_dir")
        options = {"shuffle": shuffle, "seed": self.seed or 0}
        loader = as_loader(for_model(self.model, data), batch_size, self.device, **options)
        check_loader(loader, self.accumulate)
        begin(self, loader)
        if validation is not None:
            validation = as_loader(for_model(self.model, validation), 1024, self.device)
        self.epochs, self.stop, self.broken_off = epochs, "", False
        # A file of another run, or of another order of the batches, says nothing about this one.
        self.between_steps, self.kept = True, self.kept and self.loaded
        with ExitStack() as stack:
            if self.run_dir is not None and self._lock:
                stack.enter_context(run_folder(self.run_dir))
            stack.enter_context(threads_for(self.model, loader.batch_size or 1))
            stack.enter_context(current(self.device or device_of_model(self.model) or "cpu"))
            self._prepare(epochs)
            if resume and self.checkpoint_path is not None and self.checkpoint_path.exists():
                self.load(self.checkpoint_path)
            interruption = stack.enter_context(Interruption())
            with self._bracketed():
                while self.epoch < epochs and not self.stop:
                    # A checkpoint may be of the moment after the last batch and before the end.
                    if loader.start or not self.totals.samples:
                        self._train_epoch(interruption)
                    self._finish_epoch(validation)
                    if interruption.number is not None:
                        interrupt(self, interruption.number)
        return self.history

    @contextmanager
    def _bracketed(self) -> Iterator[None]:
        """Call the callbacks at the start and, whatever happens, at the end."""
        self._call("on_fit_start")
        self.broken_off = True
        try:
            yield
            self.broken_off = False
        finally:
            self._call("on_fit_end")

    def _call(self, name: str, *arguments: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, name)(self, *arguments)

    def _prepare(self, epochs: int) -> None:
        assert self.loader is not None
        x, y = self.on_device(self.loader.head(1))
        # One sample through the model: a mistake in its shapes shows before training begins.
        with evaluating(self.model):
            output = self.model(x)
        if self.loss is None:
            weights = weights_of(self._class_weight, output, self.loader.dataset)
            self.loss = loss_for(self._loss, output, y, weights)
            check_labels(self.loss, self.loader.dataset)
            if isinstance(self.loss, Module) and self.device is not None:
                self.loss.to(device=self.device)
        self.totals.classes = counts_hits(output, y)
        if self.scheduler is None and self._scheduler is not None:
            self._make_scheduler(epochs)
        if self.compile is None:
            batches_, samples_ = len(self.loader), self.loader.samples
            self.compile = worth_compiling(self.model, batches_, samples_)
        self.on_host = self.device is None or self.device.type == "cpu"
        # A guard reads the loss: a replay cannot, and on a GPU that would wait for it.
        self.make_step(guarded=self.on_host and not self.compile)
        if self.compile:
            assert self._step is not None
            self._step = compile_step(self._step, on_unsupported="eager")
            warm_up(self)

    def make_step(self, *, guarded: bool) -> None:
        """Make the eager step, which looks at every loss before its backward if it is guarded."""
        self.guarded = guarded
        assert self.loss is not None
        self._step = make_step(
            self.model,
            self.loss,
            self.optimizer,
            self.clip_norm,
            self._guard if guarded else None,
        )

    def on_device(self, batch: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return a batch (x, y) where the model is."""
        return as_pair(batch, self.device)

    def _make_scheduler(self, epochs: int) -> None:
        assert self.loader is not None
        if isinstance(self._scheduler, str):
            batches_ = -(-len(self.loader) // self.accumulate)
            made = make_schedule(self._scheduler, self.optimizer, epochs, batches_)
            if made is not None:
                self.scheduler, self._schedule_every = made
        elif hasattr(self._scheduler, "step") and not isinstance(self._scheduler, type):
            self.scheduler = self._scheduler
        else:
            self.scheduler = self._scheduler(self.optimizer)
        theirs = getattr(self.scheduler, "optimizer", self.optimizer)
        if theirs is not self.optimizer:
            raise ConfigurationError(
                "the scheduler sets the rates of another optimizer than the one that trains: give "
                "that optimizer too, or a function that makes the scheduler of an optimizer, "
                "scheduler=lambda optimizer: ..."
            )

    def _train_epoch(self, interruption: Interruption) -> None:
        loader = self.loader
        assert loader is not None
        watchers = [c for c in self.callbacks if type(c).on_batch_end is not Callback.on_batch_end]
        self.model.train()
        self._call("on_epoch_start")
        count, group = len(loader), self.accumulate
        began = time.perf_counter()
        index = loader.start
        for x, y in batches(loader, self.device):
            self.loaded = False
            self.take_step(index, x, y)
            index += 1
            self.between_steps = index % group == 0 or index == count
            self.step_number += 1
            if self.on_host or index % EVERY == 0 or index == count:
                self._check()
            self.step_schedule("batch", index)
            now = time.perf_counter()
            self.seconds, began = self.seconds + now - began, now
            for watcher in watchers:
                watcher.on_batch_end(self)
            if interruption.number is not None and self.between_steps and index < count:
                interrupt(self, interruption.number)

    def take_step(self, index: int, x: Tensor, y: Tensor) -> None:
        """Take the step of the batch of that number, or add up its gradients for a later one."""
        loader, group = self.loader, self.accumulate
        assert loader is not None
        assert self._step is not None
        if group == 1:
            loss, output = self._step(x, y)
            self.totals.add(loss.array, output.array, y.array)
            return
        first = index - index % group
        members = range(first, min(first + group, len(loader)))
        samples = sum(loader.batch_samples(member) for member in members)
        weight = loader.batch_samples(index) / samples
        loss, output = self._step(x, y, weight, index == first, index == members[-1])
        self.totals.add(loss.array, output.array, y.array)

    def step_schedule(self, every: str, index: int = 0) -> None:
        """Let the scheduler take its step, if it takes one at each "epoch" or "batch"."""
        if self.scheduler is None or self._schedule_every != every:
            return
        if getattr(self.scheduler, "takes_metric", False):
            return  # which there is once an epoch, at its end
        assert self.loader is not None
        if every == "epoch" or index % self.accumulate == 0 or index == len(self.loader):
            self.scheduler.step()

    def _finish_epoch(self, validation: Any) -> None:
        found = self.totals.read()
        row: dict[str, Any] = {"epoch": self.epoch + 1}
        row |= {f"train_{name}": value for name, value in found.items()}
        if validation is not None:
            judged = evaluate(self.model, validation, loss=self.loss, metrics=self.metrics)
            row |= {f"val_{name}": value for name, value in judged.items()}
        row |= {"lr": self.learning_rate, "seconds": round(self.seconds, 4)}
        if getattr(self.scheduler, "takes_metric", False):
            self.scheduler.step(row.get("val_loss", row["train_loss"]))
        else:
            self.step_schedule("epoch")
        self.epoch += 1
        self.seconds = 0.0
        self.totals.reset()
        self.loaded = False
        self.history.rows.append(row)
        self._call("on_epoch_end", row)

    # Numbers that are not finite.

    def _guard(self, x: Tensor, y: Tensor, value: Tensor) -> None:
        if not math.isfinite(value.item()):
            assert self.loss is not None
            raise not_finite(self, locate(self.model, self.loss, x, y))

    def _check(self) -> None:
        """Look at the sum of the losses, when a bad one is in the parameters already."""
        if not self.totals.is_finite():
            taken = taken_step(self)
            raise trace(self) or not_finite(self, unknown(self), *taken)

    # Saving.

    def save(self, path: FilePath) -> None:
        """Write a checkpoint.

        Raises:
            ConfigurationError: before the first ``fit``.
            NonFiniteError: if a parameter is not finite; the file is as before.
            RunError: if it cannot be written; the file is as before.
        """
        bad = bad_parameter(self.model)
        if bad is not None:
            where = f"the parameter {bad!r}, after the last update"
            raise not_finite(self, where, *taken_step(self))
        save_state(self, path)
        self.kept |= Path(path) == self.checkpoint_path

    def load(self, path: FilePath) -> None:
        """Go to where a checkpoint was written; ``fit`` does it with ``resume=True``.

        The next ``fit`` goes on from there, in the middle of an epoch if that is where it was.

        Raises:
            ConfigurationError: before the first ``fit``.
            CheckpointError: if it is damaged, or of another model, optimizer or data.
        """
        load_state(self, path)
        self.loaded, self.kept = True, Path(path) == self.checkpoint_path
