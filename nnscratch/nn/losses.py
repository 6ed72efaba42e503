r"""Losses as modules that are more than their formula; the others are made of theirs.

Each is called as ``criterion(input, target)``. ``reduction`` is "mean", "sum" or "none". A mean is
over all elements, or over the weights of the labels where there are class weights. Shapes that
would only fit by broadcasting, (N, 1) against (N,), are a ``ShapeError``; labels out of range are a
``DataError``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnscratch.errors import ConfigurationError
from nnscratch.nn.loss_functions import (
    cross_entropy,
    gaussian_nll_loss,
    multilabel_soft_margin_loss,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)
from nnscratch.nn.module import Module
from nnscratch.nn.reductions import Loss
from nnscratch.tensors import Tensor

__all__ = [
    "CrossEntropyLoss",
    "GaussianNLLLoss",
    "MultiLabelSoftMarginLoss",
    "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
]


class CrossEntropyLoss(
    Loss,
    function=cross_entropy,
    tensors=("weight",),
    weight=None,
    size_average=None,
    ignore_index=-100,
    reduce=None,
    reduction="mean",
    label_smoothing=0.0,
):
    r"""$-\log \mathrm{softmax}(z)_y$ of scores z (N, K, ...) and labels y (N, ...).

    The target may also hold a probability for each class: floats in the shape of z.

    Args:
        weight: a weight for each class (K,).
        ignore_index: a label that counts for nothing.
        reduction: "mean", "sum" or "none".
        label_smoothing: how much of the target is spread evenly over the classes.

    Raises:
        ShapeError, DTypeError, DataError: when called with a target that does not fit.

    >>> from nnscratch import tensor
    >>> CrossEntropyLoss()(tensor([[0.0, 0.0]]), tensor([1]))
    tensor(0.6931472)
    """


class GaussianNLLLoss(Module):
    r"""$\frac{1}{2} (\log v + (y - t)^2 / v)$ of means y and variances v.

    It is called as ``criterion(input, target, var)``; see ``functional.gaussian_nll_loss``.

    >>> from nnscratch import tensor
    >>> GaussianNLLLoss()(tensor([0.0, 1.0]), tensor([0.0, 3.0]), tensor([1.0, 1.0]))
    tensor(1.)
    """

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        """Choose whether the constant is there, the least variance, and the reduction."""
        super().__init__()
        self.full, self.eps, self.reduction = full, eps, reduction

    def forward(self, input: Any, target: Any, var: Any) -> Tensor:
        """Return the loss."""
        return gaussian_nll_loss(input, target, var, self.full, self.eps, self.reduction)


class MultiLabelSoftMarginLoss(
    Loss,
    function=multilabel_soft_margin_loss,
    tensors=("weight",),
    weight=None,
    size_average=None,
    reduce=None,
    reduction="mean",
):
    r"""The mean over the classes of the binary cross-entropy of $\sigma(x)$."""


class TripletMarginLoss(
    Loss,
    function=triplet_margin_loss,
    margin=1.0,
    p=2.0,
    eps=1e-6,
    swap=False,
    size_average=None,
    reduce=None,
    reduction="mean",
):
    r"""$\max(0, d(a, p) - d(a, n) + m)$ of anchors, positives and negatives.

    >>> from nnscratch import tensor
    >>> anchor, near, far = tensor([[0.0, 0.0]]), tensor([[0.0, 1.0]]), tensor([[0.0, 1.5]])
    >>> TripletMarginLoss(eps=0.0)(anchor, near, far)
    tensor(0.5)
    """

    def _check(self, found: dict[str, Any]) -> None:
        if not found["margin"] > 0:
            raise ConfigurationError(
                f"TripletMarginLoss: margin must be above 0, got {found['margin']}"
            )


class TripletMarginWithDistanceLoss(Module):
    """The triplet loss with any distance; see ``functional.triplet_margin_with_distance_loss``.

    >>> from nnscratch import nn, tensor
    >>> loss = TripletMarginWithDistanceLoss(distance_function=nn.PairwiseDistance(1, eps=0.0))
    >>> loss(tensor([[0.0, 0.0]]), tensor([[0.0, 1.0]]), tensor([[1.0, 1.0]]))
    tensor(0.)
    """

    def __init__(
        self,
        *,
        distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        """Choose the distance, that of ``pairwise_distance`` unless given."""
        super().__init__()
        if not margin > 0:
            raise ConfigurationError(
                f"TripletMarginWithDistanceLoss: margin must be above 0, got {margin}"
            )
        self.distance_function: Any = distance_function
        self.margin, self.swap, self.reduction = margin, swap, reduction

    def forward(self, anchor: Any, positive: Any, negative: Any) -> Tensor:
        """Return the loss."""
        return triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )
