r"""Smooth elementwise activations built on the sigmoid and the hyperbolic tangent.

Each saves what its derivative is written in: the input X or the output Y, then its options.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from nnscratch.array import array_namespace
from nnscratch.array.selection import where
from nnscratch.formulas.activations import InputSaved, OutputSaved
from nnscratch.formulas.checks import need_floats, plain, real
from nnscratch.formulas.formula import formula


def logistic(xp: Any, X: Any) -> Any:
    """Return 1 / (1 + e^-X) on the branch that cannot overflow."""
    positive = real(xp, X) >= 0
    decay = xp.exp(where(positive, -X, X))
    return where(positive, 1.0, decay) / (1.0 + decay)


def sigmoid_forward(X: Any) -> tuple[Any, OutputSaved]:
    """Compute 1 / (1 + e^-X) on the branch that cannot overflow.

    Args:
        X: any shape, floating.

    Returns:
        Y of the shape and dtype of X, and what the backward needs.

    Raises:
        DTypeError: if X holds integers.

    >>> import numpy as np
    >>> sigmoid_forward(np.array([-1e4, 0.0, 1e4]))[0]
    array([0. , 0.5, 1. ])
    """
    need_floats("sigmoid", X=X)
    Y = logistic(array_namespace(X), X)
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


def tanh_forward(X: Any) -> tuple[Any, OutputSaved]:
    """Compute the hyperbolic tangent.

    Raises:
        DTypeError: if X holds integers.
    """
    need_floats("tanh", X=X)
    Y = array_namespace(X).tanh(X)
    return Y, OutputSaved(Y)


def tanh_backward(dY: Any, saved: OutputSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dX = dY (1 - Y²)."""
    return (dY * (1.0 - saved.Y * saved.Y),)


TANH = formula(
    tanh_forward,
    tanh_backward,
    equation=r"Y = \tanh X",
    gradients={"X": r"\frac{\partial L}{\partial Y} \odot (1 - Y^2)"},
    shapes="X (any) -> Y (same)",
    source="LeCun, Bottou, Orr and Müller 1998, Efficient BackProp",
    analytic=True,
)


def silu_forward(X: Any) -> tuple[Any, InputSaved]:
    """Compute X σ(X), also called swish.

    Raises:
        DTypeError: if X holds integers.
    """
    need_floats("silu", X=X)
    return X * logistic(array_namespace(X), X), InputSaved(X)


def silu_backward(dY: Any, saved: InputSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dX = dY · σ(X) (1 + X (1 - σ(X)))."""
    (X,) = saved
    S = logistic(array_namespace(dY), X)
    return (dY * (S * (1.0 + X * (1.0 - S))),)


SILU = formula(
    silu_forward,
    silu_backward,
    equation=r"Y = X \sigma(X)",
    gradients={"X": r"\frac{\partial L}{\partial Y} \odot \sigma(X) (1 + X (1 - \sigma(X)))"},
    shapes="X (any) -> Y (same)",
    source="Elfwing, Uchibe and Doya 2018, arXiv:1702.03118",
    analytic=True,
)


class SoftplusSaved(NamedTuple):
    """What the backward of ``softplus`` needs."""

    X: Any
    beta: float
    threshold: float


def softplus_forward(
    X: Any, *, beta: float = 1.0, threshold: float = 20.0
) -> tuple[Any, SoftplusSaved]:
    """Compute log(1 + e^(beta X)) / beta, and X itself where beta X > threshold.

    Raises:
        DTypeError: if X holds integers.
    """
    need_floats("softplus", X=X)
    xp = array_namespace(X)
    beta, threshold = plain(beta), plain(threshold)
    B = beta * X
    linear = real(xp, B) > threshold
    curve = xp.log1p(xp.exp(where(linear, 0.0, B))) / beta
    return where(linear, X, curve), SoftplusSaved(X, beta, threshold)


def softplus_backward(dY: Any, saved: SoftplusSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dX = dY · σ(beta X), and dY itself where beta X > threshold."""
    X, beta, threshold = saved
    xp = array_namespace(dY)
    B = beta * X
    return (where(B > threshold, dY, dY * logistic(xp, B)),)


SOFTPLUS = formula(
    softplus_forward,
    softplus_backward,
    equation=r"Y = \frac{1}{\beta} \log(1 + e^{\beta X})",
    gradients={"X": r"\frac{\partial L}{\partial Y} \odot \sigma(\beta X)"},
    shapes="X (any) -> Y (same)",
    source="Dugas, Bengio, Bélisle, Nadeau and Garcia 2001",
    kinks="at beta X = threshold, where it turns into X (a step of 2e-9 by default)",
    analytic=True,
)


def softsign_forward(X: Any) -> tuple[Any, InputSaved]:
    """Compute X / (1 + |X|).

    Raises:
        DTypeError: if X holds integers.
    """
    need_floats("softsign", X=X)
    xp = array_namespace(X)
    return X / (1.0 + xp.abs(X)), InputSaved(X)


def softsign_backward(dY: Any, saved: InputSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dX = dY / (1 + |X|)²."""
    (X,) = saved
    D = 1.0 + array_namespace(dY).abs(X)
    return (dY / (D * D),)


SOFTSIGN = formula(
    softsign_forward,
    softsign_backward,
    equation=r"Y = \frac{X}{1 + |X|}",
    gradients={"X": r"\frac{\partial L}{\partial Y} \odot \frac{1}{(1 + |X|)^2}"},
    shapes="X (any) -> Y (same)",
    source="Turian, Bergstra and Bengio 2009",
)
