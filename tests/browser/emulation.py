"""A plugin of pytest that makes this process look like Pyodide, as far as nnscratch can tell.

    python -m pytest -p browser.emulation tests/browser/inside_formulas.py

Its NumPy has integers of 32 bits, what is compiled for no browser cannot be imported, no thread
starts, and what the operating system of a browser lacks is gone. The same files run in Pyodide
itself, without the plugin.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

from browser.numpy_of_32_bits import emulate

ABSENT = ("numba", "llvmlite", "safetensors", "mpi4py", "polars", "matplotlib", "cupy", "torch")
ABSENT += ("ml_dtypes", "tokenizers", "lzma", "_lzma", "fcntl", "PIL", "scipy", "sklearn")


class Finder:
    """Finds what another finder finds, but for what a browser has not got."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        if fullname.partition(".")[0] in ABSENT:
            return None
        return self.inner.find_spec(fullname, path, target)


def _refuse_to_start(self: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def _no_processes(*args: Any, **kwargs: Any) -> Any:
    raise OSError(138, "emscripten does not support processes.")


def look_like_a_browser() -> None:
    """Change this process for good."""
    for name in ("lzma", "_lzma", "fcntl"):  # which the library of Python does without
        sys.modules.pop(name, None)
    there = [name for name in ABSENT if name in sys.modules]
    if there or "nnscratch" in sys.modules:
        raise RuntimeError(f"too late: {there or 'nnscratch'} is imported already")
    import subprocess
    import sysconfig
    import tempfile

    emulate()
    sys.meta_path[:] = [Finder(one) for one in sys.meta_path]
    threading.Thread.start = _refuse_to_start  # type: ignore[method-assign]
    only = threading.get_ident()
    threading.get_ident = lambda: only
    threading._HAVE_THREAD_NATIVE_ID = False  # type: ignore[attr-defined]
    for module, name in ((threading, "get_native_id"), (os, "sched_getaffinity"), (os, "fork")):
        if hasattr(module, name):
            delattr(module, name)
    subprocess._USE_POSIX_SPAWN = False  # type: ignore[attr-defined]
    subprocess.Popen._execute_child = _no_processes  # type: ignore[attr-defined]
    tempfile.gettempdir()
    sysconfig.get_config_vars()  # which reads a file named after the platform
    sys.platform = "emscripten"


look_like_a_browser()
