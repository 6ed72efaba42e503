"""Pooling by p-norms, as functions and modules.

Inputs are (N, C, ...) or, of one sample, (C, ...), with one to three dimensions behind.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from nnscratch.array import is_integer
from nnscratch.errors import DTypeError
from nnscratch.nn.max_pooling import max_pooled
from nnscratch.nn.module import Module
from nnscratch.nn.options import Sizes, each
from nnscratch.nn.pooling import average_pooled
from nnscratch.nn.pooling_sizes import planes
from nnscratch.tensors import Tensor

__all__ = ["LPPool1d", "LPPool2d", "LPPool3d", "lp_pool1d", "lp_pool2d", "lp_pool3d"]


def _power(
    where: str, dims: int, input: Any, norm_type: float, kernel_size: Any, stride: Any, ceil: bool
) -> Tensor:
    x = planes(where, input, dims)
    if is_integer(x.array):
        raise DTypeError(f"{where}: expected floating-point input, got {x.dtype}; call .float()")
    kernel = each(where, "kernel_size", kernel_size, dims)
    p = float(norm_type)
    if math.isinf(p):
        size = x.abs() if p > 0 else -x.abs()
        found = max_pooled(where, dims, size, (kernel_size, stride, 0, 1, ceil), False)
        return found if p > 0 else -found
    mean = average_pooled(where, dims, x.pow(p), kernel_size, stride, 0, ceil, True)
    # As PyTorch has it: of a window of zeros the derivative of relu is 0, not that of the root.
    mean = mean.sign() * mean.abs().relu()
    root: Tensor = (mean * math.prod(kernel)).pow(1.0 / p)
    return root


def lp_pool1d(
    input: Any, norm_type: float, kernel_size: Sizes, stride: Any = None, ceil_mode: bool = False
) -> Tensor:
    r"""Return $(\sum_i x_i^p)^{1/p}$ of the windows of (N, C, L), with p the ``norm_type``.

    It is the largest (smallest) absolute value for p = inf (-inf).

    Raises:
        ConfigurationError, ShapeError: as ``avg_pool1d``.
        DTypeError: for integers, of which PyTorch rounds the mean of the powers.

    >>> from nnscratch import tensor
    >>> lp_pool1d(tensor([[3.0, 4.0, 6.0, 8.0]]), 2, 2)
    tensor([[ 5., 10.]])
    """
    return _power("lp_pool1d", 1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(
    input: Any, norm_type: float, kernel_size: Sizes, stride: Any = None, ceil_mode: bool = False
) -> Tensor:
    """Return the p-norms of windows of (N, C, H, W), see ``lp_pool1d``."""
    return _power("lp_pool2d", 2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(
    input: Any, norm_type: float, kernel_size: Sizes, stride: Any = None, ceil_mode: bool = False
) -> Tensor:
    """Return the p-norms of windows of (N, C, D, H, W), see ``lp_pool1d``."""
    return _power("lp_pool3d", 3, input, norm_type, kernel_size, stride, ceil_mode)


class _LPPool(Module):
    """The base of power-average pooling; a subclass says how many dimensions it pools."""

    dims: ClassVar[int]

    def __init__(
        self, norm_type: float, kernel_size: Sizes, stride: Any = None, ceil_mode: bool = False
    ) -> None:
        """Choose the power and the windows."""
        super().__init__()
        self.norm_type, self.kernel_size = norm_type, kernel_size
        self.stride, self.ceil_mode = stride, ceil_mode

    def forward(self, input: Any) -> Tensor:
        """Return the p-norms of the windows."""
        return _power(
            type(self).__name__,
            self.dims,
            input,
            float(self.norm_type),
            self.kernel_size,
            self.stride,
            self.ceil_mode,
        )

    def extra_repr(self) -> str:
        """Return the power and the windows."""
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPool):
    """The p-norms of windows of (N, C, L) or (C, L), see ``functional.lp_pool1d``.

    >>> from nnscratch import ones
    >>> LPPool1d(2, 4)(ones(1, 8))
    tensor([[2., 2.]])
    """

    dims = 1


class LPPool2d(_LPPool):
    """The p-norms of windows of (N, C, H, W) or (C, H, W)."""

    dims = 2


class LPPool3d(_LPPool):
    """The p-norms of windows of (N, C, D, H, W) or (C, D, H, W)."""

    dims = 3
