"""Softmax by rows, and cross-entropy in all its forms, against NumPy in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

SHAPES = [(0, 3), (1, 1), (2, 2), (31, 10), (33, 16), (65, 17), (257, 33), (3, 1025), (1000, 2)]


def log_softmax(Z: Any) -> Any:
    Z = Z.astype(np.float64)
    Z = Z - Z.max(axis=1, keepdims=True)
    return Z - np.log(np.exp(Z).sum(axis=1, keepdims=True))


@pytest.mark.parametrize("shape", SHAPES)
def test_softmax(shape: tuple[int, int], dtype: str, run: Any, rng: Any, tolerance: Any) -> None:
    Z, dY = (4 * rng.standard_normal(shape)).astype(dtype), rng.standard_normal(shape).astype(dtype)
    logP = log_softmax(Z)
    P = np.exp(logP)
    dP = P * (dY - (dY * P).sum(1, keepdims=True))
    dlog = dY - P * dY.astype(float).sum(1, keepdims=True)
    for logarithm, Y, dZ in ((0, P, dP), (1, logP, dlog)):
        for threads in (1, 2, 3):
            y, dz = np.full_like(Z, np.nan), np.full_like(Z, np.nan)
            run("softmax", dtype, (Z, y, *shape), (), (logarithm,), threads)
            np.testing.assert_allclose(y, Y, **tolerance(dtype, 16))
            run("softmax_backward", dtype, (dY, y, dz, *shape), (), (logarithm,), threads)
            np.testing.assert_allclose(dz, dZ, **tolerance(dtype, shape[1]))


@pytest.mark.parametrize("columns", [7, 40, 1025])
def test_infinities_and_nan_stay_in_their_rows(columns: int, dtype: str, run: Any) -> None:
    """NaN, +inf and a row of -inf make a row of NaN; what is far below the top has no weight."""
    Z = np.zeros((70, columns), dtype)
    Z[3, columns - 1] = Z[20, 0] = np.nan
    Z[5, columns // 2] = np.inf
    Z[9] = -np.inf
    Z[11, : columns - 1] = -np.inf
    Z[13, 1:] = -1e30
    bad = [3, 5, 9, 20]
    for logarithm in (0, 1):
        y = np.empty_like(Z)
        run("softmax", dtype, (Z, y, *Z.shape), (), (logarithm,), 2)
        assert np.isnan(y[bad]).all()
        assert not np.isnan(np.delete(y, bad, 0)).any()
        if not logarithm:
            np.testing.assert_array_equal(y[11, [0, -1]], [0.0, 1.0])
            np.testing.assert_array_equal(y[13, [0, 1]], [1.0, 0.0])


@pytest.mark.parametrize("shape", [s for s in SHAPES if s[0]])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy(
    shape: tuple[int, int],
    smoothing: float,
    weighted: bool,
    dtype: str,
    run: Any,
    rng: Any,
    tolerance: Any,
) -> None:
    rows, columns = shape
    Z = (3 * rng.standard_normal(shape)).astype(dtype)
    labels = rng.integers(0, columns, rows)
    if rows > 2:
        labels[rng.integers(0, rows, rows // 4)] = -100
    w = rng.uniform(0.5, 2.0, columns).astype(dtype) if weighted else None
    class_weight = np.ones(columns) if w is None else w.astype(float)
    counted = labels != -100
    at = np.where(counted, labels, 0)
    logP = log_softmax(Z)
    picked = class_weight[at] * counted
    loss = -(1 - smoothing) * picked * logP[np.arange(rows), at]
    loss -= smoothing / columns * (logP @ class_weight) * counted
    onehot = np.eye(columns)[at]
    slope = (1 - smoothing) * picked[:, None] * (np.exp(logP) - onehot)
    smooth = np.exp(logP) * class_weight.sum() - class_weight
    slope += smoothing / columns * smooth * counted[:, None]
    results = []
    for threads in (1, 2, 3):
        P, lse, row = np.empty_like(Z), np.empty(rows, dtype), np.empty(rows, dtype)
        weight, value, divisor = np.empty(rows, dtype), np.empty(1, dtype), np.empty(1, dtype)
        status = np.zeros(1, np.int64)
        a = (Z, labels, P, lse, row, weight, w, rows, columns, -100, status)
        run("cross_entropy", dtype, a, (smoothing,), (), threads)
        limits = tolerance(dtype, columns)
        np.testing.assert_allclose(P, np.exp(logP), **limits)
        np.testing.assert_allclose(row, loss, **limits)
        np.testing.assert_allclose(weight, picked, **limits)
        for mean in (0, 1):
            run("mean_rows", dtype, (row, weight, rows, value, divisor, mean), (), (), threads)
            under = picked.sum() if mean else 1.0
            np.testing.assert_allclose(value[0], loss.sum() / under, **tolerance(dtype, rows))
            np.testing.assert_allclose(divisor[0], under, **tolerance(dtype, rows))
        for each in (0, 1):
            g = rng.standard_normal(rows if each else 1).astype(dtype)
            dZ = np.full_like(Z, np.nan)
            b = (P, labels, w, divisor, g, each, dZ, rows, columns, -100)
            run("cross_entropy_backward", dtype, b, (smoothing,), (), threads)
            expected = slope * (g[:, None] if each else g) / picked.sum()
            np.testing.assert_allclose(dZ, expected, **limits)
            place = P.copy()
            b = (place, labels, w, divisor, g, each, place, rows, columns, -100)
            run("cross_entropy_backward", dtype, b, (smoothing,), (), threads)
            np.testing.assert_array_equal(place, dZ)
        results.append((row, value, P))
    for other in results[1:]:
        for x, y in zip(other, results[0], strict=True):
            np.testing.assert_array_equal(x, y)


def test_nothing_counted_is_nan_and_labels_out_of_range_are_seen(dtype: str, run: Any) -> None:
    Z = np.zeros((3, 4), dtype)
    P, (lse, row, weight) = np.empty_like(Z), (np.empty(3, dtype) for _ in range(3))
    value, divisor = np.empty(1, dtype), np.empty(1, dtype)
    status = np.zeros(1, np.int64)
    labels = np.full(3, -100)
    run("cross_entropy", dtype, (Z, labels, P, lse, row, weight, None, 3, 4, -100, status), (0.0,))
    run("mean_rows", dtype, (row, weight, 3, value, divisor, 1))
    assert np.isnan(value[0])
    assert status[0] == 0
    labels = np.array([0, 4, -1])
    run("cross_entropy", dtype, (Z, labels, P, lse, row, weight, None, 3, 4, -100, status), (0.0,))
    np.testing.assert_array_equal(np.isnan(row), [False, True, True])
    assert status[0] == 1


def test_extreme_logits(dtype: str, run: Any) -> None:
    Z = np.array([[1e4, -1e4, 0.0], [np.nan, 0.0, 1.0], [-np.inf, 0.0, 0.0]] * 30, dtype=dtype)
    P = np.empty_like(Z)
    run("softmax", dtype, (Z, P, 90, 3), (), (0,))
    np.testing.assert_allclose(P[0], [1.0, 0.0, 0.0])
    assert np.isnan(P[1]).all()
    np.testing.assert_allclose(P[2], [0.0, 0.5, 0.5])
