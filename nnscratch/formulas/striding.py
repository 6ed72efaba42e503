"""Diagonals and windows: views whose axes step along several axes of an array, or along one twice.

The derivative adds up what came from one entry, of which a window has many.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnscratch.array import array_namespace, is_recorded
from nnscratch.array.integers import intp
from nnscratch.errors import ShapeError
from nnscratch.formulas.derivations import MOVED_STEPS
from nnscratch.formulas.formula import formula
from nnscratch.formulas.placing import sum_rows_at
from nnscratch.formulas.saved import Saved

Steps = tuple[tuple[int, ...], ...]


class StrideSaved(Saved):
    """What the backward of ``stride`` needs: the shape of A, and what the forward was asked for."""

    shape: tuple[int, ...]
    sizes: tuple[int, ...]
    steps: Steps
    start: tuple[int, ...]


def places(shape: tuple[int, ...], sizes: tuple[int, ...], steps: Steps, start: Any) -> Any:
    """Return the row-major numbers of the entries of A that a view has, in the view's shape."""
    apart = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    found = np.asarray(sum(a * b for a, b in zip(start, apart, strict=True)), np.int64)
    for size, step in zip(sizes, steps, strict=True):
        by = sum(a * b for a, b in zip(step, apart, strict=True))
        found = found[..., None] + np.arange(size, dtype=np.int64) * by
    return found


def stride_forward(
    A: Any, *, sizes: tuple[int, ...], steps: Steps, start: tuple[int, ...]
) -> tuple[Any, StrideSaved]:
    """Compute a view of A that begins at an entry and steps along A's axes; a view where possible.

    Args:
        A: any shape.
        sizes: the shape of the view.
        steps: for each axis of the view how far a step of it goes along each axis of A.
        start: the index of the first entry.

    Raises:
        ShapeError: if it would leave A.

    >>> import numpy as np
    >>> stride_forward(np.arange(9).reshape(3, 3), sizes=(3,), steps=((1, 1),), start=(0, 0))[0]
    array([0, 4, 8])
    """
    shape, empty = tuple(A.shape), 0 in sizes
    for axis, size in enumerate(shape):
        moved = [(n - 1) * step[axis] for n, step in zip(sizes, steps, strict=True)]
        low = start[axis] + sum(min(one, 0) for one in moved)
        high = start[axis] + sum(max(one, 0) for one in moved)
        if not empty and not 0 <= low <= high < size:
            raise ShapeError(
                f"stride: a view of shape {tuple(sizes)} would leave axis {axis} of size {size}"
            )
    saved = StrideSaved(shape, tuple(sizes), tuple(map(tuple, steps)), tuple(start))
    xp = array_namespace(A)
    if isinstance(A, np.ndarray):
        if empty:
            return np.zeros(sizes, A.dtype), saved
        by = [sum(a * b for a, b in zip(step, A.strides, strict=True)) for step in steps]
        first: Any = A[tuple([slice(at, None) for at in start])]
        return np.lib.stride_tricks.as_strided(first, sizes, by), saved
    flat = xp.asarray(places(shape, sizes, steps, start).reshape(-1), device=A.device)
    return xp.reshape(xp.take(xp.reshape(A, (-1,)), intp(flat)), tuple(sizes)), saved


def stride_backward(dY: Any, saved: StrideSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dA, for each entry the sum of dY where the view has it."""
    shape, sizes, steps, start = saved
    xp = array_namespace(dY)
    count = math.prod(shape)
    found = places(shape, sizes, steps, start).reshape(-1)
    if is_recorded(dY):
        flat = xp.asarray(found, dtype="int64", device=dY.device)
    else:
        flat = xp.asarray(found, device=dY.device)
    rows = sum_rows_at(xp.reshape(dY, (-1, 1)), flat, count)
    return (xp.reshape(rows, shape),)


STRIDE = formula(
    stride_forward,
    stride_backward,
    equation=r"Y_i = A_{s + S i}",
    gradients={"A": r"\sum_{i: s + S i = k} \frac{\partial L}{\partial Y_i}"},
    shapes="A (any) -> Y (sizes)",
    source="document, section 4.2; a linear map whose derivative is its transpose",
    analytic=True,
    aliases=True,
    derivation=MOVED_STEPS,
)
