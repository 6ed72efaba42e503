"""The arithmetic of the one-cycle schedule: phases, and a line or a cosine between their ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nnscratch.array.named import NamedValues
from nnscratch.errors import ConfigurationError


class Phase(NamedValues):
    """A stretch of the cycle; the names are those of a group's entries."""

    end: float
    lr_from: str
    lr_to: str
    momentum_from: str
    momentum_to: str


class OneCycle:
    """What the rate and the momentum of a group are at step t."""

    def __init__(self, total: int, pct_start: float, strategy: str, three_phase: bool) -> None:
        """Lay out the phases."""
        if not 0.0 <= pct_start <= 1.0:
            raise ConfigurationError(f"OneCycleLR: pct_start is from 0 to 1, got {pct_start}")
        if strategy not in ("cos", "linear"):
            raise ConfigurationError(
                f"OneCycleLR: anneal_strategy is 'cos' or 'linear', got {strategy!r}"
            )
        self._cosine = strategy == "cos"
        top = pct_start * total - 1
        up = Phase(top, "initial_lr", "max_lr", "max_momentum", "base_momentum")
        if three_phase:
            down = ("max_lr", "initial_lr", "base_momentum", "max_momentum")
            rest = ("initial_lr", "min_lr", "max_momentum", "max_momentum")
            self.phases: tuple[Phase, ...] = (
                up,
                Phase(2 * pct_start * total - 2, *down),
                Phase(total - 1, *rest),
            )
        else:
            whole = ("max_lr", "min_lr", "base_momentum", "max_momentum")
            self.phases = (up, Phase(total - 1, *whole))

    @staticmethod
    def prepare_rates(
        groups: list[dict[str, Any]],
        max_lr: float | Sequence[float],
        div_factor: float,
        final_div_factor: float,
    ) -> None:
        """Write the lowest and highest rate of the cycle into each group."""
        for group, top in zip(groups, _each(groups, max_lr, "max_lr"), strict=True):
            group["initial_lr"], group["max_lr"] = top / div_factor, top
            group["min_lr"] = group["initial_lr"] / final_div_factor

    @staticmethod
    def prepare_momentum(
        optimizer: Any, base: float | Sequence[float], top: float | Sequence[float]
    ) -> None:
        """Write the lowest and highest momentum of the cycle into each group."""
        if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
            raise ConfigurationError(
                f"OneCycleLR: {type(optimizer).__name__} has no momentum; use cycle_momentum=False"
            )
        groups = optimizer.param_groups
        pairs = zip(_each(groups, base, "base_momentum"), _each(groups, top, "max_momentum"),
                    strict=True)  # fmt: skip
        for group, (low, high) in zip(groups, pairs, strict=True):
            if "betas" not in group and not group["momentum"]:
                raise ConfigurationError(
                    "OneCycleLR: the optimizer was made without momentum; give it one above 0, or "
                    "use cycle_momentum=False"
                )
            group["base_momentum"], group["max_momentum"] = low, high

    def lr(self, group: dict[str, Any], t: int) -> float:
        """Return the rate at step t."""
        phase, done = self._at(t)
        return self._between(group[phase.lr_from], group[phase.lr_to], done)

    def set_momentum(self, group: dict[str, Any], t: int) -> None:
        """Set the momentum, or β₁, at step t."""
        phase, done = self._at(t)
        momentum = self._between(group[phase.momentum_from], group[phase.momentum_to], done)
        if "betas" in group:
            group["betas"] = (momentum, *group["betas"][1:])
        else:
            group["momentum"] = momentum

    def _at(self, t: int) -> tuple[Phase, float]:
        start = 0.0
        for phase in self.phases[:-1]:
            if t <= phase.end:
                return phase, (t - start) / (phase.end - start) if phase.end != start else 1.0
            start = phase.end
        last = self.phases[-1]
        return last, (t - start) / (last.end - start) if last.end != start else 1.0

    def _between(self, start: float, end: float, done: float) -> float:
        if self._cosine:
            return end + (start - end) / 2.0 * (math.cos(math.pi * done) + 1)
        return (end - start) * done + start


def _each(groups: list[Any], value: float | Sequence[float], name: str) -> list[float]:
    if not isinstance(value, (list, tuple)):
        return [value] * len(groups)  # type: ignore[list-item]
    if len(value) != len(groups):
        raise ConfigurationError(f"OneCycleLR: {len(value)} {name} for {len(groups)} groups")
    return list(value)
