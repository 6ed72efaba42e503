"""How a job ends before it is done: all its ranks at once, with one report of what was wrong."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, NoReturn


def end_all(mpi: Any, code: int) -> NoReturn:
    """End all ranks of a job at once, with an exit code.

    Args:
        mpi: what ``mpi4py`` has, None in a process that no launcher started.
        code: the exit code.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    if mpi is not None:
        # Where the launcher is out of reach, this process ends all the same.
        threading.Timer(1.0, os._exit, (code,)).start()
        with contextlib.suppress(OSError):  # what was said above stays the last line
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        mpi.COMM_WORLD.Abort(code)
    os._exit(code)


def hear_errors(hold_back: Callable[[], None], leave: Callable[[int], NoReturn]) -> None:
    """Let an exception that nobody catches end all ranks, after its traceback was printed.

    Args:
        hold_back: waits if another rank may report the same.
        leave: ends all ranks with an exit code.
    """
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        hold_back()
        before(kind, error, trace)
        number = getattr(error, "signal", None)
        leave(1 if number is None else 128 + int(number))

    sys.excepthook = hook
