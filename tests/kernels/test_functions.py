"""The polynomials against float64, over all of float32's range, in units of the last place."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np
import pytest

# The largest errors allowed; measured values stand in kernels/cpu/functions.py.
LIMITS = {
    "exp": 1.5,
    "decay": 1.5,
    "raised_decay": 1.5,
    "expm1": 3.0,
    "log": 1.5,
    "log1p": 2.0,
    "tanh": 2.5,
    "sigmoid": 3.0,
    "normal_tail": 7.0,
}


def normal_tail(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.array([0.5 * math.erfc(abs(v) / math.sqrt(2.0)) for v in x])


REFERENCES = {
    "exp": np.exp,
    "decay": np.exp,
    "raised_decay": lambda x: np.exp(np.maximum(x, -105.0)) * 2.0**30,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "sigmoid": lambda x: np.where(x >= 0, 1.0, np.exp(-np.abs(x))) / (1.0 + np.exp(-np.abs(x))),
    "normal_tail": normal_tail,
}


def compiled(name: str) -> Any:
    """Return the function over a float32 array."""
    from numba import cfunc, types

    from nnscratch.kernels.cpu import functions
    from nnscratch.kernels.cpu.runtime.intrinsics import KERNEL_ARGS, pointer

    function = getattr(functions, name)
    pair = name == "normal_tail"

    def over(a, s, tid, threads):  # type: ignore[no-untyped-def]
        x, y = pointer(a[0], np.float32), pointer(a[1], np.float32)
        for i in range(a[2]):
            if pair:
                y[i], _density = function(x[i])
            else:
                y[i] = function(x[i])

    return cfunc(types.void(*KERNEL_ARGS), error_model="numpy")(over)


def apply(name: str, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    y = np.empty_like(x)
    a = np.array([x.ctypes.data, y.ctypes.data, x.size], dtype=np.int64)
    kernel = compiled(name)
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 2)(kernel.address)
    call(a.ctypes.data, 0, 0, 1)
    return y


def samples(name: str) -> np.ndarray[Any, Any]:
    """Return many float32: random bits of every size, and a fine grid where functions bend."""
    rng = np.random.default_rng(3)
    bits = rng.integers(0, 2**32, 200_000, dtype=np.uint64).astype(np.uint32).view(np.float32)
    grid = np.linspace(-110, 110, 200_001, dtype=np.float32)
    small = rng.standard_normal(200_000).astype(np.float32)
    edges = np.array([0.0, -0.0, 1e4, -1e4, 3e38, -3e38, 1e-40, -1e-40], dtype=np.float32)
    x = np.concatenate([bits[np.isfinite(bits)], grid, small, edges])
    if name in ("log", "log1p"):
        x = np.abs(x)
    if name.endswith("decay"):
        x = -np.abs(x)
    return x[np.abs(x) < 14] if name == "normal_tail" else x


@pytest.mark.parametrize("name", LIMITS)
def test_what_a_function_stands_for_is_written_in_python(name: str) -> None:
    from nnscratch.kernels.cpu import functions

    for x in (0.25, 3.0):
        made = getattr(functions, name)(x)
        value = made[0] if name == "normal_tail" else made
        assert value == pytest.approx(float(np.asarray(REFERENCES[name](np.array([x])))[0]))


@pytest.mark.parametrize("name", LIMITS)
def test_error_in_units_of_the_last_place(name: str) -> None:
    x = samples(name)
    with np.errstate(all="ignore"):
        truth = np.asarray(REFERENCES[name](x.astype(np.float64)))
        expected = truth.astype(np.float32)
        got = apply(name, x)
        finite = np.isfinite(expected)
        np.testing.assert_array_equal(got[~finite], expected[~finite])
        unit = np.maximum(np.spacing(np.abs(expected[finite])).astype(np.float64), 2.0**-149)
        # A flushed or denormal result has few bits: an error of its unit is no loss.
        error = np.abs(got[finite].astype(np.float64) - truth[finite]) / unit
    normal = np.abs(truth[finite]) > 2.0**-125
    worst = x[finite][normal][error[normal].argmax()]
    assert float(error[normal].max()) <= LIMITS[name], worst
    assert float(error[~normal].max(initial=0.0)) <= 64.0


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("exp", 0.0, np.inf),
        ("expm1", -1.0, np.inf),
        ("tanh", -1.0, 1.0),
        ("sigmoid", 0.0, 1.0),
        ("normal_tail", 0.0, 0.0),
    ],
)
def test_infinities_and_nan(name: str, low: float, high: float) -> None:
    y = apply(name, np.array([-np.inf, np.inf, np.nan], dtype=np.float32))
    np.testing.assert_array_equal(y, np.array([low, high, np.nan], dtype=np.float32))


def test_decay_at_its_edges() -> None:
    quiet = np.uint32([0x7FC00001, 0xFFC001FF]).view(np.float32)  # NaN with bits of their own
    x = np.concatenate([np.float32([-np.inf, 0.0, -0.0, -1e-45]), quiet])
    np.testing.assert_array_equal(
        apply("decay", x), np.float32([0.0, 1.0, 1.0, 1.0, np.nan, np.nan])
    )


def test_logarithm_at_its_edges() -> None:
    x = np.array([0.0, -0.0, -1.0, np.inf, np.nan, 1.0], dtype=np.float32)
    y = apply("log", x)
    np.testing.assert_array_equal(y, np.float32([-np.inf, -np.inf, np.nan, np.inf, np.nan, 0.0]))
