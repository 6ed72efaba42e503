"""Rprop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nnscratch.array.maths import maximum, minimum, sign, where
from nnscratch.errors import ConfigurationError
from nnscratch.formulas import formula
from nnscratch.optim.flat import FlatParameters, Run
from nnscratch.optim.optimizer import Optimizer, check_switches


def rprop_update(
    P: Any,
    G: Any,
    B: Any,
    D: Any,
    *,
    less: float = 0.5,
    more: float = 1.2,
    least: float = 1e-6,
    most: float = 50.0,
    maximize: bool = False,
) -> tuple[Any, Any, Any]:
    """Return P, B and D after a step of Rprop.

    Args:
        P: the parameter.
        G: its gradient.
        B: the gradient before, 0 where it has turned.
        D: the size of the step.
        less: what D is multiplied by where the gradient has turned.
        more: what D is multiplied by where it has not.
        least: the least D.
        most: the largest D.
        maximize: whether to ascend.
    """
    if maximize:
        G = -G
    S = G * B
    D = where(S > 0.0, more * D, where(S < 0.0, less * D, D))
    D = minimum(maximum(D, least), most)
    G = where(S < 0.0, 0.0, G)
    return P - sign(G) * D, G, D


RPROP = formula(
    rprop_update,
    equation=r"D \leftarrow D \begin{cases} \eta_+ & G B > 0 \\ \eta_- & G B < 0 \\ 1 & \text{else}"
    r" \end{cases}, \quad B \leftarrow G [G B \ge 0], \quad P \leftarrow P - D \odot"
    r" \mathrm{sign}\, B",
    shapes="P, G, B and D (any, the same) -> P, B, D",
    source="Riedmiller and Braun 1993",
    updates=("P", "B", "D"),
    elementwise=True,
    derivation=(
        "The sign of a gradient says on which side the minimum is, its size does not say how far: "
        "L times 1000 has the same minimum. So each entry of P has a step of a size D of its own, "
        r"against the sign: $$P \leftarrow P - D \odot \mathrm{sign}\, G$$",
        "Two gradients with the same sign are on one side of the minimum, and D may be larger; "
        "with different signs it was stepped over, and D has to be smaller. The product of both "
        r"says which it is: $$D \leftarrow D \begin{cases} \eta_+ & G B > 0 \\ \eta_- & G B < 0 "
        r"\\ 1 & \text{else} \end{cases}$$",
        r"Where a gradient has turned, B becomes 0. As $\mathrm{sign}(0) = 0$ there is no step "
        "then, and as the next product is 0, D is not made smaller twice for one turn.",
        "The code keeps D between the two `step_sizes`: it can neither die away nor grow for ever.",
    ),
)


class Rprop(Optimizer):
    r"""Steps by the signs of the gradients; each size grows until its gradient turns.

    $$d \leftarrow d \begin{cases} \eta_+ & g\, b > 0 \\ \eta_- & g\, b < 0 \end{cases},\quad
    b \leftarrow g\, [g\, b \ge 0],\quad p \leftarrow p - d\, \mathrm{sign}\, b$$

    It wants gradients of the whole data set: those of batches turn by chance.

    Args:
        params: parameters, or groups of them.
        lr: the first d, a number or a tensor of one.
        etas: η₋ and η₊.
        step_sizes: the least and the largest d.
        maximize: climb instead of descending.
        foreach, capturable: PyTorch's ways to take the same step, of which there is one here; they
            change nothing.

    Raises:
        ConfigurationError: if a value makes no sense.
    """

    formula = RPROP

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
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
                "etas": tuple(etas),
                "step_sizes": tuple(step_sizes),
                "maximize": maximize,
            },
        )

    def check(self, group: Mapping[str, Any]) -> None:
        """Check a group's hyper-parameters."""
        super().check(group)
        less, more = group["etas"]
        if not 0.0 < less < 1.0 < more:
            raise ConfigurationError(
                f"Rprop: etas are one number between 0 and 1 and one above 1, got {group['etas']}"
            )

    def state_names(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the names of b and d."""
        return ("prev", "step_size")

    def advance(self, group: Mapping[str, Any], flat: FlatParameters, run: Run) -> dict[str, Any]:
        """Return the options; the sizes start from the rate as it is before the first step."""
        if flat.steps[run.first] == 0:
            flat.of_state("step_size", flat.part(run))[...] = float(group["lr"])
        return super().advance(group, flat, run)

    def options(self, group: Mapping[str, Any]) -> dict[str, Any]:
        """Return the formula's options."""
        less, more = group["etas"]
        least, most = group["step_sizes"]
        bounds = {"least": float(least), "most": float(most)}
        return {"less": less, "more": more, **bounds, "maximize": group["maximize"]}
