"""Descriptions of networks for images."""

from __future__ import annotations

import pytest

from nnscratch import zeros
from nnscratch.errors import CheckpointError, ConfigurationError
from nnscratch.train.architectures import architecture_from
from nnscratch.train.image_networks import NETWORKS, ImageNetwork


@pytest.mark.parametrize(
    ("name", "channels", "height", "width"),
    [
        ("lenet", 1, 28, 28),
        ("lenet", 3, 12, 17),
        ("cnn", 1, 6, 9),
        ("cnn", 3, 20, 28),
        ("vgg11", 1, 32, 33),
        ("resnet18", 3, 8, 9),
        ("mobilenet", 1, 8, 10),
        ("mobilenet", 3, 70, 40),
    ],
)
def test_what_is_described_is_built(name, channels, height, width):
    made = ImageNetwork(name, channels, height, width, 7)
    model = made.build()
    assert sum(p.numel() for p in model.parameters()) == made.parameters
    assert model.eval()(zeros(2, channels, height, width)).shape == (2, 7)
    assert architecture_from(made.to_dict()) == made
    assert made.summary == f"{name} for images of {channels} x {height} x {width}, 7 classes"


def test_parameters_are_those_published():
    # torchvision's documentation, for 1000 classes of images of 224 x 224.
    published = {
        "alexnet": 61_100_840,
        "vgg11": 132_868_840,
        "vgg13": 133_053_736,
        "vgg16": 138_365_992,
        "vgg19": 143_678_248,
        "resnet18": 11_689_512,
        "resnet34": 21_797_672,
        "resnet50": 25_557_032,
        "mobilenet": 3_504_872,
    }
    made = {name: ImageNetwork(name, 3, 224, 224, 1000).parameters for name in published}
    assert made == published
    assert {*NETWORKS} == {*published, "lenet", "cnn"}


def test_images_that_are_too_small():
    with pytest.raises(ConfigurationError, match=r"vgg16 needs images of at least 32 x 32 pixels, "
                       r"these are 28 x 40: --size 32 brings"):  # fmt: skip
        ImageNetwork("vgg16", 1, 28, 40, 10)
    for name, known in NETWORKS.items():
        ImageNetwork(name, 1, known.smallest, known.smallest, 2)
        with pytest.raises(ConfigurationError, match=f"at least {known.smallest}"):
            ImageNetwork(name, 1, known.smallest - 1, 64, 2)


def test_what_makes_no_sense():
    with pytest.raises(ConfigurationError, match="no network 'resnet19'"):
        ImageNetwork("resnet19", 1, 28, 28, 10)
    with pytest.raises(ConfigurationError, match="resnet18 has no dropout"):
        ImageNetwork("resnet18", 1, 28, 28, 10, 0.5)
    with pytest.raises(ConfigurationError, match="outputs must be a whole number"):
        ImageNetwork("cnn", 1, 28, 28, 0)
    saved = ImageNetwork("cnn", 1, 28, 28, 10).to_dict()
    for wrong in ({"channels": "1"}, {"network": "x"}, {"height": 2}, {"dropout": 2.0}):
        with pytest.raises(CheckpointError):
            architecture_from(saved | wrong)
