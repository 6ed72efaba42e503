"""Schedules one after another."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from nnscratch.errors import CheckpointError
from nnscratch.formulas import registry
from nnscratch.optim.optimizer import Optimizer
from nnscratch.optim.schedule import LRScheduler, need, rate_of, set_rate
from nnscratch.optim.stateful import state_of


class SequentialLR(LRScheduler):
    """One schedule after another: the next one starts from its t = 0 at each milestone.

    >>> from nnscratch import nn, optim
    >>> from nnscratch.optim.lr_scheduler import ExponentialLR, LinearLR
    >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    >>> warm, decay = LinearLR(optimizer, 0.5, total_iters=2), ExponentialLR(optimizer, 0.9)
    >>> schedule = SequentialLR(optimizer, [warm, decay], milestones=[2])
    >>> rates = []
    >>> for _ in range(4):
    ...     rates += schedule.get_last_lr()
    ...     schedule.step()
    >>> rates
    [0.5, 0.75, 1.0, 0.9]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[Any],
        milestones: Sequence[int],
        last_epoch: int = -1,
        verbose: bool = False,
    ) -> None:
        """Choose the schedules, and at which step each but the first starts.

        ``verbose`` is accepted as in PyTorch; each schedule prints what it was made to print.

        Raises:
            ConfigurationError: if their numbers do not fit, or a schedule is of another optimizer.
        """
        need(
            len(schedulers) >= 1 and len(milestones) == len(schedulers) - 1,
            f"SequentialLR: {len(schedulers)} schedules need {len(schedulers) - 1} milestones, "
            f"got {len(milestones)}",
        )
        for scheduler in schedulers:
            need(
                isinstance(scheduler, LRScheduler)
                and not scheduler.takes_metric
                and scheduler.optimizer is optimizer,
                "SequentialLR takes schedules of its own optimizer that need no metric",
            )
        self.optimizer = optimizer
        self.schedulers = tuple(schedulers)
        self.milestones = list(milestones)
        self._begin(last_epoch + 1)

    def _begin(self, epoch: int) -> None:
        """Go to the beginning: all schedules have set their rates when they were made."""
        self.last_epoch = epoch
        for group in self.optimizer.param_groups:
            set_rate(group, rate_of(group, "initial_lr"))
        for scheduler in self.schedulers:
            if not isinstance(scheduler, SequentialLR):
                scheduler.last_epoch -= 1
        first = self.schedulers[bisect_right(self.milestones, 0)]
        first._begin(0) if isinstance(first, SequentialLR) else first._advance_first()
        self._last_lr = first.get_last_lr()

    def step(self, epoch: int | None = None) -> None:
        """Go on to the next rate.

        Raises:
            ConfigurationError: for an epoch: the schedules go on from one rate to the next.
        """
        need(epoch is None, "SequentialLR goes on step by step; call step() without an epoch")
        registry.host(self._advance)

    def _advance(self, epoch: int | None = None) -> None:
        if epoch is not None:  # as a part of another one, which begins now
            for scheduler in self.schedulers:
                scheduler.last_epoch = 0
            self._begin(0)
            return
        self.last_epoch += 1
        index = bisect_right(self.milestones, self.last_epoch)
        scheduler = self.schedulers[index]
        begins = index > 0 and self.milestones[index - 1] == self.last_epoch
        scheduler._advance(0 if begins else None)
        self._last_lr = scheduler.get_last_lr()

    def state_dict(self) -> dict[str, Any]:
        """Return the state, with that of each schedule."""
        inner = [scheduler.state_dict() for scheduler in self.schedulers]
        return {**self._own_state(), "schedulers": inner}

    def _own_state(self) -> dict[str, Any]:
        found = state_of(self)
        found.pop("schedulers", None)
        return found

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a state."""
        rest = {name: value for name, value in state_dict.items() if name != "schedulers"}
        inner = state_dict.get("schedulers", [])
        if set(rest) != set(self._own_state()) or len(inner) != len(self.schedulers):
            raise CheckpointError(f"the state is not of {len(self.schedulers)} schedules in a row")
        self.__dict__.update(rest)
        for scheduler, own in zip(self.schedulers, inner, strict=True):
            scheduler.load_state_dict(own)
