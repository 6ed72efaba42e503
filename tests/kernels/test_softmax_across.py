"""Softmax and cross-entropy along an axis that is not the last, beside those by rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnscratch
from nnscratch import nn
from nnscratch.errors import DataError

SHAPES = [(0, 3, 5), (1, 1, 2), (3, 2, 63), (2, 5, 64), (2, 7, 130), (1, 1025, 3), (5, 21, 65)]
"""Before the axis, along it, behind it."""


def by_rows(A: Any) -> Any:
    """Return (outer, columns, inner) as rows of classes, a copy."""
    return np.ascontiguousarray(np.moveaxis(A, 1, -1)).reshape(-1, A.shape[1])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("logarithm", [0, 1])
def test_softmax_across_is_that_of_rows(
    shape: tuple[int, int, int], logarithm: int, dtype: str, run: Any, rng: Any, tolerance: Any
) -> None:
    Z, dY = (4 * rng.standard_normal(shape)).astype(dtype), rng.standard_normal(shape).astype(dtype)
    if Z.size:
        Z[0, 0, :1], Z[-1, :, -1] = np.nan, -np.inf
    rows = by_rows(Z)
    expected, slope = np.empty_like(rows), np.empty_like(rows)
    run("softmax", dtype, (rows, expected, *rows.shape), (), (logarithm,))
    found = []
    for threads in (1, 2, 3):
        Y, dZ = np.full_like(Z, 7.0), np.full_like(Z, 7.0)
        run("softmax_across", dtype, (Z, Y, *shape), (), (logarithm,), threads)
        np.testing.assert_allclose(by_rows(Y), expected, **tolerance(dtype, 16))
        run("softmax_across_backward", dtype, (dY, Y, dZ, *shape), (), (logarithm,), threads)
        given = by_rows(dY), by_rows(Y), slope, *rows.shape
        run("softmax_backward", dtype, given, (), (logarithm,))
        np.testing.assert_allclose(by_rows(dZ), slope, **tolerance(dtype, shape[1]))
        found.append((Y.tobytes(), dZ.tobytes()))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("shape", SHAPES[1:])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_across_is_that_of_rows(
    shape: tuple[int, int, int], smoothing: float, weighted: bool, dtype: str, run: Any, rng: Any,
    tolerance: Any,
) -> None:  # fmt: skip
    outer, columns, inner = shape
    count = outer * inner
    Z = (3 * rng.standard_normal(shape)).astype(dtype)
    labels = rng.integers(0, columns, count)
    labels[::5] = -100
    Z[0, :, 0] = np.nan  # is ignored, and gives no gradient
    labels[-1] = columns
    w = rng.uniform(0.5, 2.0, columns).astype(dtype) if weighted else None
    divisor = np.array([3.0], dtype)
    rows = by_rows(Z)
    P, lse = np.empty_like(rows), np.empty(count, dtype)
    loss, weight, status = np.empty(count, dtype), np.empty(count, dtype), np.zeros(1, np.int64)
    a = (rows, labels, P, lse, loss, weight, w, count, columns, -100, status)
    run("cross_entropy", dtype, a, (smoothing,))
    assert np.isnan(loss).any()
    limits = tolerance(dtype, columns)
    for threads in (1, 2, 3):
        other, more, P_across = np.empty(count, dtype), np.empty(count, dtype), np.empty_like(Z)
        status = np.zeros(1, np.int64)
        a = (Z, labels, P_across, other, more, w, *shape, -100, status)
        run("cross_entropy_across", dtype, a, (smoothing,), (), threads)
        assert status[0] == 1
        np.testing.assert_allclose(other, loss, **limits)
        np.testing.assert_array_equal(more, weight)
        np.testing.assert_allclose(by_rows(P_across), P, **limits)
        for each in (0, 1):
            g = rng.standard_normal(count if each else 1).astype(dtype)
            dZ, expected = np.full_like(Z, 7.0), np.empty_like(rows)
            b = (P_across, labels, w, divisor, g, each, dZ, *shape, -100)
            run("cross_entropy_across_backward", dtype, b, (smoothing,), (), threads)
            b = (P, labels, w, divisor, g, each, expected, *rows.shape, -100)
            run("cross_entropy_backward", dtype, b, (smoothing,))
            counted = (labels >= 0) & (labels < columns)
            np.testing.assert_allclose(by_rows(dZ)[counted], expected[counted], **limits)
            assert not by_rows(dZ)[~counted].any()


def test_pixels_with_labels_out_of_range_are_refused_with_their_place() -> None:
    scores = nnscratch.zeros(2, 3, 64, 64, requires_grad=True)
    labels = np.zeros((2, 64, 64), np.int64)
    labels[1, 0, 2] = 3
    with pytest.raises(DataError, match=r"from 0 to 2 .* at position \(1, 0, 2\)"):
        nn.functional.cross_entropy(scores, nnscratch.tensor(labels))
