"""Convolutions of one to three axes: functions and modules."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from nnscratch import formulas as f
from nnscratch.array import Generator
from nnscratch.array.wholes import as_index, whole_number
from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.nn import init
from nnscratch.nn.module import Module
from nnscratch.nn.options import Sizes, each, need_one_dtype
from nnscratch.nn.padding import pad
from nnscratch.nn.parameter import Parameter
from nnscratch.tensors import Tensor, apply, as_tensor
from nnscratch.tensors.creation import empty

__all__ = ["Conv1d", "Conv2d", "Conv3d", "conv1d", "conv2d", "conv3d"]

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


def need_images(where: str, input: Any, weight: Tensor, rank: int) -> tuple[Tensor, bool]:
    """Return the input with a batch axis, and whether it came without one.

    Raises:
        ShapeError: if it has another number of axes, or there are no weights.
        DTypeError: if its dtype is not that of the weights.
    """
    x = as_tensor(input)
    if x.ndim not in (rank + 1, rank + 2):
        names = ", ".join(("D", "H", "W")[3 - rank :])
        raise ShapeError(
            f"{where}: expected an input (N, C, {names}) or (C, {names}), got shape {x.shape}"
        )
    need_one_dtype(where, x, weights=weight)
    if weight.shape[0] == 0:
        raise ShapeError(f"{where}: expected weights of a channel at least, got {weight.shape}")
    alone = x.ndim == rank + 1
    return (x.unsqueeze(0) if alone else x), alone


def _convolution(
    where: str,
    rank: int,
    input: Any,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> Tensor:
    x, alone = need_images(where, input, weight, rank)
    strides = each(where, "stride", stride, rank, 1)
    dilations = each(where, "dilation", dilation, rank, 1)
    if isinstance(padding, str):
        pairs = _named_padding(where, padding, weight.shape[2:], strides, dilations)
    else:
        pairs = tuple([(p, p) for p in each(where, "padding", padding, rank, 0)])
    y = apply(
        f.CONVOLUTION, x, weight, bias, stride=strides, padding=pairs, dilation=dilations,
        groups=groups,
    )  # fmt: skip
    return y.squeeze(0) if alone else y


def _named_padding(
    where: str, padding: str, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> tuple[tuple[int, int], ...]:
    """Return the padding that is called 'same' or 'valid'; an odd zero goes behind."""
    if padding not in ("same", "valid"):
        raise ConfigurationError(f"{where}: padding is 'same', 'valid' or numbers, got {padding!r}")
    if padding == "valid":
        return ((0, 0),) * len(kernel)
    if any(one != 1 for one in stride):
        raise ConfigurationError(
            f"{where}: padding='same' is not supported for strided convolutions (an output of the "
            f"size of the input needs stride 1), got stride {tuple(stride)}"
        )
    total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    return tuple((one // 2, one - one // 2) for one in total)


def conv1d(
    input: Any,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """Return the convolution of an input (N, C, W) or (C, W) with weights (O, C / groups, k).

    Args:
        input: of the dtype of the weights.
        weight: the kernel, which is not turned round (it is a correlation).
        bias: (O,), or None.
        stride: from one place of the kernel to the next.
        padding: zeros on both sides; 'valid' for none, 'same' for an output of the input's size.
        dilation: from one pixel of the kernel to the next.
        groups: of channels, each of which has its own outputs.

    Raises:
        ShapeError: if the channels do not fit, or the kernel is larger than the padded input.
        ConfigurationError: if an option is not possible.
        DTypeError: if the dtypes differ.

    >>> from nnscratch import tensor
    >>> x, w = tensor([[[1.0, 2.0, 3.0, 4.0]]]), tensor([[[1.0, 10.0]]])
    >>> conv1d(x, w, padding="same")
    tensor([[[21., 32., 43.,  4.]]])
    """
    return _convolution("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Any,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """Return the convolution of images (N, C, H, W) or (C, H, W) with (O, C / groups, kh, kw).

    Options and errors are those of ``conv1d``; each may be one number or one for each axis.

    >>> from nnscratch import ones
    >>> conv2d(ones(1, 1, 3, 3), ones(1, 1, 3, 3), padding=1)
    tensor([[[[4., 6., 4.],
              [6., 9., 6.],
              [4., 6., 4.]]]])
    """
    return _convolution("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Any,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """Return the convolution of (N, C, D, H, W) or (C, D, H, W) with (O, C / groups, kd, kh, kw).

    Options and errors are those of ``conv1d``; each may be one number or one for each axis.

    >>> from nnscratch import ones
    >>> conv3d(ones(1, 1, 3, 4, 5), ones(2, 1, 3, 2, 2), stride=(1, 2, 3)).shape
    (1, 2, 1, 2, 2)
    """
    return _convolution("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


class ConvolutionModule(Module):
    """What ``Conv1d`` to ``ConvTranspose3d`` have in common: options, parameters, representation.

    The weights start uniform in ±1/√fan_in, the bias too, as in PyTorch; fan_in is what one output
    sums over, the second axis of the weights times the pixels of the kernel.
    """

    rank: ClassVar[int]
    transposed: ClassVar[bool] = False

    def _build(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes,
        padding: Sizes | str,
        dilation: Sizes,
        output_padding: Sizes,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any,
        dtype: Any,
        generator: Generator | None,
    ) -> None:
        where, rank = type(self).__name__, self.rank
        count = as_index(groups) or 0
        if count < 1:
            raise ConfigurationError(f"{where}: groups must be a positive integer, got {groups}")
        groups = count
        in_channels = whole_number(f"{where}: in_channels", in_channels, 0)
        out_channels = whole_number(f"{where}: out_channels", out_channels, 0)
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups:
                raise ConfigurationError(
                    f"{where}: {name} must be divisible by groups, got {channels} and {groups}"
                )
        if padding_mode not in PADDING_MODES:
            raise ConfigurationError(
                f"{where}: padding_mode must be one of {', '.join(PADDING_MODES)}, got "
                f"{padding_mode!r}"
            )
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = each(where, "kernel_size", kernel_size, rank, 1)
        self.stride = each(where, "stride", stride, rank, 1)
        self.dilation = each(where, "dilation", dilation, rank, 1)
        self.padding: str | tuple[int, ...] = ""
        if isinstance(padding, str):
            _named_padding(where, padding, self.kernel_size, self.stride, self.dilation)
            self.padding = padding
        else:
            self.padding = each(where, "padding", padding, rank, 0)
        self.output_padding = each(where, "output_padding", output_padding, rank, 0)
        self.groups, self.padding_mode = groups, padding_mode
        first, second = in_channels, out_channels // groups
        if not self.transposed:
            first, second = out_channels, in_channels // groups
        made: dict[str, Any] = {"device": device, "dtype": dtype}
        self.weight = Parameter(empty(first, second, *self.kernel_size, **made))
        self.register_parameter("bias", Parameter(empty(out_channels, **made)) if bias else None)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draw weights and bias anew."""
        fan_in = math.prod(self.weight.shape[1:])
        bound = 1.0 / math.sqrt(fan_in) if fan_in else 0.0
        for parameter in self.parameters(recurse=False):
            init.uniform_(parameter, -bound, bound, generator)

    def extra_repr(self) -> str:
        """Return the options that differ from their defaults."""
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"]
        parts.append(f"stride={self.stride}")
        for name, usual in (("padding", 0), ("dilation", 1), ("output_padding", 0)):
            value = getattr(self, name)
            if value != (usual,) * self.rank:
                parts.append(f"{name}={value}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self._parameters["bias"] is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)


class _Conv(ConvolutionModule):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes | str = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
        *,
        generator: Generator | None = None,
    ) -> None:
        """Make the parameters from a generator, the default one unless another is given."""
        super().__init__()
        self._build(
            in_channels, out_channels, kernel_size, stride, padding, dilation, 0, groups, bias,
            padding_mode, device, dtype, generator,
        )  # fmt: skip

    def forward(self, input: Any) -> Tensor:
        """Return the convolution of the input."""
        where, own = type(self).__name__, self._parameters
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            input, padding = self._padded(where, input), 0
        return _convolution(
            where, self.rank, input, own["weight"], own["bias"], self.stride, padding,
            self.dilation, self.groups,
        )  # fmt: skip

    def _padded(self, where: str, input: Any) -> Tensor:
        if isinstance(self.padding, str):
            pairs = _named_padding(
                where, self.padding, self.kernel_size, self.stride, self.dilation
            )
        else:
            pairs = tuple([(p, p) for p in self.padding])
        x = as_tensor(input)
        if x.ndim not in (self.rank + 1, self.rank + 2):
            return x  # the convolution says what is wrong
        sides = [side for pair in reversed(pairs) for side in pair]
        return pad(x, sides, mode=self.padding_mode)


class Conv1d(_Conv):
    """A convolution of (N, C, W) or (C, W): ``conv1d`` with its own weights.

    ``padding_mode`` says what stands around the input: zeros, its reflection ('reflect'), its edge
    again ('replicate'), or its other end ('circular').

    Raises:
        ConfigurationError: if an option is not possible, or groups do not divide the channels.
        ShapeError, DTypeError: when called with an input that does not fit.

    >>> from nnscratch import zeros
    >>> Conv1d(2, 4, 3, stride=2)(zeros(5, 2, 9)).shape
    (5, 4, 4)
    """

    rank = 1


class Conv2d(_Conv):
    """A convolution of images (N, C, H, W) or (C, H, W): ``conv2d`` with its own weights.

    Options and errors are those of ``Conv1d``.

    >>> from nnscratch import zeros
    >>> Conv2d(3, 8, 3, padding="same", groups=1)(zeros(2, 3, 6, 7)).shape
    (2, 8, 6, 7)
    """

    rank = 2


class Conv3d(_Conv):
    """A convolution of (N, C, D, H, W) or (C, D, H, W): ``conv3d`` with its own weights.

    Options and errors are those of ``Conv1d``.

    >>> from nnscratch import zeros
    >>> Conv3d(1, 2, (1, 2, 3))(zeros(1, 1, 2, 3, 4)).shape
    (1, 2, 2, 2, 2)
    """

    rank = 3
