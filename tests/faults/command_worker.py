"""Commands to be killed: one process that imports once, and a fork of it for each command.

    python -m faults.command_worker

Each line on its input is JSON: {"arguments": [...], "folder": ...}. A child runs ``nnscratch`` with
the arguments. With "at" in the order it is killed with -9 where it is about to change files in the
folder for that time, from 1; with "after", after so many seconds. The answer is a line of JSON: how
the child ended, after how many seconds, how often it changed files, and what it said.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot
from faults.worker import serve

from nnscratch.cli import app, language, main, training, using  # noqa: F401
from nnscratch.train import Trainer

_CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.truncate")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def count_changes(folder: str, at: int | None) -> list[int]:
    """Count, in this process, the changes to files in a folder; be killed before one of them."""
    counted = [0]

    def heed(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            changes = isinstance(flags, int) and flags & _WRITING
        else:
            changes = event in _CHANGES
            path = arguments[0] if changes else None
        if changes and isinstance(path, (str, os.PathLike)) and os.fspath(path).startswith(folder):
            counted[0] += 1
            if counted[0] == at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(heed)
    return counted


def work(order: dict[str, Any], said: int) -> int:
    for stream in (1, 2):
        os.dup2(said, stream)
    # A checkpoint after every batch, not every minute.
    defaults = Trainer.__init__.__kwdefaults__
    assert "checkpoint_seconds" in defaults
    defaults["checkpoint_seconds"] = 0.0
    counted = count_changes(order["folder"], order.get("at"))
    code = main(order["arguments"])
    print(f"\n{counted[0]}", flush=True)
    return code


if __name__ == "__main__":
    with tempfile.TemporaryFile() as said:

        def command(order: dict[str, Any]) -> int:
            os.ftruncate(said.fileno(), 0)
            os.lseek(said.fileno(), 0, os.SEEK_SET)
            return work(order, said.fileno())

        def told() -> dict[str, Any]:
            said.seek(0)
            text, _, last = said.read().decode().rstrip("\n").rpartition("\n")
            return {"said": text, "changes": int(last) if last.isdigit() else None}

        serve(command, told)
