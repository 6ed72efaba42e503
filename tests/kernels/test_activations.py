"""Every activation of the table, forward and backward, against float64 and itself on threads."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nnscratch.kernels import cpu

Array = np.ndarray[Any, Any]
SIZES = (0, 1, 2, 31, 33, 257, 1025, 5000)
PHI = 1.0 / math.sqrt(2.0 * math.pi)
ROOT = math.sqrt(2.0 / math.pi)
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def sigmoid(x: Array) -> Array:
    return np.exp(-np.logaddexp(0.0, -x))


def cdf(x: Array) -> Array:
    return np.array([0.5 * math.erfc(-v / math.sqrt(2.0)) for v in x.ravel()]).reshape(x.shape)


def inner(x: Array) -> Array:
    return np.tanh(ROOT * (x + 0.044715 * x**3))


# name: f(x, p, q) and f'(x, p, q), both in float64 and in the input
TRUTH: dict[str, tuple[Callable[..., Array], Callable[..., Array]]] = {
    "identity": (lambda x, p, q: x, lambda x, p, q: np.ones_like(x)),
    "relu": (lambda x, p, q: np.maximum(x, 0), lambda x, p, q: np.where(x > 0, 1.0, 0.0)),
    "leaky_relu": (
        lambda x, p, q: np.where(x > 0, x, p * x),
        lambda x, p, q: np.where(x > 0, 1.0, p),
    ),
    "elu": (
        lambda x, p, q: np.where(x > 0, x, p * np.expm1(np.minimum(x, 0))),
        lambda x, p, q: np.where(x > 0, 1.0, p * np.exp(np.minimum(x, 0))),
    ),
    "selu": (
        lambda x, p, q: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0))),
        lambda x, p, q: SELU_SCALE * np.where(x > 0, 1.0, SELU_ALPHA * np.exp(np.minimum(x, 0))),
    ),
    "gelu": (lambda x, p, q: x * cdf(x), lambda x, p, q: cdf(x) + x * PHI * np.exp(-0.5 * x * x)),
    "gelu_tanh": (
        lambda x, p, q: 0.5 * x * (1 + inner(x)),
        lambda x, p, q: (
            0.5 * (1 + inner(x)) + 0.5 * x * (1 - inner(x) ** 2) * ROOT * (1 + 3 * 0.044715 * x * x)
        ),
    ),
    "silu": (
        lambda x, p, q: x * sigmoid(x),
        lambda x, p, q: sigmoid(x) * (1 + x * (1 - sigmoid(x))),
    ),
    "sigmoid": (lambda x, p, q: sigmoid(x), lambda x, p, q: sigmoid(x) * sigmoid(-x)),
    "tanh": (lambda x, p, q: np.tanh(x), lambda x, p, q: 1 - np.tanh(x) ** 2),
    "softplus": (
        lambda x, p, q: np.where(p * x > q, x, np.logaddexp(0, p * x) / p),
        lambda x, p, q: np.where(p * x > q, 1.0, sigmoid(p * x)),
    ),
    "softsign": (lambda x, p, q: x / (1 + np.abs(x)), lambda x, p, q: (1 + np.abs(x)) ** -2.0),
    "hardtanh": (
        lambda x, p, q: np.clip(x, p, q),
        lambda x, p, q: np.where((x > p) & (x < q), 1.0, 0.0),
    ),
}


def test_every_activation_has_a_truth() -> None:
    assert set(TRUTH) == {activation.name for activation in cpu.ACTIVATIONS}


@pytest.mark.parametrize("activation", cpu.ACTIVATIONS, ids=lambda a: a.name)
def test_forward_and_backward(
    activation: cpu.Activation, dtype: str, run: Any, rng: np.random.Generator
) -> None:
    scalars = ([value for _, value in activation.parameters] + [0.0, 0.0])[:2]
    f, slope = TRUTH[activation.name]
    limits = {"float32": (4e-6, 4e-7), "float64": (1e-13, 3e-15)}[dtype]
    for size in SIZES:
        x = (3 * rng.standard_normal(size)).astype(dtype)
        dy = rng.standard_normal(size).astype(dtype)
        wide = x.astype(np.float64)
        outputs = []
        for threads in (1, 2, 3):
            y, dx, given = np.full_like(x, np.nan), np.full_like(x, np.nan), x.copy()
            options = (activation.code,)
            run("activation", dtype, (x, y, size), scalars, options, threads)
            v = y if activation.saves == "Y" else x
            run("activation_backward", dtype, (dy, v, dx, size), scalars, options, threads)
            np.testing.assert_array_equal(x, given)
            np.testing.assert_allclose(y, f(wide, *scalars), rtol=limits[0], atol=limits[1])
            truth = dy * slope(wide, *scalars)
            np.testing.assert_allclose(dx, truth, rtol=limits[0], atol=3 * limits[1])
            place = dy.copy()
            run("activation_backward", dtype, (place, v, place, size), scalars, options, threads)
            np.testing.assert_array_equal(place, dx)
            place = x.copy()
            run("activation", dtype, (place, place, size), scalars, options, threads)
            np.testing.assert_array_equal(place, y)
            outputs.append((y, dx))
        for y, dx in outputs[1:]:
            np.testing.assert_array_equal(y, outputs[0][0])
            np.testing.assert_array_equal(dx, outputs[0][1])


@pytest.mark.parametrize("activation", cpu.ACTIVATIONS, ids=lambda a: a.name)
def test_nan_infinity_and_large_values(activation: cpu.Activation, dtype: str, run: Any) -> None:
    scalars = ([value for _, value in activation.parameters] + [0.0, 0.0])[:2]
    x = np.tile(np.array([np.nan, 1e4, -1e4, np.inf, 0.0], dtype=dtype), 20)
    y, dx, dy = np.empty_like(x), np.empty_like(x), np.ones_like(x)
    run("activation", dtype, (x, y, x.size), scalars, (activation.code,))
    v = y if activation.saves == "Y" else x
    run("activation_backward", dtype, (dy, v, dx, x.size), scalars, (activation.code,))
    y, dx = y.reshape(20, 5), dx.reshape(20, 5)
    assert np.isnan(y[:, 0]).all()
    assert np.isfinite(y[:, [1, 2, 4]]).all()
    assert np.isfinite(dx[:, [1, 2, 4]]).all()
    f, slope = TRUTH[activation.name]
    with np.errstate(all="ignore"):
        large = np.array([1e4, -1e4])
        np.testing.assert_allclose(y[0, 1:3], f(large, *scalars), rtol=1e-6, atol=1e-30)
        np.testing.assert_allclose(dx[0, 1:3], slope(large, *scalars), rtol=1e-6, atol=1e-30)
