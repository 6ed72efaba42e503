"""Lower bounds: the matrix products of a step alone, the machine's sgemm rate, its memory rate."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from nnscratch.inspect.bench.competitor import Competitor
from nnscratch.inspect.bench.workload import Array

SGEMM_SIZES = (256, 512, 1024, 2048, 4096)
_MEMORY_BYTES = 512 << 20


class Products(Competitor):
    """Only the matrix products of a step, in NumPy's BLAS, on arrays that are never allocated anew.

    What it computes means nothing: it says how fast this machine multiplies matrices of these
    shapes, in the same run and under the same load as the competitors.
    """

    def build(self, weights: list[tuple[Array, Array]] | None) -> None:
        """Make the arrays."""
        work = self.workload
        given = work.weights() if weights is None else weights
        self.weights = [W for W, _ in given]
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


def sgemm_rates(seconds: float = 0.3, device: str = "cpu") -> dict[str, float]:
    """Return floating-point operations per second of square float32 products, by their size."""
    if device != "cpu":
        return _cuda_rates(seconds)
    return {str(n): _rate(np, n, seconds, lambda: None) for n in SGEMM_SIZES}


def _cuda_rates(seconds: float) -> dict[str, float]:
    from nnscratch.array.device import cupy
    from nnscratch.cuda import synchronize

    return {str(n): _rate(cupy(), n, seconds, synchronize) for n in (*SGEMM_SIZES, 8192)}


def _rate(xp: Any, n: int, seconds: float, wait: Any) -> float:
    A = xp.asarray(np.random.default_rng(0).standard_normal((n, n), dtype=np.float32))
    B = A * A
    C = xp.empty_like(A)
    xp.dot(A, B, out=C)
    wait()
    times: list[float] = []
    until = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < until:
        began = time.perf_counter()
        xp.dot(A, B, out=C)
        wait()
        times.append(time.perf_counter() - began)
    return 2.0 * n**3 / float(np.median(times))


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

    def evidence(self, count: int) -> dict[str, Any]:
        """Return the rates."""
        library = None
        if self.device == "cpu":
            from nnscratch.kernels.cpu import blas

            library = blas()
        return {
            "sgemm": sgemm_rates(self.seconds, self.device),
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
        times: list[float] = []
        for _ in range(11):
            began = time.perf_counter()
            cupy().copyto(target, source)
            synchronize()
            times.append(time.perf_counter() - began)
        return 2.0 * _MEMORY_BYTES / float(np.median(times[1:]))

    def run(self, count: int) -> None:
        """Do nothing."""
