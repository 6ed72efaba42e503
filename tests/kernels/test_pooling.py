"""Pooling and resampling in kernels: the numbers of the references, with any number of threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnscratch
from nnscratch.formulas import FORMULAS, registry
from nnscratch.formulas import interpolation as resize
from nnscratch.formulas import pooling_windows as w
from nnscratch.kernels.cpu import IMPLEMENTATIONS
from nnscratch.kernels.cpu.pooling_halves import halves
from nnscratch.nn import functional

# Kernel, stride, padding and dilation of rows, the same of columns.
WINDOWS = [
    ((2, 2, 0, 1), (2, 2, 0, 1)),
    ((3, 2, 1, 1), (3, 2, 1, 1)),
    ((3, 1, 1, 1), (3, 1, 1, 1)),
    ((3, 3, 0, 1), (3, 3, 1, 1)),
    ((2, 1, 1, 2), (3, 2, 1, 1)),
    ((5, 4, 2, 1), (4, 5, 0, 1)),
]


def _line(size: int, numbers: tuple[int, int, int, int]) -> Any:
    return w.windows(size, *numbers, w.window_count("pool", size, *numbers, True))


@pytest.mark.parametrize(("rows", "columns"), WINDOWS)
def test_the_largest_entries(rows: Any, columns: Any, dtype: str, rng: Any) -> None:
    X = rng.integers(-4, 5, (3, 2, 13, 19)).astype(dtype)  # many are equal
    X[0, 0, 2:6, 3:9] = np.nan
    X[1, :, 4:9] = -np.inf
    X[2, 0, 3, 3:9] = np.inf
    lines = (_line(13, rows), _line(19, columns))
    made = IMPLEMENTATIONS["max_pool"]
    (V, I), saved = made.forward(X, lines=lines)
    with registry.use_kernels("off"):
        (right, places), _ = registry.forward(FORMULAS["max_pool"], X, lines=lines)
        dV = rng.standard_normal(V.shape).astype(dtype)
        (wanted,) = registry.backward(FORMULAS["max_pool"], (dV, None), saved, (True,))
    np.testing.assert_array_equal(V, right)
    np.testing.assert_array_equal(I, places)
    np.testing.assert_allclose(made.backward((dV, None), saved, (True,))[0], wanted, rtol=1e-5)


@pytest.mark.parametrize("columns", [90, 2070])  # many results wait together; a row has too many
def test_more_results_than_wait_together(columns: int, rng: Any) -> None:
    X = rng.integers(-40, 50, (2, 70, columns)).astype("float32")
    lines = (_line(70, (2, 2, 0, 1)), _line(columns, (2, 2, 0, 1)))
    (V, I), _ = IMPLEMENTATIONS["max_pool"].forward(X, lines=lines)
    with registry.use_kernels("off"):
        (right, places), _ = registry.forward(FORMULAS["max_pool"], X, lines=lines)
    np.testing.assert_array_equal(V, right)
    np.testing.assert_array_equal(I, places)


@pytest.mark.parametrize(("rows", "columns"), [(10, 10), (28, 28), (2, 2), (90, 86), (6, 2046)])
def test_the_largest_entries_of_halves(rows: int, columns: int, dtype: str, rng: Any) -> None:
    X = rng.integers(-4, 5, (3, 2, rows, columns)).astype(dtype)  # many are equal
    X[0, 0][rng.random((rows, columns)) < 0.5] = np.nan
    X[1, :, rows // 2 :] = -np.inf
    X[2, 0, 0, :3] = np.inf
    lines = tuple(_line(one, (2, 2, 0, 1)) for one in (rows, columns))
    assert halves(lines)
    (V, I), _ = IMPLEMENTATIONS["max_pool"].forward(X, lines=lines)
    with registry.use_kernels("off"):
        (right, places), _ = registry.forward(FORMULAS["max_pool"], X, lines=lines)
    np.testing.assert_array_equal(V, right)
    np.testing.assert_array_equal(I, places)


def test_any_number_of_threads(dtype: str, run: Any, rng: Any) -> None:
    X = rng.standard_normal((5, 12, 20)).astype(dtype)
    line, other = _line(12, (2, 2, 0, 1)), resize.linear(20, 33, None, False)
    rows = np.ascontiguousarray(line.index)
    plane = (12, 20)
    found = []
    for threads in (1, 2, 3):
        V, I = np.zeros((5, 6, 10), dtype), np.zeros((5, 6, 10), np.int64)
        arguments = (X, V, I, rows, 5, *plane, 6, 10, 0)
        run("largest_of_squares", dtype, arguments, (), (2, 2), threads)
        halved = [np.zeros_like(V), np.zeros_like(I)]
        run("largest_of_halves", dtype, (X, *halved, 5, 6, 10), (), (), threads)
        assert [one.tobytes() for one in halved] == [one.tobytes() for one in (V, I)]
        Y = np.zeros((5, 6, 33), dtype)
        weights = (line.weight_in(dtype), other.weight_in(dtype))
        arguments = (X, Y, rows, other.index, *weights, 5, *plane, 6, 33, 2, 2)
        run("resample_planes", dtype, arguments, (), (), threads)
        dX = np.zeros_like(X)
        run("add_at_numbers", dtype, (V, I, dX, 5, 240, 60), (), (), threads)
        found.append([one.tobytes() for one in (V, I, Y, dX)])
    assert found[0] == found[1] == found[2]
    np.testing.assert_array_equal(V, X.reshape(5, 6, 2, 10, 2).max((2, 4)))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [
        ((2, 2), (2, 2), 0), ((3, 3), (2, 2), 1), ((1, 4), (1, 4), 0), ((5, 3), (4, 1), (2, 1)),
        ((2, 4), (3, 3), (1, 2)), ((3, 2), (1, 1), 1), ((2, 1), (2, 1), 0), ((6, 6), (2, 2), 2),
    ],
)  # fmt: skip
def test_a_plan_leaves_out_numbers_that_nothing_reads(
    kernel: Any, stride: Any, padding: Any, threads: int, dtype: str, rng: Any
) -> None:
    X = rng.integers(-4, 5, (3, 2, 13, 19)).astype(dtype) * rng.choice([-1.0, 1.0], 19)
    X = X.astype(dtype)  # many are equal, and some are zeros of either sign
    X[0, 0, 2:6, 3:9] = np.nan
    X[1, :, 4:9] = -np.inf
    X[2, 0, 3, 3:9] = np.inf
    x = nnscratch.tensor(X)

    def values(x: Any) -> Any:
        return functional.max_pool2d(x, kernel, stride, padding, ceil_mode=True)

    def both(x: Any) -> Any:
        return functional.max_pool2d(
            x, kernel, stride, padding, ceil_mode=True, return_indices=True
        )

    former = nnscratch.get_num_threads()
    nnscratch.set_num_threads(threads)
    try:
        one, two = nnscratch.compile(values), nnscratch.compile(both)
        with nnscratch.no_grad():
            right, places = both(x)
            for _ in range(3):
                found, (again, numbers) = one(x), two(x)
    finally:
        nnscratch.set_num_threads(former)
    for made in (found, again):
        np.testing.assert_array_equal(made.numpy(), right.numpy())
        np.testing.assert_array_equal(np.signbit(made.numpy()), np.signbit(right.numpy()))
    np.testing.assert_array_equal(numbers.numpy(), places.numpy())
