r"""Losses as modules, each called as ``criterion(input, target)``.

``reduction`` is "mean", "sum" or "none". A mean is over all elements, or over the weights of the
labels where there are class weights. Shapes that would only fit by broadcasting, (N, 1) against
(N,), are a ``ShapeError``; labels out of range are a ``DataError``. ``size_average`` and ``reduce``
are PyTorch's words of old for the reduction, taken in their places with a warning.
"""

from __future__ import annotations

from typing import Any

from nnscratch.nn.loss_functions import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cosine_embedding_loss,
    cross_entropy,
    hinge_embedding_loss,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    nll_loss,
    reduction_of,
    smooth_l1_loss,
)
from nnscratch.nn.options import FunctionModule

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CosineEmbeddingLoss",
    "CrossEntropyLoss",
    "HingeEmbeddingLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "MSELoss",
    "NLLLoss",
    "SmoothL1Loss",
]


class Loss(FunctionModule):
    """The base of the losses: shows only the options that are not the usual ones."""

    unkept = ("size_average", "reduce")

    def _read(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        found = super()._read(args, kwargs)
        size_average, reduce = (found.pop(name, None) for name in self.unkept)
        meant = reduction_of(size_average, reduce, found["reduction"], stacklevel=5)
        return {**found, "reduction": meant}

    def extra_repr(self) -> str:
        """Return the options that differ from their defaults."""
        shown = {name: getattr(self, name) for name in self.passed if name not in self.tensors}
        return ", ".join(f"{k}={v!r}" for k, v in shown.items() if v != self.options[k])


class MSELoss(Loss, function=mse_loss, size_average=None, reduce=None, reduction="mean"):
    r"""$\frac{1}{n} \sum_i (y_i - t_i)^2$, without a factor of one half.

    >>> from nnscratch import tensor
    >>> MSELoss()(tensor([1.0, 2.0]), tensor([1.0, 4.0]))
    tensor(2.)
    """


class L1Loss(Loss, function=l1_loss, size_average=None, reduce=None, reduction="mean"):
    r"""$\frac{1}{n} \sum_i |y_i - t_i|$."""


class SmoothL1Loss(
    Loss,
    function=smooth_l1_loss,
    size_average=None,
    reduce=None,
    reduction="mean",
    beta=1.0,
):
    r"""$d^2 / 2\beta$ where $|d| < \beta$, $|d| - \beta/2$ elsewhere, with $d = y - t$."""


class HuberLoss(Loss, function=huber_loss, reduction="mean", delta=1.0):
    r"""$d^2 / 2$ where $|d| < \delta$, $\delta (|d| - \delta/2)$ elsewhere, with $d = y - t$."""


class BCELoss(
    Loss,
    function=binary_cross_entropy,
    tensors=("weight",),
    weight=None,
    size_average=None,
    reduce=None,
    reduction="mean",
):
    r"""$-(t \log p + (1 - t) \log(1 - p))$ of probabilities, each logarithm at least -100."""


class BCEWithLogitsLoss(
    Loss,
    function=binary_cross_entropy_with_logits,
    tensors=("weight", "pos_weight"),
    weight=None,
    size_average=None,
    reduce=None,
    reduction="mean",
    pos_weight=None,
):
    r"""The binary cross-entropy of $\sigma(x)$, without overflow; ``pos_weight`` multiplies t."""


class NLLLoss(
    Loss,
    function=nll_loss,
    tensors=("weight",),
    weight=None,
    size_average=None,
    ignore_index=-100,
    reduce=None,
    reduction="mean",
):
    r"""$-w_y \log p_y$ of log-probabilities (N, K, ...) and labels (N, ...)."""


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


class KLDivLoss(
    Loss,
    function=kl_div,
    size_average=None,
    reduce=None,
    reduction="mean",
    log_target=False,
):
    r"""$t (\log t - x)$ of log-probabilities x; "batchmean" is the divergence, "mean" is not."""


class HingeEmbeddingLoss(
    Loss,
    function=hinge_embedding_loss,
    margin=1.0,
    size_average=None,
    reduce=None,
    reduction="mean",
):
    r"""$x$ where $t = 1$, $\max(0, m - x)$ where $t = -1$."""


class CosineEmbeddingLoss(
    Loss,
    function=cosine_embedding_loss,
    margin=0.0,
    size_average=None,
    reduce=None,
    reduction="mean",
):
    r"""$1 - \cos(x_1, x_2)$ where $t = 1$, $\max(0, \cos(x_1, x_2) - m)$ where $t = -1$."""
