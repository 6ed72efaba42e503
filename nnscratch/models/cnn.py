"""A small convolutional network for small images."""

from __future__ import annotations

from typing import Any

from nnscratch import nn


class CNN(nn.Module):
    """Convolutions of 3 x 3 with 32 and 64 channels, pooling, and two linear layers.

    The network of PyTorch's MNIST example, with batch normalisation on request.

    Args:
        num_classes: how many classes there are.
        in_channels: the channels of an image.
        image_size: its height and width where they are equal, or both; from 6 on.
        batch_norm: whether each convolution is normalised.
        dropout: the probability of dropping a feature before the linear layers.

    >>> from nnscratch import zeros
    >>> CNN()(zeros(2, 1, 28, 28)).shape
    (2, 10)
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 1,
        image_size: int | tuple[int, int] = 28,
        batch_norm: bool = False,
        dropout: float = 0.0,
    ) -> None:
        """Make the layers."""
        super().__init__()
        layers: list[nn.Module] = []
        for before, channels in ((in_channels, 32), (32, 64)):
            layers.append(nn.Conv2d(before, channels, 3))
            if batch_norm:
                layers.append(nn.BatchNorm2d(channels))
            layers.append(nn.ReLU())
        self.features = nn.Sequential(*layers, nn.MaxPool2d(2), nn.Dropout(dropout))
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        pixels = (height - 4) // 2 * ((width - 4) // 2)
        self.classifier = nn.Sequential(
            nn.Linear(64 * pixels, 128),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(128, num_classes),
        )

    def forward(self, x: Any) -> Any:
        """Return the scores (N, classes) of images (N, channels, height, width)."""
        return self.classifier(self.features(x).flatten(1))
