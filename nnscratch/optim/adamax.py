"""Adamax."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nnscratch.array.maths import absolute, flushed, maximum
from nnscratch.formulas import formula
from nnscratch.optim.optimizer import Optimizer, check_switches


def adamax_update(
    P: Any,
    G: Any,
    M: Any,
    U: Any,
    *,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    maximize: bool = False,
    step: int,
) -> tuple[Any, Any, Any]:
    """Return P, M and U after a step of Adamax, Adam with a maximum in the place of the root."""
    if maximize:
        G = -G
    if weight_decay:
        G = G + weight_decay * P
    M = flushed(M + (1.0 - beta1) * (G - M))
    U = maximum(beta2 * U, absolute(G) + eps)
    return P - lr / (1.0 - beta1**step) * M / U, M, U


ADAMAX = formula(
    adamax_update,
    equation=r"M \leftarrow \beta_1 M + (1 - \beta_1) G, \quad U \leftarrow \max(\beta_2 U,"
    r" |G| + \epsilon), \quad P \leftarrow P - \frac{\eta}{1 - \beta_1^t} \frac{M}{U}",
    shapes="P, G, M and U (any, the same) -> P, M, U",
    source="Kingma and Ba 2015, arXiv:1412.6980, section 7.1",
    updates=("P", "M", "U"),
    elementwise=True,
    derivation=(
        "Adam divides by the root of a mean of squares. The same with a power p, written out as "
        r"Adam's page does it: $$V_t = (1 - \beta_2^p) \sum_{i \le t} \beta_2^{p (t - i)} |G_i|^p "
        r"\\ U_t = V_t^{1/p}$$",
        r"With $a_i = \beta_2^{t - i} |G_i|$, how large each is after its age: $$U_t = (1 - "
        r"\beta_2^p)^{1/p} \left( \sum_{i \le t} a_i^p \right)^{1/p}$$",
        r"Now let p grow. The sum is at least its largest term and at most t times that: $$\max_i "
        r"a_i \le \left( \sum_i a_i^p \right)^{1/p} \le t^{1/p} \max_i a_i$$ Both $t^{1/p}$ and "
        "the factor before the sum tend to 1, so that U becomes the largest $a_i$.",
        r"All but the last are $\beta_2$ times what they were one step before, so that this can "
        r"be kept step by step: $$U_t = \max(\beta_2 U_{t-1}, |G_t|)$$ The code adds $\epsilon$ "
        "to $|G|$, and U is never 0.",
        "A maximum has no weights that would have to add up to 1. M has, and is divided by $1 - "
        r"\beta_1^t$ as in Adam.",
    ),
)


class Adamax(Optimizer):
    r"""Adam by the largest gradient of late in the place of the root mean square.

    $$m \leftarrow \beta_1 m + (1-\beta_1) g,\quad u \leftarrow \max(\beta_2 u, |g| + \epsilon),
    \quad p \leftarrow p - \frac{\eta}{1 - \beta_1^t} \frac{m}{u}$$

    Args:
        params: parameters, or groups of them.
        lr: η, a number or a tensor of one.
        betas: β₁ and β₂.
        eps: ε, added to |g|.
        weight_decay: λ, for the λ p that is added to g.
        maximize: climb instead of descending.
        foreach, capturable: PyTorch's ways to take the same step, of which there is one here; they
            change nothing.

    Raises:
        ConfigurationError: if a value makes no sense.
    """

    formula = ADAMAX

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
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
                "maximize": maximize,
            },
        )

    def state_names(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the names of m and u."""
        return ("exp_avg", "exp_inf")
