"""RAdam."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nnscratch.array.maths import flushed, sqrt
from nnscratch.formulas import formula
from nnscratch.optim.flat import FlatParameters, Run
from nnscratch.optim.optimizer import Optimizer, check_switches


def rectification(beta2: float, step: int) -> float:
    r"""Return $r_t$, by which a step is shortened while few gradients were seen; 0 for very few.

    With $\rho_\infty = 2 / (1 - \beta_2) - 1$ and
    $\rho_t = \rho_\infty - 2 t \beta_2^t / (1 - \beta_2^t)$ it is the root of
    $\frac{(\rho_t - 4)(\rho_t - 2) \rho_\infty}{(\rho_\infty - 4)(\rho_\infty - 2) \rho_t}$ where
    $\rho_t > 5$.

    >>> rectification(0.999, 1), round(rectification(0.999, 6), 6)
    (0.0, 0.025821)
    """
    most = 2.0 / (1.0 - beta2) - 1.0
    now = most - 2.0 * step * beta2**step / (1.0 - beta2**step)
    if now <= 5.0:
        return 0.0
    root: float = ((now - 4) * (now - 2) * most / ((most - 4) * (most - 2) * now)) ** 0.5
    return root


def radam_update(
    P: Any,
    G: Any,
    M: Any,
    V: Any,
    *,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    rectified: float,
    plain: float,
    step: int,
    decoupled: bool = False,
    maximize: bool = False,
) -> tuple[Any, Any, Any]:
    """Return P, M and V after a step of RAdam.

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
        rectified: the ``rectification`` of this step times the root of 1 - beta2^t.
        plain: 1 where the step is along M alone, for there is no rectification yet, else 0.
        step: the number of this step, from 1.
        decoupled: whether the decay is taken from P.
        maximize: whether to ascend.
    """
    if maximize:
        G = -G
    if weight_decay:
        if decoupled:
            P = P * (1.0 - lr * weight_decay)
        else:
            G = G + weight_decay * P
    M = flushed(M + (1.0 - beta1) * (G - M))
    V = flushed(beta2 * V + (1.0 - beta2) * G * G)
    # One of the two numbers is 0. With ``plain`` below, nothing is divided by 0 without an eps.
    scale = plain + rectified / (sqrt(V) + (eps + plain))
    return P - lr / (1.0 - beta1**step) * M * scale, M, V


RADAM = formula(
    radam_update,
    equation=r"P \leftarrow P - \frac{\eta\, r_t}{1 - \beta_1^t}"
    r" \frac{M}{(\sqrt{V} + \epsilon) / \sqrt{1 - \beta_2^t}}, \quad"
    r" \text{or } P - \frac{\eta}{1 - \beta_1^t} M \text{ while } \rho_t \le 5",
    shapes="P, G, M and V (any, the same) -> P, M, V",
    source="Liu and others 2020, arXiv:1908.03265",
    updates=("P", "M", "V"),
    elementwise=True,
)


class RAdam(Optimizer):
    r"""Adam whose first steps are shorter, for V is not known well yet.

    $$p \leftarrow p - \frac{\eta\, r_t}{1-\beta_1^t}
    \frac{m \sqrt{1-\beta_2^t}}{\sqrt{v} + \epsilon}$$

    with the running means m of g and v of g² as in Adam and the ``rectification`` $r_t$; where
    there is none yet, $p \leftarrow p - \eta\, m / (1 - \beta_1^t)$.

    Args:
        params: parameters, or groups of them.
        lr: η, a number or a tensor of one.
        betas: β₁ and β₂.
        eps: ε, outside of the root.
        weight_decay: λ.
        decoupled_weight_decay: take λ p off the parameter instead of adding it to g.
        maximize: climb instead of descending.
        foreach, capturable: PyTorch's ways to take the same step, of which there is one here; they
            change nothing.

    Raises:
        ConfigurationError: if a value makes no sense.
    """

    formula = RADAM

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
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
                "maximize": maximize,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
        )

    def state_names(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the names of m and v."""
        return ("exp_avg", "exp_avg_sq")

    def advance(self, group: Mapping[str, Any], flat: FlatParameters, run: Run) -> dict[str, Any]:
        """Count the step, and say how much it is shortened."""
        options = super().advance(group, flat, run)
        beta2, step = options["beta2"], options["step"]
        factor = rectification(beta2, step)
        rectified = factor * (1.0 - beta2**step) ** 0.5
        return {**options, "rectified": rectified, "plain": float(factor == 0.0)}
