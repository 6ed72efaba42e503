"""Labelled images, and the handwritten digits that come with the package."""

from dataclasses import dataclass, field
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
    """Grey images and their labels.

    Args:
        name: what to call the data in reports and messages.
        images: (N, height, width), N at least 1.
        labels: (N,) whole numbers, none negative; kept as int64.
        white: the largest value that a pixel can have, which `features` maps to 1.

    Raises:
        DataError: the arrays do not fit together, are empty, or a label is not from 0 to 65,535.
    """

    name: str
    images: npt.NDArray[Any]
    labels: npt.NDArray[np.int64]
    white: int = 255

    def __post_init__(self) -> None:
        if self.images.ndim != 3:
            raise DataError(
                f"{self.name}: expected images of shape (N, height, width), "
                f"found {self.images.shape}"
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
        if int(self.labels.max()) >= _MOST_CLASSES:
            raise DataError(
                f"{self.name}: the label {int(self.labels.max()):,} is beyond the "
                f"{_MOST_CLASSES:,} classes that are supported; labels count from 0"
            )
        object.__setattr__(self, "labels", self.labels.astype(np.int64))

    def __len__(self) -> int:
        """The number of images, N."""
        return len(self.images)

    @property
    def classes(self) -> int:
        """The number of classes: one more than the largest label."""
        return int(self.labels.max()) + 1

    @property
    def class_names(self) -> tuple[str, ...]:
        """The labels as text, `'0'`, `'1'` and so on."""
        return tuple(str(label) for label in range(self.classes))

    def features(self, dtype: npt.DTypeLike = np.float32) -> _Array:
        """The images as rows of pixels from 0 to 1: (N, height · width) of `dtype`.

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
        return LabelledImages(self.name, self.images[chosen], self.labels[chosen], self.white)


@dataclass(frozen=True, eq=False)
class ImageFolder:
    """The training and the test set of one folder; the test set is None where there is none.

    Raises:
        DataError: the image sizes differ, or the test set has a label that training never shows.
    """

    name: str
    train: LabelledImages
    test: LabelledImages | None = field(default=None)

    def __post_init__(self) -> None:
        if self.test is None:
            return
        if self.train.images.shape[1:] != self.test.images.shape[1:]:
            raise DataError(
                f"{self.name}: training images are {_size(self.train)}, "
                f"test images {_size(self.test)}"
            )
        if self.test.classes > self.train.classes:
            raise DataError(
                f"{self.name}: the test set has the label {self.test.classes - 1}, but the largest "
                f"label of the training set is {self.train.classes - 1}"
            )


def _size(part: LabelledImages) -> str:
    return " x ".join(str(side) for side in part.images.shape[1:])


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
