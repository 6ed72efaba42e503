"""Sizes that a caller needs to make room for partial sums. Needs no Numba."""

BLOCK = 4096
"""Elements behind one partial sum."""
LANES = 32
"""Running sums side by side within a block."""


def blocks(count: int) -> int:
    """Return how many partial sums ``count`` elements need: the length of a ``partial`` buffer."""
    return -(-count // BLOCK)
