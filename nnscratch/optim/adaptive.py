"""Optimizers that divide by a root of squared gradients: RMSprop, Adagrad, Adadelta."""

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

    def options(self, group: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options of the formula ``rmsprop``."""
        return {name: group[name] for name in self.defaults}


class Adagrad(Optimizer):
    r"""Steps by the gradient over the root of the sum of all its squares (Duchi et al. 2011).

    $$s \leftarrow s + g^2,\quad
    p \leftarrow p - \frac{\eta}{1 + (t-1)\,\delta} \frac{g}{\sqrt{s} + \epsilon}$$

    Args:
        params: parameters, or groups of them.
        lr: η, a number or a tensor of one.
        lr_decay: δ.
        weight_decay: λ, for the λ p that is added to g.
        initial_accumulator_value: what s starts from.
        eps: ε, outside of the root.
        maximize: climb instead of descending.
        foreach, fused, capturable: PyTorch's ways to take the same step, of which there is one
            here; they change nothing.

    Raises:
        ConfigurationError: if a value makes no sense.
    """

    formula = f.ADAGRAD

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        """Make the optimizer with PyTorch's defaults."""
        check_switches(differentiable, foreach, fused)
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "eps": eps,
                "maximize": maximize,
            },
        )

    def state_names(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the name of s."""
        return ("sum",)

    def initial_state(self, group: Mapping[str, Any]) -> dict[str, float]:
        """Return what s starts from."""
        # As in PyTorch that of the optimizer, whatever a group says.
        return {"sum": self.defaults["initial_accumulator_value"]}

    def options(self, group: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options of the formula ``adagrad``."""
        unused = "initial_accumulator_value"
        return {name: group[name] for name in self.defaults if name != unused}


class Adadelta(Optimizer):
    r"""Steps whose size follows from the steps before (Zeiler 2012).

    $$v \leftarrow \rho v + (1-\rho) g^2,\quad
    \Delta = \frac{\sqrt{d + \epsilon}}{\sqrt{v + \epsilon}}\, g,\quad
    d \leftarrow \rho d + (1-\rho) \Delta^2,\quad p \leftarrow p - \eta \Delta$$

    Args:
        params: parameters, or groups of them.
        lr: η, a number or a tensor of one.
        rho: ρ.
        eps: ε, inside of the roots.
        weight_decay: λ, for the λ p that is added to g.
        maximize: climb instead of descending.
        foreach, fused, capturable: PyTorch's ways to take the same step, of which there is one
            here; they change nothing.

    Raises:
        ConfigurationError: if a value makes no sense.
    """

    formula = f.ADADELTA

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        """Make the optimizer with PyTorch's defaults."""
        check_switches(differentiable, foreach)
        super().__init__(
            params,
            {
                "lr": lr,
                "rho": rho,
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
            },
        )

    def state_names(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the names of v and d."""
        return ("square_avg", "acc_delta")

    def options(self, group: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options of the formula ``adadelta``."""
        return {name: group[name] for name in self.defaults}
