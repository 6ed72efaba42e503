"""What a text stands for: numbers as people write them, gaps, odd values, dates, yes and no."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest

from nnscratch.data import Reading, Table, TableWarning, read_table
from nnscratch.data.dates import parts_of, recognise_dates
from nnscratch.data.spellings import MISSING
from nnscratch.errors import DataError


def read(folder: Path, lines: list[str], **options: Any) -> Table:
    path = folder / "data.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_table(path, **options)


def column(folder: Path, values: list[str], name: str = "a;k", **options: Any) -> Any:
    """The first of two columns, with semicolons between them."""
    return read(folder, [name, *[f"{value};x" for value in values]], **options).column(name[0])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["15,5", "0,25", "3"], [15.5, 0.25, 3]),
        (["1.234,5", "2.000,25", "7,1"], [1234.5, 2000.25, 7.1]),
        (["1.234,5", "2.000", "7"], [1234.5, 2000, 7]),
        (["1,234.5", "2,000", "7"], [1234.5, 2000, 7]),
        (["1,234,567", "2,000", "7"], [1234567, 2000, 7]),
        (["1.5", "2.25", "-3.125"], [1.5, 2.25, -3.125]),
        (["12%", "50 %", "-3.5%"], [0.12, 0.5, -0.035]),
        (["$3.50", "-$1,234.00", "$ 7"], [3.5, -1234, 7]),
        (["3,50 €", "1.234,00 €", "7 €"], [3.5, 1234, 7]),
        (["EUR 3.50", "EUR 4.25", "USD 7"], [3.5, 4.25, 7]),
        (["R$ 3,50", "Rs. 4", "7,25 kr"], [3.5, 4, 7.25]),
        (["(7)", "(1,234.5)", "5"], [-7, -1234.5, 5]),
        (["1 234", "22 345 678", "9"], [1234, 22345678, 9]),
        (["1\u00a0234,5", "7,5", "8"], [1234.5, 7.5, 8]),
        (["1'234.50", "7.5", "8"], [1234.5, 7.5, 8]),
        (["−5.5", "+5", "1e5"], [-5.5, 5, 1e5]),
        ([".5", "5.", "1E+05"], [0.5, 5, 1e5]),
        (["12 kg", "13.5 kg", "7kg"], [12, 13.5, 7]),
        (["20.5°C", "21°C", "-3°C"], [20.5, 21, -3]),
    ],
)
def test_numbers_as_people_write_them(
    tmp_path: Path, values: list[str], expected: list[float]
) -> None:
    np.testing.assert_allclose(column(tmp_path, values), expected, rtol=1e-15)


@pytest.mark.parametrize(
    ("separator", "expected", "said"),
    [(",", 1234.0, "thousands separators"), (";", 1.234, "decimal marks")],
)
def test_a_comma_that_may_be_either_is_decided_and_said(
    tmp_path: Path, separator: str, expected: float, said: str
) -> None:
    table = read(tmp_path, [f"a{separator}k", *[f'"1,234"{separator}x'] * 3])
    assert table.column("a").tolist() == [expected] * 3
    assert table.reading is not None
    assert any(said in note and "'a'" in note for note in table.reading.notes)


def test_nothing_is_said_of_numbers_in_a_column_of_text(tmp_path: Path) -> None:
    lines = ["title,k", *[f'"{title}",x' for title in ("1,000", "50%", "Alien", "Brazil")]]
    table = read(tmp_path, lines)
    assert table.kinds["title"] == "categorical"
    assert table.reading is not None
    assert table.reading.notes == ()


def test_the_rest_of_the_file_decides_what_a_comma_is(tmp_path: Path) -> None:
    lines = ["a;b", *[f"1,23{i};0,{i}" for i in range(4)]]
    assert read(tmp_path, lines).column("a").tolist() == [1.23, 1.231, 1.232, 1.233]
    # 1.234 is plain enough alone, but not beside 0,5.
    lines = ["a;b", *[f"1.23{i};0,{i}" for i in range(4)]]
    assert read(tmp_path, lines).column("a").tolist() == [1230, 1231, 1232, 1233]
    # A file that shows nothing is read as the one before it.
    lines = ["a;b", "1.234;x"]
    assert read(tmp_path, lines, like=Reading(";", decimal=",")).column("a").tolist() == [1234]
    assert read(tmp_path, lines, like=Reading(",", decimal=".")).column("b").tolist() == ["x"]


@pytest.mark.parametrize("spelling", MISSING)
def test_a_gap_among_numbers_may_be_kept(tmp_path: Path, spelling: str) -> None:
    values = column(tmp_path, ["1.5", spelling, "2", spelling.upper()], missing="keep")
    assert np.isnan(values).tolist() == [False, True, False, True]
    dates = column(tmp_path, ["2024-01-05", spelling, "2024-01-06"], missing="keep")
    assert np.isnat(dates).tolist() == [False, True, False]


def test_gaps_in_text_are_what_programs_write(tmp_path: Path) -> None:
    lines = ["k", "a", "N/A", "NULL", "none", "-", "NA", "nan"]
    found = read(tmp_path, [f"{line};1" for line in lines], missing="keep").column("k")
    assert found.tolist() == ["a", None, None, "none", "-", "NA", None]
    # Where numbers are missing as NA, texts are, too.
    lines = ["k;n", "a;1", "NA;2", "b;NA"]
    assert read(tmp_path, lines, missing="keep").column("k").tolist() == ["a", None, "b"]


@pytest.mark.parametrize("odd", ["<0.01", "error", "12 kg", "#", "1.2.3", "x"])
def test_one_odd_value_leaves_a_column_one_of_numbers(tmp_path: Path, odd: str) -> None:
    values = [f"{i}.5" for i in range(40)]
    values[17] = odd
    with pytest.warns(TableWarning, match=r"column 'a' is one of numbers, but 1 value of 40 ar"):
        found = column(tmp_path, values, missing="keep")
    assert np.flatnonzero(np.isnan(found)).tolist() == [17]
    message = rf"column 'a': expected a number in every row, found '{odd}' in row 18 \(1 such"
    with pytest.raises(DataError, match=message):
        column(tmp_path, values)


def test_an_odd_value_that_is_as_frequent_as_others_is_a_label(tmp_path: Path) -> None:
    values = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "X"] * 3
    assert column(tmp_path, values, missing="keep").tolist() == values
    values = ["a", "1", "b", "2"]
    assert column(tmp_path, values, missing="keep").tolist() == values


def test_an_infinity_becomes_a_gap_where_gaps_are_kept(tmp_path: Path) -> None:
    with pytest.warns(TableWarning, match="column 'a' is infinite in 2 rows, first in row 2; tak"):
        found = column(tmp_path, ["1", "inf", "1e999", "2"], missing="keep")
    assert np.isnan(found).tolist() == [False, True, True, False]


def test_figures_of_one_length_with_leading_zeros_are_codes(tmp_path: Path) -> None:
    assert column(tmp_path, ["01234", "90210", "00501"]).tolist() == ["01234", "90210", "00501"]
    assert column(tmp_path, ["007", "", "012"], missing="keep").tolist() == ["007", None, "012"]
    assert column(tmp_path, ["007", "12"]).tolist() == [7, 12]
    assert column(tmp_path, ["0.5", "0.7"]).tolist() == [0.5, 0.7]


@pytest.mark.parametrize(
    ("yes", "no"),
    [("True", "False"), ("1", "0"), ("yes", "no"), ("T", "F"), ("Y", "n"), ("1.0", "0.0")],
)
def test_yes_and_no_are_understood_alike(tmp_path: Path, yes: str, no: str) -> None:
    values = [yes, no, no]
    truth = column(tmp_path, values, kinds={"a": "boolean"})
    assert truth.tolist() == [True, False, False]
    assert column(tmp_path, values, kinds={"a": "numeric"}).tolist() == [1, 0, 0]


def day(text: str) -> np.datetime64:
    return np.datetime64(text, "us")


@pytest.mark.parametrize(
    ("values", "second"),
    [
        (["2024-01-05", "2024-02-13"], "2024-02-13"),
        (["2024/01/05", "2024/02/13"], "2024-02-13"),
        (["5.1.2024", "13.2.2024"], "2024-02-13"),
        (["31/12/2024", "13/02/2024"], "2024-02-13"),
        (["12/31/2024", "02/13/2024"], "2024-02-13"),
        (["Jan 5 2024", "February 13 2024"], "2024-02-13"),
        (["January 5, 2024", "February 13, 2024"], "2024-02-13"),
        (["5 Jan 2024", "13 Feb 2024"], "2024-02-13"),
        (["05-Jan-24", "13-Feb-24"], "2024-02-13"),
        (["1/5/24", "2/13/24"], "2024-02-13"),
        (["2024-01-05 10:30", "2024-02-13 22:15"], "2024-02-13T22:15"),
        (["2024-01-05T10:30:05", "2024-02-13T22:15:01"], "2024-02-13T22:15:01"),
        (["2024-01-05T10:30:05Z", "2024-02-13T22:15:01.5Z"], "2024-02-13T22:15:01.5"),
        (["2024-01-05 10:30:05+02:00", "2024-02-13 22:15:01+02:00"], "2024-02-13T20:15:01"),
        (["1/5/2024 3:30 PM", "2/13/2024 11:15 PM"], "2024-02-13T23:15"),
        (["10:30", "22:15"], "1970-01-01T22:15"),
        (["2024-01", "2024-02"], "2024-02-01"),
        (["Jan 2024", "Feb 2024"], "2024-02-01"),
        (["Jan-05-2024", "Feb-13-2024"], "2024-02-13"),
        (["2024-Jan-05", "2024-Feb-13"], "2024-02-13"),
        (["05-01-24", "13-02-24"], "2024-02-13"),
        (["Monday, January 5, 2024", "Tue, Feb 13, 2024"], "2024-02-13"),
    ],
)
def test_dates_and_times(tmp_path: Path, values: list[str], second: str) -> None:
    found = column(tmp_path, values)
    assert found.dtype == np.dtype("datetime64[us]")
    assert found[1] == day(second)


@pytest.mark.parametrize(
    "values", [["20240105"], ["1.2"], ["a-b"], ["1.2.3"], ["10.0.0.1"], ["12-5"]]
)
def test_what_is_no_date(values: list[str]) -> None:
    assert recognise_dates(values, day_first=False) is None


def test_a_date_that_may_be_read_two_ways_is_decided_and_said(tmp_path: Path) -> None:
    lines = ["d,k", "1/2/2024,x", "3/4/2024,x"]
    table = read(tmp_path, lines)
    assert table.column("d")[0] == day("2024-01-02")
    assert table.reading is not None
    assert any("the month is taken to come first" in note for note in table.reading.notes)
    # One of the whole column that is no month decides it.
    assert read(tmp_path, [*lines, "13/1/2024,x"]).column("d")[0] == day("2024-02-01")
    # And so does the file of the training.
    like = Reading(",", dates={"d": "%d/%m/%Y"})
    assert read(tmp_path, lines, like=like).column("d")[0] == day("2024-02-01")


def test_an_odd_value_among_dates_is_a_gap(tmp_path: Path) -> None:
    values = [f"2024-01-{i + 1:02d}" for i in range(20)]
    values[5] = "soon"
    with pytest.warns(
        TableWarning, match="column 'a' is one of dates, .* the first 'soon' in row 6"
    ):
        found = column(tmp_path, values, missing="keep")
    assert np.flatnonzero(np.isnat(found)).tolist() == [5]


def test_dates_of_a_new_file_may_have_gaps_and_odd_values(tmp_path: Path) -> None:
    kinds: Any = {"a": "datetime"}
    assert np.isnat(column(tmp_path, ["", "NA"], kinds=kinds, missing="keep")).all()
    with pytest.warns(TableWarning, match="the first 'soon' in row 1"):
        found = column(tmp_path, ["soon", "2024-02-13"], kinds=kinds, missing="keep")
    assert np.isnat(found).tolist() == [True, False]
    with pytest.raises(DataError, match="column 'a': expected a date in every row, found 'soon'"):
        column(tmp_path, ["soon", "later"], kinds=kinds, missing="keep")


def test_parts_of_dates_are_those_of_python() -> None:
    moments = np.array(["1969-12-31T23:00", "2000-02-29T12:30", "2024-07-07"], "datetime64[us]")
    found = parts_of(moments)
    python = [moment.astype(object) for moment in moments]
    assert found["year"].tolist() == [one.year for one in python]
    assert found["month"].tolist() == [one.month for one in python]
    assert found["weekday"].tolist() == [one.weekday() for one in python]
    assert found["hour"].tolist() == [23, 12.5, 0]
    assert found["days"].tolist() == [-1 + 23 / 24, 11016 + 12.5 / 24, 19911]


def test_dates_in_parquet_are_those_in_csv(tmp_path: Path) -> None:
    frame = polars.DataFrame({"d": ["2024-01-05 10:30:00", "2024-02-13 22:15:00"]})
    frame.write_csv(tmp_path / "a.csv")
    moments = frame["d"].str.to_datetime()
    columns = {
        "naive": moments.cast(polars.Datetime("ns")),
        "zoned": moments.dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo"),
        "days": moments.cast(polars.Date),
        "time": moments.dt.time(),
        "span": moments - moments[0],
    }
    polars.DataFrame(columns).write_parquet(tmp_path / "a.parquet")
    table = read_table(tmp_path / "a.parquet")
    from_csv = read_table(tmp_path / "a.csv").column("d").tolist()
    assert table.column("naive").tolist() == from_csv
    assert table.column("zoned").tolist() == from_csv
    assert table.column("days")[1] == day("2024-02-13")
    assert table.column("time")[1] == day("1970-01-01T22:15")
    assert table.column("span").tolist() == [0.0, (39 * 24 + 11.75) * 3600]


def test_numbers_that_cannot_be_read_as_such_are_said(tmp_path: Path) -> None:
    values = [f"{i}.5 at {i}" if i % 3 == 0 else f"{i}.5" for i in range(60)]
    message = (
        "'a' is taken for text, though 40 of 60 values look like numbers, the first .* in row 1"
    )
    with pytest.warns(TableWarning, match=message):
        assert column(tmp_path, values, missing="keep").tolist() == values
    polars.DataFrame({"a": [f"{i}.5" for i in range(60)]}).write_parquet(tmp_path / "a.parquet")
    with pytest.warns(TableWarning, match="'a' is taken for text, though 60 of 60 values look"):
        read_table(tmp_path / "a.parquet", missing="keep")


def test_dates_as_text_in_parquet(tmp_path: Path) -> None:
    frame = polars.DataFrame({"d": ["2024-01-05", "2024-02-13"], "k": ["1", "02"]})
    frame.write_parquet(tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet").kinds == {"d": "datetime", "k": "categorical"}


def test_nothing_unusual_is_passed_over_without_a_word(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = read(tmp_path, ["a,b", "1,x", "2.5,y"], missing="keep")
    assert table.reading is not None
    assert table.reading.notes == ()
