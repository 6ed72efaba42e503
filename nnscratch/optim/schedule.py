"""The base of schedules: when their steps are taken, and whose rates they set."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import numpy as np

from nnscratch.errors import ConfigurationError
from nnscratch.formulas import registry
from nnscratch.optim.optimizer import Optimizer
from nnscratch.optim.stateful import Stateful
from nnscratch.tensors import Tensor


def need(holds: bool, message: str) -> None:
    """Raise ``ConfigurationError`` if something does not hold."""
    if not holds:
        raise ConfigurationError(message)


def rate_of(group: dict[str, Any], name: str = "lr") -> float:
    """Return the rate of a group as a number, also where it is a tensor."""
    rate = group[name]
    return float(rate.detach().numpy()) if isinstance(rate, Tensor) else rate


def set_rate(group: dict[str, Any], rate: Any) -> None:
    """Set the rate of a group, where it is a tensor in place."""
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(float(rate))
    else:
        group["lr"] = float(rate) if isinstance(rate, (Tensor, np.generic)) else rate


class LRScheduler(Stateful):
    """The base of schedules: a subclass says what the rates become, in one of two ways.

    ``get_lr`` returns the rates of all groups, as in PyTorch; ``next_lr`` that of one group. In
    both ``self.last_epoch`` is t.

    Attributes:
        optimizer: whose rates it sets.
        last_epoch: t, how often ``step()`` was called.
        base_lrs: the rates that the optimizer was made with.
        takes_metric: whether ``step`` wants to be given one.

    >>> from nnscratch import nn, optim
    >>> class Root(LRScheduler):
    ...     def get_lr(self):
    ...         return [base / (self.last_epoch + 1) ** 0.5 for base in self.base_lrs]
    >>> schedule = Root(optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0))
    >>> for _ in range(3):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.5]
    """

    takes_metric: ClassVar[bool] = False
    _begins: bool = False
    verbose: Any = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1, verbose: bool = False) -> None:
        """Set the rates of t = 0, and with ``verbose`` print those of every step, as PyTorch did.

        Raises:
            ConfigurationError: if it is no optimizer, or goes on from a t without initial rates.
        """
        if not isinstance(optimizer, Optimizer):
            raise ConfigurationError(
                f"a schedule needs an optimizer, got {type(optimizer).__name__}"
            )
        self.optimizer, self.verbose = optimizer, verbose
        for group in optimizer.param_groups:
            if last_epoch == -1:
                group.setdefault("initial_lr", rate_of(group))
            elif "initial_lr" not in group:
                raise ConfigurationError(
                    f"a schedule goes on from last_epoch={last_epoch}, but the optimizer has no "
                    "initial_lr; load the optimizer's state first"
                )
        self.base_lrs = [rate_of(group, "initial_lr") for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._advance_first()

    def next_lr(self, group: dict[str, Any], lr: float, base: float) -> float:
        """Return the rate of a group at ``self.last_epoch``, given the rate before it."""
        raise TypeError(f"{type(self).__name__} does not say what the rate becomes")

    def get_lr(self) -> list[float]:
        """Return what the rate of each group becomes at ``self.last_epoch``."""
        return [self.next_lr(group, rate_of(group), base) for group, base in self._groups()]

    def at_epoch(self, base: float) -> float | None:
        """Return the rate at ``self.last_epoch`` that began as ``base``, None if nothing says so.

        It is for going to some t at once, ``step(t)``; from there ``next_lr`` goes on.
        """
        return None

    def _groups(self) -> list[tuple[dict[str, Any], float]]:
        groups = self.optimizer.param_groups
        if len(groups) > len(self.base_lrs):
            # Groups that were added later begin with the rate that they have then.
            for group in groups[len(self.base_lrs) :]:
                self.base_lrs.append(float(group.setdefault("initial_lr", rate_of(group))))
        return list(zip(groups, self.base_lrs, strict=True))

    def step(self, epoch: int | None = None) -> None:
        """Go on to the next rate, or to that of an ``epoch``, as PyTorch did of old."""
        if epoch is not None:
            warnings.warn(
                "scheduler.step(epoch) is PyTorch's way of old; call step() once an epoch",
                stacklevel=2,
            )
        registry.host(lambda: self._advance(epoch))

    def _advance_first(self) -> None:
        # Whoever goes on from a t has the rate of t + 1 already, unless it is said anew there.
        self._begins = True
        self._advance()
        del self._begins

    def _advance(self, epoch: int | None = None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        known = [] if epoch is None else [self.at_epoch(base) for _, base in self._groups()]
        rates = [rate for rate in known if rate is not None] or self.get_lr()
        groups = self.optimizer.param_groups
        if len(rates) != len(groups):
            raise ConfigurationError(
                f"{type(self).__name__}.get_lr gives {len(rates)} rates for {len(groups)} groups"
            )
        for group, rate in zip(groups, rates, strict=True):
            set_rate(group, rate)
        self._last_lr = [rate_of(group) for group in groups]
        self._say_rates()

    def _say_rates(self) -> None:
        if self.verbose is True:  # not PyTorch's "deprecated", which is its False
            for index, group in enumerate(self.optimizer.param_groups):
                print(f"Adjusting learning rate of group {index} to {rate_of(group):.4e}.")

    def get_last_lr(self) -> list[float]:
        """Return the rate of each group that the last step has set."""
        return list(self._last_lr)
