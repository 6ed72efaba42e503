"""What is stored in 16 bits is computed in float32 and rounded once, by every formula."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from nnscratch.array.bfloat16 import bfloat16
from nnscratch.formulas import registry
from nnscratch.formulas.cases import all_cases
from nnscratch.formulas.formula import FORMULAS
from nnscratch.formulas.linear import BLOCK, linear_of_halves

HALVES = {"float16": np.dtype("float16"), "bfloat16": bfloat16()}


def rounded(value: Any, half: np.dtype[Any]) -> Any:
    floats = isinstance(value, np.ndarray) and value.dtype.kind == "f"
    return value.astype(half) if floats else value


def wide(value: Any) -> Any:
    half = isinstance(value, np.ndarray) and value.dtype in HALVES.values()
    return value.astype(np.float32) if half else value


def listed(output: Any) -> list[np.ndarray]:
    return [np.asarray(one) for one in (output if type(output) is tuple else (output,))]


def same(made: Any, expected: Any, half: np.dtype[Any]) -> None:
    for got, wanted in zip(listed(made), listed(expected), strict=True):
        if wanted.dtype == np.float32:
            assert got.dtype == half
            wanted = wanted.astype(half)
        np.testing.assert_array_equal(got.astype(np.float64), wanted.astype(np.float64))


def able(name: str, dtype: str) -> bool:
    """Of float16 sums of two and updates are NumPy's own, each rounded once."""
    formula = FORMULAS[name]
    own = formula.aliases or formula.updates
    parts = name == "view_as_complex"  # of which NumPy has none of 16 bits
    return name in all_cases() and not (dtype == "float16" and own) and not parts


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("name", sorted(FORMULAS))
@np.errstate(all="ignore")
def test_rounded_once(name: str, dtype: str) -> None:
    formula, half = FORMULAS[name], HALVES[dtype]
    if not able(name, dtype):
        return
    for case in all_cases()[name][:4]:
        values = [rounded(one, half) for one in case.build()]
        if not any(isinstance(one, np.ndarray) and one.dtype == half for one in values):
            continue
        options = dict(case.options)
        if formula.updates:
            same(
                formula.forward(*values, **options),
                formula.forward(*map(wide, values), **options),
                half,
            )
            continue
        Y, saved = formula.forward(*values, **options)
        expected, kept = formula.forward(*map(wide, values), **options)
        same(Y, expected, half)
        if formula.backward is None:
            continue
        asked = formula.differentiable * (len(values) if formula.variadic else 1)
        needs = tuple(
            ask and isinstance(one, np.ndarray) for ask, one in zip(asked, values, strict=False)
        )
        dYs = [np.asarray(y * 0.75 + 0.5).astype(half) for y in listed(expected)]
        narrow = tuple(dYs) if type(Y) is tuple else dYs[0]
        dY = tuple(map(wide, dYs)) if type(Y) is tuple else wide(dYs[0])
        made = formula.backward(narrow, saved, needs)
        for got, wanted in zip(made, formula.backward(dY, kept, needs), strict=True):
            if wanted is not None:
                same(got, wanted, half)


@pytest.mark.parametrize("dtype", HALVES)
def test_a_linear_layer_in_blocks(dtype: str) -> None:
    rng, half = np.random.default_rng(0), HALVES[dtype]
    W = rng.standard_normal((2 * BLOCK // 512 + 3, 512)).astype(half)
    X, b = rng.standard_normal((2, 3, 512)).astype(half), rng.standard_normal(len(W)).astype(half)
    Z, saved = linear_of_halves(X, W, b)
    expected = wide(X).astype(np.float64) @ W.astype(np.float64).T + b.astype(np.float64)
    assert (Z.dtype, saved.W is W) == (half, True)
    np.testing.assert_allclose(Z.astype(np.float64), expected, rtol=2.0**-8, atol=2e-5)
    assert linear_of_halves(X, W[:0], None)[0].shape == (2, 3, 0)


def test_the_registry_takes_the_reference() -> None:
    X = np.ones((200, 300)).astype(bfloat16())
    Y, _ = registry.forward(FORMULAS["relu"], X)
    assert Y.dtype == bfloat16()


@pytest.mark.parametrize("dtype", HALVES)
def test_an_update_keeps_the_dtype_of_each_target(dtype: str) -> None:
    """Gradients of 16 bits, added up in float32; statistics of which one is of 16 bits."""
    half, exact = HALVES[dtype], np.array([1.001, 2.003], np.float32)
    target = exact.copy()
    registry.update(FORMULAS["accumulate"], target, np.ones(2, half))
    np.testing.assert_array_equal(target, exact + np.float32(1))
    narrow = np.ones(2, half)
    registry.update(FORMULAS["accumulate"], narrow, exact)
    np.testing.assert_array_equal(wide(narrow), wide((exact + np.float32(1)).astype(half)))
    mean, var, count = np.zeros(2, half), exact.copy(), np.array(0)
    forward = FORMULAS["running_statistics"].forward
    made = forward(mean, var, count, exact, exact, momentum=0.25, correction=1.0)
    assert [one.dtype for one in made] == [
        half if dtype == "bfloat16" else "float32",
        "float32",
        "int64",
    ]
    np.testing.assert_array_equal(made[1], np.float32(0.75) * exact + np.float32(0.25) * exact)


@pytest.mark.parametrize("dtype", ["float16", "complex64", "float32"])
def test_arrays_of_a_pickle_are_as_others(dtype: str) -> None:
    """Their dtype is equal to NumPy's own, but another object."""
    X, W = (np.random.default_rng(0).standard_normal((1, 1, 4, 4)).astype(dtype) for _ in range(2))
    stale = pickle.loads(pickle.dumps(W))
    assert stale.dtype is not W.dtype
    window = {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1}
    calls: dict[str, dict[str, Any]] = {"add": {}, "matmul": {}, "convolution": window}
    if dtype == "complex64":
        del calls["convolution"]
    for name, options in calls.items():
        made = FORMULAS[name].forward(X, stale, **options)[0]
        expected = FORMULAS[name].forward(X, W, **options)[0]
        assert made.dtype == expected.dtype == dtype
        np.testing.assert_array_equal(made, expected)
