"""Saved preprocessing: whatever a file holds is read back exactly or refused."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnscratch.data import (
    ClassTarget,
    NumberTarget,
    Standardiser,
    Table,
    TableEncoder,
    TablePreprocessor,
)
from nnscratch.errors import CheckpointError


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


SAVED = TablePreprocessor.fit(TRAIN, "kind").to_dict()
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    if isinstance(value, (dict, list)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            found += places(inner, (*path, key))
    return found


@given(st.sampled_from(places(SAVED)), json_values)
def test_whatever_stands_in_a_saved_file(path: tuple[Any, ...], value: Any) -> None:
    damaged: Any = {"root": json.loads(json.dumps(SAVED))}
    spot = damaged
    for key in ("root", *path[:-1]) if path else ():
        spot = spot[key]
    spot[path[-1] if path else "root"] = value
    try:
        loaded = TablePreprocessor.from_dict(damaged["root"])
    except CheckpointError:
        return
    # What is accepted is something that could have been saved, and works.
    assert TablePreprocessor.from_dict(through_json(loaded.to_dict())) == loaded


@given(json_values)
def test_anything_else_in_a_saved_file(value: Any) -> None:
    for reader in (Standardiser, TableEncoder, TablePreprocessor, ClassTarget, NumberTarget):
        with pytest.raises(CheckpointError):
            reader.from_dict(value)


def changed(base: dict[str, Any], **entries: Any) -> dict[str, Any]:
    return {**base, **entries}


NUMERIC = {"name": "a", "kind": "numeric", "mean": 0.0, "std": 1.0}
ENCODER = {"form": "table-encoder", "version": 1, "columns": [NUMERIC]}
KINDS = {"name": "a", "kind": "categorical", "categories": ["x"]}
STANDARD = {"form": "standardiser", "version": 1, "mean": [0.0], "std": [1.0]}
CLASSES = {"form": "class-target", "version": 1, "classes": ["a", "b"]}
NUMBER = {"form": "number-target", "version": 1, "standardiser": STANDARD}


@pytest.mark.parametrize(
    ("reader", "value", "message"),
    [
        (TableEncoder, [], r"expected a saved 'table-encoder', found \[\]"),
        (TableEncoder, CLASSES, "expected a saved 'table-encoder', found 'class-target'"),
        (TableEncoder, changed(ENCODER, version=3), "version 3 is unknown .* reads version 2"),
        (TableEncoder, changed(ENCODER, version=True), "version True is unknown"),
        (TableEncoder, changed(ENCODER, more=1), r"missing: \[\], unexpected: \['more'\]"),
        (TableEncoder, changed(ENCODER, columns=[]), "at least one column"),
        (TableEncoder, changed(ENCODER, columns={}), "columns: expected a list, found {}"),
        (TableEncoder, changed(ENCODER, columns=[NUMERIC] * 2), "same value is listed twice"),
        (TableEncoder, changed(ENCODER, columns=[7]), "found kind None"),
        (TableEncoder, changed(ENCODER, columns=[changed(NUMERIC, name=7)]), "expected text, f"),
        (TableEncoder, changed(ENCODER, columns=[changed(NUMERIC, std=0)]), "a positive finite"),
        (TableEncoder, changed(ENCODER, columns=[changed(NUMERIC, std=math.nan)]), "positive"),
        (TableEncoder, changed(ENCODER, columns=[changed(NUMERIC, mean="0")]), "a number, found"),
        (TableEncoder, changed(ENCODER, columns=[changed(NUMERIC, mean=True)]), "a number, foun"),
        (TableEncoder, changed(ENCODER, columns=[changed(NUMERIC, mean=10**400)]), "a finite n"),
        (TableEncoder, changed(ENCODER, columns=[changed(KINDS, categories=[])]), "do not fit"),
        (TableEncoder, changed(ENCODER, columns=[changed(KINDS, categories=["x"] * 2)]), "twice"),
        (TableEncoder, changed(ENCODER, columns=[changed(KINDS, kind="boolean")]), "do not fit"),
        (Standardiser, changed(STANDARD, mean=[]), "0 means but 1 deviations"),
        (ClassTarget, changed(CLASSES, classes=["a"]), "two classes or more"),
        (ClassTarget, changed(CLASSES, classes=["a", 1]), "found 2 of 'int', 'str'"),
        (ClassTarget, changed(CLASSES, classes=[[], []]), "found 2 of 'list'"),
        (ClassTarget, changed(CLASSES, classes=["b", "a"]), "in ascending order"),
        (ClassTarget, changed(CLASSES, classes=["a", "a"]), "different classes"),
        (ClassTarget, changed(CLASSES, classes=[1, 2**70]), "beyond the range of int64"),
        (NumberTarget, changed(NUMBER, standardiser=None), "expected a saved 'standardiser'"),
        (
            NumberTarget,
            changed(NUMBER, standardiser=changed(STANDARD, mean=[], std=[])),
            "expected one mean, found 0",
        ),
        (TablePreprocessor, changed(SAVED, target_name="height"), "'height' is among the featur"),
    ],
)
def test_saved_messages(reader: Any, value: Any, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        reader.from_dict(value)
