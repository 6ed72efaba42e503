"""Dropout and random arrays: which entries, how many, and the same everywhere."""

from __future__ import annotations

import numpy as np
import pytest
from formulas.contract import BACKENDS, Backend, place

from nnscratch.array import Generator, to_numpy
from nnscratch.array.philox import uniform
from nnscratch.errors import ConfigurationError
from nnscratch.formulas import DROPOUT, RANDOM_NORMAL, RANDOM_UNIFORM, registry


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("backend", BACKENDS, ids=str)
@pytest.mark.parametrize("p", [0.0, 0.25, 0.5, 1.0])
def test_dropout_keeps_where_the_float32_number_is_at_least_p(
    dtype: str, backend: Backend, p: float
) -> None:
    host = np.random.default_rng(0).standard_normal((33, 7))
    X = place(host, dtype, backend)
    Y, saved = registry.forward(DROPOUT, X, p=p, seed=11, offset=5)
    kept = uniform(np, (33, 7), seed=11, offset=5, dtype="float32") >= p
    assert np.array_equal(to_numpy(saved.M), kept)
    scale = 1 / (1 - p) if p < 1 else 0.0
    wanted = np.where(kept, host.astype(dtype) * scale, 0.0)
    np.testing.assert_allclose(to_numpy(Y), wanted, rtol=1e-6)
    (dX,) = registry.backward(DROPOUT, place(np.ones((33, 7)), dtype, backend), saved, (True,))
    np.testing.assert_allclose(to_numpy(dX), np.where(kept, scale, 0.0), rtol=1e-6)


def test_dropout_keeps_the_mean() -> None:
    Y, saved = registry.forward(DROPOUT, np.ones(100_000), p=0.3, seed=1, offset=0)
    assert Y.mean() == pytest.approx(1.0, abs=0.01)
    assert saved.M.mean() == pytest.approx(0.7, abs=0.01)


def test_dropout_refuses_what_is_no_probability() -> None:
    with pytest.raises(ConfigurationError, match=r"from 0 to 1, got 1\.5"):
        registry.forward(DROPOUT, np.ones(3), p=1.5, seed=0, offset=0)


def test_random_arrays_are_the_generators() -> None:
    options = {"shape": (3, 5), "dtype": "float32", "device": "cpu", "seed": 9, "offset": 0}
    U = registry.forward(RANDOM_UNIFORM, **options)[0]
    Z = registry.forward(RANDOM_NORMAL, **options)[0]
    np.testing.assert_array_equal(U, Generator(9).uniform((3, 5)))
    np.testing.assert_array_equal(Z, Generator(9).normal((3, 5)))


def test_random_arrays_have_the_range_asked_for() -> None:
    options = {"shape": (50_000,), "dtype": "float32", "device": "cpu", "seed": 9, "offset": 0}
    U = registry.forward(RANDOM_UNIFORM, **options, low=-2.0, high=4.0)[0]
    assert U.dtype == np.float32
    assert -2 <= U.min() < -1.99
    assert 3.99 < U.max() < 4
    assert U.mean() == pytest.approx(1.0, abs=0.05)
    Z = registry.forward(RANDOM_NORMAL, **options, mean=3.0, std=0.5)[0]
    assert Z.mean() == pytest.approx(3.0, abs=0.02)
    assert Z.std() == pytest.approx(0.5, abs=0.02)
