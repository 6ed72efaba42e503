r"""Elementwise activations: $Y = f(X)$, hence $\partial L/\partial X = \partial L/\partial Y
\odot f'$.

Each saves what its derivative is written in: the input X or the output Y, then its options.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from nnscratch.array import array_namespace
from nnscratch.array.selection import where, zero_where
from nnscratch.errors import ShapeError
from nnscratch.formulas.checks import need_floats, plain, real
from nnscratch.formulas.formula import formula


class OutputSaved(NamedTuple):
    """The output, for an activation whose derivative is a function of it."""

    Y: Any


class InputSaved(NamedTuple):
    """The input, for an activation whose derivative is a function of it."""

    X: Any


def relu_forward(X: Any) -> tuple[Any, OutputSaved]:
    """Compute max(X, 0); NaN stays NaN.

    Args:
        X: any shape, floating.

    Returns:
        Y of the shape and dtype of X, and what the backward needs.

    Raises:
        DTypeError: if X holds integers.

    >>> import numpy as np
    >>> relu_forward(np.array([-1.0, 2.0]))[0]
    array([0., 2.])
    """
    need_floats("relu", X=X)
    xp = array_namespace(X)
    Y = xp.maximum(X, 0.0)
    return Y, OutputSaved(Y)


def relu_backward(dY: Any, saved: OutputSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dX = dY where Y > 0, else 0: the derivative at 0 is taken to be 0."""
    return (zero_where(saved.Y <= 0, dY),)


RELU = formula(
    relu_forward,
    relu_backward,
    equation=r"Y = \max(X, 0)",
    gradients={"X": r"\frac{\partial L}{\partial Y} \odot [Y > 0]"},
    shapes="X (any) -> Y (same)",
    source="document, section 5.2; Nair and Hinton 2010",
    kinks=(0.0,),
)


class LeakyReluSaved(NamedTuple):
    """What the backward of ``leaky_relu`` needs."""

    X: Any
    negative_slope: float


def leaky_relu_forward(X: Any, *, negative_slope: float = 0.01) -> tuple[Any, LeakyReluSaved]:
    """Compute X where X > 0, else ``negative_slope`` times X.

    Raises:
        DTypeError: if X holds integers.
    """
    need_floats("leaky_relu", X=X)
    slope = plain(negative_slope)
    return where(X > 0, X, slope * X), LeakyReluSaved(X, slope)


def leaky_relu_backward(dY: Any, saved: LeakyReluSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dX = dY where X > 0, else slope · dY."""
    X, slope = saved
    return (where(X > 0, dY, slope * dY),)


LEAKY_RELU = formula(
    leaky_relu_forward,
    leaky_relu_backward,
    equation=r"Y = \max(X, 0) + a \min(X, 0)",
    gradients={"X": r"\frac{\partial L}{\partial Y} \odot ([X > 0] + a [X \le 0])"},
    shapes="X (any) -> Y (same)",
    source="Maas, Hannun and Ng 2013",
    kinks=(0.0,),
)


class PreluSaved(NamedTuple):
    """What the backward of ``prelu`` needs."""

    X: Any
    W: Any


def _channel_shape(X: Any, W: Any) -> tuple[int, ...]:
    channels = X.shape[1] if X.ndim > 1 else 1
    if W.ndim != 1 or W.shape[0] not in (1, channels):
        raise ShapeError(
            f"prelu: expected slopes of shape (1,) or ({channels},) for an input of shape "
            f"{tuple(X.shape)} (one for each channel, axis 1), got {tuple(W.shape)}"
        )
    return (W.shape[0], *(1,) * max(X.ndim - 2, 0)) if X.ndim else ()


def prelu_forward(X: Any, W: Any) -> tuple[Any, PreluSaved]:
    """Compute X where X > 0, else the slope of its channel (axis 1) times X.

    Args:
        X: (N, C, ...) or any shape where W has one entry.
        W: slopes (1,) or (C,).

    Raises:
        ShapeError: if W is neither.
        DTypeError: if one of them holds integers, or the dtypes differ.
    """
    need_floats("prelu", X=X, W=W)
    xp = array_namespace(X, W)
    slopes = xp.reshape(W, _channel_shape(X, W))
    return xp.where(X > 0, X, slopes * X), PreluSaved(X, W)


def prelu_backward(dY: Any, saved: PreluSaved, needs: tuple[bool, ...]) -> tuple[Any, ...]:
    """Return dX, and dW summed over everything but the channels."""
    X, W = saved
    xp = array_namespace(dY)
    dX = dW = None
    if needs[0]:
        dX = xp.where(X > 0, dY, xp.reshape(W, _channel_shape(X, W)) * dY)
    if needs[1]:
        parts = xp.where(X > 0, 0.0, X * dY)
        if W.shape[0] == 1:
            dW = xp.reshape(xp.sum(parts), (1,))
        else:
            dW = xp.sum(parts, axis=(0, *range(2, X.ndim)))
    return dX, dW


PRELU = formula(
    prelu_forward,
    prelu_backward,
    equation=r"Y = \max(X, 0) + W_c \min(X, 0)",
    gradients={
        "X": r"\frac{\partial L}{\partial Y} \odot ([X > 0] + W_c [X \le 0])",
        "W": r"\sum_{n, \ldots} \frac{\partial L}{\partial Y} \odot \min(X, 0)",
    },
    shapes="X (N, C, ...), W (1,) or (C,) -> Y (as X)",
    source="He, Zhang, Ren and Sun 2015, arXiv:1502.01852",
    kinks=(0.0,),
)


class EluSaved(NamedTuple):
    """What the backward of ``elu`` needs."""

    X: Any
    alpha: float


def elu_forward(X: Any, *, alpha: float = 1.0) -> tuple[Any, EluSaved]:
    """Compute X where X > 0, else alpha (e^X - 1), without overflow on the side not taken.

    Raises:
        DTypeError: if X holds integers.
    """
    need_floats("elu", X=X)
    xp = array_namespace(X)
    alpha = plain(alpha)
    positive = real(xp, X) > 0
    return where(positive, X, alpha * xp.expm1(where(positive, 0.0, X))), EluSaved(X, alpha)


def elu_backward(dY: Any, saved: EluSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dX = dY where X > 0, else dY · alpha e^X."""
    X, alpha = saved
    xp = array_namespace(dY)
    positive = X > 0
    return (where(positive, dY, dY * (alpha * xp.exp(where(positive, 0.0, X)))),)


ELU = formula(
    elu_forward,
    elu_backward,
    equation=r"Y = \max(X, 0) + \min(\alpha (e^X - 1), 0)",
    gradients={"X": r"\frac{\partial L}{\partial Y} \odot ([X > 0] + \alpha e^X [X \le 0])"},
    shapes="X (any) -> Y (same)",
    source="Clevert, Unterthiner and Hochreiter 2016, arXiv:1511.07289",
    kinks=(0.0,),
    analytic=True,
)

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


def selu_forward(X: Any) -> tuple[Any, InputSaved]:
    """Compute scale times ELU, with the two constants that keep mean 0 and variance 1.

    Raises:
        DTypeError: if X holds integers.
    """
    need_floats("selu", X=X)
    xp = array_namespace(X)
    positive = real(xp, X) > 0
    tail = (SELU_SCALE * SELU_ALPHA) * xp.expm1(where(positive, 0.0, X))
    return where(positive, SELU_SCALE * X, tail), InputSaved(X)


def selu_backward(dY: Any, saved: InputSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dX = scale · dY where X > 0, else scale · alpha e^X · dY."""
    (X,) = saved
    xp = array_namespace(dY)
    positive = X > 0
    tail = (SELU_SCALE * SELU_ALPHA) * xp.exp(where(positive, 0.0, X))
    return (dY * where(positive, SELU_SCALE, tail),)


SELU = formula(
    selu_forward,
    selu_backward,
    equation=r"Y = \lambda (\max(X, 0) + \min(\alpha (e^X - 1), 0))",
    gradients={
        "X": r"\lambda \frac{\partial L}{\partial Y} \odot ([X > 0] + \alpha e^X [X \le 0])"
    },
    shapes="X (any) -> Y (same)",
    source="Klambauer, Unterthiner, Mayr and Hochreiter 2017, arXiv:1706.02515",
    kinks=(0.0,),
    analytic=True,
)


class HardtanhSaved(NamedTuple):
    """What the backward of ``hardtanh`` needs."""

    X: Any
    min_val: float
    max_val: float


def hardtanh_forward(
    X: Any, *, min_val: float = -1.0, max_val: float = 1.0
) -> tuple[Any, HardtanhSaved]:
    """Compute X held between ``min_val`` and ``max_val``; NaN stays NaN.

    Raises:
        DTypeError: if X holds integers.
    """
    need_floats("hardtanh", X=X)
    xp = array_namespace(X)
    low, high = plain(min_val), plain(max_val)
    return xp.minimum(xp.maximum(X, low), high), HardtanhSaved(X, low, high)


def hardtanh_backward(dY: Any, saved: HardtanhSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dX = dY strictly between the bounds, else 0."""
    X, low, high = saved
    xp = array_namespace(dY)
    return (xp.where((X <= low) | (X >= high), 0.0, dY),)


HARDTANH = formula(
    hardtanh_forward,
    hardtanh_backward,
    equation=r"Y = \min(\max(X, a), b)",
    gradients={"X": r"\frac{\partial L}{\partial Y} \odot [a < X < b]"},
    shapes="X (any) -> Y (same)",
    source="Collobert 2004",
    kinks="at X = min_val and X = max_val (-1 and 1 by default)",
)
