"""What is trained on tables and images: the architecture, and settings that fit it."""

from __future__ import annotations

import re
from typing import Any

from nnscratch.cli.images import ImagePreprocessor
from nnscratch.cli.settings import TrainingSettings
from nnscratch.cli.sources import Pair, Prepared, Preprocessor, width_of
from nnscratch.data import (
    Compose,
    ImageDataset,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
)
from nnscratch.data.augmentation import Transform
from nnscratch.errors import ConfigurationError
from nnscratch.train.architectures import Architecture
from nnscratch.train.image_networks import NETWORKS, ImageNetwork
from nnscratch.train.mlp import MLP

JUDGED_AT_ONCE = 256
"""How many images a network is given at once, where nothing is learned."""
# The largest learning rates of a schedule with AdamW. AlexNet has no normalisation.
_RATES = {"alexnet": 3e-4, "lenet": 3e-3, "cnn": 3e-3, "mobilenet": 3e-3}
_DEEP_RATE = 2e-3
# What a mirror turns into something else, in the names of classes.
_SIDED = re.compile(r"(?:^|[^a-z])(?:left|right|[bdpq])(?:$|[^a-z])")


def architecture_for(settings: TrainingSettings, pre: Preprocessor) -> Architecture:
    """Return the architecture that resolved settings describe.

    Raises:
        ConfigurationError: if the images are too small for it.
    """
    assert settings.dropout is not None
    if settings.model in NETWORKS and isinstance(pre, ImagePreprocessor):
        return ImageNetwork(settings.model, *pre.shape, pre.target.outputs, settings.dropout)
    assert settings.hidden is not None
    return MLP(
        width_of(pre), settings.hidden, pre.target.outputs, settings.activation, settings.dropout
    )


def network_settings(settings: TrainingSettings, data: Prepared) -> dict[str, Any]:
    """Return what is chosen for a network for images, by name.

    Raises:
        ConfigurationError: if there are settings that are of an MLP.
    """
    name = settings.model or data.usual_model
    if settings.hidden is not None or settings.activation != "relu":
        raise ConfigurationError(
            f"--hidden and --activation are for --model mlp; {name} has layers of its own"
        )
    samples = len(data.train[0])
    many, few = samples >= 10_000, samples < 1000
    return {
        "model": name,
        "augment": usual_augmentation(data.preprocessor),
        "dropout": NETWORKS[name].dropout or 0.0,
        "lr": {"sgd": 0.05, "adadelta": 1.0}.get(settings.optimizer, _RATES.get(name, _DEEP_RATE)),
        "epochs": 15 if many else 40,
        "batch": 128 if many else 32 if few else 64,
        "patience": 0,
    }


def usual_augmentation(pre: Preprocessor) -> tuple[str, ...]:
    """Return how images are changed in training where nobody says.

    All are moved. Mirrored are those in colour whose classes have names of several letters, none
    of which says left or right: digits, letters and signs are others in a mirror.
    """
    assert isinstance(pre, ImagePreprocessor)
    names = [name.lower() for name in pre.target.class_names]
    words = all(len(name) > 1 and not name.isdigit() and not _SIDED.search(name) for name in names)
    return ("shift", "flip") if pre.channels == 3 and words else ("shift",)


def augmentation_for(settings: TrainingSettings, pre: Preprocessor) -> Transform | None:
    """Return the transform of training images that settings name, None for none.

    Images are moved by at most an eighth of their shorter side.
    """
    names = settings.augment or ()
    if not isinstance(pre, ImagePreprocessor) or names in ((), ("none",)):
        return None
    made: dict[str, Transform] = {
        "shift": RandomCrop(max(1, min(pre.height, pre.width) // 8)),
        "flip": RandomHorizontalFlip(),
        "erase": RandomErasing(),
    }
    return Compose([made[name] for name in names])


def samples_of(pair: tuple[Any, Any], pre: Preprocessor, architecture: Architecture) -> Any:
    """Return samples as ``evaluate`` and ``predict`` take them.

    Args:
        pair: features and targets of a table; images as they are and labels, or None.
        pre: the preprocessing.
        architecture: of the model.
    """
    if not isinstance(pre, ImagePreprocessor):
        return pair if pair[1] is not None else pair[0]
    if isinstance(architecture, MLP):
        rows = pre.features(pair[0])
        return rows if pair[1] is None else (rows, pair[1])
    return ImageDataset(*pair, pre.batch).loader(JUDGED_AT_ONCE)


def training_samples(data: Prepared, settings: TrainingSettings, architecture: Architecture) -> Any:
    """Return the training part as ``Trainer.fit`` takes it.

    Of images for a network, or with augmentation, each batch is made when it is due.
    """
    pre, pair = data.preprocessor, data.train
    transform = augmentation_for(settings, pre)
    flat = isinstance(architecture, MLP)
    if not isinstance(pre, ImagePreprocessor) or (flat and transform is None):
        return samples_of(pair, pre, architecture)
    assert settings.batch is not None
    images = ImageDataset(*pair, pre.features if flat else pre.batch, transform)
    # Batch normalisation needs two values of a channel, and the last image may be alone.
    alone = len(images) > settings.batch and len(images) % settings.batch == 1
    return images.loader(settings.batch, shuffle=True, seed=settings.seed, drop_last=alone)


def some_of(pair: Pair, count: int, pre: Preprocessor, architecture: Architecture) -> Pair:
    """Return the first few samples of a part, as the model takes them."""
    x, y = pair[0][:count], pair[1][:count]
    if not isinstance(pre, ImagePreprocessor):
        return x, y
    return (pre.features(x) if isinstance(architecture, MLP) else pre.batch(x)), y
