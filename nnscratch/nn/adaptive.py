"""A softmax of very many classes, most of them rare, at a fraction of the cost."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from nnscratch.array.named import NamedValues
from nnscratch.errors import ConfigurationError, DataError, ShapeError
from nnscratch.nn.containers import ModuleList, Sequential
from nnscratch.nn.linear import Linear
from nnscratch.nn.module import Module
from nnscratch.tensors import Tensor, as_tensor
from nnscratch.tensors.creation import arange
from nnscratch.tensors.functions import cat, where

__all__ = ["AdaptiveLogSoftmaxWithLoss"]


class AdaptiveLoss(NamedValues):
    """The log-probability of each target, and the loss: minus their mean."""

    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    r"""The log-probability of classes that are sorted by how frequent they are, and their loss.

    The frequent classes, up to the first cutoff, have scores of their own in the head, and so has
    each cluster of rarer ones. In a cluster between two cutoffs the scores come through a narrower
    layer: $\log p(y) = \log p(\text{cluster}) + \log p(y \mid \text{cluster})$. A cluster is
    computed for the rows alone that are in it (Grave, Joulin, Cissé, Grangier and Jégou 2017).

    Args:
        in_features: I.
        n_classes: how many classes there are.
        cutoffs: where each cluster begins, rising, from 1 to ``n_classes`` - 1.
        div_value: the layer of cluster i has I // div_value^i units.
        head_bias: whether the head has a bias.

    Raises:
        ConfigurationError: if the cutoffs make no sense.
        ShapeError: when called with an input and a target that do not fit.
        DataError: when called with a class out of range.

    >>> from nnscratch import zeros
    >>> AdaptiveLogSoftmaxWithLoss(4, 10, [3, 6])(zeros(2, 4), [0, 7]).output.shape
    (2,)
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        """Make the head and the clusters."""
        super().__init__()
        ends = list(cutoffs)
        rising = all(low < high for low, high in pairwise([0, *ends, n_classes]))
        if not ends or not rising or any(int(one) != one for one in ends):
            raise ConfigurationError(
                f"AdaptiveLogSoftmaxWithLoss: cutoffs are integers that rise from 1 to "
                f"{n_classes - 1}, got {ends}"
            )
        self.in_features, self.n_classes = in_features, n_classes
        self.cutoffs = [*ends, n_classes]
        self.div_value, self.head_bias = div_value, head_bias
        self.shortlist_size = ends[0]
        self.n_clusters = len(ends)
        self.head_size = self.shortlist_size + self.n_clusters
        make = {"device": device, "dtype": dtype}
        self.head = Linear(in_features, self.head_size, bias=head_bias, **make)
        self.tail = ModuleList()
        for index, (low, high) in enumerate(pairwise(self.cutoffs)):
            width = int(in_features // div_value ** (index + 1))
            first = Linear(in_features, width, bias=False, **make)
            self.tail.append(Sequential(first, Linear(width, high - low, bias=False, **make)))

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        self.head.reset_parameters()
        for first, second in self.tail:
            first.reset_parameters()
            second.reset_parameters()

    def forward(self, input_: Any, target_: Any) -> AdaptiveLoss:
        """Return the log-probability of each target, and the loss.

        Args:
            input_: (N, I), or (I,) of one.
            target_: classes (N,), or () of one.
        """
        x, target = as_tensor(input_), as_tensor(target_)
        if (x.ndim, target.ndim) not in ((1, 0), (2, 1)) or x.shape[:-1] != target.shape:
            raise ShapeError(
                "AdaptiveLogSoftmaxWithLoss: expected an input (N, I) with classes (N,), or (I,) "
                f"with (), got {tuple(x.shape)} and {tuple(target.shape)}"
            )
        if not target.ndim:
            output, loss = self.forward(x.unsqueeze(0), target.unsqueeze(0))
            return AdaptiveLoss(output.squeeze(0), loss)
        outside = (target < 0) | (target >= self.n_classes)
        if bool(outside.any()):
            raise DataError(
                f"AdaptiveLogSoftmaxWithLoss: expected classes from 0 to {self.n_classes - 1}, got "
                f"{target[outside][0].item()}"
            )
        place, parts, rows = target, [], []
        for index, (low, high) in enumerate(pairwise(self.cutoffs)):
            inside = (target >= low) & (target < high)
            place = where(inside, self.shortlist_size + index, place)
            found = inside.nonzero()[:, 0]
            if found.shape[0]:
                scores = self.tail[index](x[found]).log_softmax(1)
                parts.append(scores.gather(1, (target[found] - low).unsqueeze(1)).squeeze(1))
                rows.append(found)
        output = self.head(x).log_softmax(1).gather(1, place.unsqueeze(1)).squeeze(1)
        if parts:
            # Each cluster's rows, and after them those of none, in the order of the batch again.
            none = (target < self.shortlist_size).nonzero()[:, 0]
            order = cat([*rows, none])
            tail = cat([*parts, output.new_zeros(none.shape[0])])
            output = output + tail[_inverse(order)]
        return AdaptiveLoss(output, -output.mean())

    def log_prob(self, input: Any) -> Tensor:
        """Return the log-probabilities of all classes (N, n_classes) for inputs (N, I)."""
        x = as_tensor(input)
        head = self.head(x).log_softmax(1)
        found = [head[:, : self.shortlist_size]]
        for index, cluster in enumerate(self.tail):
            at = self.shortlist_size + index
            found.append(cluster(x).log_softmax(1) + head[:, at : at + 1])
        return cat(found, 1)

    def predict(self, input: Any) -> Tensor:
        """Return the most probable class (N,) for inputs (N, I)."""
        found: Tensor = self.log_prob(input).argmax(1)
        return found


def _inverse(order: Tensor) -> Tensor:
    """Return the permutation that undoes one.

    >>> from nnscratch import tensor
    >>> _inverse(tensor([2, 0, 1])).tolist()
    [1, 2, 0]
    """
    found = order.new_zeros(order.shape[0])
    found[order] = arange(order.shape[0], device=order.device)
    return found
