"""Augmentation: random changes of images for the training, after which they are of the same class.

They are functions of a whole batch, and draw from the default generator: within a `DataLoader`
each batch has a stream of its own, so that a run repeats, and resumes, with the same bits.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from nnscratch.array.random import default_generator
from nnscratch.errors import ConfigurationError

_Images = npt.NDArray[Any]
Transform = Callable[[_Images], _Images]


@dataclass(frozen=True)
class RandomCrop:
    """Moves each image by up to `padding` pixels, along both axes.

    It is padded by that many of its own edge pixels, and a part of its size is cut out anywhere.

    Args:
        padding: the most pixels, 1 or more.

    >>> RandomCrop(1)(np.ones((4, 1, 8, 8), np.uint8)).shape
    (4, 1, 8, 8)
    """

    padding: int

    def __post_init__(self) -> None:
        if self.padding < 1:
            raise ConfigurationError(f"RandomCrop: padding must be 1 or more, got {self.padding}")

    def __call__(self, images: _Images) -> _Images:
        """Return images (N, channels, height, width) moved, each by its own distance."""
        most, (height, width) = self.padding, images.shape[2:]
        places = default_generator.randint(0, 2 * most + 1, (2, len(images)))
        padded = np.pad(images, ((0, 0), (0, 0), (most, most), (most, most)), mode="edge")
        windows = sliding_window_view(padded, (height, width), axis=(2, 3))
        moved: _Images = windows[np.arange(len(images)), :, places[0], places[1]]
        return moved


@dataclass(frozen=True)
class RandomHorizontalFlip:
    """Mirrors an image, left to right, with probability `p`.

    Args:
        p: from 0 to 1.

    >>> RandomHorizontalFlip(1.0)(np.array([[[[1, 2, 3]]]])).tolist()
    [[[[3, 2, 1]]]]
    """

    p: float = 0.5

    def __post_init__(self) -> None:
        _share("RandomHorizontalFlip", self.p)

    def __call__(self, images: _Images) -> _Images:
        """Return images (N, channels, height, width), some of them mirrored."""
        chosen = default_generator.uniform((len(images),)) < self.p
        return np.where(chosen[:, None, None, None], images[..., ::-1], images)


@dataclass(frozen=True)
class RandomErasing:
    """Fills a rectangle of an image with its mean, with probability `p`.

    It covers between 2 and 25% of the image, and is at most three times as wide as high or the
    other way round. Source: Zhong, Zheng, Kang, Li and Yang 2017, Random Erasing Data
    Augmentation, arXiv:1708.04896.

    Args:
        p: from 0 to 1.

    >>> int((RandomErasing(1.0)(np.eye(8)[None, None]) == 1 / 8).sum()) >= 1
    True
    """

    p: float = 0.5

    def __post_init__(self) -> None:
        _share("RandomErasing", self.p)

    def __call__(self, images: _Images) -> _Images:
        """Return a copy of images (N, channels, height, width), parts of some of them erased."""
        count, (height, width) = len(images), images.shape[2:]
        drawn = default_generator.uniform((5, count), "float64")
        area = height * width * (0.02 + 0.23 * drawn[1])
        aspect = 3.0 ** (2.0 * drawn[2] - 1.0)
        tall = np.clip(np.rint(np.sqrt(area * aspect)), 1, height).astype(int)
        wide = np.clip(np.rint(np.sqrt(area / aspect)), 1, width).astype(int)
        top = (drawn[3] * (height - tall + 1)).astype(int)
        left = (drawn[4] * (width - wide + 1)).astype(int)
        made = images.copy()
        for index in np.flatnonzero(drawn[0] < self.p):
            rows = slice(top[index], top[index] + tall[index])
            columns = slice(left[index], left[index] + wide[index])
            mean = images[index].mean(axis=(1, 2), keepdims=True)
            made[index, :, rows, columns] = mean.astype(images.dtype)
        return made


@dataclass(frozen=True)
class Compose:
    """Several transforms, one after the other.

    Args:
        transforms: the functions, in their order.
    """

    transforms: Sequence[Transform]

    def __call__(self, images: _Images) -> _Images:
        """Return the images after all transforms."""
        for transform in self.transforms:
            images = transform(images)
        return images


def _share(name: str, p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise ConfigurationError(f"{name}: p must be from 0 to 1, got {p}")
