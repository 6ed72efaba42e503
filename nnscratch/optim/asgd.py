"""Averaged stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from nnscratch.array.maths import flushed
from nnscratch.formulas import formula
from nnscratch.optim.flat import FlatParameters, Run
from nnscratch.optim.optimizer import Optimizer, check_switches


def asgd_update(
    P: Any,
    G: Any,
    A: Any,
    *,
    eta: float,
    mu: float,
    lambd: float = 1e-4,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> tuple[Any, Any]:
    """Return P and A after a step of averaged gradient descent.

    Args:
        P: the parameter.
        G: its gradient.
        A: the mean of P over the steps since ``t0``.
        eta: the rate of this step.
        mu: the share of P in its mean: 1 over the number of these steps.
        lambd: how fast P decays.
        weight_decay: how much of P is added to G.
        maximize: whether to ascend.
    """
    if maximize:
        G = -G
    if weight_decay:
        G = G + weight_decay * P
    P = P * (1.0 - lambd * eta) - eta * G
    return P, flushed((1.0 - mu) * A + mu * P)


ASGD_UPDATE = formula(
    asgd_update,
    equation=r"P \leftarrow (1 - \lambda \eta_t) P - \eta_t G, \quad"
    r" A \leftarrow A + \mu_t (P - A)",
    shapes="P, G and A (any, the same) -> P, A",
    source="Polyak and Juditsky 1992",
    updates=("P", "A"),
    elementwise=True,
    derivation=(
        r"A step against the gradient of $L + \frac{\lambda}{2} P^2$, which is $G + \lambda P$: "
        r"$$P - \eta_t (G + \lambda P) = (1 - \lambda \eta_t) P - \eta_t G$$",
        "Gradients of batches are wrong by chance, so P goes to and fro around what it tends to. "
        r"If the errors of k steps are independent, of variance $\sigma^2$, that of their mean is "
        r"smaller: $$\mathrm{Var} \frac{1}{k} \sum_i P_i = \frac{1}{k^2} k \sigma^2 = "
        r"\frac{\sigma^2}{k}$$ Those of steps near one another are alike, and it takes more of "
        "them.",
        "The mean can be kept step by step, for k times it is $k - 1$ times the one before and P: "
        r"$$k A_k = (k - 1) A_{k-1} + P_k \\ A_k = A_{k-1} + \frac{1}{k} (P_k - A_{k-1})$$",
        r"So $\mu_t = 1 / k$, where k counts the steps since `t0`; up to then it is 1, and A is P "
        r"itself. The rate falls as $\eta_t = \eta / (1 + \lambda \eta t)^\alpha$.",
    ),
)


class ASGD(Optimizer):
    r"""Gradient descent with a falling rate, and the mean of the parameters on the way.

    $$p \leftarrow (1 - \lambda \eta_t)\, p - \eta_t g,\quad a \leftarrow a + \mu_t (p - a),\quad
    \eta_t = \frac{\eta}{(1 + \lambda \eta t)^\alpha},\quad \mu_t = \frac{1}{\max(1, t - t_0)}$$

    The mean a is ``state[p]["ax"]``.

    Args:
        params: parameters, or groups of them.
        lr: η, a number or a tensor of one.
        lambd: λ.
        alpha: the power of the fall.
        t0: the step after which the mean begins.
        weight_decay: for the multiple of p that is added to g.
        maximize: climb instead of descending.
        foreach, capturable: PyTorch's ways to take the same step, of which there is one here; they
            change nothing.

    Raises:
        ConfigurationError: if a value makes no sense.
    """

    formula = ASGD_UPDATE
    numbers: ClassVar[dict[str, float]] = {"eta": 0.0, "mu": 1.0}
    limits = (("lr", 0.0, float("inf")), ("weight_decay", 0.0, float("inf")))

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0.0,
        foreach: bool | None = None,
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
                "lambd": lambd,
                "alpha": alpha,
                "t0": t0,
                "weight_decay": weight_decay,
                "maximize": maximize,
            },
        )

    def state_names(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the name of a."""
        return ("ax",)

    def advance(self, group: Mapping[str, Any], flat: FlatParameters, run: Run) -> dict[str, Any]:
        """Count the step; its rate was settled by the one before, as in PyTorch."""
        options = super().advance(group, flat, run)
        step, lr = flat.steps[run.first], float(group["lr"])
        eta = lr if step == 1 else flat.numbers["eta"][run.first]
        mu = flat.numbers["mu"][run.first]
        after = {
            "eta": lr / (1.0 + group["lambd"] * lr * step) ** group["alpha"],
            "mu": 1.0 / max(1.0, step - group["t0"]),
        }
        for name, value in after.items():
            flat.numbers[name][run.first : run.last] = [value] * (run.last - run.first)
        return {**options, "eta": eta, "mu": mu}
