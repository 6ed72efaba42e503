"""Products, bias with activation, and dZ with db, against NumPy in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nnscratch.kernels import cpu

Run = Any
SHAPES = [(1, 1, 1), (2, 3, 5), (31, 33, 17), (64, 10, 10), (257, 33, 65), (1, 64, 128), (3, 4, 0)]


@pytest.mark.parametrize("transpose_a", [0, 1])
@pytest.mark.parametrize("transpose_b", [0, 1])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["gemm", "gemm_plain"])
def test_gemm(
    name: str,
    transpose_a: int,
    transpose_b: int,
    shape: tuple[int, int, int],
    dtype: str,
    rng: np.random.Generator,
    tolerance: Any,
) -> None:
    m, n, k = shape
    A = rng.standard_normal((k, m) if transpose_a else (m, k)).astype(dtype)
    B = rng.standard_normal((n, k) if transpose_b else (k, n)).astype(dtype)
    start = rng.standard_normal((m, n)).astype(dtype)
    kernel, blas = cpu.gemm(dtype)
    if name == "gemm_plain":
        kernel, blas = cpu.kernel(name, dtype), 0
    product = (A.T if transpose_a else A).astype(float) @ (B.T if transpose_b else B).astype(float)
    for alpha, beta in ((1.0, 0.0), (0.5, 1.0)):
        results = []
        for threads in (1, 2, 3):
            C = start.copy() if beta else np.full_like(start, np.nan)
            table = cpu.Table()
            a = (
                blas,
                transpose_a,
                transpose_b,
                m,
                n,
                k,
                A,
                A.shape[1] or 1,
                B,
                B.shape[1] or 1,
                C,
                n,
            )
            table.add(kernel, a, (alpha, beta))
            table.build().run(threads)
            results.append(C)
        expected = alpha * product + (beta * start if beta else 0.0)
        np.testing.assert_allclose(results[0], expected, **tolerance(dtype, k))
        for other in results[1:]:
            np.testing.assert_array_equal(other, results[0])


@pytest.mark.parametrize(
    ("m", "n", "k", "ta", "tb"),
    [(128, 512, 784, 0, 1), (128, 784, 512, 0, 0), (512, 784, 128, 1, 0), (512, 512, 1030, 0, 1)],
)
def test_bits_of_large_products_do_not_depend_on_threads(
    m: int, n: int, k: int, ta: int, tb: int, rng: np.random.Generator
) -> None:
    A = rng.standard_normal((k, m) if ta else (m, k), dtype=np.float32)
    B = rng.standard_normal((n, k) if tb else (k, n), dtype=np.float32)
    kernel, blas = cpu.gemm("float32")
    results = []
    for threads in (1, 2, 3, 4, 7):
        C = np.empty((m, n), dtype=np.float32)
        table = cpu.Table()
        a = (blas, ta, tb, m, n, k, A, A.shape[1], B, B.shape[1], C, n)
        table.add(kernel, a, (1.0, 0.0))
        table.build().run(threads)
        results.append(C)
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


def test_gemm_works_on_a_part_of_a_larger_matrix(rng: np.random.Generator) -> None:
    A = rng.standard_normal((20, 30), dtype=np.float32)
    B = rng.standard_normal((30, 40), dtype=np.float32)
    C = np.zeros((20, 50), dtype=np.float32)
    kernel, blas = cpu.gemm("float32")
    table = cpu.Table()
    a = (blas, 0, 0, 20, 40, 7, A, 30, B, 40, C, 50)
    table.add(kernel, a, (1.0, 0.0))
    table.build().run(2)
    np.testing.assert_allclose(C[:, :40], A[:, :7] @ B[:7], rtol=1e-5, atol=1e-5)
    assert not C[:, 40:].any()


MATRICES = [
    (0, 3),
    (1, 1),
    (2, 2),
    (31, 10),
    (33, 63),
    (33, 64),
    (17, 257),
    (130, 1025),
    (1000, 2),
    (1025, 5),
    (70, 300),
]


@pytest.mark.parametrize("shape", MATRICES)
def test_bias_activation(
    shape: tuple[int, int],
    dtype: str,
    run: Run,
    rng: np.random.Generator,
    tolerance: Any,
) -> None:
    rows, columns = shape
    Z, b = rng.standard_normal(shape).astype(dtype), rng.standard_normal(columns).astype(dtype)
    for bias in (b, None):
        total = Z + (0 if bias is None else bias)
        for code, expected in ((1, np.maximum(total, 0)), (9, np.tanh(total.astype(float)))):
            for threads in (1, 2, 3):
                z, y = Z.copy(), np.full_like(Z, np.nan)
                run("bias_activation", dtype, (z, bias, y, rows, columns), (0, 0), (code,), threads)
                np.testing.assert_array_equal(z, total)
                np.testing.assert_allclose(y, expected, **tolerance(dtype))
                z = Z.copy()
                run("bias_activation", dtype, (z, bias, z, rows, columns), (0, 0), (code,), threads)
                np.testing.assert_array_equal(z, y)


@pytest.mark.parametrize("shape", MATRICES)
def test_activation_bias_backward(
    shape: tuple[int, int],
    dtype: str,
    run: Run,
    rng: np.random.Generator,
    tolerance: Any,
) -> None:
    rows, columns = shape
    dY, V = rng.standard_normal(shape).astype(dtype), rng.standard_normal(shape).astype(dtype)
    name = "activation_bias_backward"
    for code, dZ in ((1, np.where(V <= 0, 0, dY)), (9, dY * (1 - V * V)), (0, dY)):
        results = []
        for threads in (1, 2, 3):
            dz, db = np.full_like(dY, np.nan), np.full(columns, np.nan, dtype=dtype)
            run(name, dtype, (dY, V, dz, db, rows, columns), (0, 0), (code,), threads)
            np.testing.assert_allclose(dz, dZ, **tolerance(dtype))
            limits = tolerance(dtype, rows)
            np.testing.assert_allclose(db, dZ.astype(float).sum(0), **limits)
            results.append(db)
            place, again = dY.copy(), np.empty_like(db)
            run(name, dtype, (place, V, place, again, rows, columns), (0, 0), (code,), threads)
            np.testing.assert_array_equal(place, dz)
            np.testing.assert_array_equal(again, db)
            run(name, dtype, (dY, V, place, None, rows, columns), (0, 0), (code,), threads)
        for other in results[1:]:
            np.testing.assert_array_equal(other, results[0])
