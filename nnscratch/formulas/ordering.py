"""Orders: the permutation that sorts, and where values stand in a sorted sequence."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnscratch.array import array_namespace
from nnscratch.array.dtypes import dtype_name
from nnscratch.array.integers import intp
from nnscratch.errors import ShapeError
from nnscratch.formulas.checks import NOTHING, NothingSaved, need_axis
from nnscratch.formulas.formula import formula

_MANY = 4
"""From this many times as many entries as are asked for, they are parted before they are sorted."""


def argsort_forward(
    A: Any, *, axis: int, descending: bool = False, count: int | None = None
) -> tuple[Any, NothingSaved]:
    """Compute the indices (int64) that sort A along an axis; equals stay in their order.

    Args:
        A: any shape with that axis; NaN counts as the largest number.
        axis: the axis.
        descending: whether the largest comes first.
        count: how many of the first to return, all of them if None. Of equals at the end any may
            be among them.

    Raises:
        ShapeError: if there is no such axis, or not so many entries along it.

    >>> import numpy as np
    >>> argsort_forward(np.array([2.0, 1.0, 3.0]), axis=0)[0]
    array([1, 0, 2])
    """
    axis = need_axis("argsort", A.shape, axis)
    size = A.shape[axis]
    if count is not None and not 0 <= count <= size:
        raise ShapeError(f"argsort: expected from 0 to {size} entries along axis {axis}: {count}")
    xp = array_namespace(A)
    if isinstance(A, np.ndarray) and count is not None and 0 < count * _MANY < size:
        return _first(A, axis, descending, count), NOTHING
    if dtype_name(A.dtype) == "bool":
        A = xp.astype(A, xp.uint8)
    if descending:
        # Sorted from the other end, so that equals stay in their order and NaN comes first.
        order = xp.argsort(xp.flip(A, axis=axis), axis=axis, stable=True)
        order = size - 1 - xp.flip(order, axis=axis)
    else:
        order = xp.argsort(A, axis=axis, stable=True)
    if count is not None:
        order = order[(*(slice(None),) * axis, slice(0, count), ...)]
    return xp.asarray(xp.astype(order, xp.int64, copy=False), copy=True), NOTHING


def _first(A: Any, axis: int, descending: bool, count: int) -> Any:
    """Return the first few indices in linear time: the rest is not sorted."""
    front = (slice(None),) * axis
    part = np.argpartition(A, -count if descending else count - 1, axis=axis)
    part = part[(*front, slice(-count, None) if descending else slice(0, count))]
    part = np.sort(part, axis=axis)
    chosen = np.take_along_axis(A, part, axis=axis)
    order, _ = argsort_forward(chosen, axis=axis, descending=descending)
    return np.take_along_axis(part, intp(order), axis=axis).astype(np.int64, copy=False)


ARGSORT = formula(
    argsort_forward,
    equation=r"A_{Y_1} \le A_{Y_2} \le \cdots \le A_{Y_n}",
    shapes="A (any) -> Y (same, or only the first along the axis; int64)",
    source="Knuth 1998, volume 3",
    moves=True,
)


def searchsorted_forward(S: Any, V: Any, *, right: bool = False) -> tuple[Any, NothingSaved]:
    """Compute where values would have to be put into sorted rows to keep these sorted (int64).

    Args:
        S: sorted, (n,) or (..., n).
        V: any shape for one row S, otherwise (..., k) with the leading axes of S; of S's dtype.
        right: whether to stand behind equals instead of before them.

    Raises:
        ShapeError: if the leading axes differ.

    >>> import numpy as np
    >>> searchsorted_forward(np.array([1.0, 3.0]), np.array([0.0, 1.0, 2.0]))[0]
    array([0, 0, 1])
    """
    if S.ndim != 1 and tuple(S.shape[:-1]) != tuple(V.shape[:-1]):
        raise ShapeError(
            f"searchsorted: rows of shape {tuple(S.shape)} and values of shape {tuple(V.shape)} "
            "differ in their leading axes"
        )
    xp = array_namespace(S, V)
    side = "right" if right else "left"
    if S.ndim == 1:
        found = xp.reshape(xp.searchsorted(S, xp.reshape(V, (-1,)), side=side), V.shape)
    else:
        count = math.prod(S.shape[:-1])
        rows = xp.reshape(S, (count, S.shape[-1]))
        values = xp.reshape(V, (count, V.shape[-1]))
        places = [
            xp.searchsorted(rows[k, :], values[k, :], side=side) for k in range(rows.shape[0])
        ]
        found = xp.reshape(xp.stack(places), V.shape) if places else xp.zeros(V.shape)
    return xp.astype(found, xp.int64, copy=False), NOTHING


SEARCHSORTED = formula(
    searchsorted_forward,
    equation=r"Y = \#\{i : S_i < V\} \text{, or } \le \text{ where right}",
    shapes="S (..., n), V (any for S (n,), else (..., k)) -> Y (as V; int64)",
    source="Knuth 1998, volume 3, section 6.2.1",
    moves=True,
)
