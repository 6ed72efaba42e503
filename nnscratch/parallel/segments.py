"""Shared memory that MPICH's ranks leave behind when they are killed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_FOLDER, _PATTERN = Path("/dev/shm"), "mpich_*"
_AGE = 60.0


def stale_segments(age: float = _AGE) -> list[Path]:
    """Return the segments of this user's dead jobs: files that no process has mapped.

    A process of another user, or in a container of its own, cannot be looked at; but a job that
    runs needs the name of its segment at its start only.

    Args:
        age: how many seconds ago a segment must have been made, for one is mapped soon after.
    """
    if not hasattr(os, "getuid") or not _FOLDER.is_dir():
        return []
    found = []
    for path in _FOLDER.glob(_PATTERN):
        with suppress(OSError):
            known = path.stat()
            if known.st_uid == os.getuid() and time.time() - known.st_mtime >= age:
                found.append(path)
    mapped = set(_mapped()) if found else set()
    return sorted(path for path in found if str(path) not in mapped)


def remove_stale(age: float = _AGE) -> int:
    """Remove the segments of this user's dead jobs, and return how many there were."""
    count = 0
    for path in stale_segments(age):
        with suppress(OSError):
            path.unlink()
            count += 1
    return count


def _mapped() -> Iterator[str]:
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with suppress(OSError):
            for line in maps.read_text(errors="replace").splitlines():
                if "/mpich_" in line:
                    yield line.partition("/")[1] + line.partition("/")[2].partition(" (deleted)")[0]
