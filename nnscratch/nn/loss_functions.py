"""Losses as functions, by PyTorch's names and in the order of its arguments.

The reduction is "mean", "sum" or "none". ``size_average`` and ``reduce`` are how it was said before
PyTorch 0.4: they are taken in their places, with PyTorch's meaning and a warning.
"""

from __future__ import annotations

import warnings
from typing import Any

from nnscratch import formulas as f
from nnscratch.array import dtype_name, is_floating, is_integer
from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.formulas import Formula
from nnscratch.tensors import Tensor, apply, as_tensor

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cosine_embedding_loss",
    "cross_entropy",
    "hinge_embedding_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "mse_loss",
    "nll_loss",
    "smooth_l1_loss",
]


def reduction_of(
    size_average: Any, reduce: Any, reduction: str = "mean", stacklevel: int = 3
) -> str:
    """Return the reduction that is meant by PyTorch's arguments of old, with a warning if given.

    Raises:
        ConfigurationError: if one of them is no boolean.
    """
    if size_average is None and reduce is None:
        return reduction
    for name, value in (("size_average", size_average), ("reduce", reduce)):
        if value is not None and not isinstance(value, (bool, int)):
            raise ConfigurationError(
                f"{name} must be True or False, got {value!r}; write reduction='mean', 'sum' or "
                "'none' by name"
            )
    meant = "none" if reduce is not None and not reduce else "mean"
    if meant == "mean" and size_average is not None and not size_average:
        meant = "sum"
    warnings.warn(
        f"size_average and reduce are PyTorch's words of old; write reduction={meant!r}",
        stacklevel=stacklevel,
    )
    return meant


def _loss(formula: Formula, *inputs: Any, **options: Any) -> Tensor:
    arrays = [item if item is None else as_tensor(item) for item in inputs]
    return apply(formula, *arrays, **options)


def _weighted(
    formula: Formula, input: Any, target: Any, weight: Any, reduction: str, **options: Any
) -> Tensor:
    """Return a loss whose elements have weights.

    The mean is over the weights, but of the Huber loss over the elements, as in PyTorch.
    """
    if weight is None:
        return _loss(formula, input, target, reduction=reduction, **options)
    x, w = as_tensor(input), as_tensor(weight)
    if w.shape != x.shape:
        raise ShapeError(
            f"{formula.name}: a weight for each element is expected, shape {x.shape}; got {w.shape}"
        )
    if reduction not in ("mean", "sum", "none"):
        raise ConfigurationError(f"reduction is 'mean', 'sum' or 'none', got {reduction!r}")
    losses = _loss(formula, x, target, reduction="none", **options) * w
    if reduction == "none":
        return losses
    total: Tensor = losses.sum()
    if reduction == "sum":
        return total
    return losses.mean() if formula is f.HUBER else total / w.sum()


def mse_loss(
    input: Any,
    target: Any,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Any = None,
) -> Tensor:
    """Return (y - t)², each element times its ``weight`` if given."""
    reduction = reduction_of(size_average, reduce, reduction)
    return _weighted(f.MSE, input, target, weight, reduction)


def l1_loss(
    input: Any,
    target: Any,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Any = None,
) -> Tensor:
    """Return |y - t|, each element times its ``weight`` if given."""
    reduction = reduction_of(size_average, reduce, reduction)
    return _weighted(f.L1, input, target, weight, reduction)


def smooth_l1_loss(
    input: Any,
    target: Any,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """Return (y - t)² / 2 beta where |y - t| < beta, |y - t| - beta / 2 elsewhere."""
    reduction = reduction_of(size_average, reduce, reduction)
    return _loss(f.SMOOTH_L1, input, target, beta=beta, reduction=reduction)


def huber_loss(
    input: Any,
    target: Any,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Any = None,
) -> Tensor:
    """Return (y - t)² / 2 where |y - t| < delta, delta (|y - t| - delta / 2) elsewhere.

    Each element is taken times its ``weight`` if given.
    """
    return _weighted(f.HUBER, input, target, weight, reduction, delta=delta)


def binary_cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return -(t log p + (1 - t) log(1 - p)) of probabilities p."""
    reduction = reduction_of(size_average, reduce, reduction)
    return _loss(f.BCE, input, target, weight, reduction=reduction)


def binary_cross_entropy_with_logits(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Any = None,
) -> Tensor:
    """Return the binary cross-entropy of σ(x), without overflow."""
    reduction = reduction_of(size_average, reduce, reduction)
    return _loss(f.BCE_WITH_LOGITS, input, target, weight, pos_weight, reduction=reduction)


def nll_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return minus the log-probability (N, K, ...) of each label (N, ...)."""
    reduction = reduction_of(size_average, reduce, reduction)
    return _loss(f.NLL, input, target, weight, ignore_index=ignore_index, reduction=reduction)


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Return the cross-entropy of softmax(input), the classes along dim 1 (dim 0 of a vector).

    The target holds labels (integers), or a probability for each class (floats, in the shape of
    the input), where ``ignore_index`` has no meaning.
    """
    reduction = reduction_of(size_average, reduce, reduction)
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
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """Return t (log t - input) of log-probabilities; "batchmean" divides by N alone."""
    reduction = reduction_of(size_average, reduce, reduction)
    if reduction == "batchmean":
        x = as_tensor(input)
        total = _loss(f.KL_DIV, x, target, log_target=log_target, reduction="sum")
        return total / (x.shape[0] if x.ndim else 1)
    return _loss(f.KL_DIV, input, target, log_target=log_target, reduction=reduction)


def hinge_embedding_loss(
    input: Any,
    target: Any,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return x where the target is 1, max(0, margin - x) where it is -1."""
    reduction = reduction_of(size_average, reduce, reduction)
    return _loss(f.HINGE_EMBEDDING, input, target, margin=margin, reduction=reduction)


def cosine_embedding_loss(
    input1: Any,
    input2: Any,
    target: Any,
    margin: float = 0.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return 1 - cos where the target is 1, max(0, cos - margin) where it is -1."""
    reduction = reduction_of(size_average, reduce, reduction)
    return _loss(f.COSINE_EMBEDDING, input1, input2, target, margin=margin, reduction=reduction)
