"""How a kernel is launched: the check of its arguments, and what stands under it.

``Driver.launch`` is the one way in. ``CupyDriver`` compiles the text with CuPy's RawModule, which
keeps the result on disk, and launches it on a GPU. The tests have another driver, under which the
same text runs on the CPU.
"""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from functools import cache, cached_property
from typing import Any

import numpy as np

from .source import ELEMENTS, NUMBERS, REALS, signatures, text

THREADS = 256
MOST_BLOCKS = 2048
"""Blocks of a grid at most; with more work each thread takes several turns. It is no card's number
of processors, so a sum has the same order on every card."""

Size = tuple[int, ...]


def cover(items: int, per_thread: int = 1) -> tuple[int]:
    """Return the grid of one-dimensional blocks for a number of items.

    >>> cover(1000), cover(10**9)
    ((4,), (2048,))
    """
    return (max(1, min(MOST_BLOCKS, -(-items // (THREADS * per_thread)))),)


class KernelArgumentError(TypeError):
    """Arguments that a kernel does not declare; a mistake of the caller in this package."""


class CompileWarning(RuntimeWarning):
    """A kernel did not compile, and the reference computes instead."""


class Driver(ABC):
    """What compiles and launches kernels.

    Attributes:
        tiled_limit: products of at most so many multiplications go to the tiled kernel, larger
            ones to the array library's own. An estimate: one launch instead of two.
        waits: whether a kernel has ended when ``launch`` returns.
        library: whose arrays it takes.
    """

    waits = False
    library = "cupy"

    def __init__(self, tiled_limit: int = 1 << 20) -> None:
        """Start without any kernel compiled."""
        self.tiled_limit = tiled_limit
        self._modules: dict[tuple[str, str], Any] = {}
        self._problems: dict[tuple[str, str], str] = {}

    @abstractmethod
    def accepts(self, array: Any) -> bool:
        """Say whether an array lives where these kernels run."""

    @abstractmethod
    def compile(self, file: str, dtype: str) -> Any:
        """Return a compiled .cu file for a dtype; raises whatever the compiler does."""

    @abstractmethod
    def start(self, module: Any, kernel: str, grid: Size, block: Size, values: list[Any]) -> None:
        """Start a kernel with NumPy scalars, addresses among them, as its arguments."""

    @abstractmethod
    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return a new array."""

    @abstractmethod
    def flag(self) -> Any:
        """Return one int64, zero, that kernels write and Python reads without waiting."""

    @cached_property
    def bad_labels(self) -> Any:
        """The flag in which cross-entropy counts labels that are out of range."""
        return self.flag()

    def address(self, array: Any) -> int:
        """Return where an array starts."""
        return int(array.ctypes.data)

    def on_device_of(self, array: Any) -> AbstractContextManager[Any]:
        """Return a context in which new arrays and launches go to the device of an array."""
        return nullcontext()

    def module(self, file: str, dtype: str) -> Any:
        """Return a compiled .cu file, compiling it at the first use."""
        key = file, dtype
        if key not in self._modules:
            self._modules[key] = self.compile(file, dtype)
        return self._modules[key]

    def problem(self, file: str, dtype: str) -> str | None:
        """Compile a file if need be; return why it cannot be used, or None.

        The first failure of a file warns with the compiler's message, and it is not tried again.
        """
        key = file, dtype
        if key in self._modules:
            return None
        if key not in self._problems:
            try:
                self.module(file, dtype)
                return None
            except Exception as error:  # the compiler, its headers or its library
                said = str(error).strip() or type(error).__name__
                known = any(name == file for name, _ in self._problems)
                self._problems[key] = f"{file}.cu does not compile for {dtype}"
                if not known:
                    warnings.warn(
                        f"the CUDA kernels of {file}.cu do not compile for {dtype}; the "
                        f"reference formulas compute instead. The compiler says: {said}",
                        CompileWarning,
                        stacklevel=2,
                    )
        return self._problems[key]

    def launch(
        self, file: str, kernel: str, dtype: Any, grid: Size, arguments: Size | tuple[Any, ...],
        block: Size = (THREADS,),
    ) -> None:  # fmt: skip
        """Launch a kernel of a .cu file, compiled for a dtype.

        Arrays may be None where the kernel takes a null pointer.

        Raises:
            KernelArgumentError: if the arguments are not what the kernel declares.
        """
        name = _NAMES.get(dtype) or np.dtype(dtype).name
        values = self.checked(file, kernel, name, arguments)
        self.start(self.module(file, name), kernel, grid, block, values)

    def checked(self, file: str, kernel: str, dtype: str, arguments: tuple[Any, ...]) -> list[Any]:
        """Return the arguments as NumPy scalars of exactly the declared size."""
        declared = _declared(file, kernel, dtype)
        if len(declared) != len(arguments):
            raise KernelArgumentError(
                f"{kernel} takes {len(declared)} arguments "
                f"({', '.join(name for name, _, _ in declared)}), got {len(arguments)}"
            )
        values: list[Any] = []
        for (name, holds, number), given in zip(declared, arguments, strict=True):
            if holds is None:
                # A live number is a subclass, of which NumPy's constructors know nothing.
                values.append(number(float(given) if number is np.float64 else int(given)))
            elif given is None:
                values.append(_NULL)
            elif given.dtype == holds and given.flags.c_contiguous:
                values.append(number(self.address(given)))
            else:
                raise KernelArgumentError(
                    f"{kernel} takes a contiguous array of {holds} as {name}, got one "
                    f"of {given.dtype} with strides {given.strides}"
                )
        return values

    def product(self, A: Any, B: Any) -> Any:
        """Return the product of two matrices by the array library, which is cuBLAS on a GPU."""
        return A @ B


_NULL = np.uint64(0)
_IS_CUPYS: dict[type, bool] = {}
_NAMES = {np.dtype(name): name for name in REALS}


@cache
def _declared(file: str, kernel: str, dtype: str) -> tuple[tuple[str, Any, Any], ...]:
    """Return for each parameter its name, what an array must hold, and the scalar to pass."""
    made: list[tuple[str, Any, Any]] = []
    for one in signatures(file)[kernel]:
        if one.pointer:
            holds = np.dtype(dtype if one.type == "REAL" else ELEMENTS[one.type])
            made.append((one.name, holds, np.uint64))
        else:
            made.append((one.name, None, np.dtype(NUMBERS[one.type]).type))
    return tuple(made)


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
    """Kernels on an NVIDIA GPU through CuPy, which is imported when the first one is compiled."""

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

    def start(self, module: Any, kernel: str, grid: Size, block: Size, values: list[Any]) -> None:
        """Launch on the current stream of the current device."""
        module[kernel](grid, block, tuple(values))

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return a new array on the current device."""
        import cupy

        return cupy.empty(shape, dtype)

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


def rows_of(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return how many rows and columns an array has, its last axis being the columns."""
    return math.prod(shape[:-1]), shape[-1]
