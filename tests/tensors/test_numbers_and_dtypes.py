"""Numbers beside a tensor of a smaller dtype: PyTorch's value, or an error that says the range."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from calls import Call, same

import nnscratch
from nnscratch.errors import DTypeError


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "int64", "bool"])
@pytest.mark.parametrize(
    "call",
    [
        lambda lib, x: x / 300,
        lambda lib, x: 300 / (x | 1),
        lambda lib, x: x / 2**40,
        lambda lib, x: x.div(-1),
        lambda lib, x: (x * 100).sum(dtype=lib.int8),
        lambda lib, x: x.sum(0, dtype=lib.uint8),
        lambda lib, x: x.sum(dtype=lib.bool),
        lambda lib, x: x.logsumexp(0),
        lambda lib, x: x.all(()),
        lambda lib, x: x.new_full((2,), 1),
    ],
)
def test_integers_by_numbers_beyond_them(call: Call, dtype: str) -> None:
    same(call, [[0, 1, 3], [100, 2, 7]], dtype)


NUMBERS: list[Any] = [
    [np.float64(1.5), 2],
    [np.float32(1), 2],
    [np.float16(1), np.float16(2)],
    [np.float16(1), 2.5],
    [[np.float32(1)], [np.float64(2)]],
    [np.array([1.0, 2.0])],
    [1.5, 2],
    [[]],
    np.float64(1),
]


@pytest.mark.filterwarnings("ignore:Creating a tensor from a list of numpy:UserWarning")
@pytest.mark.parametrize("data", NUMBERS, ids=repr)
def test_numpy_numbers_keep_their_dtype(data: Any) -> None:
    mine, theirs = nnscratch.tensor(data), torch.tensor(data)
    assert str(mine.dtype) == str(theirs.dtype).rpartition(".")[2]
    np.testing.assert_array_equal(mine.numpy(), theirs.numpy())


BEYOND: dict[str, Call] = {
    "fill_": lambda lib, x: x.fill_(300),
    "fill_ with NaN": lambda lib, x: x.fill_(float("nan")),
    "fill_ with a large fraction": lambda lib, x: x.fill_(1e10),
    "full": lambda lib, x: lib.full((2,), 300, dtype=x.dtype),
    "full_like": lambda lib, x: lib.full_like(x, 2**40),
    "new_full": lambda lib, x: x.new_full((2,), 300),
    "masked_fill": lambda lib, x: x.masked_fill(x > 0, 300),
    "masked_fill_": lambda lib, x: x.masked_fill_(x > 0, 300),
    "where": lambda lib, x: lib.where(x > 0, x, 300),
    "where the other way": lambda lib, x: lib.where(x > 0, 300, x),
    "clamp": lambda lib, x: x.clamp(max=300),
    "float16": lambda lib, x: x.half().fill_(1e6),
    "float16 masks": lambda lib, x: x.half().masked_fill(x > 0, -1e9),
    "float32": lambda lib, x: x.float().fill_(1e300),
}


@pytest.mark.parametrize("name", BEYOND)
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_a_dtype_that_cannot_hold_a_number_says_so(name: str, dtype: str) -> None:
    with pytest.raises(RuntimeError, match="overflow"):
        BEYOND[name](torch, torch.tensor([1, 2], dtype=getattr(torch, dtype)))
    with pytest.raises(DTypeError, match="beyond the range"):
        BEYOND[name](nnscratch, nnscratch.tensor([1, 2], dtype=dtype))


def test_numbers_at_the_end_of_a_range() -> None:
    for lib in (nnscratch, torch):
        assert lib.zeros(1, dtype=lib.uint8).fill_(-1).item() == 255
        assert lib.full((1,), 0.5, dtype=lib.int64).item() == 0
        assert lib.full((1,), float("-inf"), dtype=lib.float16).item() == float("-inf")
        assert lib.tensor([3], dtype=lib.int8).clamp_(-128, 127).item() == 3
