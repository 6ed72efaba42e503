"""NAdam."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from nnscratch.array.maths import flushed, sqrt
from nnscratch.formulas import formula
from nnscratch.formulas.momentum import nadam_momentum
from nnscratch.optim.flat import FlatParameters, Run
from nnscratch.optim.optimizer import Optimizer, check_switches


def nadam_update(
    P: Any,
    G: Any,
    M: Any,
    V: Any,
    *,
    lr: float = 2e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum_decay: float = 4e-3,
    mu_product: float,
    step: int,
    decoupled: bool = False,
    maximize: bool = False,
) -> tuple[Any, Any, Any]:
    """Return P, M and V after a step of NAdam.

    Args:
        P: the parameter.
        G: its gradient.
        M: the running mean of G.
        V: the running mean of G².
        lr: the learning rate.
        beta1: how much of M is kept.
        beta2: how much of V is kept.
        eps: added to the root.
        weight_decay: added to the gradient, or taken from P if ``decoupled``.
        momentum_decay: how fast the momentum warms up.
        mu_product: the product of ``nadam_momentum`` over all steps up to and with this one.
        step: the number of this step, from 1.
        decoupled: whether the decay is taken from P.
        maximize: whether to ascend.
    """
    mu = nadam_momentum(beta1, momentum_decay, step)
    mu_next = nadam_momentum(beta1, momentum_decay, step + 1)
    if maximize:
        G = -G
    if decoupled:
        P = P * (1.0 - lr * weight_decay)
    elif weight_decay:
        G = G + weight_decay * P
    M = flushed(M + (1.0 - beta1) * (G - M))
    V = flushed(beta2 * V + (1.0 - beta2) * G * G)
    rooted = sqrt(V / (1.0 - beta2**step)) + eps
    P = P - lr * (1.0 - mu) / (1.0 - mu_product) * G / rooted
    return P - lr * mu_next / (1.0 - mu_product * mu_next) * M / rooted, M, V


NADAM = formula(
    nadam_update,
    equation=r"\mu_t = \beta_1 (1 - \tfrac{1}{2} 0.96^{t d}), \quad P \leftarrow P - \eta"
    r" \frac{\frac{1 - \mu_t}{1 - \prod_{i \le t} \mu_i} G + \frac{\mu_{t+1}}"
    r"{1 - \prod_{i \le t+1} \mu_i} M}{\sqrt{V / (1 - \beta_2^t)} + \epsilon}",
    shapes="P, G, M and V (any, the same) -> P, M, V",
    source="Dozat 2016",
    updates=("P", "M", "V"),
    elementwise=True,
    derivation=(
        r"Take a running mean whose share $\mu_t$ changes from step to step: $$M_t = \mu_t "
        r"M_{t-1} + (1 - \mu_t) G_t$$",
        "It starts at 0. What its weights $w_t$ lack of 1 follows from the same line, with 1 for "
        r"every gradient: $$w_t = \mu_t w_{t-1} + 1 - \mu_t \\ 1 - w_t = \mu_t (1 - w_{t-1}) = "
        r"\prod_{i \le t} \mu_i$$",
        r"Divided by them it is a mean, in which the last gradient has a part by itself: $$\hat "
        r"M_t = \frac{\mu_t M_{t-1} + (1 - \mu_t) G_t}{1 - \prod_{i \le t} \mu_i}$$",
        "Nesterov's momentum looks one step ahead: the part of the gradient stays, and in the "
        r"place of the old mean stands what will be the old mean in the next step: $$\frac{(1 - "
        r"\mu_t) G_t}{1 - \prod_{i \le t} \mu_i} + \frac{\mu_{t+1} M_t}{1 - \prod_{i \le t+1} "
        r"\mu_i}$$",
        r"That over the root of V, as in Adam, is the step. $\mu_t$ grows from about half of "
        r"$\beta_1$ to $\beta_1$, as the power of 0.96 falls to 0. As in PyTorch, the code makes "
        r"M itself with $\beta_1$ from the first step on.",
    ),
)


class NAdam(Optimizer):
    r"""Adam with Nesterov's momentum, which warms up (Dozat 2016).

    $$\mu_t = \beta_1 (1 - \tfrac{1}{2}\, 0.96^{t \psi}),\quad
    p \leftarrow p - \frac{\eta}{\sqrt{v / (1-\beta_2^t)} + \epsilon}
    \left(\frac{(1-\mu_t)\, g}{1 - \prod_{i \le t} \mu_i}
    + \frac{\mu_{t+1}\, m}{1 - \prod_{i \le t+1} \mu_i}\right)$$

    with the running means m of g and v of g² as in Adam.

    Args:
        params: parameters, or groups of them.
        lr: η, a number or a tensor of one.
        betas: β₁ and β₂.
        eps: ε, outside of the root.
        weight_decay: λ.
        momentum_decay: ψ.
        decoupled_weight_decay: take λ p off the parameter instead of adding it to g.
        maximize: climb instead of descending.
        foreach, fused, capturable: PyTorch's ways to take the same step, of which there is one
            here; they change nothing.

    Raises:
        ConfigurationError: if a value makes no sense.
    """

    formula = NADAM
    numbers: ClassVar[dict[str, float]] = {"mu_product": 1.0}

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        """Make the optimizer with PyTorch's defaults."""
        check_switches(differentiable, foreach)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": tuple(betas),
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum_decay": momentum_decay,
                "decoupled_weight_decay": decoupled_weight_decay,
                "maximize": maximize,
            },
        )

    def state_names(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the names of m and v."""
        return ("exp_avg", "exp_avg_sq")

    def advance(self, group: Mapping[str, Any], flat: FlatParameters, run: Run) -> dict[str, Any]:
        """Count the step and multiply the momentum of this one into the product."""
        options = super().advance(group, flat, run)
        mu = nadam_momentum(group["betas"][0], group["momentum_decay"], options["step"])
        product = flat.numbers["mu_product"][run.first] * mu
        flat.numbers["mu_product"][run.first : run.last] = [product] * (run.last - run.first)
        return {**options, "mu_product": product}
