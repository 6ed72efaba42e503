"""Losses of elements against NumPy in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nnscratch.kernels import cpu

SIZES = (0, 1, 2, 31, 33, 257, 1025, 4096, 4097, 20_000)


@pytest.mark.parametrize("loss", [0, 1])
@pytest.mark.parametrize("weighted", [False, True])
def test_loss(loss: int, weighted: bool, dtype: str, run: Any, rng: Any, tolerance: Any) -> None:
    for size in SIZES:
        x = (3 * rng.standard_normal(size)).astype(dtype)
        t = rng.uniform(size=size).astype(dtype)
        weights = rng.uniform(0.5, 3, 5).astype(dtype) if weighted else None
        w = np.resize(weights, size).astype(float) if weights is not None and size else 1.0
        wide = x.astype(float)
        if loss == 0:
            each, slope = (wide - t) ** 2, wide - t
        else:
            factor = 1 + (w - 1) * t
            tail = np.logaddexp(0, -wide)
            each = (1 - t) * wide + factor * tail
            slope = (1 - t) - factor * np.exp(-np.logaddexp(0, wide))
        results = []
        for threads in (1, 2, 3):
            partial, out = np.full(cpu.blocks(size), np.nan), np.full(1, np.nan, dtype)
            a = (x, t, weights, partial, size, 5)
            run("loss_sums", dtype, a, (), (loss,), threads)
            run("finish_sum", dtype, (partial, partial.size, out), (1 / max(size, 1),))
            expected = each.sum() / max(size, 1)
            np.testing.assert_allclose(out[0], expected, **tolerance(dtype, 4))
            elements = np.full_like(x, np.nan)
            run("loss_elements", dtype, (x, t, weights, elements, size, 5), (), (loss,), threads)
            np.testing.assert_allclose(elements, each, **tolerance(dtype, 4))
            for step in (0, 1):
                g = rng.standard_normal(size if step else 1).astype(dtype)
                dx = np.full_like(x, np.nan)
                b = (x, t, weights, g, step, dx, size, 5)
                run("loss_backward", dtype, b, (0.25,), (loss,), threads)
                np.testing.assert_allclose(dx, 0.25 * g * slope, **tolerance(dtype, 4))
            results.append(out)
        for other in results[1:]:
            np.testing.assert_array_equal(other, results[0])
