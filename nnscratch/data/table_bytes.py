"""Columns as the content of a file of a table, CSV or Parquet by the file's name."""

import csv
import datetime
import io
import os
from collections.abc import Mapping, Sequence
from typing import Any

from nnscratch.data._io import FilePath
from nnscratch.data.parquet import is_parquet_name, parquet_bytes, polars_for


def check_table_name(path: FilePath) -> None:
    """See that a table can be written to a file of that name, before the work begins.

    Raises:
        ConfigurationError: it is one of Parquet, and Polars is not installed.
    """
    if is_parquet_name(path):
        polars_for(os.fspath(path))


def table_bytes(columns: Mapping[str, Sequence[Any]], path: FilePath) -> bytes:
    r"""Return columns as the content of a file: Parquet where its name says so, else CSV.

    In CSV the separator is a comma, a line ends in "\n", and what is missing is empty.

    Args:
        columns: values by name, of one length: numbers, booleans, date-times, text, None.
        path: the file.

    Raises:
        ConfigurationError: Parquet is asked for, and Polars is not installed.

    >>> table_bytes({"kind": ["oak", "a, b"], "wild": [True, None]}, "trees.csv")
    b'kind,wild\noak,true\n"a, b",\n'
    """
    if is_parquet_name(path):
        return parquet_bytes(columns, os.fspath(path))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(map(_written, column) for column in columns.values()), strict=True))
    return text.getvalue().encode()


def _written(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value != value:
        return "NaN"
    if isinstance(value, datetime.datetime):
        return value.isoformat(timespec="microseconds")
    return value
