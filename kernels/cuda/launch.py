"""A launch, ready to start: the kernel, its grid, and its arguments as they lie in memory."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from nnscratch.formulas.checks import plain

from .source import ELEMENTS, LATE, NUMBERS, REALS, signatures

Size = tuple[int, ...]
FLOATS = {np.dtype(name): name for name in REALS}
"""The dtypes that kernels are compiled for, and their names: NumPy works a name out each time."""


class KernelArgumentError(TypeError):
    """Arguments that a kernel does not declare; a mistake of the caller in this package."""


class At(NamedTuple):
    """A number that stands in an array of words by the time the kernel runs."""

    array: Any
    place: int


class Strided(NamedTuple):
    """An array whose elements lie anyhow, for a kernel that is told how by other arguments."""

    array: Any


@dataclass(frozen=True)
class Numbers:
    """The last arguments of a kernel, where they follow from options that may change.

    Attributes:
        compute: returns them, given options of plain numbers.
        options: of the formula; live numbers among them change from step to step.
    """

    compute: Callable[[dict[str, Any]], tuple[Any, ...]]
    options: dict[str, Any]

    def now(self) -> tuple[Any, ...]:
        """Return the numbers as they are now."""
        return self.compute({name: plain(value) for name, value in self.options.items()})


class Parameter(NamedTuple):
    """One parameter of a kernel.

    Attributes:
        name: as declared.
        holds: the dtype of an array, None for a number.
        code: how it lies in memory, in the notation of ``struct``.
        late: whether its number may come late.
    """

    name: str
    holds: Any
    code: str
    late: bool


class Form(NamedTuple):
    """How the arguments of a kernel lie in memory, end to end."""

    parameters: tuple[Parameter, ...]
    layout: struct.Struct
    offsets: tuple[int, ...]


@cache
def form(file: str, kernel: str, dtype: str) -> Form:
    """Return the form of a kernel's arguments, read from its declaration.

    >>> form("reductions", "sum_blocks", "float32").layout.size
    24
    """
    made, codes, offsets = [], [], [0]
    for one in signatures(file)[kernel]:
        holds, late = None, not one.pointer and one.type in LATE
        if one.pointer:
            holds = np.dtype(dtype if one.type == "REAL" else ELEMENTS[one.type])
            code = "Q"
        else:
            code = LATE[one.type] if late else NUMBERS[one.type]
        made.append(Parameter(one.name, holds, code, late))
        codes.append(f"{code}Q" if late else code)
        offsets.append(offsets[-1] + struct.calcsize(f"={codes[-1]}"))
    return Form(tuple(made), struct.Struct("=" + "".join(codes)), tuple(offsets[:-1]))


def packed(
    kernel: str, declared: Form, arguments: tuple[Any, ...], address: Callable[[Any], int]
) -> tuple[bytes, list[Any]]:
    """Return the arguments as they lie in memory, and the arrays among them.

    Raises:
        KernelArgumentError: if the arguments are not what the kernel declares.
    """
    parameters = declared.parameters
    if len(parameters) != len(arguments):
        raise KernelArgumentError(
            f"{kernel} takes {len(parameters)} arguments "
            f"({', '.join(one.name for one in parameters)}), got {len(arguments)}"
        )
    values: list[Any] = []
    arrays: list[Any] = []
    for (name, holds, code, late), given in zip(parameters, arguments, strict=True):
        if holds is None:
            if late:
                if isinstance(given, At):
                    values += (0, address(given.array) + 8 * given.place)
                    arrays.append(given.array)
                else:
                    values += (float(given) if code == "d" else int(given), 0)
            # A live number is a subclass of a number, and a flag is one.
            elif code == "d":
                values.append(float(given))
            else:
                values.append(given if code.endswith("s") else int(given))
        elif given is None:
            values.append(0)
        else:
            lies_anyhow = isinstance(given, Strided)
            array = given.array if lies_anyhow else given
            if array.dtype != holds or not (lies_anyhow or array.flags.c_contiguous):
                raise KernelArgumentError(
                    f"{kernel} takes a contiguous array of {holds} as {name}, got one "
                    f"of {array.dtype} with strides {array.strides}"
                )
            values.append(address(array))
            arrays.append(array)
    return declared.layout.pack(*values), arrays


class Launch:
    """A kernel with its grid and its arguments; it may be started any number of times.

    Attributes:
        function: what the driver calls the compiled kernel.
        kernel: its name.
        grid: how many blocks, in three dimensions.
        block: how many threads a block has, likewise.
        arguments: the bytes of its arguments, end to end.
        arrays: the arrays among them, which it keeps alive.
        pointers: the address of the addresses of the arguments, as CUDA takes them.
    """

    __slots__ = (
        "_addresses", "_driver", "arguments", "arrays", "block", "function", "grid", "kernel",
        "pointers",
    )  # fmt: skip

    def __init__(
        self, driver: Any, function: Any, kernel: str, grid: Size, block: Size, data: bytes,
        offsets: Size, arrays: list[Any],
    ) -> None:  # fmt: skip
        """Lay the arguments out; ``Driver.prepare`` makes launches."""
        self._driver, self.function, self.kernel = driver, function, kernel
        self.grid, self.block, self.arrays = (*grid, 1, 1)[:3], (*block, 1, 1)[:3], arrays
        self.arguments = ctypes.create_string_buffer(data, len(data))
        start = ctypes.addressof(self.arguments)
        self._addresses = (ctypes.c_void_p * len(offsets))(*[start + one for one in offsets])
        self.pointers = ctypes.addressof(self._addresses)

    def start(self, stream: Any) -> None:
        """Start it on a stream; it keeps its arguments as they are now."""
        self._driver.start(self, stream)
