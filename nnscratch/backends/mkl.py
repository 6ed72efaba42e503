"""Intel's MKL: nnscratch computes without."""


def is_available() -> bool:
    """Return False: nothing is computed with it.

    >>> is_available()
    False
    """
    return False
