"""Elementwise arithmetic, sums and random numbers against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nnscratch.kernels import cpu

SIZES = (0, 1, 2, 31, 33, 257, 1025, 10_000)


def test_scale(dtype: str, run: Any, rng: Any) -> None:
    for size in SIZES:
        X = rng.standard_normal(size).astype(dtype)
        factor = np.array([1.5], dtype)
        three = np.dtype(dtype).type(3)
        for threads in (1, 2):
            out = np.empty_like(X)
            run("scale", dtype, (X, out, None, size), (3.0,), (), threads)
            np.testing.assert_array_equal(out, three * X)
            run("scale", dtype, (X, out, factor, size), (3.0,), (), threads)
            np.testing.assert_array_equal(out, three * factor * X)
            place = X.copy()
            run("scale", dtype, (place, place, None, size), (3.0,), (), threads)
            np.testing.assert_array_equal(place, three * X)


@pytest.mark.parametrize("value", [0.0, -0.0, 1.5, 1e-300, np.inf, np.nan])
def test_fill(value: float, dtype: str, run: Any) -> None:
    for size in SIZES:
        for threads in (1, 2, 3):
            Y = np.full(size + 2, 7.0, dtype)
            run("fill", dtype, (Y[1:], size), (value,), (), threads)
            right = np.array([7.0, *[value] * size, 7.0], dtype)
            assert Y.tobytes() == right.tobytes()


@pytest.mark.parametrize("what", [0, 1])
def test_sum_of_everything(what: int, dtype: str, run: Any, rng: Any, tolerance: Any) -> None:
    for size in SIZES:
        X = rng.standard_normal(size).astype(dtype)
        truth = float((X.astype(float) ** (what + 1)).sum())
        results = []
        for threads in (1, 2, 3):
            partial, out = np.full(cpu.blocks(size), np.nan), np.empty(1, dtype)
            run("block_sums", dtype, (X, partial, size), (), (what,), threads)
            run("finish_sum", dtype, (partial, partial.size, out), (1.0,), (), threads)
            np.testing.assert_allclose(out[0], truth, **tolerance(dtype, 16))
            results.append(out[0])
        assert results[0] == results[1] == results[2]


def test_clip_factor(dtype: str, run: Any) -> None:
    for norm, expected in ((0.5, 1.0), (4.0, 2.0 / (4.0 + 1e-6)), (np.nan, np.nan), (np.inf, 0.0)):
        given, factor = np.array([norm], dtype), np.empty(1, dtype)
        run("clip_factor", dtype, (given, factor), (2.0,))
        np.testing.assert_allclose(factor[0], expected, rtol=1e-6)


@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (31, 33), (257, 65), (130, 1025), (1000, 2)])
def test_column_sums(shape: Any, dtype: str, run: Any, rng: Any, tolerance: Any) -> None:
    X = rng.standard_normal(shape).astype(dtype)
    wide = X.astype(float)
    results = []
    for threads in (1, 2, 3):
        out = np.full(shape[1], np.nan, dtype)
        run("column_sum", dtype, (X, out, *shape), (0.5,), (), threads)
        np.testing.assert_allclose(out, 0.5 * wide.sum(0), **tolerance(dtype, shape[0]))
        results.append(out)
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


def philox(block: int, seed: int) -> list[int]:
    """Return the four words of a block, with Python's integers."""
    c = [block & 0xFFFFFFFF, block >> 32, 0, 0]
    k = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        p0, p1 = c[0] * 0xD2511F53, c[2] * 0xCD9E8D57
        c = [p1 >> 32 ^ c[1] ^ k[0], p1 & 0xFFFFFFFF, p0 >> 32 ^ c[3] ^ k[1], p0 & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


SEED, OFFSET = 0xFEDCBA9876543210, 2**33 + 5


def test_philox_is_the_published_one() -> None:
    assert philox(0, 0) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]


def uniform32(size: int) -> Any:
    words = [philox(OFFSET + block, SEED) for block in range(size // 4 + 1)]
    numbers = [(w >> 8) * 2.0**-24 for block in words for w in block]
    return np.array(numbers[:size], np.float32)


@pytest.mark.parametrize("p", [0.0, 0.25, 1.0])
def test_dropout(p: float, dtype: str, run: Any, rng: Any) -> None:
    for size in (0, 1, 31, 257, 1025):
        X = rng.standard_normal(size).astype(dtype)
        u = uniform32(size)
        scale = np.dtype(dtype).type(1 / (1 - p) if p < 1 else 0)
        for threads in (1, 2, 3):
            Y, mask, dX = np.empty_like(X), np.empty(size, np.uint8), np.empty_like(X)
            run("dropout", dtype, (X, Y, mask, size, SEED, OFFSET), (p,), (), threads)
            np.testing.assert_array_equal(mask, u >= np.float32(p))
            np.testing.assert_array_equal(Y, np.where(mask, X * scale, 0))
            run("dropout_backward", dtype, (X, mask, dX, size), (p,), (), threads)
            np.testing.assert_array_equal(dX, Y)
            place = X.copy()
            run("dropout", dtype, (place, place, mask, size, SEED, OFFSET), (p,), (), threads)
            np.testing.assert_array_equal(place, Y)
            place = X.copy()
            run("dropout_backward", dtype, (place, mask, place, size), (p,), (), threads)
            np.testing.assert_array_equal(place, Y)
