"""Preprocessing of images, and reading those to judge from files."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nnscratch.data import ClassTarget, LabelledImages, load_images, read_idx, read_table
from nnscratch.data.image_arrays import (
    as_images,
    checked_pixels,
    load_image_arrays,
    unlabelled_images,
)
from nnscratch.data.image_files import is_image, read_images, resized
from nnscratch.data.image_folders import files_to_judge
from nnscratch.data.image_sources import holds_image_files, is_npz, refuse_npy
from nnscratch.errors import CheckpointError, DataError

_FORM = "image-preprocessor"
_LABEL = "label"
_FEW_PIXELS = 1 << 16
"""Up to so many, grey pixels are looked up in a table of their 256 values."""
_DTYPES = ("uint8", "int8", "uint16", "int16", "float16", "float32", "float64")
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class ImagePreprocessor:
    """Turns images into numbers, (value / white − mean) / std, with a mean and std a channel.

    Args:
        channels: 1 for grey images, 3 for coloured ones.
        height: of every image.
        width: likewise.
        white: the largest value that a pixel can have.
        mean: of each channel of the training part's pixels, from 0 to 1.
        std: likewise.
        target: the classes.
        pixels: the dtype of the training's pixels, in which those of other files are understood.
    """

    channels: int
    height: int
    width: int
    white: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    target: ClassTarget
    pixels: str = "uint8"
    task: str = "classification"

    @classmethod
    def fit(cls, images: LabelledImages) -> ImagePreprocessor:
        """Compute mean and std of the training images."""
        channels, height, width = images.shape
        pixels, white = images.images, images.white
        each = [pixels] if pixels.ndim == 3 else [pixels[:, c] for c in range(channels)]
        mean = tuple(float(one.mean(dtype=np.float64)) / white for one in each)
        std = tuple(float(one.std(dtype=np.float64)) / white or 1.0 for one in each)
        target, dtype = ClassTarget(_labels(images)), pixels.dtype.name
        return cls(channels, height, width, white, mean, std, target, dtype)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        return (self.channels, self.height, self.width)

    @property
    def size(self) -> str:
        """The size of an image, to be read."""
        grey = "grey" if self.channels == 1 else f"{self.channels} channels"
        return f"{self.height} x {self.width} pixels, {grey}"

    @property
    def features_count(self) -> int:
        """How many features an image has."""
        return self.channels * self.height * self.width

    def batch(self, images: Array) -> npt.NDArray[np.float32]:
        """Return images (N, height, width) or (N, channels, height, width) for a network.

        Returns:
            (N, channels, height, width) float32.

        Raises:
            DataError: if they have another size.
        """
        return self.features(images).reshape(len(images), *self.shape)

    def features(self, images: Array) -> npt.NDArray[np.float32]:
        """Return images as rows of features, (N, channels · height · width) float32.

        Raises:
            DataError: if they have another size.
        """
        shape = images.shape[1:] if images.ndim == 4 else (1, *images.shape[1:])
        if images.ndim not in (3, 4) or shape != self.shape:
            raise DataError(f"the model takes images of {self.size}, got the shape {images.shape}")
        factor, offset = self._line
        if images.dtype == np.uint8 and self.channels == 1 and images.size <= _FEW_PIXELS:
            found: npt.NDArray[np.float32] = self._levels.take(images.reshape(len(images), -1))
            return found
        rows = images.reshape(len(images), self.channels, -1).astype(np.float32)
        rows *= factor
        rows -= offset
        return rows.reshape(len(images), -1)

    @functools.cached_property
    def _line(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """For each channel 1 / (white std), and mean / std."""
        std, mean = (np.asarray(one, np.float64)[:, None] for one in (self.std, self.mean))
        return (1.0 / (self.white * std)).astype(np.float32), (mean / std).astype(np.float32)

    @functools.cached_property
    def _levels(self) -> npt.NDArray[np.float32]:
        """The features of the 256 values that a grey pixel may have."""
        factor, offset = self._line
        levels: npt.NDArray[np.float32] = np.arange(256, dtype=np.float32) * factor[0]
        levels -= offset[0]
        return levels

    def visible(self, image: Array) -> npt.NDArray[np.uint8]:
        """Return one image as (height, width), or (height, width, channels), from 0 to 255."""
        pixels = np.clip(image * (255.0 / self.white), 0, 255).astype(np.uint8)
        return pixels if pixels.ndim == 2 else np.moveaxis(pixels, 0, 2).squeeze()

    def to_dict(self) -> dict[str, Any]:
        """What ``from_dict`` reads, in plain JSON types."""
        return {
            "form": _FORM,
            "version": 3,
            "channels": self.channels,
            "height": self.height,
            "width": self.width,
            "white": self.white,
            "pixels": self.pixels,
            "mean": list(self.mean),
            "std": list(self.std),
            "target": self.target.to_dict(),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> ImagePreprocessor:
        """Read what ``to_dict`` wrote, now or before: without the dtype, for grey images only.

        Raises:
            CheckpointError: if it is something else, or damaged.
        """
        first = value.get("version") == 1
        sizes: Any = [value.get(name) for name in ("height", "width", "white")]
        sizes.append(1 if first else value.get("channels"))
        white: Any = sizes[2]
        mean: Any = [value.get("mean")] if first else value.get("mean")
        std: Any = [value.get("std")] if first else value.get("std")
        usual = "float32" if white == 1 else "uint16" if white == 65535 else "uint8"
        pixels: Any = value.get("pixels") if value.get("version") == 3 else usual
        if (
            value.get("form") != _FORM
            or value.get("version") not in (1, 2, 3)
            or pixels not in _DTYPES
            or not all(type(n) is int and 1 <= n <= 1 << 16 for n in sizes)
            or not all(
                type(listed) is list
                and len(listed) == sizes[3]
                and all(type(n) in (int, float) and abs(n) < 1e6 for n in listed)
                for listed in (mean, std)
            )
            or min(std) <= 0
        ):
            raise CheckpointError(
                "the preprocessing of the images is damaged, or of a newer version"
            )
        target = ClassTarget.from_dict(value.get("target", {}))
        height, width, white, channels = sizes
        means, stds = tuple(map(float, mean)), tuple(map(float, std))
        return cls(channels, height, width, white, means, stds, target, pixels)


def _labels(images: LabelledImages) -> tuple[str, ...] | tuple[int, ...]:
    """The labels of the classes: whole numbers where all of their names are."""
    names = images.class_names
    if all(name.isascii() and name.isdigit() and str(int(name)) == name for name in names):
        return tuple(map(int, names))
    return names


@dataclass(frozen=True)
class ImagesToJudge:
    """Images for a model that is trained.

    Args:
        images: (N, height, width) or (N, channels, height, width), in the values of the training.
        labels: (N,) as they are written, where they are known.
        files: (N,) where they come from, for image files.
    """

    images: Array
    labels: Array | None = None
    files: tuple[str, ...] = ()


def images_from(
    path: str, wanted: ImagePreprocessor, size: tuple[int, ...] | None = None
) -> ImagesToJudge:
    """Return the images of a file or folder, and their labels if it has any.

    Of a folder of IDX or CIFAR files or an ``.npz`` file that is the test set, if it has one; of an
    IDX file its images. An image file, or those in a folder, are brought to the size of the model;
    the folders they lie in are their classes. A table has one image a row: a column for each pixel,
    row by row, and perhaps one named "label".

    Args:
        path: the file or folder.
        wanted: the preprocessing of the training.
        size: that to which arrays were brought in the training; None if they were left as they are.

    Raises:
        DataError: if it cannot be read, or the images have another size.
    """
    place = Path(path)
    if place.is_file() and is_image(path):
        return _image_files([place], None, wanted)
    if place.is_dir() and holds_image_files(place):
        return _image_files(*files_to_judge(place), wanted)
    npz = place.is_file() and is_npz(place)
    alone = unlabelled_images(place) if npz else None
    if alone is not None:
        return ImagesToJudge(_fitting(alone, path, wanted, size))
    if place.is_dir() or npz:
        # Wide integers stay so: to narrow them by their own maximum would say what they mean.
        folder = load_image_arrays(place, narrow=False) if npz else load_images(place)
        part = folder.test or folder.train
        names = np.array(_labels(part))
        return ImagesToJudge(_fitting(part.images, path, wanted, size), names[part.labels])
    refuse_npy(path)
    if not path.lower().endswith((".csv", ".tsv", ".txt", ".parquet", ".pq")):
        images = read_idx(path)
        if images.ndim not in (3, 4):
            raise DataError(
                f"{path}: expected images (N, {wanted.height} x {wanted.width}), found the shape "
                f"{images.shape}"
            )
        return ImagesToJudge(_fitting(as_images(images, path), path, wanted, size))
    return _rows_of_pixels(path, wanted, size)


def _image_files(
    files: list[Path], classes: list[str] | None, wanted: ImagePreprocessor
) -> ImagesToJudge:
    if wanted.channels not in (1, 3):
        raise DataError(
            f"{files[0]}: the model takes images of {wanted.channels} channels, and image files "
            "are grey or of three colours; name an .npz file"
        )
    images: Array = read_images(files, wanted.channels, (wanted.height, wanted.width))
    if wanted.white != 255:
        images = images * np.float32(wanted.white / 255)
    labels = None if classes is None else np.array(classes)
    return ImagesToJudge(images, labels, tuple(map(str, files)))


def _fitting(
    images: Array, path: str, wanted: ImagePreprocessor, size: tuple[int, ...] | None
) -> Array:
    """Images of an array, brought to the values and the size of those of the training."""
    images = valued(images, path, wanted)
    if size is not None:
        images = resized(images, (wanted.height, wanted.width))
    shape = images.shape[1:] if images.ndim == 4 else (1, *images.shape[1:])
    if shape != wanted.shape:
        raise DataError(
            f"{path}: the model takes images of {wanted.size}, these have the shape {images.shape}"
        )
    return images


def valued(images: Array, path: str, wanted: ImagePreprocessor) -> Array:
    """Images in the values of the training: the same dtype means the same values.

    The dtypes say what is to be done: integers of 8 and 16 bits have 255 and 65,535 for white,
    wider ones what the training's integers have, and floats are from 0 to 1 unless the training's
    were floats too. How bright the pixels of a file happen to be changes nothing, or dark pictures
    would be made bright; values that cannot be meant so are refused.

    Raises:
        DataError: if the dtypes do not say what the values mean, or the values contradict them.
    """
    given, trained = images.dtype, np.dtype(wanted.pixels)
    whole = {"uint8": 255, "uint16": 65535}.get(given.name)
    low, high = float(images.min()), float(images.max())
    if given.kind == "f" and trained.kind != "f":
        if low >= 0.0 and high <= 1.0:
            return images * np.float32(wanted.white)
        mend = (
            "floats are from 0 to 1: divide them by the largest value that a pixel can have, or "
            "save them"
        )
    elif given.kind == "f":
        if wanted.white > 1 or high <= 1.0:
            return images
        mend = "divide them by the largest value that a pixel can have, and save them"
    elif given == trained:
        return images
    elif trained.kind == "f" and wanted.white == 1:
        if whole is not None:
            return images.astype(np.float32) / np.float32(whole)
        mend = "divide them by the largest value that a pixel can have, and save them"
    else:
        # Both are in whole steps, whatever they are kept in: 8 and 16 bits must not be mixed up.
        wide = wanted.white > 255 if trained.kind == "f" else trained.itemsize > 1
        alike = given.itemsize > 2 or (given.itemsize > 1) == wide
        if high <= wanted.white and (alike or (given.itemsize == 1 and wanted.white <= 255)):
            return images if given.itemsize < 4 else images.astype(np.float32)
        mend = "scale them as those were (8 bits have 255 for white, 16 bits 65,535), and save them"
    raise DataError(
        f"{path}: the model was trained on images of {wanted.pixels} with {wanted.white:,} for "
        f"white, these are {given.name} from {low:g} to {high:g}; {mend} as {wanted.pixels}"
    )


def _rows_of_pixels(
    path: str, wanted: ImagePreprocessor, size: tuple[int, ...] | None
) -> ImagesToJudge:
    table = read_table(path)
    labels = table.column(_LABEL) if _LABEL in table else None
    names = [name for name in table.names if name != _LABEL]
    texts = [name for name in names if table.kinds[name] != "numeric"]
    if len(names) != wanted.features_count or texts:
        raise DataError(
            f"{path}: the model takes images of {wanted.height} x {wanted.width} pixels: "
            f"{wanted.features_count} columns of numbers, and perhaps one named {_LABEL!r}; found "
            f"{len(names)} columns" + (f", of which {texts[0]!r} holds no numbers" if texts else "")
        )
    # Of integers only it is int64: then the columns of a table say as much as an array's dtype.
    pixels = np.stack([table.column(name) for name in names], axis=1)
    images = checked_pixels(pixels.reshape(len(table), *wanted.shape), path)
    return ImagesToJudge(_fitting(images, path, wanted, size), labels)
