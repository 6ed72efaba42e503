"""What is left of a job whose ranks do not come together, and what it leaves on the machine."""

from __future__ import annotations

import re


def own_segments() -> list[str]:
    """Return the files of MPICH's shared memory that this very process has mapped."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
            return sorted(set(re.findall(r"/dev/shm/mpich_\S+", maps.read())))
    except OSError:
        return []


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
