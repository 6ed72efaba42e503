"""Pooling by windows that are laid out at random, of a size in between (Graham 2014)."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from nnscratch import formulas as f
from nnscratch.array import to_device_of
from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.nn.module import Module
from nnscratch.nn.options import each
from nnscratch.nn.pooling_sizes import planes
from nnscratch.tensors import Tensor, as_tensor
from nnscratch.tensors.creation import rand

__all__ = [
    "FractionalMaxPool2d",
    "FractionalMaxPool3d",
    "fractional_max_pool2d",
    "fractional_max_pool3d",
]


def _starts(where: str, u: Tensor, size: int, count: int, kernel: int) -> Tensor:
    """Return (N, C, count) where windows of a dimension start, by one random number a plane."""
    if count < 1 or kernel + count - 1 > size:
        raise ShapeError(
            f"{where}: {count} windows of {kernel} do not fit into a dimension of {size}"
        )
    last = np.zeros(count, np.int64)
    last[-1] = size - kernel
    if count == 1:
        steps: Any = 0
    else:
        alpha = (size - kernel) / (count - 1)
        numbers = Tensor(to_device_of(np.arange(count).astype(str(u.dtype)), u.array))
        at = (u.unsqueeze(-1) + numbers) * alpha
        steps = at.to("int64") - (u * alpha).to("int64").unsqueeze(-1)
        keep = np.ones(count, np.int64)
        keep[-1] = 0
        steps = steps * Tensor(to_device_of(keep, u.array))
    ends = Tensor(to_device_of(last, u.array))
    found: Tensor = steps + ends + (u.unsqueeze(-1) * 0).to("int64")
    return found


def _pooled(
    where: str,
    dims: int,
    input: Any,
    kernel_size: Any,
    output_size: Any,
    output_ratio: Any,
    both: bool,
    samples: Any,
) -> Any:
    x = planes(where, input, dims)
    sizes = x.shape[x.ndim - dims :]
    kernel = each(where, "kernel_size", kernel_size, dims)
    if output_size is None and output_ratio is None:
        raise ConfigurationError(f"{where}: give output_size or output_ratio")
    if output_size is not None:
        counts = each(where, "output_size", output_size, dims)
    else:
        listed = isinstance(output_ratio, (tuple, list))
        ratios = tuple(output_ratio) if listed else (output_ratio,) * dims
        if len(ratios) != dims or not all(0.0 < one < 1.0 for one in ratios):
            raise ConfigurationError(
                f"{where}: output_ratio is between 0 and 1, one or {dims}, got {output_ratio!r}"
            )
        counts = tuple(int(n * one) for n, one in zip(sizes, ratios, strict=True))
    single = x.ndim == dims + 1
    batch = x.unsqueeze(0) if single else x
    n, channels = batch.shape[:2]
    u = rand(n, channels, dims, dtype=x.dtype, device=x.device) if samples is None else samples
    u = as_tensor(u)
    u = u[:1] if single and u.ndim == 3 else u  # PyTorch takes those of a batch, too
    if u.shape != (n, channels, dims):
        raise ShapeError(
            f"{where}: expected _random_samples of shape {(n, channels, dims)}, got {u.shape}"
        )
    number: Any = 0
    for d in range(dims):
        # Of images, PyTorch's first sample is that of the width.
        column = u[..., dims - 1 - d if dims == 2 else d]
        starts = _starts(where, column, sizes[d], counts[d], kernel[d])
        front = [1] * (2 * dims)
        front[d] = counts[d]
        beside = [1] * (2 * dims)
        beside[dims + d] = kernel[d]
        inner = np.arange(kernel[d]).reshape(1, 1, *beside)
        place = starts.reshape(n, channels, *front) + Tensor(to_device_of(inner, x.array))
        number = number * sizes[d] + place
    number = number.reshape(n, channels, *counts, math.prod(kernel))
    plane = math.prod(sizes)
    offset = (np.arange(n * channels) * plane).reshape(n, channels, *(1,) * (dims + 1))
    flat = number + Tensor(to_device_of(offset, x.array))
    values, which = batch.reshape(-1)._apply(f.TAKE, flat, axis=0).max(-1)
    if single:
        values = values.squeeze(0)
    if not both:
        return values
    places = number.gather(-1, which.unsqueeze(-1)).squeeze(-1)
    return values, places.squeeze(0) if single else places


def fractional_max_pool2d(
    input: Any,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Any = None,
) -> Any:
    r"""Return the largest entries of windows of (N, C, H, W) that start at random steps.

    Window i of O starts at $\lfloor \alpha (i + u) \rfloor - \lfloor \alpha u \rfloor$ with
    $\alpha = (H - k) / (O - 1)$ and a random u of each plane and dimension, the last at H - k.

    Args:
        input: (N, C, H, W) or (C, H, W).
        kernel_size: k, the size of a window, or one for each dimension.
        output_size: O, or one for each dimension.
        output_ratio: O / H instead, between 0 and 1.
        return_indices: whether to return the number of each entry in its plane too.
        _random_samples: (N, C, 2) the numbers u, from 0 to 1; drawn unless given.

    Raises:
        ConfigurationError: if neither size nor ratio is given, or one is out of range.
        ShapeError: if the windows do not fit.

    >>> from nnscratch import ones
    >>> fractional_max_pool2d(ones(1, 3, 9, 9), 2, output_ratio=0.7).shape
    (1, 3, 6, 6)
    """
    options = (kernel_size, output_size, output_ratio, return_indices, _random_samples)
    return _pooled("fractional_max_pool2d", 2, input, *options)


def fractional_max_pool3d(
    input: Any,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Any = None,
) -> Any:
    """Return the largest entries of windows of (N, C, D, H, W) that start at random steps.

    Raises:
        ConfigurationError, ShapeError: as ``fractional_max_pool2d``.
    """
    options = (kernel_size, output_size, output_ratio, return_indices, _random_samples)
    return _pooled("fractional_max_pool3d", 3, input, *options)


class _FractionalMaxPool(Module):
    """The base of pooling at random steps; a subclass says how many dimensions it pools."""

    dims: ClassVar[int]

    def __init__(
        self,
        kernel_size: Any,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Any = None,
    ) -> None:
        """Choose the windows, and how many there are."""
        super().__init__()
        if (output_size is None) == (output_ratio is None):
            raise ConfigurationError(
                f"{type(self).__name__}: give either output_size or output_ratio"
            )
        self.kernel_size, self.return_indices = kernel_size, return_indices
        self.output_size, self.output_ratio = output_size, output_ratio
        self.register_buffer("_random_samples", _random_samples)

    def forward(self, input: Any) -> Any:
        """Return the largest entries of the windows."""
        return _pooled(
            type(self).__name__,
            self.dims,
            input,
            self.kernel_size,
            self.output_size,
            self.output_ratio,
            self.return_indices,
            self._random_samples,
        )


class FractionalMaxPool2d(_FractionalMaxPool):
    """The largest entries of windows at random steps, see ``functional.fractional_max_pool2d``.

    Raises:
        ConfigurationError: if not exactly one of ``output_size`` and ``output_ratio`` is given.

    >>> from nnscratch import ones
    >>> FractionalMaxPool2d(3, output_size=(4, 5))(ones(2, 3, 9, 9)).shape
    (2, 3, 4, 5)
    """

    dims = 2


class FractionalMaxPool3d(_FractionalMaxPool):
    """The largest entries of windows of (N, C, D, H, W) at random steps."""

    dims = 3
