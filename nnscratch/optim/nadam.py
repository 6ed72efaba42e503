"""NAdam."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from nnscratch import formulas as f
from nnscratch.formulas.optimizers import nadam_momentum
from nnscratch.optim.flat import FlatParameters, Run
from nnscratch.optim.optimizer import Optimizer, check_switches


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

    formula = f.NADAM
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
