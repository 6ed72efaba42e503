"""CSV and Parquet files, through polars, which is imported only when a file is read."""

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nnscratch.data._io import FilePath, open_data_file, some
from nnscratch.data.csv_text import CsvText, is_index_name, open_csv, read_body
from nnscratch.data.file_kinds import as_utf8, unpack
from nnscratch.data.reading import Reading, TableWarning
from nnscratch.data.table import ColumnKind, Table, no_column, without_values
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

    Do not read a Parquet file from a source that you do not trust: polars believes the sizes that
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
        ConfigurationError: polars is not installed, or an argument makes no sense.

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


class TableFile:
    r"""A file of a table whose columns are known and whose values are not yet read.

    Args:
        path: the file.
        separator: as for `read_table`.

    Raises:
        DataError: it cannot be read as a table.
        ConfigurationError: polars is not installed, or the separator makes no sense.

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
        self._polars = _import_polars()
        self._text: CsvText | None = None
        self._reading = Reading()
        handle, size = open_data_file(path)
        with handle:
            if size == 0:
                raise DataError(f"{self.source}: the file is empty")
            raw = handle.read()
        if not raw.startswith(_PARQUET_MAGIC):
            raw, how = unpack(raw, self.source)
            self._reading = Reading(compression=how)
        if raw.startswith(_PARQUET_MAGIC):
            self._raw = raw
            self.names = tuple(self._parquet(lambda: self._polars.read_parquet_schema(raw)))
            named = [name for name in self.names if is_index_name(name)]
            self.index = named[0] if named else None
        elif self.source.lower().endswith((".parquet", ".pq")):
            raise DataError(
                f"{self.source}: not a Parquet file: expected it to begin with 'PAR1', "
                f"found the bytes {raw[:4].hex(' ')}"
            )
        else:
            raw, encoding = as_utf8(raw, self.source)
            self._text = text = open_csv(raw, self.source, separator)
            self._reading = Reading(text.separator, encoding, self._reading.compression)
            self.names = tuple(text.names)
            self.index = text.index

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
        text = self._text
        frame = read_body(self._polars, text) if text else self._frame(chosen)
        if frame.height == 0:
            raise DataError(f"{self.source}: the file has column names but no rows")
        left_out: list[str] = []
        if columns is None:
            left_out = [name for name in chosen if self._is_no_data(frame, name)]
            chosen = [name for name in chosen if name not in left_out] or chosen
        frame = frame.select(chosen)
        keep = missing == "keep"
        values = Values(
            self._polars,
            self.source,
            keep,
            self._reading.separator,
            None if like is None or like.separator != self._reading.separator else like.decimal,
            {} if like is None else like.dates,
        )
        if text is None:
            values.decimal = "."
        else:
            values.look(frame, known)
        # In a Parquet file text is text, even where it looks like numbers.
        unknown: ColumnKind | None = "categorical" if text is None else None
        read = {one.name: _values(values, one, known.get(one.name), unknown) for one in frame}
        if keep:
            read = {name: _without_infinities(self.source, name, v) for name, v in read.items()}
        notes = values.say()
        if text is not None:
            called = [f"a column without a name is called {n!r}" for n in text.unnamed if n in read]
            notes = (*text.notes, *called, *notes)
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

    def _is_no_data(self, frame: Any, name: str) -> bool:
        """Whether a column only numbers or names the rows, or is an empty one at the end."""
        column = frame.get_column(name)
        if self._text is not None and name == self._text.trailing:
            return bool(column.null_count() == len(column))
        if self._text is not None and name != self.index:
            return False
        return (name == self.index or is_index_name(name)) and bool(
            column.n_unique() == len(column)
        )

    def _frame(self, chosen: list[str]) -> Any:
        return self._parquet(
            lambda: self._polars.read_parquet(self._raw, columns=chosen).select(chosen)
        )

    def _parquet(self, read: Any) -> Any:
        try:
            return read()
        except (KeyboardInterrupt, SystemExit):
            raise
        # A panic in polars is a BaseException; whatever a damaged file brings about is one error.
        except BaseException as error:
            raise DataError(
                f"{self.source}: truncated or damaged Parquet file ({_first_line(error)})"
            ) from error


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


def _import_polars() -> Any:
    try:
        import polars
    except ImportError as error:
        raise ConfigurationError(
            "reading CSV and Parquet files needs polars, which is not installed: "
            'pip install "nnscratch[cli]"'
        ) from error
    return polars


def _chosen(
    available: Sequence[str],
    columns: Sequence[str] | None,
    exclude: Sequence[str],
    source: str,
) -> list[str]:
    for name in [*(columns or ()), *exclude]:
        if name not in available:
            raise DataError(no_column(source, name, available))
    wanted = available if columns is None else dict.fromkeys(columns)
    left = [name for name in wanted if name not in set(exclude)]
    if not left:
        raise DataError(f"{source}: no column is left to read after leaving out {some([*exclude])}")
    return left


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _values(
    values: Values, column: Any, kind: ColumnKind | None, text_kind: ColumnKind | None
) -> npt.NDArray[Any]:
    """A polars column as an array of its kind; a missing value is NaN, NaT or None.

    `kind` is what the column has to be, `text_kind` what one of text is where nothing is asked.
    """
    polars, dtype = values.polars, column.dtype
    where = f"{values.source}: column {column.name!r}"
    if dtype == polars.Time:
        # A time of day alone: of the first day, so that its hour counts.
        column = column.cast(polars.Duration("us")).cast(polars.Int64).cast(polars.Datetime("us"))
    elif isinstance(dtype, polars.Datetime) and dtype.time_zone:
        column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    elif isinstance(dtype, polars.Duration):
        column = column.dt.total_microseconds() / 1e6
    dtype = column.dtype
    if dtype in (polars.Categorical, polars.Enum) or (
        kind == "categorical" and (_plain(dtype) or dtype.is_temporal())
    ):
        column = column.cast(polars.String)
    if column.dtype == polars.String:
        if kind is None and text_kind == "categorical":
            # Text it is, but dates are as often written as text here as in a CSV file.
            return values.of_typed_text(column)
        return values.of(column, kind or text_kind)
    if dtype == polars.Null:
        return without_values(len(column), kind or "numeric")
    if dtype.is_temporal() and kind in (None, "datetime"):
        return np.asarray(column.cast(polars.Datetime("us")).to_numpy(), "datetime64[us]")
    if not _plain(dtype) and not dtype.is_temporal():
        raise DataError(
            f"{where} has the type {dtype}; expected numbers, booleans, dates or text: "
            "convert it, or leave it out"
        )
    if kind == "boolean" and dtype.is_numeric() and column.drop_nulls().is_in([0, 1]).all():
        column = column.cast(polars.Boolean)
    elif kind == "numeric" and dtype == polars.Boolean:
        column = column.cast(polars.Int64)
    elif kind is not None and kind != _kind_of_type(polars, dtype):
        raise DataError(f"{where} has the type {dtype}; expected {kind} values")
    if column.dtype == polars.Boolean:
        return np.array(column.to_list(), object)
    return _numbers(polars, column)


def _kind_of_type(polars: Any, dtype: Any) -> ColumnKind:
    if dtype == polars.Boolean:
        return "boolean"
    return "datetime" if dtype.is_temporal() else "numeric"


def _plain(dtype: Any) -> bool:
    return bool(dtype.is_numeric()) or str(dtype) == "Boolean"


def _numbers(polars: Any, column: Any) -> npt.NDArray[Any]:
    if not column.dtype.is_float() and column.null_count() == 0:
        whole = column.cast(polars.Int64, strict=False)
        if whole.null_count() == 0 and (whole.cast(column.dtype) == column).all():
            return np.asarray(whole.to_numpy(), np.int64)
    return np.asarray(column.cast(polars.Float64).to_numpy(), np.float64)
