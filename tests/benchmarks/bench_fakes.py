"""Competitors that are wrong in one way or another; the processes of the tests import them."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from benchmarks.competitors.elementwise import Kernels
from benchmarks.competitors.numpy_peer import PlainNumpy


class Wrong(PlainNumpy):
    """Its learning rate is off by a tenth: the losses drift away slowly."""

    def _adam(self, parameters: Any, gradients: Any) -> None:
        object.__setattr__(self.workload, "lr", self.workload.lr * 1.1)
        super()._adam(parameters, gradients)


class Nan(PlainNumpy):
    """Its losses are no numbers."""

    def step(self, x: Any, y: Any) -> Any:
        super().step(x, y)
        return np.float32("nan")


class Dies(PlainNumpy):
    """Its process ends at the second step."""

    def step(self, x: Any, y: Any) -> Any:
        if self.taken:
            print("something fell over", flush=True)
            os._exit(3)
        return super().step(x, y)


class DiesLater(PlainNumpy):
    """It agrees with the others, and then its process ends."""

    def run(self, count: int) -> None:
        os._exit(4)


class Raises(PlainNumpy):
    """It cannot be made."""

    def build(self, weights: Any) -> None:
        raise RuntimeError("out of\nluck")


class Sleeps(PlainNumpy):
    """It never answers."""

    def step(self, x: Any, y: Any) -> Any:
        import time

        time.sleep(60)


class Where(PlainNumpy):
    """It says how many processors it may run on."""

    def evidence(self, count: int) -> list[float]:
        return [len(os.sched_getaffinity(0))]


class OffByAThousandth(Kernels):
    """Its results are."""

    def prepare(self, repeats: int) -> Any:
        work = super().prepare(repeats)
        return lambda: tuple(array * np.float32(1.001) for array in work())
