"""A linear layer and its activation as one formula: the reference that fused kernels compute."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from nnscratch.errors import ConfigurationError
from nnscratch.formulas.formula import formula
from nnscratch.formulas.linear import LinearSaved, linear_backward, linear_flops, linear_forward
from nnscratch.formulas.pointwise import FUSABLE
from nnscratch.formulas.saved import Saved

__all__ = [
    "FUSABLE",
    "LINEAR_ACTIVATION",
    "LinearActivationSaved",
    "linear_activation_backward",
    "linear_activation_forward",
    "senseless",
]


class LinearActivationSaved(Saved):
    """What the backward of ``linear_activation`` needs.

    ``kept`` is what the activation saves: its input Z = X Wᵀ + b, or its output Y. ``alpha`` and
    ``beta`` are the activation's options, None where it has none.
    """

    X: Any
    W: Any
    kept: Any
    activation: str
    alpha: float | None
    beta: float | None


def linear_activation_forward(
    X: Any,
    W: Any,
    b: Any = None,
    *,
    activation: str,
    alpha: float | None = None,
    beta: float | None = None,
) -> tuple[Any, LinearActivationSaved]:
    r"""Compute $Y = f(X W^\top + b)$.

    Args:
        X: inputs (..., I).
        W: weights (O, I).
        b: biases (O,), or None.
        activation: a name in ``FUSABLE``.
        alpha: the activation's first option (negative_slope of leaky_relu, alpha of elu, min_val
            of hardtanh, beta of softplus), None for its default.
        beta: its second one (max_val of hardtanh, threshold of softplus), None for its default.

    Returns:
        Y (..., O), and what the backward needs.

    Raises:
        ConfigurationError: if there is no such activation.
        ShapeError, DTypeError: as ``linear`` does.

    >>> import numpy as np
    >>> X, W = np.array([[1.0, 2.0]]), np.array([[1.0, 1.0], [-1.0, -1.0]])
    >>> linear_activation_forward(X, W, activation="relu")[0]
    array([[3., 0.]])
    """
    if activation not in FUSABLE:
        raise ConfigurationError(
            f"linear_activation: expected one of {', '.join(FUSABLE)}, got {activation!r}"
        )
    f, names = FUSABLE[activation]
    given = zip(names, (alpha, beta), strict=False)
    options: dict[str, Any] = {name: value for name, value in given if value is not None}
    Z, _ = linear_forward(X, W, b)
    Y, saved = f.forward(Z, **options)
    kept, *numbers = saved
    numbers = [*numbers, None, None] if names else [None, None]
    return Y, LinearActivationSaved(X, W, kept, activation, *numbers[:2])


def linear_activation_backward(
    dY: Any, saved: LinearActivationSaved, needs: tuple[bool, ...]
) -> tuple[Any, ...]:
    """Return dX, dW and db: the activation's derivative gives dZ, the linear layer's the rest."""
    X, W, kept, activation, alpha, beta = saved
    f, names = FUSABLE[activation]
    assert f.backward is not None
    inner = f.pointwise.kind(kept, *(alpha, beta)[: len(names)])
    (dZ,) = f.backward(dY, inner, (True,))
    return linear_backward(dZ, LinearSaved(X, W), needs)


def senseless(options: Mapping[str, Any]) -> str | None:
    """Return what is wrong with an activation's options, given as ``linear_activation`` does."""
    f, names = FUSABLE[options["activation"]]
    given = {name: options.get(one) for name, one in zip(names, ("alpha", "beta"), strict=False)}
    found: str | None = f.pointwise.senseless({k: v for k, v in given.items() if v is not None})
    return found


LINEAR_ACTIVATION = formula(
    linear_activation_forward,
    linear_activation_backward,
    equation=r"Y = f(X W^\top + b)",
    gradients={
        "X": r"\left(\frac{\partial L}{\partial Y} \odot f'(Z)\right) W",
        "W": r"\left(\frac{\partial L}{\partial Y} \odot f'(Z)\right)^\top X",
        "b": r"\sum_n \left(\frac{\partial L}{\partial Y} \odot f'(Z)\right)_n",
    },
    shapes="X (..., I), W (O, I), b (O,) or None -> Y (..., O)",
    floats=("X", "W", "b"),
    source="document, sections 4.1 and 4.2",
    flops=lambda inputs, outputs: linear_flops(inputs, outputs) + math.prod(outputs[0]),
    kinks="where Z is at a kink of the activation",
    derivation=(
        r"Two lines, with what the linear layer makes by itself: $$Z = X W^\top + b \\ Y = f(Z)$$",
        "The second one is entry by entry: each Y depends on the Z in its place alone. The page "
        r"of each activation derives its slope $f'$: $$\frac{\partial L}{\partial Z} = "
        r"\frac{\partial L}{\partial Y} \odot f'(Z)$$",
        r"The first one is a linear layer. One entry of it, $Z_{no} = \sum_i X_{ni} W_{oi} + "
        r"b_o$, has the slopes $$\frac{\partial Z_{no}}{\partial X_{ni}} = W_{oi} \\ "
        r"\frac{\partial Z_{no}}{\partial W_{oi}} = X_{ni} \\ \frac{\partial Z_{no}}{\partial "
        "b_o} = 1$$",
        "An input acts on all outputs o of its row, a weight and a bias on all rows n: "
        r"$$\frac{\partial L}{\partial X_{ni}} = \sum_o \frac{\partial L}{\partial Z_{no}} W_{oi} "
        r"\\ \frac{\partial L}{\partial W_{oi}} = \sum_n \frac{\partial L}{\partial Z_{no}} "
        r"X_{ni} \\ \frac{\partial L}{\partial b_o} = \sum_n \frac{\partial L}{\partial Z_{no}}$$",
        "These sums are products of matrices. Where Z is at a kink of the activation there is no "
        "slope, and the code takes what the activation's own takes.",
    ),
)
