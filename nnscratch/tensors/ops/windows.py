"""Fourier transforms of short windows of a signal, and the signal of such transforms."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch import formulas as f
from nnscratch.array import to_device_of
from nnscratch.array.dtypes import is_complex
from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.tensors.functions import cat
from nnscratch.tensors.ops.calling import tensor_function
from nnscratch.tensors.ops.complexes import view_as_complex, view_as_real
from nnscratch.tensors.ops.fourier import _half, _transform, _whole
from nnscratch.tensors.ops.moving import _unfold
from nnscratch.tensors.tensor import Tensor

__all__ = [
    "istft",
    "stft",
]


def _reflected(signal: Tensor, by: int, mode: str) -> Tensor:
    """Return a signal (N, T) continued on both sides."""
    size = signal.shape[-1]
    if mode == "constant":
        zeros = signal.new_zeros(*signal.shape[:-1], by)
        return cat([zeros, signal, zeros], -1)
    places = np.arange(-by, size + by)
    if mode == "reflect":
        if by >= size:
            raise ShapeError(f"stft: a signal of {size} cannot be reflected over {by}; pad it")
        places = np.abs(places)
        places = np.where(places >= size, 2 * (size - 1) - places, places)
    elif mode == "replicate":
        places = np.clip(places, 0, size - 1)
    elif mode == "circular":
        places = places % size
    else:
        raise ConfigurationError(
            f"stft: pad_mode is reflect, constant, replicate or circular, got {mode!r}"
        )
    index = signal._wrap(to_device_of(places, signal.array))
    return signal._apply(f.TAKE, index, axis=signal.ndim - 1)


def _window(name: str, window: Any, like: Tensor, win_length: int, n_fft: int) -> Tensor:
    if not 0 < win_length <= n_fft:
        raise ConfigurationError(f"{name}: win_length must be from 1 to {n_fft}, got {win_length}")
    if window is None:
        window = like.new_ones(win_length)
    if window.shape != (win_length,):
        raise ShapeError(f"{name}: expected a window of {win_length}, got {window.shape}")
    left = (n_fft - win_length) // 2
    zeros = window.new_zeros(left), window.new_zeros(n_fft - win_length - left)
    return cat([zeros[0], window, zeros[1]]) if win_length < n_fft else window


@tensor_function()
def stft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> Tensor:
    """Return the Fourier transforms of short windows of a signal.

    Args:
        input: (T,) or (N, T).
        n_fft: the size of each transform.
        hop_length: how far the next window is, a quarter of ``n_fft`` by default.
        win_length: the size of the window, ``n_fft`` by default; it is filled up with 0.
        window: its values, 1 by default.
        center: whether window t is around element t · hop_length; the signal is continued for it.
        pad_mode: how it is continued: "reflect", "constant", "replicate" or "circular".
        normalized: whether to divide by the root of ``n_fft``.
        onesided: whether to return only the frequencies from 0 up, as by default of real signals.
        return_complex: whether the result is complex instead of pairs, (..., 2).
        align_to_window: None, or False.

    Returns:
        (N, frequencies, windows), complex.

    Raises:
        ConfigurationError: without ``return_complex`` for a real signal.
        ShapeError: if the signal is too short.
    """
    if align_to_window:
        raise ConfigurationError("stft: align_to_window=True is not known here; pad the signal")
    if input.ndim not in (1, 2):
        raise ShapeError(f"stft needs a signal (T,) or (N, T), got shape {input.shape}")
    hop = n_fft // 4 if hop_length is None else hop_length
    length = n_fft if win_length is None else win_length
    complex_input = is_complex(input.array)
    if onesided and complex_input:
        raise ConfigurationError(
            "stft: onesided=True is for real signals; a complex one has frequencies below 0 too"
        )
    if return_complex is None and not complex_input:
        raise ConfigurationError(
            "stft: say return_complex=True, or False for pairs of real and imaginary parts"
        )
    signal = input.reshape(1, -1) if input.ndim == 1 else input
    if center:
        signal = _reflected(signal, n_fft // 2, pad_mode)
    if n_fft < 1 or hop < 1 or signal.shape[-1] < n_fft:
        raise ShapeError(
            f"stft: no window of {n_fft}, {hop} apart, fits a signal of {signal.shape[-1]}"
        )
    weights = _window("stft", window, signal, length, n_fft)
    frames = _unfold(signal, -1, n_fft, hop) * weights
    norm = "ortho" if normalized else "backward"
    pairs = _transform("stft", frames, (2,), (None,), norm, False)
    if onesided is None:
        onesided = not (complex_input or is_complex(weights.array))
    if onesided:
        pairs = _half(pairs, 2)
    pairs = pairs.transpose(1, 2)
    if input.ndim == 1:
        pairs = pairs.reshape(*pairs.shape[1:])
    return pairs if return_complex is False else view_as_complex(pairs)


@tensor_function()
def istft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: int | None = None,
    return_complex: bool = False,
) -> Tensor:
    """Return the signal whose short windows have such transforms: the inverse of ``stft``.

    Args:
        input: (frequencies, windows) or (N, frequencies, windows), complex.
        length: the size of the signal; by default as far as the windows go.

    The other arguments are those of ``stft``.

    Raises:
        ConfigurationError: if the windows leave a gap.
    """
    hop = n_fft // 4 if hop_length is None else hop_length
    win = n_fft if win_length is None else win_length
    pairs = view_as_real(input)
    pairs = pairs.reshape(1, *pairs.shape) if input.ndim == 2 else pairs
    if pairs.ndim != 4:
        raise ShapeError(f"istft needs (frequencies, windows), got shape {input.shape}")
    bins, count = pairs.shape[1], pairs.shape[2]
    half = bins != n_fft if onesided is None else onesided
    if bins != (n_fft // 2 + 1 if half else n_fft):
        raise ShapeError(f"istft: {bins} frequencies are not those of n_fft={n_fft}")
    frames = pairs.transpose(1, 2)
    norm = "ortho" if normalized else "backward"
    if not return_complex:  # a real signal: the frequencies from 0 up say it all
        frames = _whole(frames.narrow(2, 0, n_fft // 2 + 1), 2, n_fft)
    made = frames._apply(f.FOURIER, axes=(2,), inverse=True, norm=norm)
    if return_complex and half:
        raise ConfigurationError("istft: a complex signal needs onesided=False")
    pieces = view_as_complex(made) if return_complex else made._apply(f.GETITEM, index=(..., 0))
    weights = _window("istft", window, pieces, win, n_fft)
    total = n_fft + hop * (count - 1)
    places = np.arange(n_fft)[None] + hop * np.arange(count)[:, None]
    index = made._wrap(to_device_of(places.reshape(-1), made.array))

    def added(frames: Tensor) -> Tensor:
        batch = frames.shape[0]
        rows = frames.reshape(batch, -1).transpose(0, 1)
        return rows._apply(f.ADD_ROWS, index, count=total).transpose(0, 1)

    squares = added((weights * weights).expand(1, count, n_fft))
    start = n_fft // 2 if center else 0
    stop = total - n_fft // 2 if center else total
    if length is not None:
        stop = start + length
    envelope = squares.narrow(1, start, min(stop, total) - start)
    if bool((envelope.detach().abs() < 1e-11).any()):
        raise ConfigurationError("istft: the windows leave a gap, where the signal is not known")
    signal = added(pieces * weights).narrow(1, start, envelope.shape[1]) / envelope
    if stop > total:
        signal = cat([signal, signal.new_zeros(signal.shape[0], stop - total)], 1)
    return signal.reshape(-1) if input.ndim == 2 else signal
