"""The error function under GELU against the C library's, which is good to the last bit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from nnscratch.array.special import _erfc_tail, erf, normal_cdf

POINTS = np.concatenate(
    [
        np.linspace(-7, 7, 20_001),
        np.array([0.0, -0.0, 0.46875, -0.46875, 4.0, -4.0, 1e-300, 1e-5, 30.0, -30.0, 1e4, -1e4]),
    ]
)


def exact(function: Any, X: Any) -> Any:
    return np.array([function(float(x)) for x in X])


def test_erf_in_float64() -> None:
    wanted = exact(math.erf, POINTS)
    error = np.abs(erf(POINTS) - wanted)
    assert error.max() <= 2.3e-16
    assert (error <= 4.5e-16 * np.abs(wanted)).all()


def test_erf_in_float32() -> None:
    X = POINTS.astype(np.float32)
    wanted = exact(math.erf, X)
    got = erf(X)
    assert got.dtype == np.float32
    # The rounding of some ten operations; what GELU uses, 1 + erf, is good to two (below).
    assert (np.abs(got - wanted) <= 4 * np.spacing(np.abs(wanted).astype(np.float32))).all()


def test_the_upper_half_in_float32_is_good_to_the_last_digit() -> None:
    X = np.linspace(0, 8, 20_001).astype(np.float32)
    wanted = exact(lambda x: 0.5 * math.erfc(-x / math.sqrt(2)), X)
    assert (np.abs(normal_cdf(X) - wanted) <= 2 * np.finfo(np.float32).eps * wanted).all()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_lower_tail_keeps_its_digits(dtype: str) -> None:
    X = np.linspace(-12, 8, 4001).astype(dtype)
    wanted = exact(lambda x: 0.5 * math.erfc(-x / math.sqrt(2)), X)
    # A relative error of eps in X / √2, here and in what it is compared with, is one of X² eps in
    # the tail.
    limit = np.finfo(dtype).eps * (8 + 2 * X.astype(float) ** 2)
    assert (np.abs(normal_cdf(X) - wanted) <= limit * wanted + np.finfo(dtype).tiny).all()


def test_limits_and_nan() -> None:
    X = np.array([np.inf, -np.inf, np.nan])
    np.testing.assert_array_equal(erf(X), [1.0, -1.0, np.nan])
    np.testing.assert_array_equal(normal_cdf(X), [1.0, 0.0, np.nan])


def test_float16_is_computed_in_float32() -> None:
    X = np.linspace(-8, 8, 101).astype(np.float16)
    got = normal_cdf(X)
    assert got.dtype == np.float16
    np.testing.assert_allclose(
        got.astype(float), exact(lambda x: 0.5 * math.erfc(-x / math.sqrt(2)), X), atol=1e-3
    )


def test_the_tail_keeps_its_digits_as_far_as_it_reaches() -> None:
    Y = np.linspace(0.47, 26, 20_001)
    wanted = exact(math.erfc, Y)
    assert (np.abs(_erfc_tail(np, Y) - wanted) <= 2e-15 * wanted).all()
