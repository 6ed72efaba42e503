"""oneDNN: nnscratch computes without."""

from nnscratch.absent import refuse_absent_names

enabled = True


def is_available() -> bool:
    """Return False: nothing is computed with it.

    >>> is_available()
    False
    """
    return False


refuse_absent_names(__name__)
