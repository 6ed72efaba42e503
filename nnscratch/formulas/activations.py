r"""Elementwise activations: $Y = f(X)$, hence $\partial L/\partial X = \partial L/\partial Y
\odot f'$.

Each saves what its derivative is cheapest to write in: the input X or the output Y.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from nnscratch.array import array_namespace
from nnscratch.formulas.formula import formula


class OutputSaved(NamedTuple):
    """The output, for an activation whose derivative is a function of it."""

    Y: Any


class InputSaved(NamedTuple):
    """The input, for an activation whose derivative is a function of it."""

    X: Any


def relu_forward(X: Any) -> tuple[Any, OutputSaved]:
    """Compute max(X, 0); NaN stays NaN."""
    xp = array_namespace(X)
    Y = xp.maximum(X, xp.zeros((), dtype=X.dtype, device=X.device))
    return Y, OutputSaved(Y)


def relu_backward(dY: Any, saved: OutputSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dX = dY where Y > 0, else 0: the derivative at 0 is taken to be 0."""
    xp = array_namespace(dY)
    return (xp.where(saved.Y > 0, dY, xp.zeros_like(dY)),)


RELU = formula(
    relu_forward,
    relu_backward,
    equation=r"Y = \max(X, 0)",
    gradients={"X": r"\frac{\partial L}{\partial Y} \odot [Y > 0]"},
    shapes="X (any) -> Y (same)",
    source="document, section 5.2; Nair and Hinton 2010",
    kinks=(0.0,),
)


def sigmoid_forward(X: Any) -> tuple[Any, OutputSaved]:
    """Compute 1 / (1 + e^-X) on the branch that cannot overflow."""
    xp = array_namespace(X)
    if xp.isdtype(X.dtype, "complex floating"):
        Y = 1.0 / (1.0 + xp.exp(-X))
        return Y, OutputSaved(Y)
    decay = xp.exp(-xp.abs(X))
    Y = xp.where(X >= 0, 1.0 / (1.0 + decay), decay / (1.0 + decay))
    return Y, OutputSaved(Y)


def sigmoid_backward(dY: Any, saved: OutputSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dX = dY · Y (1 - Y)."""
    return (dY * saved.Y * (1.0 - saved.Y),)


SIGMOID = formula(
    sigmoid_forward,
    sigmoid_backward,
    equation=r"Y = \sigma(X) = \frac{1}{1 + e^{-X}}",
    gradients={"X": r"\frac{\partial L}{\partial Y} \odot Y \odot (1 - Y)"},
    shapes="X (any) -> Y (same)",
    source="document, section 4.1",
    analytic=True,
)
