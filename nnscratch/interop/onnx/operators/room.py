"""How large a result may be: numbers in a file decide about memory here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from nnscratch.array.memory import size
from nnscratch.errors import ShapeError

LARGEST = 1 << 33
"""The most bytes that an operator may ask for because of numbers in a file: 8 GiB."""


_most = ContextVar("_most", default=LARGEST)


@contextmanager
def at_most(count: int) -> Iterator[None]:
    """Return a context in which results may have no more than so many bytes."""
    token = _most.set(count)
    try:
        yield
    finally:
        _most.reset(token)


def checked_shape(where: str, shape: Sequence[int], itemsize: int = 4) -> tuple[int, ...]:
    """Return a shape as a tuple.

    Raises:
        ShapeError: if a size is negative, or the array would be larger than ``LARGEST``.

    >>> checked_shape("Expand", [2, 3])
    (2, 3)
    """
    wanted = tuple(int(one) for one in shape)
    if any(one < 0 for one in wanted):
        raise ShapeError(f"{where}: expected sizes of at least 0, got {wanted}")
    if len(wanted) > 64:
        raise ShapeError(f"{where}: expected at most 64 dimensions, got {len(wanted)}")
    # A size of 0 hides none of the others: NumPy has limits for them too.
    if math.prod([max(one, 1) for one in wanted]) * itemsize > _most.get():
        raise ShapeError(
            f"{where}: a result of shape {wanted} would take {size(math.prod(wanted) * itemsize)}; "
            f"at most {size(_most.get())} are given to one result"
        )
    return wanted


def axis_of(where: str, axis: int, ndim: int) -> int:
    """Return an axis counted from the front.

    Raises:
        ShapeError: if there is no such axis.
    """
    if not -ndim <= axis < ndim:
        raise ShapeError(f"{where}: axis {axis} of a tensor with {ndim} dimensions")
    return int(axis) % ndim


def axes_of(where: str, axes: Any, ndim: int) -> tuple[int, ...]:
    """Return axes counted from the front; all of them if ``axes`` is None.

    Raises:
        ShapeError: if there is no such axis, or one stands twice.
    """
    if axes is None:
        return tuple(range(ndim))
    found = tuple(axis_of(where, int(one), ndim) for one in axes)
    if len(set(found)) < len(found):
        raise ShapeError(f"{where}: an axis stands twice in {tuple(int(one) for one in axes)}")
    return found
