"""Transposed convolutions of one to three axes: functions and modules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnscratch import formulas as f
from nnscratch.array import Generator
from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.nn.convolution import ConvolutionModule, need_images
from nnscratch.nn.options import Sizes, each
from nnscratch.tensors import Tensor, apply, as_tensor

__all__ = [
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
]


def _transposed(
    where: str,
    rank: int,
    input: Any,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: int,
    dilation: Any,
) -> Tensor:
    x, alone = need_images(where, input, weight, rank)
    if weight.shape[1] == 0:
        raise ShapeError(f"{where}: expected weights of an output at least, got {weight.shape}")
    strides = each(where, "stride", stride, rank, 1)
    dilations = each(where, "dilation", dilation, rank, 1)
    more = each(where, "output_padding", output_padding, rank, 0)
    for extra, s, d in zip(more, strides, dilations, strict=True):
        if extra >= max(s, d):
            raise ShapeError(
                f"{where}: output padding must be smaller than either stride or dilation, but got "
                f"output_padding {more}, stride {strides}, dilation {dilations}"
            )
    both = zip(each(where, "padding", padding, rank, 0), more, strict=True)
    y = apply(
        f.CONVOLUTION_TRANSPOSE, x, weight, bias, stride=strides,
        padding=tuple([(p, p - extra) for p, extra in both]), dilation=dilations, groups=groups,
    )  # fmt: skip
    return y.squeeze(0) if alone else y


def conv_transpose1d(
    input: Any,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """Return the transposed convolution of (N, C, W) or (C, W) with weights (C, O / groups, k).

    It is the gradient of ``conv1d`` with respect to its input, of size
    (W - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1.

    Args:
        input: of the dtype of the weights.
        weight: the kernel.
        bias: (O,), or None.
        stride: from the window of one pixel to that of the next.
        padding: what the output lacks on both sides.
        output_padding: what it has more behind, where a stride leaves more than one size.
        groups: of channels, each of which has its own outputs.
        dilation: from one pixel of the kernel to the next.

    Raises:
        ShapeError: if the channels do not fit, or output_padding is too large.
        ConfigurationError: if an option is not possible.
        DTypeError: if the dtypes differ.

    >>> from nnscratch import ones
    >>> conv_transpose1d(ones(1, 1, 3), ones(1, 1, 3), stride=2, padding=1, output_padding=1)
    tensor([[[1., 2., 1., 2., 1., 1.]]])
    """
    return _transposed(
        "conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups,
        dilation,
    )  # fmt: skip


def conv_transpose2d(
    input: Any,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """Return the transposed convolution of images with weights (C, O / groups, kh, kw).

    Options and errors are those of ``conv_transpose1d``.

    >>> from nnscratch import ones
    >>> conv_transpose2d(ones(1, 1, 1, 2), ones(1, 1, 1, 2), stride=(1, 2))
    tensor([[[[1., 1., 1., 1.]]]])
    """
    return _transposed(
        "conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups,
        dilation,
    )  # fmt: skip


def conv_transpose3d(
    input: Any,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """Return the transposed convolution of (N, C, D, H, W) with (C, O / groups, kd, kh, kw).

    Options and errors are those of ``conv_transpose1d``.

    >>> from nnscratch import ones
    >>> conv_transpose3d(ones(1, 1, 1, 2, 3), ones(1, 2, 2, 2, 2)).shape
    (1, 2, 2, 3, 4)
    """
    return _transposed(
        "conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups,
        dilation,
    )  # fmt: skip


class _ConvTranspose(ConvolutionModule):
    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes = 0,
        output_padding: Sizes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Sizes = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
        *,
        generator: Generator | None = None,
    ) -> None:
        """Make the parameters from a generator, the default one unless another is given."""
        super().__init__()
        where = type(self).__name__
        if padding_mode != "zeros":
            raise ConfigurationError(
                f'{where}: only "zeros" padding mode is supported, got {padding_mode!r}'
            )
        self._build(
            in_channels, out_channels, kernel_size, stride, padding, dilation, output_padding,
            groups, bias, padding_mode, device, dtype, generator,
        )  # fmt: skip

    def forward(self, input: Any, output_size: Sequence[int] | None = None) -> Tensor:
        """Return the transposed convolution, of the size that is asked for if there are several.

        Raises:
            ConfigurationError: if no output_padding makes that size.
        """
        where, own, x = type(self).__name__, self._parameters, as_tensor(input)
        more = self.output_padding
        if output_size is not None:
            more = self._missing(where, x.shape, tuple(output_size))
        return _transposed(
            where, self.rank, x, own["weight"], own["bias"], self.stride, self.padding, more,
            self.groups, self.dilation,
        )  # fmt: skip

    def _missing(
        self, where: str, shape: tuple[int, ...], wanted: tuple[int, ...]
    ) -> tuple[int, ...]:
        """Return the output_padding that makes an output of a size."""
        if len(wanted) == len(shape):
            wanted = wanted[len(shape) - self.rank :]
        if len(wanted) != self.rank:
            raise ConfigurationError(
                f"{where}: output_size must have {self.rank} or {len(shape)} elements, got {wanted}"
            )
        padding = each(where, "padding", self.padding, self.rank, 0)
        least = tuple(
            (n - 1) * s - 2 * p + d * (k - 1) + 1
            for n, s, p, d, k in zip(
                shape[-self.rank :], self.stride, padding, self.dilation, self.kernel_size,
                strict=True,
            )
        )  # fmt: skip
        most = tuple(n + s - 1 for n, s in zip(least, self.stride, strict=True))
        if any(not low <= n <= high for low, n, high in zip(least, wanted, most, strict=True)):
            raise ConfigurationError(
                f"{where}: requested an output size of {wanted}, but valid sizes range from "
                f"{least} to {most} (for an input of size {tuple(shape[-self.rank :])})"
            )
        return tuple(n - low for n, low in zip(wanted, least, strict=True))


class ConvTranspose1d(_ConvTranspose):
    """A transposed convolution of (N, C, W) or (C, W): ``conv_transpose1d`` with its own weights.

    Raises:
        ConfigurationError: if an option is not possible, or groups do not divide the channels.
        ShapeError, DTypeError: when called with an input that does not fit.

    >>> from nnscratch import zeros
    >>> layer = ConvTranspose1d(2, 4, 3, stride=2)
    >>> layer(zeros(5, 2, 4)).shape, layer(zeros(5, 2, 4), output_size=(10,)).shape
    ((5, 4, 9), (5, 4, 10))
    """

    rank = 1


class ConvTranspose2d(_ConvTranspose):
    """A transposed convolution of images (N, C, H, W) or (C, H, W), with its own weights.

    Options and errors are those of ``ConvTranspose1d``.

    >>> from nnscratch import zeros
    >>> ConvTranspose2d(8, 3, 2, stride=2)(zeros(1, 8, 4, 5)).shape
    (1, 3, 8, 10)
    """

    rank = 2


class ConvTranspose3d(_ConvTranspose):
    """A transposed convolution of (N, C, D, H, W) or (C, D, H, W), with its own weights.

    Options and errors are those of ``ConvTranspose1d``.

    >>> from nnscratch import zeros
    >>> ConvTranspose3d(2, 1, 2)(zeros(1, 2, 1, 2, 3)).shape
    (1, 1, 2, 3, 4)
    """

    rank = 3
