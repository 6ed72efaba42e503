"""Gaps, dates and very many categories as features; and the files of earlier versions."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import pytest

from nnscratch.data import (
    FilledGapsWarning,
    Reading,
    Table,
    TableEncoder,
    TablePreprocessor,
    UnknownCategoryWarning,
    screen,
)
from nnscratch.errors import CheckpointError, DataError

NaT = np.datetime64("NaT")


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(value, allow_nan=False))


def day(*texts: str) -> Any:
    return np.array(texts, "datetime64[us]")


GAPPY = Table(
    "train.csv",
    {
        "age": np.array([1.0, np.nan, 5.0, 9.0]),
        "kind": np.array(["oak", None, "elm", "oak"], object),
        "wild": np.array([True, None, False, True], object),
        "felled": day("2024-01-01", "NaT", "2024-01-03", "2024-02-05"),
    },
    gaps=True,
)
WHOLE = Table(
    "train.csv",
    {
        "age": np.array([1, 2, 9]),
        "kind": np.array(["oak", "elm", "oak"]),
        "wild": np.array([True, False, True]),
        "felled": day("2024-01-01", "2024-01-03", "2024-01-05"),
    },
)
EMPTY = Table(
    "new.csv",
    {
        "age": np.array([np.nan, 3.0]),
        "kind": np.array([None, "elm"], object),
        "wild": np.array([None, False], object),
        "felled": day("NaT", "2024-01-03"),
    },
    gaps=True,
)


def test_a_gap_has_a_feature_where_training_had_gaps() -> None:
    encoder = TableEncoder.fit(GAPPY, standardise=False)
    names = encoder.feature_names
    assert [name for name in names if name.endswith("is missing")] == [
        f"{name} is missing" for name in GAPPY
    ]
    features = dict(zip(names, encoder.transform(GAPPY).T.tolist(), strict=True))
    for name in GAPPY:
        assert features[f"{name} is missing"] == [0, 1, 0, 0]
    # The median of numbers and dates; no category at all.
    assert features["age"] == [1, 5, 5, 9]
    assert features["felled.days"][1] == features["felled.days"][2]
    assert [features[f"kind={kind}"][1] for kind in ("elm", "oak")] == [0, 0]
    assert TableEncoder.from_dict(through_json(encoder.to_dict())) == encoder


def test_a_gap_is_filled_and_said_where_training_had_none() -> None:
    encoder = TableEncoder.fit(WHOLE, standardise=False)
    assert not any("missing" in name for name in encoder.feature_names)
    with pytest.warns(FilledGapsWarning, match=r"new.csv: gaps .* 'age' in 1 rows, first in row 1"):
        features = encoder.transform(EMPTY)
    filled = dict(zip(encoder.feature_names, features[0].tolist(), strict=True))
    assert filled["age"] == 2
    assert (filled["kind=elm"], filled["kind=oak"]) == (0, 1)
    assert (filled["wild=false"], filled["wild=true"]) == (0, 1)
    assert filled["felled.days"] == features[1].tolist()[encoder.feature_names.index("felled.days")]


def test_a_column_without_any_value_is_one_of_gaps() -> None:
    encoder = TableEncoder.fit(GAPPY)
    nothing = {name: np.full(2, np.nan) for name in GAPPY}
    features = encoder.transform(Table("new.csv", nothing, gaps=True))
    assert features[:, [name.endswith("missing") for name in encoder.feature_names]].all()


def test_a_part_of_training_without_a_value_can_be_fitted() -> None:
    encoder = TableEncoder.fit(GAPPY.take([1, 1]))
    assert np.isfinite(encoder.transform(GAPPY.take([1]))).all()
    assert TableEncoder.from_dict(through_json(encoder.to_dict())) == encoder


def test_of_a_date_what_varies_becomes_a_feature() -> None:
    days = Table("t", {"d": day("2024-01-01", "2024-01-08", "2024-03-04")})
    # All of them are Mondays of one year, at midnight.
    assert TableEncoder.fit(days).feature_names == ("d.days", "d.month")
    hours = Table("t", {"d": day("2024-01-01T10:30", "2025-01-08T20:00")})
    names = ("d.days", "d.year", "d.weekday", "d.hour")
    assert TableEncoder.fit(hours).feature_names == names
    encoder = TableEncoder.fit(hours, standardise=False)
    assert encoder.transform(hours)[:, 3].tolist() == [10.5, 20.0]
    same = Table("t", {"d": day("2024-01-01", "2024-01-01")})
    assert TableEncoder.fit(same).transform(same).tolist() == [[0.0], [0.0]]


@pytest.mark.parametrize(
    ("categories", "new"),
    [(["no", "yes"], ["False", "TRUE"]), (["F", "T"], ["0", "1"]), (["N", "Y"], ["no", "yes"])],
)
def test_yes_and_no_may_be_written_otherwise(categories: list[str], new: list[str]) -> None:
    encoder = TableEncoder.fit(Table("t", {"a": np.array(categories)}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        features = encoder.transform(Table("new", {"a": np.array(new)}))
    assert features.tolist() == [[1, 0], [0, 1]]
    # Nothing else is taken for one of them.
    three = TableEncoder.fit(Table("t", {"a": np.array([*categories, "maybe"])}))
    with pytest.warns(UnknownCategoryWarning):
        three.transform(Table("new", {"a": np.array(["1"])}))


def test_a_text_that_means_missing_is_a_gap_where_training_had_gaps() -> None:
    encoder = TableEncoder.fit(GAPPY.select(["kind"]))
    features = encoder.transform(Table("new", {"kind": np.array(["NA", "oak"])}))
    assert features.tolist() == [[0, 0, 1], [0, 1, 0]]


@pytest.mark.parametrize("scale", [1.7e308, 1e-320, 1e15])
def test_extreme_numbers_are_standardised(scale: float) -> None:
    table = Table("t", {"a": np.array([-1.0, 1.0, -1.0, 1.0]) * scale})
    found = TableEncoder.fit(table).transform(table)[:, 0]
    np.testing.assert_allclose(found, [-1, 1, -1, 1], rtol=1e-3)


def test_what_version_1_wrote_is_read() -> None:
    columns = [
        {"name": "age", "kind": "numeric", "mean": 2.0, "std": 1.0},
        {"name": "kind", "kind": "categorical", "categories": ["elm", "oak"]},
        {"name": "wild", "kind": "boolean", "categories": ["false", "true"]},
    ]
    encoder = {"form": "table-encoder", "version": 1, "columns": columns}
    target = {"form": "class-target", "version": 1, "classes": [0, 1]}
    saved = {"form": "table-preprocessor", "version": 1, "encoder": encoder}
    loaded = TablePreprocessor.from_dict({**saved, "target_name": "y", "target": target})
    assert loaded.features(WHOLE)[0].tolist() == [-1, 0, 1, 0, 1]
    with pytest.warns(FilledGapsWarning):
        assert loaded.features(EMPTY)[0].tolist() == [0, 0, 0, 0, 0]
    assert TablePreprocessor.from_dict(through_json(loaded.to_dict())) == loaded
    with pytest.raises(CheckpointError, match=r"unexpected: \['fill'"):
        TableEncoder.from_dict({**encoder, "columns": [{**columns[0], "fill": 1.0}]})


READING = Reading(";", "UTF-8", "gzip", ",", {"d": "%d.%m.%Y"}, ("id",), ("a note",))
DATE = TableEncoder.fit(WHOLE).to_dict()["columns"][3]


def test_a_reading_through_json() -> None:
    assert Reading.from_dict(through_json(READING.to_dict())) == READING
    table = Table("t", {"a": np.arange(3), "y": np.array(["p", "q", "p"])}, reading=READING)
    fitted = TablePreprocessor.fit(table.take([0, 1, 2]), "y")
    assert fitted.reading == READING
    assert TablePreprocessor.from_dict(through_json(fitted.to_dict())) == fitted


@pytest.mark.parametrize(
    ("reader", "value", "message"),
    [
        (Reading, {**READING.to_dict(), "decimal": "x"}, "decimal is '.' or ','"),
        (Reading, {**READING.to_dict(), "dates": []}, "expected formats by column"),
        (Reading, {**READING.to_dict(), "notes": [1]}, "expected text"),
        (TableEncoder, {**DATE, "fill": 2**70}, "the date for gaps is none"),
        (TableEncoder, {**DATE, "fill": True}, "the date for gaps is none"),
        (TableEncoder, {**DATE, "gaps": 1}, "gaps is true or false"),
        (TableEncoder, {**DATE, "parts": []}, "at least one part"),
        (
            TableEncoder,
            {**DATE, "parts": [{"part": "moon", "mean": 0, "std": 1}]},
            "no part 'moon'",
        ),
        (TableEncoder, {**DATE, "parts": DATE["parts"][:1] * 2}, "listed twice"),
    ],
)
def test_damaged(reader: Any, value: dict[str, Any], message: str) -> None:
    if reader is TableEncoder:
        value = {"form": "table-encoder", "version": 2, "columns": [value]}
    with pytest.raises(CheckpointError, match=message):
        reader.from_dict(value)


def test_a_table_with_gaps() -> None:
    assert GAPPY.kinds == {
        "age": "numeric",
        "kind": "categorical",
        "wild": "boolean",
        "felled": "datetime",
    }
    for name in GAPPY:
        assert GAPPY.missing(name).tolist() == [False, True, False, False]
    assert GAPPY.select(["age"]).take([1]).gaps
    with pytest.raises(DataError, match=r"'felled' is empty in 1 of 2 rows, first in row 1"):
        Table("new.csv", {"felled": EMPTY.column("felled")})
    with pytest.raises(DataError, match="column 'a' is infinite in 1 of 2 rows"):
        Table("t", {"a": np.array([np.inf, 1])}, gaps=True)


def test_screening() -> None:
    n = 20
    names = np.array([f"tree {i}" for i in range(n)])
    columns = {
        "nothing": np.full(n, np.nan),
        "name": names,
        "shop_id": np.arange(n) * 7 % 31,
        "PassengerId": np.arange(1, n + 1),
        "time": np.arange(n),
        "year": np.arange(1990, 1990 + n),
        "size": np.arange(n) * 0.5,
        "group": np.array(["a", "b"] * (n // 2)),
        "humid": np.arange(n) * 3,
        "y": np.arange(n),
    }
    found = screen(Table("t", columns, gaps=True), "y")
    assert found.empty == ("nothing",)
    assert found.identifiers == ("name", "shop_id", "PassengerId")
    assert found.counting == ("time",)
    # In a few rows, all values may be different by chance.
    few = Table("t", {name: values[:5] for name, values in columns.items()}, gaps=True)
    assert screen(few, "y").identifiers == ()
