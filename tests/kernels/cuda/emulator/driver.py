"""The driver that runs kernels on the CPU, under the same launches as on a GPU."""

from __future__ import annotations

import ctypes
import re
from typing import Any

import numpy as np

from emulator import build
from nnscratch.kernels.cuda.driver import Driver, Size


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
        self._arrays: list[Any] = []

    def accepts(self, array: Any) -> bool:
        return isinstance(array, np.ndarray)

    def compile(self, file: str, dtype: str) -> Any:
        return ctypes.CDLL(str(build.library(file, dtype, self.flavour, self.texts.get(file))))

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        made = np.empty(shape, dtype)
        made.view(np.uint8 if made.ndim else made.dtype).fill(255 if made.ndim else 1)
        return made

    def flag(self) -> Any:
        return np.zeros(1, np.int64)

    def address(self, array: Any) -> int:
        self._arrays.append(array)
        return super().address(array)

    def checked(self, file: str, kernel: str, dtype: str, arguments: tuple[Any, ...]) -> list[Any]:
        self._arrays = []
        return super().checked(file, kernel, dtype, arguments)

    def start(self, module: Any, kernel: str, grid: Size, block: Size, values: list[Any]) -> None:
        self.launched.append(kernel)
        held = [np.array([value]) for value in values]
        pointers = (ctypes.c_void_p * len(held))(*(one.ctypes.data for one in held))
        ranges = [
            number
            for array in self._arrays
            for number in (
                array.ctypes.data,
                array.ctypes.data + array.nbytes,
                min(array.itemsize, 4),
            )
        ]
        message = ctypes.create_string_buffer(1024)
        failed = module.nn_launch(
            ctypes.cast(getattr(module, f"nn_entry_{kernel}"), ctypes.c_void_p),
            pointers,
            (ctypes.c_uint * 3)(*(*grid, 1, 1)[:3]),
            (ctypes.c_uint * 3)(*(*block, 1, 1)[:3]),
            ctypes.c_int(self.schedule),
            (ctypes.c_size_t * max(len(ranges), 1))(*ranges),
            ctypes.c_int(len(self._arrays)),
            message,
            ctypes.c_size_t(len(message)),
        )
        if failed:
            raise Fault(f"{kernel}: {self._named(kernel, message.value.decode())}")

    def _named(self, kernel: str, message: str) -> str:
        """Return a message with the sizes of the arrays that it numbers."""

        def describe(match: re.Match[str]) -> str:
            array = self._arrays[int(match[1])]
            return f"array {match[1]} ({array.dtype}, shape {array.shape})"

        return re.sub(r"array (\d+)", describe, message)
