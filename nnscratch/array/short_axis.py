"""Reductions and indexing along an axis of few entries, such as the classes of a batch of scores.

NumPy reduces the last axis row by row, which takes 70 microseconds for the largest of 10 entries
in each of 1000 rows. Reducing a transposed copy over whole columns takes 6. Other libraries, longer
axes and few rows gain nothing, and take the library's own reduction.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnscratch.array.backend import array_namespace
from nnscratch.array.integers import intp

SHORT = 16
"""The most entries of an axis that counts as short."""
ROWS = 12
"""With this many rows for each entry, one call per column takes less than one loop over rows."""
GROUP = 16
"""How many rows ``sum_rows`` treats as one long row."""


def _is_short(X: Any, axis: int) -> bool:
    # NumPy accumulates a row of float16 in float32; adding columns would accumulate in float16.
    if not isinstance(X, np.ndarray) or X.dtype.itemsize <= 2:
        return False
    count = int(X.shape[axis])
    # NumPy is quick already if the axes after this one make long rows: it reduces over those.
    return (
        0 < count <= SHORT
        and X.size >= GROUP * count
        and (axis == X.ndim - 1 or math.prod(X.shape[axis + 1 :]) < GROUP)
    )


def _over_columns(combine: Any, X: Any, axis: int) -> Any:
    """Return the reduction of a copy of X in which the axis is the first, with the axis kept."""
    shape = (*X.shape[:axis], 1, *X.shape[axis + 1 :])
    columns = X.transpose(axis, *range(axis), *range(axis + 1, X.ndim)).copy()
    return combine.reduce(columns, axis=0).reshape(shape)


def max_along(X: Any, axis: int) -> Any:
    """Return the maximum along an axis, as ``max(axis=axis, keepdims=True)``.

    Args:
        X: an array of any shape.
        axis: the axis, from 0; negative ones are not taken.

    >>> max_along(np.array([[1.0, 3.0], [2.0, 0.0]]), 1)
    array([[3.],
           [2.]])
    """
    if _is_short(X, axis):
        return _over_columns(np.maximum, X, axis)
    return array_namespace(X).max(X, axis=axis, keepdims=True)


def sum_along(X: Any, axis: int) -> Any:
    """Return the sum along an axis, as ``sum(axis=axis, keepdims=True)``.

    Args:
        X: an array of any shape.
        axis: the axis, from 0; negative ones are not taken.

    >>> sum_along(np.array([[1.0, 3.0], [2.0, 0.0]]), 1)
    array([[4.],
           [2.]])
    """
    if _is_short(X, axis):
        return _over_columns(np.add, X, axis)
    return array_namespace(X).sum(X, axis=axis, keepdims=True)


def pick_along(X: Any, I: Any, axis: int) -> Any:
    """Return one entry of X for each index in I: ``take_along_axis`` with the axis removed.

    Args:
        X: an array of shape (a, ..., C, ..., z), with C at ``axis``.
        I: integers from 0 to C - 1, of X's shape without ``axis``: (a, ..., z).
        axis: the axis, from 0; negative ones are not taken.

    Returns:
        An array of I's shape and X's dtype; for a matrix and axis 1, ``Y[n] = X[n, I[n]]``.

    >>> pick_along(np.array([[1.0, 3.0], [2.0, 0.0]]), np.array([1, 0]), 1)
    array([3., 2.])
    """
    if isinstance(X, np.ndarray) and axis == X.ndim - 1:
        starts = np.arange(0, I.size).reshape(I.shape) * X.shape[-1]
        return X.reshape(-1).take(intp(starts + I))
    xp = array_namespace(X, I)
    return xp.squeeze(xp.take_along_axis(X, intp(new_axis(I, axis)), axis=axis), axis=axis)


def one_hot_along(I: Any, count: int, axis: int) -> Any:
    """Return the one-hot encoding of integers along a new axis, as booleans.

    Args:
        I: integers; one outside 0 ... count - 1 gives a row without True.
        count: the number of classes, the size of the new axis.
        axis: where the new axis is inserted, from 0.

    >>> one_hot_along(np.array([2, 0]), 3, 1)
    array([[False, False,  True],
           [ True, False, False]])
    """
    xp = array_namespace(I)
    if isinstance(I, np.ndarray) and 0 < count <= SHORT and ROWS * count <= I.size:
        hot = np.empty((*I.shape[:axis], count, *I.shape[axis:]), np.bool_)
        front = (slice(None),) * axis
        for c in range(count):
            place: Any = (*front, c, ...)
            np.equal(I, c, out=hot[place])
        return hot
    numbers = xp.arange(count, dtype=I.dtype, device=I.device)
    numbers = xp.reshape(numbers, (count, *(1,) * (I.ndim - axis)))
    return new_axis(I, axis) == numbers


def sum_rows(X: Any) -> Any:
    """Return the sum of a matrix over its rows, as ``sum(axis=0)``.

    Many short rows are summed in groups of ``GROUP``, each viewed as one long row, because NumPy
    has a cost per row.

    >>> sum_rows(np.ones((100, 2)))
    array([100., 100.])
    """
    count, width = X.shape
    if not isinstance(X, np.ndarray) or width > 64 or count < 4 * GROUP or X.dtype.itemsize <= 2:
        return array_namespace(X).sum(X, axis=0)
    whole = count // GROUP * GROUP
    groups = np.reshape(X[:whole], (-1, GROUP * width))
    total = np.add.reduce(np.reshape(np.add.reduce(groups, axis=0), (GROUP, width)), axis=0)
    return total + np.add.reduce(X[whole:], axis=0) if whole < count else total


def new_axis(X: Any, axis: int) -> Any:
    """Return a view of X with a new axis of size 1 at position ``axis``, from 0.

    It is quicker than ``expand_dims`` of array-api-compat, which takes 10 microseconds.

    >>> new_axis(np.array([1.0, 2.0]), 1).shape
    (2, 1)
    """
    return X[(*(slice(None),) * axis, None, ...)]
