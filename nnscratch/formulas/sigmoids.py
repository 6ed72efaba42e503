r"""Smooth elementwise activations built on the sigmoid and the hyperbolic tangent.

Each saves what its derivative is written in: the input X or the output Y, then its options.
"""

from __future__ import annotations

from typing import Any

from nnscratch.array.maths import absolute, exp, log1p, real, tanh, where
from nnscratch.formulas.pointwise import activation


def logistic(X: Any) -> Any:
    """Return 1 / (1 + e^-X) on the branch that cannot overflow."""
    positive = real(X) >= 0
    decay = exp(where(positive, -X, X))
    return where(positive, 1.0, decay) / (1.0 + decay)


def sigmoid_forward(X: Any) -> Any:
    """Compute 1 / (1 + e^-X) on the branch that cannot overflow.

    Args:
        X: any shape, floating.

    Raises:
        DTypeError: if X holds integers.

    >>> import numpy as np
    >>> sigmoid_forward(np.array([-1e4, 0.0, 1e4]))
    array([0. , 0.5, 1. ])
    """
    return logistic(X)


def sigmoid_backward(dY: Any, Y: Any) -> Any:
    """Return dX = dY · Y (1 - Y)."""
    return dY * Y * (1.0 - Y)


SIGMOID = activation(
    sigmoid_forward,
    sigmoid_backward,
    module="Sigmoid",
    by_hand=("sigmoid",),
    equation=r"Y = \sigma(X) = \frac{1}{1 + e^{-X}}",
    slope=r"Y \odot (1 - Y)",
    source="document, section 4.1",
    analytic=True,
    derivation=(
        r"Write $Y = \frac{1}{D}$ with $D = 1 + e^{-X}$: $$\frac{\partial Y}{\partial D} = "
        r"-\frac{1}{D^2} = -Y^2 \\ \frac{\partial D}{\partial X} = -e^{-X} = 1 - D$$",
        r"Their product, with $D = 1 / Y$: $$\frac{\partial Y}{\partial X} = -Y^2 (1 - D) = "
        r"Y^2 \left(\frac{1}{Y} - 1\right) = Y (1 - Y)$$",
        "Y is all that has to be saved. The chain rule multiplies entry by entry. For "
        "negative X the code writes the same function as $e^X / (1 + e^X)$, which cannot "
        "overflow.",
    ),
)


def tanh_forward(X: Any) -> Any:
    """Compute the hyperbolic tangent.

    Raises:
        DTypeError: if X holds integers.
    """
    return tanh(X)


def tanh_backward(dY: Any, Y: Any) -> Any:
    """Return dX = dY (1 - Y²)."""
    return dY * (1.0 - Y * Y)


TANH = activation(
    tanh_forward,
    tanh_backward,
    module="Tanh",
    by_hand=("tanh",),
    equation=r"Y = \tanh X",
    slope=r"(1 - Y^2)",
    source="LeCun, Bottou, Orr and Müller 1998, Efficient BackProp",
    analytic=True,
    derivation=(
        r"Write $Y = \frac{S}{C}$ with $S = e^X - e^{-X}$ and $C = e^X + e^{-X}$, each of "
        "which is the slope of the other.",
        r"The rule for a quotient: $$\frac{\partial Y}{\partial X} = \frac{C \cdot C - S "
        r"\cdot S}{C^2} = 1 - Y^2$$",
        "Y is all that has to be saved. The chain rule multiplies entry by entry.",
    ),
)


def silu_forward(X: Any) -> Any:
    """Compute X σ(X), also called swish.

    Raises:
        DTypeError: if X holds integers.
    """
    return X * logistic(X)


def silu_backward(dY: Any, X: Any) -> Any:
    """Return dX = dY · σ(X) (1 + X (1 - σ(X)))."""
    S = logistic(X)
    return dY * (S * (1.0 + X * (1.0 - S)))


SILU = activation(
    silu_forward,
    silu_backward,
    module="SiLU",
    inplace=True,
    equation=r"Y = X \sigma(X)",
    slope=r"\sigma(X) (1 + X (1 - \sigma(X)))",
    source="Elfwing, Uchibe and Doya 2018, arXiv:1702.03118",
    analytic=True,
)


def tanh_softplus(X: Any) -> Any:
    """Return tanh(log(1 + e^X)), without overflow and without a logarithm."""
    positive = real(X) >= 0
    E = exp(where(positive, -X, X))
    N = where(positive, 1.0 + 2.0 * E, E * (E + 2.0))
    return N / (N + where(positive, 2.0 * E * E, 2.0))


def mish_forward(X: Any) -> Any:
    """Compute X tanh(log(1 + e^X)).

    Raises:
        DTypeError: if X holds integers.
    """
    return X * tanh_softplus(X)


def mish_backward(dY: Any, X: Any) -> Any:
    """Return dX = dY (T + X (1 - T²) σ(X)), with T the tanh."""
    T = tanh_softplus(X)
    return dY * (T + X * ((1.0 - T * T) * logistic(X)))


MISH = activation(
    mish_forward,
    mish_backward,
    module="Mish",
    inplace=True,
    equation=r"Y = X T, \quad T = \tanh(\log(1 + e^X))",
    slope=r"(T + X (1 - T^2) \sigma(X))",
    source="Misra 2019, arXiv:1908.08681",
    analytic=True,
)


def logsigmoid_forward(X: Any) -> Any:
    """Compute log σ(X) on the branch that cannot overflow.

    Raises:
        DTypeError: if X holds integers.
    """
    negative = real(X) < 0
    return where(negative, X, 0.0) - log1p(exp(where(negative, X, -X)))


def logsigmoid_backward(dY: Any, X: Any) -> Any:
    """Return dX = dY · σ(-X)."""
    return dY * logistic(-X)


LOGSIGMOID = activation(
    logsigmoid_forward,
    logsigmoid_backward,
    module="LogSigmoid",
    equation=r"Y = \log \sigma(X) = -\log(1 + e^{-X})",
    slope=r"\sigma(-X)",
    source="document, section 4.1",
    analytic=True,
    derivation=(
        r"Write $Y = -\log D$ with $D = 1 + e^{-X}$: $$\frac{\partial Y}{\partial D} = "
        r"-\frac{1}{D} \\ \frac{\partial D}{\partial X} = -e^{-X}$$",
        r"Their product, with $e^X$ above and below: $$\frac{\partial Y}{\partial X} = "
        r"\frac{e^{-X}}{1 + e^{-X}} = \frac{1}{1 + e^X} = \sigma(-X)$$",
    ),
)


def tanhshrink_forward(X: Any) -> Any:
    """Compute X - tanh X, near 0 by its power series: the difference would have no digits left.

    Raises:
        DTypeError: if X holds integers.
    """
    small = absolute(X) < 0.1
    Z = where(small, X, 0.0)
    S = Z * Z
    rest = 62.0 / 2835.0 - S * (1382.0 / 155925.0 - S * (21844.0 / 6081075.0))
    series = 1.0 / 3.0 - S * (2.0 / 15.0 - S * (17.0 / 315.0 - S * rest))
    return where(small, Z * S * series, X - tanh(X))


def tanhshrink_backward(dY: Any, X: Any) -> Any:
    """Return dX = dY tanh² X."""
    T = tanh(X)
    return dY * (T * T)


TANHSHRINK = activation(
    tanhshrink_forward,
    tanhshrink_backward,
    module="Tanhshrink",
    equation=r"Y = X - \tanh X",
    slope=r"\tanh^2 X",
    source="PyTorch, nn.Tanhshrink",
    analytic=True,
    derivation=(
        r"The slope of X is 1, that of $\tanh X$ is $1 - \tanh^2 X$.",
        r"Their difference: $$\frac{\partial Y}{\partial X} = 1 - (1 - \tanh^2 X) = \tanh^2 "
        "X$$",
    ),
)


def softplus_forward(X: Any, *, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """Compute log(1 + e^(beta X)) / beta, and X itself where beta X > threshold.

    Args:
        X: any shape, floating.
        beta: how sharply it bends.
        threshold: the beta X from which on it is X itself.

    Raises:
        DTypeError: if X holds integers.
    """
    B = beta * X
    linear = real(B) > threshold
    return where(linear, X, log1p(exp(where(linear, 0.0, B))) / beta)


def softplus_backward(dY: Any, X: Any, *, beta: float, threshold: float) -> Any:
    """Return dX = dY · σ(beta X), and dY itself where beta X > threshold."""
    B = beta * X
    return where(B > threshold, dY, dY * logistic(B))


SOFTPLUS = activation(
    softplus_forward,
    softplus_backward,
    module="Softplus",
    variants={"beta 2.5": {"beta": 2.5}, "a low threshold": {"beta": 0.5, "threshold": 9.0}},
    equation=r"Y = \frac{1}{\beta} \log(1 + e^{\beta X})",
    slope=r"\sigma(\beta X)",
    source="Dugas, Bengio, Bélisle, Nadeau and Garcia 2001",
    kinks="at beta X = threshold, where it turns into X (a step of 2e-9 by default)",
    analytic=True,
    derivation=(
        r"Write $Y = \frac{1}{\beta} \log D$ with $D = 1 + e^{\beta X}$: $$\frac{\partial "
        r"Y}{\partial D} = \frac{1}{\beta D} \\ \frac{\partial D}{\partial X} = \beta "
        r"e^{\beta X}$$",
        r"Their product, with $e^{-\beta X}$ above and below: $$\frac{\partial Y}{\partial X} "
        r"= \frac{e^{\beta X}}{1 + e^{\beta X}} = \sigma(\beta X)$$",
        "Above the threshold the code takes X itself, whose slope is 1: so is this one, to "
        "the last digit that is shown.",
    ),
)


def softsign_forward(X: Any) -> Any:
    """Compute X / (1 + |X|).

    Raises:
        DTypeError: if X holds integers.
    """
    return X / (1.0 + absolute(X))


def softsign_backward(dY: Any, X: Any) -> Any:
    """Return dX = dY / (1 + |X|)²."""
    D = 1.0 + absolute(X)
    return dY / (D * D)


SOFTSIGN = activation(
    softsign_forward,
    softsign_backward,
    module="Softsign",
    bends=(0.0,),
    equation=r"Y = \frac{X}{1 + |X|}",
    slope=r"\frac{1}{(1 + |X|)^2}",
    source="Turian, Bergstra and Bengio 2009",
)
