"""Fourier transforms along dimensions, and of short windows of a signal."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch import formulas as f
from nnscratch.array import to_device_of
from nnscratch.array.dtypes import is_complex
from nnscratch.errors import ConfigurationError, DTypeError, ShapeError
from nnscratch.tensors.creation import tensor as new_tensor
from nnscratch.tensors.functions import cat, stack
from nnscratch.tensors.methods import axis_of
from nnscratch.tensors.ops.calling import tensor_function
from nnscratch.tensors.ops.complexes import view_as_complex, view_as_real
from nnscratch.tensors.ops.moving import _unfold, flip, roll
from nnscratch.tensors.tensor import Tensor, as_tensor

__all__ = ["istft", "stft"]


def _pairs(name: str, input: Tensor) -> Tensor:
    """Return a tensor as pairs of real and imaginary parts; half precision is refused."""
    if is_complex(input.array):
        return view_as_real(input)
    taken = input._as_float()
    if str(taken.dtype) == "float16":
        raise DTypeError(f"{name} needs float32 or float64, got float16; call .float() first")
    return stack([taken, taken.new_zeros(taken.shape)], -1)


def _sized(pairs: Tensor, axis: int, size: int | None) -> Tensor:
    """Return pairs cut or filled up with 0 to a size along an axis."""
    if size is None or size == pairs.shape[axis]:
        return pairs
    if size < 1:
        raise ShapeError(f"fft: expected at least one element, got n={size}")
    if size < pairs.shape[axis]:
        return pairs.narrow(axis, 0, size)
    missing = list(pairs.shape)
    missing[axis] = size - pairs.shape[axis]
    return cat([pairs, pairs.new_zeros(missing)], axis)


def _dims(input: Tensor, s: Any, dim: Any) -> tuple[tuple[int, ...], list[int | None]]:
    """Return the axes of a transform over several dimensions, and their sizes."""
    if dim is None:
        count = input.ndim if s is None else len(s)
        axes = tuple(range(input.ndim - count, input.ndim))
    else:
        given = (dim,) if isinstance(dim, int) else tuple(dim)
        axes = tuple(axis_of(one, input.ndim) for one in given)
    if len(set(axes)) != len(axes):
        raise ShapeError(f"fft: each dimension can be named once, got {dim}")
    sizes: list[int | None] = [None] * len(axes) if s is None else [
        None if n == -1 else int(n) for n in s
    ]  # fmt: skip
    if len(sizes) != len(axes):
        raise ShapeError(f"fft: expected a size for each dimension, got {s} and {dim}")
    return axes, sizes


def _transform(
    name: str, input: Tensor, axes: Any, sizes: Any, norm: str | None, inverse: bool
) -> Tensor:
    """Return the transform of a tensor along axes, as pairs."""
    pairs = _pairs(name, input)
    for axis, size in zip(axes, sizes, strict=True):
        pairs = _sized(pairs, axis, size)
    if any(pairs.shape[axis] == 0 for axis in axes):
        raise ShapeError(f"{name}: there is nothing along dimensions {axes} of {input.shape}")
    if not axes:
        return pairs
    return pairs._apply(f.FOURIER, axes=tuple(axes), inverse=inverse, norm=norm or "backward")


def _half(pairs: Tensor, axis: int) -> Tensor:
    """Return the frequencies from 0 up, of which the others are the conjugates."""
    return pairs.narrow(axis, 0, pairs.shape[axis] // 2 + 1)


def _whole(pairs: Tensor, axis: int, size: int) -> Tensor:
    """Return all frequencies of a real signal, given those from 0 up."""
    pairs = _sized(pairs, axis, size // 2 + 1)
    count = size - pairs.shape[axis]
    if not count:
        return pairs
    signs = pairs.new_tensor([1.0, -1.0])
    mirrored = flip(pairs.narrow(axis, 1, count), axis) * signs
    return cat([pairs, mirrored], axis)


def fft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    r"""Return the discrete Fourier transform along a dimension, $\sum_j x_j e^{-2 \pi i jk / n}$.

    Args:
        input: real or complex.
        n: the size to cut to, or to fill up to with 0.
        dim: the dimension.
        norm: "backward" (the inverse divides by n), "ortho" (both by its root) or "forward".

    >>> fft([1.0, 0.0]).real
    tensor([1., 1.])
    """
    return fftn(input, None if n is None else (n,), (dim,), norm)


def ifft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """Return the inverse transform along a dimension; arguments as in ``fft``."""
    return ifftn(input, None if n is None else (n,), (dim,), norm)


def fft2(input: Any, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Tensor:
    """Return the transform along two dimensions; arguments as in ``fftn``."""
    return fftn(input, s, dim, norm)


def ifft2(input: Any, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Tensor:
    """Return the inverse transform along two dimensions; arguments as in ``fftn``."""
    return ifftn(input, s, dim, norm)


def fftn(input: Any, s: Any = None, dim: Any = None, norm: str | None = None) -> Tensor:
    """Return the transform along several dimensions.

    Args:
        input: real or complex.
        s: the size of each to cut to, or to fill up to with 0; -1 leaves one as it is.
        dim: the dimensions; by default all, or the last of as many as ``s`` has sizes.
        norm: as in ``fft``.
    """
    given = as_tensor(input)
    axes, sizes = _dims(given, s, dim)
    return view_as_complex(_transform("fft", given, axes, sizes, norm, False))


def ifftn(input: Any, s: Any = None, dim: Any = None, norm: str | None = None) -> Tensor:
    """Return the inverse transform along several dimensions; arguments as in ``fftn``."""
    given = as_tensor(input)
    axes, sizes = _dims(given, s, dim)
    return view_as_complex(_transform("ifft", given, axes, sizes, norm, True))


def rfft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """Return the transform of a real signal: the frequencies from 0 up; arguments as in ``fft``.

    >>> rfft([1.0, 0.0, 0.0]).shape
    (2,)
    """
    return rfftn(input, None if n is None else (n,), (dim,), norm)


def rfft2(input: Any, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Tensor:
    """Return the transform of a real signal along two dimensions; arguments as in ``rfftn``."""
    return rfftn(input, s, dim, norm)


def rfftn(input: Any, s: Any = None, dim: Any = None, norm: str | None = None) -> Tensor:
    """Return the transform of a real signal, of the last dimension the frequencies from 0 up.

    Raises:
        DTypeError: if the input is complex.
    """
    given = as_tensor(input)
    if is_complex(given.array):
        raise DTypeError(f"rfft is for real numbers, got {given.dtype}; use fft")
    axes, sizes = _dims(given, s, dim)
    pairs = _transform("rfft", given, axes, sizes, norm, False)
    return view_as_complex(_half(pairs, axes[-1]))


def irfft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """Return the real signal of n elements (by default an even number) with such a transform.

    Args:
        input: the frequencies from 0 up.
        n: the size of the result, 2 (m - 1) by default for m frequencies.
        dim: the dimension.
        norm: as in ``fft``.
    """
    return irfftn(input, None if n is None else (n,), (dim,), norm)


def irfft2(input: Any, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Tensor:
    """Return the real signal with such a transform along two dimensions."""
    return irfftn(input, s, dim, norm)


def irfftn(input: Any, s: Any = None, dim: Any = None, norm: str | None = None) -> Tensor:
    """Return the real signal with such a transform along several dimensions.

    The last dimension has the frequencies from 0 up.
    """
    given = as_tensor(input)
    axes, sizes = _dims(given, s, dim)
    return _real_signal("irfft", given, axes, sizes, norm, True)


def _real_signal(
    name: str, given: Tensor, axes: Any, sizes: Any, norm: str | None, inverse: bool
) -> Tensor:
    last = axes[-1]
    size = 2 * (given.shape[last] - 1) if sizes[-1] is None else sizes[-1]
    if size < 1:
        raise ShapeError(f"{name}: expected a signal of at least one element, got {size}")
    pairs = _pairs(name, given)
    rest = [(axis, n) for axis, n in zip(axes[:-1], sizes[:-1], strict=True)]
    for axis, n in rest:
        pairs = _sized(pairs, axis, n)
    # The other dimensions first: then what is left is the transform of a real row.
    if rest:
        others = tuple(axis for axis, _ in rest)
        pairs = pairs._apply(f.FOURIER, axes=others, inverse=inverse, norm=norm or "backward")
    full = _whole(pairs, last, size)
    made = full._apply(f.FOURIER, axes=(last,), inverse=inverse, norm=norm or "backward")
    return made._apply(f.GETITEM, index=(..., 0))


def hfft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """Return the real transform of a signal whose second half is the conjugate of the first."""
    return hfftn(input, None if n is None else (n,), (dim,), norm)


def hfft2(input: Any, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Tensor:
    """Return the real transform of such a signal along two dimensions."""
    return hfftn(input, s, dim, norm)


def hfftn(input: Any, s: Any = None, dim: Any = None, norm: str | None = None) -> Tensor:
    """Return the real transform of such a signal along several dimensions."""
    given = as_tensor(input)
    axes, sizes = _dims(given, s, dim)
    return _real_signal("hfft", given, axes, sizes, norm, False)


def ihfft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """Return the first half of the inverse transform of a real signal."""
    return ihfftn(input, None if n is None else (n,), (dim,), norm)


def ihfft2(input: Any, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Tensor:
    """Return the first half of the inverse transform of a real signal along two dimensions."""
    return ihfftn(input, s, dim, norm)


def ihfftn(input: Any, s: Any = None, dim: Any = None, norm: str | None = None) -> Tensor:
    """Return the first half of the inverse transform of a real signal along several dimensions."""
    given = as_tensor(input)
    if is_complex(given.array):
        raise DTypeError(f"ihfft is for real numbers, got {given.dtype}; use ifft")
    axes, sizes = _dims(given, s, dim)
    pairs = _transform("ihfft", given, axes, sizes, norm, True)
    return view_as_complex(_half(pairs, axes[-1]))


def fftshift(input: Any, dim: Any = None) -> Tensor:
    """Return frequencies with 0 in the middle, along all dimensions or some."""
    return _shift(input, dim, False)


def ifftshift(input: Any, dim: Any = None) -> Tensor:
    """Return frequencies with 0 first again: the inverse of ``fftshift``."""
    return _shift(input, dim, True)


def _shift(input: Any, dim: Any, back: bool) -> Tensor:
    given = as_tensor(input)
    dims = range(given.ndim) if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    axes = [axis_of(one, given.ndim) for one in dims]
    if not axes or not given.ndim:
        return given.clone()
    by = [(given.shape[axis] + 1) // 2 if back else given.shape[axis] // 2 for axis in axes]
    return roll(given, by, axes)


def fftfreq(
    n: int, d: float = 1.0, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Return the frequencies of a transform of n elements that are d apart.

    >>> fftfreq(4)
    tensor([ 0.  ,  0.25, -0.5 , -0.25])
    """
    made = np.fft.fftfreq(n, d)
    return new_tensor(made.tolist(), dtype, device, requires_grad)


def rfftfreq(
    n: int, d: float = 1.0, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Return the frequencies from 0 up of a transform of n elements that are d apart."""
    return new_tensor(np.fft.rfftfreq(n, d).tolist(), dtype, device, requires_grad)


# Short windows.


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
