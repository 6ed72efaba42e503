"""Fourier transforms along dimensions, which ``nnscratch.fft`` names."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch import formulas as f
from nnscratch.array.dtypes import HALVES, dtype_name, is_complex
from nnscratch.errors import DTypeError, ShapeError
from nnscratch.tensors.creation import tensor as new_tensor
from nnscratch.tensors.functions import cat, stack
from nnscratch.tensors.methods import axis_of
from nnscratch.tensors.ops.complexes import view_as_complex, view_as_real
from nnscratch.tensors.ops.moving import flip, roll
from nnscratch.tensors.tensor import Tensor, as_tensor

__all__: list[str] = []


def _pairs(name: str, input: Tensor) -> Tensor:
    """Return a tensor as pairs of real and imaginary parts; half precision is refused."""
    if is_complex(input.array):
        return view_as_real(input)
    taken = input._as_float()
    if dtype_name(taken.dtype) in HALVES:
        raise DTypeError(f"{name} needs float32 or float64, got {taken.dtype}; call .float() first")
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
        if given and not input.ndim:
            raise ShapeError(f"fft: a number has no dimension {given[-1]}; give a vector")
        axes = tuple(axis_of(one, input.ndim) for one in given)
    if len(set(axes)) != len(axes):
        raise ShapeError(f"fft: each dimension can be named once, got {dim}")
    sizes: list[int | None] = [None] * len(axes) if s is None else [
        None if n == -1 else int(n) for n in s
    ]  # fmt: skip
    if len(sizes) != len(axes):
        raise ShapeError(f"fft: expected a size for each dimension, got {s} and {dim}")
    return axes, sizes


def _some_dims(
    name: str, input: Tensor, s: Any, dim: Any
) -> tuple[tuple[int, ...], list[int | None]]:
    """Return what ``_dims`` does for a transform that halves or doubles the last of its axes."""
    axes, sizes = _dims(input, s, dim)
    if not axes:
        raise ShapeError(
            f"{name} needs at least one dimension, got {dim} of shape {tuple(input.shape)}"
        )
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
    axes, sizes = _some_dims("rfftn", given, s, dim)
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
    axes, sizes = _some_dims("irfftn", given, s, dim)
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
    axes, sizes = _some_dims("hfftn", given, s, dim)
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
    axes, sizes = _some_dims("ihfftn", given, s, dim)
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
