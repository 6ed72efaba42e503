"""Channels exchanged with pixels, and among themselves."""

from __future__ import annotations

from typing import Any

from nnscratch.array.wholes import whole_number
from nnscratch.errors import ShapeError
from nnscratch.nn.module import Module
from nnscratch.tensors import Tensor, as_tensor

__all__ = [
    "ChannelShuffle",
    "PixelShuffle",
    "PixelUnshuffle",
    "channel_shuffle",
    "pixel_shuffle",
    "pixel_unshuffle",
]


def _image(where: str, input: Any, factor: Any, name: str) -> tuple[Tensor, int]:
    x = as_tensor(input)
    if x.ndim < 3:
        raise ShapeError(f"{where}: expected an input (..., C, H, W), got shape {x.shape}")
    return x, whole_number(f"{where}: {name}", factor, 1)


def pixel_shuffle(input: Any, upscale_factor: int) -> Tensor:
    """Return (..., C r², H, W) as (..., C, H r, W r): r² channels become r x r pixels.

    Raises:
        ShapeError: if the channels are no multiple of r².
        ConfigurationError: if r is no integer from 1 on.

    >>> from nnscratch import arange
    >>> pixel_shuffle(arange(4).reshape(4, 1, 1), 2)
    tensor([[[0, 1],
            [2, 3]]])
    """
    x, r = _image("pixel_shuffle", input, upscale_factor, "upscale_factor")
    *lead, c, h, w = x.shape
    if c % (r * r):
        raise ShapeError(f"pixel_shuffle: {c} channels are no multiple of {r}² in shape {x.shape}")
    k = len(lead)
    x = x.reshape(*lead, c // (r * r), r, r, h, w)
    x = x.permute(*range(k), k, k + 3, k + 1, k + 4, k + 2)
    return x.reshape(*lead, c // (r * r), h * r, w * r)


def pixel_unshuffle(input: Any, downscale_factor: int) -> Tensor:
    """Return (..., C, H r, W r) as (..., C r², H, W): what ``pixel_shuffle`` undoes.

    Raises:
        ShapeError: if a size is no multiple of r.
        ConfigurationError: if r is no integer from 1 on.
    """
    x, r = _image("pixel_unshuffle", input, downscale_factor, "downscale_factor")
    *lead, c, h, w = x.shape
    if h % r or w % r:
        raise ShapeError(f"pixel_unshuffle: {h} x {w} pixels are no multiples of {r}")
    k = len(lead)
    x = x.reshape(*lead, c, h // r, r, w // r, r)
    x = x.permute(*range(k), k, k + 2, k + 4, k + 1, k + 3)
    return x.reshape(*lead, c * r * r, h // r, w // r)


def channel_shuffle(input: Any, groups: int) -> Tensor:
    """Return (N, C, ...) with channel j of group i in place j g + i, of g groups.

    Raises:
        ShapeError: if there are no channels, or the groups do not divide them.
        ConfigurationError: if ``groups`` is no integer from 1 on.

    >>> from nnscratch import arange
    >>> channel_shuffle(arange(4).reshape(1, 4, 1), 2).flatten()
    tensor([0, 2, 1, 3])
    """
    x, groups = _image("channel_shuffle", input, groups, "groups")
    c = x.shape[1]
    if c % groups:
        raise ShapeError(f"channel_shuffle: {groups} groups do not divide {c} channels")
    parts = x.reshape(x.shape[0], groups, c // groups, *x.shape[2:])
    return parts.transpose(1, 2).reshape(*x.shape)


class PixelShuffle(Module):
    """(..., C r², H, W) as (..., C, H r, W r), see ``functional.pixel_shuffle``.

    >>> from nnscratch import ones
    >>> PixelShuffle(3)(ones(1, 9, 4, 4)).shape
    (1, 1, 12, 12)
    """

    def __init__(self, upscale_factor: int) -> None:
        """Choose r."""
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input: Any) -> Tensor:
        """Return the input with fewer channels and more pixels."""
        return pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        """Return r."""
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """(..., C, H r, W r) as (..., C r², H, W), see ``functional.pixel_unshuffle``."""

    def __init__(self, downscale_factor: int) -> None:
        """Choose r."""
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input: Any) -> Tensor:
        """Return the input with more channels and fewer pixels."""
        return pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        """Return r."""
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """The channels of (N, C, ...) in another order, see ``functional.channel_shuffle``."""

    def __init__(self, groups: int) -> None:
        """Choose the groups."""
        super().__init__()
        self.groups = groups

    def forward(self, input: Any) -> Tensor:
        """Return the input with its channels in another order."""
        return channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        """Return the groups."""
        return f"groups={self.groups}"
