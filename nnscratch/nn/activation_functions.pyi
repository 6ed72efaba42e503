# Written by `python -m nnscratch.inspect.stubs`; change the formulas, not this file.

from typing import Any

from nnscratch.tensors import Tensor

__all__ = [
    "elu",
    "hardtanh",
    "leaky_relu",
    "relu",
    "selu",
    "silu",
    "softplus",
    "softsign",
]

def elu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    r"""Return X where X > 0, else alpha (e^X - 1), without overflow on the side not taken.

    $$
    Y = \max(X, 0) + \min(\alpha (e^X - 1), 0)
    $$

    Args:
        input: X, of any shape, floating.
        alpha: what it goes to on the negative side, without its sign, 1.0 unless given.
        inplace: whether the input gets the result, and is what is returned.

    Raises:
        DTypeError: if the input holds integers.

    >>> from nnscratch import nn, tensor
    >>> y = nn.functional.elu(tensor([-2.0, -0.5, 1.0, 4.0]))
    >>> [round(value, 3) for value in y.tolist()]
    [-0.865, -0.393, 1.0, 4.0]
    """

def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    r"""Return X held between ``min_val`` and ``max_val``; NaN stays NaN.

    $$
    Y = \min(\max(X, a), b)
    $$

    Args:
        input: X, of any shape, floating.
        min_val: the lower bound a, -1.0 unless given.
        max_val: the upper bound b, 1.0 unless given.
        inplace: whether the input gets the result, and is what is returned.

    Raises:
        DTypeError: if the input holds integers.

    >>> from nnscratch import nn, tensor
    >>> y = nn.functional.hardtanh(tensor([-2.0, -0.5, 1.0, 4.0]))
    >>> [round(value, 3) for value in y.tolist()]
    [-1.0, -0.5, 1.0, 1.0]
    """

def leaky_relu(input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    r"""Return X where X > 0, else ``negative_slope`` times X.

    $$
    Y = \max(X, 0) + a \min(X, 0)
    $$

    Args:
        input: X, of any shape, floating.
        negative_slope: the slope a where X is negative, 0.01 unless given.
        inplace: whether the input gets the result, and is what is returned.

    Raises:
        DTypeError: if the input holds integers.

    >>> from nnscratch import nn, tensor
    >>> y = nn.functional.leaky_relu(tensor([-2.0, -0.5, 1.0, 4.0]))
    >>> [round(value, 3) for value in y.tolist()]
    [-0.02, -0.005, 1.0, 4.0]
    """

def relu(input: Any, inplace: bool = False) -> Tensor:
    r"""Return max(X, 0); NaN stays NaN.

    $$
    Y = \max(X, 0)
    $$

    Args:
        input: X, of any shape, floating.
        inplace: whether the input gets the result, and is what is returned.

    Raises:
        DTypeError: if the input holds integers.

    >>> from nnscratch import nn, tensor
    >>> y = nn.functional.relu(tensor([-2.0, -0.5, 1.0, 4.0]))
    >>> [round(value, 3) for value in y.tolist()]
    [0.0, 0.0, 1.0, 4.0]
    """

def selu(input: Any, inplace: bool = False) -> Tensor:
    r"""Return scale times ELU, with the two constants that keep mean 0 and variance 1.

    $$
    Y = \lambda (\max(X, 0) + \min(\alpha (e^X - 1), 0))
    $$

    Args:
        input: X, of any shape, floating.
        inplace: whether the input gets the result, and is what is returned.

    Raises:
        DTypeError: if the input holds integers.

    >>> from nnscratch import nn, tensor
    >>> y = nn.functional.selu(tensor([-2.0, -0.5, 1.0, 4.0]))
    >>> [round(value, 3) for value in y.tolist()]
    [-1.52, -0.692, 1.051, 4.203]
    """

def silu(input: Any, inplace: bool = False) -> Tensor:
    r"""Return X σ(X), also called swish.

    $$
    Y = X \sigma(X)
    $$

    Args:
        input: X, of any shape, floating.
        inplace: whether the input gets the result, and is what is returned.

    Raises:
        DTypeError: if the input holds integers.

    >>> from nnscratch import nn, tensor
    >>> y = nn.functional.silu(tensor([-2.0, -0.5, 1.0, 4.0]))
    >>> [round(value, 3) for value in y.tolist()]
    [-0.238, -0.189, 0.731, 3.928]
    """

def softplus(input: Any, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    r"""Return log(1 + e^(beta X)) / beta, and X itself where beta X > threshold.

    $$
    Y = \frac{1}{\beta} \log(1 + e^{\beta X})
    $$

    Args:
        input: X, of any shape, floating.
        beta: how sharply it bends, 1.0 unless given.
        threshold: the beta X from which on it is X itself, 20.0 unless given.

    Raises:
        DTypeError: if the input holds integers.

    >>> from nnscratch import nn, tensor
    >>> y = nn.functional.softplus(tensor([-2.0, -0.5, 1.0, 4.0]))
    >>> [round(value, 3) for value in y.tolist()]
    [0.127, 0.474, 1.313, 4.018]
    """

def softsign(input: Any) -> Tensor:
    r"""Return X / (1 + |X|).

    $$
    Y = \frac{X}{1 + |X|}
    $$

    Args:
        input: X, of any shape, floating.

    Raises:
        DTypeError: if the input holds integers.

    >>> from nnscratch import nn, tensor
    >>> y = nn.functional.softsign(tensor([-2.0, -0.5, 1.0, 4.0]))
    >>> [round(value, 3) for value in y.tolist()]
    [-0.667, -0.333, 0.5, 0.8]
    """
