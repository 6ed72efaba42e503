"""Adagrad."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nnscratch.array.maths import sqrt
from nnscratch.formulas import formula
from nnscratch.optim.optimizer import Optimizer, check_switches


def adagrad_update(
    P: Any,
    G: Any,
    S: Any,
    *,
    lr: float,
    lr_decay: float = 0.0,
    weight_decay: float = 0.0,
    eps: float = 1e-10,
    maximize: bool = False,
    step: int,
) -> tuple[Any, Any]:
    """Return P and S after a step of Adagrad, where S is the sum of all G² so far."""
    if maximize:
        G = -G
    if weight_decay:
        G = G + weight_decay * P
    S = S + G * G
    rate = lr / (1.0 + (step - 1) * lr_decay)
    return P - rate * G / (sqrt(S) + eps), S


ADAGRAD = formula(
    adagrad_update,
    equation=r"S \leftarrow S + G^2, \quad P \leftarrow P - \frac{\eta}{1 + (t - 1) d}"
    r" \frac{G}{\sqrt{S} + \epsilon}",
    shapes="P, G and S (any, the same) -> P, S",
    source="Duchi, Hazan and Singer 2011",
    updates=("P", "S"),
    elementwise=True,
)


class Adagrad(Optimizer):
    r"""Steps by the gradient over the root of the sum of all its squares (Duchi et al. 2011).

    $$s \leftarrow s + g^2,\quad
    p \leftarrow p - \frac{\eta}{1 + (t-1)\,\delta} \frac{g}{\sqrt{s} + \epsilon}$$

    Args:
        params: parameters, or groups of them.
        lr: η, a number or a tensor of one.
        lr_decay: δ.
        weight_decay: λ, for the λ p that is added to g.
        initial_accumulator_value: what s starts from.
        eps: ε, outside of the root.
        maximize: climb instead of descending.
        foreach, fused, capturable: PyTorch's ways to take the same step, of which there is one
            here; they change nothing.

    Raises:
        ConfigurationError: if a value makes no sense.
    """

    formula = ADAGRAD

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        """Make the optimizer with PyTorch's defaults."""
        check_switches(differentiable, foreach, fused)
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "eps": eps,
                "maximize": maximize,
            },
        )

    def state_names(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the name of s."""
        return ("sum",)

    def initial_state(self, group: Mapping[str, Any]) -> dict[str, float]:
        """Return what s starts from."""
        # As in PyTorch that of the optimizer, whatever a group says.
        return {"sum": self.defaults["initial_accumulator_value"]}
