"""Going over several arrays at once: shapes that broadcast, any strides, as few axes as can be.

Axes of length 1 go, and neighbours that lie behind one another in every array become one. What is
left is an inner axis and up to three outer ones; each array is described by its address and by the
bytes from one entry to the next along each of them.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

OUTER = 3
"""Outer axes that a loop has, beside its inner one."""


class Walk(NamedTuple):
    """How a loop goes over arrays.

    Attributes:
        sizes: the inner axis and the outer ones, the nearest first; 1 where there is none.
        strides: for each array its bytes along these.
    """

    sizes: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]


class TooManyAxesError(ValueError):
    """More axes are left than a loop has."""


@functools.lru_cache(maxsize=4096)  # a step of many layers asks for the same ones again and again
def walk(shape: tuple[int, ...], strides: tuple[tuple[int, ...], ...], outer: int = OUTER) -> Walk:
    """Return how to go over arrays of one shape.

    Args:
        shape: what the arrays broadcast to.
        strides: for each array its bytes along every axis of it, 0 where it is repeated.
        outer: how many outer axes there may be.

    Raises:
        TooManyAxesError: if more are left.

    >>> walk((2, 3, 4), ((48, 16, 4), (0, 0, 4)))
    Walk(sizes=(4, 6, 1, 1), strides=((4, 16, 0, 0), (4, 0, 0, 0)))
    """
    sizes: list[int] = []
    steps: list[list[int]] = []  # for each axis kept, the strides of all arrays
    for axis in range(len(shape) - 1, -1, -1):
        size, here = shape[axis], [one[axis] for one in strides]
        if size == 1:
            continue
        if sizes and all(
            step == inner * sizes[-1] for step, inner in zip(here, steps[-1], strict=True)
        ):
            sizes[-1] *= size
        else:
            sizes.append(size)
            steps.append(here)
    if not sizes:
        sizes, steps = [1], [[0] * len(strides)]
    if len(sizes) > outer + 1:
        raise TooManyAxesError(f"{len(sizes)} axes are left of {tuple(shape)}")
    rest = outer + 1 - len(sizes)
    columns = [*steps, *([[0] * len(strides)] * rest)]
    return Walk(
        (*sizes, *(1,) * rest),
        tuple(tuple(column[k] for column in columns) for k in range(len(strides))),
    )


def broadcast_strides(array: Any, shape: Sequence[int]) -> tuple[int, ...]:
    """Return an array's bytes along every axis of a shape that it broadcasts to.

    >>> import numpy as np
    >>> broadcast_strides(np.zeros((3, 1), "float32"), (2, 3, 4))
    (0, 4, 0)
    """
    return repeated_strides(array.shape, array.strides, len(shape))


@functools.lru_cache(maxsize=4096)
def repeated_strides(
    shape: tuple[int, ...], strides: tuple[int, ...], ndim: int
) -> tuple[int, ...]:
    """Return the same for an array of such a shape and such strides, and a shape of ``ndim``.

    >>> repeated_strides((3, 1), (4, 4), 3)
    (0, 4, 0)
    """
    own = [0 if size == 1 else stride for size, stride in zip(shape, strides, strict=True)]
    return (*(0,) * (ndim - len(shape)), *own)
