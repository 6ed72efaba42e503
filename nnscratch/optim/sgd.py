"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nnscratch.array.addresses import on_device_of
from nnscratch.array.maths import flushed
from nnscratch.errors import ConfigurationError
from nnscratch.formulas import formula
from nnscratch.optim.flat import FlatParameters, Run
from nnscratch.optim.optimizer import Optimizer, check_switches


def sgd_update(
    P: Any,
    G: Any,
    M: Any = None,
    *,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    maximize: bool = False,
    step: int = 1,
) -> tuple[Any, Any]:
    """Return P and M after a step of stochastic gradient descent.

    Args:
        P: the parameter.
        G: its gradient.
        M: the momentum buffer, None without momentum.
        lr: the learning rate.
        momentum: how much of M is kept.
        dampening: how much of G is held back from M; not at the first step, where M becomes G.
        weight_decay: how much of P is added to G.
        nesterov: whether to look ahead, G + momentum · M.
        maximize: whether to ascend.
        step: the number of this step, from 1.

    >>> import numpy as np
    >>> sgd_update(np.array([1.0]), np.array([0.5]), lr=0.1)[0]
    array([0.95])
    """
    if maximize:
        G = -G
    if weight_decay:
        G = G + weight_decay * P
    if M is not None and momentum:
        kept = momentum if step > 1 else 0.0
        added = 1.0 - dampening if step > 1 else 1.0
        M = flushed(kept * M + added * G)
        G = G + momentum * M if nesterov else M
    return P - lr * G, M


SGD_UPDATE = formula(
    sgd_update,
    complexes=True,
    equation=r"M \leftarrow \mu M + (1 - \tau) G, \quad P \leftarrow P - \eta M",
    shapes="P, G and M (any, the same) -> P, M",
    source="document, section 4.3; Robbins and Monro 1951; Sutskever and others 2013 (momentum)",
    updates=("P", "M"),
    elementwise=True,
    derivation=(
        r"To first order, a small step D changes the loss by $G \cdot D$. Of all steps of one "
        r"length that falls most along $-G$: $$P \leftarrow P - \eta G$$",
        "Momentum steps along a running sum instead. What points the same way in every step "
        r"grows, up to $\frac{1}{1 - \mu}$ times; what turns its sign is taken away by "
        r"itself: $$M \leftarrow \mu M + (1 - \tau) G$$",
    ),
)


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

    formula = SGD_UPDATE

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
            for part in map(flat.part, runs):
                P, G, M = flat.values[part], flat.gradients[part], flat.of_state(name, part)
                with on_device_of(P):
                    _, g = SGD_UPDATE.forward(P, G, M, **options)
                    M[...] = g * (group["dampening"] / group["momentum"])
