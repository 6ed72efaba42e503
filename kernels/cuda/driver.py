"""What compiles and launches kernels: the interface, and what all drivers share.

``CupyDriver`` runs them on a GPU. The tests have another driver, under which the same text runs on
the CPU.
"""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import Any

import numpy as np

from .launch import FLOATS, Launch, Size, form, packed

THREADS = 256
WARP = 32
MOST_BLOCKS = 2048
"""Blocks of a grid at most; with more work each thread takes several turns. It is no card's number
of processors, so a sum has the same order on every card."""


def cover(items: int, per_thread: int = 1) -> tuple[int]:
    """Return the grid of one-dimensional blocks for a number of items.

    >>> cover(1000), cover(10**9)
    ((4,), (2048,))
    """
    return (max(1, min(MOST_BLOCKS, -(-items // (THREADS * per_thread)))),)


class CompileWarning(RuntimeWarning):
    """A kernel did not compile, and the reference computes instead."""


class Driver(ABC):
    """What compiles and launches kernels.

    Attributes:
        tiled_limit: products of at most so many multiplications go to the tiled kernel, unless
            their sums are long, and larger ones to the array library's own. An estimate: one launch
            instead of two.
        waits: whether a kernel has ended when its launch has been started.
        library: whose arrays it takes.
        no_graphs: why launches are not captured into graphs any more, once that has failed.
    """

    waits = False
    library = "cupy"

    def __init__(self, tiled_limit: int = 1 << 20) -> None:
        """Start without any kernel compiled."""
        self.tiled_limit = tiled_limit
        self._modules: dict[tuple[str, str], Any] = {}
        self._problems: dict[tuple[str, str], str] = {}
        self.no_graphs: str | None = None

    @abstractmethod
    def accepts(self, array: Any) -> bool:
        """Say whether an array lives where these kernels run."""

    @abstractmethod
    def compile(self, file: str, dtype: str) -> Any:
        """Return a compiled .cu file for a dtype; raises whatever the compiler does."""

    @abstractmethod
    def function(self, module: Any, kernel: str) -> Any:
        """Return a kernel of a compiled .cu file, as ``start`` takes it."""

    @abstractmethod
    def stream(self) -> Any:
        """Return the stream on which work is started now."""

    @abstractmethod
    def start(self, launch: Launch, stream: Any) -> None:
        """Start a kernel on a stream."""

    @abstractmethod
    def product(self, A: Any, B: Any, Y: Any, transpose_a: bool, transpose_b: bool) -> Any:
        """Return the work of Y = A B for matrices, each factor transposed first where asked."""

    @abstractmethod
    def capture(self, start: Callable[[Any], None]) -> Callable[[], None]:
        """Return a function that starts, all at once, the work that ``start`` starts on a stream.

        The work is not done while it is captured. Its arguments stay as they are then.
        """

    @abstractmethod
    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return a new array."""

    @abstractmethod
    def flag(self) -> Any:
        """Return one int64, zero, that kernels write and Python reads without waiting."""

    @abstractmethod
    def upload(self, array: Any) -> Any:
        """Return an array of the host on the current device."""

    @abstractmethod
    def place(self) -> Any:
        """Return what stands for the current device."""

    @cached_property
    def bad_labels(self) -> Any:
        """The flag in which cross-entropy counts labels that are out of range."""
        return self.flag()

    @cached_property
    def bad_indices(self) -> Any:
        """The flag in which embeddings count indices and offsets that are out of range."""
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

    def prepare(
        self, file: str, kernel: str, dtype: Any, grid: Size, arguments: tuple[Any, ...],
        block: Size = (THREADS,),
    ) -> Launch:  # fmt: skip
        """Return the launch of a kernel of a .cu file, compiled for a dtype.

        Arrays may be None where the kernel takes a null pointer.

        Raises:
            KernelArgumentError: if the arguments are not what the kernel declares.
        """
        name = FLOATS.get(dtype) or np.dtype(dtype).name
        declared = form(file, kernel, name)
        data, arrays = packed(kernel, declared, arguments, self.address)
        function = self.function(self.module(file, name), kernel)
        return Launch(self, function, kernel, grid, block, data, declared.offsets, arrays)

    def launch(
        self, file: str, kernel: str, dtype: Any, grid: Size, arguments: tuple[Any, ...],
        block: Size = (THREADS,),
    ) -> None:  # fmt: skip
        """Prepare a launch and start it on the current stream."""
        self.prepare(file, kernel, dtype, grid, arguments, block).start(self.stream())


def rows_of(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return how many rows and columns an array has, its last axis being the columns."""
    return math.prod(shape[:-1]), shape[-1]
