"""A stand-in for CuPy: its RawModule compiles for the emulator, its arrays are NumPy's."""

from __future__ import annotations

import types
from contextlib import nullcontext
from typing import Any

import numpy as np
from emulator.driver import Emulator


class Array(np.ndarray):
    """A NumPy array that calls itself CuPy's."""

    @property
    def data(self) -> Any:  # type: ignore[override]
        return types.SimpleNamespace(ptr=self.ctypes.data)

    @property
    def device(self) -> Any:  # type: ignore[override]
        return nullcontext()


Array.__module__ = "cupy"


class RawModule:
    """What CupyDriver asks of cupy.RawModule."""

    made: list[RawModule] = []
    launches: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = []
    error: Exception | None = None

    def __init__(self, *, code: str, options: tuple[str, ...], backend: str) -> None:
        assert backend == "nvrtc"
        assert options[0] == "-std=c++17"
        self.code = code
        self.dtype = {"-DREAL=float": "float32", "-DREAL=double": "float64"}[options[1]]
        RawModule.made.append(self)

    def compile(self) -> None:
        if RawModule.error is not None:
            raise RawModule.error
        self.file = self.code.splitlines()[0].split('"')[1].removesuffix(".cu")
        self.emulator = Emulator("plain", texts={self.file: self.code})

    def get_function(self, name: str) -> Any:
        def launch(grid: tuple[int, ...], block: tuple[int, ...], values: tuple[Any, ...]) -> None:
            # CuPy passes a NumPy scalar by its bytes, a Python number as 8 of them.
            assert all(isinstance(value, np.generic) for value in values)
            RawModule.launches.append((name, grid, block))
            self.emulator.start(
                self.emulator.module(self.file, self.dtype), name, grid, block, list(values)
            )

        return launch


def module() -> Any:
    """Return a new stand-in to be put into ``sys.modules``."""
    RawModule.made, RawModule.launches, RawModule.error = [], [], None
    made: Any = types.ModuleType("cupy")
    made.RawModule = RawModule
    made.ndarray = Array
    made.empty = lambda shape, dtype: np.empty(shape, dtype).view(Array)
    made.cuda = types.SimpleNamespace(alloc_pinned_memory=bytearray)
    return made
