"""Segments of plans on a GPU: launches that become graphs, and the numbers that replays change."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnscratch.formulas.live import split_live

from ..lowering import Fill, Planner, opened
from .driver import Driver
from .launch import At, Launch, Numbers, form
from .target import Work

BLOCK = 32
"""Numbers that one launch writes to the device."""
BEFORE_CAPTURE = 2
"""Replays that start each launch by itself. Libraries set themselves up in their first calls, and
they may not while a graph is captured."""


class CudaSegment:
    """A run of launches and products, started one by one and later as one graph."""

    def __init__(self, driver: Driver) -> None:
        """Start an empty one."""
        self.driver = driver
        self._work: list[Work] = []
        self._polls: list[Callable[[], None]] = []
        self._replays = 0
        self._graph: Callable[[], None] | None = None

    def add(self, work: Work) -> None:
        """Append a launch or a product."""
        self._work.append(work)

    def poll(self, function: Callable[[], None]) -> None:
        """Add a function that raises if the device has reported a mistake by now."""
        self._polls.append(function)

    def build(self) -> Callable[[], None]:
        """Return what runs it."""
        return self._run

    def _run(self) -> None:
        """Start everything on the current stream."""
        for poll in self._polls:
            poll()
        if self._graph is None and self._replays >= BEFORE_CAPTURE:
            self._capture()
        if self._graph is not None:
            self._graph()
        else:
            self._start(self.driver.stream())
            self._replays += 1
        if self.driver.waits:
            for poll in self._polls:
                poll()

    def _start(self, stream: Any) -> None:
        for work in self._work:
            work.start(stream)

    def _capture(self) -> None:
        """Make a graph of the work; where that fails, say so once and go on as before."""
        if self.driver.no_graphs is not None:
            return
        try:
            self._graph = self.driver.capture(self._start)
        except MemoryError:  # of this moment; it is tried again after as many replays
            self._replays = 0
        except Exception as error:  # of the driver, of cuBLAS, or of CuPy
            self.driver.no_graphs = str(error).strip() or type(error).__name__
            warnings.warn(
                "a compiled step could not be captured into a CUDA graph, so its kernels are "
                f"launched one by one, as in all later ones: {self.driver.no_graphs}",
                RuntimeWarning,
                stacklevel=2,
            )

    def __len__(self) -> int:
        return len(self._work)


class ParameterBlocks:
    """Numbers in the memory of the device, written there anew before each replay.

    A graph and a prepared launch keep their arguments. What follows from a learning rate, a step
    number or a random counter therefore stands in memory, where the kernels find it.
    """

    def __init__(self, driver: Driver) -> None:
        """Start without any."""
        self.driver = driver
        self._blocks: list[Launch] = []
        self._used = BLOCK
        self._entries: list[tuple[Numbers, dict[str, Any], dict[str, Any], Any, int, int]] = []
        self._start = form("elementwise", "set_page", "float32").offsets[1]

    def place(self, numbers: Numbers, codes: str) -> tuple[Any, ...]:
        """Return the arguments of a launch: numbers, or where those that may change will stand."""
        fixed, dynamic = split_live(numbers.options)
        if not dynamic:
            return numbers.now()
        if self._used + len(codes) > BLOCK:
            self._add_block()
        first, self._used = self._used, self._used + len(codes)
        layout = struct.Struct(f"={codes}")
        self._entries.append((numbers, fixed, dynamic, layout, len(self._blocks) - 1, first))
        block = self._blocks[-1].arrays[0]
        return tuple(At(block, first + index) for index in range(len(codes)))

    def _add_block(self) -> None:
        block = self.driver.empty((BLOCK,), np.uint64)
        arguments = (block, bytes(8 * BLOCK))
        made = self.driver.prepare("elementwise", "set_page", "float32", (1,), arguments, (BLOCK,))
        self._blocks.append(made)
        self._used = 0

    def __len__(self) -> int:
        return len(self._entries)

    def fill(self, produced: list[Any]) -> None:
        """Compute the numbers of this step and start what writes them."""
        for numbers, fixed, dynamic, layout, block, first in self._entries:
            now = {name: produced[item.event][item.key] for name, item in dynamic.items()}
            values = numbers.compute({**fixed, **now})
            layout.pack_into(self._blocks[block].arguments, self._start + 8 * first, *values)
        stream = self.driver.stream()
        for launch in self._blocks:
            launch.start(stream)


class CudaSegmentBuilder:
    """What a lowering for a GPU adds launches to while a plan is made.

    Launches have the addresses of the plan's own arrays: a graph keeps its arguments.
    """

    def __init__(self, planner: Planner, driver: Driver) -> None:
        """Begin a plan for what a driver starts."""
        self._planner, self._driver = planner, driver
        self.output, self.empty = planner.output, planner.empty
        self._segments: list[CudaSegment] = []
        self._blocks: ParameterBlocks | None = None

    @property
    def reads_arguments(self) -> bool:
        """Whether there is any launch."""
        return bool(self._segments)

    def add(self, work: Work) -> None:
        """Add one launch or product."""
        self._segment().add(work)

    def numbers(self, numbers: Numbers, codes: str) -> tuple[Any, ...]:
        """Return the last arguments of a launch: numbers, or where they will stand."""
        if self._blocks is None:
            self._blocks = ParameterBlocks(self._driver)
        return self._blocks.place(numbers, codes)

    def poll(self, function: Callable[[], None]) -> None:
        """Add a function that raises if the device has reported a mistake by now."""
        self._segment().poll(function)

    def _segment(self) -> CudaSegment:
        return opened(self._planner, lambda: CudaSegment(self._driver), self._segments)

    def forget(self, array: Any) -> None:
        """Nothing follows from it: every launch writes all that it computes."""

    def finish(self) -> Fill | None:
        """Return what writes the dynamic scalars to the device."""
        blocks = self._blocks
        if blocks is None or not blocks:
            return None
        return lambda arguments, produced: blocks.fill(produced)


@dataclass(frozen=True)
class CudaExecutor:
    """Runs plans on a GPU, through a driver."""

    driver: Driver

    def begin(self, planner: Planner) -> CudaSegmentBuilder:
        """Return what collects the launches of a plan."""
        return CudaSegmentBuilder(planner, self.driver)
