"""Labelled images, and the handwritten digits that come with the package."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nnscratch.data._parallel import over_rows
from nnscratch.data.npz import read_npz
from nnscratch.data.standardise import floating
from nnscratch.errors import DataError

_Array = npt.NDArray[Any]

_MOST_CLASSES = 1 << 16


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images and their labels.

    Args:
        name: what to call the data in reports and messages.
        images: (N, height, width), or (N, channels, height, width); N at least 1.
        labels: (N,) whole numbers, none negative; kept as int64.
        white: the largest value that a pixel can have, which `features` maps to 1.
        names: of the classes, label i is that of `names[i]`; without them the labels themselves.
        files: (N,) where each image comes from; empty where they are of one file.

    Raises:
        DataError: the arrays do not fit together, are empty, or a label is not from 0 to 65,535,
            or beyond the names.
    """

    name: str
    images: npt.NDArray[Any]
    labels: npt.NDArray[np.int64]
    white: int = 255
    names: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.images.ndim not in (3, 4):
            raise DataError(
                f"{self.name}: expected images of shape (N, height, width) or "
                f"(N, channels, height, width), found {self.images.shape}"
            )
        if self.labels.ndim != 1 or self.labels.dtype.kind not in "ui":
            raise DataError(
                f"{self.name}: expected labels of shape (N,) in whole numbers, "
                f"found shape {self.labels.shape} of {self.labels.dtype}"
            )
        if len(self.images) != len(self.labels):
            raise DataError(
                f"{self.name}: {len(self.images):,} images but {len(self.labels):,} labels"
            )
        if self.images.size == 0:
            raise DataError(f"{self.name}: no images: the shape is {self.images.shape}")
        if int(self.labels.min()) < 0:
            raise DataError(f"{self.name}: a label is negative: {int(self.labels.min())}")
        most = int(self.labels.max())
        if most >= _MOST_CLASSES:
            raise DataError(
                f"{self.name}: the label {most:,} is beyond the "
                f"{_MOST_CLASSES:,} classes that are supported; labels count from 0"
            )
        if self.names and most >= len(self.names):
            raise DataError(
                f"{self.name}: the label {most} is beyond the {len(self.names)} names of classes"
            )
        object.__setattr__(self, "labels", self.labels.astype(np.int64))

    def __len__(self) -> int:
        """The number of images, N."""
        return len(self.images)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of every image."""
        height, width = self.images.shape[-2:]
        return (self.images.shape[1] if self.images.ndim == 4 else 1, height, width)

    @property
    def classes(self) -> int:
        """The number of classes: that of the names, or one more than the largest label."""
        return len(self.names) or int(self.labels.max()) + 1

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes; without any the labels as text, `'0'`, `'1'` and so on."""
        return self.names or tuple(str(label) for label in range(self.classes))

    def features(self, dtype: npt.DTypeLike = np.float32) -> _Array:
        """The images as rows of pixels from 0 to 1: (N, channels · height · width) of `dtype`.

        Raises:
            ConfigurationError: `dtype` is no floating-point type.
        """
        target = floating(dtype)
        pixels = self.images.reshape(len(self.images), -1)
        rows = np.empty(pixels.shape, target)
        white = target.type(self.white)

        def convert(part: slice) -> None:
            # In one pass: converted first, divided afterwards, a large set passes memory twice.
            np.divide(pixels[part], white, out=rows[part], dtype=target, casting="unsafe")

        over_rows(convert, len(rows), rows.nbytes)
        return rows

    def take(self, indices: npt.ArrayLike) -> "LabelledImages":
        """The images and labels at `indices`, in that order."""
        chosen = np.asarray(indices, np.int64)
        files = tuple(self.files[index] for index in chosen) if self.files else ()
        return replace(self, images=self.images[chosen], labels=self.labels[chosen], files=files)


@dataclass(frozen=True, eq=False)
class ImageFolder:
    """The images to train on, and those for validation and test; None where there are none.

    Args:
        name: what to call the data.
        train: the training set.
        test: the test set, with the same names of classes.
        validation: likewise.
        notes: what was recognised or decided in reading them, a sentence each.

    Raises:
        DataError: the image sizes differ, or a set has a label that training never shows.
    """

    name: str
    train: LabelledImages
    test: LabelledImages | None = None
    validation: LabelledImages | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for what, part in (("test", self.test), ("validation", self.validation)):
            if part is None:
                continue
            if self.train.images.shape[1:] != part.images.shape[1:]:
                raise DataError(
                    f"{self.name}: training images are {_size(self.train)}, "
                    f"{what} images {_size(part)}"
                )
            if part.classes > self.train.classes:
                raise DataError(
                    f"{self.name}: the {what} set has the label {part.classes - 1}, but the "
                    f"largest label of the training set is {self.train.classes - 1}"
                )


def _size(part: LabelledImages) -> str:
    return " x ".join(str(side) for side in part.images.shape[1:])


def sorted_names(
    labels: npt.NDArray[Any], names: Sequence[str]
) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Labels, and the names of their classes in ascending order, whole numbers by their value.

    Args:
        labels: (N,) label i is that of `names[i]`.
        names: of the classes, all different.

    >>> sorted_names(np.array([0, 1]), ("oak", "elm"))
    (array([1, 0]), ('elm', 'oak'))
    >>> sorted_names(np.array([0, 1]), ("10", "9"))
    (array([1, 0]), ('9', '10'))
    """
    numbers = all(name.isascii() and name.isdigit() and str(int(name)) == name for name in names)
    order = sorted(range(len(names)), key=lambda i: int(names[i]) if numbers else names[i])
    place = np.empty(len(names), np.int64)
    place[order] = np.arange(len(names))
    return place[np.asarray(labels)], tuple(names[i] for i in order)


def load_digits() -> LabelledImages:
    """The 1797 handwritten digits that come with the package, as images of 8 x 8 pixels.

    E. Alpaydin, C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning
    Repository, https://doi.org/10.24432/C50P49; CC BY 4.0. The licence lies beside the file.

    Returns:
        images (1797, 8, 8) uint8 with values from 0 to 16, labels (1797,) int64 from 0 to 9.

    Raises:
        DataError: the file in the installed package is damaged.

    >>> digits = load_digits()
    >>> digits.images.shape, digits.features().shape, digits.classes
    ((1797, 8, 8), (1797, 64), 10)
    """
    # Imported here to keep `import nnscratch` fast.
    from importlib.resources import as_file, files

    with as_file(files("nnscratch.data").joinpath("bundled", "digits.npz")) as path:
        arrays = read_npz(path)
    return LabelledImages("digits", arrays["images"], arrays["labels"].astype(np.int64), 16)
