"""Where in memory an array lies: its address, its owner, and whether two arrays share memory.

Compiled steps need it to reuse buffers, ``nnscratch.audit`` to find copies, and in-place
operations to find views.
"""

from __future__ import annotations

import ctypes
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from nnscratch.array.backend import array_namespace

NOWHERE = nullcontext()
"""A context that changes nothing, for arrays of a library with one device, such as NumPy."""


def _told_address(array: np.ndarray[Any, Any]) -> int:
    return int(array.__array_interface__["data"][0])


def _find_pointer() -> int:
    """Return where in a NumPy array its pointer to the data stands; 0 where that is not known.

    NumPy's C interface promises that it is the first thing behind the object's head. Reading it
    there takes a fifth of the time of asking for ``__array_interface__``.
    """
    if sys.implementation.name != "cpython":
        return 0
    probe = np.zeros(3)[1:]
    behind = object.__basicsize__
    return behind if word_at(id(probe) + behind).value == _told_address(probe) else 0


word_at = ctypes.c_size_t.from_address
"""Makes an object of the word at an address: its ``value`` is the number that stands there."""
POINTER = _find_pointer()
"""Where in a NumPy array its pointer to the data stands, in bytes; 0 where that is not known."""


def numpy_address(array: np.ndarray[Any, Any]) -> int:
    """Return the address of a NumPy array's first element.

    >>> whole = np.zeros(4, "float32")
    >>> numpy_address(whole[1:]) - numpy_address(whole)
    4
    """
    return word_at(id(array) + POINTER).value if POINTER else _told_address(array)


def address(array: Any) -> int | None:
    """Return the address of an array's first element, or None if its library gives none."""
    if isinstance(array, np.ndarray):
        return numpy_address(array)
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


def same_place(a: Any, b: Any) -> bool:
    """Say whether two arrays, of a library that gives addresses, are the same elements in order.

    >>> whole = np.zeros((2, 2))
    >>> same_place(whole.T.T, whole), same_place(whole.T, whole)
    (True, False)
    """
    if a is None or b is None or a.shape != b.shape or a.dtype != b.dtype:
        return False
    return address(a) is not None and address(a) == address(b) and a.strides == b.strides


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
