"""Adam and AdamW."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from nnscratch.array.maths import flushed, maximum, sqrt
from nnscratch.formulas import formula
from nnscratch.optim.optimizer import Optimizer, check_switches


def adam_update(
    P: Any,
    G: Any,
    M: Any,
    V: Any,
    Vmax: Any = None,
    *,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    maximize: bool = False,
    step: int,
) -> tuple[Any, Any, Any, Any]:
    """Return P, M, V and Vmax after a step of Adam, or with ``decoupled`` of AdamW.

    Args:
        P: the parameter.
        G: its gradient.
        M: the running mean of G.
        V: the running mean of G².
        Vmax: the largest V so far, for AMSGrad; else None.
        lr: the learning rate.
        beta1: how much of M is kept.
        beta2: how much of V is kept.
        eps: added to the root.
        weight_decay: added to the gradient, or taken from P if ``decoupled``.
        decoupled: whether it is AdamW.
        maximize: whether to ascend.
        step: the number of this step, from 1.
    """
    # Above and below the fraction stands the root of 1 - beta2^t: a division less for each entry.
    root = math.sqrt(1.0 - beta2**step)
    size = lr / (1.0 - beta1**step) * root
    if maximize:
        G = -G
    if decoupled:
        P = P * (1.0 - lr * weight_decay)
    elif weight_decay:
        G = G + weight_decay * P
    M = flushed(M + (1.0 - beta1) * (G - M))
    V = flushed(beta2 * V + (1.0 - beta2) * G * G)
    largest = V
    if Vmax is not None:
        Vmax = maximum(Vmax, V)
        largest = Vmax
    return P - size * M / (sqrt(largest) + eps * root), M, V, Vmax


ADAM = formula(
    adam_update,
    equation=r"M \leftarrow \beta_1 M + (1 - \beta_1) G, \quad V \leftarrow \beta_2 V +"
    r" (1 - \beta_2) G^2, \quad P \leftarrow P - \frac{\eta}{1 - \beta_1^t}"
    r" \frac{M}{\sqrt{V} / \sqrt{1 - \beta_2^t} + \epsilon}",
    shapes="P, G, M, V and Vmax (any, the same) -> P, M, V, Vmax",
    source="Kingma and Ba 2015, arXiv:1412.6980; Reddi, Kale and Kumar 2018 (AMSGrad); "
    "Loshchilov and Hutter 2019, arXiv:1711.05101 (AdamW)",
    updates=("P", "M", "V", "Vmax"),
    elementwise=True,
    derivation=(
        "M is a running mean of the gradients. Written out, with all that went in: $$M_t = "
        r"(1 - \beta_1) \sum_{i \le t} \beta_1^{t - i} G_i$$",
        r"It starts at 0, so its weights do not add up to 1 but to $$(1 - \beta_1) \sum_{i "
        r"\le t} \beta_1^{t - i} = 1 - \beta_1^t$$",
        "Divided by that, it is a mean from the first step on. V is the same of the squares: "
        r"$$\hat M = \frac{M}{1 - \beta_1^t} \\ \hat V = \frac{V}{1 - \beta_2^t}$$",
        "The step is the mean over the root of the mean square. Gradients that agree make it "
        r"$\eta$ whatever their size is, those that do not agree make it small: $$P "
        r"\leftarrow P - \eta \frac{\hat M}{\sqrt{\hat V} + \epsilon}$$",
        r"As it stands in the code, the two divisors are put together with $\eta$ and with "
        "the root.",
    ),
)


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

    formula = ADAM
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
