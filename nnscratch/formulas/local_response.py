"""Local response normalisation, over neighbouring channels (AlexNet)."""

from __future__ import annotations

from typing import Any

from nnscratch.array import array_namespace
from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.formulas.case import Case, given, normal
from nnscratch.formulas.formula import formula
from nnscratch.formulas.saved import Saved


class LocalResponseNormSaved(Saved):
    """What the backward of ``local_response_norm`` needs."""

    X: Any
    D: Any
    size: int
    alpha: float
    beta: float


def local_response_norm_forward(
    X: Any, *, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> tuple[Any, LocalResponseNormSaved]:
    r"""Compute $Y_c = X_c D_c^{-\beta}$ with $D_c = k + \frac{\alpha}{s} \sum_j X_j^2$.

    The sum goes over s neighbouring channels, from c - s // 2 on; channels outside count as 0.

    Args:
        X: (N, C, ...).
        size: s.
        alpha: α.
        beta: β.
        k: what is added to the sum.

    Raises:
        ShapeError: if X has no axis of channels.
        ConfigurationError: if the size is below 1.
        DTypeError: if X holds integers.

    >>> import numpy as np
    >>> local_response_norm_forward(np.array([[1.0, 1.0]]), size=2, alpha=2.0, beta=1.0)[0]
    array([[0.5       , 0.33333333]])
    """
    if X.ndim < 2:
        raise ShapeError(f"local_response_norm: expected (N, C, ...), got shape {tuple(X.shape)}")
    if size < 1:
        raise ConfigurationError(f"local_response_norm: size must be at least 1, got {size}")
    xp = array_namespace(X)
    D = _window_sum(xp, X * X, size // 2, (size - 1) // 2) * (alpha / size) + k
    return X * D**-beta, LocalResponseNormSaved(X, D, size, alpha, beta)


def local_response_norm_backward(
    dY: Any, saved: LocalResponseNormSaved, needs: tuple[bool, ...]
) -> tuple[Any]:
    r"""Return $dX_c = dY_c D_c^{-\beta} - \frac{2 \alpha \beta}{s} X_c S_c$.

    $S_c$ is the sum of $dY_j X_j D_j^{-\beta - 1}$ over the channels j whose windows c is in.
    """
    X, D, size, alpha, beta = saved
    xp = array_namespace(dY)
    P = D**-beta
    back = _window_sum(xp, dY * X * P / D, (size - 1) // 2, size // 2)
    return (dY * P - X * back * (2.0 * alpha * beta / size),)


def local_response_norm_cases() -> list[Case]:
    """Return what every implementation must be right at."""
    strong = {"alpha": 0.5, "beta": 0.75, "k": 2.0}
    usual = Case("a lesson", (normal(2, 3, 2),), {"size": 3, **strong}, terms=3)
    return [usual] + [
        Case(f"{size} channels", (normal(1, 4, 2),), {"size": size, **strong}, terms=size)
        for size in (1, 2, 3, 9)
    ] + [
        Case("defaults", (normal(2, 3, 2, 2),), {"size": 5}, terms=5),
        Case("one channel", (normal(3, 1, 2),), {"size": 3, **strong}, terms=3),
        Case("no batch", (normal(0, 3, 4),), {"size": 2, **strong}),
        Case("up to 1e4", (normal(2, 3, 4, scale=1e4),), {"size": 3, **strong}, terms=3,
             magnitude=1e4, smooth=False),
        Case("NaN", (given([[[float("nan")], [1.0], [1.0]]]),), {"size": 2, **strong},
             smooth=False),
    ]  # fmt: skip


LOCAL_RESPONSE_NORM = formula(
    local_response_norm_forward,
    local_response_norm_backward,
    equation=r"Y_c = X_c D_c^{-\beta}, \quad D_c = k + \frac{\alpha}{s}"
    r" \sum_{j = c - \lfloor s / 2 \rfloor}^{c + \lfloor (s - 1) / 2 \rfloor} X_j^2",
    gradients={
        "X": r"\frac{\partial L}{\partial Y_c} D_c^{-\beta} - \frac{2 \alpha \beta}{s} X_c"
        r" \sum_{j = c - \lfloor (s - 1) / 2 \rfloor}^{c + \lfloor s / 2 \rfloor}"
        r" \frac{\partial L}{\partial Y_j} X_j D_j^{-\beta - 1}"
    },
    shapes="X (N, C, ...) -> Y (same)",
    floats=("X",),
    source="Krizhevsky, Sutskever and Hinton 2012",
    analytic=True,
    derivation=(
        "$X_c$ acts on its own $Y_c$ as a factor, and by D on every channel j whose window $w_j$ "
        r"has c in it, c among them: $$\frac{\partial D_j}{\partial X_c} = \frac{2 \alpha}{s} X_c "
        r"[c \in w_j] \\ \frac{\partial}{\partial D_j} D_j^{-\beta} = -\beta D_j^{-\beta - 1}$$",
        r"The product rule: $$\frac{\partial Y_j}{\partial X_c} = [j = c] D_c^{-\beta} - \frac{2 "
        r"\alpha \beta}{s} X_c X_j D_j^{-\beta - 1} [c \in w_j]$$",
        "The chain rule adds up over j. The first part leaves j = c; of the second, what has no j "
        r"stands before the sum: $$\frac{\partial L}{\partial X_c} = \frac{\partial L}{\partial "
        r"Y_c} D_c^{-\beta} - \frac{2 \alpha \beta}{s} X_c S_c \\ S_c = \sum_j \frac{\partial "
        r"L}{\partial Y_j} X_j D_j^{-\beta - 1}$$",
        r"S goes over those j whose window reaches c, $j - \lfloor s / 2 \rfloor \le c \le j + "
        r"\lfloor (s - 1) / 2 \rfloor$. Solved for j that is the window turned round: $$c - "
        r"\lfloor (s - 1) / 2 \rfloor \le j \le c + \lfloor s / 2 \rfloor$$",
    ),
    cases=local_response_norm_cases,
)


def _window_sum(xp: Any, A: Any, before: int, after: int) -> Any:
    """Return for each entry of axis 1 the sum of so many before it, itself and so many after it."""
    N, C, *rest = A.shape
    sides = [
        xp.zeros((N, count, *rest), dtype=A.dtype, device=A.device) for count in (before, after)
    ]
    padded = xp.concat([sides[0], A, sides[1]], axis=1)
    total = None
    for start in range(before + after + 1):
        part = padded[(slice(None), slice(start, start + C), ...)]
        total = part if total is None else total + part
    return total
