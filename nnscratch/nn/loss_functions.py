"""Losses as functions that are more than their formula; the others are made of theirs.

Names and the order of the arguments are PyTorch's. ``size_average`` and ``reduce`` are taken in
their places, with a warning.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnscratch import formulas as f
from nnscratch.array import default_dtype, dtype_name, is_floating, is_integer
from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.formulas.checks import broadcast_shape
from nnscratch.nn.distances import pairwise_distance
from nnscratch.nn.reductions import loss_of, reduced, reduction_of
from nnscratch.tensors import Tensor, as_tensor
from nnscratch.tensors.creation import full_like
from nnscratch.tensors.functions import minimum

__all__ = [
    "cross_entropy",
    "gaussian_nll_loss",
    "margin_ranking_loss",
    "multilabel_soft_margin_loss",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]


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


def gaussian_nll_loss(
    input: Any,
    target: Any,
    var: Any,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """Return minus the log-probability of targets that are normal around the input.

    Args:
        input: the means.
        target: of a shape that broadcasts with them.
        var: the variances, one for each mean; or one for each row of them, in their shape with a
            last dimension of 1 or without it; or a number. Those below ``eps`` count as ``eps``.
        full: whether log(2π) / 2 is added.
        eps: the least variance.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: if the shapes do not fit.
        DataError: if a variance is negative.

    >>> gaussian_nll_loss([0.0, 1.0], [0.0, 3.0], [1.0, 1.0])
    tensor(1.)
    """
    x, t = as_tensor(input), as_tensor(target)
    v = full_like(x, var) if isinstance(var, (int, float)) else as_tensor(var)
    if v.shape != x.shape:
        if v.shape == x.shape[:-1]:
            v = v.unsqueeze(-1)
        different = [m for n, m in zip(x.shape, v.shape, strict=False) if n != m]
        if v.ndim != x.ndim or different not in ([], [1]):
            raise ShapeError(
                f"gaussian_nll_loss: expected variances of shape {tuple(x.shape)}, or with 1 in "
                f"the place of a size, got {tuple(v.shape)}"
            )
    shape = broadcast_shape("gaussian_nll_loss", x, t, v)
    arrays = [one.expand(*shape) for one in (x, t, v)]
    return loss_of(f.GAUSSIAN_NLL, *arrays, full=full, eps=eps, reduction=reduction)


def margin_ranking_loss(
    input1: Any,
    input2: Any,
    target: Any,
    margin: float = 0.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    r"""Return $\max(0, m - t (x_1 - x_2))$: $t = 1$ asks for $x_1$ above $x_2$, $t = -1$ for below.

    Args:
        input1: any shape; whole numbers are taken in the dtype of the others, and in the default
            one if all three are whole.
        input2: of as many dimensions, in a shape that broadcasts with it.
        target: 1 or -1, likewise.
        margin: by how much.
        size_average: PyTorch's word of old for the reduction, taken with a warning.
        reduce: PyTorch's word of old for the reduction, taken with a warning.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: if the numbers of dimensions differ, or the shapes do not broadcast.

    >>> margin_ranking_loss([2.0, 1.0], [1.0, 4.0], [1.0, 1.0])
    tensor(1.5)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    first, second, signs = as_tensor(input1), as_tensor(input2), as_tensor(target)
    if not first.ndim == second.ndim == signs.ndim:
        shapes = [tuple(one.shape) for one in (first, second, signs)]
        raise ShapeError(
            "margin_ranking_loss: expected inputs and a target of as many dimensions, got shapes "
            f"{shapes[0]}, {shapes[1]} and {shapes[2]}; reshape them to the shape that is meant"
        )
    if is_integer(first.array):
        floating = [one.dtype for one in (second, signs) if is_floating(one.array)]
        first = first.to(floating[0] if floating else default_dtype())
    shape = broadcast_shape("margin_ranking_loss", first, second, signs)
    arrays = [one.expand(*shape) for one in (first, second, signs)]
    return loss_of(f.MARGIN_RANKING, *arrays, margin=margin, reduction=reduction)


def multilabel_soft_margin_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    r"""Return the mean over the classes of the binary cross-entropy of $\sigma(x)$.

    Args:
        input: scores (..., C).
        target: 0 or 1 for each class of each sample, in the same shape.
        weight: a number for each class to multiply its loss by, or None.
        size_average: PyTorch's word of old for the reduction, taken with a warning.
        reduce: PyTorch's word of old for the reduction, taken with a warning.
        reduction: "mean", "sum" or "none".

    >>> multilabel_soft_margin_loss([[0.0, 0.0]], [[1.0, 0.0]])
    tensor(0.6931472)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    losses = loss_of(f.BCE_WITH_LOGITS, input, target, weight, None, reduction="none")
    return reduced(losses.mean(-1), reduction)


def triplet_margin_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    r"""Return $\max(0, d(a, p) - d(a, n) + m)$: an anchor shall be nearer to p than to n by m.

    Args:
        anchor: (N, D) or (D,).
        positive: of the same shape.
        negative: of the same shape.
        margin: m, above 0.
        p: of the norm of the differences.
        eps: added to each difference.
        swap: take d(p, n) in the place of d(a, n) where it is less.
        size_average: PyTorch's word of old for the reduction, taken with a warning.
        reduce: PyTorch's word of old for the reduction, taken with a warning.
        reduction: "mean", "sum" or "none".

    Raises:
        ConfigurationError: if the margin is not above 0.
        ShapeError: if the inputs have different numbers of dimensions.

    >>> triplet_margin_loss([[0.0, 0.0]], [[0.0, 1.0]], [[0.0, 1.5]], eps=0.0)
    tensor(0.5)
    """
    reduction = reduction_of(size_average, reduce, reduction)

    def distance(a: Tensor, b: Tensor) -> Tensor:
        return pairwise_distance(a, b, p, eps)

    return _triplet(anchor, positive, negative, distance, margin, swap, reduction)


def triplet_margin_with_distance_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """Return the triplet loss with any distance, that of ``pairwise_distance`` unless given.

    The other arguments and the errors are those of ``triplet_margin_loss``.
    """
    distance = pairwise_distance if distance_function is None else distance_function
    return _triplet(anchor, positive, negative, distance, margin, swap, reduction)


def _triplet(
    anchor: Any,
    positive: Any,
    negative: Any,
    distance: Callable[[Tensor, Tensor], Tensor],
    margin: float,
    swap: bool,
    reduction: str,
) -> Tensor:
    a, p, n = as_tensor(anchor), as_tensor(positive), as_tensor(negative)
    if not margin > 0:
        raise ConfigurationError(f"a triplet's margin must be above 0, got {margin}")
    if not a.ndim == p.ndim == n.ndim:
        raise ShapeError(
            "a triplet is of inputs with the same number of dimensions, got shapes "
            f"{tuple(a.shape)}, {tuple(p.shape)} and {tuple(n.shape)}"
        )
    near, far = distance(a, p), distance(a, n)
    if swap:
        far = minimum(far, distance(p, n))
    return reduced((near - far + margin).clamp(min=0.0), reduction)
