"""CSV and Parquet: what is written comes back, and what is wrong is named."""

from __future__ import annotations

import csv
import io
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnscratch.data import Table, read_table
from nnscratch.data.spellings import MISSING as _MISSING
from nnscratch.errors import ConfigurationError, DataError


def write(folder: Path, content: str | bytes, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def lists(table: Table) -> dict[str, list[Any]]:
    return {name: values.tolist() for name, values in table.columns.items()}


def parquet(columns: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    polars.DataFrame(columns).write_parquet(stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a,b\n1,2.5\n3,4\n", {"a": [1, 3], "b": [2.5, 4.0]}),
        ("a,b\r\n1,true\r\n2,False\r\n", {"a": [1, 2], "b": [True, False]}),
        ("a,b\r1,2\r3,4", {"a": [1, 3], "b": [2, 4]}),
        ("\ufeffa,b\n1,x\n", {"a": [1], "b": ["x"]}),
        ("a;b\n1;2,5\n", {"a": [1], "b": [2.5]}),
        ("a\tb\n1\t2\n", {"a": [1], "b": [2]}),
        ("a, b\n1, 2\n 3 , x \n", {"a": [1, 3], "b": ["2", "x"]}),
        ('a,b\n"x\ny",1\n"p,""q""",2\n', {"a": ["x\ny", 'p,"q"'], "b": [1, 2]}),
        ('"a\nb","c,d"\n1,2\n', {"a\nb": [1], "c,d": [2]}),
        ("a\n1e3\n-.5\n+7.\n", {"a": [1000.0, -0.5, 7.0]}),
        ("a\n12345678901234567890123\n", {"a": [12345678901234567890123.0]}),
        ("a\n9007199254740993\n", {"a": [9007199254740993]}),
        ("a\nNA\nDE\n", {"a": ["NA", "DE"]}),
        ("a\n007\n12\n", {"a": [7, 12]}),
        ("\n\na,b\n1,2\n\n\n", {"a": [1], "b": [2]}),
        ('a, "b,c"\n1,2\n', {"a": [1], "b,c": [2]}),
        ("#a,b\n#1,2\n", {"#a": ["#1"], "b": [2]}),
    ],
)
def test_csv(tmp_path: Path, content: str, expected: dict[str, list[Any]]) -> None:
    table = read_table(write(tmp_path, content))
    assert lists(table) == expected
    assert [*table] == [*expected]


def test_separator_can_be_given(tmp_path: Path) -> None:
    path = write(tmp_path, "a,x|b\n1|2\n")
    assert lists(read_table(path, separator="|")) == {"a,x": [1], "b": [2]}


# What begins and ends with an underscore is neither a number, nor a gap, nor stripped.
words = st.text(st.characters(codec="utf-8", exclude_characters="\0\r")).map("_{}_".format)


@given(
    st.lists(
        st.tuples(
            st.integers(-(2**63), 2**63 - 1),
            st.floats(allow_nan=False, allow_infinity=False),
            words,
            st.booleans(),
        ),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from(["csv", "parquet"]),
)
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[Any, ...]], form: str
) -> None:
    names = ["whole", "real", "text", "truth"]
    folder = tmp_path_factory.mktemp("table")
    if form == "csv":
        stream = io.StringIO(newline="")
        writer = csv.writer(stream)
        writer.writerows([names, *rows])
        path = write(folder, stream.getvalue())
    else:
        columns = dict(zip(names, zip(*rows, strict=True), strict=True))
        path = write(folder, parquet(columns), "data.parquet")
    table = read_table(path)
    assert list(zip(*lists(table).values(), strict=True)) == rows
    assert table.kinds["truth"] == "boolean"


@pytest.mark.parametrize("spelling", ["", *_MISSING, *(word.upper() for word in _MISSING)])
def test_ways_to_write_a_gap_among_numbers(tmp_path: Path, spelling: str) -> None:
    path = write(tmp_path, f"age,b\n1,1\n{spelling},1\n2.5,1\n{spelling},1\n")
    message = f"{path}: column 'age' is empty or NaN in 2 of 4 rows, first in row 2."
    with pytest.raises(DataError, match=message):
        read_table(path)


def test_gaps_in_columns_that_are_not_read_do_not_matter(tmp_path: Path) -> None:
    path = write(tmp_path, "a,b,c\n1,,x\n2,NaN,y\n")
    assert lists(read_table(path, columns=["c", "a"])) == {"c": ["x", "y"], "a": [1, 2]}
    assert lists(read_table(path, exclude=["b"])) == {"a": [1, 2], "c": ["x", "y"]}


def test_kinds_decide_how_values_are_read(tmp_path: Path) -> None:
    path = write(tmp_path, "code,flag,size\n012,TRUE,1\n1.0,false,2\n")
    kinds: Any = {
        "code": "categorical",
        "flag": "categorical",
        "size": "numeric",
        "other": "numeric",
    }
    table = read_table(path, kinds=kinds)
    assert lists(table) == {"code": ["012", "1.0"], "flag": ["TRUE", "false"], "size": [1, 2]}
    assert read_table(path).kinds["code"] == "numeric"


def test_a_value_of_another_kind_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "size,flag\n1,true\nbig,si\n3,no\n")
    with pytest.raises(
        DataError,
        match=r"column 'size': expected a number in every row, found 'big' in row 2 \(1 such rows",
    ):
        read_table(path, kinds={"size": "numeric"})
    with pytest.raises(
        DataError, match=r"'flag': expected true or false in every row, found 'si' in row 2 \(1"
    ):
        read_table(path, kinds={"flag": "boolean"})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ("\n\r\n\n", "the file is empty"),
        ("a,b\n", "has column names but no rows"),
        ("a,b", "has column names but no rows"),
        ("5,0,0\n1,2,3\n", "the name '0'. They are all numbers: does the file lack the line"),
        ("a,b\n1,2\n1,2,3\n", "line 3 has 3 values, but there are 2 columns"),
        ("a,b\n1,2\n1\n3,4\n", "line 3 has 1 value, but there are 2 columns"),
        ("a,b\n1\n", "line 2 has 1 value, but there are 2 columns"),
        ('a,b\n1,2\n"x,1\n', "malformed CSV from line 3 on"),
        ('a,b\n1,"x" \n', "malformed CSV from line 2 on"),
        ('"a,b\n1,2\n', "the line of column names is malformed"),
        ("a,b\n,1\n,2\n", "column 'a' is empty or NaN in all 2 rows"),
        ("a,b\nx,1\n,2\n", "column 'a' is empty in 1 of 2 rows, first in row 2"),
        ("a,b\ntrue,1\nNA,2\n", "column 'a' is empty in 1 of 2 rows, first in row 2"),
        ("a\n1\ninf\n1e999\n", "column 'a' is infinite in 2 of 3 rows, first in row 2"),
        (b"a,b\n\x00,1\n", "not a text file: line 2 has a zero byte"),
        (b"a,b\n\xff\x01,1\n", "not a text file: line 2 has the byte 0x01"),
        (b"\x1f\x8b\x08\x00", "compressed file is damaged or cut off"),
    ],
)
def test_csv_messages(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(DataError, match=message) as caught:
        read_table(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "polars" not in str(caught.value)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_missing_column_is_answered_with_those_there_are(tmp_path: Path, form: str) -> None:
    content = "height,kind\n1,2\n" if form == "csv" else parquet({"height": [1], "kind": [2]})
    path = write(tmp_path, content)
    for argument in ("columns", "exclude"):
        with pytest.raises(
            DataError,
            match=r"no column 'Kinds'; did you mean 'kind'\? The columns are 'height', 'kind'",
        ):
            read_table(path, **{argument: ["Kinds"]})  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no column is left to read after leaving out 'kind'"):
        read_table(path, columns=["kind"], exclude=["kind"])


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        read_table(tmp_path / "missing.csv")
    with pytest.raises(DataError, match="expected a file, but this is a folder"):
        read_table(tmp_path)
    with pytest.raises(DataError, match="there is no such file"):
        read_table("https://example.invalid/data.csv")


def test_options_that_make_no_sense(tmp_path: Path) -> None:
    path = write(tmp_path, "a\n1\n")
    with pytest.raises(ConfigurationError, match="separator must be one ASCII character, got ''"):
        read_table(path, separator="")
    with pytest.raises(ConfigurationError, match=r"kind of column 'a' must be .* got 'number'"):
        read_table(path, kinds={"a": "number"})  # type: ignore[dict-item]


def test_without_polars_there_is_no_parquet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, parquet({"a": [1]}), "data.parquet")
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(ConfigurationError, match=r'pip install "nnscratch\[parquet\]"') as caught:
        read_table(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert lists(read_table(write(tmp_path, "a\n1\n"))) == {"a": [1]}


def test_polars_is_imported_only_for_parquet(tmp_path: Path) -> None:
    path = write(tmp_path, "a,b\n1,x\n")
    code = (
        "import sys; from nnscratch.data import read_table\n"
        f"read_table({str(path)!r}); print('polars' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "False\n"


def test_parquet_says_what_its_columns_are(tmp_path: Path) -> None:
    frame = {
        "text": polars.Series(["a", " x "]),
        "digits": polars.Series(["1", "02"]),
        "kind": polars.Series(["a", "b"], dtype=polars.Categorical),
        "fixed": polars.Series(["a", "b"], dtype=polars.Enum(["a", "b"])),
        "small": polars.Series([1, 2], dtype=polars.Int8),
        "huge": polars.Series([1, 2**64 - 1], dtype=polars.UInt64),
        "exact": polars.Series(["1.25", "2.5"]).cast(polars.Decimal(10, 2)),
        "half": polars.Series([0.5, 1.5], dtype=polars.Float32),
        "flag": polars.Series([True, False]),
    }
    table = read_table(write(tmp_path, parquet(frame), "data.pq"))
    assert lists(table) == {
        "text": ["a", "x"],
        "digits": ["1", "02"],
        "kind": ["a", "b"],
        "fixed": ["a", "b"],
        "small": [1, 2],
        "huge": [1.0, float(2**64 - 1)],
        "exact": [1.25, 2.5],
        "half": [0.5, 1.5],
        "flag": [True, False],
    }
    assert table.column("small").dtype == np.int64


def test_parquet_columns_of_a_known_kind(tmp_path: Path) -> None:
    path = write(tmp_path, parquet({"a": [1, 2], "b": ["3", "4"], "c": [True, False]}))
    table = read_table(path, kinds={"a": "categorical", "b": "numeric", "c": "categorical"})
    assert lists(table) == {"a": ["1", "2"], "b": [3, 4], "c": ["true", "false"]}
    with pytest.raises(DataError, match="column 'a' has the type Int64; expected boolean values"):
        read_table(path, kinds={"a": "boolean"})
    assert lists(read_table(path, columns=["c"], kinds={"c": "numeric"})) == {"c": [1, 0]}
    with pytest.raises(DataError, match="column 'c' has the type Boolean; expected datetime"):
        read_table(path, kinds={"c": "datetime"})


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": [1, None, None]}, "column 'a' is empty or NaN in 2 of 3 rows, first in row 2"),
        ({"a": [0.5, math.nan]}, "column 'a' is empty or NaN in 1 of 2 rows"),
        ({"a": [None, None]}, "column 'a' is empty or NaN in all 2 rows"),
        ({"a": ["x", None, ""]}, "column 'a' is empty in 2 of 3 rows, first in row 2"),
        ({"a": [None, True]}, "column 'a' is empty in 1 of 2 rows, first in row 1"),
        ({"a": [[1], [2]]}, r"column 'a' has the type List\(Int64\); expected numbers, booleans"),
        ({"a": [b"x"]}, "column 'a' has the type Binary"),
        ({"a": polars.Series([], dtype=polars.Int64)}, "has column names but no rows"),
    ],
)
def test_parquet_messages(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    path = write(tmp_path, parquet(columns))
    with pytest.raises(DataError, match=message) as caught:
        read_table(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_not_parquet(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="to begin with 'PAR1', found the bytes 61 2c 62 0a"):
        read_table(write(tmp_path, "a,b\n1,2\n", "data.parquet"))


def test_every_truncation_of_a_parquet_file_is_an_error(tmp_path: Path) -> None:
    content = parquet({"a": [1, 2], "b": ["x", "y"]})
    for length in range(len(content)):
        with pytest.raises(DataError):
            read_table(write(tmp_path, content[:length], "data.parquet"))


def test_a_damaged_footer_of_a_parquet_file(tmp_path: Path) -> None:
    content = parquet({"a": [1, 2], "b": ["x", "y"]})
    for position in range(len(content) - 8, len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        with pytest.raises(DataError, match="truncated or damaged Parquet file"):
            read_table(write(tmp_path, bytes(damaged)))


@given(st.binary(max_size=60))
def test_random_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = write(tmp_path_factory.mktemp("table"), content)
    try:
        table = read_table(path)
    except DataError as error:
        message = str(error)
    else:
        message = f"{path}: fine"
        assert len(table) > 0
    assert message.startswith(f"{path}: ")


@given(st.text(st.sampled_from('ab1.,;\t\n\r" tnN'), max_size=40))
def test_random_text(tmp_path_factory: pytest.TempPathFactory, content: str) -> None:
    path = write(tmp_path_factory.mktemp("table"), content)
    try:
        table = read_table(path)
    except DataError as error:
        message = str(error)
    else:
        message = f"{path}: fine"
        # Python's own parser is the reference for what was accepted.
        lines = [row for row in csv.reader(io.StringIO(content.strip("\r\n"), newline="")) if row]
        assert len(table) <= len(lines)
    assert message.startswith(f"{path}: ")
