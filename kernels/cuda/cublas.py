"""cuBLAS, called by its own name: products into arrays that are there, captured or not.

CuPy's functions refuse cuBLAS while a graph is captured, although cuBLAS itself allows it. The
library is the one that CuPy has loaded.
"""

from __future__ import annotations

import ctypes
import re
import sys
import threading
import warnings
from functools import cached_property
from pathlib import Path
from typing import Any

from nnscratch.array.precision import get_float32_matmul_precision
from nnscratch.array.streams import is_foreign, wait

from .launch import FLOATS

# Numbers of cublas_api.h and library_types.h.
TRANSPOSE, KEEP = 1, 0
DATA = {"float32": 0, "float64": 1}
COMPUTE = {"highest": 68, "high": 77, "medium": 75}
COMPUTE_DOUBLE = 70
DEFAULT_ALGORITHM = -1
# What NVIDIA recommends: more from Hopper on.
WORKSPACE, WORKSPACE_OF_HOPPER, HOPPER = 4 << 20, 32 << 20, 90
STREAMS = 4
"""Streams of a thread that keep a workspace each."""

_P, _I = ctypes.c_void_p, ctypes.c_int
_FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "cublasCreate_v2": (_P,),
    "cublasDestroy_v2": (_P,),
    "cublasSetStream_v2": (_P, _P),
    "cublasSetWorkspace_v2": (_P, _P, ctypes.c_size_t),
    "cublasGemmEx": (
        _P, _I, _I, _I, _I, _I, _P, _P, _I, _I, _P, _I, _I, _P, _P, _I, _I, _I, _I,
    ),
}  # fmt: skip


class CublasError(RuntimeError):
    """A call of cuBLAS that failed."""


def _check(status: int, function: str) -> None:
    if status:
        raise CublasError(f"{function} failed with status {status}")


def find() -> str:
    """Return the path of the cuBLAS that CuPy has loaded.

    Raises:
        OSError: if there is none among the libraries of this process.
    """
    import cupy

    cupy.cuda.get_cublas_handle()  # which loads it
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        path = line.split(maxsplit=5)[-1]
        if re.search(r"/libcublas\.so[.\d]*$", path):
            return path
    raise OSError("no libcublas.so is loaded")


class Handle:
    """cuBLAS for one thread on one device: a handle, and a workspace for each stream.

    The last few streams keep theirs. A stream beyond these takes over the workspace that has not
    been used for longest, and waits for the work of the stream that had it.
    """

    def __init__(self, library: Any) -> None:
        """Open cuBLAS on the current device."""
        import cupy

        self._library, self.gemm = library, library.cublasGemmEx
        handle = ctypes.c_void_p()
        _check(library.cublasCreate_v2(ctypes.byref(handle)), "cublasCreate")
        self.handle = handle
        capability = int(cupy.cuda.Device().compute_capability)
        self._size = WORKSPACE_OF_HOPPER if capability >= HOPPER else WORKSPACE
        self._workspaces: dict[int, Any] = {}
        # CuPy's streams, in the order of their last use. While one is here it is not destroyed,
        # and no other gets its address.
        self._streams: dict[int, Any] = {}
        self._stream: int | None = None

    def use(self, stream: int) -> None:
        """Let what follows run on a stream.

        Without a workspace of ours cuBLAS would allocate one, which a graph could not repeat.
        """
        if stream == self._stream:
            return
        if stream not in self._workspaces:
            self._workspaces[stream] = self._workspace()
        if stream in self._streams:
            self._streams[stream] = self._streams.pop(stream)
        # Setting the stream forgets the workspace.
        self._stream = None
        _check(self._library.cublasSetStream_v2(self.handle, stream), "cublasSetStream")
        workspace = int(self._workspaces[stream].ptr)
        done = self._library.cublasSetWorkspace_v2(self.handle, workspace, self._size)
        _check(done, "cublasSetWorkspace")
        self._stream = stream

    def _workspace(self) -> Any:
        """Return a workspace for the current stream."""
        import cupy

        current = cupy.cuda.get_current_stream()
        if current.is_capturing():
            # It stays with a graph that is not ours.
            return cupy.cuda.alloc(self._size)
        free = [one for one in self._streams.values() if is_foreign(one) or not one.is_capturing()]
        if len(self._streams) < STREAMS or not free:
            made = cupy.cuda.alloc(self._size)
        else:
            wait(current, free[0])
            del self._streams[free[0].ptr]
            made = self._workspaces.pop(free[0].ptr)
        self._streams[current.ptr] = current
        return made

    def set_up(self, stream: int) -> None:
        """Turn to a stream that will be captured, with a workspace that no other stream gets."""
        import cupy

        self._workspaces[stream] = cupy.cuda.alloc(self._size)
        self.use(stream)

    def leave(self, stream: int) -> Any:
        """Give up a stream, and return its workspace."""
        if stream == self._stream:
            self._stream = None
        return self._workspaces.pop(stream, None)

    def __del__(self) -> None:
        handle = getattr(self, "handle", None)
        # At the end of the process CUDA may be gone already.
        if handle and not sys.is_finalizing():
            self._library.cublasDestroy_v2(handle)


class _Handles(threading.local):
    def __init__(self) -> None:
        self.by_device: dict[int, Handle] = {}


class Blas:
    """cuBLAS for all threads and devices; it is looked for at the first product."""

    def __init__(self) -> None:
        """Look for nothing yet."""
        self._handles = _Handles()

    @cached_property
    def library(self) -> Any:
        """The library, or None with one warning where CuPy's own product has to do."""
        try:
            library = ctypes.CDLL(find())
            for name, arguments in _FUNCTIONS.items():
                function = getattr(library, name)
                function.argtypes, function.restype = arguments, ctypes.c_int
            Handle(library)
        except (OSError, AttributeError, CublasError) as error:
            warnings.warn(
                f"cuBLAS cannot be called directly ({error}); products go through CuPy, all in "
                "full float32, and compiled steps are not captured into CUDA graphs",
                RuntimeWarning,
                stacklevel=2,
            )
            return None
        return library

    def handle(self) -> Handle:
        """Return the handle of this thread on the current device."""
        import cupy

        device = cupy.cuda.runtime.getDevice()
        found = self._handles.by_device.get(device)
        if found is None:
            found = self._handles.by_device[device] = Handle(self.library)
        return found

    def opened(self) -> Handle | None:
        """Return the handle of this thread on the current device, None before any product."""
        # The library is looked for once, and by no one but the first product.
        return self.handle() if self.__dict__.get("library") is not None else None


class Product:
    """Y = A B for contiguous matrices, each factor transposed first where asked; ready to start.

    A matrix by rows is its transpose by columns, which is cuBLAS's order: it is asked for
    Yᵀ = Bᵀ Aᵀ.
    """

    __slots__ = ("_arrays", "_blas", "_turned", "_words")

    def __init__(
        self, blas: Blas, A: Any, B: Any, Y: Any, transpose_a: bool, transpose_b: bool
    ) -> None:
        """Lay the arguments out, in the precision that is set now."""
        self._blas, self._arrays = blas, (A, B, Y)
        self._turned = (A.T if transpose_a else A, B.T if transpose_b else B)
        m, n = Y.shape
        inner = A.shape[0] if transpose_a else A.shape[1]
        name = FLOATS[Y.dtype]
        real = ctypes.c_double if name == "float64" else ctypes.c_float
        compute = COMPUTE_DOUBLE if name == "float64" else COMPUTE[get_float32_matmul_precision()]
        kind = DATA[name]
        self._words: tuple[Any, ...] = (
            TRANSPOSE if transpose_b else KEEP, TRANSPOSE if transpose_a else KEEP, n, m, inner,
            ctypes.byref(real(1.0)), int(B.data.ptr), kind, B.shape[1],
            int(A.data.ptr), kind, A.shape[1],
            ctypes.byref(real(0.0)), int(Y.data.ptr), kind, n, compute, DEFAULT_ALGORITHM,
        )  # fmt: skip

    def start(self, stream: int) -> None:
        """Start it on a stream of the current device.

        Raises:
            CublasError: if cuBLAS refuses.
        """
        if self._blas.library is None:
            import cupy

            cupy.matmul(*self._turned, out=self._arrays[2])
            return
        handle = self._blas.handle()
        handle.use(stream)
        _check(handle.gemm(handle.handle, *self._words), "cublasGemmEx")
