"""A learning rate that falls when a metric stops getting better."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from nnscratch.errors import ConfigurationError
from nnscratch.formulas import registry
from nnscratch.optim.optimizer import Optimizer
from nnscratch.optim.schedule import LRScheduler, rate_of, set_rate


class ReduceLROnPlateau(LRScheduler):
    """The rate times a factor after more than ``patience`` steps without a better metric.

    Args:
        optimizer: whose rates it sets.
        mode: "min" if lower is better, "max" if higher is.
        factor: what the rate is multiplied by.
        patience: how many steps in a row may bring nothing better.
        threshold: by how much a better metric has to be better.
        threshold_mode: "rel" to the best so far, or "abs".
        cooldown: steps after a reduction that count for nothing.
        min_lr: what the rate does not fall below, for all groups or for each.
        eps: a smaller change of the rate is not made.

    Raises:
        ConfigurationError: if a value makes no sense.
    """

    takes_metric = True

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
        verbose: bool = False,
    ) -> None:
        """Choose when and how the rate falls."""
        if factor >= 1.0:
            raise ConfigurationError(f"ReduceLROnPlateau: factor must be below 1, got {factor}")
        if mode not in ("min", "max"):
            raise ConfigurationError(f"ReduceLROnPlateau: mode is 'min' or 'max', got {mode!r}")
        if threshold_mode not in ("rel", "abs"):
            raise ConfigurationError(
                f"ReduceLROnPlateau: threshold_mode is 'rel' or 'abs', got {threshold_mode!r}"
            )
        if not isinstance(optimizer, Optimizer):
            raise ConfigurationError(
                f"a schedule needs an optimizer, got {type(optimizer).__name__}"
            )
        count = len(optimizer.param_groups)
        each = isinstance(min_lr, (list, tuple))
        lowest: list[Any] = list(min_lr) if isinstance(min_lr, (list, tuple)) else [min_lr] * count
        if len(lowest) != count:
            raise ConfigurationError(
                f"ReduceLROnPlateau: {len(lowest)} values of min_lr for {count} groups"
            )
        self.optimizer, self.verbose = optimizer, verbose
        self.mode, self.threshold_mode, self.threshold = mode, threshold_mode, threshold
        self.factor, self.patience, self.cooldown, self.eps = factor, patience, cooldown, eps
        self.min_lrs, self.default_min_lr = lowest, None if each else min_lr
        self.best: float | None = self._worst()
        self.num_bad_epochs = self.cooldown_counter = self.last_epoch = 0
        self._last_lr = [rate_of(group) for group in optimizer.param_groups]

    def _worst(self) -> float:
        return math.inf if self.mode == "min" else -math.inf

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a state; its ``best`` may be None, for JSON has no infinity.

        Raises:
            CheckpointError: if it is of another kind of schedule.
        """
        super().load_state_dict(state_dict)
        if self.best is None:
            self.best = self._worst()

    def step(self, metrics: Any, epoch: int | None = None) -> None:  # type: ignore[override]
        """Take the metric of a step, and let the rate fall if it is time."""
        current = float(metrics)
        if epoch is not None:
            warnings.warn(
                "scheduler.step(metrics, epoch) is PyTorch's way of old; leave out the epoch",
                stacklevel=2,
            )
        registry.host(lambda: self._take(current, epoch))

    def _take(self, current: float, epoch: int | None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self._is_better(current):
            self.best = current
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self._say_rates()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._last_lr = [rate_of(group) for group in self.optimizer.param_groups]

    def _is_better(self, current: float) -> bool:
        assert self.best is not None
        sign = 1.0 if self.mode == "min" else -1.0
        if self.threshold_mode == "rel":
            bound = self.best * (1.0 - sign * self.threshold)
        else:
            bound = self.best - sign * self.threshold
        return current < bound if self.mode == "min" else current > bound

    def _reduce(self) -> None:
        groups = self.optimizer.param_groups
        if len(groups) != len(self.min_lrs):
            if self.default_min_lr is None:
                raise ConfigurationError(
                    f"ReduceLROnPlateau: {len(self.min_lrs)} values of min_lr for {len(groups)} "
                    "groups, of which some were added later; set scheduler.min_lrs to one for each"
                )
            self.min_lrs = [self.default_min_lr] * len(groups)
        for group, lowest in zip(groups, self.min_lrs, strict=True):
            before = rate_of(group)
            lr = max(before * self.factor, lowest)
            if before - lr > self.eps:
                set_rate(group, lr)
