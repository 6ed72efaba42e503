r"""Elementwise activations: $Y = f(X)$, hence $\partial L/\partial X = \partial L/\partial Y
\odot f'$.

Each saves what its derivative is written in: the input X or the output Y, then its options.
"""

from __future__ import annotations

from typing import Any

from nnscratch.array import array_namespace
from nnscratch.array.maths import exp, expm1, maximum, minimum, real, where
from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.formulas.formula import Public, formula
from nnscratch.formulas.pointwise import activation
from nnscratch.formulas.saved import Saved


def relu_forward(X: Any) -> Any:
    """Compute max(X, 0); NaN stays NaN.

    Args:
        X: any shape, floating.

    Raises:
        DTypeError: if X holds integers.

    >>> import numpy as np
    >>> relu_forward(np.array([-1.0, 2.0]))
    array([0., 2.])
    """
    return maximum(X, 0.0)


def relu_backward(dY: Any, Y: Any) -> Any:
    """Return dX = dY where Y > 0, else 0: the derivative at 0 is taken to be 0."""
    return where(Y <= 0, 0.0, dY)


RELU = activation(
    relu_forward,
    relu_backward,
    module="ReLU",
    inplace=True,
    equation=r"Y = \max(X, 0)",
    slope=r"[Y > 0]",
    source="document, section 5.2; Nair and Hinton 2010",
    kinks=(0.0,),
    derivation=(
        r"Above 0 the function is X itself, below it is 0: $$\frac{\partial Y}{\partial X} = "
        r"\begin{cases} 1 & X > 0 \\ 0 & X < 0 \end{cases}$$",
        "At 0 there is a kink and no slope; the code takes 0, as PyTorch does.",
        "X is positive where Y is, so that Y is all that has to be saved. The chain rule "
        "multiplies entry by entry.",
    ),
)


def leaky_relu_forward(X: Any, *, negative_slope: float = 0.01) -> Any:
    """Compute X where X > 0, else ``negative_slope`` times X.

    Args:
        X: any shape, floating.
        negative_slope: the slope a where X is negative.

    Raises:
        DTypeError: if X holds integers.
    """
    return where(X > 0, X, negative_slope * X)


def leaky_relu_backward(dY: Any, X: Any, *, negative_slope: float) -> Any:
    """Return dX = dY where X > 0, else slope · dY."""
    return where(X > 0, dY, negative_slope * dY)


LEAKY_RELU = activation(
    leaky_relu_forward,
    leaky_relu_backward,
    module="LeakyReLU",
    inplace=True,
    variants={"a slope of 0.3": {"negative_slope": 0.3}, "a slope of 1": {"negative_slope": 1.0}},
    equation=r"Y = \max(X, 0) + a \min(X, 0)",
    slope=r"([X > 0] + a [X \le 0])",
    source="Maas, Hannun and Ng 2013",
    kinks=(0.0,),
)


class PreluSaved(Saved):
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
    floats=("X", "W"),
    source="He, Zhang, Ren and Sun 2015, arXiv:1502.01852",
    kinks=(0.0,),
    public=Public(
        "activation",
        "prelu",
        "PReLU",
        by_hand=("prelu", "PReLU"),
        torch="nn.functional.prelu",
    ),
    derivation=(
        "Above 0 the function is X itself, below it is X times the slope of its channel c: $$Y "
        r"= \begin{cases} X & X > 0 \\ W_c X & X \le 0 \end{cases}$$",
        "Case by case, the slope by X is 1 or $W_c$, and that by $W_c$ is 0 or X: "
        r"$$\frac{\partial Y}{\partial X} = [X > 0] + W_c [X \le 0] \\ \frac{\partial "
        r"Y}{\partial W_c} = \min(X, 0)$$",
        "At 0 the slope by X jumps from $W_c$ to 1, and there is none unless these are equal; the "
        "code takes $W_c$, as PyTorch does.",
        "Each X acts on the Y in its own place alone, so the chain rule multiplies entry by entry. "
        "$W_c$ acts on all of its channel: the chain rule adds up over the samples n and the "
        "places, and over the channels too where W has one entry for them all.",
    ),
)


def elu_forward(X: Any, *, alpha: float = 1.0) -> Any:
    """Compute X where X > 0, else alpha (e^X - 1), without overflow on the side not taken.

    Args:
        X: any shape, floating.
        alpha: what it goes to on the negative side, without its sign.

    Raises:
        DTypeError: if X holds integers.
    """
    positive = real(X) > 0
    return where(positive, X, alpha * expm1(where(positive, 0.0, X)))


def elu_backward(dY: Any, X: Any, *, alpha: float) -> Any:
    """Return dX = dY where X > 0, else dY · alpha e^X."""
    positive = X > 0
    return where(positive, dY, dY * (alpha * exp(where(positive, 0.0, X))))


ELU = activation(
    elu_forward,
    elu_backward,
    module="ELU",
    inplace=True,
    variants={"alpha 2.5": {"alpha": 2.5}},
    equation=r"Y = \max(X, 0) + \min(\alpha (e^X - 1), 0)",
    slope=r"([X > 0] + \alpha e^X [X \le 0])",
    source="Clevert, Unterthiner and Hochreiter 2016, arXiv:1511.07289",
    kinks=(0.0,),
    analytic=True,
)


def _need_alpha(*, alpha: float) -> None:
    if alpha == 0:
        raise ConfigurationError(
            "celu: expected an alpha other than 0, by which inputs are divided, got 0; write relu "
            "for what it goes to"
        )


def celu_forward(X: Any, *, alpha: float = 1.0) -> Any:
    """Compute X where X > 0, else alpha (e^(X / alpha) - 1): an ELU without a kink.

    Args:
        X: any shape, floating.
        alpha: what it goes to on the negative side, without its sign; not 0.

    Raises:
        ConfigurationError: if alpha is 0.
        DTypeError: if X holds integers.
    """
    positive = real(X) > 0
    return where(positive, X, alpha * expm1(where(positive, 0.0, X) / alpha))


def celu_backward(dY: Any, X: Any, *, alpha: float) -> Any:
    """Return dX = dY where X > 0, else dY · e^(X / alpha)."""
    positive = X > 0
    return where(positive, dY, dY * exp(where(positive, 0.0, X) / alpha))


CELU = activation(
    celu_forward,
    celu_backward,
    module="CELU",
    need=_need_alpha,
    inplace=True,
    variants={"alpha 2.5": {"alpha": 2.5}},
    bends=(0.0,),
    equation=r"Y = \max(X, 0) + \min(\alpha (e^{X / \alpha} - 1), 0)",
    slope=r"([X > 0] + e^{X / \alpha} [X \le 0])",
    source="Barron 2017, arXiv:1704.07483",
    analytic=True,
)

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


def selu_forward(X: Any) -> Any:
    """Compute scale times ELU, with the two constants that keep mean 0 and variance 1.

    Raises:
        DTypeError: if X holds integers.
    """
    positive = real(X) > 0
    tail = (SELU_SCALE * SELU_ALPHA) * expm1(where(positive, 0.0, X))
    return where(positive, SELU_SCALE * X, tail)


def selu_backward(dY: Any, X: Any) -> Any:
    """Return dX = scale · dY where X > 0, else scale · alpha e^X · dY."""
    positive = X > 0
    tail = (SELU_SCALE * SELU_ALPHA) * exp(where(positive, 0.0, X))
    return dY * where(positive, SELU_SCALE, tail)


SELU = activation(
    selu_forward,
    selu_backward,
    module="SELU",
    inplace=True,
    equation=r"Y = \lambda (\max(X, 0) + \min(\alpha (e^X - 1), 0))",
    slope=r"\lambda ([X > 0] + \alpha e^X [X \le 0])",
    source="Klambauer, Unterthiner, Mayr and Hochreiter 2017, arXiv:1706.02515",
    kinks=(0.0,),
    analytic=True,
)


def _need_bounds(*, min_val: float, max_val: float) -> None:
    if min_val > max_val:
        raise ConfigurationError(
            f"hardtanh: min_val must not be above max_val, got {min_val} and {max_val}; exchange "
            "them"
        )


def hardtanh_forward(X: Any, *, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    """Compute X held between ``min_val`` and ``max_val``; NaN stays NaN.

    Args:
        X: any shape, floating.
        min_val: the lower bound a.
        max_val: the upper bound b.

    Raises:
        ConfigurationError: if the lower bound is above the upper one.
        DTypeError: if X holds integers.
    """
    return minimum(maximum(X, min_val), max_val)


def hardtanh_backward(dY: Any, X: Any, *, min_val: float, max_val: float) -> Any:
    """Return dX = dY strictly between the bounds, else 0."""
    return where((X <= min_val) | (X >= max_val), 0.0, dY)


HARDTANH = activation(
    hardtanh_forward,
    hardtanh_backward,
    module="Hardtanh",
    need=_need_bounds,
    inplace=True,
    by_hand=("Hardtanh",),
    variants={"bounds -2 and 0.5": {"min_val": -2.0, "max_val": 0.5}},
    equation=r"Y = \min(\max(X, a), b)",
    slope=r"[a < X < b]",
    source="Collobert 2004",
    kinks=("min_val", "max_val"),
)
