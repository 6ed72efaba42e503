"""Preprocessing of grey images, and reading them from files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nnscratch.data import ClassTarget, read_idx, read_table
from nnscratch.data.idx import load_idx_folder
from nnscratch.errors import CheckpointError, DataError

_FORM = "image-preprocessor"
_LABEL = "label"
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class ImagePreprocessor:
    """Turns grey images into rows of features, (value / white − mean) / std, with one mean and std.

    Args:
        height: of every image.
        width: of every image.
        white: the largest value that a pixel can have.
        mean: of the training part's pixels, from 0 to 1.
        std: likewise.
        target: the classes.
    """

    height: int
    width: int
    white: int
    mean: float
    std: float
    target: ClassTarget
    task: str = "classification"

    @classmethod
    def fit(cls, images: Array, white: int, classes: int) -> ImagePreprocessor:
        """Compute mean and std of the training images, (N, height, width)."""
        mean, std = float(images.mean()) / white, float(images.std()) / white
        target = ClassTarget(tuple(range(classes)))
        return cls(images.shape[1], images.shape[2], white, mean, std or 1.0, target)

    @property
    def features_count(self) -> int:
        """How many features an image has."""
        return self.height * self.width

    def features(self, images: Array) -> npt.NDArray[np.float32]:
        """Return images (N, height, width) as (N, height · width) float32.

        Raises:
            DataError: if they have another size.
        """
        if images.ndim != 3 or images.shape[1:] != (self.height, self.width):
            raise DataError(
                f"the model takes images of {self.height} x {self.width} pixels, got the shape "
                f"{images.shape}"
            )
        rows = images.reshape(len(images), -1).astype(np.float32)
        rows *= np.float32(1.0 / (self.white * self.std))
        rows -= np.float32(self.mean / self.std)
        return rows

    def to_dict(self) -> dict[str, Any]:
        """What ``from_dict`` reads, in plain JSON types."""
        return {
            "form": _FORM,
            "version": 1,
            "height": self.height,
            "width": self.width,
            "white": self.white,
            "mean": self.mean,
            "std": self.std,
            "target": self.target.to_dict(),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> ImagePreprocessor:
        """Read what ``to_dict`` wrote.

        Raises:
            CheckpointError: if it is something else, or damaged.
        """
        sizes: Any = [value.get(name) for name in ("height", "width", "white")]
        numbers: Any = [value.get(name) for name in ("mean", "std")]
        if (
            value.get("form") != _FORM
            or value.get("version") != 1
            or not all(type(n) is int and 1 <= n <= 1 << 16 for n in sizes)
            or not all(type(n) in (int, float) and abs(n) < 1e6 for n in numbers)
            or numbers[1] <= 0
        ):
            raise CheckpointError(
                "the preprocessing of the images is damaged, or of a newer version"
            )
        target = ClassTarget.from_dict(value.get("target", {}))
        height, width, white = sizes
        return cls(height, width, white, float(numbers[0]), float(numbers[1]), target)


def images_from(path: str, wanted: ImagePreprocessor) -> tuple[Array, Array | None]:
    """Return the images of a file or folder, and their labels if it has any.

    A folder of IDX files gives its test set, an IDX file its images, and a table one image a row:
    a column for each pixel, row by row, and perhaps one named "label".

    Raises:
        DataError: if it cannot be read, or the images have another size.
    """
    size = f"{wanted.height} x {wanted.width}"
    if Path(path).is_dir():
        folder = load_idx_folder(path)
        part = folder.test or folder.train
        return part.images, part.labels
    if not path.lower().endswith((".csv", ".tsv", ".txt", ".parquet", ".pq")):
        images = read_idx(path)
        if images.ndim != 3:
            raise DataError(f"{path}: expected images (N, {size}), found the shape {images.shape}")
        return images, None
    table = read_table(path)
    labels = table.column(_LABEL) if _LABEL in table else None
    names = [name for name in table.names if name != _LABEL]
    texts = [name for name in names if table.kinds[name] != "numeric"]
    if len(names) != wanted.features_count or texts:
        raise DataError(
            f"{path}: the model takes images of {size} pixels: {wanted.features_count} columns of "
            f"numbers, and perhaps one named {_LABEL!r}; found {len(names)} columns"
            + (f", of which {texts[0]!r} holds no numbers" if texts else "")
        )
    pixels = np.stack([table.column(name).astype(np.float32) for name in names], axis=1)
    return pixels.reshape(len(table), wanted.height, wanted.width), labels
