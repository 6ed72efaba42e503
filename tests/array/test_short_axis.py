"""Shortcuts for axes of few entries, and selections on bits: the same values as the long way."""

from __future__ import annotations

from typing import Any

import array_api_strict
import numpy as np
import pytest

from nnscratch.array.selection import where, zero_where
from nnscratch.array.short_axis import (
    max_along,
    new_axis,
    one_hot_along,
    pick_along,
    sum_along,
    sum_rows,
)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


SHAPES = [(1, 2), (63, 2), (64, 3), (1000, 2), (1003, 10), (200, 17), (70, 64), (70, 65), (5, 0)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_sums_and_maxima(shape: tuple[int, int], dtype: str, rng: np.random.Generator) -> None:
    X = rng.standard_normal(shape).astype(dtype)
    exact = X.astype(np.float64)
    # A sum of n numbers of size 1 is off by n roundings at most.
    close: dict[str, Any] = {"rtol": 0.0, "atol": max(shape) * float(np.finfo(dtype).eps) * 4}
    for made, expected in (
        (sum_rows(X), exact.sum(axis=0)),
        (sum_along(X, 1), exact.sum(axis=1, keepdims=True)),
    ):
        assert made.dtype == X.dtype
        np.testing.assert_allclose(made, expected, **close)
    if shape[1]:
        np.testing.assert_array_equal(max_along(X, 1), X.max(axis=1, keepdims=True))


@pytest.mark.parametrize("shape", [(50,), (40, 3, 2), (40, 3, 1), (2, 3, 40), (4, 5, 3, 7)])
def test_sums_and_maxima_along_any_axis(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    X = rng.standard_normal(shape)
    for A in (X, np.asfortranarray(X), X[::-1]):
        for axis in range(A.ndim):
            np.testing.assert_array_equal(max_along(A, axis), A.max(axis=axis, keepdims=True))
            made, expected = sum_along(A, axis), A.sum(axis=axis, keepdims=True)
            assert made.shape == expected.shape
            np.testing.assert_allclose(made, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_zeroed_is_zero_whatever_stood_there(
    shape: tuple[int, int], rng: np.random.Generator
) -> None:
    X = rng.standard_normal(shape)
    X[::3] = np.nan
    X[1::3] = -np.inf
    before = X.copy()
    everywhere = rng.random(shape) < 0.5
    np.testing.assert_array_equal(zero_where(everywhere, X), np.where(everywhere, 0.0, X))
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_zero_where_in_every_layout(dtype: str, rng: np.random.Generator) -> None:
    whole = rng.standard_normal((8, 12)).astype(dtype)
    for X in (whole, whole.T, whole[::2, ::-3], np.asfortranarray(whole), whole[:0]):
        mask = X <= 0
        made = zero_where(mask, X)
        assert made.dtype == X.dtype
        assert made.shape == X.shape
        np.testing.assert_array_equal(made, np.where(mask, X.dtype.type(0), X))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64"])
def test_where_chooses_as_numpy_does(dtype: str, rng: np.random.Generator) -> None:
    for shape in ((3, 5), (40, 60), (0, 4)):
        A, B = (rng.standard_normal((2, *shape)) * 9).astype(dtype)
        A.flat[::7], B.flat[::5] = np.nan, -np.inf
        mask = rng.random(shape) < 0.5
        for a, b in ((A, B), (A.T.copy().T, B), (A, 0.5), (0.5, B)):
            made = where(mask, a, b)
            assert made.dtype == A.dtype
            np.testing.assert_array_equal(made, np.where(mask, a, b))
    # Shapes that broadcast and dtypes that meet go NumPy's way.
    wide = where(np.ones((2000, 1), bool), np.ones((2000, 1), "f4"), np.zeros((2000, 3), "f8"))
    assert wide.shape == (2000, 3)
    assert wide.dtype == np.float64


def test_one_hot_and_new_axis() -> None:
    for count, n in ((3, 2), (3, 500), (40, 500)):
        I = np.arange(n) % count
        np.testing.assert_array_equal(one_hot_along(I, count, 1), np.eye(count, dtype=bool)[I])
    X = np.zeros((2, 3))
    assert [new_axis(X, axis).shape for axis in (0, 1, 2)] == [(1, 2, 3), (2, 1, 3), (2, 3, 1)]


@pytest.mark.parametrize("shape", [(5,), (7, 3), (2, 4, 3), (3, 0, 2), (0, 0), (0, 4)])
def test_pick_along_every_axis(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    X = rng.standard_normal(shape)
    for axis in range(len(shape)):
        rest = shape[:axis] + shape[axis + 1 :]
        I = rng.integers(0, max(shape[axis], 1), rest)
        if I.size and not shape[axis]:
            continue
        expected = np.take_along_axis(X, np.expand_dims(I, axis), axis).squeeze(axis)
        for A in (X, np.asfortranarray(X)):
            np.testing.assert_array_equal(pick_along(A, I, axis), expected)


def test_another_library_takes_the_way_of_the_standard() -> None:
    X = array_api_strict.asarray([[1.0, -2.0], [3.0, 4.0]])
    mask = X < 0
    assert type(zero_where(mask, X)) is type(X)
    assert float(zero_where(mask, X)[0, 1]) == 0.0
    assert float(where(mask, X, 7.0)[1, 1]) == 7.0
    assert [float(v) for v in sum_rows(X)] == [4.0, 2.0]
    picked = pick_along(X, array_api_strict.asarray([1, 0]), 1)
    assert [float(v) for v in picked] == [-2.0, 3.0]
