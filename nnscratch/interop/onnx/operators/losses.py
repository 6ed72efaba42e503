"""Losses."""

from __future__ import annotations

from nnscratch.interop.onnx.operators.table import operator
from nnscratch.nn import functional as F
from nnscratch.tensors import Tensor
from nnscratch.tensors import functions as T

# No class has this number: nothing is ignored.
_NONE = -(1 << 31)


@operator("NegativeLogLikelihoodLoss")
def negative_log_likelihood(
    x: Tensor,
    t: Tensor,
    w: Tensor | None = None,
    /,
    *,
    ignore_index: int = _NONE,
    reduction: str = "mean",
) -> Tensor:
    return F.nll_loss(x, t.to("int64"), w, ignore_index=ignore_index, reduction=reduction)


@operator("SoftmaxCrossEntropyLoss")
def softmax_cross_entropy(
    x: Tensor,
    t: Tensor,
    w: Tensor | None = None,
    /,
    *,
    ignore_index: int = _NONE,
    reduction: str = "mean",
    wanted: int,
) -> tuple[Tensor, ...]:
    labels = t.to("int64")
    loss = F.cross_entropy(x, labels, w, ignore_index=ignore_index, reduction=reduction)
    return (loss, T.log_softmax(x, 1)) if wanted > 1 else (loss,)
