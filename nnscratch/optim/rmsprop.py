"""RMSprop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nnscratch import formulas as f
from nnscratch.optim.optimizer import Optimizer, check_switches


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

    formula = f.RMSPROP

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
