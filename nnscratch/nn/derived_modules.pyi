# Written by `python -m nnscratch.inspect.stubs`; change its source, not this file.

from typing import Any

from nnscratch.nn.options import FunctionModule
from nnscratch.nn.reductions import Loss

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CELU",
    "CosineEmbeddingLoss",
    "ELU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "HingeEmbeddingLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "LeakyReLU",
    "LogSigmoid",
    "MSELoss",
    "MarginRankingLoss",
    "Mish",
    "MultiLabelMarginLoss",
    "MultiMarginLoss",
    "NLLLoss",
    "PoissonNLLLoss",
    "ReLU",
    "ReLU6",
    "SELU",
    "SiLU",
    "Sigmoid",
    "SmoothL1Loss",
    "SoftMarginLoss",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
]

class BCELoss(Loss):
    r"""Compute -(T log P + (1 - T) log(1 - P)), with no logarithm below -100.

    $$
    L = -\frac{1}{n} \sum_i w_i (T_i \log P_i + (1 - T_i) \log(1 - P_i))
    $$

    Args:
        weight: weights that broadcast to them, or None.
        size_average: PyTorch's word of old for the reduction, taken with a warning.
        reduce: PyTorch's word of old for the reduction, taken with a warning.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: if the shapes do not fit.
        DTypeError: if a number that is predicted is no floating-point number.

    >>> from nnscratch import nn, tensor
    >>> nn.BCELoss()(tensor([0.5, 1.0]), tensor([1.0, 1.0])).shape
    ()
    """
    weight: Any
    reduction: str
    def __init__(self, weight: Any = None, size_average: bool | None = None, reduce: bool | None = None, reduction: str = 'mean') -> None: ...

class BCEWithLogitsLoss(Loss):
    r"""Compute the binary cross-entropy of $\sigma(X)$, straight from X.

    $$
    L = \frac{1}{n} \sum_i w_i \left((1 - T_i) X_i + (1 + (p - 1) T_i) \log(1 + e^{-X_i})\right)
    $$

    Args:
        weight: weights that broadcast to them, or None.
        size_average: PyTorch's word of old for the reduction, taken with a warning.
        reduce: PyTorch's word of old for the reduction, taken with a warning.
        reduction: "mean", "sum" or "none".
        pos_weight: what a target of 1 weighs more, broadcasts to them, or None.

    Raises:
        ShapeError: if the shapes do not fit.
        DTypeError: if a number that is predicted is no floating-point number.

    >>> from nnscratch import nn, tensor
    >>> nn.BCEWithLogitsLoss()(tensor([0.5, 1.0]), tensor([1.0, 1.0])).shape
    ()
    """
    weight: Any
    reduction: str
    pos_weight: Any
    def __init__(self, weight: Any = None, size_average: bool | None = None, reduce: bool | None = None, reduction: str = 'mean', pos_weight: Any = None) -> None: ...

class CELU(FunctionModule):
    r"""Compute X where X > 0, else alpha (e^(X / alpha) - 1): an ELU without a kink.

    $$
    Y = \max(X, 0) + \min(\alpha (e^{X / \alpha} - 1), 0)
    $$

    Args:
        alpha: what it goes to on the negative side, without its sign; not 0, 1.0 unless given.
        inplace: whether the input gets the result, and is what is returned.

    Raises:
        DTypeError: when called with an input of integers.

    >>> from nnscratch import nn, tensor
    >>> nn.CELU()(tensor([-2.0, -0.5, 1.0, 4.0])).shape
    (4,)
    """
    alpha: float
    inplace: bool
    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None: ...

class CosineEmbeddingLoss(Loss):
    r"""Compute 1 - cos(X1, X2) where T is 1, and max(0, cos(X1, X2) - margin) where T is -1.

    $$
    L = \frac{1}{n} \sum_i \begin{cases} 1 - C_i & T_i = 1 \\ \max(0, C_i - m) & T_i = -1 \end{cases}, \quad C = \frac{X_1 \cdot X_2}{|X_1| |X_2|}
    $$

    Args:
        margin: the cosine up to which a pair that is labelled -1 costs nothing, 0.0 unless given.
        size_average: PyTorch's word of old for the reduction, taken with a warning.
        reduce: PyTorch's word of old for the reduction, taken with a warning.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: if the shapes do not fit.
        DTypeError: if a number that is predicted is no floating-point number.
    """
    margin: float
    reduction: str
    def __init__(self, margin: float = 0.0, size_average: bool | None = None, reduce: bool | None = None, reduction: str = 'mean') -> None: ...

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
    >>> nn.ELU()(tensor([-2.0, -0.5, 1.0, 4.0])).shape
    (4,)
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
    >>> nn.Hardshrink()(tensor([-2.0, -0.5, 1.0, 4.0])).shape
    (4,)
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
    >>> nn.Hardsigmoid()(tensor([-2.0, -0.5, 1.0, 4.0])).shape
    (4,)
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
    >>> nn.Hardswish()(tensor([-2.0, -0.5, 1.0, 4.0])).shape
    (4,)
    """
    inplace: bool
    def __init__(self, inplace: bool = False) -> None: ...

class HingeEmbeddingLoss(Loss):
    r"""Compute X where T is 1, and max(0, margin - X) where T is -1.

    $$
    L = \frac{1}{n} \sum_i \begin{cases} X_i & T_i = 1 \\ \max(0, m - X_i) & T_i = -1 \end{cases}
    $$

    Args:
        margin: the distance from which a pair that is labelled -1 costs nothing, 1.0 unless given.
        size_average: PyTorch's word of old for the reduction, taken with a warning.
        reduce: PyTorch's word of old for the reduction, taken with a warning.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: if the shapes do not fit.
        DTypeError: if a number that is predicted is no floating-point number.

    >>> from nnscratch import nn, tensor
    >>> nn.HingeEmbeddingLoss()(tensor([0.5, 1.0]), tensor([1.0, 1.0])).shape
    ()
    """
    margin: float
    reduction: str
    def __init__(self, margin: float = 1.0, size_average: bool | None = None, reduce: bool | None = None, reduction: str = 'mean') -> None: ...

class HuberLoss(Loss):
    r"""Compute the mean of D²/2 where |D| <= delta, else delta (|D| - delta / 2), with D = Y - T.

    $$
    L = \frac{1}{n} \sum_i \begin{cases} D_i^2 / 2 & |D_i| \le \delta \\ \delta (|D_i| - \delta/2) & \text{else} \end{cases}, \quad D = Y - T
    $$

    Args:
        reduction: "mean", "sum" or "none".
        delta: the distance from which it is a line, above 0, 1.0 unless given.

    Raises:
        ShapeError: if the shapes do not fit.
        DTypeError: if a number that is predicted is no floating-point number.

    >>> from nnscratch import nn, tensor
    >>> nn.HuberLoss()(tensor([0.5, 1.0]), tensor([1.0, 1.0])).shape
    ()
    """
    reduction: str
    delta: float
    def __init__(self, reduction: str = 'mean', delta: float = 1.0) -> None: ...

class KLDivLoss(Loss):
    r"""Compute T (log T - log P), given log P; where T is 0 that is 0.

    $$
    L = \frac{1}{n} \sum_i T_i (\log T_i - \log P_i)
    $$

    Args:
        size_average: PyTorch's word of old for the reduction, taken with a warning.
        reduce: PyTorch's word of old for the reduction, taken with a warning.
        reduction: "mean", "sum" or "none".
        log_target: whether T holds logarithms, False unless given.

    Raises:
        ShapeError: if the shapes do not fit.
        DTypeError: if a number that is predicted is no floating-point number.

    >>> from nnscratch import nn, tensor
    >>> nn.KLDivLoss()(tensor([0.5, 1.0]), tensor([1.0, 1.0])).shape
    ()
    """
    reduction: str
    log_target: bool
    def __init__(self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = 'mean', log_target: bool = False) -> None: ...

class L1Loss(Loss):
    r"""Compute the mean of |Y - T|.

    $$
    L = \frac{1}{n} \sum_i |Y_i - T_i|
    $$

    Args:
        size_average: PyTorch's word of old for the reduction, taken with a warning.
        reduce: PyTorch's word of old for the reduction, taken with a warning.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: if the shapes do not fit.
        DTypeError: if a number that is predicted is no floating-point number.

    >>> from nnscratch import nn, tensor
    >>> nn.L1Loss()(tensor([0.5, 1.0]), tensor([1.0, 1.0])).shape
    ()
    """
    reduction: str
    def __init__(self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = 'mean') -> None: ...

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
    >>> nn.LeakyReLU()(tensor([-2.0, -0.5, 1.0, 4.0])).shape
    (4,)
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
    >>> nn.LogSigmoid()(tensor([-2.0, -0.5, 1.0, 4.0])).shape
    (4,)
    """
    def __init__(self) -> None: ...

class MSELoss(Loss):
    r"""Compute the mean of (Y - T)² over all entries (no factor 1/2).

    $$
    L = \frac{1}{n} \sum_i (Y_i - T_i)^2
    $$

    Args:
        size_average: PyTorch's word of old for the reduction, taken with a warning.
        reduce: PyTorch's word of old for the reduction, taken with a warning.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: if the shapes do not fit.
        DTypeError: if a number that is predicted is no floating-point number.

    >>> from nnscratch import nn, tensor
    >>> nn.MSELoss()(tensor([0.5, 1.0]), tensor([1.0, 1.0])).shape
    ()
    """
    reduction: str
    def __init__(self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = 'mean') -> None: ...

class MarginRankingLoss(Loss):
    r"""Compute max(0, margin - T (X1 - X2)): T = 1 asks for X1 above X2, T = -1 for X2 above X1.

    $$
    L = \frac{1}{n} \sum_i \max(0, m - T_i (X_{1,i} - X_{2,i}))
    $$

    Args:
        margin: by how much, 0.0 unless given.
        size_average: PyTorch's word of old for the reduction, taken with a warning.
        reduce: PyTorch's word of old for the reduction, taken with a warning.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: if the shapes do not fit.
        DTypeError: if a number that is predicted is no floating-point number.

    >>> from nnscratch import nn, tensor
    >>> nn.MarginRankingLoss()(tensor([0.5, 1.0]), tensor([1.0, 1.0]), tensor([1.0, 1.0])).shape
    ()
    """
    margin: float
    reduction: str
    def __init__(self, margin: float = 0.0, size_average: bool | None = None, reduce: bool | None = None, reduction: str = 'mean') -> None: ...

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
    >>> nn.Mish()(tensor([-2.0, -0.5, 1.0, 4.0])).shape
    (4,)
    """
    inplace: bool
    def __init__(self, inplace: bool = False) -> None: ...

class MultiLabelMarginLoss(Loss):
    r"""Compute Σ max(0, 1 - (x_j - x_i)) / C over the labels j and all other classes i.

    $$
    L = \frac{1}{N} \sum_n \frac{1}{C} \sum_{j \in T_n} \sum_{i \notin T_n} \max(0, 1 - (X_{nj} - X_{ni}))
    $$

    Args:
        size_average: PyTorch's word of old for the reduction, taken with a warning.
        reduce: PyTorch's word of old for the reduction, taken with a warning.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: if the shapes do not fit.
        DTypeError: if a number that is predicted is no floating-point number.
    """
    reduction: str
    def __init__(self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = 'mean') -> None: ...

class MultiMarginLoss(Loss):
    r"""Compute the mean over the classes j of w_t max(0, margin - x_t + x_j)^p, without j = t.

    $$
    L = \frac{1}{N} \sum_n \frac{w_{T_n}}{C} \sum_{j \ne T_n} \max(0, m - X_{n T_n} + X_{nj})^p
    $$

    Args:
        p: 1 or 2, 1 unless given.
        margin: by how much the right class shall be above the others, 1.0 unless given.
        weight: a number.
        size_average: PyTorch's word of old for the reduction, taken with a warning.
        reduce: PyTorch's word of old for the reduction, taken with a warning.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: if the shapes do not fit.
        DTypeError: if a number that is predicted is no floating-point number.
    """
    p: int
    margin: float
    weight: Any
    reduction: str
    def __init__(self, p: int = 1, margin: float = 1.0, weight: Any = None, size_average: bool | None = None, reduce: bool | None = None, reduction: str = 'mean') -> None: ...

class NLLLoss(Loss):
    r"""Compute -w_T log P_T, given the logarithms of the class probabilities.

    $$
    L = -\frac{\sum_n w_{T_n} \log P_{n T_n}}{\sum_n w_{T_n}}
    $$

    Args:
        weight: a weight for each class (C,), or None.
        size_average: PyTorch's word of old for the reduction, taken with a warning.
        ignore_index: samples of this label cost nothing and are not counted, -100 unless given.
        reduce: PyTorch's word of old for the reduction, taken with a warning.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: if the shapes do not fit.
        DTypeError: if a number that is predicted is no floating-point number.
    """
    weight: Any
    ignore_index: int
    reduction: str
    def __init__(self, weight: Any = None, size_average: bool | None = None, ignore_index: int = -100, reduce: bool | None = None, reduction: str = 'mean') -> None: ...

class PoissonNLLLoss(Loss):
    r"""Compute minus the logarithm of the Poisson probability of T, but for log T!.

    $$
    L = \frac{1}{n} \sum_i (e^{X_i} - T_i X_i), \quad \text{or } X_i - T_i \log X_i
    $$

    Args:
        log_input: whether X is the logarithm, True unless given.
        full: whether log T! is added by Stirling's formula where T > 1, False unless given.
        size_average: PyTorch's word of old for the reduction, taken with a warning.
        eps: added to a rate before its logarithm is taken, 1e-08 unless given.
        reduce: PyTorch's word of old for the reduction, taken with a warning.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: if the shapes do not fit.
        DTypeError: if a number that is predicted is no floating-point number.

    >>> from nnscratch import nn, tensor
    >>> nn.PoissonNLLLoss()(tensor([0.5, 1.0]), tensor([1.0, 1.0])).shape
    ()
    """
    log_input: bool
    full: bool
    eps: float
    reduction: str
    def __init__(self, log_input: bool = True, full: bool = False, size_average: bool | None = None, eps: float = 1e-08, reduce: bool | None = None, reduction: str = 'mean') -> None: ...

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
    >>> nn.ReLU()(tensor([-2.0, -0.5, 1.0, 4.0])).shape
    (4,)
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
    >>> nn.ReLU6()(tensor([-2.0, -0.5, 1.0, 4.0])).shape
    (4,)
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
    >>> nn.SELU()(tensor([-2.0, -0.5, 1.0, 4.0])).shape
    (4,)
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
    >>> nn.SiLU()(tensor([-2.0, -0.5, 1.0, 4.0])).shape
    (4,)
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
    >>> nn.Sigmoid()(tensor([-2.0, -0.5, 1.0, 4.0])).shape
    (4,)
    """
    def __init__(self) -> None: ...

class SmoothL1Loss(Loss):
    r"""Compute the mean of D² / (2 beta) where |D| < beta, else |D| - beta / 2, with D = Y - T.

    $$
    L = \frac{1}{n} \sum_i \begin{cases} D_i^2 / (2\beta) & |D_i| < \beta \\ |D_i| - \beta/2 & \text{else} \end{cases}, \quad D = Y - T
    $$

    Args:
        size_average: PyTorch's word of old for the reduction, taken with a warning.
        reduce: PyTorch's word of old for the reduction, taken with a warning.
        reduction: "mean", "sum" or "none".
        beta: the distance from which it is a line; with 0 it is ``l1``, 1.0 unless given.

    Raises:
        ShapeError: if the shapes do not fit.
        DTypeError: if a number that is predicted is no floating-point number.

    >>> from nnscratch import nn, tensor
    >>> nn.SmoothL1Loss()(tensor([0.5, 1.0]), tensor([1.0, 1.0])).shape
    ()
    """
    reduction: str
    beta: float
    def __init__(self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = 'mean', beta: float = 1.0) -> None: ...

class SoftMarginLoss(Loss):
    r"""Compute log(1 + e^(-T X)), without overflow.

    $$
    L = \frac{1}{n} \sum_i \log(1 + e^{-T_i X_i})
    $$

    Args:
        size_average: PyTorch's word of old for the reduction, taken with a warning.
        reduce: PyTorch's word of old for the reduction, taken with a warning.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: if the shapes do not fit.
        DTypeError: if a number that is predicted is no floating-point number.

    >>> from nnscratch import nn, tensor
    >>> nn.SoftMarginLoss()(tensor([0.5, 1.0]), tensor([1.0, 1.0])).shape
    ()
    """
    reduction: str
    def __init__(self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = 'mean') -> None: ...

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
    >>> nn.Softplus()(tensor([-2.0, -0.5, 1.0, 4.0])).shape
    (4,)
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
        lambd: how far it is moved, λ, at least 0, 0.5 unless given.

    Raises:
        DTypeError: when called with an input of integers.

    >>> from nnscratch import nn, tensor
    >>> nn.Softshrink()(tensor([-2.0, -0.5, 1.0, 4.0])).shape
    (4,)
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
    >>> nn.Softsign()(tensor([-2.0, -0.5, 1.0, 4.0])).shape
    (4,)
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
    >>> nn.Tanh()(tensor([-2.0, -0.5, 1.0, 4.0])).shape
    (4,)
    """
    def __init__(self) -> None: ...

class Tanhshrink(FunctionModule):
    r"""Compute X - tanh X, near 0 by its power series: the difference would have no digits left.

    $$
    Y = X - \tanh X
    $$

    Raises:
        DTypeError: when called with an input of integers.

    >>> from nnscratch import nn, tensor
    >>> nn.Tanhshrink()(tensor([-2.0, -0.5, 1.0, 4.0])).shape
    (4,)
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
