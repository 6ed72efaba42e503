"""The array API's functions on tensors are NumPy's, and are recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import array_api_compat.numpy
import numpy as np
import pytest
import torch

import nnscratch
from nnscratch.array import array_namespace, is_recorded
from nnscratch.errors import DTypeError

X = np.random.default_rng(4).standard_normal((2, 3, 4))
SPECIAL = np.asarray([np.nan, np.inf, -np.inf, 0.0, -1.5, 2.0])
I = np.asarray([[[1, 0, 2, 2]], [[0, 0, 1, 2]]])

CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "where": lambda xp, x: xp.where(x > 0, x, -1.0),
    "where of numbers": lambda xp, x: xp.astype(xp.where(x > 0, 2.0, -1.0), xp.float64),
    "isnan": lambda xp, x: xp.isnan(xp.sqrt(x)),
    "square": lambda xp, x: xp.square(x),
    "reciprocal": lambda xp, x: xp.reciprocal(x),
    "sign": lambda xp, x: xp.sign(x),
    "exp": lambda xp, x: xp.exp(x),
    "expm1": lambda xp, x: xp.expm1(x),
    "log1p": lambda xp, x: xp.log1p(xp.abs(x)),
    "floor": lambda xp, x: xp.floor(x),
    "tanh": lambda xp, x: xp.tanh(x),
    "sqrt": lambda xp, x: xp.sqrt(xp.abs(x)),
    "negative": lambda xp, x: xp.negative(x),
    "pow": lambda xp, x: xp.pow(xp.abs(x), x),
    "maximum": lambda xp, x: xp.maximum(x, x[:, :1]),
    "minimum with a number": lambda xp, x: xp.minimum(x, xp.full_like(x, 0.5)),
    "clip": lambda xp, x: xp.clip(x, -0.5, 0.5),
    "logic": lambda xp, x: xp.logical_or(xp.logical_and(x > 0, x < 1), x < -1),
    "real": lambda xp, x: xp.astype(xp.real(x + 0j) if xp is NUMPY else xp.real(x), xp.float64),
    "sum": lambda xp, x: xp.sum(x, axis=(0, 2), keepdims=True),
    "sum in a dtype": lambda xp, x: xp.sum(xp.astype(x, xp.float32), dtype=xp.float64),
    "mean": lambda xp, x: xp.mean(x, axis=1),
    "var": lambda xp, x: xp.var(x, axis=1, correction=1),
    "std": lambda xp, x: xp.std(x, axis=-1),
    "max": lambda xp, x: xp.max(x, axis=1, keepdims=True),
    "min": lambda xp, x: xp.min(x),
    "argmax": lambda xp, x: xp.argmax(x, axis=1),
    "argmin": lambda xp, x: xp.argmin(x, axis=-1, keepdims=True),
    "count_nonzero": lambda xp, x: xp.count_nonzero(x > 0, axis=1),
    "reshape": lambda xp, x: xp.reshape(x, (4, -1)),
    "permute_dims": lambda xp, x: xp.permute_dims(x, (2, 0, 1)),
    "matrix_transpose": lambda xp, x: xp.matrix_transpose(x),
    "moveaxis": lambda xp, x: xp.moveaxis(x, 0, -1),
    "expand_dims": lambda xp, x: xp.expand_dims(x, axis=-1),
    "squeeze": lambda xp, x: xp.squeeze(x[:1, :, :1], axis=(0, 2)),
    "broadcast_to": lambda xp, x: xp.broadcast_to(x[:, :1], (5, 2, 3, 4)),
    "concat": lambda xp, x: xp.concat([x, x * 2], axis=1),
    "stack": lambda xp, x: xp.stack([x, x * 2], axis=-1),
    "flip": lambda xp, x: xp.flip(x, axis=(0, -1)),
    "flip all": lambda xp, x: xp.flip(x),
    "take": lambda xp, x: xp.take(x, xp.asarray([2, 0, 2]), axis=1),
    "take_along_axis": lambda xp, x: xp.take_along_axis(x, xp.asarray(I), axis=1),
    "matmul": lambda xp, x: xp.matmul(x, xp.matrix_transpose(x)),
    "zeros_like": lambda xp, x: xp.zeros_like(x),
    "ones_like": lambda xp, x: xp.ones_like(x, dtype=xp.float32),
    "full_like": lambda xp, x: xp.full_like(x, 2.5),
    "zeros": lambda xp, x: xp.zeros((2, 3), dtype=xp.int64),
    "ones": lambda xp, x: xp.ones(3, dtype=xp.bool),
    "arange": lambda xp, x: xp.arange(1, 7, 2, dtype=xp.int64),
    "asarray": lambda xp, x: xp.asarray(x, dtype=xp.float32, copy=True),
}
NUMPY = array_api_compat.numpy


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_values_are_those_of_numpy(name: str) -> None:
    x = nnscratch.tensor(X)
    xp = array_namespace(x)
    assert xp is x.__array_namespace__()
    got, wanted = CALLS[name](xp, x), np.asarray(CALLS[name](NUMPY, X))
    assert got.shape == wanted.shape
    assert got.dtype == wanted.dtype
    np.testing.assert_allclose(got.numpy(), wanted, rtol=1e-12, atol=1e-14)


def test_what_is_no_number_stays_none() -> None:
    x = nnscratch.tensor(SPECIAL)
    xp = array_namespace(x)
    for name in ("isnan", "isinf", "isfinite", "sign"):
        got, wanted = getattr(xp, name)(x).numpy(), getattr(np, name)(SPECIAL)
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("name", ["take_along_axis", "flip", "std", "pow", "where", "moveaxis"])
def test_calls_are_recorded(name: str) -> None:
    x = nnscratch.tensor(X, requires_grad=True)
    assert nnscratch.gradcheck(lambda x: CALLS[name](array_namespace(x), x), [X])
    made = CALLS[name](array_namespace(x), x)
    assert made.requires_grad


def test_a_name_that_is_no_formula_is_none_of_its() -> None:
    xp = array_namespace(nnscratch.tensor(X))
    for name in ("fft", "adam", "getitem", "concatenate"):
        with pytest.raises(AttributeError, match=f"no function '{name}'"):
            getattr(xp, name)
    assert not hasattr(xp.add, "reduceat")


def test_only_tensors_are_recorded() -> None:
    assert is_recorded(nnscratch.tensor(X))
    assert is_recorded(nnscratch.nn.Parameter(nnscratch.tensor(X)))
    assert not is_recorded(X)
    assert not is_recorded(2.0)
    assert not is_recorded(torch.ones(2))
    with pytest.raises(DTypeError, match="expected a NumPy or CuPy array, got Tensor"):
        array_namespace(torch.ones(2))
