"""LeNet-5: the network that read digits on cheques."""

from __future__ import annotations

from typing import Any

from nnscratch import nn


class LeNet(nn.Module):
    """Two convolutions, each with a pooling layer behind it, and three linear layers.

    61,706 parameters for images of 28 x 28 with one channel. As in most of today's versions, ReLU
    and max pooling stand where the paper had tanh and a learned average.

    Args:
        num_classes: how many classes there are.
        in_channels: the channels of an image.
        image_size: its height and width where they are equal, or both; from 12 on.

    Source: LeCun, Bottou, Bengio and Haffner 1998, Gradient-based learning applied to document
    recognition.

    >>> from nnscratch import zeros
    >>> LeNet()(zeros(2, 1, 28, 28)).shape
    (2, 10)
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 1,
        image_size: int | tuple[int, int] = 28,
    ) -> None:
        """Make the layers."""
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 6, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        pixels = (height // 2 - 4) // 2 * ((width // 2 - 4) // 2)
        self.classifier = nn.Sequential(
            nn.Linear(16 * pixels, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, num_classes),
        )

    def forward(self, x: Any) -> Any:
        """Return the scores (N, classes) of images (N, channels, height, width)."""
        return self.classifier(self.features(x).flatten(1))
