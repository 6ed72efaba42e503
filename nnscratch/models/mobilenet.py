"""MobileNetV2: convolutions of each channel by itself, between cheap ones of 1 x 1."""

from __future__ import annotations

from typing import Any

from nnscratch import nn

# Expansion, channels, blocks and first stride of each stage: table 2 of the paper.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class InvertedResidual(nn.Module):
    """Channels multiplied by a convolution of 1 x 1, each filtered alone, and reduced again.

    Args:
        in_channels: the channels of the input.
        channels: those of the output; where both agree and the stride is 1, the input is added.
        stride: how many pixels the middle convolution moves on.
        expand: by how much the channels are multiplied in between.
    """

    def __init__(self, in_channels: int, channels: int, stride: int, expand: int) -> None:
        """Make the layers."""
        super().__init__()
        hidden = in_channels * expand
        layers: list[nn.Module] = [] if expand == 1 else [_normed(in_channels, hidden, 1)]
        self.conv = nn.Sequential(
            *layers,
            _normed(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.adds = stride == 1 and in_channels == channels

    def forward(self, x: Any) -> Any:
        """Return the block's output."""
        return x + self.conv(x) if self.adds else self.conv(x)


class MobileNetV2(nn.Module):
    """Seventeen inverted residual blocks; 3,504,872 parameters with 1000 classes.

    The names are torchvision's.

    Args:
        num_classes: how many classes there are.
        dropout: the probability of dropping a feature before the linear layer.
        in_channels: the channels of an image.
        small_images: for images of about 32 x 32: the first two strides of 2 are 1.

    Source: Sandler, Howard, Zhu, Zhmoginov and Chen 2018, arXiv:1801.04381.

    >>> from nnscratch import zeros
    >>> MobileNetV2(num_classes=10).eval()(zeros(1, 3, 32, 32)).shape
    (1, 10)
    """

    def __init__(
        self,
        num_classes: int = 1000,
        dropout: float = 0.2,
        in_channels: int = 3,
        small_images: bool = False,
    ) -> None:
        """Make the layers."""
        super().__init__()
        layers: list[nn.Module] = [_normed(in_channels, 32, 3, 1 if small_images else 2)]
        before = 32
        for expand, channels, count, first in STAGES:
            stride = 1 if small_images and channels == 24 else first
            for index in range(count):
                step = 1 if index else stride
                layers.append(InvertedResidual(before, channels, step, expand))
                before = channels
        self.features = nn.Sequential(*layers, _normed(before, 1280, 1))
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(1280, num_classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
                nn.init.zeros_(module.bias)

    def forward(self, x: Any) -> Any:
        """Return the scores (N, classes) of images (N, channels, height, width)."""
        return self.classifier(self.features(x).mean((2, 3)))


def _normed(
    in_channels: int, channels: int, size: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    padding = (size - 1) // 2
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, size, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU6(inplace=True),
    )
