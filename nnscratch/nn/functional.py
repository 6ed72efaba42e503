"""Layers and losses as functions: each hands its inputs to one formula, under PyTorch's name.

The equations, and the errors that a formula raises, stand beside it in ``nnscratch.formulas``.
"""

from __future__ import annotations

from typing import Any

from nnscratch import formulas as f
from nnscratch.array import Generator, dtype_name, is_floating, is_integer
from nnscratch.creation import seed_and_offset
from nnscratch.errors import ConfigurationError, DTypeError
from nnscratch.formulas import Formula
from nnscratch.functions import log_softmax, one_hot, relu, sigmoid, softmax, tanh
from nnscratch.tensor import Tensor, apply, as_tensor

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cosine_embedding_loss",
    "cross_entropy",
    "dropout",
    "elu",
    "gelu",
    "hardtanh",
    "hinge_embedding_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "leaky_relu",
    "linear",
    "log_softmax",
    "mse_loss",
    "nll_loss",
    "normalize",
    "one_hot",
    "prelu",
    "relu",
    "selu",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "softmax",
    "softplus",
    "softsign",
    "tanh",
]


def linear(input: Any, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return input Wᵀ + b for an input (..., in), W (out, in) and b (out,).

    Raises:
        DTypeError: if the input holds integers, or the dtypes differ.
        ShapeError: if the shapes do not fit.
    """
    x = as_tensor(input)
    if x.array.dtype != weight.array.dtype:
        given, own = dtype_name(x.array.dtype), dtype_name(weight.array.dtype)
        if not is_floating(x.array):
            raise DTypeError(f"linear: expected floating-point input, got {given}; call .float()")
        raise DTypeError(
            f"linear: the input is {given} but the weights are {own}; use x.to('{own}') or "
            f"model.to('{given}')"
        )
    return apply(f.LINEAR, x, weight, bias)


def dropout(
    input: Any,
    p: float = 0.5,
    training: bool = True,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Return the input with each element 0 by probability p, the others times 1 / (1 - p).

    Without ``training`` it is the input as it is. The random numbers come from the default
    generator unless another is given; a compiled step draws new ones each time.

    Raises:
        ConfigurationError: if p is not from 0 to 1.
    """
    x = as_tensor(input)
    if not 0.0 <= p <= 1.0:
        raise ConfigurationError(f"dropout: p is a probability from 0 to 1, got {p}")
    if not training or p == 0.0:
        return x
    seed, offset = seed_and_offset("uniform", x.numel(), "float32", generator)
    return apply(f.DROPOUT, x, p=p, seed=seed, offset=offset)


# Activations.


def leaky_relu(input: Any, negative_slope: float = 0.01) -> Tensor:
    """Return x where it is positive, ``negative_slope`` · x elsewhere."""
    return apply(f.LEAKY_RELU, as_tensor(input), negative_slope=negative_slope)


def prelu(input: Any, weight: Tensor) -> Tensor:
    """Return x where it is positive, weight · x elsewhere; one weight, or one a channel (dim 1)."""
    return apply(f.PRELU, as_tensor(input), weight)


def elu(input: Any, alpha: float = 1.0) -> Tensor:
    """Return x where it is positive, alpha (eˣ - 1) elsewhere."""
    return apply(f.ELU, as_tensor(input), alpha=alpha)


def selu(input: Any) -> Tensor:
    """Return the ELU whose two constants keep mean 0 and variance 1."""
    return apply(f.SELU, as_tensor(input))


def gelu(input: Any, approximate: str = "none") -> Tensor:
    """Return x Φ(x) with the normal distribution Φ, or its "tanh" approximation."""
    return apply(f.GELU, as_tensor(input), approximate=approximate)


def silu(input: Any) -> Tensor:
    """Return x σ(x)."""
    return apply(f.SILU, as_tensor(input))


def softplus(input: Any, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """Return log(1 + e^(beta x)) / beta, and x where beta x is above the threshold."""
    return apply(f.SOFTPLUS, as_tensor(input), beta=beta, threshold=threshold)


def softsign(input: Any) -> Tensor:
    """Return x / (1 + |x|)."""
    return apply(f.SOFTSIGN, as_tensor(input))


def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """Return x held between two numbers."""
    return apply(f.HARDTANH, as_tensor(input), min_val=min_val, max_val=max_val)


def normalize(input: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """Return the input divided by its p-norm along a dimension, or by ``eps`` if larger."""
    x = as_tensor(input)
    return x / x.norm(p, dim, keepdim=True).clamp(min=eps)


# Losses. The reduction is "mean", "sum" or "none".


def _loss(formula: Formula, *inputs: Any, **options: Any) -> Tensor:
    arrays = [item if item is None else as_tensor(item) for item in inputs]
    return apply(formula, *arrays, **options)


def mse_loss(input: Any, target: Any, *, reduction: str = "mean") -> Tensor:
    """Return (y - t)²."""
    return _loss(f.MSE, input, target, reduction=reduction)


def l1_loss(input: Any, target: Any, *, reduction: str = "mean") -> Tensor:
    """Return |y - t|."""
    return _loss(f.L1, input, target, reduction=reduction)


def smooth_l1_loss(
    input: Any,
    target: Any,
    *,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """Return (y - t)² / 2 beta where |y - t| < beta, |y - t| - beta / 2 elsewhere."""
    return _loss(f.SMOOTH_L1, input, target, beta=beta, reduction=reduction)


def huber_loss(
    input: Any,
    target: Any,
    *,
    reduction: str = "mean",
    delta: float = 1.0,
) -> Tensor:
    """Return (y - t)² / 2 where |y - t| < delta, delta (|y - t| - delta / 2) elsewhere."""
    return _loss(f.HUBER, input, target, delta=delta, reduction=reduction)


def binary_cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    *,
    reduction: str = "mean",
) -> Tensor:
    """Return -(t log p + (1 - t) log(1 - p)) of probabilities p."""
    return _loss(f.BCE, input, target, weight, reduction=reduction)


def binary_cross_entropy_with_logits(
    input: Any,
    target: Any,
    weight: Any = None,
    *,
    reduction: str = "mean",
    pos_weight: Any = None,
) -> Tensor:
    """Return the binary cross-entropy of σ(x), without overflow."""
    return _loss(f.BCE_WITH_LOGITS, input, target, weight, pos_weight, reduction=reduction)


def nll_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """Return minus the log-probability (N, K, ...) of each label (N, ...)."""
    return _loss(f.NLL, input, target, weight, ignore_index=ignore_index, reduction=reduction)


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Return the cross-entropy of softmax(input), the classes along dim 1 (dim 0 of a vector).

    The target holds labels (integers), or a probability for each class (floats, in the shape of
    the input), where ``ignore_index`` has no meaning.
    """
    target = as_tensor(target)
    options: dict[str, Any] = {"label_smoothing": label_smoothing, "reduction": reduction}
    if is_floating(target.array):
        return _loss(f.CROSS_ENTROPY_PROBABILITIES, input, target, weight, **options)
    if dtype_name(target.array.dtype) != "int64" and is_integer(target.array):
        target = target.to("int64")  # which the kernels take
    return _loss(f.CROSS_ENTROPY, input, target, weight, ignore_index=ignore_index, **options)


def kl_div(
    input: Any,
    target: Any,
    *,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """Return t (log t - input) of log-probabilities; "batchmean" divides by N alone."""
    if reduction == "batchmean":
        x = as_tensor(input)
        total = _loss(f.KL_DIV, x, target, log_target=log_target, reduction="sum")
        return total / (x.shape[0] if x.ndim else 1)
    return _loss(f.KL_DIV, input, target, log_target=log_target, reduction=reduction)


def hinge_embedding_loss(
    input: Any,
    target: Any,
    *,
    margin: float = 1.0,
    reduction: str = "mean",
) -> Tensor:
    """Return x where the target is 1, max(0, margin - x) where it is -1."""
    return _loss(f.HINGE_EMBEDDING, input, target, margin=margin, reduction=reduction)


def cosine_embedding_loss(
    input1: Any,
    input2: Any,
    target: Any,
    *,
    margin: float = 0.0,
    reduction: str = "mean",
) -> Tensor:
    """Return 1 - cos where the target is 1, max(0, cos - margin) where it is -1."""
    return _loss(f.COSINE_EMBEDDING, input1, input2, target, margin=margin, reduction=reduction)
