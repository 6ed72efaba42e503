"""A builder that runs each instruction with a number of threads."""

from __future__ import annotations

from typing import Any

from nnscratch.kernels import cpu
from nnscratch.kernels.cpu.implementation import EagerBuilder


class Threads(EagerBuilder):
    """Takes the instructions of a lowering, and runs each at once."""

    def __init__(self, threads: int) -> None:
        super().__init__()
        self.threads = threads

    def emit(self, kernel: Any, a: Any, s: Any = (), flags: int = 0) -> None:
        """Run an instruction."""
        table = cpu.Table()
        table.add(kernel, a, s, flags)
        table.build().run(self.threads)
