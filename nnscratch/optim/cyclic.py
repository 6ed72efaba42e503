"""Learning rates that go up and down, or begin again."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from nnscratch.errors import ConfigurationError
from nnscratch.formulas import registry
from nnscratch.optim.optimizer import Optimizer
from nnscratch.optim.schedule import LRScheduler, need, rate_of, set_rate


def each_group(name: str, optimizer: Optimizer, value: Any) -> list[float]:
    """Return a value for each group, of one for all or a list of them."""
    count = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [float(value)] * count
    need(len(value) == count, f"{name}: {len(value)} values for {count} groups of parameters")
    return [float(one) for one in value]


class CyclicLR(LRScheduler):
    r"""Up from ``base_lr`` to ``max_lr`` and down again, in a line, over and over (Smith 2017).

    In "triangular2" each cycle is half as high as the one before, in "exp_range" the height falls
    by gamma in each step. The momentum (β₁ of Adam) goes the other way, unless ``cycle_momentum``
    is off.

    Args:
        optimizer: whose rates it sets.
        base_lr: the lowest rate, for all groups or for each.
        max_lr: the highest rate of the first cycle.
        step_size_up: steps up.
        step_size_down: steps down, as many as up unless given.
        mode: "triangular", "triangular2" or "exp_range".
        gamma: see above.
        scale_fn: the height in the place of the mode's, a function of the cycle from 1 on, or of
            the step.
        scale_mode: whether that is of the "cycle" or of the "iterations".
        cycle_momentum: whether the momentum goes along.
        base_momentum: the lowest momentum.
        max_momentum: the highest momentum.
        last_epoch: the step to go on from.

    Raises:
        ConfigurationError: if a value makes no sense, or there is no momentum to cycle.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | Sequence[float],
        max_lr: float | Sequence[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.8,
        max_momentum: float | Sequence[float] = 0.9,
        last_epoch: int = -1,
        verbose: bool = False,
    ) -> None:
        """Choose the rates, and how many steps lie between them."""
        need(
            isinstance(optimizer, Optimizer),
            f"a schedule needs an optimizer, got {type(optimizer).__name__}",
        )
        modes = ("triangular", "triangular2", "exp_range")
        need(
            mode in modes or scale_fn is not None,
            f"CyclicLR: mode is one of {', '.join(modes)}, got {mode!r}",
        )
        base = each_group("base_lr", optimizer, base_lr)
        self.max_lrs = each_group("max_lr", optimizer, max_lr)
        if last_epoch == -1:
            for group, rate in zip(optimizer.param_groups, base, strict=True):
                set_rate(group, rate)
        down = step_size_up if step_size_down is None else step_size_down
        need(step_size_up > 0 and down >= 0, "CyclicLR: a cycle has steps up, at least one")
        self.total_size = float(step_size_up) + float(down)
        self.step_ratio = step_size_up / self.total_size
        self.mode, self.gamma, self.scale_mode = mode, gamma, scale_mode
        if scale_fn is None:
            self.scale_mode = "iterations" if mode == "exp_range" else "cycle"
        self._own_scale = scale_fn
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            need(
                "momentum" in optimizer.defaults or "betas" in optimizer.defaults,
                f"CyclicLR: {type(optimizer).__name__} has no momentum; say cycle_momentum=False",
            )
            self.base_momentums = each_group("base_momentum", optimizer, base_momentum)
            self.max_momentums = each_group("max_momentum", optimizer, max_momentum)
        super().__init__(optimizer, last_epoch, verbose)
        self.base_lrs = base

    def scale_fn(self, x: float) -> float:
        """Return the height at a cycle or a step."""
        if self._own_scale is not None:
            return self._own_scale(x)
        if self.mode == "triangular2":
            return float(1.0 / 2.0 ** (x - 1))
        return float(self.gamma**x) if self.mode == "exp_range" else 1.0

    def get_lr(self) -> list[float]:
        """Return the rates of the cycle, and set the momentum of the groups."""
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        up = x <= self.step_ratio
        height = x / self.step_ratio if up else (x - 1) / (self.step_ratio - 1)
        height *= self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        groups = self.optimizer.param_groups
        if self.cycle_momentum:
            pairs = zip(self.base_momentums, self.max_momentums, strict=True)
            for group, (low, high) in zip(groups, pairs, strict=True):
                momentum = high - (high - low) * height
                if "betas" in group:
                    group["betas"] = (momentum, *group["betas"][1:])
                else:
                    group["momentum"] = momentum
        pairs = zip(self.base_lrs, self.max_lrs, strict=True)
        return [low + (high - low) * height for low, high in pairs]


class CosineAnnealingWarmRestarts(LRScheduler):
    r"""A cosine from $\eta_0$ to $\eta_{\min}$ that begins again after T steps, T times longer.

    $\eta = \eta_{\min} + \frac{1}{2} (\eta_0 - \eta_{\min}) (1 + \cos \frac{\pi t}{T_i})$ with t
    steps since the last beginning (Loshchilov and Hutter 2017). ``step(epoch)`` goes to an epoch,
    also to a fraction of one.

    Args:
        optimizer: whose rates it sets.
        T_0: steps of the first cosine.
        T_mult: how many times longer each one is than the one before.
        eta_min: the lowest rate.
        last_epoch: the step to go on from.

    Raises:
        ConfigurationError: if a value makes no sense.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,
        T_mult: int = 1,
        eta_min: float = 0.0,
        last_epoch: int = -1,
        verbose: bool = False,
    ) -> None:
        """Choose the steps of a cosine, and the lowest rate."""
        given: dict[str, Any] = {"T_0": T_0, "T_mult": T_mult}
        for name, value in given.items():
            need(
                isinstance(value, int) and value >= 1,
                f"CosineAnnealingWarmRestarts: {name} is an integer from 1 on, got {value!r}",
            )
        self.T_0 = self.T_i = T_0
        self.T_mult, self.eta_min = T_mult, eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch, verbose)

    def get_lr(self) -> list[float]:
        """Return the rates on the cosine."""
        turned = 1 + math.cos(math.pi * self.T_cur / self.T_i)
        return [self.eta_min + (base - self.eta_min) * turned / 2 for _, base in self._groups()]

    def step(self, epoch: float | None = None) -> None:
        """Go on to the next rate, or to that of an epoch."""
        if epoch is not None and epoch < 0:
            raise ConfigurationError(f"an epoch must not be negative, got {epoch}")
        registry.host(lambda: self._advance(epoch))

    def _advance(self, epoch: float | None = None) -> None:
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is None:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
        elif epoch < self.T_0:
            self.T_i, self.T_cur = self.T_0, epoch
        elif self.T_mult == 1:
            self.T_cur = epoch % self.T_0
        else:
            n = int(math.log(epoch / self.T_0 * (self.T_mult - 1) + 1, self.T_mult))
            self.T_cur = epoch - self.T_0 * (self.T_mult**n - 1) / (self.T_mult - 1)
            self.T_i = self.T_0 * self.T_mult**n
        self.last_epoch = math.floor(epoch)
        groups = self.optimizer.param_groups
        for group, rate in zip(groups, self.get_lr(), strict=True):
            set_rate(group, rate)
        self._last_lr = [rate_of(group) for group in groups]
        self._say_rates()
