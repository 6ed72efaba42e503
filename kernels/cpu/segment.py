"""Segments of plans on the CPU: tables of kernel instructions, and the places that replays fill."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnscratch.array.addresses import numpy_address
from nnscratch.formulas.live import LiveFloat, LiveInt

from ..lowering import Fill, Planner, opened
from .chains import Chain, PlacedLoop
from .operands import Operands
from .runtime.table import Shifted, Table

_HALF = 2**63  # from here on a number of 64 bits without a sign is another one with a sign


class CpuSegment:
    """A run of kernel instructions, with the places that a replay fills in.

    Attributes:
        checks: functions that raise if the instructions came to a stop.
        moving: of a built segment (buffer, place, argument, offset in bytes) for each address that
            lies in an argument.
        dynamic: of a built segment (buffer, place, event, key) for each dynamic scalar.
    """

    def __init__(self, ranges: Sequence[tuple[int, int, int]]) -> None:
        """Start an empty one; ``ranges`` are (first, last address, position) of arguments."""
        self._table = Table()
        self._ranges = ranges
        self._moving: list[tuple[int, int, int, int]] = []
        self._dynamic: list[tuple[bool, int, int, int, Any]] = []
        self._chain: Chain | None = None
        self.checks: list[Callable[[], None]] = []
        self.moving: list[tuple[Any, int, int, int]] = []
        self.dynamic: list[tuple[Any, int, int, Any]] = []

    def loop(self, operands: Operands, writes_outside: bool) -> None:
        """Append an elementwise loop, which may be joined with those before and behind it."""
        loop = PlacedLoop(operands)
        reads = any(
            [low <= place.address < high for place in loop.inputs for low, high, _ in self._ranges]
        )
        if self._chain is None or not self._chain.join(loop, reads, writes_outside):
            self._flush()
            self._chain = Chain(loop, reads, writes_outside)

    def forget(self, array: Any) -> None:
        """Note that nothing behind the last loop reads an array any more."""
        if self._chain is not None:
            self._chain.forget(array)

    def _flush(self) -> None:
        """Append the instruction of the last loops."""
        chain, self._chain = self._chain, None
        if chain is not None:
            chain.emit(self)

    def add(self, kernel: Any, a: Sequence[Any], s: Sequence[Any], flags: int) -> None:
        """Append an instruction; arrays among ``a`` stand for their addresses."""
        self._flush()
        self.emit(kernel, a, s, flags)

    def emit(self, kernel: Any, a: Sequence[Any], s: Sequence[Any] = (), flags: int = 0) -> None:
        """Append an instruction behind those that are there; a chain of loops calls this."""
        index = self._table.add(kernel, a, s, flags)
        words = self._table.instructions[index].a
        for place, item in enumerate(a):
            if type(item) is int:  # most are: sizes and strides
                continue
            if isinstance(item, (np.ndarray, Shifted)):
                at = words[place]
                for low, high, position in self._ranges:
                    if low <= at < high:
                        self._moving.append((index, place, position, at - low))
            elif isinstance(item, (LiveInt, LiveFloat)):
                self._dynamic.append((True, index, place, item.event, item.key))
        for place, item in enumerate(s):
            if isinstance(item, (LiveInt, LiveFloat)):
                self._dynamic.append((False, index, place, item.event, item.key))

    def build(self) -> Callable[[], None]:
        """Compile the kernels, find the places to fill in, and return what runs the segment."""
        self._flush()
        self._table.leave_short_ones_to_one_thread()
        program = self._table.build()
        # Python writes one number into a memoryview in half the time that an array takes.
        self.moving = [
            (program.a(index).data, place, position, offset)
            for index, place, position, offset in self._moving
        ]
        self.dynamic = [
            ((program.a(index) if integer else program.s(index)).data, place, event, key)
            for integer, index, place, event, key in self._dynamic
        ]
        if not self.checks:
            return program.run
        run, checks = program.run, tuple(self.checks)

        def run_and_check() -> None:
            run()
            for check in checks:
                check()

        return run_and_check

    def __len__(self) -> int:
        return len(self._table.instructions) + (self._chain is not None)


class CpuSegmentBuilder:
    """What a lowering for the CPU emits into while a plan is made.

    A segment takes the arguments where they are: their addresses are written into its table before
    each replay, so nothing is copied.
    """

    reads_arguments = False

    def __init__(self, planner: Planner) -> None:
        """Begin a plan."""
        self._planner = planner
        self.output, self.empty, self.python = planner.output, planner.empty, planner.python
        self.is_read, self.turned, self.added_to = planner.is_read, planner.turned, planner.added_to
        self._segments: list[CpuSegment] = []
        self._ranges = [
            (start, start + array.nbytes, position)
            for position, array in enumerate(planner.arguments)
            if isinstance(array, np.ndarray) and array.nbytes and (start := numpy_address(array))
        ]

    def emit(self, kernel: Any, a: Any, s: Any = (), flags: int = 0) -> None:
        """Add one kernel instruction."""
        self._opened().add(kernel, a, s, flags)

    def loop(self, operands: Operands) -> None:
        """Add an elementwise loop, which may be joined with its neighbours."""
        outside = not all(self._planner.is_planned(array) for array, _ in operands.outputs)
        self._opened().loop(operands, outside)

    def forget(self, array: Any) -> None:
        """Note that nothing reads an array any more: a loop need not write it."""
        if self._segments and self._planner.last is self._segments[-1]:
            self._segments[-1].forget(array)

    def once(self, emit: Callable[..., Any], *given: Any) -> Any:
        """Emit what follows from arrays: at each call, or once if all of them are constants."""
        return self._planner.once(EXECUTOR, emit, given)

    def is_constant(self, array: Any) -> bool:
        """Say whether an array follows from the constants of a frozen step."""
        return self._planner.is_constant(array)

    def _opened(self) -> CpuSegment:
        return opened(self._planner, lambda: CpuSegment(self._ranges), self._segments)

    def check(self, function: Callable[[], None]) -> None:
        """Add a function that raises if the instructions before it came to a stop."""
        self._segments[-1].checks.append(function)

    def finish(self) -> Fill | None:
        """Return what writes the arguments' addresses and the dynamic scalars into the tables."""
        moving = [one for segment in self._segments for one in segment.moving]
        dynamic = [one for segment in self._segments for one in segment.dynamic]
        if not moving and not dynamic:
            return None

        def fill(arguments: list[Any], produced: list[Any]) -> None:
            if moving:
                addresses = [numpy_address(array) for array in arguments]
                for words, place, position, offset in moving:
                    words[place] = addresses[position] + offset
            for numbers, place, event, key in dynamic:
                number = produced[event][key]
                numbers[place] = number if number < _HALF else number - 2 * _HALF

        return fill


@dataclass(frozen=True)
class CpuExecutor:
    """Runs plans on the CPU."""

    def begin(self, planner: Planner) -> CpuSegmentBuilder:
        """Return what collects the instructions of a plan."""
        return CpuSegmentBuilder(planner)


EXECUTOR = CpuExecutor()
