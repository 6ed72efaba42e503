"""Networks of images beside PyTorch's of the same text, and how many parameters all have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from networks import compare, image

import nnscratch
from benchmarks.twins import copy_weights, pair, twin
from nnscratch.models import alexnet

# The module and class, what it is made with, and its inputs.
NETWORKS: dict[str, tuple[str, str, tuple[Any, ...], dict[str, Any], tuple[np.ndarray, ...]]] = {
    "lenet": ("lenet", "LeNet", (3,), {}, (image(2, 1, 28, 28),)),
    "cnn": ("cnn", "CNN", (3, 2, 9), {"batch_norm": True}, (image(4, 2, 9, 9),)),
    "cnn plain": ("cnn", "CNN", (3, 1, 8), {}, (image(2, 1, 8, 8),)),
    "vgg block": ("vgg", "VGG", (11, 3), {"small_images": True}, (image(2, 3, 32, 32),)),
    "basic block": ("resnet", "BasicBlock", (3, 4, 2), {}, (image(2, 3, 7, 7),)),
    "bottleneck": ("resnet", "Bottleneck", (3, 4, 2), {}, (image(2, 3, 7, 7),)),
    "inverted": ("mobilenet", "InvertedResidual", (4, 4, 1, 6), {}, (image(2, 4, 7, 7),)),
    "unet": ("unet", "UNet", (2,), {"width": 4, "depth": 2}, (image(2, 1, 8, 8),)),
}
# Parameters with the sizes of the paper, as the docstrings say.
COUNTS = {
    ("lenet", "LeNet", ()): 61_706,
    ("alexnet", "AlexNet", ()): 61_100_840,
    ("alexnet", "AlexNet2012", ()): 60_965_224,
    ("vgg", "VGG", (11,)): 132_863_336,
    ("vgg", "VGG", (13,)): 133_047_848,
    ("vgg", "VGG", (16,)): 138_357_544,
    ("vgg", "VGG", (19,)): 143_667_240,
    ("resnet", "ResNet", (18,)): 11_689_512,
    ("resnet", "ResNet", (34,)): 21_797_672,
    ("resnet", "ResNet", (50,)): 25_557_032,
    ("mobilenet", "MobileNetV2", ()): 3_504_872,
    ("gpt2", "GPT2", ()): 124_439_808,
    ("bert", "Bert", ()): 109_482_240,
    ("vit", "ViT", ()): 86_567_656,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_pytorchs_of_the_same_text(name: str) -> None:
    module, kind, args, options, inputs = NETWORKS[name]
    nnscratch.manual_seed(0)
    ours, theirs = pair(module, kind, *args, **options)
    compare(ours, theirs, inputs, steps=1 if name == "vgg block" else 10)


def test_alexnet_of_the_paper_and_of_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    # Without the 58 million weights of the linear layers.
    monkeypatch.setattr(alexnet, "_classifier", lambda *sizes: nnscratch.nn.Identity())
    for kind, side in (("AlexNet", 63), ("AlexNet2012", 67)):
        with torch.device("meta"):
            whole = getattr(twin("alexnet"), kind)(num_classes=3)
        ours = getattr(alexnet, kind)(num_classes=3)
        theirs = whole.features.to_empty(device="cpu")
        copy_weights(ours.features, theirs)
        compare(ours.features, theirs, (image(1, 3, side, side),), steps=1)


def test_the_response_normalisation_of_the_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alexnet, "_classifier", lambda *sizes: nnscratch.nn.Identity())
    found = [one for one in alexnet.AlexNet2012().features if "LocalResponse" in type(one).__name__]
    x = 100.0 * image(1, 8, 2, 2).astype(np.float32)
    sums = [sum(x[:, j] ** 2 for j in range(max(0, i - 2), min(8, i + 3))) for i in range(8)]
    expected = x / (2.0 + 1e-4 * np.stack(sums, 1)) ** 0.75
    assert len(found) == 2
    for one in found:
        np.testing.assert_allclose(one(nnscratch.tensor(x)).numpy(), expected, 1e-5)


@pytest.mark.parametrize("key", COUNTS, ids=lambda key: f"{key[1]}{key[2] or ''}")
def test_the_numbers_of_parameters(key: tuple[str, str, tuple[Any, ...]]) -> None:
    """Counted in PyTorch's twin, which allocates nothing; that ours has its names is above."""
    module, kind, args = key
    with torch.device("meta"):
        made = getattr(twin(module), kind)(*args)
    count = sum(p.numel() for p in made.parameters())
    assert count == COUNTS[key]
    ours = getattr(nnscratch.models, kind)
    assert f"{count:,}" in " ".join((ours.__doc__ or "").split())


@pytest.mark.parametrize("kind", ["ResNet", "MobileNetV2"])
def test_whole_networks_in_evaluation(kind: str) -> None:
    module = "resnet" if kind == "ResNet" else "mobilenet"
    ours, theirs = pair(module, kind, num_classes=3, small_images=True)
    x = image(1, 3, 16, 16).astype(np.float32)
    expected = theirs.eval()(torch.tensor(x)).detach().numpy()
    got = np.asarray(ours.eval()(nnscratch.tensor(x)).detach())
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4 * abs(expected).max())


def test_a_depth_that_there_is_not() -> None:
    for kind in (nnscratch.models.ResNet, nnscratch.models.VGG):
        with pytest.raises(ValueError, match="depth is one of"):
            kind(20)
    with pytest.raises(ValueError, match="patches of 16 do not divide an image of 30"):
        nnscratch.models.ViT(30)
