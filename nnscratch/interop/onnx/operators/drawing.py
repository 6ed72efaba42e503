"""Random numbers, dropout among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnscratch.array import Generator
from nnscratch.interop.onnx.operators.room import checked_shape
from nnscratch.interop.onnx.operators.table import Numbers, operator
from nnscratch.interop.onnx.types import dtype_named
from nnscratch.nn import functional as F
from nnscratch.tensors import Tensor
from nnscratch.tensors import creation as C
from nnscratch.tensors import functions as T
from nnscratch.tensors import ops as O


def _generator(seed: float | None) -> Generator | None:
    """Return a generator for a seed, which ONNX gives as a float; None for the default one."""
    if seed is None:
        return None
    return Generator(int(np.float32(seed).view(np.uint32)))


def _drawn(normal: bool, shape: Any, name: str, device: Any, seed: float | None) -> Tensor:
    make = C.randn if normal else C.rand
    return make(tuple(shape), dtype=name, device=device, generator=_generator(seed))


@operator("RandomNormal", draws=True)
def normal(
    *,
    shape: Sequence[int],
    dtype: int = 1,
    mean: float = 0.0,
    scale: float = 1.0,
    seed: float | None = None,
) -> Tensor:
    wanted = checked_shape("RandomNormal", shape)
    return _drawn(True, wanted, dtype_named("RandomNormal", dtype), None, seed) * scale + mean


@operator("RandomUniform", draws=True)
def uniform(
    *,
    shape: Sequence[int],
    dtype: int = 1,
    low: float = 0.0,
    high: float = 1.0,
    seed: float | None = None,
) -> Tensor:
    wanted = checked_shape("RandomUniform", shape)
    name = dtype_named("RandomUniform", dtype)
    return _drawn(False, wanted, name, None, seed) * (high - low) + low


@operator("RandomNormalLike", draws=True)
def normal_like(
    x: Tensor,
    /,
    *,
    dtype: int | None = None,
    mean: float = 0.0,
    scale: float = 1.0,
    seed: float | None = None,
) -> Tensor:
    name = x.dtype.name if dtype is None else dtype_named("RandomNormalLike", dtype)
    return _drawn(True, x.shape, name, x.device, seed) * scale + mean


@operator("RandomUniformLike", draws=True)
def uniform_like(
    x: Tensor,
    /,
    *,
    dtype: int | None = None,
    low: float = 0.0,
    high: float = 1.0,
    seed: float | None = None,
) -> Tensor:
    name = x.dtype.name if dtype is None else dtype_named("RandomUniformLike", dtype)
    return _drawn(False, x.shape, name, x.device, seed) * (high - low) + low


@operator("Bernoulli", draws=True)
def bernoulli(x: Tensor, /, *, dtype: int | None = None, seed: float | None = None) -> Tensor:
    name = x.dtype.name if dtype is None else dtype_named("Bernoulli", dtype)
    return (_drawn(False, x.shape, "float32", x.device, seed) < x.to("float32")).to(name)


@operator("Multinomial", draws=True)
def multinomial(
    x: Tensor, /, *, dtype: int = 6, sample_size: int = 1, seed: float | None = None
) -> Tensor:
    checked_shape("Multinomial", (x.shape[0], sample_size))
    drawn = O.multinomial(
        T.softmax(x, -1), sample_size, replacement=True, generator=_generator(seed)
    )
    return drawn.to(dtype_named("Multinomial", dtype))


@operator("Dropout", draws=True)
def dropout(
    x: Tensor,
    share: Numbers | None = None,
    training: Numbers | None = None,
    /,
    *,
    ratio: float = 0.5,
    seed: float | None = None,
    is_test: int = 1,
    consumed_inputs: Any = None,
    opset: int,
    wanted: int,
) -> tuple[Tensor, ...]:
    p = ratio if share is None else float(share.item())
    drops = training is not None and bool(training.item()) and p > 0.0
    if not drops:
        return (
            (x,)
            if wanted < 2
            else (
                x,
                x.new_full(x.shape, 1, dtype="bool" if opset >= 10 else x.dtype.name),
            )
        )
    if wanted < 2 and seed is None:
        return (F.dropout(x, p, training=True),)
    kept = _drawn(False, x.shape, "float32", x.device, seed) >= p
    return (x * kept.to(x.dtype) * (1.0 / (1.0 - p) if p < 1.0 else 0.0), kept)[:wanted]
