"""Which axes the sums go over, and which calls of them have sizes that fit, on any device."""

from __future__ import annotations

import math
from typing import Any

Inputs = tuple[Any, ...]
Options = dict[str, Any]


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    """Return the axes that an option names, from 0.

    >>> axes_of(None, 2), axes_of(-1, 2), axes_of((0, -1), 3)
    ((0, 1), (1,), (0, 2))
    """
    if axis is None:
        return tuple(range(ndim))
    return tuple(one % ndim for one in ((axis,) if isinstance(axis, int) else axis))


def axes_summed_to(shape: tuple[int, ...], to: tuple[int, ...]) -> tuple[int, ...]:
    """Return the axes of a shape over which the sum has another one, which broadcasts to it.

    >>> axes_summed_to((4, 2, 3), (1, 3)), axes_summed_to((2, 3), (2, 3))
    ((0, 1), ())
    """
    lead = len(shape) - len(to)
    behind = (lead + k for k, size in enumerate(to) if size != shape[lead + k])
    return (*range(lead), *behind)


def why_not_sum(inputs: Inputs, options: Options) -> str | None:
    """Return why no kernel takes a forward of ``sum`` or ``mean``, or None."""
    axis, ndim = options.get("axis"), inputs[0].ndim
    named = () if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    if any(not -ndim <= one < ndim for one in named) or len(set(axes_of(named, ndim))) < len(named):
        return "the axes do not fit"  # the reference says what is wrong
    return None


def why_not_sum_backward(inputs: Inputs, options: Options) -> str | None:
    """Return why no kernel takes a backward of ``sum`` or ``mean``, or None."""
    return None if math.prod(inputs[1]) else "an array is empty"


def why_not_sum_to(inputs: Inputs, options: Options) -> str | None:
    """Return why no kernel takes a forward of ``sum_to``, or None."""
    (A,) = inputs
    shape = tuple(options["shape"])
    behind = A.shape[A.ndim - len(shape) :] if len(shape) <= A.ndim else ()
    if len(behind) != len(shape) or any(
        n not in (1, m) for n, m in zip(shape, behind, strict=True)
    ):
        return "the shape does not broadcast to that of the array"
    return None
