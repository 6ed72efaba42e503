r"""Learning rates that change from step to step, or from epoch to epoch.

A schedule says what the rate becomes, given what it is, the rate $\eta_0$ that the optimizer was
made with, and the number t of calls to ``step()``. It is called after ``optimizer.step()``; in a
compiled step it runs at every replay. Its state is a dictionary of numbers and lists, which fits
into JSON.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from nnscratch.errors import CheckpointError, ConfigurationError
from nnscratch.formulas import registry
from nnscratch.optim.one_cycle import OneCycle
from nnscratch.optim.optimizer import Optimizer
from nnscratch.optim.plateau import ReduceLROnPlateau
from nnscratch.optim.stateful import Stateful

__all__ = [
    "ConstantLR",
    "CosineAnnealingLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]


def _need(holds: bool, message: str) -> None:
    if not holds:
        raise ConfigurationError(message)


class LRScheduler(Stateful):
    """The base of schedules: a subclass says what the rate of a group becomes.

    Attributes:
        optimizer: whose rates it sets.
        last_epoch: t, how often ``step()`` was called.
        base_lrs: the rates that the optimizer was made with.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        """Set the rates of t = 0.

        Raises:
            ConfigurationError: if it is no optimizer, or goes on from a t without initial rates.
        """
        if not isinstance(optimizer, Optimizer):
            raise ConfigurationError(
                f"a schedule needs an optimizer, got {type(optimizer).__name__}"
            )
        self.optimizer = optimizer
        for group in optimizer.param_groups:
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise ConfigurationError(
                    f"a schedule goes on from last_epoch={last_epoch}, but the optimizer has no "
                    "initial_lr; load the optimizer's state first"
                )
        self.base_lrs: list[float] = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._advance()

    def next_lr(self, group: dict[str, Any], lr: float, base: float) -> float:
        """Return the rate of a group at ``self.last_epoch``, given the rate before it."""
        raise TypeError(f"{type(self).__name__} does not say what the rate becomes")

    def step(self) -> None:
        """Go on to the next rate."""
        registry.host(self._advance)

    def _advance(self) -> None:
        self.last_epoch += 1
        self._set_rates()

    def _set_rates(self) -> None:
        for group, base in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = self.next_lr(group, group["lr"], base)

    def restart(self) -> None:
        """Go back to t = 0 and its rates."""
        self.last_epoch = 0
        for group, base in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = base
        self._set_rates()

    def get_last_lr(self) -> list[float]:
        """Return the rate of each group."""
        return [group["lr"] for group in self.optimizer.param_groups]


class StepLR(LRScheduler):
    r"""$\eta_t = \eta_0\,\gamma^{\lfloor t / s \rfloor}$: times gamma every ``step_size`` steps."""

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        """Choose the steps between two reductions, and the factor."""
        _need(step_size >= 1, f"StepLR: step_size must be at least 1, got {step_size}")
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def next_lr(self, group: dict[str, Any], lr: float, base: float) -> float:
        """Return the rate, times gamma at multiples of ``step_size``."""
        due = self.last_epoch > 0 and self.last_epoch % self.step_size == 0
        return lr * self.gamma if due else lr


class MultiStepLR(LRScheduler):
    r"""The rate times gamma at each milestone."""

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Iterable[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ) -> None:
        """Choose the milestones, and the factor; a milestone named twice counts twice."""
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def next_lr(self, group: dict[str, Any], lr: float, base: float) -> float:
        """Return the rate, times gamma at a milestone."""
        return lr * self.gamma ** Counter(self.milestones)[self.last_epoch]


class ExponentialLR(LRScheduler):
    r"""$\eta_t = \eta_0\,\gamma^t$."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        """Choose the factor."""
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def next_lr(self, group: dict[str, Any], lr: float, base: float) -> float:
        """Return the rate times gamma."""
        return lr * self.gamma if self.last_epoch > 0 else lr


class LambdaLR(LRScheduler):
    r"""$\eta_t = \eta_0\,f(t)$, with a function for all groups or one for each."""

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        """Choose the functions."""
        count = len(optimizer.param_groups)
        functions = [lr_lambda] * count if callable(lr_lambda) else list(lr_lambda)
        _need(len(functions) == count, f"LambdaLR: {len(functions)} functions for {count} groups")
        self.functions = tuple(functions)
        super().__init__(optimizer, last_epoch)

    def next_lr(self, group: dict[str, Any], lr: float, base: float) -> float:
        """Return the initial rate times the group's function."""
        index = next(i for i, own in enumerate(self.optimizer.param_groups) if own is group)
        return base * self.functions[index](self.last_epoch)


class ConstantLR(LRScheduler):
    r"""The rate times a factor for the first ``total_iters`` steps, then as it was."""

    def __init__(
        self,
        optimizer: Optimizer,
        factor: float = 1.0 / 3,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        """Choose the factor, and for how long."""
        _need(0.0 < factor <= 1.0, f"ConstantLR: factor must be in (0, 1], got {factor}")
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def next_lr(self, group: dict[str, Any], lr: float, base: float) -> float:
        """Return the rate, times the factor at first and divided by it at the end."""
        if self.last_epoch == 0:
            return lr * self.factor
        return lr * (1.0 / self.factor) if self.last_epoch == self.total_iters else lr


class LinearLR(LRScheduler):
    r"""A warm-up: the rate times a factor that goes from one value to another in a line."""

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        """Choose both factors, and after how many steps the second is reached."""
        _need(0.0 < start_factor <= 1.0, f"LinearLR: start_factor is in (0, 1], got {start_factor}")
        _need(0.0 <= end_factor <= 1.0, f"LinearLR: end_factor is in [0, 1], got {end_factor}")
        self.start_factor, self.end_factor = start_factor, end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def next_lr(self, group: dict[str, Any], lr: float, base: float) -> float:
        """Return the rate times the ratio of the factor at t to that at t - 1."""
        if self.last_epoch == 0:
            return lr * self.start_factor
        if self.last_epoch > self.total_iters:
            return lr
        rise = self.end_factor - self.start_factor
        before = self.total_iters * self.start_factor + (self.last_epoch - 1) * rise
        return lr * (1.0 + rise / before)


class CosineAnnealingLR(LRScheduler):
    r"""$\eta_t = \eta_{\min} + \frac{1}{2} (\eta_0 - \eta_{\min}) (1 + \cos \frac{\pi t}{T})$.

    Loshchilov and Hutter 2017, without restarts: after T it rises again.
    """

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        """Choose the steps to the lowest rate, and that rate."""
        _need(T_max >= 1, f"CosineAnnealingLR: T_max must be at least 1, got {T_max}")
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def next_lr(self, group: dict[str, Any], lr: float, base: float) -> float:
        """Return the rate in proportion to the one before."""
        t, turn = self.last_epoch, self.T_max
        if t == 0:
            return lr
        if (t - 1 - turn) % (2 * turn) == 0:
            return lr + (base - self.eta_min) * (1 - math.cos(math.pi / turn)) / 2
        ratio = (1 + math.cos(math.pi * t / turn)) / (1 + math.cos(math.pi * (t - 1) / turn))
        return ratio * (lr - self.eta_min) + self.eta_min


class OneCycleLR(LRScheduler):
    r"""Up from $\eta_{\max} / d$ to $\eta_{\max}$, then down to far less (Smith and Topin 2018).

    The momentum (β₁ of Adam) goes the other way, unless ``cycle_momentum`` is off.

    Raises:
        ConfigurationError: if a value makes no sense, or there is no momentum to cycle.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        """Choose the highest rate, and the number of steps as a whole or by epochs."""
        if total_steps is None and epochs is not None and steps_per_epoch is not None:
            total_steps = epochs * steps_per_epoch
        _need(
            total_steps is not None and total_steps > 0,
            "OneCycleLR needs total_steps, or epochs and steps_per_epoch, above 0",
        )
        assert total_steps is not None
        self.total_steps = total_steps
        self._cycle = OneCycle(total_steps, pct_start, anneal_strategy, three_phase)
        self.cycle_momentum = cycle_momentum
        if last_epoch == -1:
            self._cycle.prepare_rates(optimizer.param_groups, max_lr, div_factor, final_div_factor)
            if cycle_momentum:
                self._cycle.prepare_momentum(optimizer, base_momentum, max_momentum)
        super().__init__(optimizer, last_epoch)

    def next_lr(self, group: dict[str, Any], lr: float, base: float) -> float:
        """Return the rate of the cycle, and set the momentum of the group."""
        t = self.last_epoch
        _need(
            t <= self.total_steps,
            f"OneCycleLR was made for {self.total_steps} steps, and step() was called {t} times",
        )
        if self.cycle_momentum:
            self._cycle.set_momentum(group, t)
        return self._cycle.lr(group, t)


class SequentialLR(Stateful):
    """One schedule after another: the next one starts from its t = 0 at each milestone.

    >>> from nnscratch import nn, optim
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

    optimizer: Optimizer

    def __init__(
        self, optimizer: Optimizer, schedulers: Sequence[Any], milestones: Sequence[int]
    ) -> None:
        """Choose the schedules, and at which step each but the first starts.

        Raises:
            ConfigurationError: if their numbers do not fit, or a schedule is of another optimizer.
        """
        _need(
            len(schedulers) >= 1 and len(milestones) == len(schedulers) - 1,
            f"SequentialLR: {len(schedulers)} schedules need {len(schedulers) - 1} milestones, "
            f"got {len(milestones)}",
        )
        for scheduler in schedulers:
            _need(
                isinstance(scheduler, (LRScheduler, SequentialLR))
                and scheduler.optimizer is optimizer,
                "SequentialLR takes schedules of its own optimizer that need no metric",
            )
        self.optimizer = optimizer
        self.schedulers = tuple(schedulers)
        self.milestones = list(milestones)
        self.restart()

    def restart(self) -> None:
        """Go back to t = 0 of the first schedule."""
        self.last_epoch = 0
        self.schedulers[0].restart()

    def step(self) -> None:
        """Go on to the next rate."""
        registry.host(self._advance)

    def _advance(self) -> None:
        self.last_epoch += 1
        index = bisect_right(self.milestones, self.last_epoch)
        if index > 0 and self.milestones[index - 1] == self.last_epoch:
            self.schedulers[index].restart()
        else:
            self.schedulers[index]._advance()

    def get_last_lr(self) -> list[float]:
        """Return the rate of each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Return the state, with that of each schedule."""
        inner = [scheduler.state_dict() for scheduler in self.schedulers]
        return {**super().state_dict(), "schedulers": inner}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        rest = {name: value for name, value in state.items() if name != "schedulers"}
        inner = state.get("schedulers", [])
        if set(rest) != set(super().state_dict()) or len(inner) != len(self.schedulers):
            raise CheckpointError(f"the state is not of {len(self.schedulers)} schedules in a row")
        self.__dict__.update(rest)
        for scheduler, own in zip(self.schedulers, inner, strict=True):
            scheduler.load_state_dict(own)
