"""Muon."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from nnscratch.array import array_namespace
from nnscratch.errors import ConfigurationError
from nnscratch.formulas import formula
from nnscratch.optim.by_parameter import ParameterOptimizer
from nnscratch.tensors import Tensor


def muon_update(
    P: Any,
    G: Any,
    M: Any,
    *,
    lr: float,
    weight_decay: float = 0.1,
    momentum: float = 0.95,
    nesterov: bool = True,
    a: float = 3.4445,
    b: float = -4.775,
    c: float = 2.0315,
    eps: float = 1e-7,
    ns_steps: int = 5,
    scale: float = 1.0,
) -> tuple[Any, Any]:
    r"""Return P and M after a step of Muon, along a matrix with singular values near 1.

    Args:
        P: the parameter, a matrix.
        G: its gradient.
        M: the running mean of G.
        lr: the learning rate.
        weight_decay: the share of P that is taken from it, times the rate.
        momentum: how much of M is kept.
        nesterov: whether to look ahead.
        a: of the polynomial $a X + b X X^\top X + c (X X^\top)^2 X$.
        b: of the polynomial.
        c: of the polynomial.
        eps: the least norm that is divided by.
        ns_steps: how often the polynomial is taken.
        scale: what the rate is multiplied by, for the shape of P.
    """
    xp = array_namespace(P)
    M = M + (1.0 - momentum) * (G - M)
    X = G + momentum * (M - G) if nesterov else M
    tall = P.shape[0] > P.shape[1]
    if tall:
        X = xp.matrix_transpose(X)
    X = X / xp.maximum(xp.sqrt(xp.sum(X * X)), eps)
    for _ in range(ns_steps):
        A = xp.matmul(X, xp.matrix_transpose(X))
        X = a * X + xp.matmul(b * A + c * xp.matmul(A, A), X)
    if tall:
        X = xp.matrix_transpose(X)
    return P * (1.0 - lr * weight_decay) - (lr * scale) * X, M


MUON = formula(
    muon_update,
    equation=r"M \leftarrow \mu M + (1 - \mu) G, \quad X_0 = \frac{(1 - \mu) G + \mu M}"
    r"{|(1 - \mu) G + \mu M|}, \quad X_{k+1} = a X_k + (b X_k X_k^\top + c (X_k X_k^\top)^2) X_k,"
    r" \quad P \leftarrow (1 - \eta \lambda) P - \eta s X_5",
    shapes="P, G and M (R, C) -> P, M",
    source="Jordan 2024; Liu and others 2025, arXiv:2502.16982",
    updates=("P", "M"),
    derivation=(
        "M is a running mean of the gradients. Looking ahead, the step is along the M that would "
        r"come next if the gradient stayed the same, $X = (1 - \mu) G + \mu M$; without "
        "`nesterov`, along M.",
        "Which matrix D is best to step along? To first order $P - D$ lowers the loss by "
        r"$\sum_{ij} X_{ij} D_{ij}$. Let no D make a vector longer, which is to say that no "
        r"singular value is above 1. With the singular values $\sigma_i$ of X in a diagonal "
        r"matrix S, $$X = U S V^\top \\ \sum_{ij} X_{ij} D_{ij} = \sum_i \sigma_i (U^\top D "
        r"V)_{ii} \le \sum_i \sigma_i$$",
        r"Each entry of $U^\top D V$ is at most 1, for the columns of U and V have the length 1, "
        r"and D makes none longer. With $D = U V^\top$ those in the sum are 1, so that this is "
        "the best: X with all its singular values replaced by 1.",
        r"The polynomial needs no U and no V. As $X X^\top = U S^2 U^\top$, it acts on each "
        r"singular value by itself: $$a X + b X X^\top X + c (X X^\top)^2 X \\ = U (a S + b S^3 + "
        r"c S^5) V^\top$$",
        "The squares of the singular values add up to $|X|^2$, so divided by $|X|$ none is above "
        "1. Small ones become a times as large each time, and after five times, with the usual a, "
        "b and c, all that were above 0.002 are between 0.68 and 1.21.",
        r"The code transposes a tall matrix first, so that $X X^\top$ is the smaller product. s "
        r"is for the shape of P, and $\eta \lambda P$ is weight decay.",
    ),
)


class Muon(ParameterOptimizer):
    r"""Momentum whose matrix is made nearly orthogonal before each step (Jordan 2024).

    The polynomial $a X + b X X^\top X + c (X X^\top)^2 X$, taken five times, brings all singular
    values of the momentum near 1. It is for matrices inside a network; other parameters want
    another optimizer, such as AdamW. PyTorch computes the polynomial in bfloat16, nnscratch in the
    dtype of the parameter: the steps agree to two or three digits.

    Args:
        params: parameters, or groups of them, all of two dimensions.
        lr: η, a number or a tensor of one.
        weight_decay: λ, for p ← (1 - η λ) p.
        momentum: μ.
        nesterov: whether to look ahead.
        ns_coefficients: a, b and c.
        eps: the least norm that is divided by.
        ns_steps: how often the polynomial is taken.
        adjust_lr_fn: "original" (also if None), where η is multiplied by the root of
            max(1, rows / columns), or "match_rms_adamw", by 0.2 times that of the larger size.

    Raises:
        ConfigurationError: if a value makes no sense, or a parameter is no matrix.
    """

    update = MUON
    takes_any = False  # matrices only
    counts = False

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        """Make the optimizer with PyTorch's defaults."""
        super().__init__(
            params,
            {
                "lr": lr,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "nesterov": nesterov,
                "ns_coefficients": tuple(ns_coefficients),
                "eps": eps,
                "ns_steps": ns_steps,
                "adjust_lr_fn": adjust_lr_fn,
            },
        )

    def check(self, group: Mapping[str, Any]) -> None:
        """Check a group's hyper-parameters and parameters."""
        super().check(group)
        if group["adjust_lr_fn"] not in (None, "original", "match_rms_adamw"):
            raise ConfigurationError(
                "Muon: adjust_lr_fn is None, 'original' or 'match_rms_adamw', got "
                f"{group['adjust_lr_fn']!r}"
            )
        if len(group["ns_coefficients"]) != 3 or not 0 <= group["ns_steps"] < 100:
            raise ConfigurationError(
                "Muon: ns_coefficients are three numbers and ns_steps is below 100, got "
                f"{group['ns_coefficients']} and {group['ns_steps']}"
            )
        for parameter in group["params"]:
            if parameter.ndim != 2:
                raise ConfigurationError(
                    f"Muon is for parameters of two dimensions, got one of shape "
                    f"{tuple(parameter.shape)}; give it to another optimizer, such as AdamW"
                )

    def state_shapes(
        self, group: Mapping[str, Any], shape: tuple[int, ...]
    ) -> dict[str, tuple[int, ...] | None]:
        """Return the shape of the momentum."""
        return {"momentum_buffer": shape}

    def options_of(self, group: Mapping[str, Any], parameter: Tensor, step: int) -> dict[str, Any]:
        """Return the options of the formula."""
        rows, columns = parameter.shape
        if group["adjust_lr_fn"] == "match_rms_adamw":
            scale = 0.2 * math.sqrt(max(rows, columns))
        else:
            scale = math.sqrt(max(1.0, rows / columns))
        a, b, c = group["ns_coefficients"]
        names = ("weight_decay", "momentum", "nesterov", "eps", "ns_steps")
        rest = {name: group[name] for name in names}
        return {"lr": float(group["lr"]), "a": a, "b": b, "c": c, "scale": scale, **rest}
