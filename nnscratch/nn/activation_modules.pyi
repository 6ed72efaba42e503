# Written by `python -m nnscratch.inspect.stubs`; change the formulas, not this file.

from nnscratch.nn.options import FunctionModule

__all__ = [
    "ELU",
    "LeakyReLU",
    "ReLU",
    "SELU",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Softsign",
    "Tanh",
]

class ELU(FunctionModule):
    r"""Compute X where X > 0, else alpha (e^X - 1), without overflow on the side not taken.

    $$
    Y = \max(X, 0) + \min(\alpha (e^X - 1), 0)
    $$

    Args:
        alpha: what it goes to on the negative side, without its sign, 1.0 unless given.
        inplace: whether the input gets the result, and is what is returned.

    Raises:
        DTypeError: when called with an input of integers.

    >>> from nnscratch import nn, tensor
    >>> y = nn.ELU()(tensor([-2.0, -0.5, 1.0, 4.0]))
    >>> [round(value, 3) for value in y.tolist()]
    [-0.865, -0.393, 1.0, 4.0]
    """
    alpha: float
    inplace: bool
    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None: ...

class LeakyReLU(FunctionModule):
    r"""Compute X where X > 0, else ``negative_slope`` times X.

    $$
    Y = \max(X, 0) + a \min(X, 0)
    $$

    Args:
        negative_slope: the slope a where X is negative, 0.01 unless given.
        inplace: whether the input gets the result, and is what is returned.

    Raises:
        DTypeError: when called with an input of integers.

    >>> from nnscratch import nn, tensor
    >>> y = nn.LeakyReLU()(tensor([-2.0, -0.5, 1.0, 4.0]))
    >>> [round(value, 3) for value in y.tolist()]
    [-0.02, -0.005, 1.0, 4.0]
    """
    negative_slope: float
    inplace: bool
    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None: ...

class ReLU(FunctionModule):
    r"""Compute max(X, 0); NaN stays NaN.

    $$
    Y = \max(X, 0)
    $$

    Args:
        inplace: whether the input gets the result, and is what is returned.

    Raises:
        DTypeError: when called with an input of integers.

    >>> from nnscratch import nn, tensor
    >>> y = nn.ReLU()(tensor([-2.0, -0.5, 1.0, 4.0]))
    >>> [round(value, 3) for value in y.tolist()]
    [0.0, 0.0, 1.0, 4.0]
    """
    inplace: bool
    def __init__(self, inplace: bool = False) -> None: ...

class SELU(FunctionModule):
    r"""Compute scale times ELU, with the two constants that keep mean 0 and variance 1.

    $$
    Y = \lambda (\max(X, 0) + \min(\alpha (e^X - 1), 0))
    $$

    Args:
        inplace: whether the input gets the result, and is what is returned.

    Raises:
        DTypeError: when called with an input of integers.

    >>> from nnscratch import nn, tensor
    >>> y = nn.SELU()(tensor([-2.0, -0.5, 1.0, 4.0]))
    >>> [round(value, 3) for value in y.tolist()]
    [-1.52, -0.692, 1.051, 4.203]
    """
    inplace: bool
    def __init__(self, inplace: bool = False) -> None: ...

class SiLU(FunctionModule):
    r"""Compute X σ(X), also called swish.

    $$
    Y = X \sigma(X)
    $$

    Args:
        inplace: whether the input gets the result, and is what is returned.

    Raises:
        DTypeError: when called with an input of integers.

    >>> from nnscratch import nn, tensor
    >>> y = nn.SiLU()(tensor([-2.0, -0.5, 1.0, 4.0]))
    >>> [round(value, 3) for value in y.tolist()]
    [-0.238, -0.189, 0.731, 3.928]
    """
    inplace: bool
    def __init__(self, inplace: bool = False) -> None: ...

class Sigmoid(FunctionModule):
    r"""Compute 1 / (1 + e^-X) on the branch that cannot overflow.

    $$
    Y = \sigma(X) = \frac{1}{1 + e^{-X}}
    $$

    Raises:
        DTypeError: when called with an input of integers.

    >>> from nnscratch import nn, tensor
    >>> y = nn.Sigmoid()(tensor([-2.0, -0.5, 1.0, 4.0]))
    >>> [round(value, 3) for value in y.tolist()]
    [0.119, 0.378, 0.731, 0.982]
    """
    def __init__(self) -> None: ...

class Softplus(FunctionModule):
    r"""Compute log(1 + e^(beta X)) / beta, and X itself where beta X > threshold.

    $$
    Y = \frac{1}{\beta} \log(1 + e^{\beta X})
    $$

    Args:
        beta: how sharply it bends, 1.0 unless given.
        threshold: the beta X from which on it is X itself, 20.0 unless given.

    Raises:
        DTypeError: when called with an input of integers.

    >>> from nnscratch import nn, tensor
    >>> y = nn.Softplus()(tensor([-2.0, -0.5, 1.0, 4.0]))
    >>> [round(value, 3) for value in y.tolist()]
    [0.127, 0.474, 1.313, 4.018]
    """
    beta: float
    threshold: float
    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None: ...

class Softsign(FunctionModule):
    r"""Compute X / (1 + |X|).

    $$
    Y = \frac{X}{1 + |X|}
    $$

    Raises:
        DTypeError: when called with an input of integers.

    >>> from nnscratch import nn, tensor
    >>> y = nn.Softsign()(tensor([-2.0, -0.5, 1.0, 4.0]))
    >>> [round(value, 3) for value in y.tolist()]
    [-0.667, -0.333, 0.5, 0.8]
    """
    def __init__(self) -> None: ...

class Tanh(FunctionModule):
    r"""Compute the hyperbolic tangent.

    $$
    Y = \tanh X
    $$

    Raises:
        DTypeError: when called with an input of integers.

    >>> from nnscratch import nn, tensor
    >>> y = nn.Tanh()(tensor([-2.0, -0.5, 1.0, 4.0]))
    >>> [round(value, 3) for value in y.tolist()]
    [-0.964, -0.462, 0.762, 0.999]
    """
    def __init__(self) -> None: ...
