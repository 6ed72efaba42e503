r"""Losses as modules that are more than their formula; the others are made of theirs.

Each is called as ``criterion(input, target)``. ``reduction`` is "mean", "sum" or "none". A mean is
over all elements, or over the weights of the labels where there are class weights. Shapes that
would only fit by broadcasting, (N, 1) against (N,), are a ``ShapeError``; labels out of range are a
``DataError``.
"""

from __future__ import annotations

from nnscratch.nn.loss_functions import cross_entropy
from nnscratch.nn.reductions import Loss

__all__ = ["CrossEntropyLoss"]


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
