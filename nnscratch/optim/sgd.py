"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nnscratch import formulas as f
from nnscratch.array.addresses import on_device_of
from nnscratch.errors import ConfigurationError
from nnscratch.optim.flat import FlatParameters, Run
from nnscratch.optim.optimizer import Optimizer, check_switches


class SGD(Optimizer):
    r"""Gradient descent with momentum, the learning rate outside of the momentum.

    $$m \leftarrow \mu m + (1 - d) g,\quad p \leftarrow p - \eta m$$

    At the first step m is g. With ``nesterov``, $g + \mu m$ stands in the place of m.

    Args:
        params: parameters, or groups of them.
        lr: η, a number or a tensor of one.
        momentum: μ; with 0 there is no m, and g stands in its place.
        dampening: d.
        weight_decay: λ, for the λ p that is added to g.
        nesterov: whether to look ahead.
        maximize: climb instead of descending.
        foreach, fused: PyTorch's ways to take the same step, of which there is one here; they
            change nothing.

    Raises:
        ConfigurationError: if a value makes no sense, or Nesterov has no momentum or a dampening.
    """

    formula = f.SGD

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        """Make the optimizer with PyTorch's defaults."""
        check_switches(differentiable, foreach, fused)
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
            },
        )

    def check(self, group: Mapping[str, Any]) -> None:
        """Check a group's hyper-parameters."""
        super().check(group)
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ConfigurationError("SGD: nesterov needs a momentum above 0 and no dampening")

    def state_names(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the name of m, if there is a momentum."""
        return ("momentum_buffer",) if group["momentum"] else ()

    def begin_state(
        self, group: Mapping[str, Any], flat: FlatParameters, runs: list[Run], name: str
    ) -> None:
        """Make m, at any step: as in PyTorch, the m of the first step with a momentum is g."""
        flat.begin(name, 0.0)
        if group["dampening"] and any(flat.steps):
            # Only at step 1 does the formula take g for m; now it shall come to g from this m. A
            # plan that is being recorded must not do this again: nothing here is a recorded call.
            options = self.options(group)
            for start, stop, _, _ in runs:
                P, G, M = (
                    one[start:stop] for one in (flat.values, flat.gradients, flat.state[name])
                )
                with on_device_of(P):
                    _, g = f.SGD.forward(P, G, M, **options)
                    M[...] = g * (group["dampening"] / group["momentum"])
