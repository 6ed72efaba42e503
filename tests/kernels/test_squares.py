"""Depthwise convolutions of 3 x 3 pixels, which are read where the images lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import nnscratch
from nnscratch.formulas import registry
from nnscratch.nn import functional

SIZES = (1, 1), (3, 4), (4, 4), (5, 8), (8, 7), (9, 16), (6, 17), (7, 33), (10, 66)
"""Rows that fill blocks of four or not, and columns that fill registers of any size or not."""


def convolved(X: Any, W: Any, b: Any, **options: Any) -> tuple[Any, Any]:
    """Return ours and PyTorch's in float64."""
    groups = X.shape[1]
    with registry.use_kernels("require"):
        given = [one if one is None else nnscratch.tensor(one) for one in (X, W, b)]
        found = functional.conv2d(*given, groups=groups, **options).numpy()
    wide = [one if one is None else torch.tensor(one, dtype=torch.float64) for one in (X, W, b)]
    return found, torch.conv2d(*wide, groups=groups, **options).numpy()


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", [(0, 0), (1, 1), (2, 3)])
@pytest.mark.parametrize("outputs", [1, 2])
def test_any_size(outputs: int, padding: tuple[int, int], stride: int, dtype: str) -> None:
    rng = np.random.default_rng(0)
    for size in SIZES:
        if any(n + 2 * p < 3 for n, p in zip(size, padding, strict=True)):
            continue
        X = rng.standard_normal((2, 3, *size)).astype(dtype)
        W = rng.standard_normal((3 * outputs, 1, 3, 3)).astype(dtype)
        b = rng.standard_normal(3 * outputs).astype(dtype)
        for bias in (b, None):
            found, right = convolved(X, W, bias, stride=stride, padding=padding)
            np.testing.assert_allclose(found, right, 0, 50 * np.finfo(dtype).eps, err_msg=f"{size}")


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("odd", [np.inf, np.nan])
def test_what_is_not_finite_is_seen_by_the_windows_it_is_in(
    odd: float, stride: int, dtype: str
) -> None:
    """Neither the next row, nor the next image, which lie behind it, see the last number of one."""
    rng = np.random.default_rng(0)
    for high, wide in SIZES[2:]:
        X = rng.standard_normal((2, 2, high, wide)).astype(dtype)
        W = rng.standard_normal((2, 1, 3, 3)).astype(dtype)
        X[0, 1, -1, -1] = X[1, 0, 1, 0] = odd
        found, right = convolved(X, W, None, stride=stride, padding=1)
        np.testing.assert_array_equal(np.isfinite(found), np.isfinite(right))


@pytest.mark.parametrize("stride", [1, 2])
def test_threads_change_no_bit(stride: int, dtype: str) -> None:
    rng = np.random.default_rng(0)
    X = nnscratch.tensor(rng.standard_normal((9, 37, 33, 34)).astype(dtype))
    W = nnscratch.tensor(rng.standard_normal((37, 1, 3, 3)).astype(dtype))
    former, made = nnscratch.get_num_threads(), []
    try:
        for threads in (1, 2):
            nnscratch.set_num_threads(threads)
            with registry.use_kernels("require"):
                made.append(functional.conv2d(X, W, stride=stride, padding=1, groups=37).numpy())
    finally:
        nnscratch.set_num_threads(former)
    np.testing.assert_array_equal(*made)
