"""The last linear layer and the cross-entropy of what it gives, as one loss."""

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
    options: Any = None,
) -> Tensor:
    r"""Return the cross-entropy of $x W^\top + b$.

    Args:
        input: x (I,) or (N, I).
        linear_weight: W (C, I), or (C, d, ..., I) for scores (N, C, d, ...).
        target: labels (N, d, ...), or probabilities in the shape of the scores.
        linear_bias: b, W's shape without the last dimension, or None.
        weight: a weight for each class (C,).
        reduction: "mean", "sum" or "none".
        ignore_index: a label that counts for nothing, -100 unless given.
        label_smoothing: how much of the target is spread evenly over the classes.
        options: None; PyTorch's choices between ways to compute the same are not there.

    Raises:
        ShapeError: if the shapes do not fit.
        ConfigurationError: for options, and for an ignore_index of probabilities.

    >>> from nnscratch import zeros
    >>> linear_cross_entropy(zeros(2, 3), zeros(4, 3), [0, 1])
    tensor(1.3862944)
    """
    if options is not None:
        raise ConfigurationError("linear_cross_entropy: leave out options; there is one way here")
    x, w, t = as_tensor(input), as_tensor(linear_weight), as_tensor(target)
    if x.ndim not in (1, 2) or w.ndim < 2 or x.shape[-1] != w.shape[-1]:
        raise ShapeError(
            "linear_cross_entropy: expected an input (N, I) or (I,) and a weight (C, ..., I), got "
            f"{tuple(x.shape)} and {tuple(w.shape)}"
        )
    *sizes, features = w.shape
    if len(sizes) > 1 and x.ndim == 1:
        raise ShapeError(
            f"linear_cross_entropy: a weight of shape {tuple(w.shape)} needs inputs (N, I); write "
            "input.unsqueeze(0)"
        )
    if linear_bias is not None and tuple(linear_bias.shape) != tuple(sizes):
        raise ShapeError(
            f"linear_cross_entropy: expected a bias of shape {tuple(sizes)}, got "
            f"{tuple(linear_bias.shape)}"
        )
    if (*x.shape[:-1], *sizes) == tuple(t.shape) and ignore_index is not None:
        raise ConfigurationError("linear_cross_entropy: probabilities have no ignore_index")
    flat = math.prod(sizes)
    bias = None if linear_bias is None else linear_bias.reshape(flat)
    scores = linear(x, w.reshape(flat, features), bias).reshape(*x.shape[:-1], *sizes)
    return cross_entropy(
        scores,
        t,
        weight,
        ignore_index=-100 if ignore_index is None else ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
    )


class LinearCrossEntropyLoss(Module):
    r"""$-\log \mathrm{softmax}(x W^\top + b)_y$; see ``linear_cross_entropy``.

    >>> from nnscratch import zeros
    >>> LinearCrossEntropyLoss(3, 4)(zeros(2, 3), [0, 1]).detach()
    tensor(1.3862944)
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
        options: Any = None,
    ) -> None:
        """Make the linear layer, and choose the loss."""
        super().__init__()
        given = None if weight is None else as_tensor(weight).detach()
        if given is not None and tuple(given.shape) != (num_classes,):
            raise ShapeError(
                f"LinearCrossEntropyLoss: expected a weight for each of {num_classes} classes, got "
                f"a weight of shape {tuple(given.shape)}"
            )
        if not 0.0 <= label_smoothing <= 1.0:
            raise ConfigurationError(
                f"LinearCrossEntropyLoss: label_smoothing is from 0 to 1, got {label_smoothing}"
            )
        self.register_buffer("weight", given)
        self.reduction, self.num_classes = reduction, num_classes
        self.out_features = tuple(out_features)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing
        size = math.prod(self.out_features, start=num_classes)
        self.linear = Linear(in_features, size, bias=bias, device=device, dtype=dtype)
        self.options = options

    def forward(self, input: Any, target: Any) -> Tensor:
        """Return the loss of inputs (N, I) and their labels or probabilities."""
        sizes = (self.num_classes, *self.out_features)
        bias = self.linear.bias
        return linear_cross_entropy(
            input,
            self.linear.weight.reshape(*sizes, self.linear.in_features),
            target,
            linear_bias=None if bias is None else bias.reshape(sizes),
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
