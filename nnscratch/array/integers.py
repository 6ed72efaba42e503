"""Integers where NumPy's own have 32 bits, as in a browser; elsewhere nothing here changes any.

There ``take``, ``bincount``, ``repeat`` and ``reduceat`` refuse indices of int64, and Python
integers become int32. Formulas return their indices as int64 everywhere, as PyTorch does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

_NARROW = np.dtype(np.intp).itemsize < np.dtype(np.int64).itemsize


def intp(I: Any) -> Any:
    """Return indices in the dtype that NumPy's functions index with; other arrays as they are.

    Args:
        I: integers, which need not be valid indices.

    Raises:
        IndexError: if one is beyond every index that there can be.

    >>> intp(np.array([2, 0], np.int64)).dtype == np.intp
    True
    """
    if not _NARROW or not isinstance(I, np.ndarray) or I.dtype != np.int64:
        return I
    made = I.astype(np.intp)
    if not np.array_equal(made, I):
        beyond = I[made != I].reshape(-1)[0]
        raise IndexError(f"index {beyond} is beyond the {np.iinfo(np.intp).max} of this platform")
    return made


def as_numbers(value: Any) -> np.ndarray:
    """Return a number or nested lists of them as a NumPy array, Python integers as int64.

    >>> as_numbers([1, 2]).dtype
    dtype('int64')
    """
    array = np.asarray(value)
    if not _NARROW or array.dtype != np.int32 or hasattr(value, "dtype"):
        return array
    first = value
    while isinstance(first, Sequence) and len(first):
        first = first[0]
    return array.astype(np.int64) if isinstance(first, int) else array
