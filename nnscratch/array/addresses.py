"""Where in memory an array lies: its address, its owner, and whether two arrays share memory.

Compiled steps need it to reuse buffers, ``nnscratch.audit`` to find copies, and in-place
operations to find views.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from nnscratch.array.backend import array_namespace

NOWHERE = nullcontext()
"""A context that changes nothing, for arrays of a library with one device, such as NumPy."""


def address(array: Any) -> int | None:
    """Return the address of an array's first element, or None if its library gives none."""
    if isinstance(array, np.ndarray):
        return int(array.__array_interface__["data"][0])
    pointer = getattr(getattr(array, "data", None), "ptr", None)
    return None if pointer is None else int(pointer)


def shares_memory(a: Any, b: Any) -> bool:
    """Say whether two arrays may share memory.

    The answer is by address ranges: two slices that interleave without a common element count as
    sharing. Empty arrays share nothing.

    >>> whole = np.zeros(4)
    >>> shares_memory(whole, whole[2:]), shares_memory(whole[:2], whole[2:])
    (True, False)
    """
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return bool(a.size and b.size and np.may_share_memory(a, b))
    if type(a) is type(b) and address(a) is not None:
        return bool(a.size and b.size and array_namespace(a).may_share_memory(a, b))
    owner_a, owner_b = getattr(a, "base", None), getattr(b, "base", None)
    roots = {id(a if owner_a is None else owner_a), id(b if owner_b is None else owner_b)}
    return len(roots) == 1


def owner(array: Any) -> Any:
    """Return the array that owns the memory of ``array``: ``array`` itself unless it is a view."""
    while (base := getattr(array, "base", None)) is not None:
        array = base
    return array


def on_device_of(array: Any) -> AbstractContextManager[Any]:
    """Return a context in which new arrays are allocated on the device of ``array``."""
    if type(array) is np.ndarray:
        return NOWHERE
    device: Any = getattr(array, "device", None)
    context: AbstractContextManager[Any] = device if hasattr(device, "__enter__") else nullcontext()
    return context


def copied(array: Any) -> Any:
    """Return a C-contiguous copy of an array on the same device."""
    if type(array) is np.ndarray:
        return array.copy()
    with on_device_of(array):
        if hasattr(array, "copy"):
            return array.copy()
        return array_namespace(array).asarray(array, copy=True)
