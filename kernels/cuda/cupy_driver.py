"""Kernels on an NVIDIA GPU, through CuPy."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any

import numpy as np

from .cublas import Blas, Product
from .driver import Driver
from .launch import Launch
from .source import REALS, text

_IS_CUPYS: dict[type, bool] = {}
MEMORY_ALLOCATION = 2
"""CUDA's number for the error that memory is short; CuPy raises it as any other."""


class _Ready(threading.local):
    """On which devices a thread has started something."""

    def __init__(self) -> None:
        self.devices: set[int] = set()


class Module:
    """A compiled .cu file, and the kernels of it that were launched."""

    def __init__(self, compiled: Any) -> None:
        """Keep what CuPy made of it."""
        self._compiled = compiled
        self._functions: dict[str, Any] = {}

    def __getitem__(self, kernel: str) -> Any:
        """Return a kernel, looked up once."""
        found = self._functions.get(kernel)
        if found is None:
            found = self._functions[kernel] = self._compiled.get_function(kernel)
        return found


class CupyDriver(Driver):
    """Kernels through CuPy, which is imported when the first one is compiled.

    CuPy's RawModule compiles them and keeps the result on disk. They are started by its binding of
    ``cuLaunchKernel``, which takes the arguments as a launch has laid them out.
    """

    def __init__(self, tiled_limit: int = 1 << 20) -> None:
        """Start without any kernel compiled."""
        super().__init__(tiled_limit)
        self._ready = _Ready()
        self.blas = Blas()

    def accepts(self, array: Any) -> bool:
        """Say whether it is a CuPy array."""
        kind = type(array)
        known = _IS_CUPYS.get(kind)
        if known is None:
            known = _IS_CUPYS[kind] = kind.__module__.partition(".")[0] == "cupy"
        return known

    def compile(self, file: str, dtype: str) -> Any:
        """Compile with NVRTC, or take the result from CuPy's cache on disk."""
        import cupy

        options = ("-std=c++17", f"-DREAL={REALS[dtype]}")
        module = cupy.RawModule(code=text(file), options=options, backend="nvrtc")
        module.compile()
        return Module(module)

    def function(self, module: Any, kernel: str) -> Any:
        """Return the address of a kernel on the current device."""
        return module[kernel].kernel.ptr

    def stream(self) -> int:
        """Return the address of CuPy's current stream."""
        import cupy

        device = cupy.cuda.runtime.getDevice()
        if device not in self._ready.devices:
            # The driver's functions need a context, which a call of the runtime gives a thread.
            cupy.cuda.runtime.memGetInfo()
            self._ready.devices.add(device)
        return int(cupy.cuda.get_current_stream().ptr)

    def start(self, launch: Launch, stream: int) -> None:
        """Launch on a stream of the current device."""
        import cupy

        cupy.cuda.driver.launchKernel(
            launch.function, *launch.grid, *launch.block, 0, stream, launch.pointers, 0
        )

    def product(self, A: Any, B: Any, Y: Any, transpose_a: bool, transpose_b: bool) -> Product:
        """Return a product by cuBLAS, in the precision that is set now."""
        return Product(self.blas, A, B, Y, transpose_a, transpose_b)

    def capture(self, start: Callable[[Any], None]) -> Callable[[], None]:
        """Return a function that launches a CUDA graph of the work on the current stream."""
        import cupy

        # The legacy default stream, which is the current one as a rule, cannot be captured.
        stream = cupy.cuda.Stream(non_blocking=True)
        blas = self.blas.opened()
        if blas is not None:
            blas.set_up(stream.ptr)
        try:
            with stream:
                stream.begin_capture()
                try:
                    start(stream.ptr)
                except BaseException:
                    with suppress(Exception):
                        stream.end_capture()
                    raise
                graph = stream.end_capture()
        except RuntimeError as error:
            if getattr(error, "status", None) == MEMORY_ALLOCATION:
                raise MemoryError(str(error)) from error
            raise
        finally:
            # The graph alone uses the workspace from here on.
            workspace = None if blas is None else blas.leave(stream.ptr)

        def replay(held: Any = workspace) -> None:
            graph.launch()

        return replay

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return a new array on the current device."""
        import cupy

        return cupy.empty(shape, dtype)

    def upload(self, array: Any) -> Any:
        """Return an array of the host on the current device."""
        import cupy

        return cupy.asarray(array)

    def place(self) -> int:
        """Return the number of the current device."""
        import cupy

        return int(cupy.cuda.runtime.getDevice())

    def flag(self) -> Any:
        """Return a number in pinned memory of the host, where a GPU can write too."""
        import cupy

        made = np.frombuffer(cupy.cuda.alloc_pinned_memory(8), np.int64, 1)
        made[0] = 0
        return made

    def address(self, array: Any) -> int:
        """Return the address of a CuPy array, or of pinned memory."""
        if isinstance(array, np.ndarray):
            return int(array.ctypes.data)
        return int(array.data.ptr)

    def on_device_of(self, array: Any) -> AbstractContextManager[Any]:
        """Return a context that makes the array's GPU the current one."""
        context: AbstractContextManager[Any] = array.device
        return context
