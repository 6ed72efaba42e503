"""What is left of a job whose ranks do not come together, and what it leaves on the machine."""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path

_SHARED = Path("/dev/shm")
_NAME = r"(?:mpich_|sm_segment\.)\S+"
_STARTING = 60.0
"""For how many seconds a file of shared memory may be one whose process has yet to map it."""


def own_segments() -> list[str]:
    """Return the files of MPICH's shared memory that this very process has mapped."""
    return sorted(path for path in _mapped("self", _SHARED) if "/mpich_" in path)


def stale_segments(folder: Path = _SHARED) -> list[str]:
    """Return the files of shared memory that dead jobs of this user have left.

    A job that is killed while MPI starts leaves them, and Open MPI also later. They are files of
    MPICH or Open MPI that no process of this machine has mapped any more; one of the last minute
    may belong to a job that starts.

    Args:
        folder: where files of shared memory lie.
    """
    if not hasattr(os, "getuid"):
        return []
    found = set[str]()
    for path in folder.glob("*"):
        with contextlib.suppress(OSError):
            status = path.stat()
            old = time.time() - status.st_mtime > _STARTING
            if old and status.st_uid == os.getuid() and re.fullmatch(_NAME, path.name):
                found.add(str(path))
    if found:
        for one in Path("/proc").glob("[0-9]*"):
            found -= _mapped(one.name, folder)
    return sorted(found)


def _mapped(process: str, folder: Path) -> set[str]:
    """Return the files of shared memory that a process has mapped."""
    try:
        with open(f"/proc/{process}/maps", encoding="utf-8", errors="replace") as maps:
            return set(re.findall(f"{re.escape(str(folder))}/{_NAME}", maps.read()))
    except OSError:
        return set()


def missing(places: dict[int, str], size: int, deadline: float) -> str:
    """Return in words which ranks did not come, given where the others wait.

    >>> missing({0: "step 7", 2: "step 7"}, 3, 300.0)
    'rank 1 did not come to step 7 within 300 s, where rank 0, 2 wait: it is stuck, has ended, ...'
    """
    gone = [str(rank) for rank in range(size) if rank not in places]
    groups: dict[str, list[str]] = {}
    for rank in sorted(places):
        groups.setdefault(places[rank], []).append(str(rank))
    listed = "; ".join(f"rank {', '.join(ranks)} at {place}" for place, ranks in groups.items())
    if not gone:
        return (
            f"the ranks wait for one another since {deadline:g} s at different places: {listed}. "
            "All ranks have to call fit, evaluate and the like alike"
        )
    place, waiting = next(iter(groups.items()))
    return (
        f"rank {', '.join(gone)} did not come to {place} within {deadline:g} s, where rank "
        f"{', '.join(waiting)} wait: it is stuck, has ended, or cannot be reached. Train again "
        "with resume, or allow more time with deadline="
    )
