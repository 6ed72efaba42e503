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
from types import FunctionType
from typing import Any

from nnscratch.absent import refuse_absent_names
from nnscratch.errors import CheckpointError
from nnscratch.optim.chained import ChainedScheduler
from nnscratch.optim.cyclic import CosineAnnealingWarmRestarts, CyclicLR
from nnscratch.optim.one_cycle import OneCycle
from nnscratch.optim.optimizer import Optimizer
from nnscratch.optim.plateau import ReduceLROnPlateau
from nnscratch.optim.schedule import LRScheduler, need
from nnscratch.optim.sequential import SequentialLR
from nnscratch.optim.stateful import restore, state_of

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]


_LRScheduler = LRScheduler  # its name in PyTorch's early versions, which subclasses still use


def _attributes(item: Any) -> dict[str, Any] | None:
    return state_of(item) if hasattr(item, "__dict__") else None


class StepLR(LRScheduler):
    r"""$\eta_t = \eta_0\,\gamma^{\lfloor t / s \rfloor}$: times gamma every ``step_size`` steps."""

    def __init__(
        self,
        optimizer: Optimizer,
        step_size: int,
        gamma: float = 0.1,
        last_epoch: int = -1,
        verbose: bool = False,
    ) -> None:
        """Choose the steps between two reductions, and the factor."""
        need(step_size >= 1, f"StepLR: step_size must be at least 1, got {step_size}")
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch, verbose)

    def next_lr(self, group: dict[str, Any], lr: float, base: float) -> float:
        """Return the rate, times gamma at multiples of ``step_size``."""
        due = self.last_epoch > 0 and self.last_epoch % self.step_size == 0
        return lr * self.gamma if due else lr

    def at_epoch(self, base: float) -> float:
        """Return base · gamma^⌊t / s⌋."""
        return base * self.gamma ** (self.last_epoch // self.step_size)


class MultiStepLR(LRScheduler):
    r"""The rate times gamma at each milestone."""

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Iterable[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
        verbose: bool = False,
    ) -> None:
        """Choose the milestones, and the factor; a milestone named twice counts twice."""
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer, last_epoch, verbose)

    def next_lr(self, group: dict[str, Any], lr: float, base: float) -> float:
        """Return the rate, times gamma at a milestone."""
        return lr * self.gamma ** Counter(self.milestones)[self.last_epoch]

    def at_epoch(self, base: float) -> float:
        """Return the base times gamma for each milestone so far."""
        return base * self.gamma ** bisect_right(self.milestones, self.last_epoch)


class ExponentialLR(LRScheduler):
    r"""$\eta_t = \eta_0\,\gamma^t$."""

    def __init__(
        self,
        optimizer: Optimizer,
        gamma: float,
        last_epoch: int = -1,
        verbose: bool = False,
    ) -> None:
        """Choose the factor."""
        self.gamma = gamma
        super().__init__(optimizer, last_epoch, verbose)

    def next_lr(self, group: dict[str, Any], lr: float, base: float) -> float:
        """Return the rate times gamma."""
        return lr * self.gamma if self.last_epoch > 0 and not self._begins else lr

    def at_epoch(self, base: float) -> float:
        """Return base · gamma^t."""
        return base * self.gamma**self.last_epoch


class LambdaLR(LRScheduler):
    r"""$\eta_t = \eta_0\,f(t)$, with a function for all groups or one for each."""

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
        verbose: bool = False,
    ) -> None:
        """Choose the functions."""
        count = len(optimizer.param_groups)
        functions = [lr_lambda] * count if callable(lr_lambda) else list(lr_lambda)
        need(
            len(functions) == count,
            f"{type(self).__name__}: {len(functions)} functions for {count} groups",
        )
        self.lr_lambdas = functions
        super().__init__(optimizer, last_epoch, verbose)

    def next_lr(self, group: dict[str, Any], lr: float, base: float) -> float:
        """Return the initial rate times the group's function."""
        return base * self._function(group)(self.last_epoch)

    def _function(self, group: dict[str, Any]) -> Callable[[int], float]:
        groups = self.optimizer.param_groups
        need(
            len(self.lr_lambdas) == len(groups),
            f"{type(self).__name__}: {len(self.lr_lambdas)} functions for {len(groups)} groups, "
            "of which some were added later; append theirs to scheduler.lr_lambdas",
        )
        return self.lr_lambdas[next(i for i, own in enumerate(groups) if own is group)]

    def state_dict(self) -> dict[str, Any]:
        """Return the state; of functions that are objects with attributes these belong to it."""
        kept = [None if isinstance(f, FunctionType) else _attributes(f) for f in self.lr_lambdas]
        return {**state_of(self), "lr_lambdas": kept}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a state."""
        rest = {name: value for name, value in state_dict.items() if name != "lr_lambdas"}
        kept = state_dict.get("lr_lambdas", [])
        if set(rest) != set(state_of(self)) or len(kept) != len(self.lr_lambdas):
            raise CheckpointError(
                f"the state is not of a LambdaLR with {len(self.lr_lambdas)} functions"
            )
        restore(self, rest)
        for function, own in zip(self.lr_lambdas, kept, strict=True):
            if own:
                restore(function, own)


class MultiplicativeLR(LambdaLR):
    r"""$\eta_t = \eta_{t-1}\,f(t)$, with a function for all groups or one for each."""

    def next_lr(self, group: dict[str, Any], lr: float, base: float) -> float:
        """Return the rate times the group's function."""
        return lr if self._begins else lr * self._function(group)(self.last_epoch)


class PolynomialLR(LRScheduler):
    r"""$\eta_t = \eta_0 (1 - t / n)^k$ for n steps, then 0."""

    def __init__(
        self,
        optimizer: Optimizer,
        total_iters: int = 5,
        power: float = 1.0,
        last_epoch: int = -1,
        verbose: bool = False,
    ) -> None:
        """Choose the steps n, and the power k."""
        need(total_iters >= 1, f"PolynomialLR: total_iters must be at least 1, got {total_iters}")
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch, verbose)

    def next_lr(self, group: dict[str, Any], lr: float, base: float) -> float:
        """Return the rate times the ratio of the factor at t to that at t - 1."""
        t, n = self.last_epoch, self.total_iters
        if self._begins or t == 0 or t > n:
            return lr
        ratio: float = ((1.0 - t / n) / (1.0 - (t - 1) / n)) ** self.power
        return lr * ratio

    def at_epoch(self, base: float) -> float:
        """Return base · (1 - t / n)^k."""
        left: float = (
            1.0 - min(self.total_iters, self.last_epoch) / self.total_iters
        ) ** self.power
        return base * left


class ConstantLR(LRScheduler):
    r"""The rate times a factor for the first ``total_iters`` steps, then as it was."""

    def __init__(
        self,
        optimizer: Optimizer,
        factor: float = 1.0 / 3,
        total_iters: int = 5,
        last_epoch: int = -1,
        verbose: bool = False,
    ) -> None:
        """Choose the factor, and for how long."""
        need(0.0 < factor <= 1.0, f"ConstantLR: factor must be in (0, 1], got {factor}")
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch, verbose)

    def next_lr(self, group: dict[str, Any], lr: float, base: float) -> float:
        """Return the rate, times the factor at first and divided by it at the end."""
        if self.last_epoch == 0:
            return lr * self.factor
        return lr * (1.0 / self.factor) if self.last_epoch == self.total_iters else lr

    def at_epoch(self, base: float) -> float:
        """Return the base, times the factor at first."""
        return base * (1.0 if self.last_epoch >= self.total_iters else self.factor)


class LinearLR(LRScheduler):
    r"""A warm-up: the rate times a factor that goes from one value to another in a line."""

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
        verbose: bool = False,
    ) -> None:
        """Choose both factors, and after how many steps the second is reached."""
        need(0.0 < start_factor <= 1.0, f"LinearLR: start_factor is in (0, 1], got {start_factor}")
        need(0.0 <= end_factor <= 1.0, f"LinearLR: end_factor is in [0, 1], got {end_factor}")
        self.start_factor, self.end_factor = start_factor, end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch, verbose)

    def next_lr(self, group: dict[str, Any], lr: float, base: float) -> float:
        """Return the rate times the ratio of the factor at t to that at t - 1."""
        if self.last_epoch == 0:
            return lr * self.start_factor
        if self._begins or self.last_epoch > self.total_iters:
            return lr
        rise = self.end_factor - self.start_factor
        before = self.total_iters * self.start_factor + (self.last_epoch - 1) * rise
        return lr * (1.0 + rise / before)

    def at_epoch(self, base: float) -> float:
        """Return the base times the factor on the line."""
        done = min(self.total_iters, self.last_epoch) / self.total_iters
        return base * (self.start_factor + (self.end_factor - self.start_factor) * done)


class CosineAnnealingLR(LRScheduler):
    r"""$\eta_t = \eta_{\min} + \frac{1}{2} (\eta_0 - \eta_{\min}) (1 + \cos \frac{\pi t}{T})$.

    Loshchilov and Hutter 2017, without restarts: after T it rises again.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_max: int,
        eta_min: float = 0.0,
        last_epoch: int = -1,
        verbose: bool = False,
    ) -> None:
        """Choose the steps to the lowest rate, and that rate."""
        need(T_max >= 1, f"CosineAnnealingLR: T_max must be at least 1, got {T_max}")
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch, verbose)

    def next_lr(self, group: dict[str, Any], lr: float, base: float) -> float:
        """Return the rate in proportion to the one before."""
        t, turn = self.last_epoch, self.T_max
        if t == 0 or self._begins:
            return lr
        if (t - 1 - turn) % (2 * turn) == 0:
            return lr + (base - self.eta_min) * (1 - math.cos(math.pi / turn)) / 2
        ratio = (1 + math.cos(math.pi * t / turn)) / (1 + math.cos(math.pi * (t - 1) / turn))
        return ratio * (lr - self.eta_min) + self.eta_min

    def at_epoch(self, base: float) -> float:
        """Return the rate on the cosine."""
        turned = 1 + math.cos(math.pi * self.last_epoch / self.T_max)
        return self.eta_min + (base - self.eta_min) * turned / 2


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
        verbose: bool = False,
    ) -> None:
        """Choose the highest rate, and the number of steps as a whole or by epochs."""
        if total_steps is None and epochs is not None and steps_per_epoch is not None:
            total_steps = epochs * steps_per_epoch
        need(
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
        super().__init__(optimizer, last_epoch, verbose)

    def next_lr(self, group: dict[str, Any], lr: float, base: float) -> float:
        """Return the rate of the cycle, and set the momentum of the group."""
        t = self.last_epoch
        need(
            t <= self.total_steps,
            f"OneCycleLR was made for {self.total_steps} steps, and step() was called {t} times",
        )
        need(
            "max_lr" in group,
            "OneCycleLR: a group of parameters was added after the schedule was made; make the "
            "schedule after add_param_group",
        )
        if self.cycle_momentum:
            self._cycle.set_momentum(group, t)
        return self._cycle.lr(group, t)


refuse_absent_names(__name__)
