"""Indexing picks what PyTorch picks, and its gradients go back to where they came from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from parity import assert_same, check, ours, theirs

import nnscratch
from nnscratch.errors import DataError, ShapeError

X = np.random.default_rng(0).normal(size=(3, 4, 5))

INDICES: dict[str, Any] = {
    "integer": lambda lib: 1,
    "negative": lambda lib: -1,
    "integers": lambda lib: (1, -2, 3),
    "slice": lambda lib: slice(1, 3),
    "steps": lambda lib: (slice(None, None, 2), slice(1, None, 3)),
    "none": lambda lib: (None, slice(None), None, 0),
    "dots": lambda lib: (..., 1),
    "dots between": lambda lib: (0, ..., slice(1, 3)),
    "dots for nothing": lambda lib: (0, 1, 2, ...),
    "an empty slice": lambda lib: slice(2, 1),
    "array": lambda lib: lib.tensor([2, 0, 2]),
    "array of negatives": lambda lib: lib.tensor([-1, 0, -3]),
    "list": lambda lib: [2, 0],
    "numpy": lambda lib: np.array([2, 0]),
    "matrix": lambda lib: lib.tensor([[0, 1], [2, 2]]),
    "no-dimensional": lambda lib: lib.tensor(2),
    "second dimension": lambda lib: (slice(None), lib.tensor([3, 0])),
    "last dimension": lambda lib: (..., lib.tensor([3, 0])),
    "array then slice": lambda lib: (lib.tensor([2, 0]), slice(1, 3)),
    "slice then array": lambda lib: (slice(1, 3), lib.tensor([2, 0]), slice(None, None, 2)),
    "integer then array": lambda lib: (1, lib.tensor([2, 0])),
    "array then integer": lambda lib: (lib.tensor([2, 0]), 1),
    "integer between": lambda lib: (0, slice(None), lib.tensor([1, 2])),
    "pairs": lambda lib: (lib.arange(3), lib.tensor([1, 0, 3])),
    "triples": lambda lib: (lib.tensor([0, 2]), lib.tensor([1, -1]), lib.tensor([-5, 4])),
    "pairs that broadcast": lambda lib: (lib.tensor([[0], [2]]), lib.tensor([1, 0, 3])),
    "pairs apart": lambda lib: (lib.tensor([0, 2]), slice(None), lib.tensor([1, 0])),
    "pairs apart by a slice": lambda lib: (lib.tensor([0, 2]), slice(1, 3), lib.tensor([1, 0])),
    "pairs after a new one": lambda lib: (None, lib.tensor([0, 2]), lib.tensor([1, 0])),
    "mask of all": lambda lib: lib.tensor(X > 0),
    "mask of rows": lambda lib: lib.tensor([True, False, True]),
    "mask of two": lambda lib: lib.tensor(X[:, :, 0] > 0),
    "mask of the second": lambda lib: (slice(None), lib.tensor([True, False, True, True])),
    "mask of the last": lambda lib: (..., lib.tensor([True, False, True, True, False])),
    "mask of nothing": lambda lib: lib.tensor([False, False, False]),
    "mask and slice": lambda lib: (lib.tensor([True, False, True]), slice(1, 3)),
    "mask after integer": lambda lib: (1, lib.tensor([True, False, True, True])),
    "mask list": lambda lib: [True, False, True],
    "no indices": lambda lib: lib.tensor([], dtype=lib.int64),
}


@pytest.mark.parametrize("name", INDICES)
def test_indices_pick_what_pytorch_picks(name: str) -> None:
    make = INDICES[name]
    check(lambda x: x[make(nnscratch)] * 2.0, lambda x: x[make(torch)] * 2.0, [X])


def test_labels_pick_one_entry_a_row() -> None:
    labels = np.array([3, 0, 1])
    check(
        lambda z: -z.log_softmax(1)[nnscratch.arange(3), ours(labels)].mean(),
        lambda z: -z.log_softmax(1)[torch.arange(3), theirs(labels)].mean(),
        [X[:, :, 0]],
    )


slices = st.builds(
    slice,
    st.none() | st.integers(-6, 6),
    st.none() | st.integers(-6, 6),
    st.none() | st.integers(1, 3),
)
entries = st.one_of(
    slices, st.integers(-3, 2), st.none(), st.lists(st.integers(-3, 2), min_size=1, max_size=3)
)


@given(st.lists(entries, min_size=1, max_size=3))
def test_any_index_picks_what_pytorch_picks(index: list[Any]) -> None:
    lists = [entry for entry in index if isinstance(entry, list)]
    if len({len(one) for one in lists} - {1}) > 1:
        return
    array = [np.array(entry) if isinstance(entry, list) else entry for entry in index]
    mine = tuple(ours(a) if isinstance(a, np.ndarray) else a for a in array)
    its = tuple(theirs(a) if isinstance(a, np.ndarray) else a for a in array)
    check(lambda x: x[mine], lambda x: x[its], [X])


def test_negative_steps_as_in_numpy() -> None:
    x = ours(X, True)
    y = x[::-1, :, 3:0:-2]
    assert np.array_equal(np.asarray(y.detach()), X[::-1, :, 3:0:-2])
    y.sum().backward()
    expected = np.zeros_like(X)
    expected[::-1, :, 3:0:-2] = 1.0
    assert np.array_equal(x.grad.numpy(), expected)


ASSIGNMENTS: dict[str, Any] = {
    "integer": lambda x, lib: x.__setitem__(1, 5.0),
    "slice": lambda x, lib: x.__setitem__((slice(None), 2), lib.zeros(3, 5).double()),
    "mask": lambda x, lib: x.__setitem__(x > 0, -1.0),
    "array": lambda x, lib: x.__setitem__(lib.tensor([2, 0]), 7.0),
    "pairs": lambda x, lib: x.__setitem__((lib.tensor([2, 0]), lib.tensor([1, 1])), 7.0),
    "broadcast": lambda x, lib: x.__setitem__(..., lib.arange(5).double()),
}


@pytest.mark.parametrize("name", ASSIGNMENTS)
def test_items_are_set_as_in_pytorch(name: str) -> None:
    x, z = ours(X), theirs(X)
    ASSIGNMENTS[name](x, nnscratch)
    ASSIGNMENTS[name](z, torch)
    assert_same(x, z)


def test_mistakes() -> None:
    x = ours(X)
    with pytest.raises(IndexError, match="index 3 is out of range for axis 0"):
        x[3]
    with pytest.raises(IndexError, match="too many"):
        x[0, 0, 0, 0]
    with pytest.raises(IndexError, match="too many entries"):
        x[..., ...]
    with pytest.raises(IndexError, match="4 entries"):
        x[0, 0, 0, [0]]
    with pytest.raises(DataError, match=r"from -3 to 2, got 3 at position 1"):
        x[nnscratch.tensor([0, 3])]
    with pytest.raises(DataError, match=r"from -4 to 3, got 4"):
        x[nnscratch.tensor([0, 1]), nnscratch.tensor([0, 4])]
    with pytest.raises(ShapeError, match=r"mask of shape \(2,\) does not fit dimensions \(3,\)"):
        x[nnscratch.tensor([True, False])]
    with pytest.raises(ShapeError, match="broadcast"):
        x[nnscratch.tensor([0, 1]), nnscratch.tensor([0, 1, 2])]
    with pytest.raises(IndexError):
        x["a"]
    with pytest.raises(IndexError):
        x[1.0]
