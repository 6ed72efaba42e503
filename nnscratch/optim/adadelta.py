"""Adadelta."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nnscratch.array.maths import flushed, sqrt
from nnscratch.formulas import formula
from nnscratch.optim.optimizer import Optimizer, check_switches


def adadelta_update(
    P: Any,
    G: Any,
    V: Any,
    D: Any,
    *,
    lr: float = 1.0,
    rho: float = 0.9,
    eps: float = 1e-6,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> tuple[Any, Any, Any]:
    """Return P, V and D after a step of Adadelta: running means of G² and of the steps squared."""
    if maximize:
        G = -G
    if weight_decay:
        G = G + weight_decay * P
    V = flushed(rho * V + (1.0 - rho) * G * G)
    delta = sqrt(D + eps) / sqrt(V + eps) * G
    D = flushed(rho * D + (1.0 - rho) * delta * delta)
    return P - lr * delta, V, D


ADADELTA = formula(
    adadelta_update,
    equation=r"V \leftarrow \rho V + (1 - \rho) G^2, \quad \Delta = \frac{\sqrt{D + \epsilon}}"
    r"{\sqrt{V + \epsilon}} G, \quad D \leftarrow \rho D + (1 - \rho) \Delta^2,"
    r" \quad P \leftarrow P - \eta \Delta",
    shapes="P, G, V and D (any, the same) -> P, V, D",
    source="Zeiler 2012, arXiv:1212.5701",
    updates=("P", "V", "D"),
    elementwise=True,
    derivation=(
        "Give P a unit, say metres, and let L have none. Then G has the unit of $1/P$. A step "
        r"along G has that one too, and a step along $G / \sqrt{V}$ has none: only a rate with a "
        "unit makes a step in metres of either.",
        "Newton's step has the right unit by itself. It goes to where the slope would be 0, if it "
        r"changed as fast as it does here: $$G + H \Delta = 0 \\ \Delta = -\frac{1}{H} G$$",
        r"So $\frac{1}{H}$ is a step over a gradient. Nobody has computed H, but the usual size "
        r"of either is known, as the root of a running mean of squares: $$\frac{1}{H} \approx "
        r"\frac{\sqrt{D + \epsilon}}{\sqrt{V + \epsilon}}$$",
        "V has the gradients in it, this one too; D has the steps before, as this one is not "
        r"known yet. D starts at 0, so $\epsilon$ in its root is what the first steps are made of.",
        r"The code keeps the sign out of $\Delta$ and takes the step away. A rate $\eta$ of 1 "
        "leaves it as it is.",
    ),
)


class Adadelta(Optimizer):
    r"""Steps whose size follows from the steps before (Zeiler 2012).

    $$v \leftarrow \rho v + (1-\rho) g^2,\quad
    \Delta = \frac{\sqrt{d + \epsilon}}{\sqrt{v + \epsilon}}\, g,\quad
    d \leftarrow \rho d + (1-\rho) \Delta^2,\quad p \leftarrow p - \eta \Delta$$

    Args:
        params: parameters, or groups of them.
        lr: η, a number or a tensor of one.
        rho: ρ.
        eps: ε, inside of the roots.
        weight_decay: λ, for the λ p that is added to g.
        maximize: climb instead of descending.
        foreach, fused, capturable: PyTorch's ways to take the same step, of which there is one
            here; they change nothing.

    Raises:
        ConfigurationError: if a value makes no sense.
    """

    formula = ADADELTA

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        """Make the optimizer with PyTorch's defaults."""
        check_switches(differentiable, foreach)
        super().__init__(
            params,
            {
                "lr": lr,
                "rho": rho,
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
            },
        )

    def state_names(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the names of v and d."""
        return ("square_avg", "acc_delta")
