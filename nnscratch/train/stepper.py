"""The training step of a run: eager or compiled, with gradient accumulation and a scheduler."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np

from nnscratch.array import array_namespace
from nnscratch.array.random import default_generator
from nnscratch.errors import ConfigurationError
from nnscratch.graph.nested import leaves
from nnscratch.nn import Module
from nnscratch.optim.remembering import remembered
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
from nnscratch.train.cost import worth_compiling
from nnscratch.train.evaluation import evaluating
from nnscratch.train.losses import check_labels, ignored_by, loss_for, targets_of, weights_of
from nnscratch.train.run import TrainingRun
from nnscratch.train.sharing import SharedBatches
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
    """Takes the training steps of a run.

    Args:
        run: the training run.
        device: the device of the model, None if it has no parameters.
        loss: as for ``Trainer``.
        step: as for ``Trainer``.
        batch: as for ``Trainer``.
        class_weight: as for ``Trainer``.
        accumulate: as for ``Trainer``.
        clip_norm: as for ``Trainer``.
        compile: as for ``Trainer``.
        scheduler: as for ``Trainer``.
        schedule_every: as for ``Trainer``.
        guard: called with every batch and its loss before the backward, if the step is guarded.
        sharing: divides batches among processes or into shards; None for one process.

    Attributes:
        rearrange: the function that is applied to each loaded batch, or None.
        loss: the function of output and target; None before ``prepare``.
        forward: the function that returns the loss and the output of a batch; None before
            ``prepare``.
        compile: whether steps are compiled; decided by ``prepare`` if it was None.
        guarded: whether ``guard`` is called in every step.
        on_host: whether the model is on the CPU, where reading a loss does not wait for a GPU.
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
        sharing: SharedBatches | None = None,
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
        self._guard, self.sharing = guard, sharing
        self.guarded = False
        self.loss: Loss | None = None
        self.forward: Forward | None = None
        self._step: Step | None = None

    def prepare(self) -> None:
        """Make the loss, the scheduler and the step, from the shapes of the first sample."""
        run, loader = self.run, self.run.data
        self.rearrange = self._arrange
        batch = self.head(1)
        if self._own_step is None:
            self.rearrange = arranged(run.model, batch, self._arrange)
            batch = self.head(1)
        # Run one sample through the model, so that wrong shapes raise before training begins.
        with evaluating(run.model):
            self._make_forward(batch)
        if run.scheduler is None and self._scheduler is not None:
            self._make_scheduler()
        if self.compile is None:
            # An item that is no tensor is a constant of the plan: a new value would compile again.
            steady = all(isinstance(one, Tensor) for one in leaves(batch))
            worth = worth_compiling(run.model, len(loader), loader.samples, run.epochs)
            self.compile = steady and worth
        if self.sharing is not None:
            assert self.forward is not None
            self.sharing.prepare(self.loss, self._own_step, self.forward, self.head, loader.samples)
        # The guard reads the loss, which a compiled step cannot, and which would wait for a GPU.
        self.make(guarded=self.on_host and not self.compile)
        if self.compile:
            assert self._step is not None
            self._step = compile_step(self._step, on_unsupported="eager")
            self._warm_up()
        if self.sharing is not None:
            self.sharing.warm = self._warm_up if self.compile else None

    def _make_forward(self, batch: Any) -> None:
        """Make the loss and the forward, and choose the metrics, by running one batch."""
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
        # With ``batch``, a function that rearranges it, the last array need not be the target.
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
                "expected a scheduler of the optimizer that trains, got one of another optimizer: "
                "pass that optimizer as optimizer=, or a function that makes the scheduler, "
                "scheduler=lambda optimizer: ..."
            )

    def make(self, *, guarded: bool) -> None:
        """Make the eager step; if it is guarded, it calls ``guard`` before each backward."""
        assert self.forward is not None
        self.guarded = guarded
        guard, sharing = self._guard if guarded else None, self.sharing
        if sharing is not None and guard is not None:
            guard = sharing.guarded(guard)
        reduce = None if sharing is None else sharing.reduce
        self._step = make_step(self.forward, self.run.optimizer, self.clip_norm, guard, reduce)

    def head(self, samples: int) -> Any:
        """Return the first samples of the data as a batch on the model's device."""
        batch = self.run.data.head(samples)
        made = batch if self.rearrange is None else self.rearrange(batch)
        return on_device(made, self.device)

    def batches(self) -> Iterator[Any]:
        """Iterate over the batches of an epoch, or the rest of it, on the model's device."""
        return batches(self.run.data, self.device, self.rearrange)

    def take(self, index: int, batch: Any) -> None:
        """Train with a batch: take the step, or accumulate its gradients for a later step.

        Args:
            index: the number of the batch in the epoch, from 0.
            batch: the batch, on the model's device.
        """
        loader, group, totals = self.run.data, self.accumulate, self.run.totals
        assert self._step is not None
        weight, begins, ends = 1.0, True, True
        if group > 1:
            first = index - index % group
            members = range(first, min(first + group, len(loader)))
            samples = sum(loader.batch_samples(member) for member in members)
            weight = loader.batch_samples(index) / samples
            begins, ends = index == first, index == members[-1]
        if self.sharing is not None:
            self.sharing.take(
                batch, self._step, self._guard, weight=weight, first=begins, last=ends
            )
            return
        loss, output = self._step(batch, *(() if group == 1 else (weight, begins, ends)))
        if totals.classes:
            totals.add(loss.array, output.array, parts_of(batch).target.array)
        else:
            totals.add(loss.array, None, None, samples_in(batch))

    def schedule(self, every: str, index: int = 0) -> None:
        """Step the scheduler if its steps are due every "epoch" or "batch", as ``every`` says.

        Args:
            every: "epoch" at the end of an epoch, "batch" after a batch.
            index: the number of batches of the epoch so far.
        """
        scheduler = self.run.scheduler
        if scheduler is None or self._schedule_every != every or takes_metric(scheduler):
            return  # the metric is known at the end of an epoch only; Trainer steps it there
        if every == "epoch" or index % self.accumulate == 0 or index == len(self.run.data):
            scheduler.step()

    def _warm_up(self) -> None:
        """Take each kind of step of an epoch once to compile it, and restore all state.

        A compiled step runs eagerly the first time it sees a shape, and a replay may round
        differently. A resumed run would take its eager steps at other batches than a run without
        interruption, and end with other bits. So all plans are made before training begins.
        """
        run, loader, group = self.run, self.run.data, self.accumulate
        if not loader.sized:
            return
        weights = {name: _copy(tensor) for name, tensor in run.model.state_dict().items()}
        bring_back = remembered(run.optimizer)
        random, totals = default_generator.state(), run.totals.state_dict()
        run.model.train()
        # All groups of accumulated batches are like the first, except perhaps the last.
        count = len(loader)
        last = count - 1 - (count - 1) % group
        muted = nullcontext() if self.sharing is None else self.sharing.muted()
        try:
            with muted:
                for index in sorted({*range(min(group, count)), *range(last, count)}):
                    self.take(index, self.head(loader.batch_samples(index)))
        finally:
            run.model.load_state_dict(weights)
            bring_back()
            default_generator.set_state(random)
            run.totals.load(totals)


def takes_metric(scheduler: Any) -> bool:
    """Say whether a scheduler's ``step`` takes a metric, as ``ReduceLROnPlateau`` does."""
    return bool(getattr(scheduler, "takes_metric", False))


def _copy(tensor: Any) -> Any:
    if not isinstance(tensor, Tensor):  # a module's extra state
        return copy.deepcopy(tensor)
    array = tensor.array
    return Tensor(array_namespace(array).asarray(array, copy=True))
