"""How a run takes its steps: one batch at a time, several added up, replayed from a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nnscratch.array import array_namespace
from nnscratch.array.random import default_generator
from nnscratch.errors import ConfigurationError
from nnscratch.graph.nested import leaves
from nnscratch.nn import Module
from nnscratch.plan import compile as compile_step
from nnscratch.tensors import Tensor
from nnscratch.train.batches import (
    Rearrange,
    arranged,
    batches,
    check_call,
    on_device,
    parts_of,
    samples_in,
    target_of,
)
from nnscratch.train.choices import make_schedule
from nnscratch.train.evaluate import evaluating
from nnscratch.train.losses import check_labels, ignored_by, loss_for, targets_of, weights_of
from nnscratch.train.pace import worth_compiling
from nnscratch.train.run import TrainingRun
from nnscratch.train.step import (
    Forward,
    Loss,
    OwnStep,
    Step,
    counts_hits,
    make_forward,
    make_step,
)

Guard = Callable[[Any, Tensor], None]


class Stepper:
    """Takes the steps of a run.

    Args:
        run: whose steps.
        device: where the model is, None if it has no parameters.
        loss: as for ``Trainer``.
        step: likewise.
        batch: likewise.
        class_weight: likewise.
        accumulate: likewise.
        clip_norm: likewise.
        compile: likewise.
        scheduler: likewise.
        schedule_every: likewise.
        guard: called with every batch and its loss before the backward, where the step is eager.

    Attributes:
        rearrange: what is done with each batch that was loaded, a function or None.
        loss: a function of output and target, once data were seen.
        forward: the loss and the output of a batch, likewise.
        compile: whether steps are replayed, likewise.
        guarded: whether the guard looks at every loss.
        on_host: whether reading a loss waits for nothing.
    """

    def __init__(
        self,
        run: TrainingRun,
        device: Any,
        *,
        loss: Any = None,
        step: OwnStep | None = None,
        batch: Rearrange | None = None,
        class_weight: Any = None,
        accumulate: int = 1,
        clip_norm: float | None = None,
        compile: bool | None = None,
        scheduler: Any = None,
        schedule_every: str = "epoch",
        guard: Guard,
    ) -> None:
        if step is not None and (loss is not None or class_weight is not None):
            raise ConfigurationError(
                "step computes the loss by itself: leave out loss and class_weight, or step"
            )
        self.run, self.device = run, device
        self.on_host = device is None or device.type == "cpu"
        self._loss, self._own_step, self._arrange = loss, step, batch
        self.rearrange = batch
        self._class_weight = class_weight
        self.accumulate, self.clip_norm, self.compile = accumulate, clip_norm, compile
        self._scheduler, self._schedule_every = scheduler, schedule_every
        self._guard = guard
        self.guarded = False
        self.loss: Loss | None = None
        self.forward: Forward | None = None
        self._step: Step | None = None

    def prepare(self) -> None:
        """Look at the first sample, and make what the run needs for its steps."""
        run, loader = self.run, self.run.data
        self.rearrange = self._arrange
        batch = self.head(1)
        if self._own_step is None:
            self.rearrange = arranged(run.model, batch, self._arrange)
            batch = self.head(1)
        # One sample through the model: a mistake in its shapes shows before training begins.
        with evaluating(run.model):
            self._look_at(batch)
        if run.scheduler is None and self._scheduler is not None:
            self._make_scheduler()
        if self.compile is None:
            # Whatever is no tensor is a constant of a plan, which would be made for every batch.
            steady = all(isinstance(one, Tensor) for one in leaves(batch))
            worth = worth_compiling(run.model, len(loader), loader.samples)
            self.compile = steady and worth
        # A guard reads the loss: a replay cannot, and on a GPU that would wait for it.
        self.make(guarded=self.on_host and not self.compile)
        if self.compile:
            assert self._step is not None
            self._step = compile_step(self._step, on_unsupported="eager")
            self._warm_up()

    def _look_at(self, batch: Any) -> None:
        run = self.run
        if self._own_step is not None:
            self.forward = self.forward or make_forward(run.model, None, self._own_step)
            _, output = self.forward(batch)
            target = target_of(batch)
        else:
            inputs, keywords, target = parts_of(batch)
            check_call(run.model, inputs, keywords, batch)
            output = run.model(*inputs, **keywords)
            if self.loss is None:
                self._make_loss(output, target)
            assert self.loss is not None
            self.forward = make_forward(run.model, self.loss)
        run.totals.classes = counts_hits(output, target)
        run.totals.ignored = ignored_by(self.loss)
        if self._arrange is None:
            labels = targets_of(run.data.dataset)
            if labels is not None and not np.any(labels == run.totals.ignored):
                run.totals.ignored = None

    def _make_loss(self, output: Any, target: Any) -> None:
        # Rearranged, the last array of a data set need not be the target.
        dataset = self.run.data.dataset if self._arrange is None else None
        weights = weights_of(self._class_weight, output, dataset)
        self.loss = loss_for(self._loss, output, target, weights)
        check_labels(self.loss, dataset)
        if self.device is not None and isinstance(self.loss, Module):
            self.loss.to(device=self.device)

    def _make_scheduler(self) -> None:
        run = self.run
        if isinstance(self._scheduler, str):
            batches_ = -(-len(run.data) // self.accumulate)
            made = make_schedule(self._scheduler, run.optimizer, run.epochs, batches_)
            if made is not None:
                run.scheduler, self._schedule_every = made
        elif hasattr(self._scheduler, "step") and not isinstance(self._scheduler, type):
            run.scheduler = self._scheduler
        else:
            run.scheduler = self._scheduler(run.optimizer)
        theirs = getattr(run.scheduler, "optimizer", run.optimizer)
        if theirs is not run.optimizer:
            raise ConfigurationError(
                "the scheduler sets the rates of another optimizer than the one that trains: give "
                "that optimizer too, or a function that makes the scheduler of an optimizer, "
                "scheduler=lambda optimizer: ..."
            )

    def make(self, *, guarded: bool) -> None:
        """Make the eager step, which looks at every loss before its backward if it is guarded."""
        assert self.forward is not None
        self.guarded = guarded
        guard = self._guard if guarded else None
        self._step = make_step(self.forward, self.run.optimizer, self.clip_norm, guard)

    def head(self, samples: int) -> Any:
        """Return the first samples of the data as a batch where the model is."""
        batch = self.run.data.head(samples)
        made = batch if self.rearrange is None else self.rearrange(batch)
        return on_device(made, self.device)

    def batches(self) -> Iterator[Any]:
        """Go through the batches of an epoch, or its rest, where the model is."""
        return batches(self.run.data, self.device, self.rearrange)

    def take(self, index: int, batch: Any) -> None:
        """Take the step of the batch of that number, or add up its gradients for a later one."""
        loader, group, totals = self.run.data, self.accumulate, self.run.totals
        assert self._step is not None
        if group == 1:
            loss, output = self._step(batch)
        else:
            first = index - index % group
            members = range(first, min(first + group, len(loader)))
            samples = sum(loader.batch_samples(member) for member in members)
            weight = loader.batch_samples(index) / samples
            loss, output = self._step(batch, weight, index == first, index == members[-1])
        if totals.classes:
            totals.add(loss.array, output.array, parts_of(batch).target.array)
        else:
            totals.add(loss.array, None, None, samples_in(batch))

    def schedule(self, every: str, index: int = 0) -> None:
        """Let the scheduler take its step, if it takes one at each "epoch" or "batch"."""
        scheduler = self.run.scheduler
        if scheduler is None or self._schedule_every != every or takes_metric(scheduler):
            return  # a metric there is once an epoch, at its end
        if every == "epoch" or index % self.accumulate == 0 or index == len(self.run.data):
            scheduler.step()

    def _warm_up(self) -> None:
        """Take each kind of step of an epoch once, and leave everything as it was.

        A compiled step runs eagerly the first time it sees a shape, and a replay may round
        differently. A run that is resumed would have its eager steps elsewhere than one that was
        never broken off, and end with other bits. So the plans are made before training begins.
        """
        run, loader, group = self.run, self.run.data, self.accumulate
        if not loader.sized:
            return
        weights = {name: _copy(tensor) for name, tensor in run.model.state_dict().items()}
        state = run.optimizer.state_dict()
        state["state"] = {
            index: {
                name: _copy(value) if isinstance(value, Tensor) else value
                for name, value in entry.items()
            }
            for index, entry in state["state"].items()
        }
        random, totals = default_generator.state(), run.totals.state_dict()
        run.model.train()
        # The first group of batches is like all others but the last.
        count = len(loader)
        last = count - 1 - (count - 1) % group
        try:
            for index in sorted({*range(min(group, count)), *range(last, count)}):
                self.take(index, self.head(loader.batch_samples(index)))
        finally:
            run.model.load_state_dict(weights)
            run.optimizer.load_state_dict(state)
            default_generator.set_state(random)
            run.totals.load(totals)


def takes_metric(scheduler: Any) -> bool:
    """Say whether a scheduler's step wants to be given a metric, as that of a plateau does."""
    return bool(getattr(scheduler, "takes_metric", False))


def _copy(tensor: Any) -> Tensor:
    array = tensor.array
    return Tensor(array_namespace(array).asarray(array, copy=True))
