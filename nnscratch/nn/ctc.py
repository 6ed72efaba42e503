"""Connectionist temporal classification: labels without their times."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnscratch import formulas as f
from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.nn.module import Module
from nnscratch.nn.reductions import reduced
from nnscratch.tensors import Tensor, apply, as_tensor
from nnscratch.tensors.creation import arange
from nnscratch.tensors.functions import where

__all__ = ["CTCLoss", "ctc_loss"]


def ctc_loss(
    log_probs: Any,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    r"""Return minus the log-probability of labels, summed over all ways to place them in time.

    Args:
        log_probs: logarithms of the class probabilities of each frame, (T, N, C) or (T, C), as
            ``log_softmax`` gives them. As in PyTorch, the derivative is that by the scores before
            it, $P - \text{share}$: right where these come from a ``log_softmax``.
        targets: the labels (N, S), or (S,) of one; or all of them one after another in one
            dimension.
        input_lengths: how many frames each sequence has (N,), or a number.
        target_lengths: how many labels each has (N,), or a number.
        blank: the class that stands for no label.
        reduction: "mean" (each loss over the number of its labels, and the mean of those), "sum"
            or "none".
        zero_infinity: whether a sequence with too few frames for its labels costs nothing.

    Raises:
        ShapeError: if the shapes do not fit.
        DTypeError: if log_probs holds integers, or another input does not.
        DataError: if a label or a length is out of range.
        ConfigurationError: if the reduction is none of the three.

    >>> from nnscratch import zeros
    >>> loss = ctc_loss(zeros(4, 1, 3).log_softmax(2), [[1, 2]], [4], [2], reduction="sum")
    >>> round(loss.item(), 4)
    1.6864
    """
    x = as_tensor(log_probs)
    if reduction not in ("mean", "sum", "none"):
        raise ConfigurationError(
            f"ctc_loss: reduction is 'mean', 'sum' or 'none', got {reduction!r}"
        )
    if x.ndim not in (2, 3):
        raise ShapeError(
            f"ctc_loss: expected log-probabilities (T, N, C) or (T, C), got {tuple(x.shape)}"
        )
    single = x.ndim == 2
    x = x.unsqueeze(1) if single else x
    frames, lengths = (
        as_tensor(one).to(x.device).reshape(-1) for one in (input_lengths, target_lengths)
    )
    labels = as_tensor(targets).to(x.device)
    if single and labels.ndim == 1:
        labels = labels.unsqueeze(0)
    if labels.ndim == 1:
        labels = _padded(labels, lengths)
    losses = apply(f.CTC, x, labels, frames, lengths, blank=blank, zero_infinity=zero_infinity)
    if x.requires_grad:
        # PyTorch's derivative is that by the scores that a softmax turned into log-probabilities.
        # The sum of the probabilities is the same for all scores, but has just this derivative.
        runs = arange(x.shape[0], device=x.device).unsqueeze(1) < frames
        total = where(runs, x.exp().sum(2), 0.0).sum(0)
        spread = total - total.detach()
        losses = losses + (where(losses.detach() != 0, spread, 0.0) if zero_infinity else spread)
    if reduction == "mean":
        losses = losses / lengths.clamp(min=1).to(losses.dtype)
    found = reduced(losses, reduction)
    return found.squeeze(0) if single and reduction == "none" else found


def _padded(labels: Tensor, lengths: Tensor) -> Tensor:
    """Return labels that stand one after another as rows (N, S), with 0 behind shorter ones."""
    counts = np.asarray(lengths.cpu().numpy(), np.int64)
    if int(counts.sum()) != labels.shape[0]:
        raise ShapeError(
            f"ctc_loss: the target_lengths add up to {int(counts.sum())}, but there are "
            f"{labels.shape[0]} labels"
        )
    places = np.arange(max(int(counts.max(initial=0)), 0))
    starts = np.cumsum(counts) - counts
    index = np.where(places < counts[:, None], starts[:, None] + places, 0)
    if not math.prod(index.shape):
        return labels.new_zeros(*index.shape)
    found: Tensor = labels[as_tensor(index).to(labels.device)]
    return found


class CTCLoss(Module):
    r"""The loss of labels without their times; see ``functional.ctc_loss``.

    >>> from nnscratch import zeros
    >>> loss = CTCLoss(reduction="sum")(zeros(4, 1, 3).log_softmax(2), [[1, 2]], [4], [2])
    >>> round(loss.item(), 4)
    1.6864
    """

    def __init__(
        self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False
    ) -> None:
        """Choose the blank and the reduction."""
        super().__init__()
        self.blank, self.reduction, self.zero_infinity = blank, reduction, zero_infinity

    def forward(
        self, log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any
    ) -> Tensor:
        """Return the loss."""
        return ctc_loss(
            log_probs,
            targets,
            input_lengths,
            target_lengths,
            self.blank,
            self.reduction,
            self.zero_infinity,
        )
