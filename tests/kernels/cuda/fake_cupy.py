"""A stand-in for CuPy: its RawModule compiles for the emulator, its arrays are NumPy's.

It has what nnscratch calls, under the names and with the positional arguments that CuPy 14.2 has.
Work on a stream that is captured is noted, with its arguments as they are then, and done when the
graph is launched.
"""

from __future__ import annotations

import ctypes
import types
from collections.abc import Callable
from typing import Any

import array_api_compat.numpy
import numpy as np
from emulator import build
from emulator.driver import Emulator

from nnscratch.kernels.cuda.launch import form


class Device:
    """The only device there is; counts how often it was made the current one."""

    compute_capability = "90"
    entered = 0

    def __enter__(self) -> Device:
        Device.entered += 1
        return self

    def __exit__(self, *error: object) -> None:
        pass


class Array(np.ndarray):
    """A NumPy array that calls itself CuPy's, and whose sums are arrays too."""

    @property
    def data(self) -> Any:  # type: ignore[override]
        return types.SimpleNamespace(ptr=self.ctypes.data)

    @property
    def device(self) -> Any:  # type: ignore[override]
        return Device()

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        return np.asarray(array).view(Array)


Array.__module__ = "cupy"


def array(values: Any) -> Any:
    """Return a stand-in for an array on the GPU."""
    return np.array(values).view(Array)


def _arrays(made: Any) -> Any:
    if isinstance(made, (np.ndarray, np.generic)):
        return np.asarray(made).view(Array)
    return type(made)(map(_arrays, made)) if isinstance(made, (tuple, list)) else made


class Namespace:
    """The functions of the array API on these arrays."""

    __name__ = "array_api_compat.cupy"

    def __getattr__(self, name: str) -> Any:
        found = getattr(array_api_compat.numpy, name, None) or getattr(np, name)
        if not callable(found) or isinstance(found, type) or name == "isdtype":
            return found

        def call(*values: Any, device: Any = None, **options: Any) -> Any:
            return _arrays(found(*values, **options))

        return call


NAMESPACE = Namespace()


class Stream:
    """CuPy's Stream, in as far as a graph is made on one."""

    current: Stream
    fails: Exception | None = None

    def __init__(self, ptr: int | None = None, *, non_blocking: bool = False) -> None:
        self.ptr = id(self) if ptr is None else ptr
        self._before: list[Stream] = []

    def is_capturing(self) -> bool:
        return Work.captured == self.ptr != 0

    def wait_event(self, event: Event) -> None:
        Work.waits.append((self.ptr, event.recorded))

    def __enter__(self) -> Stream:
        self._before.append(Stream.current)
        Stream.current = self
        return self

    def __exit__(self, *error: object) -> None:
        Stream.current = self._before.pop()

    def begin_capture(self, mode: int | None = None) -> None:
        assert self.ptr, "CuPy refuses to capture the default stream"
        assert Work.tape is None
        Work.tape, Work.captured = [], self.ptr
        Work.watch(True)

    def end_capture(self) -> Graph:
        tape, Work.tape, Work.captured = Work.tape, None, 0
        Work.watch(False)
        if Stream.fails is not None:
            raise Stream.fails
        assert tape is not None
        return Graph(tape)


class ExternalStream(Stream):
    """CuPy's stream that another library has made."""


class Event:
    """CuPy's Event: it knows on which stream it was recorded."""

    def __init__(self, block: bool = False, disable_timing: bool = False) -> None:
        self.recorded: int | None = None

    def record(self, stream: Stream) -> None:
        self.recorded = stream.ptr


class Graph:
    """What was captured, in its order."""

    launched = 0

    def __init__(self, tape: list[Callable[[], None]]) -> None:
        self._tape = tape

    def launch(self, stream: Any = None) -> None:
        Graph.launched += 1
        for work in self._tape:
            work()


class Work:
    """What is started on the device."""

    functions: list[Any] = []
    launches: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = []
    products: list[tuple[int, int]] = []
    waits: list[Any] = []
    tape: list[Callable[[], None]] | None = None
    captured = 0
    blas: Any = None
    _callback: Any = None

    @classmethod
    def launch_kernel(
        cls, f: int, gx: int, gy: int, gz: int, bx: int, by: int, bz: int,
        shared_mem_bytes: int, stream: int, kernel_params: int, extra: int,
    ) -> None:  # fmt: skip
        kernel = cls.functions[f - 1]
        assert shared_mem_bytes == extra == 0
        cls.launches.append((kernel.name, (gx, gy, gz), (bx, by, bz)))
        size = kernel.form.layout.size
        first = ctypes.c_void_p.from_address(kernel_params).value
        assert first is not None
        # CUDA copies the arguments, wherever each of them is; here they lie end to end.
        words = ctypes.create_string_buffer(ctypes.string_at(first, size), size)
        addresses = [ctypes.addressof(words) + offset for offset in kernel.form.offsets]
        pointers = (ctypes.c_void_p * len(addresses))(*addresses)

        def run(held: Any = words) -> None:
            started = types.SimpleNamespace(
                kernel=kernel.name, function=kernel.function, grid=(gx, gy, gz),
                block=(bx, by, bz), arrays=[], pointers=ctypes.addressof(pointers),
            )  # fmt: skip
            kernel.emulator.start(started, None)

        cls.do(stream, run)

    @classmethod
    def do(cls, stream: int, run: Callable[[], None]) -> None:
        if cls.tape is None:
            run()
        else:
            assert stream == cls.captured, "work on another stream while a graph is captured"
            cls.tape.append(run)

    @classmethod
    def watch(cls, capturing: bool) -> None:
        """See the products, which are noted in place of being done if they are captured."""

        def on_gemm(pointer: int) -> int:
            gemm = ctypes.create_string_buffer(ctypes.string_at(pointer, GEMM), GEMM)
            words = np.frombuffer(gemm, np.int32)
            cls.products.append((int(words[11]), int(np.frombuffer(gemm, np.uint64)[-2])))
            if not capturing:
                return 0
            numbers = np.frombuffer(gemm, np.uint64)
            # The factors are on the host and are copied.
            size = 4 if words[9] == 0 else 8
            held = [
                ctypes.create_string_buffer(ctypes.string_at(int(numbers[n]), size), size)
                for n in (7, 10)
            ]
            numbers[7], numbers[10] = map(ctypes.addressof, held)
            stream = int(numbers[-2])
            cls.do(stream, lambda kept=(held, gemm): cls.blas.cublas_on_cpu_run(kept[1]))
            return 1

        cls._callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(on_gemm)
        if cls.blas is not None:
            cls.blas.cublas_on_cpu_watch(cls._callback)

    @classmethod
    def get_cublas_handle(cls) -> int:
        cls.blas = ctypes.CDLL(str(build.cublas()))
        cls.watch(False)
        return 1


# Thirteen ints and seven pointers.
GEMM = 56 + 7 * 8


class RawKernel:
    """What CupyDriver asks of cupy.RawKernel."""

    def __init__(self, module: RawModule, name: str) -> None:
        self.name, self.emulator = name, module.emulator
        self.form = form(module.file, name, module.dtype)
        compiled = self.emulator.module(module.file, module.dtype)
        self.function = self.emulator.function(compiled, name)
        Work.functions.append(self)
        self.kernel = types.SimpleNamespace(ptr=len(Work.functions))


class RawModule:
    """What CupyDriver asks of cupy.RawModule."""

    made: list[RawModule] = []
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
        return RawKernel(self, name)


def _alloc(size: int) -> Any:
    raw = np.empty(size + 256, np.uint8)
    return types.SimpleNamespace(raw=raw, ptr=raw.ctypes.data + -raw.ctypes.data % 256)


class Module(types.ModuleType):
    """What stands in for the module."""


def module() -> Any:
    """Return a new stand-in to be put into ``sys.modules``."""
    RawModule.made, RawModule.error = [], None
    Work.functions, Work.launches, Work.products, Work.tape = [], [], [], None
    Work.waits = []
    Stream.current, Stream.fails, Graph.launched, Device.entered = Stream(0), None, 0, 0
    made: Any = Module("cupy")
    made.RawModule, made.ndarray = RawModule, Array
    made.empty = lambda shape, dtype: np.empty(shape, dtype).view(Array)
    made.matmul = lambda a, b, out: np.matmul(a, b, out=out)
    made.cuda = types.SimpleNamespace(
        Device=Device,
        Stream=Stream,
        ExternalStream=ExternalStream,
        Event=Event,
        alloc=_alloc,
        alloc_pinned_memory=bytearray,
        driver=types.SimpleNamespace(launchKernel=Work.launch_kernel),
        get_cublas_handle=Work.get_cublas_handle,
        get_current_stream=lambda: Stream.current,
        runtime=types.SimpleNamespace(
            getDevice=lambda: 0,
            memGetInfo=lambda: (1, 2),
            deviceSynchronize=lambda: Work.waits.append("all"),
        ),
    )
    return made
