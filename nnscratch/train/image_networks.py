"""Convolutional networks from a description, which is saved with the weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from nnscratch.errors import ConfigurationError
from nnscratch.nn import Module
from nnscratch.train.architectures import Architecture, fraction, whole

SMALL = 64
"""The largest side of images for which a network is built without its early reductions."""


@dataclass(frozen=True)
class KnownNetwork:
    """What is known of a network before it is built.

    Args:
        build: makes it.
        parameters: how many weights and biases it has.
        smallest: the least height and width of an image that it can take.
        dropout: what it has by default; None where it has none to set.
    """

    build: Callable[[ImageNetwork], Module]
    parameters: Callable[[ImageNetwork], int]
    smallest: int
    dropout: float | None = None


@dataclass(frozen=True)
class ImageNetwork(Architecture):
    """The description of a network for images of one size.

    For images of at most 64 x 64 pixels ResNet and MobileNet begin without a stride and VGG ends in
    one linear layer, as is usual for CIFAR. VGG and the small CNN have batch normalisation.

    Args:
        network: its name, one of ``NETWORKS``.
        channels: 1 for grey images, 3 for coloured ones.
        height: of every image.
        width: likewise.
        outputs: how many classes there are.
        dropout: the probability of dropping a feature before the last layers.

    Raises:
        ConfigurationError: if there is no such network, or the images are too small for it.
    """

    network: str
    channels: int
    height: int
    width: int
    outputs: int
    dropout: float = 0.0

    kind: ClassVar[str] = "image-network"

    def __post_init__(self) -> None:
        if self.network not in NETWORKS:
            raise ConfigurationError(
                f"there is no network {self.network!r}; choose from {', '.join(NETWORKS)}"
            )
        whole(channels=self.channels, height=self.height, width=self.width, outputs=self.outputs)
        fraction(dropout=self.dropout)
        known = NETWORKS[self.network]
        if min(self.height, self.width) < known.smallest:
            raise ConfigurationError(
                f"{self.network} needs images of at least {known.smallest} x {known.smallest} "
                f"pixels, these are {self.height} x {self.width}: --size {known.smallest} brings "
                "them there, or choose a smaller network, such as --model cnn"
            )
        if self.dropout and known.dropout is None:
            raise ConfigurationError(f"{self.network} has no dropout; leave --dropout out")

    @property
    def small(self) -> bool:
        """Whether the images are small, so that the network must not reduce them at once."""
        return max(self.height, self.width) <= SMALL

    def build(self) -> Module:
        """Return the model, its weights drawn from the default generator."""
        return NETWORKS[self.network].build(self)

    @property
    def parameters(self) -> int:
        """The number of the model's weights and biases."""
        return NETWORKS[self.network].parameters(self)

    @property
    def summary(self) -> str:
        """The network, and the images that it takes."""
        size = f"{self.channels} x {self.height} x {self.width}"
        dropout = f", dropout {self.dropout:g}" if self.dropout else ""
        return f"{self.network} for images of {size}, {self.outputs} classes{dropout}"


def _lenet(of: ImageNetwork) -> Module:
    from nnscratch.models import LeNet

    return LeNet(of.outputs, of.channels, (of.height, of.width))


def _lenet_parameters(of: ImageNetwork) -> int:
    pixels = (of.height // 2 - 4) // 2 * ((of.width // 2 - 4) // 2)
    convolutions = (25 * of.channels + 1) * 6 + (25 * 6 + 1) * 16
    return convolutions + (16 * pixels + 1) * 120 + 121 * 84 + 85 * of.outputs


def _cnn(of: ImageNetwork) -> Module:
    from nnscratch.models import CNN

    size = (of.height, of.width)
    return CNN(of.outputs, of.channels, size, batch_norm=True, dropout=of.dropout)


def _cnn_parameters(of: ImageNetwork) -> int:
    pixels = (of.height - 4) // 2 * ((of.width - 4) // 2)
    convolutions = (9 * of.channels + 3) * 32 + (9 * 32 + 3) * 64
    return convolutions + (64 * pixels + 1) * 128 + 129 * of.outputs


def _alexnet(of: ImageNetwork) -> Module:
    from nnscratch.models import AlexNet

    return AlexNet(of.outputs, of.dropout, of.channels)


def _alexnet_parameters(of: ImageNetwork) -> int:
    return 61_100_840 + 64 * 121 * (of.channels - 3) + 4097 * (of.outputs - 1000)


def _vgg(depth: int, published: int) -> KnownNetwork:
    def build(of: ImageNetwork) -> Module:
        from nnscratch.models import VGG

        return VGG(
            depth, of.outputs, batch_norm=True, dropout=of.dropout, in_channels=of.channels,
            small_images=of.small,
        )  # fmt: skip

    def parameters(of: ImageNetwork) -> int:
        body = published - 25089 * 4096 - 4097 * 4096 - 4097 * 1000 + 64 * 9 * (of.channels - 3)
        last = 513 if of.small else 4097
        return body + last * of.outputs + (0 if of.small else (25089 + 4097) * 4096)

    return KnownNetwork(build, parameters, 32, 0.5)


def _resnet(depth: int, published: int, width: int) -> KnownNetwork:
    def build(of: ImageNetwork) -> Module:
        from nnscratch.models import ResNet

        return ResNet(depth, of.outputs, of.channels, of.small)

    def parameters(of: ImageNetwork) -> int:
        first = 64 * (of.channels * (9 if of.small else 49) - 3 * 49)
        return published + first + (width + 1) * (of.outputs - 1000)

    return KnownNetwork(build, parameters, 8)


def _mobilenet(of: ImageNetwork) -> Module:
    from nnscratch.models import MobileNetV2

    return MobileNetV2(of.outputs, of.dropout, of.channels, of.small)


def _mobilenet_parameters(of: ImageNetwork) -> int:
    return 3_504_872 + 32 * 9 * (of.channels - 3) + 1281 * (of.outputs - 1000)


NETWORKS: dict[str, KnownNetwork] = {
    "lenet": KnownNetwork(_lenet, _lenet_parameters, 12),
    "cnn": KnownNetwork(_cnn, _cnn_parameters, 6, 0.3),
    "alexnet": KnownNetwork(_alexnet, _alexnet_parameters, 63, 0.5),
    "vgg11": _vgg(11, 132_868_840),
    "vgg13": _vgg(13, 133_053_736),
    "vgg16": _vgg(16, 138_365_992),
    "vgg19": _vgg(19, 143_678_248),
    "resnet18": _resnet(18, 11_689_512, 512),
    "resnet34": _resnet(34, 21_797_672, 512),
    "resnet50": _resnet(50, 25_557_032, 2048),
    "mobilenet": KnownNetwork(_mobilenet, _mobilenet_parameters, 8, 0.2),
}
"""The networks for images by name, from the smallest to the largest family."""
