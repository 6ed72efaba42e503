"""Tables: named columns, each of numbers, of true and false, of dates, or of text."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nnscratch.data._io import some
from nnscratch.data.reading import Reading
from nnscratch.errors import DataError

ColumnKind = Literal["numeric", "boolean", "categorical", "datetime"]

_Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Table:
    """Named columns of one length: complete, without NaN and infinity, if not said otherwise.

    Args:
        source: what to call the table in messages, usually the path of its file.
        columns: (N,) arrays by name. Whole numbers are kept as int64 (float64 where one does not
            fit), other numbers as float64, booleans as bool, dates as datetime64[us], text as
            Python strings.
        gaps: whether values may be missing: NaN, NaT, and None among booleans and text.
        reading: what was recognised in the file that the table comes from.

    Raises:
        DataError: there is no column, lengths differ, a value is missing (unless `gaps`) or
            infinite, or a column holds something else. The message names every such column, how
            many rows, and the first.

    >>> table = Table("flowers", {"width": np.array([0.2, 1.4]), "kind": np.array(["a", "b"])})
    >>> len(table), table.names, table.kinds
    (2, ('width', 'kind'), {'width': 'numeric', 'kind': 'categorical'})
    """

    source: str
    columns: Mapping[str, _Array]
    gaps: bool = False
    reading: Reading | None = None

    def __post_init__(self) -> None:
        if not self.columns:
            raise DataError(f"{self.source}: the table has no columns")
        columns = {name: _normalise(v, name, self.source) for name, v in self.columns.items()}
        lengths = {name: len(values) for name, values in columns.items()}
        if len(set(lengths.values())) > 1:
            shortest = min(lengths, key=lengths.__getitem__)
            longest = max(lengths, key=lengths.__getitem__)
            raise DataError(
                f"{self.source}: the columns have different lengths: {longest!r} has "
                f"{lengths[longest]:,} rows, {shortest!r} has {lengths[shortest]:,}"
            )
        object.__setattr__(self, "columns", MappingProxyType(columns))
        gaps = [g for name, values in columns.items() for g in _gaps(name, values, self.gaps)]
        if gaps:
            listed = "; ".join(gaps[:10]) + (f"; and {len(gaps) - 10} more" if gaps[10:] else "")
            raise DataError(
                f"{self.source}: {listed}. Fill these values in, or leave out the rows or columns"
            )

    def __len__(self) -> int:
        """The number of rows, N."""
        return len(next(iter(self.columns.values())))

    def __iter__(self) -> Iterator[str]:
        """The names of the columns, in order."""
        return iter(self.columns)

    def __contains__(self, name: object) -> bool:
        """Whether there is a column of that name."""
        return name in self.columns

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(self.columns)

    @property
    def kinds(self) -> dict[str, ColumnKind]:
        """For each column whether it is numeric, boolean, datetime or categorical (text)."""
        return {name: kind_of(values) for name, values in self.columns.items()}

    def column(self, name: str) -> _Array:
        """The values of one column, (N,).

        Raises:
            DataError: there is no such column; the message lists those there are.
        """
        if name not in self.columns:
            raise DataError(no_column(self.source, name, self.names))
        return self.columns[name]

    def select(self, names: Sequence[str]) -> "Table":
        """The table with these columns only, in this order.

        Raises:
            DataError: one of them is missing.
        """
        return self._with({name: self.column(name) for name in names})

    def without(self, names: Sequence[str]) -> "Table":
        """The table without these columns.

        Raises:
            DataError: one of them is missing, or none would be left.
        """
        for name in names:
            self.column(name)
        left = {name: values for name, values in self.columns.items() if name not in set(names)}
        if not left:
            raise DataError(f"{self.source}: no column is left after leaving out {some([*names])}")
        return self._with(left)

    def take(self, indices: npt.ArrayLike) -> "Table":
        """The rows at `indices`, in that order."""
        chosen = np.asarray(indices, np.int64)
        return self._with({name: v[chosen] for name, v in self.columns.items()})

    def missing(self, name: str) -> npt.NDArray[np.bool_]:
        """For each row whether the value of a column is missing, (N,)."""
        return is_missing(self.column(name))

    def _with(self, columns: Mapping[str, _Array]) -> "Table":
        return Table(self.source, columns, self.gaps, self.reading)


def kind_of(values: _Array) -> ColumnKind:
    """The kind of a column, from the data type that `Table` gave it."""
    kinds: dict[str, ColumnKind] = {"b": "boolean", "i": "numeric", "f": "numeric", "M": "datetime"}
    if values.dtype.kind == "O" and isinstance(_first_present(values), (bool, np.bool_)):
        return "boolean"
    return kinds.get(values.dtype.kind, "categorical")


def is_missing(values: _Array) -> npt.NDArray[np.bool_]:
    """For each value of a column whether it is missing, (N,)."""
    if values.dtype.kind == "f":
        return np.isnan(values)
    if values.dtype.kind == "M":
        return np.isnat(values)
    if values.dtype.kind == "O":
        return np.fromiter((value is None for value in values), np.bool_, len(values))
    return np.zeros(len(values), bool)


def without_values(rows: int, kind: ColumnKind) -> _Array:
    """A column of a kind in which every value is missing."""
    if kind == "datetime":
        return np.full(rows, np.datetime64("NaT", "us"))
    return np.full(rows, np.nan) if kind == "numeric" else np.full(rows, None, object)


def _first_present(values: _Array) -> Any:
    return next((value for value in values if value is not None), None)


def no_column(source: str, name: str, available: Sequence[str]) -> str:
    """The message for a column that is not there: the ones that are, and the likeliest meant."""
    message = f"{source}: there is no column {name!r}"
    folded = {other.strip().casefold(): other for other in available}
    close = difflib.get_close_matches(name.strip().casefold(), folded, n=1)
    message += f"; did you mean {folded[close[0]]!r}?" if close else "."
    message += f" The columns are {some([*available])}"
    numbers = sum(is_number(other) for other in available)
    if 1 < len(available) == numbers:
        message += ". They are all numbers: does the file lack the line with the column names?"
    elif 1 < len(available) <= 2 * numbers:
        message += ". Many are numbers: does the file lack the line with the column names?"
    return message


def is_number(text: str) -> bool:
    """Whether a text can be read as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _normalise(values: Any, name: str, source: str) -> _Array:
    array = np.asarray(values)
    where = f"{source}: column {name!r}"
    if array.ndim != 1:
        raise DataError(f"{where} has the shape {array.shape}; expected one value a row, (N,)")
    kind = array.dtype.kind
    if kind == "b":
        return array
    if kind in "iu":
        fits = kind == "i" or array.size == 0 or int(array.max()) <= np.iinfo(np.int64).max
        return array.astype(np.int64 if fits else np.float64, copy=False)
    if kind == "f":
        return array.astype(np.float64, copy=False)
    if kind == "M":
        return array.astype("datetime64[us]", copy=False)
    if kind in "UT":
        return array.astype(object)
    if kind == "O":
        kinds = set(map(type, array)) - {type(None)}
        if kinds <= {bool, np.bool_} and kinds:
            return array.astype(bool) if not any(v is None for v in array) else array
        if all(issubclass(one, str) for one in kinds):
            return array
        named = some(sorted(one.__name__ for one in kinds))
        raise DataError(f"{where} holds values of the types {named}; expected text alone")
    raise DataError(
        f"{where} has the data type {array.dtype}; expected numbers, booleans, dates or text"
    )


def _gaps(name: str, values: _Array, allowed: bool) -> Iterator[str]:
    """What is missing or infinite in a column, in words. Rows count from 1, without the header."""
    tests = []
    if not allowed and values.dtype.kind in "OfM":
        what = "empty or NaN" if values.dtype.kind == "f" else "empty"
        tests.append((what, is_missing(values)))
    if values.dtype.kind == "f":
        tests.append(("infinite", np.isinf(values)))
    for what, mask in tests:
        count = int(np.count_nonzero(mask))
        if count == len(values) and count:
            yield f"column {name!r} is {what} in all {count:,} rows"
        elif count:
            yield (
                f"column {name!r} is {what} in {count:,} of {len(values):,} rows, "
                f"first in row {int(np.argmax(mask)) + 1}"
            )
