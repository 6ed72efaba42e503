"""What the lowering of a call writes to: arrays, launches and products, run now or kept in a plan.

The same lowering serves two builders. ``EagerBuilder`` allocates arrays and starts everything at
once; that of a plan (``segment``) hands out planned arrays and keeps the launches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from .driver import THREADS, Driver
from .launch import FLOATS, Numbers, Size, form


class Work(Protocol):
    """Something for the device to do, ready to start: a launch or a product."""

    def start(self, stream: Any) -> None:
        """Start it on a stream."""


class Builder(Protocol):
    """What a lowering needs of whoever collects its launches."""

    def output(self, position: int, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return the array to write output number ``position`` into."""

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return an array for something else that the call computes."""

    def add(self, work: Work) -> None:
        """Add a launch or a product."""

    def numbers(self, numbers: Numbers, codes: str) -> tuple[Any, ...]:
        """Return the last arguments of a launch: numbers, or where they will stand.

        ``codes`` says how each of them lies in memory: "d" or "Q".
        """

    def poll(self, function: Callable[[], None]) -> None:
        """Add a function that raises if the device has reported a mistake by now."""


class EagerBuilder:
    """A builder that allocates and starts at once."""

    def __init__(self, driver: Driver, into: tuple[Any, ...] = ()) -> None:
        """Begin a call, on the current stream; outputs that fit go into the arrays given."""
        self._driver, self._stream, self._into = driver, driver.stream(), into
        self._polls: list[Callable[[], None]] = []

    def output(self, position: int, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return the array given for that output if it fits, else a new one.

        Kernels write outputs in order: one with gaps or axes in another order does not fit.
        """
        given = self._into[position] if self._into else None
        if given is None or given.shape != shape or given.dtype != dtype:
            return self._driver.empty(shape, dtype)
        return given if given.flags.c_contiguous else self._driver.empty(shape, dtype)

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return a new array."""
        return self._driver.empty(shape, dtype)

    def add(self, work: Work) -> None:
        """Start it."""
        work.start(self._stream)

    def numbers(self, numbers: Numbers, codes: str) -> tuple[Any, ...]:
        """Return the numbers."""
        return numbers.now()

    def poll(self, function: Callable[[], None]) -> None:
        """Call the function, and once more in the end where that has waited for the device."""
        function()
        if self._driver.waits:
            self._polls.append(function)

    def finish(self) -> None:
        """Poll once more what a device that was waited for reports."""
        for poll in self._polls:
            poll()


class Target:
    """A builder, and the driver that prepares what is added to it."""

    __slots__ = ("_builder", "driver", "empty", "output")

    def __init__(self, builder: Builder, driver: Driver) -> None:
        """Bring the two together for one call."""
        self._builder, self.driver = builder, driver
        self.empty, self.output = builder.empty, builder.output

    def launch(
        self, file: str, kernel: str, dtype: Any, grid: Size, arguments: tuple[Any, ...],
        block: Size = (THREADS,), numbers: Numbers | None = None,
    ) -> None:  # fmt: skip
        """Add the launch of a kernel of a .cu file; ``numbers`` follow the arguments."""
        if numbers is not None:
            parameters = form(file, kernel, FLOATS[dtype]).parameters[len(arguments) :]
            codes = "".join(one.code for one in parameters)
            arguments = (*arguments, *self._builder.numbers(numbers, codes))
        made = self.driver.prepare(file, kernel, dtype, grid, arguments, block)
        self._builder.add(made)

    def product(self, A: Any, B: Any, Y: Any, transpose_a: bool, transpose_b: bool) -> None:
        """Add Y = A B by the array library's BLAS, each factor transposed first where asked."""
        self._builder.add(self.driver.product(A, B, Y, transpose_a, transpose_b))

    def poll(self, function: Callable[[], None]) -> None:
        """Add a function that raises if the device has reported a mistake by now."""
        self._builder.poll(function)
