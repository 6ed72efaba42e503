"""RMSprop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nnscratch.array.maths import flushed, sqrt
from nnscratch.formulas import formula
from nnscratch.optim.optimizer import Optimizer, check_switches


def rmsprop_update(
    P: Any,
    G: Any,
    V: Any,
    M: Any = None,
    Gavg: Any = None,
    *,
    lr: float,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    centered: bool = False,
    maximize: bool = False,
) -> tuple[Any, Any, Any, Any]:
    """Return P, V, M and Gavg after a step of RMSprop.

    Args:
        P: the parameter.
        G: its gradient.
        V: the running mean of G².
        M: the momentum buffer, None without momentum.
        Gavg: the running mean of G, None unless ``centered``.
        lr: the learning rate.
        alpha: how much of V is kept.
        eps: added to the root.
        weight_decay: how much of P is added to G.
        momentum: how much of M is kept.
        centered: whether to divide by the root of the variance, not of the mean square.
        maximize: whether to ascend.
    """
    if maximize:
        G = -G
    if weight_decay:
        G = G + weight_decay * P
    V = flushed(alpha * V + (1.0 - alpha) * G * G)
    mean_square = V
    if centered and Gavg is not None:
        Gavg = flushed(Gavg + (1.0 - alpha) * (G - Gavg))
        mean_square = V - Gavg * Gavg
    if M is not None and momentum:
        M = flushed(momentum * M + G / (sqrt(mean_square) + eps))
        return P - lr * M, V, M, Gavg
    return P - lr * G / (sqrt(mean_square) + eps), V, M, Gavg


RMSPROP = formula(
    rmsprop_update,
    equation=r"V \leftarrow \alpha V + (1 - \alpha) G^2, \quad M \leftarrow \mu M +"
    r" \frac{G}{\sqrt{V} + \epsilon}, \quad P \leftarrow P - \eta M",
    shapes="P, G, V, M and Gavg (any, the same) -> P, V, M, Gavg",
    source="Tieleman and Hinton 2012; Graves 2013, arXiv:1308.0850 (centered)",
    updates=("P", "V", "M", "Gavg"),
    elementwise=True,
    derivation=(
        r"V is a running mean of the squares, in which the last $\frac{1}{1 - \alpha}$ or so "
        r"count. Written out, with all that went in: $$V_t = (1 - \alpha) \sum_{i \le t} "
        r"\alpha^{t - i} G_i^2$$",
        r"It starts at 0, so its weights add up to $1 - \alpha^t$ only. Adam divides by that; "
        r"here it is left, and the first steps are longer: the very first by $\frac{1}{\sqrt{1 - "
        r"\alpha}}$.",
        "Gradients k times as large make the root of V k times as large. In the quotient that "
        r"cancels, and where they keep their size, a step is $\eta$ long whatever it is: "
        r"$$\frac{k G}{\sqrt{k^2 V}} = \frac{G}{\sqrt{V}}$$",
        r"With `momentum` M adds the quotients up, each $\mu$ times as heavy as the one after it; "
        r"of those that are equal it makes $\frac{1}{1 - \mu}$ times one. Without it M is the "
        "quotient itself.",
        r"With `centered` the mean $\overline{G}$ of the gradients is kept too, and the divisor "
        r"is the root of their variance. Where weights add up to 1, that is $$\overline{(G - "
        r"\overline{G})^2} = \overline{G^2} - 2 \overline{G} \, \overline{G} + \overline{G}^2 = V "
        r"- \overline{G}^2$$",
    ),
)


class RMSprop(Optimizer):
    r"""Steps by the gradient over the root of its square's running mean (Hinton 2012).

    $$v \leftarrow \alpha v + (1-\alpha) g^2,\quad
    p \leftarrow p - \eta \frac{g}{\sqrt{v} + \epsilon}$$

    With ``momentum`` the fraction is added up in a buffer, which is what p steps along; with
    ``centered`` the square of the gradient's running mean is taken off v.

    Args:
        params: parameters, or groups of them.
        lr: η, a number or a tensor of one.
        alpha: α.
        eps: ε, outside of the root.
        weight_decay: λ, for the λ p that is added to g.
        momentum: how much of the buffer is kept.
        centered: whether v is a variance.
        maximize: climb instead of descending.
        foreach, fused, capturable: PyTorch's ways to take the same step, of which there is one
            here; they change nothing.

    Raises:
        ConfigurationError: if a value makes no sense.
    """

    formula = RMSPROP

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        """Make the optimizer with PyTorch's defaults."""
        check_switches(differentiable, foreach)
        super().__init__(
            params,
            {
                "lr": lr,
                "alpha": alpha,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "centered": centered,
                "maximize": maximize,
            },
        )

    def state_names(self, group: Mapping[str, Any]) -> tuple[str | None, ...]:
        """Return the names of v, the buffer and the running mean, None for what is not kept."""
        return (
            "square_avg",
            "momentum_buffer" if group["momentum"] else None,
            "grad_avg" if group["centered"] else None,
        )
