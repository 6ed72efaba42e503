"""Adam for embeddings, of which a batch touches few rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from nnscratch.array import array_namespace
from nnscratch.formulas import formula
from nnscratch.optim.by_parameter import ParameterOptimizer
from nnscratch.tensors import Tensor


def sparse_adam_update(
    P: Any,
    G: Any,
    M: Any,
    V: Any,
    *,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    maximize: bool = False,
    step: int,
) -> tuple[Any, Any, Any]:
    """Return P, M and V after a step of Adam in the rows whose gradient is not 0 alone.

    Args:
        P: the parameter, (R, ...).
        G: its gradient.
        M: the running mean of G in each row.
        V: the running mean of G² in each row.
        lr: the learning rate.
        beta1: how much of M is kept.
        beta2: how much of V is kept.
        eps: added to the root.
        maximize: whether to ascend.
        step: the number of this step, from 1.
    """
    xp = array_namespace(P)
    touched = G != 0
    if G.ndim > 1:
        touched = xp.any(touched, axis=tuple(range(1, G.ndim)), keepdims=True)
    if maximize:
        G = -G
    M = xp.where(touched, M + (1.0 - beta1) * (G - M), M)
    V = xp.where(touched, V + (1.0 - beta2) * (G * G - V), V)
    size = lr * math.sqrt(1.0 - beta2**step) / (1.0 - beta1**step)
    return xp.where(touched, P - size * (M / (xp.sqrt(V) + eps)), P), M, V


SPARSE_ADAM = formula(
    sparse_adam_update,
    equation=r"M_r \leftarrow \beta_1 M_r + (1 - \beta_1) G_r, \quad V_r \leftarrow \beta_2 V_r +"
    r" (1 - \beta_2) G_r^2, \quad P_r \leftarrow P_r - \eta \frac{\sqrt{1 - \beta_2^t}}"
    r"{1 - \beta_1^t} \frac{M_r}{\sqrt{V_r} + \epsilon} \quad \text{where } G_r \ne 0",
    shapes="P, G, M and V (R, ...) -> P, M, V",
    source="Kingma and Ba 2015, arXiv:1412.6980, on rows",
    updates=("P", "M", "V"),
    derivation=(
        "In the rows r that have a gradient this is Adam, whose page derives it; the two divisors "
        r"are put together, and $\epsilon$ is added to the root of V as it is: $$\frac{M / (1 - "
        r"\beta_1^t)}{\sqrt{V / (1 - \beta_2^t)}} = \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t} "
        r"\frac{M}{\sqrt{V}}$$",
        r"In a row without one, Adam would put a gradient of 0 into the means, $M \leftarrow "
        r"\beta_1 M$, and step along what is left of M: a word would move though no batch holds "
        "it. Here M, V and P stay.",
        "So the means of a row are over the steps that touched it, but t counts all steps. A row "
        "that is touched for the first time late, when the divisors are near 1, makes a step "
        r"longer than $\eta$: $$\frac{(1 - \beta_1) G}{\sqrt{(1 - \beta_2) G^2}} = \frac{1 - "
        r"\beta_1}{\sqrt{1 - \beta_2}} \mathrm{sign}(G)$$ With the usual values that is 3.2 times "
        "as long.",
    ),
)


class SparseAdam(ParameterOptimizer):
    r"""Adam that leaves alone the rows without a gradient: the words that a batch does not hold.

    PyTorch's takes sparse gradients alone, and counts as touched what these hold. Gradients are
    dense here: a row (everything at one index of the first dimension) is touched where its gradient
    is not 0 throughout. With Adam the running means of all other rows would go on falling, and
    their values moving.

    Args:
        params: parameters, or groups of them.
        lr: η, a number or a tensor of one, above 0.
        betas: β₁ and β₂.
        eps: ε, outside of the root, above 0.
        maximize: climb instead of descending.

    Raises:
        ConfigurationError: if a value makes no sense.
    """

    update = SPARSE_ADAM
    takes_any = False  # of weights that are touched in part, as embeddings are
    limits = (
        ("lr", 5e-324, float("inf")),
        ("eps", 5e-324, float("inf")),
        ("betas", 0.0, 1.0),
    )

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ) -> None:
        """Make the optimizer with PyTorch's defaults."""
        defaults = {"lr": lr, "betas": tuple(betas), "eps": eps, "maximize": maximize}
        super().__init__(params, defaults)

    def state_shapes(
        self, group: Mapping[str, Any], shape: tuple[int, ...]
    ) -> dict[str, tuple[int, ...] | None]:
        """Return the shapes of m and v."""
        return {"exp_avg": shape, "exp_avg_sq": shape}

    def options_of(self, group: Mapping[str, Any], parameter: Tensor, step: int) -> dict[str, Any]:
        """Return the options of the formula."""
        beta1, beta2 = group["betas"]
        rest = {"eps": group["eps"], "maximize": group["maximize"], "step": step}
        return {"lr": float(group["lr"]), "beta1": beta1, "beta2": beta2, **rest}
