"""Padded and packed sequences, against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from parity import assert_same, ours, theirs, values

import nnscratch
from nnscratch import nn
from nnscratch.errors import ConfigurationError, DataError, ShapeError
from nnscratch.nn.utils import rnn

its = torch.nn.utils.rnn
RNG = np.random.default_rng(0)
BATCH = RNG.normal(size=(3, 4, 2))
SEQUENCES = [RNG.normal(size=(n, 2)) for n in (2, 4, 1)]


def assert_packed(mine: Any, other: Any) -> None:
    for got, expected in zip(mine, other, strict=True):
        assert_same(got, expected)


@pytest.mark.parametrize("lengths", [[4, 3, 3], [2, 4, 1], [1, 1, 1]])
@pytest.mark.parametrize("batch_first", [False, True])
def test_packing_and_padding(lengths: list[int], batch_first: bool) -> None:
    array = BATCH if batch_first else BATCH.transpose(1, 0, 2)
    x, y = ours(array, True), theirs(array, True)
    ordered = sorted(lengths, reverse=True) == lengths
    mine = rnn.pack_padded_sequence(x, lengths, batch_first, enforce_sorted=ordered)
    other = its.pack_padded_sequence(y, torch.tensor(lengths), batch_first, enforce_sorted=ordered)
    assert_same(mine.data, other.data)
    assert_same(mine.batch_sizes, other.batch_sizes)
    for total in (None, 6):
        options = {"batch_first": batch_first, "padding_value": -1.0, "total_length": total}
        assert_packed(
            rnn.pad_packed_sequence(mine, **options), its.pad_packed_sequence(other, **options)
        )
    (rnn.pad_packed_sequence(mine)[0] ** 2).sum().backward()
    (its.pad_packed_sequence(other)[0] ** 2).sum().backward()
    assert_same(x.grad, y.grad)


def test_sequences() -> None:
    mine, other = [ours(one) for one in SEQUENCES], [theirs(one) for one in SEQUENCES]
    for options in ({}, {"batch_first": True, "padding_value": 7.0}, {"padding_side": "left"}):
        assert_same(rnn.pad_sequence(mine, **options), its.pad_sequence(other, **options))
    packed = rnn.pack_sequence(mine, enforce_sorted=False)
    assert_packed(packed, its.pack_sequence(other, enforce_sorted=False))
    for got, given in zip(rnn.unpack_sequence(packed), SEQUENCES, strict=True):
        assert np.array_equal(values(got), given)
    padded = rnn.pad_sequence(mine)
    for got, given in zip(rnn.unpad_sequence(padded, [2, 4, 1]), SEQUENCES, strict=True):
        assert np.array_equal(values(got), given)
    assert_same(rnn.invert_permutation(ours([2, 0, 1])), its.invert_permutation(theirs([2, 0, 1])))
    assert rnn.invert_permutation(None) is None


def test_a_packed_sequence_moves() -> None:
    packed = rnn.pack_sequence([ours(one) for one in SEQUENCES], enforce_sorted=False)
    assert packed.float().data.dtype == "float32"
    assert packed.half().double().data.dtype == "float64"
    assert packed.cpu() is packed
    assert not packed.is_cuda
    again = rnn.PackedSequence(packed.data, packed.batch_sizes, packed.sorted_indices)
    assert_packed(again, packed)


def test_states_are_those_of_the_last_real_step() -> None:
    layer = nn.LSTM(1, 2, batch_first=True)
    x = nnscratch.ones(2, 3, 1)
    packed = rnn.pack_padded_sequence(x, [1, 3], batch_first=True, enforce_sorted=False)
    out, (h, _) = layer(packed)
    y, lengths = rnn.pad_packed_sequence(out, batch_first=True)
    assert lengths.tolist() == [1, 3]
    assert not y[0, 1:].any()
    assert nnscratch.equal(h[0], nnscratch.stack([y[0, 0], y[1, 2]]))


def test_the_other_direction_begins_at_the_last_real_step() -> None:
    layer = nn.GRU(2, 2, batch_first=True, bidirectional=True, dtype="float64")
    x = ours(BATCH)
    packed = rnn.pack_padded_sequence(x, [2, 4, 3], batch_first=True, enforce_sorted=False)
    y, _ = rnn.pad_packed_sequence(layer(packed)[0], batch_first=True)
    assert nnscratch.allclose(y[0, :2], layer(x[:1, :2])[0][0])


def test_what_is_padding_has_no_part_in_it() -> None:
    layer = nn.LSTM(2, 3, dtype="float64")
    x = BATCH.transpose(1, 0, 2).copy()
    x[2:, 0] = np.nan
    given = ours(x, True)
    packed = rnn.pack_padded_sequence(given, [2, 4, 3], enforce_sorted=False)
    y, _ = layer(packed)
    y.data.sum().backward()
    assert given.grad is not None
    assert given.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in layer.parameters())


def test_refused() -> None:
    x = nnscratch.zeros(2, 3, 1)
    with pytest.raises(DataError, match="enforce_sorted=False"):
        rnn.pack_padded_sequence(x, [1, 3], batch_first=True)
    with pytest.raises(DataError, match="every length is above 0, got 0 for sequence 1"):
        rnn.pack_padded_sequence(x, [3, 0], batch_first=True)
    with pytest.raises(ShapeError, match="sequence 0 has the length 4, but the input has 3"):
        rnn.pack_padded_sequence(x, [4, 1], batch_first=True)
    with pytest.raises(ShapeError, match="a length for each sequence"):
        rnn.pack_padded_sequence(x, [3, 1])
    with pytest.raises(ShapeError, match="no sequence"):
        rnn.pack_padded_sequence(nnscratch.zeros(3, 0, 1), [])
    packed = rnn.pack_padded_sequence(x, [3, 1], batch_first=True)
    with pytest.raises(ShapeError, match="at least the longest length, 3; got 2"):
        rnn.pad_packed_sequence(packed, total_length=2)
    for sequences in ([], [nnscratch.zeros(2, 1), nnscratch.zeros(2, 2)]):
        with pytest.raises(ShapeError, match="differ in their first dimension alone"):
            rnn.pad_sequence(sequences)
    with pytest.raises(ConfigurationError, match="padding_side"):
        rnn.pad_sequence([x], padding_side="both")
    with pytest.raises(ConfigurationError, match="batch_sizes are missing"):
        rnn.PackedSequence(x)
    with pytest.raises(ShapeError, match="expected an input"):
        nn.GRU(2, 2)(packed)


@pytest.mark.parametrize("name", ["long", "int", "short", "char", "byte", "double", "half"])
def test_packed_sequences_of_other_dtypes(name: str) -> None:
    whole = [np.array([1.0, 2.0]), np.array([3.0])]
    mine, other = (lib.pack_sequence([make(one) for one in whole])
                   for lib, make in ((rnn, ours), (its, theirs)))  # fmt: skip
    assert_packed(getattr(mine, name)(), getattr(other, name)())
    assert mine.is_pinned() is other.is_pinned() is False
    assert mine.pin_memory() is mine


@pytest.mark.parametrize("lengths", [[3], [3, 2, 1]])
@pytest.mark.parametrize("batch_first", [False, True])
def test_a_length_for_each_sequence(lengths: list[int], batch_first: bool) -> None:
    X = BATCH[:2].swapaxes(0, 1) if not batch_first else BATCH[:2]
    with pytest.raises(ShapeError, match=f"each of 2 sequences .* got {len(lengths)}"):
        rnn.unpad_sequence(ours(X), lengths, batch_first)
    with pytest.raises(ValueError, match="zip"):
        its.unpad_sequence(theirs(X), torch.tensor(lengths), batch_first)
