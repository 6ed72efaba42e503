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
)
