"""A linear layer and the cross-entropy of its scores as one loss."""

from __future__ import annotations

import math
from typing import Any

from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.nn.linear import Linear, linear
from nnscratch.nn.loss_functions import cross_entropy
from nnscratch.nn.module import Module
from nnscratch.tensors import Tensor, as_tensor

__all__ = ["LinearCrossEntropyLoss", "linear_cross_entropy"]


def linear_cross_entropy(
    input: Any,
    linear_weight: Tensor,
    target: Any,
    *,
    linear_bias: Tensor | None = None,
    weight: Any = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: None = None,
) -> Tensor:
    """Return the cross-entropy of the scores x Wᵀ + b.

    Args:
        input: x (N, in) or (in,).
        linear_weight: W (C, in), or (C, d1, ..., in) for several targets a sample.
        target: class indices (N,), (N, d1, ...) or (), or a probability for each class, floats
            (N, C, d1, ...).
        linear_bias: b (C,) or (C, d1, ...).
        weight: a weight for each class (C,).
        reduction: "mean", "sum" or "none".
        ignore_index: a label that counts for nothing, -100 unless given.
        label_smoothing: how much of the target is spread evenly over the classes.
        options: None; PyTorch's choices of parts are not made here.

    Raises:
        ShapeError, DTypeError, DataError: if the inputs do not fit.
        ConfigurationError: if there are options.

    >>> from nnscratch import tensor, zeros
    >>> linear_cross_entropy(zeros(1, 3), zeros(2, 3), tensor([1]))
    tensor(0.6931472)
    """
    if options is not None:
        raise ConfigurationError(
            f"linear_cross_entropy: leave out options={options!r}; the scores are computed at once"
        )
    x, W = as_tensor(input), as_tensor(linear_weight)
    if W.ndim < 2 or (W.ndim > 2 and x.ndim < 2):
        raise ShapeError(
            "linear_cross_entropy: expected a weight (C, in), or (C, d1, ..., in) with an input "
            f"(N, in), got {W.shape} and an input of shape {x.shape}"
        )
    bias = None if linear_bias is None else as_tensor(linear_bias)
    if bias is not None and bias.shape not in (W.shape[:1], W.shape[:-1]):
        raise ShapeError(
            f"linear_cross_entropy: expected a bias of shape {W.shape[:-1]} for a weight of shape "
            f"{W.shape}, got {bias.shape}"
        )
    if bias is not None and bias.ndim < W.ndim - 1:
        bias = bias.reshape(-1, *[1] * (W.ndim - 2)).expand(*W.shape[:-1])
    scores = linear(x, W.flatten(0, -2), None if bias is None else bias.flatten())
    if W.ndim > 2:
        scores = scores.unflatten(-1, W.shape[:-1])
    return cross_entropy(
        scores,
        target,
        weight,
        ignore_index=-100 if ignore_index is None else ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
    )


class LinearCrossEntropyLoss(Module):
    """A linear layer without a module of its own behind it: the loss of its scores.

    Args:
        in_features: the size of the last dimension of the input.
        num_classes: C, how many classes there are.
        out_features: the sizes (d1, ...) of the targets of one sample.
        bias: whether the scores have a bias.
        reduction: "mean", "sum" or "none".
        weight: a weight for each class (C,).
        ignore_index: a label that counts for nothing, -100 unless given.
        label_smoothing: how much of the target is spread evenly over the classes.
        options: None; PyTorch's choices of parts are not made here.

    Raises:
        ConfigurationError: if an option makes no sense.

    >>> from nnscratch import tensor, zeros
    >>> LinearCrossEntropyLoss(5, 10)(zeros(2, 5), tensor([1, 3])).detach()
    tensor(2.3025851)
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: tuple[int, ...] = (),
        bias: bool = False,
        device: Any = None,
        dtype: Any = None,
        reduction: str = "mean",
        weight: Any = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        options: None = None,
    ) -> None:
        """Make the linear layer."""
        super().__init__()
        if weight is not None and as_tensor(weight).shape != (num_classes,):
            raise ConfigurationError(
                f"LinearCrossEntropyLoss: expected a weight for each of {num_classes} classes, got "
                f"shape {as_tensor(weight).shape}"
            )
        if not 0.0 <= label_smoothing <= 1.0:
            raise ConfigurationError(
                f"LinearCrossEntropyLoss: label_smoothing is from 0 to 1, got {label_smoothing}"
            )
        self.register_buffer("weight", None if weight is None else as_tensor(weight).detach())
        self.num_classes, self.out_features = num_classes, tuple(out_features)
        self.reduction, self.ignore_index = reduction, ignore_index
        self.label_smoothing, self.options = label_smoothing, options
        scores = math.prod(out_features, start=num_classes)
        self.linear = Linear(in_features, scores, bias, device=device, dtype=dtype)

    def forward(self, input: Any, target: Any) -> Tensor:
        """Return the loss of inputs (N, in) and targets (N, d1, ...)."""
        layer, sizes = self.linear, (self.num_classes, *self.out_features)
        return linear_cross_entropy(
            input,
            layer.weight.reshape(*sizes, layer.in_features),
            target,
            linear_bias=None if layer.bias is None else layer.bias.reshape(*sizes),
            weight=self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            options=self.options,
        )

    def extra_repr(self) -> str:
        """Return the sizes and options."""
        return (
            f"in_features={self.linear.in_features}, num_classes={self.num_classes}, "
            f"out_features={self.out_features}, bias={self.linear.bias is not None}, "
            f"reduction={self.reduction}, ignore_index={self.ignore_index}, "
            f"label_smoothing={self.label_smoothing}, options={self.options}"
        )
