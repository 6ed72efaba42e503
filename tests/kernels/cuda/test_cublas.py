"""Products by cuBLAS: what it is asked for, on which stream, and what happens without it.

A library of the same names plays cuBLAS, so each call passes its arguments as C takes them.
"""

from __future__ import annotations

import gc
import sys
import threading
from pathlib import Path
from typing import Any

import fake_cupy
import numpy as np
import pytest

import nnscratch
from nnscratch.errors import ConfigurationError
from nnscratch.kernels.cuda import CupyDriver, cublas
from nnscratch.kernels.cuda.cublas import CublasError


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch) -> Any:
    module = fake_cupy.module()
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("turns", [(False, False), (False, True), (True, False), (True, True)])
def test_products_by_cublas(cupy: Any, rng: Any, turns: tuple[bool, bool], dtype: str) -> None:
    driver = CupyDriver()
    for m, n, inner in ((1, 1, 1), (3, 5, 7), (33, 2, 17)):
        A = fake_cupy.array(
            rng.standard_normal((inner, m) if turns[0] else (m, inner)).astype(dtype)
        )
        B = fake_cupy.array(
            rng.standard_normal((n, inner) if turns[1] else (inner, n)).astype(dtype)
        )
        Y = cupy.empty((m, n), A.dtype)
        driver.product(A, B, Y, *turns).start(driver.stream())
        expected = (A.T if turns[0] else A) @ (B.T if turns[1] else B)
        np.testing.assert_allclose(Y, expected, rtol=1e-4, atol=1e-5)


def test_the_precision_of_products(cupy: Any) -> None:
    """What cuBLAS is asked for; float64 stays as it is."""
    driver = CupyDriver()
    work = fake_cupy.Work
    try:
        for precision, compute in (("highest", 68), ("high", 77), ("medium", 75)):
            nnscratch.set_float32_matmul_precision(precision)
            assert nnscratch.get_float32_matmul_precision() == precision
            for dtype, expected in (("float32", compute), ("float64", 70)):
                A = fake_cupy.array(np.eye(3, dtype=dtype))
                Y = cupy.empty((3, 3), A.dtype)
                driver.product(A, A, Y, False, False).start(driver.stream())
                np.testing.assert_array_equal(Y, A)
                assert work.products.pop()[0] == expected
        with pytest.raises(ConfigurationError, match="'highest', 'high', 'medium', got 'low'"):
            nnscratch.set_float32_matmul_precision("low")
    finally:
        nnscratch.set_float32_matmul_precision("highest")


def test_the_precision_changes_nothing_on_the_cpu(rng: Any) -> None:
    X, W = (nnscratch.tensor(rng.standard_normal((40, 40)), dtype="float32") for _ in range(2))
    expected = (X @ W).numpy().tobytes()
    try:
        nnscratch.set_float32_matmul_precision("medium")
        assert (X @ W).numpy().tobytes() == expected
    finally:
        nnscratch.set_float32_matmul_precision("highest")


def started(cupy: Any) -> tuple[CupyDriver, Any, Any, Any]:
    """A product of two matrices that has run once on the default stream."""
    driver = CupyDriver()
    A = fake_cupy.array(np.eye(3, dtype=np.float32))
    Y = cupy.empty((3, 3), A.dtype)
    product = driver.product(A, A, Y, False, False)
    product.start(driver.stream())
    return driver, product, A, Y


def test_each_stream_has_its_workspace_and_a_graph_keeps_its_own(cupy: Any) -> None:
    driver, product, A, Y = started(cupy)
    handle = driver.blas.opened()
    assert handle is not None
    assert set(handle._workspaces) == {0}
    replay = driver.capture(product.start)
    assert set(handle._workspaces) == {0}
    streams = [stream for _, stream in fake_cupy.Work.products]
    assert streams[0] == 0
    assert streams[1] != 0
    Y[...] = 0
    replay()
    np.testing.assert_array_equal(Y, A)
    product.start(driver.stream())
    assert fake_cupy.Work.products[-1][1] == 0


def test_the_last_few_streams_have_workspaces_and_a_new_one_waits_for_that_of_another(
    cupy: Any,
) -> None:
    driver, product, *_ = started(cupy)
    handle = driver.blas.opened()
    assert handle is not None
    streams = [cupy.cuda.Stream(non_blocking=True) for _ in range(cublas.STREAMS)]
    for stream in streams[:-1]:
        with stream:
            product.start(driver.stream())
    product.start(driver.stream())  # the default stream is not the one used longest ago any more
    assert fake_cupy.Work.waits == []
    before = handle._workspaces[streams[0].ptr]
    with streams[-1]:
        product.start(driver.stream())
    assert fake_cupy.Work.waits == [(streams[-1].ptr, streams[0].ptr)]
    assert handle._workspaces[streams[-1].ptr] is before
    assert set(handle._workspaces) == {0, *(stream.ptr for stream in streams[1:])}
    # One that another library may have destroyed is not touched.
    for n in range(1, cublas.STREAMS + 1):
        with cupy.cuda.ExternalStream(n):
            product.start(driver.stream())
    fake_cupy.Work.waits.clear()
    with streams[0]:
        product.start(driver.stream())
    assert fake_cupy.Work.waits == ["all"]
    assert len(handle._workspaces) == cublas.STREAMS


def test_a_stream_that_is_captured_neither_gives_nor_takes_a_workspace(cupy: Any) -> None:
    driver = CupyDriver()
    A = fake_cupy.array(np.eye(3, dtype=np.float32))
    Y = cupy.empty((3, 3), A.dtype)
    product = driver.product(A, A, Y, False, False)
    streams = [cupy.cuda.Stream(non_blocking=True) for _ in range(cublas.STREAMS + 2)]
    for stream in streams[:-2]:
        with stream:
            product.start(driver.stream())
    handle = driver.blas.opened()
    assert handle is not None
    with streams[-2] as stream:
        stream.begin_capture()
        product.start(driver.stream())
        kept = handle._workspaces[stream.ptr]
        stream.end_capture()
    assert fake_cupy.Work.waits == []
    with streams[0] as stream:
        stream.begin_capture()
        with streams[-1]:
            handle.use(driver.stream())
        stream.end_capture()
    assert fake_cupy.Work.waits == [(streams[-1].ptr, streams[1].ptr)]
    assert handle._workspaces[streams[-2].ptr] is kept


def test_handles_are_closed_with_their_thread(cupy: Any) -> None:
    driver = CupyDriver()
    A = fake_cupy.array(np.eye(3, dtype=np.float32))
    seen = []

    def work() -> None:
        Y = cupy.empty((3, 3), A.dtype)
        driver.product(A, A, Y, False, False).start(driver.stream())
        seen.append(fake_cupy.Work.blas.cublas_on_cpu_handles())

    work()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    gc.collect()
    assert seen[1] == seen[0] + 1
    assert fake_cupy.Work.blas.cublas_on_cpu_handles() == seen[0]


def test_a_refusal_of_cublas_is_an_error(cupy: Any) -> None:
    driver = CupyDriver()
    A = fake_cupy.array(np.ones((2, 3), np.float32))
    Y = cupy.empty((2, 2), A.dtype)
    product = driver.product(A, A, Y, False, True)
    product._words = (*product._words[:-1], 99)
    with pytest.raises(CublasError, match="cublasGemmEx failed with status 15"):
        product.start(driver.stream())


@pytest.mark.parametrize("reason", ["not loaded", "no function", "no device"])
def test_without_cublas_products_go_through_cupy(
    reason: str, cupy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reason == "not loaded":
        monkeypatch.setattr(cublas, "find", nothing)
    elif reason == "no function":
        monkeypatch.setitem(cublas._FUNCTIONS, "cublasNothing", ())
    else:
        monkeypatch.setattr(cublas, "_check", fail)
    driver = CupyDriver()
    A = fake_cupy.array(np.arange(6, dtype=np.float32).reshape(2, 3))
    Y = cupy.empty((2, 2), A.dtype)
    product = driver.product(A, A, Y, False, True)
    with pytest.warns(RuntimeWarning, match="cuBLAS cannot be called directly .*CuPy"):
        product.start(driver.stream())
    np.testing.assert_array_equal(Y, A @ A.T)
    product.start(driver.stream())


def fail(status: int, function: str) -> None:
    raise CublasError(f"{function} failed with status 1")


def nothing() -> str:
    raise OSError("no libcublas.so is loaded")


def test_the_library_that_cupy_has_loaded_is_found(cupy: Any) -> None:
    assert Path(cublas.find()).name == "libcublas.so.13"
