"""Parquet files, by Polars, which is imported when the first is read or written."""

import io
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nnscratch.data._io import FilePath
from nnscratch.data.csv_text import is_index_name
from nnscratch.data.table import ColumnKind, without_values
from nnscratch.data.text_column import TEXT, TextColumn
from nnscratch.data.values import Values
from nnscratch.errors import ConfigurationError, DataError


def is_parquet_name(path: FilePath) -> bool:
    """Whether a file is called as one of Parquet is."""
    return os.fspath(path).lower().endswith((".parquet", ".pq"))


def polars_for(what: str) -> Any:
    """The library that reads and writes Parquet files.

    Args:
        what: what it is needed for, as the beginning of the error.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        import polars
    except ImportError:
        raise ConfigurationError(
            f"{what}: Parquet files need Polars, which is not installed: "
            'pip install "nnscratch[parquet]", or take CSV'
        ) from None
    return polars


class ParquetColumns:
    """The columns of a Parquet file.

    Args:
        raw: the file.
        source: what to call it.

    Raises:
        DataError: it is damaged.
        ConfigurationError: Polars is not installed.
    """

    def __init__(self, raw: bytes, source: str) -> None:
        self._polars = polars_for(source)
        self._raw, self._source = raw, source
        self.names: tuple[str, ...] = tuple(
            self._try(lambda: self._polars.read_parquet_schema(raw))
        )
        self.index = next(filter(is_index_name, self.names), None)

    def read(
        self, values: Values, chosen: list[str], kinds: Mapping[str, ColumnKind], select: bool
    ) -> tuple[dict[str, npt.NDArray[Any]], list[str]]:
        """Read some columns as arrays; see `CsvRows.read`."""
        frame = self._try(
            lambda: self._polars.read_parquet(self._raw, columns=chosen).select(chosen)
        )
        if frame.height == 0:
            raise DataError(f"{self._source}: the file has column names but no rows")
        no_data = [
            name
            for name in chosen
            if select and is_index_name(name) and frame[name].n_unique() == frame.height
        ]
        left = [name for name in chosen if name not in no_data] or chosen
        values.decimal = "."
        return {
            name: _values(self._polars, values, frame[name], kinds.get(name)) for name in left
        }, no_data

    def notes(self, read: Collection[str]) -> list[str]:
        """Nothing: a Parquet file says what it is."""
        return []

    def _try(self, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except (KeyboardInterrupt, SystemExit):
            raise
        # A panic in polars is a BaseException; whatever a damaged file brings about is one error.
        except BaseException as error:
            first = str(error).strip().partition("\n")[0] or type(error).__name__
            raise DataError(
                f"{self._source}: truncated or damaged Parquet file ({first})"
            ) from error


def parquet_bytes(columns: Mapping[str, Sequence[Any]], path: str) -> bytes:
    """Return columns as the content of a Parquet file.

    Raises:
        ConfigurationError: Polars is not installed.
    """
    buffer = io.BytesIO()
    polars_for(path).DataFrame(columns).write_parquet(buffer)
    return buffer.getvalue()


def _values(polars: Any, values: Values, column: Any, kind: ColumnKind | None) -> npt.NDArray[Any]:
    """A column of Polars as an array of the kind it has to be; what is missing is NaN, NaT, None.

    Text is text here, even where it looks like numbers, but dates are as often written as text as
    in a CSV file.
    """
    dtype = column.dtype
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
        text = TextColumn(column.name, np.array(column.fill_null("").to_list(), TEXT))
        return values.of_typed_text(text) if kind is None else values.of(text, kind)
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
