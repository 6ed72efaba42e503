"""Fourier transforms and the weights of mel bands."""

from __future__ import annotations

import numpy as np

from nnscratch import formulas as f
from nnscratch.errors import ShapeError
from nnscratch.interop.onnx.operators.room import axis_of, checked_shape
from nnscratch.interop.onnx.operators.table import Numbers, operator
from nnscratch.interop.onnx.types import dtype_named
from nnscratch.tensors import Tensor, apply
from nnscratch.tensors import functions as T


def _cut(x: Tensor, axis: int, size: int) -> Tensor:
    """Return x with so many entries along an axis: cut, or filled with zeros."""
    if x.shape[axis] >= size:
        return T.narrow(x, axis, 0, size)
    more = [size - x.shape[axis] if i == axis else n for i, n in enumerate(x.shape)]
    return T.cat([x, x.new_zeros(tuple(more))], axis)


@operator("DFT")
def fourier(
    x: Tensor,
    length: Numbers | None = None,
    along: Numbers | None = None,
    /,
    *,
    axis: int | None = None,
    inverse: int = 0,
    onesided: int = 0,
    opset: int,
) -> Tensor:
    usual = 1 if opset < 20 else -2
    where = int(along.item()) if along is not None else usual if axis is None else axis
    at = axis_of("DFT", where, x.ndim)
    if at == x.ndim - 1 or x.shape[-1] not in (1, 2):
        raise ShapeError(
            f"DFT: expected (..., 1 or 2) and another axis, got {tuple(x.shape)}, {where}"
        )
    if length is not None:
        size = int(length.item())
    elif onesided and inverse:
        size = 2 * (x.shape[at] - 1)
    else:
        size = x.shape[at]
    checked_shape("DFT", [size if i == at else n for i, n in enumerate(x.shape)], 16)
    if onesided and inverse:
        # The other half is the first one's conjugate, turned round.
        x = _cut(x, at, size // 2 + 1)
        mirrored = x[tuple(
            slice(size - size // 2 - 1, 0, -1) if i == at else slice(None) for i in range(x.ndim)
        )]  # fmt: skip
        x = T.cat([x, mirrored * x.new_tensor([1.0, -1.0])], at)
    else:
        x = _cut(x, at, size)
    pairs = x if x.shape[-1] == 2 else T.cat([x, x * 0], -1)
    y = apply(f.FOURIER, pairs, axes=(at,), inverse=bool(inverse), norm="backward")
    if onesided and inverse:
        return T.narrow(y, y.ndim - 1, 0, 1)
    return T.narrow(y, at, 0, size // 2 + 1) if onesided else y


@operator("STFT")
def short_time_fourier(
    x: Tensor,
    step: Numbers,
    window: Tensor | None = None,
    length: Numbers | None = None,
    /,
    *,
    onesided: int = 1,
) -> Tensor:
    if x.ndim == 2:
        x = x.unsqueeze(-1)
    hop = int(step.item())
    size = int(length.item()) if length is not None else 0
    size = size or (x.shape[1] if window is None else window.shape[0])
    if hop < 1 or not 1 <= size <= x.shape[1]:
        raise ShapeError(f"STFT: frames of {size} each {hop} steps of {x.shape[1]}")
    count = (x.shape[1] - size) // hop + 1
    places = (np.arange(count)[:, None] * hop + np.arange(size)).reshape(-1)
    index = x.new_tensor(places.tolist(), dtype="int64")
    frames = T.index_select(x, 1, index).reshape(x.shape[0], count, size, x.shape[2])
    if window is not None:
        frames = frames * window.reshape(-1, 1)
    pairs = frames if x.shape[2] == 2 else T.cat([frames, frames * 0], -1)
    y = apply(f.FOURIER, pairs, axes=(2,), inverse=False, norm="backward")
    return T.narrow(y, 2, 0, size // 2 + 1) if onesided else y


@operator("MelWeightMatrix")
def mel_weights(
    bands: Numbers, length: Numbers, rate: Numbers, low: Numbers, high: Numbers, /, *,
    output_datatype: int = 1,
) -> np.ndarray:  # fmt: skip
    count, bins = int(bands.item()), int(length.item()) // 2 + 1
    checked_shape("MelWeightMatrix", (bins, count), 8)
    first, last = (2595 * np.log10(1 + one.item() / 700) for one in (low, high))
    mels = first + np.arange(count + 2) * ((last - first) / (count + 2))
    hertz = 700 * (10 ** (mels / 2595) - 1)
    edges = ((int(length.item()) + 1) * hertz // rate.item()).astype(np.int64)
    weights = np.zeros((bins, count))
    for band in range(count):
        low_bin, middle, high_bin = edges[band : band + 3]
        if middle == low_bin:
            weights[middle, band] = 1.0
        else:
            up = np.arange(low_bin, middle + 1)
            weights[up, band] = (up - low_bin) / (middle - low_bin)
        if high_bin > middle:
            down = np.arange(middle, high_bin)
            weights[down, band] = (high_bin - down) / (high_bin - middle)
    return weights.astype(dtype_named("MelWeightMatrix", output_datatype))
