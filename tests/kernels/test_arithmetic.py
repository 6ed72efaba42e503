"""Elementwise arithmetic, sums and random numbers against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nnscratch.kernels import cpu

SIZES = (0, 1, 2, 31, 33, 257, 1025, 10_000)
OPERATIONS = (np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum)


@pytest.mark.parametrize("operation", range(6))
def test_binary(operation: int, dtype: str, run: Any, rng: Any) -> None:
    for size in SIZES:
        X, Y = rng.standard_normal(size).astype(dtype), rng.standard_normal(size).astype(dtype)
        X[: size // 5], Y[-(size // 5) :] = np.nan, np.nan
        expected = OPERATIONS[operation](X, Y)
        for threads in (1, 2):
            for alias in (None, 0, 1):
                inputs = [X.copy(), Y.copy()]
                Z = np.empty_like(X) if alias is None else inputs[alias]
                run("binary", dtype, (*inputs, Z, size), (), (operation,), threads)
                np.testing.assert_array_equal(Z, expected)


def test_scale_copy_fill_axpy_add_row(dtype: str, run: Any, rng: Any) -> None:
    for size in SIZES:
        X, Y = rng.standard_normal(size).astype(dtype), rng.standard_normal(size).astype(dtype)
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
            run("copy", dtype, (X, out, size), (), (), threads)
            np.testing.assert_array_equal(out, X)
            run("fill", dtype, (out, size), (2.5,), (), threads)
            assert (out == 2.5).all()
            total = Y.copy()
            run("axpy", dtype, (X, total, size), (3.0,), (), threads)
            np.testing.assert_array_equal(total, Y + three * X)
            rows = np.empty((3, size), dtype)
            X3 = np.stack([X, Y, X])
            run("add_row", dtype, (X3, Y, rows, 3, size), (3.0,), (), threads)
            np.testing.assert_array_equal(rows, X3 + three * Y)
            run("add_row", dtype, (X3, Y, X3, 3, size), (3.0,), (), threads)
            np.testing.assert_array_equal(X3, rows)


@pytest.mark.parametrize("what", [0, 1])
def test_sum_of_everything(what: int, dtype: str, run: Any, rng: Any, tolerance: Any) -> None:
    for size in SIZES:
        X = rng.standard_normal(size).astype(dtype)
        truth = float((X.astype(float) ** (what + 1)).sum())
        results = []
        for threads in (1, 2, 3):
            partial, out = np.full(cpu.blocks(size), np.nan), np.empty(1, dtype)
            run("block_sums", dtype, (X, partial, size), (), (what,), threads)
            run("finish_sum", dtype, (partial, partial.size, out, what), (1.0,), (), threads)
            expected = truth**0.5 if what else truth
            np.testing.assert_allclose(out[0], expected, **tolerance(dtype, 16))
            results.append(out[0])
        assert results[0] == results[1] == results[2]


def test_clip_factor(dtype: str, run: Any) -> None:
    for norm, expected in ((0.5, 1.0), (4.0, 2.0 / (4.0 + 1e-6)), (np.nan, np.nan), (np.inf, 0.0)):
        given, factor = np.array([norm], dtype), np.empty(1, dtype)
        run("clip_factor", dtype, (given, factor), (2.0,))
        np.testing.assert_allclose(factor[0], expected, rtol=1e-6)


@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (31, 33), (257, 65), (130, 1025), (1000, 2)])
def test_row_and_column_sums(shape: Any, dtype: str, run: Any, rng: Any, tolerance: Any) -> None:
    X = rng.standard_normal(shape).astype(dtype)
    wide = X.astype(float)
    for name, axis in (("column_sum", 0), ("row_sum", 1)):
        results = []
        for threads in (1, 2, 3):
            out = np.full(shape[1 - axis], np.nan, dtype)
            run(name, dtype, (X, out, *shape), (0.5,), (), threads)
            limits = tolerance(dtype, shape[axis])
            np.testing.assert_allclose(out, 0.5 * wide.sum(axis), **limits)
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


def test_uniform(dtype: str, run: Any) -> None:
    for size in (0, 1, 2, 31, 33, 257, 1025):
        words = [philox(OFFSET + block, SEED) for block in range(size // 2 + 1)]
        if dtype == "float32":
            expected = [(w >> 8) * 2.0**-24 for block in words for w in block]
        else:
            expected = []
            for w in words:
                expected += [((w[i] >> 5) * 2**26 + (w[i + 1] >> 6)) * 2.0**-53 for i in (0, 2)]
        for threads in (1, 2, 3):
            y = np.full(size, np.nan, dtype)
            run("uniform", dtype, (y, size, SEED, OFFSET), (), (), threads)
            np.testing.assert_array_equal(y, np.array(expected[:size], dtype))


@pytest.mark.parametrize("p", [0.0, 0.25, 1.0])
def test_dropout(p: float, dtype: str, run: Any, rng: Any) -> None:
    for size in (0, 1, 31, 257, 1025):
        X = rng.standard_normal(size).astype(dtype)
        u = np.empty(size, np.float32)
        run("uniform", "float32", (u, size, SEED, OFFSET))
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
