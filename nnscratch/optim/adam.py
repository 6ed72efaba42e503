"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from nnscratch import formulas as f
from nnscratch.optim.optimizer import Optimizer, check_switches


class Adam(Optimizer):
    r"""Adam (Kingma and Ba 2015): steps by the gradient's mean over the root of its square's mean.

    $$m \leftarrow \beta_1 m + (1-\beta_1) g,\quad v \leftarrow \beta_2 v + (1-\beta_2) g^2,\quad
    p \leftarrow p - \frac{\eta}{1-\beta_1^t} \frac{m}{\sqrt{v / (1-\beta_2^t)} + \epsilon}$$

    Weight decay is added to the gradient; AdamW takes it off the parameter instead.

    Args:
        params: parameters, or groups of them.
        lr: η, a number or a tensor of one.
        betas: β₁ and β₂.
        eps: ε, outside of the root.
        weight_decay: λ.
        amsgrad: divide by the largest v so far.
        maximize: climb instead of descending.
        foreach, fused, capturable: PyTorch's ways to take the same step, of which there is one
            here; they change nothing.
        decoupled_weight_decay: take λ p off the parameter instead, as AdamW does.
    """

    formula = f.ADAM
    decoupled: ClassVar[bool] = False

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool | None = None,
    ) -> None:
        """Make the optimizer with PyTorch's defaults."""
        check_switches(differentiable, foreach, fused)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": tuple(betas),
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
                "decoupled_weight_decay": self.decoupled
                if decoupled_weight_decay is None
                else decoupled_weight_decay,
            },
        )

    def state_names(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the names of m, v and, with amsgrad, the largest v."""
        names = ("exp_avg", "exp_avg_sq")
        return (*names, "max_exp_avg_sq") if group["amsgrad"] else names

    def options(self, group: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options of the formula ``adam``."""
        beta1, beta2 = group["betas"]
        # Written out: a compiled step of a small network asks for them every ten microseconds.
        return {
            "lr": group["lr"],
            "beta1": beta1,
            "beta2": beta2,
            "eps": group["eps"],
            "weight_decay": group["weight_decay"],
            "decoupled": group.get("decoupled_weight_decay", self.decoupled),
            "maximize": group["maximize"],
        }


class AdamW(Adam):
    """Adam with the weight decay taken off the parameter first (Loshchilov and Hutter 2019)."""

    decoupled = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        """Make the optimizer with PyTorch's defaults."""
        check_switches(differentiable, foreach, fused)
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
