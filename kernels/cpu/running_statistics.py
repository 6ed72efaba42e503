"""Batch normalisation by running statistics, and their update, as instructions."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch.array.dtypes import dtype_name
from nnscratch.array.maths import sqrt
from nnscratch.formulas.running_statistics import BatchNormInferenceSaved

from ..bodies import parsed
from ..normalized import why_not_follow, why_not_inference, why_not_inference_backward
from .implementation import Builder, CpuKernel, Inputs, Options
from .operands import Operands
from .reductions import sum_axes
from .runtime.declaration import Floats, Integers, kernel
from .runtime.language import KIND, given, part

Lowered = tuple[tuple[Any, ...], Any]
Needs = tuple[bool, ...]


@kernel(cost=lambda channels, pictures: 1.0 * channels * (pictures + 1))
def running_statistics(
    mean: Floats, var: Floats, count: Integers, M: Floats, V: Floats,
    channels: int, pictures: int, momentum: float, correction: float, tid, threads,
):  # fmt: skip
    """Mean and var follow M and V, averages over pictures; a count that is there grows by 1."""
    first, last = part(channels, tid, threads, 16)
    kept = 1.0 - momentum
    for c in range(first, last):
        some, more = 0.0, 0.0
        for i in range(pictures):
            some += np.float64(M[i * channels + c])
            more += np.float64(V[i * channels + c])
        mean[c] = KIND(kept * mean[c] + momentum * (some / pictures))
        var[c] = KIND(kept * var[c] + momentum * (correction * more / pictures))
    if tid == 0 and given(count):
        count[0] += 1


def _follow(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    mean, var, count, M, V = inputs
    running_statistics.emit(
        builder, dtype_name(mean.dtype), mean=mean, var=var, count=count, M=M, V=V,
        channels=mean.size, pictures=M.size // mean.size, momentum=options["momentum"],
        correction=options.get("correction", 1.0),
    )  # fmt: skip
    return (), None


def _inverse_root(V: Any, eps: Any) -> Any:
    """Return (V + eps)^(-1/2)."""
    return 1.0 / sqrt(V + eps)


def _scaled_inverse_root(V: Any, eps: Any, W: Any) -> Any:
    """Return W (V + eps)^(-1/2)."""
    return W * (1.0 / sqrt(V + eps))


def _centred(X: Any, M: Any, S: Any) -> Any:
    """Return (X - M) S."""
    return (X - M) * S


def _centred_and_shifted(X: Any, M: Any, S: Any, b: Any) -> Any:
    """Return (X - M) S + b."""
    return (X - M) * S + b


def _product(A: Any, B: Any) -> Any:
    """Return A B."""
    return A * B


def _loop(builder: Builder, body: Any, values: list[Any], out: Any) -> None:
    loop = Operands(out.shape, out.dtype)
    loop.store(loop.apply(parsed(body), [loop.add(one) for one in values]), out)
    loop.emit(builder)


def _channels(one: Any, X: Any) -> Any:
    return one.reshape(-1, *(1,) * (X.ndim - 2))


def _scale(builder: Builder, V: Any, W: Any, eps: Any) -> Any:
    S = builder.empty(V.shape, V.dtype)
    if W is None:
        _loop(builder, _inverse_root, [V, eps], S)
    else:
        _loop(builder, _scaled_inverse_root, [V, eps, W], S)
    return S


def _inference(builder: Builder, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    X, M, V, W, b = (*inputs, None, None)[:5]
    Y = builder.output(0, X.shape, X.dtype, over=(X,))
    S = builder.once(_scale, V, W, options["eps"])
    values = [X, _channels(M, X), _channels(S, X)]
    if b is None:
        _loop(builder, _centred, values, Y)
    else:
        _loop(builder, _centred_and_shifted, [*values, _channels(b, X)], Y)
    return (Y,), BatchNormInferenceSaved(X, M, V, W, options["eps"])


def _inference_backward(
    builder: Builder, inputs: Inputs, options: Options, needs: Needs
) -> Lowered:
    dY, X, M, V, W, eps = inputs
    axes = (0, *range(2, X.ndim))
    dX = dW = db = None
    if needs[0]:
        dX = builder.output(0, X.shape, X.dtype, over=() if needs[3] or needs[4] else (dY,))
        _loop(builder, _product, [dY, _channels(builder.once(_scale, V, W, eps), X)], dX)
    if needs[3]:
        dW = builder.output(3, V.shape, X.dtype)
        N = builder.empty(X.shape, X.dtype)
        R = builder.once(_scale, V, None, eps)
        _loop(builder, _centred, [X, _channels(M, X), _channels(R, X)], N)
        _loop(builder, _product, [dY, N], N)
        sum_axes(builder, N, axes, dW, 1.0)
    if needs[4]:
        db = builder.output(4, V.shape, X.dtype)
        sum_axes(builder, dY, axes, db, 1.0)
    return (dX, None, None, dW, db), None


BATCH_NORM_INFERENCE_KERNEL = CpuKernel(
    "batch_norm_inference",
    {"forward": _inference, "backward": _inference_backward},
    {"forward": why_not_inference, "backward": why_not_inference_backward},
    passes=3,
    repeats=True,
)
RUNNING_STATISTICS_KERNEL = CpuKernel(
    "running_statistics", {"update": _follow}, {"update": why_not_follow}
)
