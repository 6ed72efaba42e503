"""The text of a CSV file as named columns of text: which separator, which names, which rows."""

import csv
import io
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from nnscratch.data._io import some
from nnscratch.data.file_kinds import refuse_other_text
from nnscratch.data.table import is_number
from nnscratch.errors import DataError

# Each is an array of its own.
_MOST_COLUMNS = 100_000
_SEPARATORS = (",", ";", "\t", "|")
SEPARATOR_NAMES = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a vertical bar"}
# What is looked at to recognise a separator: bytes of the text, and rows in them.
_HEAD, _SAMPLE = 1 << 16, 50
_EXCEL = re.compile(r'"?sep=(.)"?[ \t;,]*\r?\n', re.IGNORECASE)
_BLANK_LINES = re.compile(r"(?: *(?:\r\n?|\n))+")
# How pandas, R, Polars and Arrow call a column that only numbers or names the rows.
_INDEX = re.compile(r"unnamed: 0(_level_\d+)?|__index_level_\d+__|rownames|row[._ ]names", re.I)
# The csv module's own limit is 131,072 characters of a value, and is one for the whole process.
_LONGEST = 2**31 - 1
_LIMIT = threading.RLock()


@contextmanager
def values_of_any_length() -> Iterator[None]:
    """Let the csv module read values of any length meanwhile."""
    with _LIMIT:
        before = csv.field_size_limit(_LONGEST)
        try:
            yield
        finally:
            csv.field_size_limit(before)


@dataclass
class CsvText:
    """A CSV file of which the first line is understood.

    Args:
        source: what to call the file.
        names: of the columns, all different, none empty.
        separator: what stands between two values.
        body: the rows, in UTF-8.
        first_line: the line of the file where they begin, from 1.
        index: a column that by its name, or for want of one, only numbers the rows.
        unnamed: the first and the last column, where they have no name of their own.
        trailing: a last column without a name, which is one only if a value stands in it.
        notes: what was done with the names and the lines above them.
    """

    source: str
    names: list[str]
    separator: str
    body: bytes
    first_line: int
    index: str | None
    unnamed: tuple[str, ...]
    trailing: str | None
    notes: list[str]


def is_index_name(name: str) -> bool:
    """Whether a column is called as programs call the one that only numbers the rows."""
    return _INDEX.fullmatch(name) is not None


def open_csv(raw: bytes, source: str, separator: str | None = None) -> CsvText:
    """Recognise the separator and the names of a CSV file, (UTF-8) bytes.

    Raises:
        DataError: it is empty, another kind of document, or without a usable line of names.
    """
    # Blank lines around the data are harmless; 0x1A ends a text of old DOS.
    blank = raw[: len(raw) - len(raw.lstrip(b"\r\n"))].count(b"\n")
    raw = raw.strip(b"\r\n\x1a")
    if not raw.strip():
        raise DataError(f"{source}: the file is empty")
    if b"\n" not in raw:
        # Old Macintosh line ends, which no CSV parser but Python's takes for such.
        raw = raw.replace(b"\r", b"\n")
    for size in (_HEAD, len(raw)):
        head = raw[:size].decode(errors="ignore")
        with values_of_any_length():
            found = _open(raw, head, size >= len(raw), source, separator)
        if found is not None:
            found.first_line += blank
            return found
    raise AssertionError("the whole text has its first line")


def _open(raw: bytes, head: str, whole: bool, source: str, separator: str | None) -> CsvText | None:
    """The same from the first part of the text; None if the names go on beyond it."""
    refuse_other_text(head, source)
    notes: list[str] = []
    skipped = 0
    if excel := _EXCEL.match(head):
        separator = separator or excel[1]
        skipped = excel.end()
    comments = _comments(head[skipped:])
    if comments:
        if comments.count:
            lines = "1 line" if comments.count == 1 else f"{comments.count} lines"
            notes.append(f"remarks above the names are passed over ({lines})")
        skipped += comments.length
    if blank := _BLANK_LINES.match(head, skipped):
        skipped = blank.end()
    stream = io.StringIO(head, newline="")
    stream.seek(skipped)
    if separator is None:
        separator = _separator(head[skipped:], whole)
    reader = csv.reader(stream, delimiter=separator, skipinitialspace=True, strict=True)
    try:
        names = [name.strip() for name in next(reader, [])]
        if not whole and stream.tell() >= len(head):
            return None
    except csv.Error as error:
        if not whole:
            return None
        raise DataError(f"{source}: the line of column names is malformed ({error})") from None
    # Both parts are cut at the same character, so this many bytes come before the rows.
    body = raw[len(head[: stream.tell()].encode()) :]
    if not body.strip():
        raise DataError(f"{source}: the file has column names but no rows")
    rows = _sample(head[stream.tell() :], separator, whole)
    if len(names) > 1 and rows and all(len(row) == len(names) + 1 for row in rows):
        # R's write.table gives no name to the row names; others end each row with a separator.
        if not any(row[-1].strip() for row in rows):
            names = [*names, ""]
        elif 1 < len(rows) == len({row[0] for row in rows}):
            names = ["", *names]
    if len(names) > _MOST_COLUMNS:
        raise DataError(
            f"{source}: {len(names):,} columns, more than the {_MOST_COLUMNS:,} that can be read"
        )
    given = list(names)
    _name(names, source, notes)
    index = names[0] if not given[0] or is_index_name(given[0]) else None
    trailing = names[-1] if len(names) > 1 and not given[-1] else None
    unnamed = tuple(names[at] for at in dict.fromkeys((0, len(names) - 1)) if not given[at])
    first_line = head.count("\n", 0, stream.tell()) + 1
    return CsvText(source, names, separator, body, first_line, index, unnamed, trailing, notes)


@dataclass(frozen=True)
class _Comments:
    count: int
    length: int


def _comments(head: str) -> _Comments | None:
    """The lines above the names that begin with "#", unless the names themselves do."""
    lines = head.splitlines(keepends=True)
    count = next((n for n, line in enumerate(lines) if not line.startswith("#")), len(lines))
    if count == 0 or count == len(lines):
        return None
    # NumPy writes the names as a remark, and some people begin them with "#".
    last, following = lines[count - 1], lines[count]
    for separator in _SEPARATORS:
        names, values = last[1:].split(separator), following.split(separator)
        if len(names) != len(values) or len(names) < 2 or any(is_number(n) for n in names):
            continue
        if any(is_number(value) for value in values) or not last.startswith("# "):
            count -= 1
            marked = 2 if last.startswith("# ") else 0
            length = sum(map(len, lines[:count])) + marked
            return _Comments(count, length) if length else None
    return _Comments(count, sum(map(len, lines[:count])))


def _sample(text: str, separator: str, whole: bool) -> list[list[str]]:
    """Some of the first records; the last one of a part of a text may be cut, and is left out."""
    rows: list[list[str]] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    try:
        for row in reader:
            rows.append(row)
            if len(rows) > _SAMPLE:
                break
        else:
            rows = rows if whole else rows[:-1]
    except csv.Error:
        pass
    return [row for row in rows[:_SAMPLE] if any(value.strip() for value in row)]


def _separator(text: str, whole: bool) -> str:
    """The separator that gives all rows as many values as there are names, and the most."""
    best, most = "", 1
    for separator in _SEPARATORS:
        widths = [len(row) for row in _sample(text, separator, whole)]
        if not widths or min(widths) < 2:
            continue
        even = all(width in (widths[0], widths[0] + 1) for width in widths[1:])
        if even and min(widths) > most:
            best, most = separator, min(widths)
    if best:
        return best
    first = text.partition("\n")[0]
    return max(_SEPARATORS, key=first.count) if any(one in first for one in _SEPARATORS) else ","


def _name(names: list[str], source: str, notes: list[str]) -> None:
    """Give a name to the columns that have none, or one that another has; changes `names`."""
    numbers = sum(is_number(name) for name in names if name)
    taken: set[str] = set()
    wanted = set(names)
    unnamed: list[str] = []
    twice: list[str] = []
    for position, name in enumerate(names, start=1):
        made, number = name, 1
        if not name:
            made = f"column_{position}"
            if 1 < position < len(names):
                unnamed.append(made)
        base = made
        while made in taken or (made != name and made in wanted):
            number += 1
            made = f"{base}_{number}"
        if name and made != name:
            twice.append(f"{name!r} is now {made!r}")
        taken.add(made)
        names[position - 1] = made
    if twice and numbers == len(names):
        raise DataError(
            f"{source}: more than one column has the name {twice[0].split(' is now ')[0]}. They "
            "are all numbers: does the file lack the line with the column names? Add one"
        )
    if unnamed:
        notes.append(f"columns without a name are called {some(unnamed, 5)}")
    if twice:
        more = f" and {len(twice) - 3} more" if twice[3:] else ""
        notes.append(f"names that stand twice: {', '.join(twice[:3])}{more}")
