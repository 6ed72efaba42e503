"""Fashion-MNIST: 70,000 grey pictures of clothes and shoes, 28 x 28 pixels, of ten kinds.

Run it by `python docs/examples/fashion_mnist.py --network resnet`. The networks are a small CNN,
the ResNet-20 of He and others 2015 (arXiv:1512.03385, section 4.2), AlexNet and VGG-16. The four
files come with Debian's package `dataset-fashion-mnist`, or are in the folder data/fashion of
github.com/zalandoresearch/fashion-mnist; `--data` names their folder.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import nnscratch
from nnscratch import nn, optim
from nnscratch.data import load_idx_folder
from nnscratch.models.alexnet import AlexNet
from nnscratch.models.cnn import CNN
from nnscratch.models.resnet import BasicBlock
from nnscratch.models.vgg import VGG
from nnscratch.nn import functional as F

DATA = "/usr/share/datasets/fashion-mnist"


def resnet20() -> nn.Module:
    """Return a first convolution and three stages of three blocks, 0.27 million parameters."""
    stages = [nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    before = 16
    for channels in (16, 32, 64):
        for block in range(3):
            stages.append(BasicBlock(before, channels, 2 if channels > 16 and not block else 1))
            before = channels
    return nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


class Recipe(NamedTuple):
    """A network, and how it is trained."""

    make: Callable[[], nn.Module]
    epochs: int
    batch: int
    optimizer: Callable[[Any], Any]
    rate: float
    """The largest learning rate: it rises to it, and falls to nearly 0 in the end."""


def adam(parameters: Any) -> Any:
    """Return Adam with decoupled weight decay."""
    return optim.AdamW(parameters, lr=1e-3, weight_decay=0.05)


def sgd(parameters: Any) -> Any:
    """Return gradient descent with Nesterov's momentum."""
    return optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)


RECIPES = {
    "cnn": Recipe(lambda: CNN(batch_norm=True, dropout=0.25), 15, 128, adam, 3e-3),
    "resnet": Recipe(resnet20, 20, 128, sgd, 0.1),
    # AlexNet's first convolutions leave nothing of pictures of less than 63 pixels.
    "alexnet": Recipe(
        lambda: nn.Sequential(nn.Upsample(size=(64, 64), mode="bilinear"), AlexNet(10, 0.5, 1)),
        10, 128, adam, 5e-4,
    ),
    "vgg16": Recipe(
        lambda: nn.Sequential(
            nn.ZeroPad2d(2), VGG(16, 10, batch_norm=True, in_channels=1, small_images=True)
        ),
        10, 128, sgd, 0.02,
    ),
}  # fmt: skip


def pixels(images: np.ndarray) -> np.ndarray:
    """Return images (N, 28, 28) of bytes as (N, 1, 28, 28), with mean 0 and deviation 1."""
    return ((images[:, None] / np.float32(255)) - np.float32(0.286)) / np.float32(0.353)


def shifted(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return images moved by up to two pixels, and half of them mirrored."""
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    made = np.empty_like(images)
    for index, (down, right) in enumerate(random.integers(0, 5, (len(images), 2))):
        made[index] = padded[index, down : down + 28, right : right + 28]
    mirrored = random.random(len(images)) < 0.5
    made[mirrored] = made[mirrored, :, ::-1]
    return made


def accuracy(model: nn.Module, images: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of images that a model takes for what they are."""
    model.eval()
    right = 0
    with nnscratch.no_grad():
        for start in range(0, len(images), 500):
            scores = model(nnscratch.tensor(pixels(images[start : start + 500])))
            right += int((scores.numpy().argmax(1) == labels[start : start + 500]).sum())
    model.train()
    return right / len(images)


def train(
    network: str = "cnn",
    data: str = DATA,
    epochs: int | None = None,
    limit: int | None = None,
    say: bool = True,
) -> float:
    """Train a network, and return the share of the test images that it takes for what they are.

    Args:
        network: "cnn", "resnet", "alexnet" or "vgg16".
        data: the folder of the four files.
        epochs: how often to go through the 60,000 images; None for the recipe's number.
        limit: how many of the images to train and to test on, None for all.
        say: whether to print a line each epoch.
    """
    nnscratch.manual_seed(0)
    random = np.random.default_rng(0)
    folder = load_idx_folder(data)
    images, labels = folder.train.images[:limit], folder.train.labels[:limit]
    test, test_labels = folder.test.images[:limit], folder.test.labels[:limit]
    recipe = RECIPES[network]
    model, batch, epochs = recipe.make(), recipe.batch, epochs or recipe.epochs
    optimizer = recipe.optimizer(model.parameters())
    steps = epochs * -(-len(images) // batch)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=recipe.rate, total_steps=steps)
    if say:
        count = sum(parameter.numel() for parameter in model.parameters())
        print(f"{network}: {count:,} parameters, {len(images):,} images, {steps:,} steps")

    @nnscratch.compile
    def step(x: nnscratch.Tensor, y: nnscratch.Tensor) -> nnscratch.Tensor:
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    found = 0.0
    for epoch in range(1, epochs + 1):
        began, total = time.perf_counter(), 0.0
        order = random.permutation(len(images))
        for start in range(0, len(images), batch):
            rows = order[start : start + batch]
            x = nnscratch.tensor(pixels(shifted(images[rows], random)))
            total += float(step(x, nnscratch.tensor(labels[rows]))) * len(rows)
            schedule.step()
        seconds = time.perf_counter() - began
        found = accuracy(model, test, test_labels)
        if say:
            print(f"epoch {epoch:2d}: loss {total / len(images):.4f}, "
                  f"{found:.2%} of the test images, {seconds:.0f} s")  # fmt: skip
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Train as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--network", choices=RECIPES, default="cnn")
    parser.add_argument("--data", default=DATA, help="the folder of the four files (%(default)s)")
    parser.add_argument("--epochs", type=int, help="how often to go through the images")
    parser.add_argument("--limit", type=int, help="train and test on so many images only")
    given = parser.parse_args(arguments)
    found = train(given.network, given.data, given.epochs, given.limit)
    print(f"{given.network}: {found:.2%} of the test images")


if __name__ == "__main__":
    main()
