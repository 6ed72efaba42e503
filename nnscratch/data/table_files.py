"""CSV and Parquet files, through polars, which is imported only when a file is read."""

import csv
import io
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nnscratch.data._io import FilePath, open_data_file, some
from nnscratch.data.table import ColumnKind, Table, is_number, no_column
from nnscratch.errors import ConfigurationError, DataError

# Each takes about a millisecond.
_MOST_COLUMNS = 100_000
_PARQUET_MAGIC = b"PAR1"
_SEPARATORS = (",", "\t", ";")
# How people write "no value" in a column of numbers. In a column of text the same letters may be a
# value of their own (NA is a country), so there only an empty field is a missing one.
_MISSING = ("na", "n/a", "#n/a", "nan", "null", "none", "?", "-")


def read_table(
    path: FilePath,
    *,
    columns: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    kinds: Mapping[str, ColumnKind] | None = None,
    separator: str | None = None,
) -> Table:
    r"""Read a CSV file (with a line of column names) or a Parquet file.

    Which of the two it is shows in the file itself. In a CSV file a column is numeric if every
    value is a number, boolean if every value is true or false, and otherwise categorical (text);
    a Parquet file says what its columns are. Do not read a Parquet file from a source that you do
    not trust: polars believes the sizes that its pages claim, and ends the whole process when the
    memory for them is not there. CSV files have no such sizes.

    Args:
        path: the file.
        columns: the columns to read, in this order; None for all. What is wrong with other columns
            does not matter.
        exclude: columns to leave out.
        kinds: columns whose kind is known, as from `TableEncoder.kinds`: their values are read as
            that kind, and one that cannot be is an error.
        separator: what stands between two values of a CSV file; by default a comma, a tab or a
            semicolon, the first of these that is in the line of names.

    Raises:
        DataError: the file cannot be read as a table, a column that was asked for is missing (the
            message lists those there are, and the closest), or values are missing or infinite (it
            names the columns, the number of rows and the first one).
        ConfigurationError: polars is not installed, or an argument makes no sense.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "trees.csv")
    ...     _ = path.write_text("height,kind\n4.5,oak\n7,elm\n")
    ...     table = read_table(path)
    >>> table.column("height"), table.kinds["kind"]
    (array([4.5, 7. ]), 'categorical')
    """
    if separator is not None and (len(separator) != 1 or not separator.isascii()):
        raise ConfigurationError(f"separator must be one ASCII character, got {separator!r}")
    for name, kind in (kinds or {}).items():
        if kind not in ("numeric", "boolean", "categorical"):
            raise ConfigurationError(
                f"the kind of column {name!r} must be 'numeric', 'boolean' or 'categorical', "
                f"got {kind!r}"
            )
    source = os.fspath(path)
    polars = _import_polars()
    handle, size = open_data_file(path)
    with handle:
        start = handle.read(len(_PARQUET_MAGIC))
        handle.seek(0)
        if size == 0:
            raise DataError(f"{source}: the file is empty")
        if start == _PARQUET_MAGIC:
            frame = _read_parquet(polars, handle, source, columns, exclude)
        elif source.lower().endswith((".parquet", ".pq")):
            raise DataError(
                f"{source}: not a Parquet file: expected it to begin with 'PAR1', "
                f"found the bytes {start.hex(' ')}"
            )
        else:
            text = _decode(handle.read(), source)
            frame = _read_csv(polars, text, source, separator, columns, exclude)
    if frame.height == 0:
        raise DataError(f"{source}: the file has column names but no rows")
    known = kinds or {}
    # In a Parquet file text is text, even where it looks like numbers.
    unknown: ColumnKind | None = "categorical" if start == _PARQUET_MAGIC else None
    return Table(
        source,
        {one.name: _values(polars, one, known.get(one.name), unknown, source) for one in frame},
    )


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


def _read_parquet(
    polars: Any,
    handle: Any,
    source: str,
    columns: Sequence[str] | None,
    exclude: Sequence[str],
) -> Any:
    try:
        available = list(polars.read_parquet_schema(handle))
        chosen = _chosen(available, columns, exclude, source)
        handle.seek(0)
        return polars.read_parquet(handle, columns=chosen).select(chosen)
    except (DataError, KeyboardInterrupt, SystemExit):
        raise
    # A panic in polars is a BaseException; whatever a damaged file brings about is one error here.
    except BaseException as error:
        raise DataError(
            f"{source}: truncated or damaged Parquet file ({_first_line(error)})"
        ) from error


def _decode(raw: bytes, source: str) -> str:
    if raw.startswith(b"\x1f\x8b"):
        raise DataError(f"{source}: the file is gzipped; unpack it first")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{source}: not UTF-8 text: line {line} has the byte 0x{raw[error.start]:02x}; "
            "save the file in UTF-8"
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(f"{source}: not a text file: line {line} has a zero byte")
    # Old Macintosh line ends, which no CSV parser but Python's takes for such.
    return text if "\n" in text else text.replace("\r", "\n")


def _read_csv(
    polars: Any,
    text: str,
    source: str,
    separator: str | None,
    columns: Sequence[str] | None,
    exclude: Sequence[str],
) -> Any:
    # Blank lines around the data are harmless; in the middle they are a row without values.
    text = text.strip("\r\n")
    if not text.strip():
        raise DataError(f"{source}: the file is empty")
    if separator is None:
        first = text.partition("\n")[0]
        separator = next((one for one in _SEPARATORS if one in first), ",")
    stream = io.StringIO(text, newline="")
    reader = csv.reader(stream, delimiter=separator, skipinitialspace=True, strict=True)
    try:
        names = [name.strip() for name in next(reader)]
    except csv.Error as error:
        raise DataError(f"{source}: the line of column names is malformed ({error})") from None
    _check_names(names, source)
    chosen = _chosen(names, columns, exclude, source)
    body = stream.read()
    if not body.strip():
        raise DataError(f"{source}: the file has column names but no rows")
    try:
        frame = polars.read_csv(
            body.encode(),
            has_header=False,
            schema=dict.fromkeys(names, polars.String),
            separator=separator,
        )
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        _explain_csv(text, source, separator, len(names))
        raise DataError(
            f"{source}: malformed CSV: quotation marks must enclose a whole value, and one inside "
            f"is written twice ({_first_line(error)})"
        ) from error
    if any(frame.null_count().row(0)):
        _explain_csv(text, source, separator, len(names))
    return frame.select(chosen)


def _check_names(names: list[str], source: str) -> None:
    if len(names) > _MOST_COLUMNS:
        raise DataError(
            f"{source}: {len(names):,} columns, more than the {_MOST_COLUMNS:,} that can be read"
        )
    for position, name in enumerate(names, start=1):
        if not name:
            raise DataError(f"{source}: column {position} of {len(names)} has no name")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        hint = ""
        if all(is_number(name) for name in names):
            hint = ". They are all numbers: does the file lack the line with the column names?"
        raise DataError(f"{source}: more than one column has the name {some(twice)}{hint}")


def _explain_csv(text: str, source: str, separator: str, width: int) -> None:
    """Raise an error that names the line, if a record has not as many values as there are names."""
    stream = io.StringIO(text, newline="")
    reader = csv.reader(stream, delimiter=separator, strict=True)
    line = 1
    try:
        for record in reader:
            if not record:
                raise DataError(f"{source}: line {line} is empty, between lines that are not")
            if len(record) != width:
                found = "1 value" if len(record) == 1 else f"{len(record)} values"
                raise DataError(f"{source}: line {line} has {found}, but there are {width} columns")
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{source}: malformed CSV from line {line} on ({error})") from None


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _values(
    polars: Any, column: Any, kind: ColumnKind | None, text_kind: ColumnKind | None, source: str
) -> npt.NDArray[Any]:
    """A polars column as an array of its kind; a missing value is NaN or None.

    `kind` is what the column has to be, `text_kind` what one of text is where nothing is asked.
    """
    where = f"{source}: column {column.name!r}"
    dtype = column.dtype
    if dtype in (polars.Categorical, polars.Enum) or (kind == "categorical" and _plain(dtype)):
        column = column.cast(polars.String)
    if column.dtype == polars.String:
        return _text_values(polars, column.str.strip_chars(), kind or text_kind, where)
    if dtype == polars.Null:
        return np.full(len(column), np.nan)
    if not _plain(dtype):
        raise DataError(
            f"{where} has the type {dtype}; expected numbers, booleans or text: "
            "convert it, or leave it out"
        )
    if (dtype == polars.Boolean) != (kind == "boolean") and kind is not None:
        raise DataError(f"{where} has the type {dtype}; expected {kind} values")
    if dtype == polars.Boolean:
        return np.array(column.to_list(), object)
    return _numbers(polars, column)


def _plain(dtype: Any) -> bool:
    return bool(dtype.is_numeric()) or str(dtype) == "Boolean"


def _numbers(polars: Any, column: Any) -> npt.NDArray[Any]:
    if not column.dtype.is_float() and column.null_count() == 0:
        whole = column.cast(polars.Int64, strict=False)
        if whole.null_count() == 0 and (whole.cast(column.dtype) == column).all():
            return np.asarray(whole.to_numpy(), np.int64)
    return np.asarray(column.cast(polars.Float64).to_numpy(), np.float64)


def _text_values(polars: Any, text: Any, kind: ColumnKind | None, where: str) -> npt.NDArray[Any]:
    folded = text.str.to_lowercase()
    empty = text.is_null() | (text == "")
    missing = empty | folded.is_in(list(_MISSING))
    if kind in (None, "numeric"):
        numbers = text.cast(polars.Float64, strict=False)
        if (numbers.is_not_null() | missing).all():
            if not missing.any():
                whole = text.cast(polars.Int64, strict=False)
                if whole.null_count() == 0:
                    return np.asarray(whole.to_numpy(), np.int64)
            return np.asarray(numbers.fill_null(float("nan")).to_numpy(), np.float64)
        if kind == "numeric":
            _refuse(text, ~(numbers.is_not_null() | missing), "a number", where)
    if kind in (None, "boolean"):
        truth = folded.is_in(["true", "false"])
        if (truth | missing).all():
            values = np.array((folded == "true").to_list(), object)
            values[missing.to_numpy()] = None
            return values
        if kind == "boolean":
            _refuse(text, ~(truth | missing), "true or false", where)
    values = np.array(text.to_list(), object)
    values[empty.fill_null(True).to_numpy()] = None
    return values


def _refuse(text: Any, wrong: Any, expected: str, where: str) -> None:
    row = int(np.argmax(wrong.to_numpy()))
    raise DataError(
        f"{where}: expected {expected} in every row, found {text[row]!r} in row {row + 1} "
        f"({int(wrong.sum()):,} such rows)"
    )
