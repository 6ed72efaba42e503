"""Targets: labels to indices and numbers to standardised numbers, and back."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from nnscratch.data import (
    ClassTarget,
    NumberTarget,
    as_written,
    infer_task,
    refuse_names,
    target_from_dict,
)
from nnscratch.errors import DataError, ShapeError


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(value, allow_nan=False))


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["a", "b"], "classification"),
        ([True, False], "classification"),
        (list(range(20)) * 2, "classification"),
        (list(range(21)) * 2, "regression"),
        (list(range(20)), "regression"),
        ([515, 1134], "regression"),
        ([0.0, 1.0] * 2, "classification"),
        ([1.0, 2.0, 3.0] * 2, "classification"),
        ([1.0, 2.0, 3.0], "regression"),
        ([0.5, 1.5] * 2, "classification"),
        ([0.5, 1.5, 2.0], "regression"),
        ([float(n) for n in range(21)], "regression"),
    ],
)
def test_infer_task(values: list[Any], task: str) -> None:
    assert infer_task(np.array(values)) == task


@pytest.mark.parametrize(
    ("values", "classes", "kind"),
    [
        (["b", "a", "b"], ("a", "b"), "categorical"),
        ([3, -1, 3], (-1, 3), "numeric"),
        ([2.0, 1.0, 1.0], (1, 2), "numeric"),
        ([1.5, 0.5, 0.5], (0.5, 1.5), "numeric"),
        (["012", "007", "7"], ("007", "012", "7"), "categorical"),
        ([True, False, True], (False, True), "boolean"),
    ],
)
def test_class_target(values: list[Any], classes: tuple[Any, ...], kind: str) -> None:
    target = ClassTarget.fit(np.array(values))
    assert target.classes == classes
    assert [type(label) for label in target.classes] == [type(label) for label in classes]
    assert target.kind == kind
    assert target.outputs == len(classes)
    assert target.class_names == tuple(map(str, classes))
    indices = target.transform(np.array(values))
    assert indices.dtype == np.int64
    assert target.inverse_transform(indices).tolist() == values
    again = target_from_dict(through_json(target.to_dict()))
    assert again == target
    assert again.kind == kind


def test_class_target_messages() -> None:
    fit = ClassTarget.fit
    with pytest.raises(DataError, match="y: classification needs two classes or more, found the s"):
        fit(np.array(["a", "a"]), name="y")
    with pytest.raises(DataError, match="found no rows"):
        fit(np.array([], np.int64))
    with pytest.raises(DataError, match=r"1.5 in row 21 is no class label; choose regression"):
        fit([1.5, *map(float, range(20))][::-1])
    with pytest.raises(DataError, match="nan in row 1 is no class label"):
        fit([np.nan, 1.5])
    with pytest.raises(ShapeError, match=r"expected labels of shape \(N,\), got \(1, 2\)"):
        fit([[1, 2]])
    with pytest.raises(DataError, match=r"booleans, found None \(NoneType\) in row 2"):
        fit(np.array(["a", None]))
    with pytest.raises(DataError, match=r"booleans, found 'a' \(str\) in row 1|found 1 \(int\)"):
        fit(np.array([1, "a"], object))
    with pytest.raises(DataError, match="beyond the range of int64"):
        fit(np.array([1, 2**63], np.uint64))
    target = fit(np.array([0, 1]))
    with pytest.raises(
        DataError, match=r"y: 2 of 3 rows have a label that training .*: 7, 5; the classes are '0'"
    ):
        target.transform([7, 0, 5], name="y")
    with pytest.raises(DataError, match=r"2 of 2 rows .*: False, True"):
        target.transform([False, True])
    with pytest.raises(DataError, match="whole numbers from 0 to 1"):
        target.inverse_transform([2])
    with pytest.raises(DataError, match="whole numbers from 0 to 1"):
        target.inverse_transform([-1])
    with pytest.raises(DataError, match="whole numbers from 0 to 1"):
        target.inverse_transform([0.5])
    with pytest.raises(ShapeError, match=r"expected class indices of shape \(N,\)"):
        target.inverse_transform([[0]])


def test_labels_of_other_python_types() -> None:
    for values in ([True, False], [3, 4], [1.5, 2.5]):
        target = ClassTarget.fit(np.array(values, object))
        assert target.inverse_transform([0, 1]).tolist() == sorted(values)
    assert ClassTarget.fit(np.array([["b"], ["a"]])).classes == ("a", "b")
    assert ClassTarget.fit(np.array([1.0, 2.0], np.float16)).classes == (1, 2)
    with pytest.raises(DataError, match=r"found 1 \(int\) in row 2"):
        ClassTarget.fit(["a", 1])


def test_a_label_is_found_again_in_another_spelling() -> None:
    assert ClassTarget(("1.0", "2.0")).transform(np.array([2, 1])).tolist() == [1, 0]
    assert ClassTarget(("1.0", "2.0")).transform(np.array(["2", "1.0"])).tolist() == [1, 0]
    assert ClassTarget((1, 2)).transform(np.array(["2.0", "1"])).tolist() == [1, 0]
    assert ClassTarget(("FALSE", "TRUE")).transform(np.array([True, False])).tolist() == [1, 0]
    # Codes are not numbers, and where two classes are meant nothing is.
    with pytest.raises(DataError, match="1 of 2 rows have a label that training never showed: '7'"):
        ClassTarget(("007", "012")).transform(np.array(["7", "007"]))
    with pytest.raises(DataError, match="never showed: '1'"):
        ClassTarget(("1.0", "1.00")).transform(np.array(["1"]))


@pytest.mark.parametrize(
    ("values", "texts", "labels"),
    [
        ([7, 12], ["007", "012"], ["007", "012"]),
        ([7, 7], ["007", "7"], ["007", "7"]),
        ([7, 12], ["7", "12"], [7, 12]),
        ([1.0, 2.5], ["1.0", "2.5"], ["1.0", "2.5"]),
        ([1.0, 1.0], ["1.0", "1"], [1.0, 1.0]),
        ([0, 1], ["0", "1"], [0, 1]),
        ([True, False], ["TRUE", "FALSE"], ["TRUE", "FALSE"]),
        ([True, True], ["True", "true"], [True, True]),
        (["a", "b"], ["a", "b"], ["a", "b"]),
        ([1.0, float("nan"), 2.0], ["1", "n/a", "2"], ["1", None, "2"]),
        ([True, None, False], ["yes", None, "no"], ["yes", None, "no"]),
        # Of other rows: nothing can be said.
        ([7, 12], ["007"], [7, 12]),
    ],
)
def test_labels_as_they_are_written(values: list[Any], texts: list[str], labels: Any) -> None:
    found = as_written(np.array(values), np.array(texts, object))
    assert found.tolist() == labels


def test_text_that_names_the_rows_is_no_target() -> None:
    with pytest.raises(DataError, match="y: its text has 30 different values in 30 rows"):
        refuse_names(np.array([f"n{i}" for i in range(30)], object), name="y")
    refuse_names(np.array([f"n{i % 8}" for i in range(10)], object))
    refuse_names(np.arange(30))


def test_number_target() -> None:
    values = np.array([10.0, 20.0, 60.0])
    target = NumberTarget.fit(values)
    Y = target.transform(values)
    assert Y.shape == (3, 1)
    assert Y.dtype == np.float32
    np.testing.assert_allclose([Y.mean(), Y.std()], [0.0, 1.0], atol=1e-6)
    np.testing.assert_allclose(target.inverse_transform(Y), values[:, None], rtol=1e-6)
    np.testing.assert_allclose(target.inverse_transform(Y[:, 0]), values, rtol=1e-6)
    assert target_from_dict(through_json(target.to_dict())) == target
    plain = NumberTarget.fit(values, standardise=False)
    np.testing.assert_array_equal(plain.transform(values)[:, 0], values)
    assert (target.outputs, target.kind) == (1, "numeric")


def test_number_target_messages() -> None:
    with pytest.raises(DataError, match="y: every row has the value 4: nothing to learn"):
        NumberTarget.fit(np.array([4.0, 4.0]), name="y")
    with pytest.raises(DataError, match="regression needs numbers, but the column is categorical"):
        NumberTarget.fit(np.array(["a"]))
    with pytest.raises(ShapeError, match=r"expected numbers of shape \(N,\), got \(1, 1\)"):
        NumberTarget.fit([[1.0]])
