"""AlexNet, in the version of the paper and in the one that torchvision has."""

from __future__ import annotations

from typing import Any

from nnscratch import nn


class AlexNet(nn.Module):
    """Five convolutions and three linear layers, for images of 224 x 224.

    Args:
        num_classes: how many classes there are.
        dropout: the probability of dropping a feature before the first two linear layers.
        in_channels: the channels of an image.

    61,100,840 parameters with 1000 classes, under torchvision's names. Source: Krizhevsky 2014,
    One weird trick for parallelizing convolutional neural networks, arXiv:1404.5997.

    >>> sum(p.numel() for p in AlexNet(num_classes=10).features.parameters())
    2469696
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5, in_channels: int = 3) -> None:
        """Make the layers."""
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 64, 11, stride=4, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = _classifier(256 * 6 * 6, num_classes, dropout)

    def forward(self, x: Any) -> Any:
        """Return the scores (N, classes) of images (N, channels, height, width)."""
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


class AlexNet2012(nn.Module):
    """The network of the paper, of two halves that share no channel in three layers.

    60,965,224 parameters with 1000 classes, for images of 227 x 227; with local response
    normalisation and the padding of the published weights.

    Args:
        num_classes: how many classes there are.
        dropout: the probability of dropping a feature before the first two linear layers.
        in_channels: the channels of an image.

    Source: Krizhevsky, Sutskever and Hinton 2012, ImageNet classification with deep convolutional
    neural networks.
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5, in_channels: int = 3) -> None:
        """Make the layers."""
        super().__init__()
        # The paper's k = 2, n = 5, alpha = 1e-4 and beta = 0.75; the module divides alpha by n.
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 96, 11, stride=4),
            nn.ReLU(),
            nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(96, 256, 5, padding=2, groups=2),
            nn.ReLU(),
            nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(256, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 384, 3, padding=1, groups=2),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1, groups=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
        )
        self.classifier = _classifier(256 * 6 * 6, num_classes, dropout)

    def forward(self, x: Any) -> Any:
        """Return the scores (N, classes) of images (N, channels, 227, 227)."""
        return self.classifier(self.features(x).flatten(1))


def _classifier(features: int, num_classes: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Dropout(dropout),
        nn.Linear(features, 4096),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
        nn.Linear(4096, 4096),
        nn.ReLU(inplace=True),
        nn.Linear(4096, num_classes),
    )
