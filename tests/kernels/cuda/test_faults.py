"""Planted faults: each is put into the text of a real kernel, and must be found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from emulator.driver import Emulator, Fault

from nnscratch.kernels.cuda import source


def planted(file: str, right: str, wrong: str, count: int = 1) -> dict[str, str]:
    """Return the text of a file with one thing replaced."""
    text = source.own_text(file)
    assert text.count(right) >= 1, f"{file}.cu has no {right!r} any more"
    return {file: text.replace(right, wrong, count)}


def column_sums(driver: Emulator, rows: int = 64, columns: int = 40) -> Any:
    X = np.random.default_rng(0).standard_normal((rows, columns)).astype(np.float32)
    partial = np.zeros((2, columns), np.float32)
    grid, arguments = (-(-columns // 32), 2), (X, partial, rows, columns, rows // 2)
    driver.launch("linear", "column_stripes", "float32", grid, arguments, (32, 8))
    return X, partial


def product(driver: Emulator, m: int = 18, n: int = 17, inner: int = 33) -> Any:
    rng = np.random.default_rng(0)
    A = rng.standard_normal((m, inner)).astype(np.float32)
    B = rng.standard_normal((inner, n)).astype(np.float32)
    Y = np.zeros((m, n), np.float32)
    arguments = (A, B, None, None, Y, m, n, inner, inner, 1, n, 1, 0.0, 0.0)
    driver.launch("matmul", "matmul_identity", "float32", (4,), arguments, (16, 16))
    return A @ B, Y


def relu(driver: Emulator, n: int = 1001) -> Any:
    X = np.random.default_rng(0).standard_normal(n).astype(np.float32)
    Y = np.zeros_like(X)
    driver.launch("relu", "relu_forward", "float32", (2,), (X, Y, n))
    return np.maximum(X, 0), Y


def total(driver: Emulator, n: int = 5000) -> Any:
    X = np.ones(n, np.float32)
    partial = np.zeros(3)
    driver.launch("reductions", "sum_blocks", "float32", (3,), (X, partial, n))
    return n, partial.sum()


def test_the_kernels_as_they_are_have_none() -> None:
    X, partial = column_sums(Emulator())
    np.testing.assert_allclose(partial.sum(0), X.sum(0), rtol=1e-4, atol=1e-5)
    for kernel in (product, relu, total):
        expected, got = kernel(Emulator())
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


STRIPE = "sums[threadIdx.y][threadIdx.x] = sum;\n  __syncthreads();"
COMPLETE = "__syncthreads();  // the tiles are complete"
UNREAD = "__syncthreads();  // nobody reads them any more"
SCRATCH = "__syncthreads();  // before anybody uses the scratch again"


@pytest.mark.parametrize(
    ("file", "right", "wrong", "kernel"),
    [
        ("linear", STRIPE, "sums[threadIdx.y][threadIdx.x] = sum;", column_sums),
        ("matmul", COMPLETE, "", product),
        ("matmul", UNREAD, "", product),
    ],
    ids=["in a sum of columns", "before a tile is read", "before a tile is replaced"],
)
def test_a_missing_barrier_is_a_race(file: str, right: str, wrong: str, kernel: Any) -> None:
    texts = planted(file, right, wrong)
    for schedule in (0, 1, 7):
        with pytest.raises(Fault, match=r"race \((read and write|two writes)\).*shared memory"):
            kernel(Emulator(schedule=schedule, texts=texts))


def test_a_missing_barrier_also_shows_in_the_order_of_threads() -> None:
    """The same without the watch: one schedule gives another result than the next."""
    texts = planted("linear", STRIPE, "sums[threadIdx.y][threadIdx.x] = sum;")
    results = [
        column_sums(Emulator("plain", schedule, texts))[1].tobytes() for schedule in (0, 1, 7)
    ]
    assert len(set(results)) > 1
    right = [column_sums(Emulator("plain", schedule))[1].tobytes() for schedule in (0, 1, 7)]
    assert len(set(right)) == 1


@pytest.mark.parametrize(
    ("right", "wrong", "kind"),
    [
        ("partial[blockIdx.y * columns + column] = total", "partial[column] = total", "two writes"),
        (
            "partial[blockIdx.y * columns + column] = total",
            "partial[column] += total",
            "read and write",
        ),
        ("if (threadIdx.y == 0 && column < columns)", "if (column < columns)", "two writes"),
    ],
    ids=["of blocks", "of blocks that add", "of threads"],
)
def test_a_race_for_one_place_in_memory(right: str, wrong: str, kind: str) -> None:
    for schedule in (0, 1, 7):
        with pytest.raises(Fault, match=rf"race \({kind}\) at byte \d+ of array 1 \(float32"):
            column_sums(Emulator(schedule=schedule, texts=planted("linear", right, wrong)))


def in_header(file: str, right: str, wrong: str) -> dict[str, str]:
    """Return the text of a file with one thing in the common header replaced."""
    header = (source.FOLDER / "common.cuh").read_text(encoding="utf-8")
    assert header.count(right) == 1, f"common.cuh has no {right!r} any more"
    return planted(file, '#include "common.cuh"\n', header.replace(right, wrong))


TAIL = ("i < n; i += stride()) scalar(i)", "i <= n; i += stride()) scalar(i)")
VECTORS = ("packed ? n / WIDTH : 0", "packed ? n / WIDTH + 1 : 0")


@pytest.mark.parametrize(
    ("size", "fault"), [(1001, TAIL), (1024, TAIL), (1, TAIL), (1001, VECTORS), (1024, VECTORS)]
)
def test_a_tail_out_of_bounds(size: int, fault: tuple[str, str]) -> None:
    text = in_header("relu", *fault)["relu"]
    # A pack may begin inside and end outside.
    where = r"out of bounds: a read .* (behind|at byte \d+ of) array 0 \(float32, shape"
    with pytest.raises(Fault, match=where):
        relu(Emulator(texts={"relu": text}), size)


def test_an_access_out_of_bounds_in_the_middle_of_a_matrix() -> None:
    texts = planted("matmul", "start + a_k < inner", "true")
    with pytest.raises(Fault, match="out of bounds: a read of 4 bytes"):
        product(Emulator(texts=texts))


def test_a_write_to_what_is_const_does_not_compile() -> None:
    texts = planted("linear", "total += partial[row * columns + column]", "partial[row] = total")
    with pytest.raises(AssertionError, match="read-only"):
        column_sums(Emulator(texts=texts))


def test_a_barrier_in_another_place_for_some_threads() -> None:
    right = "__shared__ REAL sums[LANES_Y][LANES_X + 1];\n  const Index column"
    wrong = right.replace("const Index", "if (threadIdx.x < 5) __syncthreads();\n  const Index")
    with pytest.raises(Fault, match=r"divergence.*one __syncthreads.*waits elsewhere"):
        column_sums(Emulator(texts=planted("linear", right, wrong)))


def test_a_barrier_for_some_threads_only() -> None:
    right = "for (Index j = first(); j < packs"
    texts = in_header("relu", right, f"if (threadIdx.x < 5) __syncthreads();\n  {right}")
    with pytest.raises(Fault, match=r"divergence.*one __syncthreads.*has ended while others wait"):
        relu(Emulator(texts=texts))


def test_a_shuffle_that_not_all_lanes_meet() -> None:
    right = "sum = block_sum(sum, scratch);\n  if (threadIdx.x == 0) partial"
    wrong = "if (threadIdx.x % 3) sum = warp_sum(sum);\n  if (threadIdx.x == 0) partial"
    with pytest.raises(Fault, match=r"divergence: not all lanes"):
        total(Emulator(texts=planted("reductions", right, wrong)))


def test_shared_memory_that_nobody_wrote_is_no_zero() -> None:
    texts = planted("linear", "sums[threadIdx.y][threadIdx.x] = sum;", "")
    assert np.isnan(column_sums(Emulator(texts=texts))[1]).any()
