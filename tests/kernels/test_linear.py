"""Products, bias with activation, and dZ with db, against NumPy in float64."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest

import nnscratch
from nnscratch.formulas import FORMULAS, GELU, LINEAR, RELU, TANH, registry
from nnscratch.kernels import cpu
from nnscratch.nn import functional
from nnscratch.optim.adam import ADAM

Run = Any
PRODUCTS = ["gemm_tiles", *(["gemm"] if cpu.blas() else [])]
"""The kernels of products; test_driver.py says where BLAS has to be found."""
# Tiles have 6 or 8 rows and up to 32 columns; sums are cut at 256 terms, bands at 126 to 512 rows,
# blocks at 512 or 1024 columns.
SHAPES = [
    (1, 1, 1),
    (2, 3, 5),
    (31, 33, 17),
    (64, 10, 10),
    (257, 33, 65),
    (1, 64, 128),
    (1, 9, 33),
    (8, 32, 256),
    (2, 13, 40),
    (7, 20, 100),
    (9, 31, 257),
    (15, 16, 513),
    (530, 70, 260),
    (3, 4, 0),
]


def multiply(
    name: str, threads: int, A: Any, B: Any, C: Any, ta: int, tb: int, k: int | None = None
) -> Any:
    """Write the product of A and B, transposed where the flags say so, into C."""
    kernel, first = (cpu.by_blas if name == "gemm" else cpu.by_tiles)(C.dtype.name)
    m = A.shape[1] if ta else A.shape[0]
    n = B.shape[0] if tb else B.shape[1]
    k = (A.shape[0] if ta else A.shape[1]) if k is None else k
    table = cpu.Table()
    sides = (A.shape[1] or 1, B.shape[1] or 1, C.shape[1])
    table.add(kernel, (first, ta, tb, m, n, k, A, sides[0], B, sides[1], C, sides[2]))
    table.build().run(threads)
    return C


def factors(
    rng: np.random.Generator, m: int, n: int, k: int, ta: int, tb: int, dtype: str = "float32"
) -> tuple[Any, Any]:
    A = rng.standard_normal((k, m) if ta else (m, k)).astype(dtype)
    B = rng.standard_normal((n, k) if tb else (k, n)).astype(dtype)
    return A, B


def exact(A: Any, B: Any, ta: int, tb: int) -> Any:
    return (A.T if ta else A).astype(float) @ (B.T if tb else B).astype(float)


@pytest.mark.parametrize("name", PRODUCTS)
def test_two_threads_share_a_product_of_512_columns(name: str, rng: np.random.Generator) -> None:
    m, n, k = 128, 512, 20
    A, B = factors(rng, m, n, k, 0, 0)
    C = np.full((m, n), np.nan, np.float32)
    kernel, first = (cpu.by_blas if name == "gemm" else cpu.by_tiles)("float32")
    words = [first, 0, 0, m, n, k, A.ctypes.data, k, B.ctypes.data, n, C.ctypes.data, n]
    part = ctypes.CFUNCTYPE(None, *(ctypes.c_int64,) * 4)(kernel.address)
    given = np.asarray(words, np.int64)
    part(given.ctypes.data, 0, 0, 2)
    assert 0.4 < np.isnan(C).mean() < 0.6
    part(given.ctypes.data, 0, 1, 2)
    np.testing.assert_allclose(C, exact(A, B, 0, 0), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("ta", [0, 1])
@pytest.mark.parametrize("tb", [0, 1])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", PRODUCTS)
def test_gemm(
    name: str,
    ta: int,
    tb: int,
    shape: tuple[int, int, int],
    dtype: str,
    rng: np.random.Generator,
) -> None:
    m, n, k = shape
    A, B = factors(rng, m, n, k, ta, tb, dtype)
    results = []
    for threads in (1, 2, 3):
        C = np.full((m, n), np.nan, dtype)
        results.append(multiply(name, threads, A, B, C, ta, tb))
    # A sum of k numbers of size 1 is of size √k, and k roundings of it add up to √k of its own.
    eps = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(results[0], exact(A, B, ta, tb), rtol=16 * eps, atol=(8 + k) * eps)
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize(
    ("m", "n", "k", "ta", "tb"),
    [
        (128, 512, 784, 0, 1),
        (128, 784, 512, 0, 0),
        (512, 784, 128, 1, 0),
        (512, 512, 1030, 0, 1),
        (1, 517, 784, 0, 1),
        (1003, 10, 10, 0, 1),
        (10, 11, 1003, 1, 0),
        (1030, 40, 1200, 0, 1),
        (1100, 70, 300, 1, 0),
        (70, 2100, 300, 0, 0),
    ],
)
def test_bits_of_large_products_do_not_depend_on_threads(
    name: str, m: int, n: int, k: int, ta: int, tb: int, rng: np.random.Generator
) -> None:
    A, B = factors(rng, m, n, k, ta, tb)
    results = []
    for threads in (1, 2, 3, 4, 7):
        C = np.empty((m, n), dtype=np.float32)
        results.append(multiply(name, threads, A, B, C, ta, tb))
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


@pytest.mark.parametrize("name", PRODUCTS)
def test_gemm_works_on_a_part_of_a_larger_matrix(name: str, rng: np.random.Generator) -> None:
    A = rng.standard_normal((20, 30), dtype=np.float32)
    B = rng.standard_normal((30, 40), dtype=np.float32)
    C = np.zeros((20, 50), dtype=np.float32)
    multiply(name, 2, A, B, C, 0, 0, k=7)
    np.testing.assert_allclose(C[:, :40], A[:, :7] @ B[:7], rtol=1e-5, atol=1e-5)
    assert not C[:, 40:].any()


def test_a_few_rows_have_the_bits_that_each_has_alone(dtype: str, rng: np.random.Generator) -> None:
    for n, k in ((128, 784), (13, 33), (8, 7), (3, 1), (70, 256)):
        for m in range(1, 9):
            A, B = factors(rng, m, n, k, 0, 1, dtype)
            C = multiply("gemm_tiles", 1, A, B, np.zeros((m, n), dtype), 0, 1)
            for threads in (2, 3):
                more = multiply("gemm_tiles", threads, A, B, np.zeros((m, n), dtype), 0, 1)
                assert more.tobytes() == C.tobytes()
            for i in range(m):
                one = multiply("gemm_tiles", 1, A[i : i + 1], B, np.zeros((1, n), dtype), 0, 1)
                assert one.tobytes() == C[i : i + 1].tobytes()


@pytest.mark.parametrize(("ta", "tb"), [(0, 1), (0, 0), (1, 0), (1, 1)])
def test_a_nan_reaches_its_own_row_and_column_only(
    ta: int, tb: int, rng: np.random.Generator
) -> None:
    for m, n, k in ((13, 37, 270), (130, 70, 20), (1, 20, 40)):
        A, B = factors(rng, m, n, k, ta, tb)
        (A.T if ta else A)[m // 2, k // 2] = np.nan
        (B.T if tb else B)[k // 3, n // 3] = np.nan
        C = multiply("gemm_tiles", 2, A, B, np.zeros((m, n), np.float32), ta, tb)
        wrong = np.zeros((m, n), bool)
        wrong[m // 2] = True
        wrong[:, n // 3] = True
        np.testing.assert_array_equal(np.isnan(C), wrong)


def test_a_product_writes_and_reads_nothing_outside_of_its_matrices() -> None:
    # NaN stands all around; one that was read, or a number written there, would show.
    for m, n, k, ta, tb in (
        *((9, 5, 3, 0, 0), (9, 5, 3, 0, 1), (9, 5, 3, 1, 0), (1, 5, 3, 0, 1)),
        *((3, 9, 3, 0, 1), (8, 17, 9, 0, 1)),
    ):
        spaces, views = [], []
        for shape in ((k, m) if ta else (m, k), (n, k) if tb else (k, n), (m, n)):
            count = shape[0] * shape[1]
            space = np.full(count + 128, np.nan, np.float32)
            view = space[64 : 64 + count].reshape(shape)
            view[...] = 1.0
            spaces.append(space)
            views.append(view)
        A, B, C = views
        multiply("gemm_tiles", 1, A, B, C, ta, tb)
        np.testing.assert_array_equal(C, np.full((m, n), k, np.float32))
        for space, view in zip(spaces, views, strict=True):
            assert np.isnan(space[:64]).all()
            assert np.isnan(space[64 + view.size :]).all()


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
        for name, expected in (
            ("relu", np.maximum(total, 0)),
            ("tanh", np.tanh(total.astype(float))),
        ):
            for threads in (1, 2, 3):
                z, y = Z.copy(), np.full_like(Z, np.nan)
                run("bias_activation", dtype, (z, bias, y, rows, columns), (0, 0), (name,), threads)
                np.testing.assert_array_equal(z, total)
                np.testing.assert_allclose(y, expected, **tolerance(dtype))
                z = Z.copy()
                run("bias_activation", dtype, (z, bias, z, rows, columns), (0, 0), (name,), threads)
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
    for code, dZ in (
        ("relu", np.where(V <= 0, 0, dY)),
        ("tanh", dY * (1 - V * V)),
        ("identity", dY),
    ):
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


@pytest.mark.parametrize("activation", [None, "relu", "gelu_tanh"])
@pytest.mark.parametrize("order", ["transposed", "every second row", "every second column"])
def test_weights_that_are_views(
    order: str, activation: str | None, dtype: str, rng: np.random.Generator, tolerance: Any
) -> None:
    """A transposed matrix is used where it is, and its gradient lies in its order."""
    stored = rng.standard_normal((26, 18)).astype(dtype)
    W = {"transposed": stored.T, "every second row": stored[::2]}.get(order, stored[:, ::2])
    X = rng.standard_normal((3, 7, W.shape[1])).astype(dtype)
    b = rng.standard_normal(W.shape[0]).astype(dtype)
    dY = rng.standard_normal((3, 7, W.shape[0])).astype(dtype)
    formula = LINEAR if activation is None else FORMULAS["linear_activation"]
    options = {} if activation is None else {"activation": activation}
    found: dict[str, Any] = {}
    for mode in ("require", "off"):
        with registry.use_kernels(mode):
            Y, saved = registry.forward(formula, X, W, b, **options)
            found[mode] = (Y, *registry.backward(formula, dY, saved, (True,) * 3))
    for one, wanted in zip(found["require"], found["off"], strict=True):
        np.testing.assert_allclose(one, wanted, **tolerance(dtype, W.size))
    of_weights = found["require"][2]
    assert (of_weights.T if order == "transposed" else of_weights).flags.c_contiguous


def test_a_compiled_step_of_transposed_weights() -> None:
    made = []
    for compiled in (False, True):
        nnscratch.manual_seed(0)
        W = nnscratch.nn.Parameter(nnscratch.randn(6, 9))
        optimizer = nnscratch.optim.SGD([W], lr=0.1)
        x = nnscratch.randn(5, 6)

        def step(x: Any, W: Any = W, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            loss = functional.gelu(functional.linear(x, W.t())).square().sum()
            loss.backward()
            optimizer.step()
            return loss

        run = nnscratch.compile(step) if compiled else step
        made.append([*(float(run(x)) for _ in range(4)), *W.detach().numpy().ravel()])
    np.testing.assert_allclose(made[1], made[0], rtol=1e-5)


def test_single_calls_take_a_kernel_where_it_pays() -> None:
    """Sizes decide, by how long NumPy takes for an element; few rows of a product apart."""
    W, row, rows = (np.ones(shape, np.float32) for shape in ((300, 200), (1, 200), (8, 200)))
    log = registry.CallLog()
    with registry.use_kernels("auto"), registry.observing(log):
        _, saved = registry.forward(LINEAR, row, W)
        registry.backward(LINEAR, np.ones((1, 300), np.float32), saved, (True, True, False))
        registry.forward(LINEAR, rows, W)
        registry.forward(GELU, W[:2])
        registry.forward(RELU, W[:10])
        registry.forward(RELU, W)
    who = [implementation for _, _, implementation in log.ran]
    assert who == ["reference", "numba", "numba", "reference", "reference", "numba"]
    states = [np.ones(40 * 200, np.float32) for _ in range(4)]
    with registry.use_kernels("auto"), registry.observing(log):
        registry.forward(GELU, W[:10])
        registry.forward(TANH, W[:40])
        registry.update(ADAM, *(one[:200] for one in states), lr=0.1, step=1)
        registry.update(ADAM, *states, lr=0.1, step=1)
    assert log.ran[-4:] == [
        ("gelu", "forward", "numba"),
        ("tanh", "forward", "numba"),
        ("adam", "update", "reference"),
        ("adam", "update", "numba"),
    ]
