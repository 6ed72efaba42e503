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
    derivation=(
        "Take one entry P, with the gradients $G_i$ of the steps i, and the best value W. A step "
        "of the rate r changes the distance to it by $$(P - r G - W)^2 = (P - W)^2 - 2 r G (P - "
        "W) + r^2 G^2$$",
        "Added up over the steps, each square of a distance stands on both sides, but for the "
        r"first, which is some $B^2$, and the last, which is not negative: $$2 r \sum_i G_i (P_i "
        r"- W) \le B^2 + r^2 \sum_i G_i^2$$",
        "A loss that lies above its tangents, a convex one, is above its least value by $G_i (P_i "
        "- W)$ at most, added up over all entries. The part of this entry, in all steps together, "
        r"is at most $$\frac{B^2}{2 r} + \frac{r}{2} \sum_i G_i^2$$",
        r"The best rate makes that least. There its slope by r is 0: $$-\frac{B^2}{2 r^2} + "
        r"\frac{1}{2} \sum_i G_i^2 = 0 \\ r = \frac{B}{\sqrt{\sum_i G_i^2}}$$",
        r"Adagrad takes it with what is known: $\eta$ for B, and for the sum that of the "
        "gradients so far, S. Each entry has a rate of its own, large where its gradients were "
        "small or rare. The code lets the rate fall by itself too, if `lr_decay` says so, and "
        r"$\epsilon$ keeps it from a division by 0.",
    ),
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
