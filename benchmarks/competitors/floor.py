"""Lower bounds: the matrix products of a step alone, the machine's sgemm rate, its memory rate."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from benchmarks.competitors.base import Competitor
from benchmarks.competitors.workload import PRECISION, Array
from nnscratch.array.precision import set_float32_matmul_precision

SGEMM_SIZES = (256, 512, 1024, 2048, 4096)
CUDA_SIZES = (*SGEMM_SIZES, 8192)
_MEMORY_BYTES = 512 << 20
# Seconds of work that a GPU is given before it is waited for.
_BURST = 0.02


class Products(Competitor):
    """Only the matrix products of a step, in NumPy's BLAS, on arrays that are never allocated anew.

    What it computes means nothing: it says how fast this machine multiplies matrices of these
    shapes, in the same run and under the same load as the competitors.
    """

    def build(self, weights: list[tuple[Array, Array]]) -> None:
        """Make the arrays."""
        work = self.workload
        self.weights = [W for W, _ in weights]
        rng = np.random.default_rng(work.seed)
        self.outputs = [
            rng.standard_normal((work.rows, o), dtype=np.float32) for o in work.sizes[1:]
        ]
        if work.task == "train":
            self.gradients = [np.empty_like(W) for W in self.weights]
            self.pulled = [np.empty((work.rows, i), np.float32) for i in work.sizes[1:-1]]

    def give(self, array: Array) -> Any:
        """Return the array itself."""
        return array

    def predict(self, x: Any) -> Any:
        """Multiply forward."""
        for W, Y in zip(self.weights, self.outputs, strict=True):
            x = np.dot(x, W.T, out=Y)
        return x

    def step(self, x: Any, y: Any) -> Any:
        """Multiply forward and backward."""
        # The outputs would grow from step to step if they were fed back; each product reads
        # arrays whose values stay as they are, or come from them in one step.
        inputs = [x, *self.outputs[:-1]]
        for W, X, Y in zip(self.weights, inputs, self.outputs, strict=True):
            np.dot(X, W.T, out=Y)
        for index in range(len(self.weights) - 1, -1, -1):
            np.dot(self.outputs[index].T, inputs[index], out=self.gradients[index])
            if index:
                np.dot(self.outputs[index], self.weights[index], out=self.pulled[index - 1])
        return None

    def evidence(self, count: int) -> list[float]:
        """Return nothing: it takes no part in the comparison."""
        return []


def sgemm_rates(
    seconds: float = 0.3, device: str = "cpu", precision: str = "highest"
) -> dict[str, float]:
    """Return floating-point operations per second of square float32 products, by their size.

    Args:
        seconds: for every size; 0 for a single product.
        device: "cpu" or "cuda".
        precision: of products on a GPU.
    """
    if device == "cpu":
        return {str(n): _rate(n, _numpy_product(n), seconds) for n in SGEMM_SIZES}
    from nnscratch.array.device import cupy
    from nnscratch.cuda import synchronize
    from nnscratch.kernels.cuda.implementation import CUPY

    set_float32_matmul_precision(precision)
    return {
        str(n): _rate(n, _driver_product(CUPY, cupy(), n), seconds, synchronize, _BURST)
        for n in CUDA_SIZES
    }


def _numpy_product(n: int) -> Callable[[], object]:
    A = np.random.default_rng(0).standard_normal((n, n), dtype=np.float32)
    B = A * A
    C = np.empty_like(A)
    return lambda: np.dot(A, B, out=C)


def _driver_product(driver: Any, xp: Any, n: int) -> Callable[[], object]:
    """Return what starts a product as a plan does: CuPy's own are always in full float32."""
    A = xp.asarray(np.random.default_rng(0).standard_normal((n, n), dtype=np.float32))
    product = driver.product(A, A * A, xp.empty_like(A), False, False)
    stream = driver.stream()
    return lambda: product.start(stream)


def _rate(
    n: int,
    multiply: Callable[[], object],
    seconds: float,
    wait: Callable[[], None] = lambda: None,
    burst: float = 0.0,
) -> float:
    return 2.0 * n**3 / _each(multiply, seconds, wait, burst)


def _each(
    work: Callable[[], object], seconds: float, wait: Callable[[], None], burst: float
) -> float:
    """Return the median time of a piece of work, where so many that fill a burst go before a wait.

    On a GPU a single one would be charged with its start and with the waiting. Without seconds the
    first one's time is all there is.
    """

    def once() -> float:
        began = time.perf_counter()
        work()
        wait()
        return time.perf_counter() - began

    first = once()
    if not seconds:
        return first
    count = max(1, math.ceil(burst / max(once(), 1e-9))) if burst else 1
    times: list[float] = []
    until = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < until:
        began = time.perf_counter()
        for _ in range(count):
            work()
        wait()
        times.append((time.perf_counter() - began) / count)
    return float(np.median(times))


def memory_rate(threads: int, seconds: float = 0.5) -> float:
    """Return bytes per second read and written together by copying arrays no cache can hold."""
    parts = max(1, threads)
    count = _MEMORY_BYTES // 4 // 2 // parts
    pairs = [(np.ones(count, np.float32), np.zeros(count, np.float32)) for _ in range(parts)]
    times: list[float] = []
    with ThreadPoolExecutor(parts) as pool:

        def copy(pair: tuple[Array, Array]) -> None:
            np.copyto(pair[1], pair[0])

        until = time.perf_counter() + seconds
        while len(times) < 5 or time.perf_counter() < until:
            began = time.perf_counter()
            list(pool.map(copy, pairs))
            times.append(time.perf_counter() - began)
    return 2.0 * 4 * count * parts / float(np.median(times[1:]))


class Machine:
    """The rates of the machine, measured in a process of their own like any competitor."""

    def __init__(self, device: str = "cpu", threads: int = 1, seconds: float = 0.3) -> None:
        self.device, self.threads, self.seconds = device, threads, seconds
        self.precision = os.environ.get(PRECISION, "highest")

    def evidence(self, count: int) -> dict[str, Any]:
        """Return the rates."""
        library = None
        if self.device == "cpu":
            from nnscratch.kernels.cpu import blas

            library = blas()
        return {
            "sgemm": sgemm_rates(self.seconds, self.device, self.precision),
            "memory": self._memory(),
            "blas": "" if library is None else library.config,
        }

    def _memory(self) -> float:
        if self.device == "cpu":
            return memory_rate(self.threads, self.seconds)
        from nnscratch.array.device import cupy
        from nnscratch.cuda import synchronize

        source = cupy().ones(_MEMORY_BYTES // 4, np.float32)
        target = cupy().zeros_like(source)

        def copy() -> None:
            cupy().copyto(target, source)

        return 2.0 * _MEMORY_BYTES / _each(copy, self.seconds, synchronize, _BURST)

    def run(self, count: int) -> None:
        """Do nothing."""
