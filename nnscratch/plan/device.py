"""Runs of launches on a GPU, and the numbers that change from one step to the next."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from nnscratch.formulas.live import split_live
from nnscratch.kernels.cuda.driver import Driver
from nnscratch.kernels.cuda.launch import At, Launch, Numbers, form
from nnscratch.kernels.cuda.target import Work

PAGE = 32
"""Numbers that one launch writes to the device."""
BEFORE_CAPTURE = 2
"""Replays that start each launch by itself. Libraries set themselves up in their first calls, and
they may not while a graph is captured."""


class Launches:
    """A run of launches and products, started one by one and later as one graph."""

    def __init__(self, driver: Driver) -> None:
        """Start an empty run."""
        self.driver = driver
        self._work: list[Work] = []
        self._looks: list[Callable[[], None]] = []
        self._replays = 0
        self._graph: Callable[[], None] | None = None

    def add(self, work: Work) -> None:
        """Append a launch or a product."""
        self._work.append(work)

    def look(self, function: Callable[[], None]) -> None:
        """Add a function that raises if the device has reported a mistake by now."""
        self._looks.append(function)

    def run(self) -> None:
        """Start everything on the current stream."""
        for look in self._looks:
            look()
        if self._graph is None and self._replays >= BEFORE_CAPTURE:
            self._capture()
        if self._graph is not None:
            self._graph()
        else:
            self._start(self.driver.stream())
            self._replays += 1
        if self.driver.waits:
            for look in self._looks:
                look()

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


class Pages:
    """Numbers in the memory of the device, written there anew before each replay.

    A graph and a prepared launch keep their arguments. What follows from a learning rate, a step
    number or a random counter therefore stands in memory, where the kernels find it.
    """

    def __init__(self, driver: Driver) -> None:
        """Start without any."""
        self.driver = driver
        self._pages: list[Launch] = []
        self._used = PAGE
        self._entries: list[tuple[Numbers, dict[str, Any], dict[str, Any], Any, int, int]] = []
        self._start = form("elementwise", "set_page", "float32").offsets[1]

    def place(self, numbers: Numbers, codes: str) -> tuple[Any, ...]:
        """Return the arguments of a launch: numbers, or where those that may change will stand."""
        fixed, live = split_live(numbers.options)
        if not live:
            return numbers.now()
        if self._used + len(codes) > PAGE:
            self._add_page()
        first, self._used = self._used, self._used + len(codes)
        layout = struct.Struct(f"={codes}")
        self._entries.append((numbers, fixed, live, layout, len(self._pages) - 1, first))
        page = self._pages[-1].arrays[0]
        return tuple(At(page, first + index) for index in range(len(codes)))

    def _add_page(self) -> None:
        page = self.driver.empty((PAGE,), np.uint64)
        arguments = (page, bytes(8 * PAGE))
        made = self.driver.prepare("elementwise", "set_page", "float32", (1,), arguments, (PAGE,))
        self._pages.append(made)
        self._used = 0

    def fill(self, produced: list[Any]) -> None:
        """Compute the numbers of this step and start what writes them."""
        for numbers, fixed, live, layout, page, first in self._entries:
            now = {name: produced[item.event][item.key] for name, item in live.items()}
            values = numbers.compute({**fixed, **now})
            layout.pack_into(self._pages[page].arguments, self._start + 8 * first, *values)
        stream = self.driver.stream()
        for launch in self._pages:
            launch.start(stream)
