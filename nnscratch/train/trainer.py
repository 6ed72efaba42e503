"""The training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from nnscratch.array.device import current
from nnscratch.array.random import default_generator
from nnscratch.data import DataLoader
from nnscratch.errors import ConfigurationError, NonFiniteError
from nnscratch.nn import Module
from nnscratch.parallel.nccl import own_device
from nnscratch.parallel.world import DEADLINE
from nnscratch.tensors import Tensor
from nnscratch.train.batches import Rearrange
from nnscratch.train.callbacks import Callback, Checkpoint, CSVHistory
from nnscratch.train.choices import make_optimizer
from nnscratch.train.cost import threads_for
from nnscratch.train.evaluation import as_loader, check_loader, device_of_model, evaluate
from nnscratch.train.files import FilePath
from nnscratch.train.finite_checks import bad_parameter, locate
from nnscratch.train.history import History
from nnscratch.train.inputs import for_model
from nnscratch.train.interrupt import Interruption, interrupted
from nnscratch.train.metrics import Metric, as_metrics
from nnscratch.train.nonfinite import EVERY, not_finite, trace, unknown
from nnscratch.train.repeating import undone
from nnscratch.train.run import TrainingRun
from nnscratch.train.saving import give_data, load_run, save_run
from nnscratch.train.step import Loss, OwnStep, Totals
from nnscratch.train.stepper import Stepper, takes_metric
from nnscratch.train.team import Team

CHECKPOINT_FILE = "checkpoint.safetensors"


class Trainer:
    """Trains a model; ``fit`` makes one and calls its ``fit``.

    Args:
        model: the model to train.
        loss: a function of output and target, a module, or a name ("cross_entropy", "mse", ...);
            None for cross-entropy with integer targets and mean squared error with others.
        optimizer: one of ``nnscratch.optim``, a function of the parameters, or a name.
        lr: the learning rate of an optimizer given by name.
        scheduler: one of ``optim.lr_scheduler``, a function of the optimizer, or a name
            ("cosine", "one_cycle", "plateau", ...), which then spans the whole run.
        schedule_every: whether a scheduler that is not given by name steps each "epoch" or "batch".
        metrics: computed on the validation data after every epoch: names or metrics.
        callbacks: the callbacks, in the order in which they are called.
        class_weight: a weight for each class, or "balanced", for cross-entropy and binary
            cross-entropy by name.
        accumulate: over how many batches gradients are accumulated for one optimizer step.
        clip_norm: the maximum norm of all gradients together, to which they are clipped.
        device: the device to train on, to which the model is moved; of several ranks with "cuda"
            each takes a GPU of its own.
        seed: the seed of the default generator and of the shuffles; None leaves both unseeded.
        run_dir: a folder for checkpoints and the history, locked by one process at a time.
        lock: whether to lock the folder; False if the caller has (``run_folder``).
        compile: whether to compile the training step; None to compile it if the run is long
            enough for that to pay off.
        checkpoint_seconds: the seconds between two checkpoints within an epoch.
        config: what checkpoints store about the run besides its state, in JSON's types.
        batch: a function that is given each batch as it was loaded, and returns it in the form
            that ``fit`` describes, (input, ..., target) or a dictionary; None for batches that
            have that form.
        step: a function of the model and a batch, of any form, that returns the loss, or the loss
            and the output; in the place of ``loss``.
        parallel: "auto" to train together with the other ranks of a job that MPI started; False
            to train in this process alone.
        shards: into how many parts each batch is divided, a power of two: then a run has the same
            bits on 1, 2, 4, ... ranks, as far as they divide it. None for one part a rank.
        deadline: how many seconds a rank waits for another before all give up.
        shard_optimizer: whether each rank keeps a part of the optimizer's state only, and steps
            that part (ZeRO, stage 1): the same bits, and checkpoints as without. Then all ranks
            call ``save``.
        wire: "bfloat16" to add up the gradients of several ranks, or shards, as that: half the
            bytes, each gradient and sum rounded to 8 bits. None for gradients as they are.

    Attributes:
        run: the state of the run, which checkpoints save and restore.

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
        batch: Rearrange | None = None,
        step: OwnStep | None = None,
        parallel: str | bool = "auto",
        shards: int | None = None,
        deadline: float = DEADLINE,
        shard_optimizer: bool = False,
        wire: str | None = None,
    ) -> None:
        if accumulate < 1:
            raise ConfigurationError(f"accumulate must be at least 1, got {accumulate}")
        if clip_norm is not None and not clip_norm > 0.0:
            raise ConfigurationError(f"clip_norm must be above 0, got {clip_norm}")
        if schedule_every not in ("epoch", "batch"):
            raise ConfigurationError(
                f"schedule_every must be 'epoch' or 'batch', got {schedule_every!r}"
            )
        self.team = Team(parallel, shards, deadline, shard_optimizer, wire)
        if seed is not None:
            default_generator.manual_seed(seed)
        device = own_device(self.team.world, device)
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
        self.seed, self._lock = seed, lock
        self.run_dir = None if run_dir is None else Path(run_dir)
        self.run = TrainingRun(self.model, self.optimizer, config=dict(config or {}))
        if self.run_dir is not None:
            self.run.checkpoint_path = self.run_dir / CHECKPOINT_FILE
            self.callbacks.append(CSVHistory(self.run_dir / "history.csv"))
            self.callbacks.append(Checkpoint(self.run.checkpoint_path, checkpoint_seconds))
        self.run.callbacks = self.callbacks
        self.team.on_lead = lambda: self._call("on_lead")
        sharing = self.team.sharing(self.run)
        self._stepper = Stepper(
            self.run,
            self.device,
            loss=loss,
            step=step,
            batch=batch,
            class_weight=class_weight,
            accumulate=accumulate,
            clip_norm=clip_norm,
            compile=compile,
            scheduler=scheduler,
            schedule_every=schedule_every,
            guard=lambda batch, value: self._guard(batch, value),
            sharing=sharing,
        )
        self._batch, self._own_step = batch, step

    # The state of the run, under the names that callbacks use.

    @property
    def learning_rate(self) -> float:
        """The learning rate of the optimizer's first group."""
        return float(self.optimizer.param_groups[0]["lr"])

    @property
    def epoch(self) -> int:
        """The number of finished epochs."""
        return self.run.epoch

    @property
    def epochs(self) -> int:
        """The number of epochs to train."""
        return self.run.epochs

    @property
    def step_number(self) -> int:
        """The number of batches trained with, over all epochs."""
        return self.run.step

    @property
    def history(self) -> History:
        """The history, with one row per epoch."""
        return self.run.history

    @property
    def totals(self) -> Totals:
        """The running sums of the current epoch."""
        return self.run.totals

    @property
    def seconds(self) -> float:
        """How many seconds the current epoch has trained."""
        return self.run.seconds

    @property
    def stop(self) -> str:
        """Why training should end after this epoch; empty if it should not."""
        return self.run.stop

    @stop.setter
    def stop(self, why: str) -> None:
        self.run.stop = why

    @property
    def loader(self) -> DataLoader | None:
        """The loader of the batches; None before the first fit."""
        return self.run.loader

    @property
    def scheduler(self) -> Any:
        """The learning rate scheduler; None before the first fit, or if there is none."""
        return self.run.scheduler

    @property
    def checkpoint_path(self) -> Path | None:
        """The checkpoint in the run folder."""
        return self.run.checkpoint_path

    @property
    def leads(self) -> bool:
        """Whether this process writes the files and shows the progress: rank 0, or the only one."""
        return self.team.world.leads

    @property
    def loss(self) -> Loss | None:
        """The loss, a function of output and target; None before the first fit."""
        return self._stepper.loss

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

        An epoch that was interrupted starts again, unless it is resumed from a checkpoint.

        Args:
            data: a loader, a data set, a tuple of arrays or a dictionary of them; ``fit``
                says what of it is input and what target.
            epochs: the total number of epochs, including those before a resumed checkpoint.
            validation: like ``data``, for the loss and metrics after every epoch.
            batch_size: the batch size, unless ``data`` is a loader.
            shuffle: whether to shuffle every epoch, unless ``data`` is a loader.
            resume: whether to continue from the checkpoint in the run folder, if there is one.

        Raises:
            NonFiniteError: if the loss is NaN or infinite; the message says where that began.
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
        check_loader(loader, self._stepper.accumulate)
        run = self.run
        give_data(run, loader)
        if validation is not None:
            validation = as_loader(for_model(self.model, validation), 1024, self.device)
        run.start(epochs)
        team = self.team
        with ExitStack() as stack:
            if self.run_dir is not None:
                team.enter_folder(stack, self.run_dir, self._lock)
            stack.enter_context(team.threads())
            stack.enter_context(threads_for(self.model, loader.batch_size or 1))
            stack.enter_context(current(self.device or device_of_model(self.model) or "cpu"))
            with team.world.in_turn():
                self._stepper.prepare()
            team.check_alike(self.run, self._stepper, self.seed)
            team.connect()
            if resume and run.checkpoint_path is not None and run.checkpoint_path.exists():
                self.load(run.checkpoint_path)
            team.interruption = stack.enter_context(Interruption())
            with self._bracketed():
                while run.epoch < epochs and not run.stop:
                    # A checkpoint may be of the moment after the last batch and before the end.
                    if loader.start or not run.totals.samples:
                        self._train_epoch()
                    self._finish_epoch(validation)
                    number = team.settle_epoch(run)
                    self._take_over()
                    if number is not None:
                        self._interrupt(number)
        return run.history

    @contextmanager
    def _bracketed(self) -> Iterator[None]:
        """Call the callbacks at the start of the block and, also after an error, at its end."""
        self._call("on_fit_start")
        self.run.broken_off = True
        try:
            yield
            self.run.broken_off = False
        finally:
            self._call("on_fit_end")

    def _call(self, name: str, *arguments: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, name)(self, *arguments)

    def _train_epoch(self) -> None:
        run, stepper = self.run, self._stepper
        watchers = [c for c in self.callbacks if type(c).on_batch_end is not Callback.on_batch_end]
        self.model.train()
        self._call("on_epoch_start")
        count, group = len(run.data), stepper.accumulate
        began = time.perf_counter()
        index = run.data.start
        for batch in stepper.batches():
            run.loaded = False
            stepper.take(index, batch)
            index += 1
            run.count_step(between_steps=index % group == 0 or index == count)
            if stepper.on_host or index % EVERY == 0 or index == count:
                self._check()
            stepper.schedule("batch", index)
            now = time.perf_counter()
            run.seconds, began = run.seconds + now - began, now
            for watcher in watchers:
                watcher.on_batch_end(self)
            number = self.team.asked_to_stop
            if number is not None and run.between_steps and index < count:
                self._interrupt(number)

    def _finish_epoch(self, validation: Any) -> None:
        run = self.run
        found = run.totals.read()
        row: dict[str, Any] = {"epoch": run.epoch + 1}
        row |= {f"train_{name}": value for name, value in found.items()}
        if validation is not None:
            judged = self.team.surely(
                lambda: evaluate(
                    self.model,
                    validation,
                    loss=self.loss,
                    metrics=self.metrics,
                    batch=self._batch,
                    step=self._own_step,
                    world=self.team.several,
                ),
                undone(validation),
            )
            row |= {f"val_{name}": value for name, value in judged.items()}
        row |= {"lr": self.learning_rate, "seconds": round(run.seconds, 4)}
        row = self.team.row(row)
        if takes_metric(run.scheduler):
            run.scheduler.step(row.get("val_loss", row["train_loss"]))
        else:
            self._stepper.schedule("epoch")
        run.end_epoch(row)
        self._call("on_epoch_end", row)

    def _take_over(self) -> None:
        """Write a checkpoint if the rank that wrote them has died, perhaps in the middle of one."""
        if self.team.took_over and self.checkpoint_path is not None:
            # What is not finite all ranks find together, in the next loss or at the end.
            with suppress(NonFiniteError):
                self.save(self.checkpoint_path)
            self.team.took_over = False

    def _interrupt(self, number: int) -> NoReturn:
        """Write a checkpoint if there is a run folder, and stop training between two batches."""
        path, where = self.run.checkpoint_path, self.run.where
        if path is not None:
            self.save(path)
        self.team.together("the checkpoint")
        self._take_over()
        self.team.together("the checkpoint")
        raise interrupted(where, number, path)

    # Numbers that are not finite.

    def _guard(self, batch: Any, value: Tensor) -> None:
        if not math.isfinite(value.item()):
            assert self._stepper.forward is not None
            raise not_finite(self.run, locate(self.model, self._stepper.forward, batch))

    def _check(self) -> None:
        """Check the sum of the losses, after the parameters have been updated with them."""
        if not self.run.totals.is_finite():
            taken, on_host = self.run.taken, self._stepper.on_host
            raise self.trace() or not_finite(self.run, unknown(self.run, on_host), *taken)

    def trace(self) -> NonFiniteError | None:
        """Find where the first non-finite number appeared: in the data, or in a step.

        The steps since the last checkpoint are taken again, and the run is left where that ended.
        """
        return trace(self.run, self._stepper)

    # Saving.

    def save(self, path: FilePath) -> None:
        """Write a checkpoint; of several ranks, which all call this, the first writes it.

        Raises:
            ConfigurationError: before the first ``fit``.
            NonFiniteError: if a parameter is not finite; the file is as before.
            RunError: if it cannot be written; the file is as before.
        """
        bad = bad_parameter(self.model)
        if bad is not None:
            where = f"the parameter {bad!r}, after the last update"
            raise not_finite(self.run, where, *self.run.taken)
        with self.team.whole_state():
            if self.leads:
                save_run(self.run, path)
        if Path(path) == self.checkpoint_path:
            self.run.kept, self.team.took_over = True, False

    def load(self, path: FilePath) -> None:
        """Restore the state of a checkpoint; ``fit`` does it with ``resume=True``.

        The next ``fit`` goes on from there, in the middle of an epoch if that is where it was.

        Raises:
            ConfigurationError: before the first ``fit``.
            CheckpointError: if it is damaged, or of another model, optimizer or data.
        """
        load_run(self.run, path)
        self.run.loaded, self.run.kept = True, Path(path) == self.checkpoint_path
