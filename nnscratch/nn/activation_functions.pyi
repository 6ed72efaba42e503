# Written by `python -m nnscratch.inspect.stubs`; change the formulas, not this file.

from typing import Any

from nnscratch.tensors import Tensor

__all__ = [
    "celu",
    "elu",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "leaky_relu",
    "logsigmoid",
    "mish",
    "relu",
    "relu6",
    "selu",
    "silu",
    "softplus",
    "softshrink",
    "softsign",
    "tanhshrink",
    "threshold",
]

def celu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    r"""Return X where X > 0, else alpha (e^(X / alpha) - 1): an ELU without a kink.

    $$
    Y = \max(X, 0) + \min(\alpha (e^{X / \alpha} - 1), 0)
    $$

    Args:
        input: X, of any shape, floating.
        alpha: what it goes to on the negative side, without its sign, 1.0 unless given.
        inplace: whether the input gets the result, and is what is returned.

    Raises:
        DTypeError: if the input holds integers.

    >>> from nnscratch import nn, tensor
    >>> y = nn.functional.celu(tensor([-2.0, -0.5, 1.0, 4.0]))
    >>> [round(value, 3) for value in y.tolist()]
    [-0.865, -0.393, 1.0, 4.0]
    """

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

def hardshrink(input: Any, lambd: float = 0.5) -> Tensor:
    r"""Return X outside of ±``lambd``, 0 within.

    $$
    Y = X [|X| > \lambda]
    $$

    Args:
        input: X, of any shape, floating.
        lambd: the bound λ, 0.5 unless given.

    Raises:
        DTypeError: if the input holds integers.

    >>> from nnscratch import nn, tensor
    >>> y = nn.functional.hardshrink(tensor([-2.0, -0.5, 1.0, 4.0]))
    >>> [round(value, 3) for value in y.tolist()]
    [-2.0, 0.0, 1.0, 4.0]
    """

def hardsigmoid(input: Any, inplace: bool = False) -> Tensor:
    r"""Return X / 6 + 1/2 held between 0 and 1, the sigmoid of three straight pieces.

    $$
    Y = \tfrac{1}{6} \min(\max(X + 3, 0), 6)
    $$

    Args:
        input: X, of any shape, floating.
        inplace: whether the input gets the result, and is what is returned.

    Raises:
        DTypeError: if the input holds integers.

    >>> from nnscratch import nn, tensor
    >>> y = nn.functional.hardsigmoid(tensor([-2.0, -0.5, 1.0, 4.0]))
    >>> [round(value, 3) for value in y.tolist()]
    [0.167, 0.417, 0.667, 1.0]
    """

def hardswish(input: Any, inplace: bool = False) -> Tensor:
    r"""Return X times its hardsigmoid.

    $$
    Y = \tfrac{1}{6} X \min(\max(X + 3, 0), 6)
    $$

    Args:
        input: X, of any shape, floating.
        inplace: whether the input gets the result, and is what is returned.

    Raises:
        DTypeError: if the input holds integers.

    >>> from nnscratch import nn, tensor
    >>> y = nn.functional.hardswish(tensor([-2.0, -0.5, 1.0, 4.0]))
    >>> [round(value, 3) for value in y.tolist()]
    [-0.333, -0.208, 0.667, 4.0]
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

def logsigmoid(input: Any) -> Tensor:
    r"""Return log σ(X) on the branch that cannot overflow.

    $$
    Y = \log \sigma(X) = -\log(1 + e^{-X})
    $$

    Args:
        input: X, of any shape, floating.

    Raises:
        DTypeError: if the input holds integers.

    >>> from nnscratch import nn, tensor
    >>> y = nn.functional.logsigmoid(tensor([-2.0, -0.5, 1.0, 4.0]))
    >>> [round(value, 3) for value in y.tolist()]
    [-2.127, -0.974, -0.313, -0.018]
    """

def mish(input: Any, inplace: bool = False) -> Tensor:
    r"""Return X tanh(log(1 + e^X)).

    $$
    Y = X T, \quad T = \tanh(\log(1 + e^X))
    $$

    Args:
        input: X, of any shape, floating.
        inplace: whether the input gets the result, and is what is returned.

    Raises:
        DTypeError: if the input holds integers.

    >>> from nnscratch import nn, tensor
    >>> y = nn.functional.mish(tensor([-2.0, -0.5, 1.0, 4.0]))
    >>> [round(value, 3) for value in y.tolist()]
    [-0.253, -0.221, 0.865, 3.997]
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

def relu6(input: Any, inplace: bool = False) -> Tensor:
    r"""Return X held between 0 and 6; NaN stays NaN.

    $$
    Y = \min(\max(X, 0), 6)
    $$

    Args:
        input: X, of any shape, floating.
        inplace: whether the input gets the result, and is what is returned.

    Raises:
        DTypeError: if the input holds integers.

    >>> from nnscratch import nn, tensor
    >>> y = nn.functional.relu6(tensor([-2.0, -0.5, 1.0, 4.0]))
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

def softshrink(input: Any, lambd: float = 0.5) -> Tensor:
    r"""Return X moved by ``lambd`` towards 0, and 0 where that is nearer.

    $$
    Y = \mathrm{sign}(X) \max(|X| - \lambda, 0)
    $$

    Args:
        input: X, of any shape, floating.
        lambd: how far it is moved, λ, 0.5 unless given.

    Raises:
        DTypeError: if the input holds integers.

    >>> from nnscratch import nn, tensor
    >>> y = nn.functional.softshrink(tensor([-2.0, -0.5, 1.0, 4.0]))
    >>> [round(value, 3) for value in y.tolist()]
    [-1.5, -0.0, 0.5, 3.5]
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

def tanhshrink(input: Any) -> Tensor:
    r"""Return X - tanh X.

    $$
    Y = X - \tanh X
    $$

    Args:
        input: X, of any shape, floating.

    Raises:
        DTypeError: if the input holds integers.

    >>> from nnscratch import nn, tensor
    >>> y = nn.functional.tanhshrink(tensor([-2.0, -0.5, 1.0, 4.0]))
    >>> [round(value, 3) for value in y.tolist()]
    [-1.036, -0.038, 0.238, 3.001]
    """

def threshold(input: Any, threshold: float, value: float, inplace: bool = False) -> Tensor:
    r"""Return X above the threshold, and ``value`` elsewhere.

    $$
    Y = X [X > t] + v [X \le t]
    $$

    Args:
        input: X, of any shape, floating.
        threshold: what X has to be above, t.
        value: what stands elsewhere, v.
        inplace: whether the input gets the result, and is what is returned.

    Raises:
        DTypeError: if the input holds integers.
    """
