"""Reductions along an axis of few entries, such as the classes of a batch of scores.

NumPy reduces the last axis row by row, which takes 90 microseconds for the largest of 2 entries in
each of 1000 rows; entry by entry, over whole columns, it takes 3. Other libraries, and longer axes,
have nothing to gain.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from nnscratch.array.backend import array_namespace

SHORT = 16


def _is_short(X: Any, axis: int) -> bool:
    # NumPy adds up float16 in float32, which adding columns would not.
    return isinstance(X, np.ndarray) and 0 < X.shape[axis] <= SHORT and X.dtype.itemsize > 2


def _columns(X: Any, axis: int) -> list[Any]:
    front = (slice(None),) * axis
    return [X[(*front, slice(c, c + 1))] for c in range(X.shape[axis])]


def max_along(X: Any, axis: int) -> Any:
    """Return the largest entries along an axis (counted from the front), which is kept with size 1.

    >>> max_along(np.array([[1.0, 3.0], [2.0, 0.0]]), 1)
    array([[3.],
           [2.]])
    """
    if _is_short(X, axis):
        columns = _columns(X, axis)
        return functools.reduce(np.maximum, columns) if len(columns) > 1 else columns[0].copy()
    return array_namespace(X).max(X, axis=axis, keepdims=True)


def sum_along(X: Any, axis: int) -> Any:
    """Return the sums along an axis (counted from the front), which is kept with size 1.

    >>> sum_along(np.array([[1.0, 3.0], [2.0, 0.0]]), 1)
    array([[4.],
           [2.]])
    """
    if _is_short(X, axis):
        first, *others = _columns(X, axis)
        total = first.copy()
        for column in others:
            total += column
        return total
    return array_namespace(X).sum(X, axis=axis, keepdims=True)


def one_hot_along(I: Any, count: int, axis: int) -> Any:
    """Return as booleans, along a new axis, which of the numbers 0 to count - 1 each integer is.

    >>> one_hot_along(np.array([2, 0]), 3, 1)
    array([[False, False,  True],
           [ True, False, False]])
    """
    xp = array_namespace(I)
    if isinstance(I, np.ndarray) and 0 < count <= SHORT:
        hot = np.empty((*I.shape[:axis], count, *I.shape[axis:]), np.bool_)
        front = (slice(None),) * axis
        for c in range(count):
            place: Any = (*front, c, ...)
            np.equal(I, c, out=hot[place])
        return hot
    numbers = xp.arange(count, dtype=I.dtype, device=I.device)
    numbers = xp.reshape(numbers, (count, *(1,) * (I.ndim - axis)))
    return xp.expand_dims(I, axis=axis) == numbers
