"""Adafactor."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from nnscratch.array import array_namespace
from nnscratch.errors import ConfigurationError
from nnscratch.formulas import formula
from nnscratch.optim.by_parameter import ParameterOptimizer
from nnscratch.optim.optimizer import check_switches
from nnscratch.tensors import Tensor


def adafactor_update(
    P: Any,
    G: Any,
    R: Any = None,
    C: Any = None,
    V: Any = None,
    *,
    lr: float,
    beta2_decay: float = -0.8,
    eps1: float | None = None,
    eps2: float = 1e-3,
    d: float = 1.0,
    weight_decay: float = 0.0,
    maximize: bool = False,
    step: int,
) -> tuple[Any, Any, Any, Any]:
    """Return P, R, C and V after a step of Adafactor.

    Args:
        P: the parameter.
        G: its gradient.
        R: the running mean of G² over each row (..., I, 1), None of a vector.
        C: the running mean of G² over each column (..., 1, J), None of a vector.
        V: the running mean of G² of a vector, else None.
        lr: the learning rate, at most; less is taken from step 1 / lr² on.
        beta2_decay: the share of G² in its mean is step^beta2_decay.
        eps1: the least root mean square that is divided by, that of the dtype if None.
        eps2: the least root mean square of P that the step is in proportion to.
        d: the largest root mean square of what the step is in proportion to.
        weight_decay: the share of P that is taken from it, times the rate.
        maximize: whether to ascend.
        step: the number of this step, from 1.
    """
    xp = array_namespace(P)
    if maximize:
        G = -G
    least = float(xp.finfo(P.dtype).eps) if eps1 is None else eps1
    share, count = step**beta2_decay, math.prod(P.shape)
    size = xp.maximum(xp.sqrt(xp.sum(P * P)) / math.sqrt(count), eps2)
    size = size * min(lr, 1.0 / math.sqrt(step))
    if weight_decay:
        P = P * (1.0 - lr * weight_decay)
    S = G * G
    if R is not None and C is not None:
        R = R + share * (xp.mean(S, axis=-1, keepdims=True) - R)
        C = C + share * (xp.mean(S, axis=-2, keepdims=True) - C)
        mean = xp.maximum(xp.mean(R, axis=-2, keepdims=True), least)
        S = R * C / mean
    else:
        V = V + share * (S - V)
        S = V
    U = G / xp.sqrt(xp.maximum(S, least * least))
    over = xp.maximum(xp.sqrt(xp.sum(U * U)) / (math.sqrt(count) * d), 1.0)
    return P - (size / over) * U, R, C, V


ADAFACTOR = formula(
    adafactor_update,
    equation=r"R \leftarrow R + t^{-c} (\overline{G^2}_{\text{rows}} - R), \quad C \leftarrow C +"
    r" t^{-c} (\overline{G^2}_{\text{columns}} - C), \quad U = \frac{G}{\sqrt{R C / \overline{R}}},"
    r" \quad P \leftarrow P - \min(\eta, t^{-1/2}) \max(\epsilon_2, \mathrm{rms}\, P)"
    r" \frac{U}{\max(1, \mathrm{rms}\, U / d)}",
    shapes="P and G (..., I, J), R (..., I, 1), C (..., 1, J) -> P, R, C; or P, G and V (I,)",
    source="Shazeer and Stern 2018, arXiv:1804.04235",
    updates=("P", "R", "C", "V"),
    derivation=(
        "The mean square of each entry, as Adam has it, would be a matrix S as large as P. Kept "
        r"are only its means over rows and over columns: $$R_i = \frac{1}{J} \sum_j S_{ij} \\ C_j "
        r"= \frac{1}{I} \sum_i S_{ij}$$",
        r"Let r and c be numbers with the means $\rho$ and $\gamma$. If S is their product, "
        "$S_{ij} = r_i c_j$, the two give it back, with the mean $m$ of either, which is that of "
        r"all of S: $$R_i = r_i \gamma \\ C_j = \rho c_j \\ m = \rho \gamma \\ \frac{R_i C_j}{m} "
        "= r_i c_j = S_{ij}$$",
        r"Any other S is replaced by a product that has the same means: $$\frac{1}{J} \sum_j "
        r"\frac{R_i C_j}{m} = R_i \frac{m}{m} = R_i$$ A vector has no rows, and keeps V, the "
        "whole S.",
        "The share of the new squares is $t^{-c}$. It is 1 in the first step, so that weights add "
        "up to 1 from then on, and nothing has to be divided by what they lack.",
        "U, the gradient over the root, is near 1 in size, unless the means lag behind; where its "
        "root mean square is above d, it is divided down to it. A step is U times a share of the "
        r"size of P, which counts as $\epsilon_2$ if it is less: $$\min(\eta, t^{-1/2}) "
        r"\max(\epsilon_2, \mathrm{rms}(P))$$",
    ),
)


class Adafactor(ParameterOptimizer):
    r"""Adaptive steps that remember a row and a column of a matrix's squares, not all of them.

    $$r \leftarrow r + t^{-c} (\overline{g^2}_{\text{rows}} - r),\quad
    u = \frac{g}{\sqrt{r\, c^\top / \overline{r}}},\quad
    p \leftarrow p - \min(\eta, t^{-1/2}) \max(\epsilon_2, \mathrm{rms}(p))
    \frac{u}{\max(1, \mathrm{rms}(u) / d)}$$

    Args:
        params: parameters, or groups of them.
        lr: η, a number or a tensor of one.
        beta2_decay: -c.
        eps: ε₁, the least root that is divided by (that of the dtype if None), and ε₂.
        d: the largest root mean square of u.
        weight_decay: λ, for p ← (1 - η λ) p.
        foreach: PyTorch's way to take the same step; it changes nothing.
        maximize: climb instead of descending.

    Raises:
        ConfigurationError: if a value makes no sense.
    """

    update = ADAFACTOR
    limits = (("lr", 0.0, float("inf")), ("weight_decay", 0.0, float("inf")))

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        """Make the optimizer with PyTorch's defaults."""
        check_switches(False, foreach)
        super().__init__(
            params,
            {
                "lr": lr,
                "beta2_decay": beta2_decay,
                "eps": tuple(eps),
                "d": d,
                "weight_decay": weight_decay,
                "maximize": maximize,
            },
        )

    def check(self, group: Mapping[str, Any]) -> None:
        """Check a group's hyper-parameters."""
        super().check(group)
        first, second = group["eps"]
        if group["beta2_decay"] > 0 or group["d"] < 1 or second < 0 or (first or 0.0) < 0:
            raise ConfigurationError(
                "Adafactor: beta2_decay must not be above 0, d not below 1 and no eps below 0, got "
                f"{group['beta2_decay']}, {group['d']} and {group['eps']}"
            )

    def state_shapes(
        self, group: Mapping[str, Any], shape: tuple[int, ...]
    ) -> dict[str, tuple[int, ...] | None]:
        """Return the shapes of the row and the column, or of the squares of a vector."""
        if len(shape) < 2:
            return {"row_var": None, "col_var": None, "variance": shape}
        *outer, rows, columns = shape
        return {"row_var": (*outer, rows, 1), "col_var": (*outer, 1, columns), "variance": None}

    def options_of(self, group: Mapping[str, Any], parameter: Tensor, step: int) -> dict[str, Any]:
        """Return the options of the formula."""
        eps1, eps2 = group["eps"]
        names = ("beta2_decay", "d", "weight_decay", "maximize")
        rest = {name: group[name] for name in names}
        return {"lr": float(group["lr"]), "eps1": eps1, "eps2": eps2, "step": step, **rest}
