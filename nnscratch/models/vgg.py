"""VGG: nothing but convolutions of 3 x 3, pooling, and three linear layers."""

from __future__ import annotations

from typing import Any

from nnscratch import nn

# How many convolutions each of the five stages has, by the number of layers with weights.
STAGES = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
CHANNELS = (64, 128, 256, 512, 512)


class VGG(nn.Module):
    """Five stages of convolutions, each half as large and, up to 512, with twice the channels.

    Parameters with 1000 classes: VGG-11 132,863,336, VGG-13 133,047,848, VGG-16 138,357,544, VGG-19
    143,667,240, under torchvision's names.

    Args:
        depth: 11, 13, 16 or 19, the number of layers with weights.
        num_classes: how many classes there are.
        batch_norm: whether each convolution is normalised.
        dropout: the probability of dropping a feature behind the first two linear layers.
        in_channels: the channels of an image.
        small_images: for images of 32 x 32: one linear layer on the 512 channels that are left.

    Raises:
        ValueError: if there is no VGG of that depth.

    Source: Simonyan and Zisserman 2014, arXiv:1409.1556.

    >>> from nnscratch import zeros
    >>> VGG(11, num_classes=10, small_images=True)(zeros(2, 3, 32, 32)).shape
    (2, 10)
    """

    def __init__(
        self,
        depth: int = 16,
        num_classes: int = 1000,
        batch_norm: bool = False,
        dropout: float = 0.5,
        in_channels: int = 3,
        small_images: bool = False,
    ) -> None:
        """Make the layers."""
        super().__init__()
        if depth not in STAGES:
            raise ValueError(f"VGG: depth is one of {', '.join(map(str, STAGES))}, got {depth}")
        layers: list[nn.Module] = []
        before = in_channels
        for count, channels in zip(STAGES[depth], CHANNELS, strict=True):
            for _ in range(count):
                layers.append(nn.Conv2d(before, channels, 3, padding=1))
                if batch_norm:
                    layers.append(nn.BatchNorm2d(channels))
                layers.append(nn.ReLU(inplace=True))
                before = channels
            layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        self.avgpool: nn.Module
        self.classifier: nn.Module
        if small_images:
            self.avgpool, self.classifier = nn.AdaptiveAvgPool2d(1), nn.Linear(512, num_classes)
        else:
            self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
            self.classifier = nn.Sequential(
                nn.Linear(512 * 7 * 7, 4096),
                nn.ReLU(True),
                nn.Dropout(dropout),
                nn.Linear(4096, 4096),
                nn.ReLU(True),
                nn.Dropout(dropout),
                nn.Linear(4096, num_classes),
            )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
                nn.init.zeros_(module.bias)

    def forward(self, x: Any) -> Any:
        """Return the scores (N, classes) of images (N, channels, height, width)."""
        return self.classifier(self.avgpool(self.features(x)).flatten(1))
