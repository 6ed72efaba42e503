"""Pooling by averages, as functions and modules.

Inputs are (N, C, ...) or, of one sample, (C, ...), with one to three dimensions behind.
"""

from __future__ import annotations

import functools
from typing import Any, ClassVar

import numpy as np

from nnscratch import formulas as f
from nnscratch.array import dtype_name, is_floating, to_device_of
from nnscratch.errors import ConfigurationError
from nnscratch.formulas import pooling_windows as windows
from nnscratch.nn.module import Module
from nnscratch.nn.options import Sizes, each
from nnscratch.nn.pooling_sizes import Pooling, adaptive_counts, planes
from nnscratch.tensors import Tensor, apply

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
]


def average_pooled(
    where: str,
    dims: int,
    input: Any,
    kernel_size: Sizes,
    stride: Any,
    padding: Sizes,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None = None,
) -> Tensor:
    """Return the averages of windows of so many dimensions, with the options of ``avg_pool2d``."""
    x = planes(where, input, dims)
    pool = Pooling(where, x, kernel_size, stride, padding, 1, ceil_mode, dims=dims)
    numbers = [*zip(pool.sizes, pool.kernel, pool.stride, pool.padding, pool.counts, strict=True)]
    if divisor_override == 0:
        raise ConfigurationError(f"{where}: divisor_override must not be 0")
    counted = tuple(windows.averages(*one, not count_include_pad) for one in numbers)
    if is_floating(x.array) and divisor_override is None:
        return apply(f.RESAMPLE, x, lines=counted)
    total = apply(f.RESAMPLE, x, lines=tuple(windows.sums(*one) for one in numbers))
    if is_floating(x.array):
        return total / divisor_override
    # As PyTorch does with integers: the mean is rounded towards 0.
    each_count = [np.rint(1.0 / line.weight.max(0)) for line in counted]
    divisor = divisor_override or functools.reduce(np.multiply.outer, each_count)
    if isinstance(divisor, np.ndarray):
        divisor = Tensor(to_device_of(divisor, x.array))
    return (total.double() / divisor).to(dtype_name(x.dtype))


def avg_pool1d(
    input: Any,
    kernel_size: Sizes,
    stride: Any = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    r"""Return the averages of windows of (N, C, L).

    $$y_o = \frac{1}{k} \sum_{i < k} x_{s o - p + i}$$

    Args:
        input: (N, C, L) or (C, L).
        kernel_size: k, how many entries a window has.
        stride: s, from one window to the next; ``kernel_size`` unless given.
        padding: p, how many zeros stand before the first entry and behind the last.
        ceil_mode: whether a last window may reach over the end; what is there is not counted.
        count_include_pad: whether the zeros are counted.

    Raises:
        ConfigurationError: if an option is out of range, the padding is over half a window.
        ShapeError: if the shape does not fit, or there is no window.

    >>> from nnscratch import tensor
    >>> avg_pool1d(tensor([[1.0, 2.0, 3.0, 4.0, 5.0]]), 2, ceil_mode=True)
    tensor([[1.5, 3.5, 5. ]])
    """
    return average_pooled(
        "avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad
    )


def avg_pool2d(
    input: Any,
    kernel_size: Sizes,
    stride: Any = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Return the averages of windows of (N, C, H, W), see ``avg_pool1d``.

    The sum of a window is divided by ``divisor_override`` where that is given.

    Raises:
        ConfigurationError, ShapeError: as ``avg_pool1d``.
    """
    return average_pooled(
        "avg_pool2d",
        2,
        input,
        kernel_size,
        stride,
        padding,
        ceil_mode,
        count_include_pad,
        divisor_override,
    )


def avg_pool3d(
    input: Any,
    kernel_size: Sizes,
    stride: Any = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Return the averages of windows of (N, C, D, H, W), see ``avg_pool2d``.

    Raises:
        ConfigurationError, ShapeError: as ``avg_pool1d``.
    """
    return average_pooled(
        "avg_pool3d",
        3,
        input,
        kernel_size,
        stride,
        padding,
        ceil_mode,
        count_include_pad,
        divisor_override,
    )


def _adaptive(where: str, dims: int, input: Any, output_size: Any) -> Tensor:
    x = planes(where, input, dims)
    sizes = x.shape[x.ndim - dims :]
    counts = adaptive_counts(where, output_size, sizes)
    if all(count == 1 for count in counts):
        mean: Tensor = x.mean(tuple(range(-dims, 0)), keepdim=True)
        return mean
    lines = tuple(map(windows.adaptive_averages, sizes, counts))
    return apply(f.RESAMPLE, x, lines=lines)


def adaptive_avg_pool1d(input: Any, output_size: Any) -> Tensor:
    r"""Return the averages of O windows that divide (N, C, L) evenly.

    Window o has the entries from $\lfloor o L / O \rfloor$ to before $\lceil (o + 1) L / O \rceil$.

    Args:
        input: (N, C, L) or (C, L).
        output_size: O; None for L.

    Raises:
        ShapeError: if the shape does not fit.
        ConfigurationError: for a size that is none.
        DTypeError: for integers, of which an average is a fraction.

    >>> from nnscratch import arange
    >>> adaptive_avg_pool1d(arange(5.0).reshape(1, 5), 3)
    tensor([[0.5, 2. , 3.5]])
    """
    return _adaptive("adaptive_avg_pool1d", 1, input, output_size)


def adaptive_avg_pool2d(input: Any, output_size: Any) -> Tensor:
    """Return the averages of windows that divide (N, C, H, W) evenly, see ``adaptive_avg_pool1d``.

    ``output_size`` is (H, W), or one number for both; None in it leaves a size as it is.

    Raises:
        ShapeError, ConfigurationError: as ``adaptive_avg_pool1d``.
    """
    return _adaptive("adaptive_avg_pool2d", 2, input, output_size)


def adaptive_avg_pool3d(input: Any, output_size: Any) -> Tensor:
    """Return the averages of windows that divide (N, C, D, H, W) evenly.

    Raises:
        ShapeError, ConfigurationError: as ``adaptive_avg_pool1d``.
    """
    return _adaptive("adaptive_avg_pool3d", 3, input, output_size)


class _AvgPool(Module):
    """The base of the average pooling modules; a subclass says how many dimensions it pools."""

    dims: ClassVar[int]

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Any = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        """Choose the windows, and what a sum is divided by."""
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding, self.ceil_mode = padding, ceil_mode
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override

    def forward(self, input: Any) -> Tensor:
        """Return the averages of the windows."""
        return average_pooled(
            type(self).__name__,
            self.dims,
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def extra_repr(self) -> str:
        """Return the windows."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(_AvgPool):
    """Averages of windows of (N, C, L) or (C, L), see ``functional.avg_pool1d``.

    >>> from nnscratch import ones
    >>> AvgPool1d(2)(ones(1, 3, 8)).shape
    (1, 3, 4)
    """

    dims = 1

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Any = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        """Choose the windows, and what a sum is divided by."""
        kernel = each("AvgPool1d", "kernel_size", kernel_size, 1)
        step = kernel if stride is None else each("AvgPool1d", "stride", stride, 1)
        edge = each("AvgPool1d", "padding", padding, 1)
        super().__init__(kernel, step, edge, ceil_mode, count_include_pad)


class AvgPool2d(_AvgPool):
    """Averages of windows of (N, C, H, W) or (C, H, W), see ``functional.avg_pool2d``.

    >>> from nnscratch import ones
    >>> AvgPool2d(3, stride=2, padding=1)(ones(1, 3, 8, 8)).shape
    (1, 3, 4, 4)
    """

    dims = 2


class AvgPool3d(_AvgPool):
    """Averages of windows of (N, C, D, H, W) or (C, D, H, W), see ``functional.avg_pool3d``."""

    dims = 3


class _AdaptiveAvgPool(Module):
    """The base of adaptive average pooling; a subclass says how many dimensions it pools."""

    dims: ClassVar[int]

    def __init__(self, output_size: Any) -> None:
        """Choose the sizes; None leaves a size as it is."""
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Any) -> Tensor:
        """Return the averages of the windows."""
        return _adaptive(type(self).__name__, self.dims, input, self.output_size)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Averages of windows that divide (N, C, L) evenly, see ``functional.adaptive_avg_pool1d``."""

    dims = 1


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Averages of windows that divide (N, C, H, W) evenly.

    >>> from nnscratch import ones
    >>> AdaptiveAvgPool2d((None, 1))(ones(2, 3, 7, 5)).shape
    (2, 3, 7, 1)
    """

    dims = 2


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """Averages of windows that divide (N, C, D, H, W) evenly."""

    dims = 3
