"""Out-of-memory errors that say how much was asked for, how much is free, and what to try."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from nnscratch.errors import NNScratchError

_UNITS = {
    "bytes": 1,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
    "PiB": 1 << 50,
}
_ON_GPU = (
    "Try a smaller batch; evaluate under no_grad(), which keeps nothing for a backward pass; "
    "delete tensors that are no longer needed; see in nvidia-smi who else uses the GPU"
)
_ON_CPU = (
    "Try a smaller batch, or evaluate under no_grad(), which keeps nothing for a backward pass"
)


class OutOfMemory(NNScratchError, MemoryError):
    """Raised when an array does not fit into the memory of its device."""


def size(count: float) -> str:
    """Return a number of bytes in decimal units, with three or more digits.

    >>> size(999), size(3.2e9)
    ('999 bytes', '3.20 GB')
    """
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return (
                f"{count / factor:.3g} {unit}" if count >= 1e14 else f"{count / factor:.2f} {unit}"
            )
    return f"{count:.0f} bytes"


def explained(error: MemoryError, where: str) -> OutOfMemory:
    """Return an ``OutOfMemory`` for an array library's ``MemoryError``.

    Args:
        error: NumPy's or CuPy's error; an ``OutOfMemory`` is returned as it is.
        where: the formula or action, with which the message begins.
    """
    if isinstance(error, OutOfMemory):
        return error
    on_gpu = type(error).__module__.partition(".")[0] in ("cupy", "cupy_backends")
    asked = _asked(str(error))
    asked_for = f"asked for {size(asked)}" if asked is not None else str(error)
    told = [asked_for, *(_gpu_state() if on_gpu else _host_state())]
    return OutOfMemory(
        f"{where}: out of memory on {'cuda' if on_gpu else 'the CPU'}: {', '.join(told)}. "
        f"{_ON_GPU if on_gpu else _ON_CPU}"
    )


@contextmanager
def explaining(where: str) -> Iterator[None]:
    """Return a context that turns an array library's ``MemoryError`` into ``OutOfMemory``.

    Args:
        where: the formula or action, with which the message begins.

    Raises:
        OutOfMemory: if the body raises a ``MemoryError``.
    """
    try:
        yield
    except MemoryError as error:
        raise explained(error, where) from error


def _asked(text: str) -> float | None:
    """Return how many bytes the allocation that failed had asked for; None if the text has none.

    >>> _asked("Out of memory allocating 4,000,000,512 bytes (allocated so far: 0 bytes).")
    4000000512.0
    >>> _asked("Unable to allocate 2.50 TiB for an array with shape (343597383680,)")
    2748779069440.0
    """
    if match := re.search(r"[Aa]llocat(?:e|ing) ([\d,.]+) (bytes|[KMGTP]iB)", text):
        return float(match[1].replace(",", "").rstrip(".")) * _UNITS[match[2]]
    return None


def _gpu_state() -> list[str]:
    with suppress(Exception):
        import cupy

        free, total = cupy.cuda.runtime.memGetInfo()
        pool: Any = cupy.get_default_memory_pool()
        used, idle = size(pool.used_bytes()), size(pool.free_bytes())
        return [
            f"{size(free)} of {size(total)} are free",
            f"arrays of this process take {used}, and {idle} are kept for new ones",
        ]
    return []


def _host_state() -> list[str]:
    with suppress(Exception):
        pages, page = os.sysconf("SC_AVPHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
        return [f"{size(pages * page)} of {size(os.sysconf('SC_PHYS_PAGES') * page)} are free"]
    return []
