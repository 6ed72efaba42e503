"""Tables in memory: what they accept, and what they say of what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nnscratch.data import Table
from nnscratch.errors import DataError

TREES = Table(
    "trees.csv",
    {
        "height": np.array([4.5, 7.0, 3.0], np.float32),
        "rings": np.array([10, 20, 30], np.uint8),
        "felled": np.array([True, False, True]),
        "kind": np.array(["oak", "elm", "oak"]),
    },
)


def test_columns_are_brought_to_a_few_types() -> None:
    assert [values.dtype.str for values in TREES.columns.values()] == ["<f8", "<i8", "|b1", "|O"]
    assert TREES.kinds == {
        "height": "numeric",
        "rings": "numeric",
        "felled": "boolean",
        "kind": "categorical",
    }
    assert len(TREES) == 3
    assert list(TREES) == ["height", "rings", "felled", "kind"]
    assert "kind" in TREES
    assert "age" not in TREES


def test_numbers_beyond_int64_become_floats() -> None:
    table = Table("t", {"a": np.array([2**64 - 1], np.uint64), "b": np.array([5], np.uint64)})
    assert [values.dtype.str for values in table.columns.values()] == ["<f8", "<i8"]


def test_booleans_as_objects() -> None:
    table = Table("t", {"a": np.array([True, False], object)})
    assert table.kinds == {"a": "boolean"}


def test_select_without_take() -> None:
    assert TREES.select(["kind", "height"]).names == ("kind", "height")
    assert TREES.without(["kind", "height"]).names == ("rings", "felled")
    assert TREES.take([2, 0]).column("rings").tolist() == [30, 10]
    with pytest.raises(TypeError):
        TREES.columns["new"] = np.zeros(3)  # type: ignore[index]


def test_a_missing_column_is_answered_with_those_there_are() -> None:
    message = (
        r"trees.csv: there is no column 'Hight'; did you mean 'height'\? "
        "The columns are 'height', 'rings', 'felled', 'kind'"
    )
    for call in (TREES.column, lambda name: TREES.select([name]), lambda n: TREES.without([n])):
        with pytest.raises(DataError, match=message):
            call("Hight")
    with pytest.raises(DataError, match=r"no column 'zzz' The|no column 'zzz'") as caught:
        TREES.column("zzz")
    assert "did you mean" not in str(caught.value)


def test_many_columns_are_not_all_listed() -> None:
    table = Table("wide", {f"c{i}": np.zeros(1) for i in range(100)})
    with pytest.raises(DataError, match="'c19' and 80 more"):
        table.column("target")


def test_numbers_for_names_mean_that_the_header_is_missing() -> None:
    with pytest.raises(DataError, match="does the file lack the line with the column names"):
        Table("t", {"0": np.zeros(1), "1.5": np.zeros(1)}).column("label")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "t: the table has no columns"),
        (
            {"a": np.zeros(3), "b": np.zeros(2)},
            "different lengths: 'a' has 3 rows, 'b' has 2",
        ),
        ({"a": np.zeros((2, 2))}, r"column 'a' has the shape \(2, 2\); expected one value a row"),
        (
            {"a": np.array([1.0, np.nan, 2.0, np.nan])},
            "t: column 'a' is empty or NaN in 2 of 4 rows, first in row 2. Fill",
        ),
        ({"a": np.array([1.0, np.inf])}, "column 'a' is infinite in 1 of 2 rows, first in row 2"),
        ({"a": np.array(["x", None])}, "column 'a' is empty in 1 of 2 rows, first in row 2"),
        ({"a": np.array([None, True])}, "column 'a' is empty in 1 of 2 rows, first in row 1"),
        ({"a": np.array([None, None])}, "column 'a' is empty in all 2 rows"),
        (
            {"a": np.array([np.nan]), "b": np.array([None])},
            "column 'a' is empty or NaN in all 1 rows; column 'b' is empty in all 1 rows",
        ),
        ({"a": np.array([1, "x"], object)}, "values of the types 'int', 'str'; expected text"),
        ({"a": np.zeros(2, complex)}, "column 'a' has the data type complex128"),
        ({f"c{i}": np.array([np.nan]) for i in range(12)}, "; and 2 more. Fill"),
    ],
)
def test_messages(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Table("t", columns)


def test_nothing_left() -> None:
    with pytest.raises(DataError, match="no column is left after leaving out 'height', 'rings'"):
        TREES.without(list(TREES))
