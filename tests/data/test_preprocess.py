"""Encoding tables: fitted on training data, saved as JSON, the same again."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.preprocessing import OneHotEncoder

from nnscratch.data import (
    Table,
    TableEncoder,
    TablePreprocessor,
    UnknownCategoryWarning,
    read_table,
)
from nnscratch.errors import ConfigurationError, DataError


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(value, allow_nan=False))


TRAIN = Table(
    "train.csv",
    {
        "height": np.array([1.0, 3.0, 5.0]),
        "kind": np.array(["oak", "elm", "oak"]),
        "felled": np.array([True, True, True]),
        "same": np.array([7, 7, 7]),
    },
)


def test_encoder() -> None:
    encoder = TableEncoder.fit(TRAIN)
    names = ("height", "kind=elm", "kind=oak", "felled=false", "felled=true", "same")
    assert encoder.feature_names == names
    assert encoder.features == 6
    assert encoder.column_names == ("height", "kind", "felled", "same")
    assert encoder.kinds == TRAIN.kinds
    features = encoder.transform(TRAIN)
    assert features.dtype == np.float32
    high = math.sqrt(1.5)
    expected: list[list[float]] = [
        [-high, 0, 1, 0, 1, 0],
        [0, 1, 0, 0, 1, 0],
        [high, 0, 1, 0, 1, 0],
    ]
    np.testing.assert_allclose(features, expected, rtol=1e-6)


def test_nothing_of_the_other_rows_is_used() -> None:
    encoder = TableEncoder.fit(TRAIN.take([0, 1]))
    assert encoder.columns[0].mean == 2.0  # type: ignore[union-attr]
    other = Table("test.csv", {**TRAIN.columns, "extra": np.zeros(3)})
    np.testing.assert_array_equal(encoder.transform(other)[:, 0], [-1.0, 1.0, 3.0])


def test_numbers_may_stay_as_they_are() -> None:
    encoder = TableEncoder.fit(TRAIN, standardise=False)
    assert encoder.transform(TRAIN)[:, 0].tolist() == [1.0, 3.0, 5.0]


def test_unknown_categories_become_zeros_and_are_counted_once() -> None:
    encoder = TableEncoder.fit(TRAIN)
    kinds = np.array(["yew", "oak", "ash"])
    other = Table("new.csv", {**TRAIN.columns, "kind": kinds})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        features = encoder.transform(other)
    assert features[:, 1:3].tolist() == [[0, 0], [0, 1], [0, 0]]
    (warning,) = caught
    assert isinstance(warning.message, UnknownCategoryWarning)
    assert warning.filename == __file__
    assert warning.message.source == "new.csv"
    assert warning.message.rows == {"kind": 2}
    assert warning.message.examples == {"kind": ("yew", "ash")}
    assert "new.csv: categories that training never showed" in str(warning.message)
    assert "column 'kind' in 2 rows ('yew', 'ash')" in str(warning.message)


categories = st.lists(st.sampled_from(["a", "b", "c", "", "ü", "a=b"]), min_size=1, max_size=9)


@given(categories, categories)
def test_one_hot_is_that_of_scikit_learn(train: list[str], test: list[str]) -> None:
    encoder = TableEncoder.fit(Table("t", {"x": np.array(train, object)}))
    theirs = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    theirs.fit(np.array(train, object)[:, None])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = encoder.transform(Table("t", {"x": np.array(test, object)}))
        expected = theirs.transform(np.array(test, object)[:, None])
    np.testing.assert_array_equal(ours, expected)


tables = st.integers(1, 6).flatmap(
    lambda n: st.fixed_dictionaries(
        {
            "number": hnp.arrays(np.float64, n, elements=st.floats(-1e6, 1e6)),
            "whole": hnp.arrays(np.int64, n),
            "flag": hnp.arrays(bool, n),
            "text": st.lists(st.text(st.characters(codec="utf-8")), min_size=n, max_size=n).map(
                lambda values: np.array(values, object)
            ),
        }
    )
)


@given(tables)
def test_encoder_through_json(columns: dict[str, Any]) -> None:
    table = Table("t", columns)
    encoder = TableEncoder.fit(table)
    again = TableEncoder.from_dict(through_json(encoder.to_dict()))
    assert again == encoder
    features = again.transform(table)
    assert features.tobytes() == encoder.transform(table).tobytes()
    assert features.shape == (len(table), len(encoder.feature_names))
    assert np.isfinite(features).all()
    # A column of text has exactly one 1 in a row, and so has one of booleans.
    one_hot = ["=" in name for name in encoder.feature_names]
    np.testing.assert_array_equal(features[:, one_hot].sum(axis=1), 2.0)


def test_encoder_messages() -> None:
    encoder = TableEncoder.fit(TRAIN)
    with pytest.raises(DataError, match=r"new.csv: there is no column 'height'.* are 'kind'"):
        encoder.transform(Table("new.csv", {"kind": np.array(["oak"])}))
    wrong = Table("new.csv", {**TRAIN.columns, "height": np.array(["a", "b", "c"])})
    with pytest.raises(DataError, match="'height' was numeric in training, but is categorical her"):
        encoder.transform(wrong)
    far = Table("new.csv", {**TRAIN.columns, "height": np.array([0.0, 0.0, 1e300])})
    with pytest.raises(DataError, match=r"'height': 1 values are so far .* first in row 3"):
        encoder.transform(far)
    with pytest.raises(ConfigurationError, match="floating-point"):
        encoder.transform(TRAIN, np.int32)
    with pytest.raises(DataError, match=r"train.csv: there are no rows to fit"):
        TableEncoder.fit(TRAIN.take([]))


def test_of_very_many_categories_the_most_frequent_are_kept() -> None:
    towns = np.array(["a"] * 5 + ["b"] * 3 + [f"town {i}" for i in range(30)])
    encoder = TableEncoder.fit(Table("t", {"town": towns}), max_categories=2)
    assert encoder.feature_names == ("town=a", "town=b", "town=(other)")
    # One that training never showed is one of the others, too, and no surprise.
    features = encoder.transform(Table("t", {"town": np.array(["b", "town 7", "new"])}))
    assert features.tolist() == [[0, 1, 0], [0, 0, 1], [0, 0, 1]]
    assert TableEncoder.from_dict(through_json(encoder.to_dict())) == encoder


def test_preprocessor_from_file_to_file(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text("code,size,kind\n012,1,oak\n7,2,elm\n", encoding="utf-8")
    table = read_table(path, kinds={"code": "categorical"})
    fitted = TablePreprocessor.fit(table, "kind")
    assert fitted.task == "classification"
    assert fitted.kinds == {"code": "categorical", "size": "numeric", "kind": "categorical"}
    assert fitted.targets(table).tolist() == [1, 0]
    again = TablePreprocessor.from_dict(through_json(fitted.to_dict()))
    assert again == fitted
    # In the file to predict the codes alone would be numbers, and there is no target.
    path.write_text("size,code\n3,7\n", encoding="utf-8")
    new = read_table(path, columns=again.encoder.column_names, kinds=again.kinds)
    assert again.features(new).tolist() == [[0.0, 1.0, 3.0]]


def test_preprocessor_for_regression() -> None:
    fitted = TablePreprocessor.fit(TRAIN, "height")
    assert fitted.task == "regression"
    assert fitted.targets(TRAIN).shape == (3, 1)
    assert TablePreprocessor.fit(TRAIN, "height", task="classification").targets(TRAIN).ndim == 1
    assert TablePreprocessor.from_dict(through_json(fitted.to_dict())) == fitted


def test_preprocessor_messages() -> None:
    fit = TablePreprocessor.fit
    with pytest.raises(DataError, match="no column 'hight'; did you mean 'height'"):
        fit(TRAIN, "hight")
    with pytest.raises(ConfigurationError, match=r"task must be .* got 'ranking'"):
        fit(TRAIN, "kind", task="ranking")  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"train.csv: target column 'same': .* single class 7"):
        fit(TRAIN, "same")
    with pytest.raises(DataError, match="no column is left"):
        fit(TRAIN.select(["kind"]), "kind")
    with pytest.raises(DataError, match=r"target column 'kind': .* never showed: 'yew'"):
        fit(TRAIN, "kind").targets(Table("t", {"kind": np.array(["yew"])}))
