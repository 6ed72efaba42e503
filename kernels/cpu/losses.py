"""Losses of elements: mean squared error, and binary cross-entropy of logits.

The forward writes one partial sum for each block of elements, in float64; ``finish_sum`` of the
reductions adds them and divides. The backward multiplies by the upstream gradient ``g``, a number
in memory, and by a factor such as 2 / n.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from nnscratch.array.dtypes import dtype_name
from nnscratch.formulas.binary_losses import BceWithLogitsSaved, bce_with_logits_backward
from nnscratch.formulas.losses import MseSaved

from .implementation import REDUCTIONS, Builder, CpuKernel, Inputs, Options
from .reductions import BLOCK, LANES, blocks, finish_sum
from .runtime.declaration import Doubles, Floats, Number, OptionalFloats, helper, kernel
from .runtime.language import KIND, cast, exp, given, log1p, part, sigmoid, stack

MSE, BCE = 0, 1


@helper
def element_loss(what, x, t, weight):
    """(x - t)², or (1 - t) x + (1 + (weight - 1) t) log(1 + e^-x) without overflow."""
    if what == MSE:
        return (x - t) * (x - t)
    zero, one = cast(0.0, x), cast(1.0, x)
    tail = log1p(exp(-abs(x))) + (zero if x > zero else -x)
    return (one - t) * x + (one + (weight - one) * t) * tail


@helper
def element_slope(what, x, t, weight):
    """X - t (the factor 2 is in the kernel's factor), or σ(x) - t and its weighted form."""
    if what == MSE:
        return x - t
    one = cast(1.0, x)
    y = sigmoid(x)
    return (one - t) * y - weight * t * (one - y)


@kernel(cost=lambda count: 0.4 * count)
def loss_sums(
    X: Floats, T: Floats, weights: OptionalFloats, partial: Doubles, count: int, period: int,
    tid, threads, *, loss: int,
):  # fmt: skip
    """blocks(count) partial sums of the loss MSE or BCE, in float64.

    The weights of BCE, its pos_weight (period), repeat along the elements.
    """
    first, last = part((count + BLOCK - 1) // BLOCK, tid, threads, 1)
    lanes, values = stack(32, np.float64), stack(4096, KIND)
    for block in range(first, last):
        start, length = block * BLOCK, min(BLOCK, count - block * BLOCK)
        if given(weights) and loss == BCE:
            for i in range(length):
                w = weights[(start + i) % period]
                values[i] = element_loss(loss, X[start + i], T[start + i], w)
        else:
            for i in range(length):
                values[i] = element_loss(loss, X[start + i], T[start + i], KIND(1.0))
        for l in range(LANES):
            lanes[l] = 0.0
        whole = length // LANES * LANES
        for i in range(0, whole, LANES):
            for l in range(LANES):
                lanes[l] += np.float64(values[i + l])
        for i in range(whole, length):
            lanes[i - whole] += np.float64(values[i])
        total = 0.0
        for l in range(LANES):
            total += lanes[l]
        partial[block] = total


@kernel(cost=lambda count: 0.4 * count)
def loss_elements(
    X: Floats, T: Floats, weights: OptionalFloats, out: Floats, count: int, period: int,
    tid, threads, *, loss: int,
):  # fmt: skip
    """The same loss of every element."""
    first, last = part(count, tid, threads, 1024)
    if given(weights) and loss == BCE:
        for i in range(first, last):
            out[i] = element_loss(loss, X[i], T[i], weights[i % period])
    else:
        for i in range(first, last):
            out[i] = element_loss(loss, X[i], T[i], KIND(1.0))


@kernel(cost=lambda count: 0.4 * count)
def loss_backward(
    X: Floats, T: Floats, weights: OptionalFloats, g: Floats, g_step: int, dX: Floats,
    count: int, period: int, factor: Number, tid, threads, *, loss: int,
):  # fmt: skip
    """DX = factor g slope; g is one number, g_step = 0, or one for each element, 1.

    For the mean of squares factor is 2 / count.
    """
    first, last = part(count, tid, threads, 1024)
    if given(weights) and loss == BCE:
        for i in range(first, last):
            slope = element_slope(loss, X[i], T[i], weights[i % period])
            dX[i] = factor * g[i * g_step] * slope
    elif g_step == 0:
        factor = factor * g[0]
        for i in range(first, last):
            if loss == BCE:
                dX[i] = factor * (sigmoid(X[i]) - T[i])
            else:
                dX[i] = factor * (X[i] - T[i])
    else:
        for i in range(first, last):
            dX[i] = factor * g[i] * element_slope(loss, X[i], T[i], KIND(1.0))


def _check_pair(inputs: Inputs, options: Options) -> str | None:
    X, T = inputs[:2]
    if not isinstance(T, np.ndarray) or X.shape != T.shape or X.dtype != T.dtype:
        return "input and target differ in shape or dtype"
    if options.get("reduction", "mean") not in REDUCTIONS:
        return "the reduction is unknown"
    if len(inputs) > 2 and inputs[2] is not None:
        return "it knows no weights"
    if len(inputs) > 3 and inputs[3] is not None:
        weight = inputs[3]
        tail = X.shape[X.ndim - weight.ndim :] if isinstance(weight, np.ndarray) else None
        if tail is None or weight.ndim > X.ndim or (weight.shape != tail and weight.size != 1):
            return "the pos_weight does not repeat along the last dimensions"
    return None


def _check_pair_backward(inputs: Inputs, options: Options) -> str | None:
    dY, X, T, *rest = inputs
    if dY.shape not in ((), X.shape):
        return f"dY has shape {dY.shape}"
    return _check_pair((X, T, *rest[:-1]), {"reduction": rest[-1]})


def pair_loss(formula: str, what: int) -> CpuKernel:
    """Return the kernels of the mean squared error, or of the cross-entropy of logits."""

    def forward(
        builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
    ) -> tuple[tuple[Any, ...], Any]:
        X, T = inputs[:2]
        pos_weight = inputs[3] if len(inputs) > 3 else None
        period = 1 if pos_weight is None else pos_weight.size
        reduction = options.get("reduction", "mean")
        if what == MSE:
            saved: Any = MseSaved(X, T, reduction)
        else:
            saved = BceWithLogitsSaved(X, T, None, pos_weight, reduction)
        name = dtype_name(X.dtype)
        if reduction == "none":
            Y = builder.output(0, X.shape, X.dtype)
            loss_elements.emit(
                builder, name, what, X=X, T=T, weights=pos_weight, out=Y, count=X.size,
                period=period,
            )  # fmt: skip
            return (Y,), saved
        partial = builder.empty((blocks(X.size),), np.float64)
        loss_sums.emit(
            builder, name, what, X=X, T=T, weights=pos_weight, partial=partial, count=X.size,
            period=period,
        )  # fmt: skip
        Y = builder.output(0, (), X.dtype)
        scale = 1.0 / X.size if reduction == "mean" else 1.0
        finish_sum.emit(builder, name, partial=partial, count=partial.size, out=Y, c=scale)
        return (Y,), saved

    def backward(
        builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
    ) -> tuple[tuple[Any, ...], Any]:
        dY, X, T, *rest = inputs
        pos_weight = rest[1] if what == BCE else None
        period = 1 if pos_weight is None else pos_weight.size
        count = X.size
        factor = (2.0 if what == MSE else 1.0) / (count if rest[-1] == "mean" else 1)
        outputs: list[Any] = [None] * (2 if what == MSE else 4)
        saved = None if what == MSE else BceWithLogitsSaved(*inputs[1:])
        for position, sign in ((0, 1.0), (1, -1.0)):
            if not needs[position]:
                continue
            D = outputs[position] = builder.output(position, X.shape, X.dtype)
            if saved is not None and position == 1:
                builder.python(partial(_target_gradient, D, dY, saved), reads_arguments=True)
                continue
            loss_backward.emit(
                builder, dtype_name(X.dtype), what, X=X, T=T, weights=pos_weight, g=dY,
                g_step=int(dY.ndim > 0), dX=D, count=count, period=period, factor=sign * factor,
            )  # fmt: skip
        return tuple(outputs), None

    return CpuKernel(
        formula,
        {"forward": forward, "backward": backward},
        {"forward": _check_pair, "backward": _check_pair_backward},
    )


def _target_gradient(D: Any, dY: Any, saved: BceWithLogitsSaved) -> None:
    """Write ∂L/∂T; few ask for it, so the reference computes it."""
    D[...] = bce_with_logits_backward(dY, saved, (False, True, False, False))[1]


MSE_KERNEL = pair_loss("mse", MSE)
BCE_WITH_LOGITS_KERNEL = pair_loss("bce_with_logits", BCE)
