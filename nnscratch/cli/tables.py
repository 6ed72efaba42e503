"""Tables for the command line: choosing the columns, and the remarks to print about them."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from nnscratch.cli.settings import TrainingSettings
from nnscratch.data import (
    CategoricalColumn,
    Reading,
    Table,
    TableFile,
    TablePreprocessor,
    TableWarning,
    screen,
)
from nnscratch.data.csv_text import SEPARATOR_NAMES
from nnscratch.data.table import no_column
from nnscratch.errors import ConfigurationError, DataError

_MOST_NOTES = 10
_MOST_CATEGORIES = 100
# The square of a larger error may overflow float64.
_LARGEST_TARGET = 1e150


def training_table(settings: TrainingSettings) -> tuple[Table, str, npt.NDArray[np.int64]]:
    """Read the table to train on.

    Rows without a target, and columns that can teach nothing, are left out of it.

    Returns:
        The table, the name of its target, and the number of each row in the file, from 1.

    Raises:
        DataError: it cannot be read, or there is no such column.
        ConfigurationError: no target is named, or it is excluded.
    """
    file = TableFile(settings.data, separator=settings.separator)
    exclude = named_columns(file, settings.exclude)
    if settings.target is None:
        listed = ", ".join(name for name in file.names if name not in exclude)
        raise ConfigurationError(
            f"{file.source}: say which column to predict with --target; the columns are {listed}"
        )
    target = _column(file, settings.target)
    if target in exclude:
        raise ConfigurationError(
            f"column {target!r} is the target, and --exclude leaves it out: it can be only one"
        )
    missing = _policy(settings)
    table = file.read(exclude=exclude, missing=missing)
    notes = _notes_of_reading(table.reading, file)
    if target not in table:
        # The column looks like row numbers, but the user chose it as the target.
        table = file.read(columns=[*table.names, target], missing=missing)
    if table.names == (target,) and file.index is not None and file.index != target:
        table = file.read(columns=[file.index, target], missing=missing)
        notes.append(f"there is no column but the target and {file.index!r}, the number of the row")
    else:
        notes += [f"column {n!r} numbers or names the rows: left out" for n in _index(file, table)]
    table, kept = _with_target(table, target)
    table = _screened(table, target, notes)
    reading = dataclasses.replace(table.reading or Reading(), notes=tuple(notes))
    return dataclasses.replace(table, reading=reading), target, kept + 1


def table_like(
    path: str, pre: TablePreprocessor, settings: TrainingSettings, *, labelled: bool
) -> Table:
    """Read a table as that of the training was read, its columns as they are needed.

    Args:
        path: the file.
        pre: the preprocessing of the training.
        settings: those of the training.
        labelled: whether the target is needed, too.

    Raises:
        DataError: it cannot be read, or does not fit the model.
    """
    names = [*pre.encoder.column_names, *([pre.target_name] if labelled else [])]
    file = TableFile(path)
    if settings.separator is not None and not set(names) <= set(file.names):
        file = TableFile(path, separator=settings.separator)
    missing = _policy(settings)
    table = file.read(columns=names, kinds=pre.kinds, missing=missing, like=pre.reading)
    return _with_target(table, pre.target_name)[0] if labelled else table


def named_columns(file: TableFile, given: Sequence[str]) -> list[str]:
    """The columns that --exclude names: each by itself, or several with commas between them.

    Raises:
        DataError: there is no such column.
    """
    found: list[str] = []
    for item in given:
        if item in file.names:
            found.append(item)
            continue
        parts = item.split(",")
        while parts:
            # Match the longest name first, because a name may contain commas.
            for count in range(len(parts), 0, -1):
                name = ",".join(parts[:count]).strip()
                if name in file.names or count == 1:
                    break
            parts = parts[count:]
            if name:
                found.append(_column(file, name))
    return found


def describe_columns(pre: TablePreprocessor, table: Table) -> list[str]:
    """Return the remarks on the columns that a preprocessing was fitted on, a line each."""
    gaps, many = [], []
    for column in pre.encoder.columns:
        if column.gaps:
            count = int(np.count_nonzero(table.missing(column.name)))
            gaps.append(f"{column.name!r} {count:,}")
        if isinstance(column, CategoricalColumn) and column.other:
            many.append(repr(column.name))
    made = []
    if gaps:
        made.append(
            f"gaps filled (numbers and dates with the median, others as a category of their own), "
            f"and shown by a feature: {_some(gaps)}"
        )
    if many:
        made.append(f"the {_MOST_CATEGORIES} most frequent categories are kept: {_some(many)}")
    return made


def shortened(notes: Sequence[str]) -> list[str]:
    """At most ten lines."""
    if len(notes) <= _MOST_NOTES:
        return list(notes)
    rest = len(notes) - _MOST_NOTES + 1
    return [*notes[: _MOST_NOTES - 1], f"and {rest} more, in preprocessing.json"]


def _column(file: TableFile, name: str) -> str:
    if name in file.names:
        return name
    if name.strip() in file.names:
        return name.strip()
    message = no_column(file.source, name, file.names)
    if len(file.names) == 1:
        message += ". If there should be more, say what stands between them: --separator"
    raise DataError(message)


def _policy(settings: TrainingSettings) -> Literal["keep", "refuse"]:
    return "keep" if settings.missing == "fill" else "refuse"


def _index(file: TableFile, table: Table) -> list[str]:
    return [name for name in (table.reading or Reading()).left_out if name in file.names]


def _notes_of_reading(reading: Reading | None, file: TableFile) -> list[str]:
    if reading is None:
        return []
    unusual = []
    if reading.compression:
        unusual.append(reading.compression)
    if reading.encoding not in ("", "UTF-8"):
        unusual.append(f"the encoding {reading.encoding}")
    if reading.separator not in ("", ","):
        name = SEPARATOR_NAMES.get(reading.separator, repr(reading.separator))
        unusual.append(f"{name} between values")
    dates = [note for note in reading.notes if note.startswith("dates")]
    others = [note for note in reading.notes if not note.startswith("dates")]
    return [*dates, *([f"the file: {', '.join(unusual)}"] if unusual else []), *others]


def _with_target(table: Table, target: str) -> tuple[Table, npt.NDArray[np.int64]]:
    """Return the rows that have a target, and their indices; warn of those that have none."""
    kept = np.arange(len(table))
    values = table.column(target)
    if values.dtype.kind == "M":
        raise DataError(
            f"{table.source}: target column {target!r} holds dates; a network predicts numbers or "
            "classes: add a column with what is meant (days from today, the month, ...)"
        )
    missing = table.missing(target)
    if missing.any():
        if missing.all():
            raise DataError(f"{table.source}: target column {target!r} is empty in all rows")
        row = int(np.argmax(missing)) + 1
        warnings.warn(
            TableWarning(
                f"{table.source}: {int(missing.sum()):,} of {len(table):,} rows have no target "
                f"({target!r}) and are left out, the first is row {row:,}"
            ),
            stacklevel=2,
        )
        kept = np.flatnonzero(~missing)
        table = table.take(kept)
        values = table.column(target)
        if values.dtype.kind == "f" and (np.abs(values) < 2.0**53).all():
            whole = values.astype(np.int64)
            # The integers became floats only because of the missing values.
            if (whole == values).all():
                columns = {**table.columns, target: whole}
                table = dataclasses.replace(table, columns=columns)
    if values.dtype.kind == "f" and float(np.abs(values).max(initial=0.0)) > _LARGEST_TARGET:
        at = int(np.argmax(np.abs(values)))
        raise DataError(
            f"{table.source}: target column {target!r} has the value {values[at]:g} in row "
            f"{int(kept[at]) + 1:,}, whose square no number holds: divide the column by a power of "
            "ten"
        )
    return table, kept


def _screened(table: Table, target: str, notes: list[str]) -> Table:
    found = screen(table, target)
    drop = [*found.empty, *found.identifiers]
    if len(drop) == len(table.names) - 1:
        # There is no other column to learn from.
        drop = list(found.empty)
    if found.empty:
        notes.append(f"columns without any value are left out: {_some(map(repr, found.empty))}")
    named = [name for name in found.identifiers if name in drop]
    if named:
        warnings.warn(
            TableWarning(
                f"{table.source}: columns with another value in every row (names, identifiers) "
                f"teach nothing and are left out: {_some(map(repr, named))}"
            ),
            stacklevel=2,
        )
    if found.counting:
        notes.append(
            f"{_some(map(repr, found.counting))} counts the rows and is a feature; leave it out "
            "with --exclude if it is but their number"
        )
    return table.without(drop) if drop else table


def _some(items: Iterable[str], most: int = 5) -> str:
    listed = list(items)
    more = f" and {len(listed) - most} more" if listed[most:] else ""
    return f"{', '.join(listed[:most])}{more}"
