"""U-Net: an image in, a class for each of its pixels out."""

from __future__ import annotations

from typing import Any

from nnscratch import nn
from nnscratch.tensors.functions import cat


class UNet(nn.Module):
    """Down by pooling, up by transposed convolutions, with what was seen on the way down.

    Convolutions are padded, so the output has the input's height and width.

    Args:
        num_classes: the channels of the output.
        in_channels: the channels of an image.
        width: the channels of the first level; each lower one has twice as many.
        depth: how many levels there are below the first. Height and width are multiples of
            2 to that power.

    Source: Ronneberger, Fischer and Brox 2015, arXiv:1505.04597.

    >>> from nnscratch import zeros
    >>> UNet(2, width=4, depth=2)(zeros(1, 1, 16, 16)).shape
    (1, 2, 16, 16)
    """

    def __init__(
        self, num_classes: int, in_channels: int = 1, width: int = 64, depth: int = 4
    ) -> None:
        """Make the layers."""
        super().__init__()
        sizes = [width << level for level in range(depth + 1)]
        self.down = nn.ModuleList(
            _double(before, after)
            for before, after in zip([in_channels, *sizes], sizes, strict=False)
        )
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(below, above, 2, stride=2)
            for above, below in zip(sizes[-2::-1], sizes[:0:-1], strict=True)
        )
        self.merge = nn.ModuleList(_double(2 * size, size) for size in sizes[-2::-1])
        self.head = nn.Conv2d(width, num_classes, 1)

    def forward(self, x: Any) -> Any:
        """Return the scores (N, classes, H, W) of images (N, channels, H, W)."""
        seen = []
        for index, block in enumerate(self.down):
            x = block(x if not index else self.pool(x))
            seen.append(x)
        for rise, merge, beside in zip(self.up, self.merge, seen[-2::-1], strict=True):
            x = merge(cat([beside, rise(x)], dim=1))
        return self.head(x)


def _double(in_channels: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )
