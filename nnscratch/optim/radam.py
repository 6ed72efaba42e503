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
    derivation=(
        "M and V are those of Adam, but after few steps V is made of few squares, and $1 / "
        r"\sqrt{V}$ is mostly chance. To how many does it come? In V a square of the age k weighs "
        r"as $\beta_2^k$, so their mean age is $$\frac{\sum_{k < t} k \beta_2^k}{\sum_{k < t} "
        r"\beta_2^k} = \frac{\beta_2}{1 - \beta_2} - \frac{t \beta_2^t}{1 - \beta_2^t}$$",
        r"In a plain mean of $\rho$ squares it is $(\rho - 1) / 2$. So V is like a plain mean of "
        r"so many: $$\rho_t = \frac{2}{1 - \beta_2} - 1 - \frac{2 t \beta_2^t}{1 - \beta_2^t}$$ "
        r"That grows to $\rho_\infty = \frac{2}{1 - \beta_2} - 1$.",
        "If they are squares of normal numbers of variance 1, their sum Q has a density in "
        r"proportion to $Q^{\rho/2 - 1} e^{-Q/2}$. Integrated by parts it gives the mean E of $1 "
        r"/ Q$ and of its square, and with them those of $1 / V = \rho / Q$: $$\mathrm{E} "
        r"\frac{1}{Q} = \frac{1}{\rho - 2} \\ \mathrm{E} \frac{1}{Q^2} = \frac{1}{(\rho - 2) "
        r"(\rho - 4)} \\ \mathrm{E} \frac{1}{V} = \frac{\rho}{\rho - 2} \\ \mathrm{Var} "
        r"\frac{1}{V} = \frac{2 \rho^2}{(\rho - 2)^2 (\rho - 4)}$$",
        r"To first order a root divides a variance by four times the mean, as $(\sqrt{x})' = 1 / "
        r"(2 \sqrt{x})$: $$\mathrm{Var} \frac{1}{\sqrt{V}} \approx \frac{\rho}{2 (\rho - 2) (\rho "
        "- 4)}$$",
        "The factor $r_t$ makes it as small as it will be in the end: $$r_t^2 = "
        r"\frac{\rho_\infty}{(\rho_\infty - 2) (\rho_\infty - 4)} \cdot \frac{(\rho_t - 2) "
        r"(\rho_t - 4)}{\rho_t}$$",
        r"There is no such variance for $\rho \le 4$. The code, as PyTorch does, trusts it above "
        "5, and steps along the mean alone before.",
    ),
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
