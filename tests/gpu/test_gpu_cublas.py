"""Products by cuBLAS: what it is asked for, where it works, and what happens without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnscratch
from nnscratch.array import to_numpy
from nnscratch.errors import ConfigurationError
from nnscratch.kernels.cuda import CupyDriver, cublas
from nnscratch.kernels.cuda.cublas import CublasError


def product(driver: CupyDriver, A: Any, B: Any, *turned: bool) -> tuple[Any, Any]:
    """Return a product that is ready to start, and the array that it goes into."""
    import cupy

    Y = cupy.zeros((A.shape[turned[0]], B.shape[not turned[1]]), A.dtype)
    return driver.product(A, B, Y, *turned), Y


def square(dtype: str = "float32") -> Any:
    import cupy

    return cupy.arange(9, dtype=dtype).reshape(3, 3)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("turned", [(False, False), (False, True), (True, False), (True, True)])
def test_factors_may_be_turned_over(turned: tuple[bool, bool], dtype: str) -> None:
    import cupy

    driver, rng = CupyDriver(), np.random.default_rng(5)
    for m, n, inner in ((1, 1, 1), (3, 5, 7), (33, 2, 17)):
        A = rng.standard_normal((inner, m) if turned[0] else (m, inner)).astype(dtype)
        B = rng.standard_normal((n, inner) if turned[1] else (inner, n)).astype(dtype)
        made, Y = product(driver, cupy.asarray(A), cupy.asarray(B), *turned)
        made.start(driver.stream())
        expected = (A.T if turned[0] else A) @ (B.T if turned[1] else B)
        np.testing.assert_allclose(to_numpy(Y), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.gpu
def test_the_precision_of_products() -> None:
    """What cuBLAS is asked for; float64 stays as it is."""
    driver, asked = CupyDriver(), []
    product(driver, square(), square(), False, False)[0].start(driver.stream())
    handle = driver.blas.opened()
    assert handle is not None
    gemm = handle.gemm

    def noting(*words: Any) -> int:
        asked.append(words[17])
        return int(gemm(*words))

    handle.gemm = noting
    try:
        for precision in ("highest", "high", "medium"):
            nnscratch.set_float32_matmul_precision(precision)
            for dtype in ("float32", "float64"):
                made, Y = product(driver, square(dtype), square(dtype), False, False)
                made.start(driver.stream())
                # Whole numbers this small are exact in every precision.
                np.testing.assert_array_equal(to_numpy(Y), to_numpy(square() @ square()))
    finally:
        nnscratch.set_float32_matmul_precision("highest")
    assert asked == [68, 70, 77, 70, 75, 70]


def test_the_precision_on_the_cpu() -> None:
    """It changes nothing there, and has three names."""
    rng = np.random.default_rng(5)
    X, W = (nnscratch.tensor(rng.standard_normal((40, 40)), dtype="float32") for _ in range(2))
    expected = (X @ W).numpy().tobytes()
    try:
        nnscratch.set_float32_matmul_precision("medium")
        assert nnscratch.get_float32_matmul_precision() == "medium"
        assert (X @ W).numpy().tobytes() == expected
        with pytest.raises(ConfigurationError, match="'highest', 'high', 'medium', got 'low'"):
            nnscratch.set_float32_matmul_precision("low")
    finally:
        nnscratch.set_float32_matmul_precision("highest")


@pytest.mark.gpu
def test_each_stream_has_its_workspace_and_a_graph_keeps_its_own() -> None:
    driver, A = CupyDriver(), square()
    made, Y = product(driver, A, A, False, False)
    made.start(driver.stream())
    expected = to_numpy(Y).copy()
    handle = driver.blas.opened()
    assert handle is not None
    before = set(handle._workspaces)
    assert len(before) == 1
    replay = driver.capture(made.start)
    assert set(handle._workspaces) == before
    Y[...] = 0
    replay()
    np.testing.assert_array_equal(to_numpy(Y), expected)


@pytest.mark.gpu
def test_the_last_few_streams_have_workspaces_and_a_new_one_takes_over_the_oldest() -> None:
    import cupy

    driver, A = CupyDriver(), square()
    made, Y = product(driver, A, A, False, False)
    made.start(driver.stream())
    handle = driver.blas.opened()
    assert handle is not None
    streams = [cupy.cuda.Stream(non_blocking=True) for _ in range(cublas.STREAMS)]
    for stream in streams[:-1]:
        with stream:
            made.start(driver.stream())
    made.start(driver.stream())  # the default stream is not the one used longest ago any more
    oldest = handle._workspaces[streams[0].ptr]
    with streams[-1]:
        made.start(driver.stream())
    assert handle._workspaces[streams[-1].ptr] is oldest
    assert streams[0].ptr not in handle._workspaces
    assert len(handle._workspaces) == cublas.STREAMS
    np.testing.assert_array_equal(to_numpy(Y), to_numpy(A) @ to_numpy(A))


class MemoryIsShort(RuntimeError):
    """CuPy's error of the CUDA runtime when a graph does not fit."""

    status = 2


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("error", "raised"), [(ValueError("no"), ValueError), (MemoryIsShort("no"), MemoryError)]
)
def test_an_error_inside_a_capture_ends_it(error: Exception, raised: type[Exception]) -> None:
    import cupy

    driver = CupyDriver()

    def fail(stream: Any) -> None:
        raise error

    with pytest.raises(raised, match="no"):
        driver.capture(fail)
    assert not cupy.cuda.get_current_stream().is_capturing()
    made, Y = product(driver, square(), square(), False, False)
    driver.capture(made.start)()
    np.testing.assert_array_equal(to_numpy(Y), to_numpy(square()) @ to_numpy(square()))


@pytest.mark.gpu
def test_a_refusal_of_cublas_is_an_error() -> None:
    driver = CupyDriver()
    made, _ = product(driver, square(), square(), False, True)
    made._words = (*made._words[:2], -1, *made._words[3:])
    with pytest.raises(CublasError, match="cublasGemmEx failed with status"):
        made.start(driver.stream())


def nothing() -> str:
    raise OSError("no libcublas.so is loaded")


def fail(status: int, function: str) -> None:
    raise CublasError(f"{function} failed with status 1")


@pytest.mark.gpu
@pytest.mark.parametrize("reason", ["not loaded", "no function", "no device"])
def test_without_cublas_products_go_through_cupy(
    reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reason == "not loaded":
        monkeypatch.setattr(cublas, "find", nothing)
    elif reason == "no function":
        monkeypatch.setitem(cublas._FUNCTIONS, "cublasNothing", ())
    else:
        monkeypatch.setattr(cublas, "_check", fail)
    driver = CupyDriver()
    made, Y = product(driver, square(), square(), False, True)
    with pytest.warns(RuntimeWarning, match="cuBLAS cannot be called directly .*CuPy"):
        made.start(driver.stream())
    np.testing.assert_array_equal(to_numpy(Y), to_numpy(square()) @ to_numpy(square()).T)
    made.start(driver.stream())


@pytest.mark.gpu
def test_the_library_that_cupy_has_loaded_is_found() -> None:
    assert Path(cublas.find()).name.startswith("libcublas.so")
