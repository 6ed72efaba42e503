"""Losses as functions that are more than their formula; the others are made of theirs.

Names and the order of the arguments are PyTorch's. ``size_average`` and ``reduce`` are taken in
their places, with a warning.
"""

from __future__ import annotations

from typing import Any

from nnscratch import formulas as f
from nnscratch.array import dtype_name, is_floating, is_integer
from nnscratch.nn.reductions import loss_of, reduction_of
from nnscratch.tensors import Tensor, as_tensor

__all__ = ["cross_entropy"]


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
        return loss_of(f.CROSS_ENTROPY_PROBABILITIES, input, target, weight, **options)
    if dtype_name(target.array.dtype) != "int64" and is_integer(target.array):
        target = target.to("int64")  # which the kernels take
    return loss_of(f.CROSS_ENTROPY, input, target, weight, ignore_index=ignore_index, **options)
