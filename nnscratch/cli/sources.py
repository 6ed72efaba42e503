"""Reading the user's data: split into training, validation and test, and preprocessed."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nnscratch.cli.images import ImagePreprocessor
from nnscratch.cli.settings import TrainingSettings
from nnscratch.cli.tables import describe_columns, training_table
from nnscratch.cli.texts import refuse_prose, refuse_text_settings
from nnscratch.data import (
    ClassTarget,
    ImageFolder,
    RareClassWarning,
    Table,
    TablePreprocessor,
    Tokenizer,
    as_written,
    infer_task,
    load_digits,
    load_images,
    read_table,
    refuse_names,
    tokenizer_from_dict,
    train_test_split_indices,
)
from nnscratch.data.idx import has_idx
from nnscratch.data.image_files import resized
from nnscratch.data.image_sources import holds_idx, is_of_images
from nnscratch.errors import CheckpointError, ConfigurationError, DataError

DIGITS = "digits"
_MOST_RARE = 5
Array = npt.NDArray[Any]
Pair = tuple[Array, Array]
Preprocessor = ImagePreprocessor | TablePreprocessor


@dataclass
class Prepared:
    """Data that are ready to train on.

    Args:
        name: what to call them.
        preprocessor: what made them, and will make others for predictions.
        train: features (N, F) and targets; of images the pixels as they are, (N, height, width) or
            (N, channels, height, width).
        validation: likewise; None if there is none.
        test: likewise.
        files: where the images of "train", "validation" and "test" come from, for image files.
        table: the test rows as they are.
        rows: the numbers of the test rows in the file they come from, from 1.
        path: where they were found, from the root.
        fingerprint: what tells these data from others, for a run that goes on.
        learned: likewise of the rows to train on.
        judged: likewise of those for the validation.
        notes: what was recognised or decided in reading them, a line each.
        usual_model: what is trained on them where nobody says.
    """

    name: str
    preprocessor: Preprocessor
    train: Pair
    validation: Pair | None
    test: Pair
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    table: Table | None = None
    rows: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    path: str = ""
    fingerprint: str = ""
    learned: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    judged: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    notes: tuple[str, ...] = ()
    usual_model: str = "mlp"

    @property
    def kind(self) -> str:
        """The kind of the data, "images" or "table"."""
        return "images" if isinstance(self.preprocessor, ImagePreprocessor) else "table"


def prepare(settings: TrainingSettings) -> Prepared:
    """Read, split and preprocess what the settings name.

    The split and the preprocessing follow from the data and the settings, so the data are told
    from others by what comes out of them.

    Raises:
        DataError: if it cannot be read or used.
        ConfigurationError: if the settings do not fit it.
    """
    made = _prepared(settings)
    made.path = "" if settings.data == DIGITS else os.path.abspath(settings.data)
    made.fingerprint = _fingerprint(made)
    return made


def _fingerprint(data: Prepared) -> str:
    hashed = hashlib.blake2b(digest_size=16)
    hashed.update(json.dumps(data.preprocessor.to_dict(), sort_keys=True).encode())
    for part in (data.train, data.validation, data.test):
        for array in part or ():
            hashed.update(f"{array.shape}{array.dtype}".encode())
            hashed.update(np.ascontiguousarray(array).data)
    return hashed.hexdigest()


def _prepared(settings: TrainingSettings) -> Prepared:
    path = settings.data
    refuse_text_settings(settings)
    if path == DIGITS:
        _no_table_settings(settings, "the digits are images")
        digits = load_digits()
        if settings.size is not None:
            digits = replace(digits, images=resized(digits.images, _size(settings) or (8, 8)))
        return _images(settings, ImageFolder(DIGITS, digits))
    if not path:
        raise ConfigurationError(
            "name the data: `nnscratch train digits`, `nnscratch train FILE.csv --target COLUMN`, "
            "or `nnscratch train FOLDER` with images"
        )
    if Path(path).is_dir():
        _refuse_folder_of_tables(path)
        _no_table_settings(settings, f"{path} is a folder of images")
        folder = load_images(path, size=_size(settings))
        return _images(settings, folder, "mlp" if holds_idx(Path(path)) else "cnn")
    if is_of_images(Path(path)):
        _no_table_settings(settings, f"{path} holds images")
        return _images(settings, load_images(path, size=_size(settings)), "cnn")
    if not Path(path).exists():
        raise DataError(
            f"{path}: there is no such file or folder in {os.getcwd()}; {DIGITS!r} is the data "
            "set that comes along"
        )
    if settings.model not in (None, "mlp") or settings.size or settings.augment:
        raise ConfigurationError(
            f"--model {settings.model}, --size and --augment are for images, but {path} is a table"
        )
    if settings.target is None:
        refuse_prose(path)
    return _table(settings)


def _size(settings: TrainingSettings) -> tuple[int, int] | None:
    return None if settings.size is None else (settings.size[0], settings.size[1])


def _refuse_folder_of_tables(path: str) -> None:
    entries = sorted(Path(path).iterdir())
    names = [one.name for one in entries if one.is_file()]
    tables = [name for name in names if name.lower().endswith((".csv", ".tsv", ".parquet", ".gz"))]
    # Beside folders of images there may be a table of them.
    folders = any(one.is_dir() and not one.name.startswith(".") for one in entries)
    if tables and not folders and not has_idx(names):
        raise ConfigurationError(
            f"{path}: a folder is for images; of tables name one, such as "
            f"{Path(path) / tables[0]}, with --target COLUMN"
        )


def _no_table_settings(settings: TrainingSettings, why: str) -> None:
    for name in ("target", "exclude", "task", "separator"):
        if getattr(settings, name):
            raise ConfigurationError(f"--{name} is for tables, but {why}")


def parts_of_rows(
    n: int, settings: TrainingSettings, classes: Array | None, test: bool
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64] | None, npt.NDArray[np.int64]]:
    """Split n rows into training, validation and, if it is wanted, test rows.

    Of a few rows one is for the test, and none for the validation, where their shares are less.
    """
    rest = np.arange(n)
    held = np.empty(0, np.int64)
    # The validation part is a share of all rows, taken from those that are not in the test part.
    share = settings.validation / (1.0 - settings.held_out) if test else settings.validation
    if share >= 1.0:
        raise ConfigurationError(
            f"validation ({settings.validation}) and test ({settings.held_out}) leave nothing to "
            "train on"
        )
    if test:
        if n < 2:
            raise DataError(
                f"{settings.data}: {n} rows are too few: one is needed to train on and one to test"
            )
        held_share = min(max(settings.held_out, 1.0 / n), 1.0 - 1.0 / n)
        shares = (1.0 - held_share, held_share)
        rest, held = train_test_split_indices(n, shares, settings.split_seed, classes, "first")
    of_rest = None if classes is None else classes[rest]
    spare = len(rest) - (1 if of_rest is None else len(np.unique(of_rest)))
    if share == 0.0 or share * len(rest) <= 0.5 or spare < 1:
        return rest, None, held
    # At least one row of each class stays in the training part.
    share = min(share, spare / len(rest))
    shares = (1.0 - share, share)
    train, validation = train_test_split_indices(
        len(rest), shares, settings.split_seed, of_rest, "first"
    )
    return rest[train], rest[validation], held


def _say_rare(
    classes: Array,
    names: tuple[str, ...],
    parts: dict[str, Array | None],
    where: str,
    numbers: Array,
) -> None:
    """Warn of the classes that are not in every part, by their names and rows of the file."""
    listed = []
    for index, name in enumerate(names):
        rows = np.flatnonzero(classes == index)
        first = f"{numbers[rows[0]]:,}" if len(rows) else ""
        lacking = [p for p, of in parts.items() if of is not None and not np.isin(rows, of).any()]
        if lacking and len(rows):
            count = "1 row" if len(rows) == 1 else f"{len(rows):,} rows, the first is"
            listed.append(f"{name!r} ({count} {first}; none in the {', '.join(lacking)})")
    if listed:
        more = f", and {len(listed) - _MOST_RARE:,} more" if listed[_MOST_RARE:] else ""
        warnings.warn(
            RareClassWarning(
                f"{where}: classes with too few rows to be in every part: "
                f"{', '.join(listed[:_MOST_RARE])}{more}"
            ),
            stacklevel=2,
        )


def _images(settings: TrainingSettings, folder: ImageFolder, usual_model: str = "mlp") -> Prepared:
    given, test, checked = folder.train, folder.test, folder.validation
    if len(np.unique(given.labels)) < 2:
        only = given.class_names[int(given.labels[0])]
        raise DataError(
            f"{folder.name}: classification needs two classes or more, all images are of {only!r}"
        )
    if checked is not None:
        settings = replace(settings, validation=0.0)
    train, validation, held = parts_of_rows(len(given), settings, given.labels, test is None)
    if len(np.unique(given.labels[train])) < 2:
        raise DataError(
            f"{folder.name}: {len(given):,} images are too few: {len(train):,} would be left to "
            "train on, all of one class; add some to each class"
        )
    if test is None:
        test = given.take(held)
        rows = held + 1
        if given.names:
            parts = {"training": train, "validation": validation, "test": held}
            numbers = np.arange(1, len(given) + 1)
            _say_rare(given.labels, given.class_names, parts, folder.name, numbers)
    else:
        rows = np.arange(1, len(test) + 1)
    judged = train[:0] if validation is None else validation
    if validation is not None:
        checked = given.take(validation)
    learned = given.take(train)
    pre = ImagePreprocessor.fit(replace(learned, names=given.class_names))
    return Prepared(
        folder.name,
        pre,
        (learned.images, learned.labels),
        None if checked is None else (checked.images, checked.labels),
        (test.images, test.labels),
        files={}
        if not given.files
        else {
            "train": learned.files,
            "validation": () if checked is None else checked.files,
            "test": test.files,
        },
        rows=rows,
        learned=train + 1,
        judged=judged + 1,
        notes=folder.notes,
        usual_model=usual_model,
    )


def _table(settings: TrainingSettings) -> Prepared:
    path = settings.data
    table, name, rows = training_table(settings)
    values = table.column(name)
    task: Any = settings.task or infer_task(values)
    where = f"{table.source}: target column {name!r}"
    classes, target = None, None
    if task == "classification":
        if settings.task is None:
            refuse_names(values, name=where)
        table = _labels_as_written(table, name, rows, settings)
        values = table.column(name)
        target = ClassTarget.fit(values, name=where)
        classes = target.transform(values, name=where)
    train, validation, held = parts_of_rows(len(table), settings, classes, True)
    learned, test = table.take(train), table.take(held)
    if classes is not None and target is not None:
        if len(np.unique(classes[train])) < 2:
            raise DataError(
                f"{where}: {len(table):,} rows are too few: {len(train):,} would be left to train "
                "on, all of one class"
            )
        parts = {"training": train, "validation": validation, "test": held}
        _say_rare(classes, target.class_names, parts, where, rows)
    varied = len(np.unique(values)) > 1 if task == "regression" else True
    pre = TablePreprocessor.fit(learned, name, task=task, classes=target, constant=varied)
    reading = pre.reading.noting(*describe_columns(pre, table)) if pre.reading else None
    pre = replace(pre, reading=reading)

    def pair(part: Table) -> Pair:
        return pre.features(part), pre.targets(part)

    called = Path(path).stem
    if called.lower().endswith((".csv", ".tsv", ".txt")):
        # A name such as trees.csv.gz has a second suffix.
        called = Path(called).stem
    # What is said of a part counts its rows, not those of the file.
    source = table.source
    checked = None if validation is None else table.take(validation)
    return Prepared(
        called,
        pre,
        pair(learned),
        None if checked is None else pair(replace(checked, source=f"{source}, validation part")),
        pair(replace(test, source=f"{source}, test part")),
        table=test,
        rows=rows[held],
        learned=rows[train],
        judged=rows[:0] if validation is None else rows[validation],
        notes=() if reading is None else reading.notes,
    )


def _labels_as_written(
    table: Table, target: str, rows: npt.NDArray[np.int64], settings: TrainingSettings
) -> Table:
    """The table with its target as it is written in the file, where it is no text already.

    ``rows`` are the numbers of the table's rows in the file. In a Parquet file nothing is written:
    a number is a number there, and a boolean one.
    """
    values = table.column(target)
    with open(table.source, "rb") as stream:
        if values.dtype.kind not in "biuf" or stream.read(4) == b"PAR1":
            return table
    texts = read_table(
        table.source,
        columns=[target],
        kinds={target: "categorical"},
        separator=settings.separator,
        missing="keep",
    )
    labels = as_written(values, texts.column(target)[rows - 1])
    return replace(table, columns={**table.columns, target: labels})


def preprocessor_from(value: Any, where: str) -> Preprocessor | Tokenizer:
    """Return the preprocessing of a saved run.

    Raises:
        CheckpointError: if it is damaged.
    """
    if not isinstance(value, Mapping):
        raise CheckpointError(f"{where}: expected a dictionary")
    try:
        if str(value.get("form")) == "image-preprocessor":
            return ImagePreprocessor.from_dict(value)
        if str(value.get("form")) == "tokenizer":
            return tokenizer_from_dict(value)
        return TablePreprocessor.from_dict(value)
    except CheckpointError as error:
        raise CheckpointError(f"{where}: {error}") from None


def width_of(preprocessor: Preprocessor) -> int:
    """Return how many features there are."""
    if isinstance(preprocessor, ImagePreprocessor):
        return preprocessor.features_count
    return preprocessor.encoder.features
