"""Schedules at once: each changes what the ones before have left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nnscratch.errors import CheckpointError
from nnscratch.formulas import registry
from nnscratch.optim.optimizer import Optimizer
from nnscratch.optim.schedule import LRScheduler, need, rate_of


class ChainedScheduler(LRScheduler):
    """Schedules of one optimizer that all take a step when this one does.

    >>> from nnscratch import nn, optim
    >>> from nnscratch.optim.lr_scheduler import ExponentialLR, StepLR
    >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    >>> both = ChainedScheduler([ExponentialLR(optimizer, 0.5), StepLR(optimizer, 2, 0.1)])
    >>> for _ in range(2):
    ...     both.step()
    >>> both.get_last_lr()
    [0.025]
    """

    def __init__(self, schedulers: Sequence[Any], optimizer: Optimizer | None = None) -> None:
        """Take the schedules.

        Raises:
            ConfigurationError: if there is none, one needs a metric, or is of another optimizer.
        """
        need(len(schedulers) > 0, "ChainedScheduler needs at least one schedule")
        self.optimizer = schedulers[0].optimizer if optimizer is None else optimizer
        for scheduler in schedulers:
            need(
                isinstance(scheduler, LRScheduler)
                and not scheduler.takes_metric
                and scheduler.optimizer is self.optimizer,
                "ChainedScheduler takes schedules of one optimizer that need no metric",
            )
        self._schedulers = list(schedulers)
        self._see()

    def _see(self) -> None:
        self._last_lr = [rate_of(group) for group in self.optimizer.param_groups]

    def step(self, epoch: int | None = None) -> None:
        """Let each schedule go on to its next rate.

        Raises:
            ConfigurationError: for an epoch.
        """
        need(epoch is None, "ChainedScheduler goes on step by step; call step() without an epoch")
        for scheduler in self._schedulers:
            scheduler.step()
        registry.host(self._see)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of each schedule."""
        inner = [scheduler.state_dict() for scheduler in self._schedulers]
        return {"_last_lr": list(self._last_lr), "_schedulers": inner}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a state."""
        inner = state_dict.get("_schedulers", [])
        if len(inner) != len(self._schedulers):
            raise CheckpointError(f"the state is not of {len(self._schedulers)} schedules at once")
        for scheduler, own in zip(self._schedulers, inner, strict=True):
            scheduler.load_state_dict(own)
        self._last_lr = list(state_dict.get("_last_lr", self._last_lr))
