"""The rows of CSV files: read in pieces, by splitting and by the csv module, with one result."""

from __future__ import annotations

import csv
import io
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnscratch.data import csv_rows, read_table
from nnscratch.data.csv_rows import read_rows
from nnscratch.data.csv_text import open_csv
from nnscratch.data.text_column import TEXT, TextColumn, as_integer, as_number
from nnscratch.errors import DataError


def rows(content: str) -> list[tuple[str, ...]]:
    text = open_csv(content.encode(), "data.csv", ",")
    return list(zip(*map(list, read_rows(text, text.names).values()), strict=True))


def write(folder: Path, content: str) -> Path:
    path = folder / "data.csv"
    path.write_text(content, encoding="utf-8", newline="")
    return path


# Blanks around a text do not count.
values = st.text(st.sampled_from('ab1é.,;\n"_'), max_size=6).map(str.strip)


@given(
    st.lists(st.tuples(values, values, values), min_size=1, max_size=30),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["\n", "\r\n"]),
    st.integers(1, 60),
)
def test_pieces_of_every_size_give_the_rows(
    given_rows: list[tuple[str, ...]], quoting: Any, end: str, piece: int
) -> None:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, quoting=quoting, lineterminator=end)
    writer.writerows([("x", "y", "z"), *given_rows, ("last", "row", "here")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_rows, "_PIECE", piece)
        patch.setattr(csv_rows, "_ROWS", 1)
        assert rows(stream.getvalue()) == [*given_rows, ("last", "row", "here")]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a,b\n1,2\r\n3,4\n", [("1", "2"), ("3", "4")]),
        ("a,b\n1,2\r\r\n3,4\n", [("1", "2"), ("3", "4")]),
        ('a\n1\n""\n\n   \n2\n', [("1",), ("",), ("2",)]),
        ('a,b\n1,2\n""\n3,4\n', [("1", "2"), ("3", "4")]),
        ('a,b\n1,5"6\n5"10,3\n', [("1", '5"6'), ('5"10', "3")]),
        ("a,b\n1,x\ry\n2,z\n", [("1", "x\ry"), ("2", "z")]),
        ("a,b\n1,2\r3,4\n5,6\n", [("1", "2"), ("3", "4"), ("5", "6")]),
        ("# a remark\n\na,b\n1,2\n", [("1", "2")]),
        ("a,b\n,\n1,\n", [("", ""), ("1", "")]),
        ("a,b\n1,2\n\n \t\n3,4", [("1", "2"), ("3", "4")]),
    ],
)
def test_rows_of_all_kinds(content: str, expected: list[tuple[str, ...]]) -> None:
    assert rows(content) == expected


def test_the_line_of_an_error_is_that_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_rows, "_PIECE", 20)
    start = "# a remark\n\na,b\n" + "1,2\n" * 50 + '"two\nlines",3\n\n' + "5,6\r\n" * 50
    for wrong, message in (
        ("7\n", "line 107 has 1 value, but there are 2 columns"),
        ("7,8,9\n", "line 107 has 3 values, .* a comma in it stands in quotation marks"),
        ('"7,8\n1,2\n', "malformed CSV from line 107 on .unexpected end of data.: quotation marks"),
        ('"7"8,9\n', "malformed CSV from line 107 on .',' expected after"),
    ):
        with pytest.raises(DataError, match=f"^data.csv: {message}"):
            rows(start + wrong + "1,2\n" * 50)


def test_values_of_any_length(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    long = "a long text, " * 100_000
    for value in (f'"{long}"', long.replace(",", "")):
        path = write(tmp_path, f"a,b\n1,x\n2,{value}\n3,y\n")
        assert read_table(path).column("b").tolist() == ["x", value.strip('"').strip(), "y"]
    path = write(tmp_path, f'"{long}",b\n1,x\n')
    assert read_table(path).names == (long.strip(), "b")
    assert csv.field_size_limit() == before


def test_what_python_alone_takes_for_a_number_is_text(tmp_path: Path) -> None:
    lines = ["a,b,c,d", *["1_000,٣,5,0x1f", "2_000,٤,6,0x2f"] * 3]
    table = read_table(write(tmp_path, "\n".join(lines) + "\n"))
    assert set(table.kinds.values()) == {"categorical", "numeric"}
    assert table.kinds["c"] == "numeric"
    assert table.column("a")[0] == "1_000"
    assert table.column("b")[0] == "٣"


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=50))
def test_numbers_are_the_nearest_doubles(numbers: list[float]) -> None:
    texts = [
        form(number) for number in numbers for form in (repr, "{:.20e}".format, "{:.3g}".format)
    ]
    column = TextColumn("a", np.array([*texts, " ", "NA"], TEXT), plain=True)
    found = column.numbers(lambda text: text in ("", "NA"))
    assert found is not None
    assert found[:-2].tolist() == [float(text) for text in texts]
    assert np.isnan(found[-2:]).all()


def test_percents_are_divided_once(tmp_path: Path) -> None:
    path = write(tmp_path, "a,b\n" + "".join(f"{i}%,x\n" for i in range(100)))
    assert read_table(path).column("a").tolist() == [i / 100 for i in range(100)]


@pytest.mark.parametrize("text", ["9223372036854775807", "-9223372036854775808"])
def test_whole_numbers_of_64_bits(text: str) -> None:
    assert as_integer(text) == int(text)
    beyond = text[:-1] + "9"
    assert as_integer(beyond) is None
    assert as_number(beyond) == float(beyond)
    for plain in (False, True):
        assert TextColumn("a", np.array(["1", text], TEXT), plain).integers() is not None
        assert TextColumn("a", np.array(["1"] * 200 + [beyond], TEXT), plain).integers() is None


def test_memory_is_some_bytes_for_each_value(tmp_path: Path) -> None:
    count, width = 20_000, 10
    line = ",".join(f"{i}.12345" for i in range(width)) + "\n"
    path = write(tmp_path, ",".join("abcdefghij") + "\n" + line * count)
    tracemalloc.start()
    try:
        table = read_table(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(table) == count
    # The file, 16 bytes and a double for each value, and a piece of Python strings.
    assert peak < path.stat().st_size + 24 * count * width + 20_000_000
