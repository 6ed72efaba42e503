"""The rows of a CSV file as columns of text, a piece of the file at a time."""

import csv
import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from nnscratch.data.csv_text import SEPARATOR_NAMES, CsvText, values_of_any_length
from nnscratch.data.table import ColumnKind
from nnscratch.data.text_column import TEXT, TextColumn
from nnscratch.data.values import Values
from nnscratch.errors import DataError

# Bytes of a piece: its texts are Python strings for a moment, some fifty bytes more each. A piece
# has a few rows at least, as every column is touched for each.
_PIECE, _ROWS = 1 << 18, 16


class CsvRows:
    """The columns of a CSV file.

    Args:
        text: the file, of which the first line is understood.
    """

    def __init__(self, text: CsvText) -> None:
        self._text = text
        self.names = tuple(text.names)
        self.index = text.index

    def read(
        self, values: Values, chosen: list[str], kinds: Mapping[str, ColumnKind], select: bool
    ) -> tuple[dict[str, npt.NDArray[Any]], list[str]]:
        """Read some columns as arrays.

        Args:
            values: how texts become values; what is recognised is kept in it.
            chosen: the columns to read.
            kinds: what the kind of a column has to be.
            select: whether columns that are no data are left out, unless there are no others.

        Returns:
            The columns by name, and the names of those left out.

        Raises:
            DataError: there are no rows, or a value is none of its kind.
        """
        columns = read_rows(self._text, chosen)
        if not len(columns[chosen[0]]):
            raise DataError(f"{values.source}: the file has column names but no rows")
        no_data = [name for name in chosen if select and self._is_no_data(columns[name])]
        left = [name for name in chosen if name not in no_data] or chosen
        values.look((columns[name] for name in left), kinds, b"NA" in self._text.body)
        # A column of text is given up as soon as its values are known.
        return {name: values.of(columns.pop(name), kinds.get(name)) for name in left}, no_data

    def notes(self, read: Collection[str]) -> list[str]:
        """What was done with the names, a sentence each."""
        called = [
            f"a column without a name is called {name!r}"
            for name in self._text.unnamed
            if name in read
        ]
        return [*self._text.notes, *called]

    def _is_no_data(self, column: TextColumn) -> bool:
        """Whether a column only numbers or names the rows, or is an empty one at the end."""
        if column.name == self._text.trailing:
            return column.is_empty()
        return column.name == self.index and column.names_rows()


def read_rows(text: CsvText, names: Sequence[str]) -> dict[str, TextColumn]:
    """Read some columns of all rows.

    A piece without quotation marks is split at its separators; any other, and one in which a row
    has too many or too few values, goes through the csv module.

    Args:
        text: the file.
        names: the columns to read.

    Raises:
        DataError: a row has more or fewer values than there are names, or quotes are not closed.
    """
    width, body = len(text.names), text.body
    place_of = {name: place for place, name in enumerate(text.names)}
    places = [place_of[name] for name in names]
    # A row has no fewer bytes than values, with what stands between them.
    most = 1 + min(body.count(b"\n") + body.count(b"\r") + 1, (len(body) + 1) // width)
    columns = [np.empty(most, TEXT) for _ in places]
    # Of each column, whether it has nothing that Python alone takes for a part of a number.
    unclear = b"_" in body or not body.isascii()
    plain = [True] * len(places)
    done = 0
    with values_of_any_length():
        for values in _pieces(text):
            rows = len(values) // width
            for at, place in enumerate(places):
                one = values[place::width]
                columns[at][done : done + rows] = np.array(one, TEXT)
                if unclear and plain[at]:
                    joined = "".join(one)
                    plain[at] = "_" not in joined and joined.isascii()
            done += rows
    return {
        name: TextColumn(name, column[:done], is_plain)
        for name, column, is_plain in zip(names, columns, plain, strict=True)
    }


def _pieces(text: CsvText) -> Iterator[list[str]]:
    """The values of all rows, one after another, many rows at a time."""
    body, width = text.body, len(text.names)
    start, size = 0, _PIECE
    while start < len(body):
        end = _line_end(body, start + size)
        piece = body[start:end]
        values = _split(piece, text.separator, width)
        if values is None:
            try:
                values = [value for row in _rows(text, start, piece) for value in row]
            except csv.Error as error:
                if end < len(body):
                    # A value in quotation marks may go on beyond this piece.
                    size *= 2
                    continue
                _refuse(text, start, piece, error)
        yield values
        lines = max(1, piece.count(b"\n"))
        start, size = end, max(_PIECE, _ROWS * (len(piece) // lines))


def _line_end(body: bytes, position: int) -> int:
    """The position after the line that a position is in."""
    return body.find(b"\n", position) + 1 or len(body)


def _split(piece: bytes, separator: str, width: int) -> list[str] | None:
    """The values of a piece in which no value is in quotation marks; None for any other."""
    if b'"' in piece:
        return None
    if not piece.endswith(b"\n"):
        piece += b"\n"
    piece = piece.replace(b"\r\n", b"\n")
    if width == 1:
        if separator.encode() in piece:
            return None
        # A blank line is no row.
        return [value for value in piece.decode().split("\n") if value.strip()]
    content = np.frombuffer(piece, np.uint8)
    ends = np.flatnonzero((content == ord(separator)) | (content == ord("\n")))
    if len(ends) % width or not (content[ends[width - 1 :: width]] == ord("\n")).all():
        return None
    if piece.count(b"\n") != len(ends) // width:
        return None
    values = piece.decode().replace("\n", separator).split(separator)
    del values[-1]
    return values


def _rows(text: CsvText, start: int, piece: bytes) -> Iterator[list[str]]:
    """The rows of a piece by the csv module, which begins at a byte of the text."""
    width = len(text.names)
    stream = io.StringIO(piece.decode(), newline="")
    line = ""

    def lines() -> Iterator[str]:
        nonlocal line
        for read in stream:
            line = read
            yield read

    reader = csv.reader(lines(), delimiter=text.separator, skipinitialspace=True, strict=True)
    before = 0
    for row in reader:
        # A blank line is no row, but "" is one where there is one column.
        if len(row) > 1 or (row and (row[0].strip() or (width == 1 and '"' in line))):
            if len(row) != width:
                _refuse_width(text, _line(text, start) + before, row)
            yield row
        before = reader.line_num


def _line(text: CsvText, start: int) -> int:
    """The line of the file that a byte of its rows stands in."""
    ends, both = (text.body.count(end, 0, start) for end in (b"\n", b"\r\n"))
    return text.first_line + ends + text.body.count(b"\r", 0, start) - both


def _refuse(text: CsvText, start: int, piece: bytes, error: csv.Error) -> NoReturn:
    """Say in which line a row begins that the csv module cannot read."""
    line = _line(text, start)
    stream = io.StringIO(piece.decode(), newline="")
    reader = csv.reader(stream, delimiter=text.separator, skipinitialspace=True, strict=True)
    before = 0
    try:
        for _ in reader:
            before = reader.line_num
    except csv.Error:
        pass
    raise DataError(
        f"{text.source}: malformed CSV from line {line + before} on ({error}): quotation marks "
        "must enclose a whole value, and one inside is written twice"
    ) from None


def _refuse_width(text: CsvText, line: int, row: Sequence[str]) -> None:
    found = "1 value" if len(row) == 1 else f"{len(row)} values"
    given = len(text.names)
    columns = "1 column" if given == 1 else f"{given} columns"
    hint = ""
    if len(row) > given and text.separator == ",":
        hint = ". A value with a comma in it stands in quotation marks"
    raise DataError(
        f"{text.source}: line {line} has {found}, but there are {columns} "
        f"(separated by {SEPARATOR_NAMES.get(text.separator, repr(text.separator))}){hint}"
    )
