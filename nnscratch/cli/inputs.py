"""Reading inputs for a saved model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from nnscratch.cli.images import ImagesToJudge, images_from
from nnscratch.cli.settings import TrainingSettings
from nnscratch.cli.sources import DIGITS, Preprocessor, parts_of_rows
from nnscratch.cli.tables import table_like
from nnscratch.data import Table, TablePreprocessor, load_digits
from nnscratch.data.image_files import resized
from nnscratch.errors import DataError

Array = npt.NDArray[Any]


@dataclass
class Inputs:
    """The inputs for a saved model.

    Args:
        features: (N, F); of images the pixels as they are.
        targets: (N,) or (N, 1), where they are known.
        files: where the images come from, for image files.
        table: the rows as they are.
    """

    features: Array
    targets: Array | None
    files: tuple[str, ...] = ()
    table: Table | None = None


def inputs_from(
    path: str, pre: Preprocessor, settings: TrainingSettings, *, labelled: bool
) -> Inputs:
    """Read inputs for a saved model, with the preprocessing of its training.

    Args:
        path: a file, a folder, or "digits": the part of them that was held out for the test.
        pre: the preprocessing.
        settings: those of the training.
        labelled: whether the targets are needed.

    Raises:
        DataError: if it cannot be read, or does not fit the model.
    """
    if isinstance(pre, TablePreprocessor):
        table = table_like(path, pre, settings, labelled=labelled)
        targets = pre.targets(table) if labelled else None
        return Inputs(pre.features(table), targets, table=table)
    if path == DIGITS and not Path(path).exists():
        digits = load_digits()
        chosen = parts_of_rows(len(digits), settings, digits.labels, True)[2]
        held = digits.take(chosen)
        images = held.images if settings.size is None else resized(held.images, pre.shape[1:])
        found = ImagesToJudge(images, held.labels)
    else:
        found = images_from(path, pre, settings.size)
    if labelled and found.labels is None:
        raise DataError(
            f"{path}: there are no labels to compare with; name a folder of images with both, such "
            "as FOLDER/cat/1.jpg, or a table with a column 'label'"
        )
    targets = None
    if labelled and found.labels is not None:
        targets = pre.target.transform(found.labels, name=path)
    return Inputs(found.images, targets, found.files)
