r"""GELU, $Y = X \Phi(X)$ with the normal distribution function, and its approximation by a tanh."""

from __future__ import annotations

from typing import Any

from nnscratch.array.maths import (
    maximum,
    minimum,
    normal_tail,
    normal_tail_and_density,
    tanh,
    where,
)
from nnscratch.formulas.pointwise import activation

# sqrt(2 / pi), and 1 / sqrt(2 pi): the density of the normal distribution at 0.
ROOT = 0.7978845608028654
PEAK = 0.3989422804014327
CUBIC = 0.044715


def gelu_forward(X: Any) -> Any:
    r"""Compute $X \Phi(X)$.

    Args:
        X: any shape, floating.

    Raises:
        DTypeError: if X holds integers.

    >>> import numpy as np
    >>> gelu_forward(np.array([-1.0, 0.0, 1.0]))
    array([-0.15865525,  0.        ,  0.84134475])
    """
    tail = normal_tail(X)
    return X * where(X < 0, tail, 1.0 - tail)


def gelu_backward(dY: Any, X: Any) -> Any:
    """Return dX = dY (Φ(X) + X φ(X)), with the normal density φ."""
    tail, density = normal_tail_and_density(X)
    return dY * (where(X < 0, tail, 1.0 - tail) + X * (density * PEAK))


GELU = activation(
    gelu_forward,
    gelu_backward,
    module="GELU",
    by_hand=("gelu", "GELU"),
    equation=r"Y = X \Phi(X)",
    slope=r"(\Phi(X) + X \varphi(X))",
    source="Hendrycks and Gimpel 2016, arXiv:1606.08415",
    derivation=(
        r"$\Phi$ is the integral of the normal density $\varphi$ from $-\infty$ to X, so that "
        r"its slope is $\varphi$: $$\frac{\partial \Phi(X)}{\partial X} = \varphi(X) = "
        r"\frac{1}{\sqrt{2 \pi}} e^{-X^2 / 2}$$",
        r"The product rule: $$\frac{\partial Y}{\partial X} = 1 \cdot \Phi(X) + X \varphi(X)$$",
        r"Far out both are computed from the tail $\Phi(-|X|)$, whose digits are not lost in "
        "a difference from 1.",
    ),
)


def gelu_tanh_forward(X: Any) -> Any:
    """Compute GELU approximately, by a tanh.

    Raises:
        DTypeError: if X holds integers.
    """
    N = minimum(maximum(X, -100.0), 100.0)  # where the cube cannot overflow; flat beyond
    return 0.5 * X * (1.0 + tanh(ROOT * (N + CUBIC * (N * N * N))))


def gelu_tanh_backward(dY: Any, X: Any) -> Any:
    """Return dX = dY ((1 + T) / 2 + X (1 - T²) T' / 2), with T the tanh and T' its inner slope."""
    N = minimum(maximum(X, -100.0), 100.0)
    T = tanh(ROOT * (N + CUBIC * (N * N * N)))
    slope = ROOT * (1.0 + (3.0 * CUBIC) * (N * N))
    return dY * (0.5 * (1.0 + T) + 0.5 * N * (1.0 - T * T) * slope)


GELU_TANH = activation(
    gelu_tanh_forward,
    gelu_tanh_backward,
    by_hand=("gelu_tanh",),
    equation=r"Y = \tfrac{1}{2} X (1 + T), \quad T = \tanh(\sqrt{2/\pi} (X + 0.044715 X^3))",
    slope=r"\tfrac{1}{2} (1 + T + X (1 - T^2) \sqrt{2/\pi} (1 + 3 \cdot 0.044715 X^2))",
    source="Hendrycks and Gimpel 2016, arXiv:1606.08415",
    derivation=(
        r"Write $U = \sqrt{2/\pi} (X + 0.044715 X^3)$ and $T = \tanh U$: $$\frac{\partial "
        r"U}{\partial X} = \sqrt{2/\pi} (1 + 3 \cdot 0.044715 X^2) \\ \frac{\partial "
        r"T}{\partial U} = 1 - T^2$$",
        r"The product rule: $$\frac{\partial Y}{\partial X} = \frac{1}{2} (1 + T) + "
        r"\frac{1}{2} X (1 - T^2) \frac{\partial U}{\partial X}$$",
        "Beyond 100 the code stops X within the cube, which would overflow: T is 1 or −1 "
        "there, and flat.",
    ),
)
