"""Tables in files: CSV, and Parquet where Polars is installed."""

import os
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from nnscratch.data._io import FilePath, open_data_file, some
from nnscratch.data.csv_rows import CsvRows
from nnscratch.data.csv_text import open_csv
from nnscratch.data.file_kinds import as_utf8, unpack
from nnscratch.data.parquet import ParquetColumns, is_parquet_name
from nnscratch.data.reading import Reading, TableWarning
from nnscratch.data.table import ColumnKind, Table, no_column
from nnscratch.data.values import Values
from nnscratch.errors import ConfigurationError, DataError

_PARQUET_MAGIC = b"PAR1"
_KINDS = ("numeric", "boolean", "categorical", "datetime")


def read_table(
    path: FilePath,
    *,
    columns: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    kinds: Mapping[str, ColumnKind] | None = None,
    separator: str | None = None,
    missing: Literal["refuse", "keep"] = "refuse",
    like: Reading | None = None,
) -> Table:
    r"""Read a CSV file (with a line of column names) or a Parquet file.

    Which of the two it is shows in the file itself, and so do the separator (comma, semicolon, tab
    or vertical bar), the encoding (UTF-8, UTF-16, Windows-1252), compression (gzip, bzip2, xz, or
    a zip archive of one file), lines of remarks (#) above the names, and Excel's line `sep=;`. In a
    CSV file a column is numeric if its values are numbers (also such as 1,234.5 or, by the file,
    1.234,5, 12%, $3.50 and (7)), boolean if they are true or false, datetime if they are dates in
    one format, and otherwise categorical (text); figures of one length with leading zeros are
    codes, and so text. A Parquet file says what its columns are. A column that only numbers or
    names the rows (without a name, `Unnamed: 0`, `__index_level_0__`, `rownames`) is left out
    unless it is asked for; what was recognised is in the table's `reading`.

    Do not read a Parquet file from a source that you do not trust: Polars believes the sizes that
    its pages claim, and ends the whole process when the memory for them is not there. CSV files
    have no such sizes.

    Args:
        path: the file.
        columns: the columns to read, in this order; None for all. What is wrong with other columns
            does not matter.
        exclude: columns to leave out.
        kinds: columns whose kind is known, as from `TableEncoder.kinds`: their values are read as
            that kind, and one that cannot be is an error.
        separator: what stands between two values of a CSV file; by default it is recognised.
        missing: whether a missing value is refused, or kept as NaN, NaT or None. Kept, an odd value
            in a column of numbers or dates (`<0.01`, `n.d.`, an infinity) becomes one as well, and
            a `TableWarning` names it.
        like: what was recognised in an earlier file; it decides where this one leaves a choice.

    Raises:
        DataError: the file cannot be read as a table, a column that was asked for is missing (the
            message lists those there are, and the closest), or values are missing or infinite (it
            names the columns, the number of rows and the first one).
        ConfigurationError: it is a Parquet file and Polars is not installed, or an argument makes
            no sense.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "trees.csv")
    ...     _ = path.write_text("height;kind\n4,5;oak\n7;elm\n")
    ...     table = read_table(path)
    >>> table.column("height"), table.kinds["kind"], table.reading.separator
    (array([4.5, 7. ]), 'categorical', ';')
    """
    file = TableFile(path, separator=separator)
    return file.read(columns=columns, exclude=exclude, kinds=kinds, missing=missing, like=like)


class _Content(Protocol):
    """What is in a file: the names of its columns, and on demand their values."""

    names: tuple[str, ...]
    index: str | None

    def read(
        self, values: Values, chosen: list[str], kinds: Mapping[str, ColumnKind], select: bool
    ) -> tuple[dict[str, npt.NDArray[Any]], list[str]]: ...

    def notes(self, read: Collection[str]) -> list[str]: ...


class TableFile:
    r"""A file of a table whose columns are known and whose values are not yet read.

    Args:
        path: the file.
        separator: as for `read_table`.

    Raises:
        DataError: it cannot be read as a table.
        ConfigurationError: it is a Parquet file and Polars is not installed, or the separator
            makes no sense.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "trees.csv")
    ...     _ = path.write_text(",height,kind\n1,4.5,oak\n2,7,elm\n")
    ...     file = TableFile(path)
    >>> file.names, file.index
    (('column_1', 'height', 'kind'), 'column_1')
    """

    def __init__(self, path: FilePath, *, separator: str | None = None) -> None:
        if separator is not None and (
            len(separator) != 1 or not separator.isascii() or separator in '"\r\n'
        ):
            raise ConfigurationError(f"separator must be one ASCII character, got {separator!r}")
        self.source = os.fspath(path)
        self._reading = Reading()
        handle, size = open_data_file(path)
        with handle:
            if size == 0:
                raise DataError(f"{self.source}: the file is empty")
            raw = handle.read()
        if not raw.startswith(_PARQUET_MAGIC):
            raw, how = unpack(raw, self.source)
            self._reading = Reading(compression=how)
        self._content: _Content
        if raw.startswith(_PARQUET_MAGIC):
            self._content = ParquetColumns(raw, self.source)
        elif is_parquet_name(self.source):
            raise DataError(
                f"{self.source}: not a Parquet file: expected it to begin with 'PAR1', "
                f"found the bytes {raw[:4].hex(' ')}"
            )
        else:
            raw, encoding = as_utf8(raw, self.source)
            text = open_csv(raw, self.source, separator)
            self._content = CsvRows(text)
            self._reading = Reading(text.separator, encoding, self._reading.compression)
        self.names, self.index = self._content.names, self._content.index

    def read(
        self,
        *,
        columns: Sequence[str] | None = None,
        exclude: Sequence[str] = (),
        kinds: Mapping[str, ColumnKind] | None = None,
        missing: Literal["refuse", "keep"] = "refuse",
        like: Reading | None = None,
    ) -> Table:
        """Read the values; see `read_table`."""
        if missing not in ("refuse", "keep"):
            raise ConfigurationError(f"missing must be 'refuse' or 'keep', got {missing!r}")
        known = dict(kinds or {})
        for name, kind in known.items():
            if kind not in _KINDS:
                raise ConfigurationError(
                    f"the kind of column {name!r} must be one of "
                    f"{', '.join(map(repr, _KINDS))}, got {kind!r}"
                )
        chosen = _chosen(self.names, columns, exclude, self.source)
        keep = missing == "keep"
        values = Values(
            self.source,
            keep,
            self._reading.separator,
            None if like is None or like.separator != self._reading.separator else like.decimal,
            {} if like is None else like.dates,
        )
        read, left_out = self._content.read(values, chosen, known, columns is None)
        if keep:
            read = {name: _without_infinities(self.source, name, v) for name, v in read.items()}
        notes = (*self._content.notes(read), *values.say())
        reading = Reading(
            self._reading.separator,
            self._reading.encoding,
            self._reading.compression,
            values.decimal or ".",
            values.found_dates,
            tuple(left_out),
            notes,
        )
        return Table(self.source, read, keep, reading)


def _without_infinities(source: str, name: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    infinite = np.isinf(values) if values.dtype.kind == "f" else None
    if infinite is None or not infinite.any():
        return values
    warnings.warn(
        TableWarning(
            f"{source}: column {name!r} is infinite in {int(infinite.sum()):,} rows, first in row "
            f"{int(np.argmax(infinite)) + 1}; taken for missing"
        ),
        stacklevel=3,
    )
    return np.where(infinite, np.nan, values)


def _chosen(
    available: Sequence[str],
    columns: Sequence[str] | None,
    exclude: Sequence[str],
    source: str,
) -> list[str]:
    known = set(available)
    for name in [*(columns or ()), *exclude]:
        if name not in known:
            raise DataError(no_column(source, name, available))
    wanted = available if columns is None else dict.fromkeys(columns)
    left_out = set(exclude)
    left = [name for name in wanted if name not in left_out]
    if not left:
        raise DataError(f"{source}: no column is left to read after leaving out {some([*exclude])}")
    return left
