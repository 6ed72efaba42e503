"""Residual networks: each block computes what is added to its input."""

from __future__ import annotations

from typing import Any

from nnscratch import nn


class BasicBlock(nn.Module):
    """Two convolutions of 3 x 3, and the input added to them before the last ReLU.

    Args:
        in_channels: the channels of the input.
        channels: those of the output.
        stride: how many pixels the first convolution moves on; where it, or the number of channels,
            changes the shape, the input passes a convolution of 1 x 1.
    """

    expansion = 1

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        """Make the layers."""
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = _shortcut(in_channels, channels, stride)

    def forward(self, x: Any) -> Any:
        """Return the input with the block's convolutions added."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """A convolution of 3 x 3 between two of 1 x 1 that reduce and restore the channels.

    Args:
        in_channels: the channels of the input.
        channels: those of the middle; the output has four times as many.
        stride: how many pixels the middle convolution moves on.
    """

    expansion = 4

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        """Make the layers."""
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, 4 * channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(in_channels, 4 * channels, stride)

    def forward(self, x: Any) -> Any:
        """Return the input with the block's convolutions added."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


def _shortcut(in_channels: int, channels: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and in_channels == channels:
        return None
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, 1, stride=stride, bias=False), nn.BatchNorm2d(channels)
    )


# The kind of block and how many of them each of the four stages has, by the number of layers.
DEPTHS: dict[int, tuple[Any, tuple[int, ...]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}


class ResNet(nn.Module):
    """A first convolution, four stages of blocks, the average of all pixels, one linear layer.

    Parameters with 1000 classes: ResNet-18 11,689,512, ResNet-34 21,797,672, ResNet-50 25,557,032,
    under torchvision's names.

    Args:
        depth: 18, 34, 50, 101 or 152, the number of layers with weights.
        num_classes: how many classes there are.
        in_channels: the channels of an image.
        small_images: for images of about 32 x 32: the first convolution is of 3 x 3 without a
            stride and without pooling behind it, as in section 4.2 of the paper.

    Raises:
        ValueError: if there is no ResNet of that depth.

    Source: He, Zhang, Ren and Sun 2015, arXiv:1512.03385.

    >>> from nnscratch import zeros
    >>> ResNet(18, num_classes=10, small_images=True).eval()(zeros(1, 3, 8, 8)).shape
    (1, 10)
    """

    def __init__(
        self,
        depth: int = 18,
        num_classes: int = 1000,
        in_channels: int = 3,
        small_images: bool = False,
    ) -> None:
        """Make the layers."""
        super().__init__()
        if depth not in DEPTHS:
            raise ValueError(f"ResNet: depth is one of {', '.join(map(str, DEPTHS))}, got {depth}")
        block, counts = DEPTHS[depth]
        self.maxpool: nn.Module
        if small_images:
            self.conv1 = nn.Conv2d(in_channels, 64, 3, padding=1, bias=False)
            self.maxpool = nn.Identity()
        else:
            self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
            self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        before = 64
        for stage, count in enumerate(counts):
            channels = 64 << stage
            blocks = []
            for index in range(count):
                blocks.append(block(before, channels, 2 if stage and not index else 1))
                before = channels * block.expansion
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(before, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Any) -> Any:
        """Return the scores (N, classes) of images (N, channels, height, width)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))
