"""A linear layer and the cross-entropy of its scores as one loss."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from nnscratch import formulas as f
from nnscratch.array import is_floating
from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.nn.linear import Linear, linear
from nnscratch.nn.loss_functions import cross_entropy
from nnscratch.nn.module import Module
from nnscratch.tensors import Tensor, apply, as_tensor

__all__ = ["LinearCrossEntropyLoss", "LinearCrossEntropyOptions", "linear_cross_entropy"]


@dataclass(frozen=True)
class LinearCrossEntropyOptions:
    """That the scores of all samples are never held at once, by PyTorch's names.

    ``allow_retain_graph``, ``acc_policy`` and ``acc_dtype`` say how PyTorch saves more memory, or
    rounds. Here a graph can always be used again and float16 is computed in float32.

    Attributes:
        batch_chunk_size: how many samples there are in a block.
        chunking_method: where that is not said, "aspect_ratio" takes as many as make their scores
            as large as the input, "aspect_ratio:N" an N-th of them; "auto" is "aspect_ratio:2".
        allow_retain_graph: has no effect.
        acc_policy: has no effect.
        acc_dtype: has no effect.

    >>> LinearCrossEntropyOptions().rows(1024, 768, 50257)
    8
    """

    allow_retain_graph: bool = False
    batch_chunk_size: int | None = None
    chunking_method: str | None = "auto"
    acc_policy: str = "auto"
    acc_dtype: Any = None

    def rows(self, samples: int, features: int, classes: int) -> int:
        """Return how many samples there are in a block.

        Raises:
            ConfigurationError: if the method is another.
        """
        if self.batch_chunk_size is not None:
            return self.batch_chunk_size
        if self.chunking_method is None:
            return max(samples, 1)
        method = "aspect_ratio:2" if self.chunking_method == "auto" else self.chunking_method
        name, _, part = method.partition(":")
        if name != "aspect_ratio" or not (part or "1").isdigit():
            raise ConfigurationError(
                "linear_cross_entropy: chunking_method is 'auto', 'aspect_ratio', "
                f"'aspect_ratio:N' or None, got {self.chunking_method!r}"
            )
        wanted = -(-samples // max(1, -(-classes // max(features, 1))))
        return max(1, (1 << max(wanted - 1, 0).bit_length()) // max(int(part or 1), 1))


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
    options: LinearCrossEntropyOptions | None = None,
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
        options: if given, the scores are computed for some samples at a time, and once more in the
            backward, where the target is of class indices (N,).

    Raises:
        ShapeError, DTypeError, DataError: if the inputs do not fit.

    >>> from nnscratch import tensor, zeros
    >>> linear_cross_entropy(zeros(1, 3), zeros(2, 3), tensor([1]))
    tensor(0.6931472)
    """
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
    labels = as_tensor(target)
    ignored = -100 if ignore_index is None else ignore_index
    if options is not None and x.ndim == 2 and W.ndim == 2 and not is_floating(labels.array):
        rows = options.rows(len(x), W.shape[1], W.shape[0])
        weights = None if weight is None else as_tensor(weight)
        said = {"ignore_index": ignored, "label_smoothing": label_smoothing}
        return apply(
            f.LINEAR_CROSS_ENTROPY,
            x,
            W,
            labels,
            bias,
            weights,
            rows=rows,
            reduction=reduction,
            **said,
        )
    scores = linear(x, W.flatten(0, -2), None if bias is None else bias.flatten())
    if W.ndim > 2:
        scores = scores.unflatten(-1, W.shape[:-1])
    return cross_entropy(
        scores,
        labels,
        weight,
        ignore_index=ignored,
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
        options: if given, the scores are computed for some samples at a time.

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
        options: LinearCrossEntropyOptions | None = None,
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
