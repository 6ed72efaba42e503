"""The driver that runs kernels on the CPU, under the same launches as on a GPU."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from emulator import build
from nnscratch.kernels.cuda.driver import Driver
from nnscratch.kernels.cuda.launch import Launch


class Fault(AssertionError):
    """What a kernel did wrong: a race, an access out of bounds, a barrier not met by all."""


class Emulator(Driver):
    """Kernels on NumPy arrays.

    Args:
        flavour: "watched", "sanitized" or "plain" (see ``build``).
        schedule: 0 takes threads and blocks in order, 1 backwards, another number in an order
            drawn from it.
        texts: texts to compile in the place of .cu files.
        tiled_limit: as for every driver.
    """

    waits = True
    library = "numpy"

    def __init__(
        self,
        flavour: str = "watched",
        schedule: int = 0,
        texts: dict[str, str] | None = None,
        tiled_limit: int = 1 << 20,
    ) -> None:
        super().__init__(tiled_limit)
        self.flavour, self.schedule, self.texts = flavour, schedule, texts or {}
        self.launched: list[str] = []
        self.graphs = 0
        self._tape: list[Any] | None = None

    def accepts(self, array: Any) -> bool:
        return isinstance(array, np.ndarray)

    def compile(self, file: str, dtype: str) -> Any:
        return ctypes.CDLL(str(build.library(file, dtype, self.flavour, self.texts.get(file))))

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        made = np.empty(shape, dtype)
        made.view(np.uint8 if made.ndim else made.dtype).fill(255 if made.ndim else 1)
        return made

    def upload(self, array: Any) -> Any:
        return np.ascontiguousarray(array)

    def place(self) -> Any:
        return None

    def flag(self) -> Any:
        return np.zeros(1, np.int64)

    def function(self, module: Any, kernel: str) -> Any:
        return module, ctypes.cast(getattr(module, f"nn_entry_{kernel}"), ctypes.c_void_p)

    def stream(self) -> Any:
        return None

    def start(self, launch: Launch, stream: Any) -> None:
        if self._tape is not None:
            self._tape.append((launch, launch.arguments.raw))
            return
        self.launched.append(launch.kernel)
        module, entry = launch.function
        ranges = [
            number
            for array in launch.arrays
            for number in (*byte_bounds(array), min(array.itemsize, 4))
        ]
        message = ctypes.create_string_buffer(1024)
        failed = module.nn_launch(
            entry,
            ctypes.c_void_p(launch.pointers),
            (ctypes.c_uint * 3)(*launch.grid),
            (ctypes.c_uint * 3)(*launch.block),
            ctypes.c_int(self.schedule),
            (ctypes.c_size_t * max(len(ranges), 1))(*ranges),
            ctypes.c_int(len(launch.arrays)),
            message,
            ctypes.c_size_t(len(message)),
        )
        if failed:
            raise Fault(f"{launch.kernel}: {self._named(launch, message.value.decode())}")

    def product(self, A: Any, B: Any, Y: Any, transpose_a: bool, transpose_b: bool) -> Any:
        return Product(self, A.T if transpose_a else A, B.T if transpose_b else B, Y)

    def multiply(self, product: Product) -> None:
        if self._tape is not None:
            self._tape.append((product, None))
            return
        self.launched.append("product")
        np.matmul(product.A, product.B, out=product.Y)

    def capture(self, start: Callable[[Any], None]) -> Callable[[], None]:
        """Note the work, and return what does it with the arguments that it has now."""
        self._tape = []
        try:
            start(None)
        finally:
            tape, self._tape = self._tape, None

        def replay() -> None:
            self.graphs += 1
            for work, arguments in tape:
                if arguments is not None:
                    work.arguments.raw = arguments
                work.start(None)

        return replay

    def _named(self, launch: Launch, message: str) -> str:
        """Return a message with the sizes of the arrays that it numbers."""

        def describe(match: re.Match[str]) -> str:
            array = launch.arrays[int(match[1])]
            return f"array {match[1]} ({array.dtype}, shape {array.shape})"

        return re.sub(r"array (\d+)", describe, message)


class Product:
    """A product by NumPy."""

    def __init__(self, emulator: Emulator, A: Any, B: Any, Y: Any) -> None:
        self.emulator, self.A, self.B, self.Y = emulator, A, B, Y

    def start(self, stream: Any) -> None:
        self.emulator.multiply(self)
