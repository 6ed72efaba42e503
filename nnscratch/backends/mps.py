"""Apple's GPUs: nnscratch computes without."""

from nnscratch.absent import refuse_absent_names


def is_available() -> bool:
    """Return False: nothing is computed with it.

    >>> is_available()
    False
    """
    return False


def is_built() -> bool:
    """Return False, as a PyTorch does that was built without it."""
    return False


refuse_absent_names(__name__)
