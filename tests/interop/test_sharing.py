"""Without copies: other libraries look at a tensor's memory, and tensors at theirs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas
import pytest
import torch

import nnscratch
from nnscratch.errors import ConfigurationError, DTypeError, GradientError


def address(item: Any) -> int:
    return int(item.data_ptr() if hasattr(item, "data_ptr") else item.ctypes.data)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool", "complex64"])
def test_memory_is_shared_both_ways(dtype: str) -> None:
    x = nnscratch.tensor([[0, 1, 1], [1, 0, 0]]).to(np.dtype(dtype))
    start = address(x.array)
    assert address(np.asarray(x)) == start
    assert address(np.array(x, copy=False)) == start
    assert address(np.from_dlpack(x)) == start
    assert address(torch.from_dlpack(x)) == start
    assert address(torch.from_numpy(x.numpy())) == start
    theirs = torch.from_dlpack(x)
    for back in (nnscratch.from_dlpack(theirs), nnscratch.as_tensor(theirs)):
        assert address(back.array) == start
    turned = nnscratch.from_dlpack(theirs.T)
    assert turned.shape == (3, 2)
    assert turned.tolist() == x.T.tolist()
    theirs[0, 0] = 1
    assert x[0, 0].item() == 1
    assert address(np.array(x)) != start


def test_what_has_to_be_copied_says_so() -> None:
    x = nnscratch.ones(3)
    with pytest.raises(ValueError, match="without a copy"):
        np.asarray(x, dtype="float64", copy=False)
    with pytest.raises(ConfigurationError, match="by a copy only"):
        nnscratch.asarray(np.ones(3), dtype=nnscratch.float32, copy=False)
    asks = nnscratch.ones(3, requires_grad=True)
    for take in (np.asarray, np.from_dlpack, torch.from_dlpack):
        with pytest.raises(GradientError, match="detach"):
            take(asks)
    with pytest.raises(DTypeError, match=r"\.float\(\)"):
        nnscratch.from_dlpack(torch.ones(2, dtype=torch.bfloat16))
    assert pandas.DataFrame(nnscratch.ones(2, 3)).shape == (2, 3)


REDUCTIONS = ["sum", "mean", "std", "var", "max", "min", "prod", "any", "all", "argmax", "argmin",
              "cumsum", "cumprod"]  # fmt: skip


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("options", [{}, {"axis": 0}, {"axis": 1}], ids=str)
def test_numpys_reductions(name: str, options: dict[str, Any]) -> None:
    x = nnscratch.tensor(np.random.default_rng(0).normal(size=(3, 4)))
    expected = getattr(np, name)(x.numpy(), **options)
    got = np.asarray(getattr(np, name)(x, **options))
    np.testing.assert_allclose(got, expected)
    assert got.dtype == expected.dtype


def test_numpys_other_functions() -> None:
    x = nnscratch.tensor(np.random.default_rng(0).normal(size=(3, 4)))
    a = x.numpy()
    for got, expected in (
        (np.exp(x), np.exp(a)),
        (np.add(x, 1), a + 1),
        (np.ones((3, 4)) + x, 1 + a),
        (np.float64(2) * x, 2 * a),
        (np.where(x > 0, x, 0), np.where(a > 0, a, 0)),
        (np.matmul(x, x.T), a @ a.T),
        (np.concatenate([x, x]), np.concatenate([a, a])),
        (np.stack([x, x]), np.stack([a, a])),
        (np.clip(x, 0, 1), a.clip(0, 1)),
        (np.linalg.norm(x), np.linalg.norm(a)),
        (np.std(x, ddof=1), a.std(ddof=1)),
        (np.transpose(x), a.T),
        (np.sqrt(np.abs(x), out=np.empty((3, 4))), np.sqrt(np.abs(a))),
    ):
        np.testing.assert_allclose(np.asarray(got), expected)
    # What NumPy asks the tensor itself has a graph.
    asks = x.clone().requires_grad_()
    np.sum(asks).backward()
    assert asks.grad is not None
    assert asks.grad.tolist() == np.ones((3, 4)).tolist()


def test_the_interface_of_cuda_is_for_gpus() -> None:
    assert not hasattr(nnscratch.ones(2), "__cuda_array_interface__")


@pytest.mark.gpu
def test_cuda_memory_is_shared() -> None:
    x = nnscratch.arange(6.0).reshape(2, 3).to("cuda")
    found = x.__cuda_array_interface__
    assert found["shape"] == (2, 3)
    assert found["data"][0] == x.array.data.ptr
    with pytest.raises(GradientError, match="detach"):
        _ = x.requires_grad_().__cuda_array_interface__
