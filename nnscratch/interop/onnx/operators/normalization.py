"""Normalisation by statistics of a batch, a layer, a group, an instance, or of neighbours."""

from __future__ import annotations

from typing import Any

from nnscratch import formulas as f
from nnscratch.errors import ShapeError
from nnscratch.interop.onnx.operators.room import axis_of
from nnscratch.interop.onnx.operators.table import operator
from nnscratch.tensors import Tensor, apply
from nnscratch.tensors import functions as T
from nnscratch.tensors import ops as O


@operator("BatchNormalization", fixed=(3, 4))
def batch_normalization(
    x: Tensor,
    W: Tensor,
    b: Tensor,
    mean: Tensor,
    var: Tensor,
    /,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    training_mode: int = 0,
    spatial: int = 1,
    is_test: int = 0,
    consumed_inputs: Any = None,
    wanted: int,
) -> Any:
    if not spatial and x.ndim > 2:
        raise ShapeError("BatchNormalization: spatial=0, statistics of each pixel, is not there")
    if not training_mode:
        W, b = (one.to(x.dtype) for one in (W, b))
        mean, var = (one.to(x.dtype) for one in (mean, var))
        return apply(f.BATCH_NORM_INFERENCE, x, mean, var, W, b, eps=epsilon)
    axes = (0, *range(2, x.ndim))
    y, M, V = apply(f.STANDARDIZE, x, W, b, axes=axes, first=1, eps=epsilon)
    new = (mean * momentum + M * (1 - momentum), var * momentum + V * (1 - momentum))
    return (y, *new)[:wanted]


@operator("InstanceNormalization")
def instance_normalization(
    x: Tensor, W: Tensor, b: Tensor, /, *, epsilon: float = 1e-5, consumed_inputs: Any = None
) -> Tensor:
    axes = tuple(range(2, x.ndim))
    return apply(f.STANDARDIZE, x, W, b, axes=axes, first=1, eps=epsilon)[0]


@operator("LayerNormalization")
def layer_normalization(
    x: Tensor,
    W: Tensor,
    b: Tensor | None = None,
    /,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    stash_type: int = 1,
) -> tuple[Tensor, Tensor, Tensor]:
    first = axis_of("LayerNormalization", axis, x.ndim)
    axes = tuple(range(first, x.ndim))
    # The formula shares scale and shift among what stands before; others are multiplied behind.
    own = all(one is None or tuple(one.shape) == tuple(x.shape[first:]) for one in (W, b))
    given = (W, b) if own else (None, None)
    y, M, V = apply(f.STANDARDIZE, x, *given, axes=axes, first=first, eps=epsilon)
    if not own:
        y = y * W if b is None else y * W + b
    kept = (*x.shape[:first], *(1,) * len(axes))
    stash = "float32" if x.dtype in ("float16", "bfloat16") else x.dtype
    scale = T.rsqrt(V.to(stash) + epsilon)
    return y, M.to(stash).reshape(kept), scale.reshape(kept)


@operator("RMSNormalization")
def rms_normalization(
    x: Tensor, W: Tensor, /, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1
) -> Tensor:
    dims = x.ndim - axis_of("RMSNormalization", axis, x.ndim)
    if tuple(W.shape) == tuple(x.shape[x.ndim - dims :]):
        return apply(f.RMS_NORM, x, W, dims=dims, eps=epsilon)
    return apply(f.RMS_NORM, x, None, dims=dims, eps=epsilon) * W


@operator("GroupNormalization")
def group_normalization(
    x: Tensor,
    W: Tensor,
    b: Tensor,
    /,
    *,
    epsilon: float = 1e-5,
    num_groups: int,
    stash_type: int = 1,
) -> Tensor:
    n, c = x.shape[:2]
    if num_groups < 1 or c % num_groups:
        raise ShapeError(f"GroupNormalization: {c} channels in {num_groups} groups")
    parts = x.reshape(n, num_groups, -1)
    y = apply(f.STANDARDIZE, parts, None, None, axes=(2,), first=1, eps=epsilon)[0]
    if W.shape[0] != c:  # before opset 21 one for each group
        W, b = (O.repeat_interleave(one, c // num_groups) for one in (W, b))
    beside = (-1, *(1,) * (x.ndim - 2))
    return y.reshape(x.shape) * W.reshape(beside) + b.reshape(beside)


@operator("LRN")
def local_response_normalization(
    x: Tensor, /, *, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0, size: int
) -> Tensor:
    if size % 2:
        return apply(f.LOCAL_RESPONSE_NORM, x, size=size, alpha=alpha, beta=beta, k=bias)
    # An even window reaches one further behind than before, that of the formula the other way.
    turned = O.flip(x, (1,))
    found = apply(f.LOCAL_RESPONSE_NORM, turned, size=size, alpha=alpha, beta=beta, k=bias)
    return O.flip(found, (1,))


@operator("LpNormalization")
def norm_normalization(x: Tensor, /, *, axis: int = -1, p: int = 2) -> Tensor:
    axis = axis_of("LpNormalization", axis, x.ndim)
    length = apply(f.NORM, x, p=float(p), axis=axis, keepdims=True)
    return x / T.where(length == 0, length + 1, length)
