"""An IPython in this process, as a person has it who pastes blocks of code or runs a notebook."""

from __future__ import annotations

import atexit
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config


@contextlib.contextmanager
def ipython(folder: Path) -> Iterator[InteractiveShell]:
    """An IPython without history and settings, which is gone afterwards."""
    off = Config({"HistoryManager": {"enabled": False}})
    main = sys.modules["__main__"]  # whose place it takes
    made = InteractiveShell(config=off, ipython_dir=str(folder))
    try:
        with (
            mock.patch.object(InteractiveShell, "_instance", made),
            mock.patch("IPython.get_ipython", return_value=made),
        ):
            yield made
    finally:
        sys.modules["__main__"] = main
        atexit.unregister(made.atexit_operations)
        made.atexit_operations()


def pasted(shell: InteractiveShell, block: str) -> str:
    """Run a block as one cell, and return what it shows as text.

    Raises:
        Exception: what the block raises.
    """
    values: list[Any] = []
    shell.display_trap.hook = values.append
    with capture_output() as shown:
        result = shell.run_cell(block, store_history=True)
    result.raise_error()
    parts = [shown.stdout, *(output.data["text/plain"] for output in shown.outputs)]
    for value in values:
        if value is not None:
            parts.append(shell.display_formatter.format(value)[0]["text/plain"])
    return "\n".join(part.rstrip("\n") for part in parts if part)
