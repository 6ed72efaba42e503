r"""Images read at places of one's own: ``grid_sample``, and the grid of an affine map.

A place is from -1 to 1 along each dimension, and names x (the last dimension) first. -1 and 1 are
the middles of the outermost pixels with ``align_corners``, else their outer edges.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from nnscratch import formulas as f
from nnscratch.array import dtype_name, is_floating, to_device_of
from nnscratch.array.wholes import whole_number
from nnscratch.errors import ConfigurationError, DTypeError, ShapeError, warn
from nnscratch.formulas.interpolation import cubic_weights
from nnscratch.tensors import Tensor, apply, as_tensor
from nnscratch.tensors.functions import where

__all__ = ["affine_grid", "grid_sample"]


def _said(name: str, align_corners: bool | None) -> bool:
    if align_corners is None:
        warn(f"{name} without align_corners takes False; say which is meant")
    return bool(align_corners)


def _floor(x: Tensor) -> Tensor:
    """Return the largest integers up to x, as int64."""
    whole = x.detach().to("int64")
    found: Tensor = whole - (x.detach() < whole.to(x.dtype)).to("int64")
    return found


def _rounded(x: Tensor) -> Tensor:
    """Return the nearest integers, as int64; the even one of two that are as near."""
    low = _floor(x)
    share = x.detach() - low.to(x.dtype)
    odd = low - 2 * _floor(low.to(x.dtype) * 0.5)
    up = (share > 0.5) | ((share == 0.5) & (odd == 1))
    found: Tensor = low + up.to("int64")
    return found


def _limited(x: Tensor, most: float, dims: int) -> Tensor:
    """Return x from 0 to ``most``; the derivative is 0 at the ends, as in PyTorch.

    NaN is 0 in images and ``most`` in space, as PyTorch has it.
    """
    first, last = x.new_zeros(()), x.new_full((), float(most))
    kept: Tensor
    if dims == 2:
        kept = where(x > 0, where(x < most, x, last), first)
    else:
        kept = where(x < most, where(x > 0, x, first), last)
    return kept


def _reflected(x: Tensor, low: float, high: float) -> Tensor:
    """Return x mirrored at both ends, as often as it takes."""
    span = high - low
    if span <= 0:
        return x * 0.0
    away = (x - low).abs()
    # In floating-point numbers: how often it takes need not fit into an integer.
    extra = away - (away.detach() * (0.5 / span)).floor() * (2.0 * span)
    found: Tensor = where(extra >= span, 2.0 * span - extra, extra) + low
    return found


class _Reader:
    """Reads planes at places along each dimension, by one way of padding."""

    def __init__(self, x: Tensor, padding_mode: str, align: bool) -> None:
        self.sizes, self.padding, self.align = x.shape[2:], padding_mode, align
        self.n, self.channels = x.shape[:2]
        order = (1, 0, *range(2, x.ndim))
        self.flat = x.permute(*order).reshape(self.channels, -1)

    def placed(self, x: Tensor, size: int) -> Tensor:
        """Return places in pixels from those between -1 and 1."""
        return (x + 1.0) * ((size - 1) / 2.0) if self.align else ((x + 1.0) * size - 1.0) * 0.5

    def padded(self, x: Tensor, size: int) -> Tensor:
        """Return places in pixels as the padding brings them into the image."""
        if self.padding == "border":
            return _limited(x, size - 1, len(self.sizes))
        if self.padding == "reflection":
            ends = (0.0, size - 1.0) if self.align else (-0.5, size - 0.5)
            return _limited(_reflected(x, *ends), size - 1, len(self.sizes))
        return x

    def read(self, places: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return (C, N, ...) the entries at integer places (N, ...), and which are in the image."""
        number: Any = 0
        inside: Any = None
        for place, size in zip(places, self.sizes, strict=True):
            there = (place >= 0) & (place < size)
            inside = there if inside is None else inside & there
            number = number * size + place.clamp(0, size - 1)
        step = math.prod(self.sizes)
        start = np.arange(self.n).reshape(-1, *(1,) * (places[0].ndim - 1)) * step
        number = number + Tensor(to_device_of(start, self.flat.array))
        found = self.flat._apply(f.TAKE, number.reshape(-1), axis=1)
        return found.reshape(self.channels, *number.shape), inside


def grid_sample(
    input: Any,
    grid: Any,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """Return the input read at the places of a grid.

    Args:
        input: (N, C, H, W), or (N, C, D, H, W).
        grid: (N, H', W', 2) with places (x, y), or (N, D', H', W', 3) with (x, y, z).
        mode: "bilinear" (in space trilinear), "nearest", or of images "bicubic".
        padding_mode: what lies outside: "zeros", "border" the nearest pixel, or "reflection" the
            image mirrored.
        align_corners: whether -1 and 1 are the middles of the outermost pixels, not their edges.

    Returns:
        (N, C, H', W') or (N, C, D', H', W').

    Raises:
        ConfigurationError: for another mode.
        ShapeError, DTypeError: if input and grid do not fit.

    >>> from nnscratch import tensor
    >>> grid_sample(tensor([[[[0.0, 4.0]]]]), tensor([[[[-0.5, 0.0], [0.0, 0.0]]]]),
    ...             align_corners=False)
    tensor([[[[0., 2.]]]])
    """
    align = _said("grid_sample", align_corners)
    x, g = as_tensor(input), as_tensor(grid)
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ConfigurationError(
            f"grid_sample: mode is 'bilinear', 'nearest' or 'bicubic', got {mode!r}"
        )
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ConfigurationError(
            f"grid_sample: padding_mode is 'zeros', 'border' or 'reflection', got {padding_mode!r}"
        )
    dims = x.ndim - 2
    fits = dims in (2, 3) and g.ndim == x.ndim and g.shape[0] == x.shape[0]
    if not fits or g.shape[-1] != dims or 0 in x.shape[2:]:
        raise ShapeError(
            "grid_sample: expected an input (N, C, H, W) with pixels and a grid (N, H', W', 2), or "
            f"(N, C, D, H, W) and (N, D', H', W', 3); got {x.shape} and {g.shape}"
        )
    if mode == "bicubic" and dims == 3:
        raise ConfigurationError("grid_sample: mode 'bicubic' is for images (N, C, H, W) only")
    if x.dtype != g.dtype or not is_floating(x.array):
        raise DTypeError(
            "grid_sample: expected input and grid of one floating-point dtype, got "
            f"{dtype_name(x.dtype)} and {dtype_name(g.dtype)}"
        )
    reader = _Reader(x, padding_mode, align)
    # A place names the last dimension first.
    places = [reader.placed(g[..., dims - 1 - d], n) for d, n in enumerate(reader.sizes)]
    if mode == "bicubic":
        found = _bicubic(reader, places)
    else:
        places = [reader.padded(p, n) for p, n in zip(places, reader.sizes, strict=True)]
        if mode == "nearest":
            values, inside = reader.read([_rounded(p) for p in places])
            found = where(inside, values, values.new_zeros(()))
            if g.requires_grad:  # the result is constant between pixels: the derivative is 0
                # and 0 at NaN, where the result is a pixel or 0 too
                found = found + sum(where(p.abs() < 1.0, p, 0.0) for p in places) * 0.0
        else:
            found = _linear(reader, places)
    return found.transpose(0, 1)


def _linear(reader: _Reader, places: list[Tensor]) -> Tensor:
    """Return the average of the pixels around each place, the nearer the more weight."""
    low = [_floor(p) for p in places]
    share = [p - p.detach().floor() for p in places]
    total: Any = None
    for corner in itertools.product((0, 1), repeat=len(places)):
        values, inside = reader.read([one + c for one, c in zip(low, corner, strict=True)])
        weight: Any = None
        for t, c in zip(share, corner, strict=True):
            one = t if c else 1.0 - t
            weight = one if weight is None else weight * one
        # Outside it is 0 times the weight: of a place that is NaN it is NaN in images, and in
        # space it is 0, as PyTorch has it.
        weight = weight if len(places) == 2 else where(inside, weight, weight.new_zeros(()))
        part = where(inside, values, values.new_zeros(())) * weight
        total = part if total is None else total + part
    return total


def _bicubic(reader: _Reader, places: list[Tensor]) -> Tensor:
    """Return the cubic through the 4 x 4 pixels around each place."""
    whole = [p.detach().floor() for p in places]
    weights = [cubic_weights(p - one) for p, one in zip(places, whole, strict=True)]
    total: Any = None
    for i, j in itertools.product(range(4), repeat=2):
        taps = []
        for one, k, size in zip(whole, (i, j), reader.sizes, strict=True):
            taps.append(_rounded(reader.padded(one + (k - 1.0), size)))
        values, inside = reader.read(taps)
        part = where(inside, values, values.new_zeros(())) * (weights[0][i] * weights[1][j])
        total = part if total is None else total + part
    return total


def affine_grid(theta: Any, size: Any, align_corners: bool | None = None) -> Tensor:
    """Return the grid at which an affine map reads an image, for ``grid_sample``.

    Args:
        theta: (N, 2, 3), or (N, 3, 4) for images in space: the map of (x, y, 1) to (x, y).
        size: (N, C, H, W), or (N, C, D, H, W), of the image that is wanted.
        align_corners: whether -1 and 1 are the middles of the outermost pixels, not their edges.

    Returns:
        (N, H, W, 2), or (N, D, H, W, 3).

    Raises:
        ShapeError: if ``theta`` and ``size`` do not fit.
        DTypeError: if ``theta`` holds integers.

    >>> from nnscratch import tensor
    >>> affine_grid(tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]), (1, 1, 1, 2), False)
    tensor([[[[-0.5,  0. ],
             [ 0.5,  0. ]]]])
    """
    align = _said("affine_grid", align_corners)
    t, wanted = as_tensor(theta), tuple([whole_number("affine_grid: size", n) for n in size])
    dims = len(wanted) - 2
    if not is_floating(t.array):
        raise DTypeError(f"affine_grid: expected floating-point theta, got {t.dtype}")
    if dims not in (2, 3) or t.shape != (wanted[0], dims, dims + 1) or min(wanted) < 1:
        raise ShapeError(
            "affine_grid: expected theta (N, 2, 3) with a size (N, C, H, W), or (N, 3, 4) with "
            f"(N, C, D, H, W), all at least 1; got {t.shape} and {wanted}"
        )
    lines = []
    for n in wanted[2:]:
        ends = 1.0 if align else (n - 1) / n
        lines.append(np.linspace(-ends, ends, n) if n > 1 else np.zeros(1))
    places = np.meshgrid(*lines, indexing="ij")[::-1]
    base = np.stack([*places, np.ones_like(places[0])], axis=-1).reshape(-1, dims + 1)
    points = Tensor(to_device_of(base.astype(dtype_name(t.dtype)), t.array))
    made = apply(f.MATMUL, points, t.transpose(1, 2))
    return made.reshape(wanted[0], *wanted[2:], dims)
