# Written by `python -m nnscratch.inspect.stubs`; change the formulas, not this file.

from nnscratch.nn.options import FunctionModule

__all__ = [
    "CELU",
    "ELU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "LeakyReLU",
    "LogSigmoid",
    "Mish",
    "ReLU",
    "ReLU6",
    "SELU",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
]

class CELU(FunctionModule):
    r"""Compute X where X > 0, else alpha (e^(X / alpha) - 1): an ELU without a kink.

    $$
    Y = \max(X, 0) + \min(\alpha (e^{X / \alpha} - 1), 0)
    $$

    Args:
        alpha: what it goes to on the negative side, without its sign, 1.0 unless given.
        inplace: whether the input gets the result, and is what is returned.

    Raises:
        DTypeError: when called with an input of integers.

    >>> from nnscratch import nn, tensor
    >>> y = nn.CELU()(tensor([-2.0, -0.5, 1.0, 4.0]))
    >>> [round(value, 3) for value in y.tolist()]
    [-0.865, -0.393, 1.0, 4.0]
    """
    alpha: float
    inplace: bool
    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None: ...

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

class Hardshrink(FunctionModule):
    r"""Compute X outside of ±``lambd``, 0 within.

    $$
    Y = X [|X| > \lambda]
    $$

    Args:
        lambd: the bound λ, 0.5 unless given.

    Raises:
        DTypeError: when called with an input of integers.

    >>> from nnscratch import nn, tensor
    >>> y = nn.Hardshrink()(tensor([-2.0, -0.5, 1.0, 4.0]))
    >>> [round(value, 3) for value in y.tolist()]
    [-2.0, 0.0, 1.0, 4.0]
    """
    lambd: float
    def __init__(self, lambd: float = 0.5) -> None: ...

class Hardsigmoid(FunctionModule):
    r"""Compute X / 6 + 1/2 held between 0 and 1, the sigmoid of three straight pieces.

    $$
    Y = \tfrac{1}{6} \min(\max(X + 3, 0), 6)
    $$

    Args:
        inplace: whether the input gets the result, and is what is returned.

    Raises:
        DTypeError: when called with an input of integers.

    >>> from nnscratch import nn, tensor
    >>> y = nn.Hardsigmoid()(tensor([-2.0, -0.5, 1.0, 4.0]))
    >>> [round(value, 3) for value in y.tolist()]
    [0.167, 0.417, 0.667, 1.0]
    """
    inplace: bool
    def __init__(self, inplace: bool = False) -> None: ...

class Hardswish(FunctionModule):
    r"""Compute X times its hardsigmoid.

    $$
    Y = \tfrac{1}{6} X \min(\max(X + 3, 0), 6)
    $$

    Args:
        inplace: whether the input gets the result, and is what is returned.

    Raises:
        DTypeError: when called with an input of integers.

    >>> from nnscratch import nn, tensor
    >>> y = nn.Hardswish()(tensor([-2.0, -0.5, 1.0, 4.0]))
    >>> [round(value, 3) for value in y.tolist()]
    [-0.333, -0.208, 0.667, 4.0]
    """
    inplace: bool
    def __init__(self, inplace: bool = False) -> None: ...

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

class LogSigmoid(FunctionModule):
    r"""Compute log σ(X) on the branch that cannot overflow.

    $$
    Y = \log \sigma(X) = -\log(1 + e^{-X})
    $$

    Raises:
        DTypeError: when called with an input of integers.

    >>> from nnscratch import nn, tensor
    >>> y = nn.LogSigmoid()(tensor([-2.0, -0.5, 1.0, 4.0]))
    >>> [round(value, 3) for value in y.tolist()]
    [-2.127, -0.974, -0.313, -0.018]
    """
    def __init__(self) -> None: ...

class Mish(FunctionModule):
    r"""Compute X tanh(log(1 + e^X)).

    $$
    Y = X T, \quad T = \tanh(\log(1 + e^X))
    $$

    Args:
        inplace: whether the input gets the result, and is what is returned.

    Raises:
        DTypeError: when called with an input of integers.

    >>> from nnscratch import nn, tensor
    >>> y = nn.Mish()(tensor([-2.0, -0.5, 1.0, 4.0]))
    >>> [round(value, 3) for value in y.tolist()]
    [-0.253, -0.221, 0.865, 3.997]
    """
    inplace: bool
    def __init__(self, inplace: bool = False) -> None: ...

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

class ReLU6(FunctionModule):
    r"""Compute X held between 0 and 6; NaN stays NaN.

    $$
    Y = \min(\max(X, 0), 6)
    $$

    Args:
        inplace: whether the input gets the result, and is what is returned.

    Raises:
        DTypeError: when called with an input of integers.

    >>> from nnscratch import nn, tensor
    >>> y = nn.ReLU6()(tensor([-2.0, -0.5, 1.0, 4.0]))
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

class Softshrink(FunctionModule):
    r"""Compute X moved by ``lambd`` towards 0, and 0 where that is nearer.

    $$
    Y = \mathrm{sign}(X) \max(|X| - \lambda, 0)
    $$

    Args:
        lambd: how far it is moved, λ, 0.5 unless given.

    Raises:
        DTypeError: when called with an input of integers.

    >>> from nnscratch import nn, tensor
    >>> y = nn.Softshrink()(tensor([-2.0, -0.5, 1.0, 4.0]))
    >>> [round(value, 3) for value in y.tolist()]
    [-1.5, -0.0, 0.5, 3.5]
    """
    lambd: float
    def __init__(self, lambd: float = 0.5) -> None: ...

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

class Tanhshrink(FunctionModule):
    r"""Compute X - tanh X.

    $$
    Y = X - \tanh X
    $$

    Raises:
        DTypeError: when called with an input of integers.

    >>> from nnscratch import nn, tensor
    >>> y = nn.Tanhshrink()(tensor([-2.0, -0.5, 1.0, 4.0]))
    >>> [round(value, 3) for value in y.tolist()]
    [-1.036, -0.038, 0.238, 3.001]
    """
    def __init__(self) -> None: ...

class Threshold(FunctionModule):
    r"""Compute X above the threshold, and ``value`` elsewhere.

    $$
    Y = X [X > t] + v [X \le t]
    $$

    Args:
        threshold: what X has to be above, t.
        value: what stands elsewhere, v.
        inplace: whether the input gets the result, and is what is returned.

    Raises:
        DTypeError: when called with an input of integers.
    """
    threshold: float
    value: float
    inplace: bool
    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None: ...
