# Written by `python -m nnscratch.inspect.stubs`; change its source, not this file.

from typing import Any

from nnscratch.tensors import Tensor

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "celu",
    "cosine_embedding_loss",
    "elu",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hinge_embedding_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "leaky_relu",
    "logsigmoid",
    "mish",
    "mse_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "nll_loss",
    "poisson_nll_loss",
    "relu",
    "relu6",
    "selu",
    "silu",
    "smooth_l1_loss",
    "soft_margin_loss",
    "softplus",
    "softshrink",
    "softsign",
    "tanhshrink",
    "threshold",
]

def binary_cross_entropy(input: Any, target: Any, weight: Any = None, size_average: bool | None = None, reduce: bool | None = None, reduction: str = 'mean') -> Tensor:
    r"""Compute -(T log P + (1 - T) log(1 - P)), with no logarithm below -100.

    $$
    L = -\frac{1}{n} \sum_i w_i (T_i \log P_i + (1 - T_i) \log(1 - P_i))
    $$

    Args:
        input: P of the equation.
        target: T of the equation.
        weight: weights that broadcast to them, or None.
        size_average: PyTorch's word of old for the reduction, taken with a warning.
        reduce: PyTorch's word of old for the reduction, taken with a warning.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: if the shapes do not fit.
        DTypeError: if a number that is predicted is no floating-point number.

    >>> from nnscratch import nn, tensor
    >>> nn.functional.binary_cross_entropy(tensor([0.5, 1.0]), tensor([1.0, 1.0])).shape
    ()
    """

def binary_cross_entropy_with_logits(input: Any, target: Any, weight: Any = None, size_average: bool | None = None, reduce: bool | None = None, reduction: str = 'mean', pos_weight: Any = None) -> Tensor:
    r"""Compute the binary cross-entropy of $\sigma(X)$, straight from X.

    $$
    L = \frac{1}{n} \sum_i w_i \left((1 - T_i) X_i + (1 + (p - 1) T_i) \log(1 + e^{-X_i})\right)
    $$

    Args:
        input: X of the equation.
        target: T of the equation.
        weight: weights that broadcast to them, or None.
        size_average: PyTorch's word of old for the reduction, taken with a warning.
        reduce: PyTorch's word of old for the reduction, taken with a warning.
        reduction: "mean", "sum" or "none".
        pos_weight: what a target of 1 weighs more, broadcasts to them, or None.

    Raises:
        ShapeError: if the shapes do not fit.
        DTypeError: if a number that is predicted is no floating-point number.

    >>> from nnscratch import nn, tensor
    >>> nn.functional.binary_cross_entropy_with_logits(tensor([0.5, 1.0]), tensor([1.0, 1.0])).shape
    ()
    """

def celu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    r"""Return X where X > 0, else alpha (e^(X / alpha) - 1): an ELU without a kink.

    $$
    Y = \max(X, 0) + \min(\alpha (e^{X / \alpha} - 1), 0)
    $$

    Args:
        input: X, of any shape, floating.
        alpha: what it goes to on the negative side, without its sign; not 0, 1.0 unless given.
        inplace: whether the input gets the result, and is what is returned.

    Raises:
        DTypeError: if the input holds integers.

    >>> from nnscratch import nn, tensor
    >>> nn.functional.celu(tensor([-2.0, -0.5, 1.0, 4.0])).shape
    (4,)
    """

def cosine_embedding_loss(input1: Any, input2: Any, target: Any, margin: float = 0.0, size_average: bool | None = None, reduce: bool | None = None, reduction: str = 'mean') -> Tensor:
    r"""Compute 1 - cos(X1, X2) where T is 1, and max(0, cos(X1, X2) - margin) where T is -1.

    $$
    L = \frac{1}{n} \sum_i \begin{cases} 1 - C_i & T_i = 1 \\ \max(0, C_i - m) & T_i = -1 \end{cases}, \quad C = \frac{X_1 \cdot X_2}{|X_1| |X_2|}
    $$

    Args:
        input1: X1 of the equation.
        input2: X2 of the equation.
        target: T of the equation.
        margin: the cosine up to which a pair that is labelled -1 costs nothing, 0.0 unless given.
        size_average: PyTorch's word of old for the reduction, taken with a warning.
        reduce: PyTorch's word of old for the reduction, taken with a warning.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: if the shapes do not fit.
        DTypeError: if a number that is predicted is no floating-point number.
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
    >>> nn.functional.elu(tensor([-2.0, -0.5, 1.0, 4.0])).shape
    (4,)
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
    >>> nn.functional.hardshrink(tensor([-2.0, -0.5, 1.0, 4.0])).shape
    (4,)
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
    >>> nn.functional.hardsigmoid(tensor([-2.0, -0.5, 1.0, 4.0])).shape
    (4,)
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
    >>> nn.functional.hardswish(tensor([-2.0, -0.5, 1.0, 4.0])).shape
    (4,)
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
    >>> nn.functional.hardtanh(tensor([-2.0, -0.5, 1.0, 4.0])).shape
    (4,)
    """

def hinge_embedding_loss(input: Any, target: Any, margin: float = 1.0, size_average: bool | None = None, reduce: bool | None = None, reduction: str = 'mean') -> Tensor:
    r"""Compute X where T is 1, and max(0, margin - X) where T is -1.

    $$
    L = \frac{1}{n} \sum_i \begin{cases} X_i & T_i = 1 \\ \max(0, m - X_i) & T_i = -1 \end{cases}
    $$

    Args:
        input: X of the equation.
        target: T of the equation.
        margin: the distance from which a pair that is labelled -1 costs nothing, 1.0 unless given.
        size_average: PyTorch's word of old for the reduction, taken with a warning.
        reduce: PyTorch's word of old for the reduction, taken with a warning.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: if the shapes do not fit.
        DTypeError: if a number that is predicted is no floating-point number.

    >>> from nnscratch import nn, tensor
    >>> nn.functional.hinge_embedding_loss(tensor([0.5, 1.0]), tensor([1.0, 1.0])).shape
    ()
    """

def huber_loss(input: Any, target: Any, reduction: str = 'mean', delta: float = 1.0, weight: Any = None) -> Tensor:
    r"""Compute the mean of D²/2 where |D| <= delta, else delta (|D| - delta / 2), with D = Y - T.

    $$
    L = \frac{1}{n} \sum_i \begin{cases} D_i^2 / 2 & |D_i| \le \delta \\ \delta (|D_i| - \delta/2) & \text{else} \end{cases}, \quad D = Y - T
    $$

    Args:
        input: Y of the equation.
        target: T of the equation.
        reduction: "mean", "sum" or "none".
        delta: the distance from which it is a line, above 0, 1.0 unless given.
        weight: a number for each loss to multiply it by, or None.

    Raises:
        ShapeError: if the shapes do not fit.
        DTypeError: if a number that is predicted is no floating-point number.

    >>> from nnscratch import nn, tensor
    >>> nn.functional.huber_loss(tensor([0.5, 1.0]), tensor([1.0, 1.0])).shape
    ()
    """

def kl_div(input: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None, reduction: str = 'mean', log_target: bool = False) -> Tensor:
    r"""Compute T (log T - log P), given log P; where T is 0 that is 0.

    $$
    L = \frac{1}{n} \sum_i T_i (\log T_i - \log P_i)
    $$

    Args:
        input: logP of the equation.
        target: T of the equation.
        size_average: PyTorch's word of old for the reduction, taken with a warning.
        reduce: PyTorch's word of old for the reduction, taken with a warning.
        reduction: "mean", "sum" or "none".
        log_target: whether T holds logarithms, False unless given.

    Raises:
        ShapeError: if the shapes do not fit.
        DTypeError: if a number that is predicted is no floating-point number.

    >>> from nnscratch import nn, tensor
    >>> nn.functional.kl_div(tensor([0.5, 1.0]), tensor([1.0, 1.0])).shape
    ()
    """

def l1_loss(input: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None, reduction: str = 'mean', weight: Any = None) -> Tensor:
    r"""Compute the mean of |Y - T|.

    $$
    L = \frac{1}{n} \sum_i |Y_i - T_i|
    $$

    Args:
        input: Y of the equation.
        target: T of the equation.
        size_average: PyTorch's word of old for the reduction, taken with a warning.
        reduce: PyTorch's word of old for the reduction, taken with a warning.
        reduction: "mean", "sum" or "none".
        weight: a number for each loss to multiply it by, or None.

    Raises:
        ShapeError: if the shapes do not fit.
        DTypeError: if a number that is predicted is no floating-point number.

    >>> from nnscratch import nn, tensor
    >>> nn.functional.l1_loss(tensor([0.5, 1.0]), tensor([1.0, 1.0])).shape
    ()
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
    >>> nn.functional.leaky_relu(tensor([-2.0, -0.5, 1.0, 4.0])).shape
    (4,)
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
    >>> nn.functional.logsigmoid(tensor([-2.0, -0.5, 1.0, 4.0])).shape
    (4,)
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
    >>> nn.functional.mish(tensor([-2.0, -0.5, 1.0, 4.0])).shape
    (4,)
    """

def mse_loss(input: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None, reduction: str = 'mean', weight: Any = None) -> Tensor:
    r"""Compute the mean of (Y - T)² over all entries (no factor 1/2).

    $$
    L = \frac{1}{n} \sum_i (Y_i - T_i)^2
    $$

    Args:
        input: Y of the equation.
        target: T of the equation.
        size_average: PyTorch's word of old for the reduction, taken with a warning.
        reduce: PyTorch's word of old for the reduction, taken with a warning.
        reduction: "mean", "sum" or "none".
        weight: a number for each loss to multiply it by, or None.

    Raises:
        ShapeError: if the shapes do not fit.
        DTypeError: if a number that is predicted is no floating-point number.

    >>> from nnscratch import nn, tensor
    >>> nn.functional.mse_loss(tensor([0.5, 1.0]), tensor([1.0, 1.0])).shape
    ()
    """

def multi_margin_loss(input: Any, target: Any, p: int = 1, margin: float = 1.0, weight: Any = None, size_average: bool | None = None, reduce: bool | None = None, reduction: str = 'mean') -> Tensor:
    r"""Compute the mean over the classes j of w_t max(0, margin - x_t + x_j)^p, without j = t.

    $$
    L = \frac{1}{N} \sum_n \frac{w_{T_n}}{C} \sum_{j \ne T_n} \max(0, m - X_{n T_n} + X_{nj})^p
    $$

    Args:
        input: X of the equation.
        target: T of the equation.
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

def multilabel_margin_loss(input: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None, reduction: str = 'mean') -> Tensor:
    r"""Compute Σ max(0, 1 - (x_j - x_i)) / C over the labels j and all other classes i.

    $$
    L = \frac{1}{N} \sum_n \frac{1}{C} \sum_{j \in T_n} \sum_{i \notin T_n} \max(0, 1 - (X_{nj} - X_{ni}))
    $$

    Args:
        input: X of the equation.
        target: T of the equation.
        size_average: PyTorch's word of old for the reduction, taken with a warning.
        reduce: PyTorch's word of old for the reduction, taken with a warning.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: if the shapes do not fit.
        DTypeError: if a number that is predicted is no floating-point number.
    """

def nll_loss(input: Any, target: Any, weight: Any = None, size_average: bool | None = None, ignore_index: int = -100, reduce: bool | None = None, reduction: str = 'mean') -> Tensor:
    r"""Compute -w_T log P_T, given the logarithms of the class probabilities.

    $$
    L = -\frac{\sum_n w_{T_n} \log P_{n T_n}}{\sum_n w_{T_n}}
    $$

    Args:
        input: logP of the equation.
        target: T of the equation.
        weight: a weight for each class (C,), or None.
        size_average: PyTorch's word of old for the reduction, taken with a warning.
        ignore_index: samples of this label cost nothing and are not counted, -100 unless given.
        reduce: PyTorch's word of old for the reduction, taken with a warning.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: if the shapes do not fit.
        DTypeError: if a number that is predicted is no floating-point number.
    """

def poisson_nll_loss(input: Any, target: Any, log_input: bool = True, full: bool = False, size_average: bool | None = None, eps: float = 1e-08, reduce: bool | None = None, reduction: str = 'mean') -> Tensor:
    r"""Compute minus the logarithm of the Poisson probability of T, but for log T!.

    $$
    L = \frac{1}{n} \sum_i (e^{X_i} - T_i X_i), \quad \text{or } X_i - T_i \log X_i
    $$

    Args:
        input: X of the equation.
        target: T of the equation.
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
    >>> nn.functional.poisson_nll_loss(tensor([0.5, 1.0]), tensor([1.0, 1.0])).shape
    ()
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
    >>> nn.functional.relu(tensor([-2.0, -0.5, 1.0, 4.0])).shape
    (4,)
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
    >>> nn.functional.relu6(tensor([-2.0, -0.5, 1.0, 4.0])).shape
    (4,)
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
    >>> nn.functional.selu(tensor([-2.0, -0.5, 1.0, 4.0])).shape
    (4,)
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
    >>> nn.functional.silu(tensor([-2.0, -0.5, 1.0, 4.0])).shape
    (4,)
    """

def smooth_l1_loss(input: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None, reduction: str = 'mean', beta: float = 1.0) -> Tensor:
    r"""Compute the mean of D² / (2 beta) where |D| < beta, else |D| - beta / 2, with D = Y - T.

    $$
    L = \frac{1}{n} \sum_i \begin{cases} D_i^2 / (2\beta) & |D_i| < \beta \\ |D_i| - \beta/2 & \text{else} \end{cases}, \quad D = Y - T
    $$

    Args:
        input: Y of the equation.
        target: T of the equation.
        size_average: PyTorch's word of old for the reduction, taken with a warning.
        reduce: PyTorch's word of old for the reduction, taken with a warning.
        reduction: "mean", "sum" or "none".
        beta: the distance from which it is a line; with 0 it is ``l1``, 1.0 unless given.

    Raises:
        ShapeError: if the shapes do not fit.
        DTypeError: if a number that is predicted is no floating-point number.

    >>> from nnscratch import nn, tensor
    >>> nn.functional.smooth_l1_loss(tensor([0.5, 1.0]), tensor([1.0, 1.0])).shape
    ()
    """

def soft_margin_loss(input: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None, reduction: str = 'mean') -> Tensor:
    r"""Compute log(1 + e^(-T X)), without overflow.

    $$
    L = \frac{1}{n} \sum_i \log(1 + e^{-T_i X_i})
    $$

    Args:
        input: X of the equation.
        target: T of the equation.
        size_average: PyTorch's word of old for the reduction, taken with a warning.
        reduce: PyTorch's word of old for the reduction, taken with a warning.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: if the shapes do not fit.
        DTypeError: if a number that is predicted is no floating-point number.

    >>> from nnscratch import nn, tensor
    >>> nn.functional.soft_margin_loss(tensor([0.5, 1.0]), tensor([1.0, 1.0])).shape
    ()
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
    >>> nn.functional.softplus(tensor([-2.0, -0.5, 1.0, 4.0])).shape
    (4,)
    """

def softshrink(input: Any, lambd: float = 0.5) -> Tensor:
    r"""Return X moved by ``lambd`` towards 0, and 0 where that is nearer.

    $$
    Y = \mathrm{sign}(X) \max(|X| - \lambda, 0)
    $$

    Args:
        input: X, of any shape, floating.
        lambd: how far it is moved, λ, at least 0, 0.5 unless given.

    Raises:
        DTypeError: if the input holds integers.

    >>> from nnscratch import nn, tensor
    >>> nn.functional.softshrink(tensor([-2.0, -0.5, 1.0, 4.0])).shape
    (4,)
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
    >>> nn.functional.softsign(tensor([-2.0, -0.5, 1.0, 4.0])).shape
    (4,)
    """

def tanhshrink(input: Any) -> Tensor:
    r"""Return X - tanh X, near 0 by its power series: the difference would have no digits left.

    $$
    Y = X - \tanh X
    $$

    Args:
        input: X, of any shape, floating.

    Raises:
        DTypeError: if the input holds integers.

    >>> from nnscratch import nn, tensor
    >>> nn.functional.tanhshrink(tensor([-2.0, -0.5, 1.0, 4.0])).shape
    (4,)
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
