"""Pooling by the largest entry of each window, and putting entries back where they came from."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnscratch.array import array_namespace, is_recorded
from nnscratch.array.integers import intp
from nnscratch.errors import ShapeError
from nnscratch.formulas.formula import formula
from nnscratch.formulas.indexing import refuse_where
from nnscratch.formulas.line_maps import LineMap, picked
from nnscratch.formulas.placing import sum_rows_at
from nnscratch.formulas.resampling import Lines, need_lines
from nnscratch.formulas.saved import Saved


class MaxPoolSaved(Saved):
    """The numbers of the largest entries, the shape of X, and what the windows read."""

    I: Any
    shape: tuple[int, ...]
    lines: Lines


def _largest(V: Any, I: Any, axis: int, line: LineMap, step: int) -> tuple[Any, Any]:
    """Return the largest entries of windows along an axis, and their numbers in the plane.

    ``I`` has the numbers along the axes behind, None where this is the last.
    """
    xp = array_namespace(V)
    beside = (-1, *(1,) * (V.ndim - 1 - axis))
    best = found = None
    for k in range(len(line.index)):
        value = picked(V, axis, line, k)
        place = xp.reshape(xp.asarray(line.index[k] * step, device=V.device), beside)
        number = place if I is None else picked(I, axis, line, k) + place
        if best is None:
            best, found = value, xp.broadcast_to(number, value.shape)
            continue
        larger = (value > best) | (value != value)
        best, found = xp.where(larger, value, best), xp.where(larger, number, found)
    return best, found


def max_pool_forward(X: Any, *, lines: Lines) -> tuple[tuple[Any, Any], MaxPoolSaved]:
    """Compute the largest entry of each window, and its number in the plane of the last axes.

    The first of several largest is taken, and a NaN is larger than any number.

    Args:
        X: (..., n_1, ..., n_d), integers or floating.
        lines: for each of the last d axes what its windows read (``pooling_windows.windows``).

    Raises:
        ShapeError: if X does not have these sizes.

    >>> import numpy as np
    >>> from nnscratch.formulas.pooling_windows import windows
    >>> max_pool_forward(np.array([1.0, 3.0, 5.0, 2.0]), lines=(windows(4, 2, 2, 0, 1, 2),))[0]
    (array([3., 5.]), array([1, 2]))
    """
    first = need_lines("max_pool", X, lines)
    xp = array_namespace(X)
    shape = tuple(X.shape)
    outs = (*shape[:first], *(line.out for line in lines))
    if 0 in outs:
        V = xp.zeros(outs, dtype=X.dtype, device=X.device)
        I = xp.zeros(outs, dtype=xp.int64, device=X.device)
        return (V, I), MaxPoolSaved(I, shape, lines)
    V, I, step = X, None, 1
    for axis in range(X.ndim - 1, first - 1, -1):
        V, I = _largest(V, I, axis, lines[axis - first], step)
        step *= shape[axis]
    # A window of one entry is a view of X, and its number is repeated.
    V, I = xp.asarray(V, copy=True), xp.asarray(I, dtype=xp.int64, copy=True)
    return (V, I), MaxPoolSaved(I, shape, lines)


def max_pool_backward(
    dY: tuple[Any, Any], saved: MaxPoolSaved, needs: tuple[bool, ...]
) -> tuple[Any]:
    """Return dX, the sum of the entries of dV whose largest entry is that of X."""
    dV, _ = dY
    if dV is None:
        return (None,)
    I, shape, lines = saved
    d = len(lines)
    size = math.prod(shape[len(shape) - d :])
    return (array_namespace(dV).reshape(_added(dV, I, d, size), shape),)


def _numbers(xp: Any, I: Any, d: int, size: int) -> Any:
    """Return the numbers in planes as numbers in the whole array, in one row."""
    planes = math.prod(I.shape[: I.ndim - d])
    offset = xp.arange(planes, dtype=xp.int64, device=I.device) * size
    return xp.reshape(xp.reshape(I, (planes, -1)) + xp.reshape(offset, (-1, 1)), (-1,))


def _added(X: Any, I: Any, d: int, size: int) -> Any:
    """Return for each entry of the planes the sum of the X whose number it is, in one row."""
    xp = array_namespace(X)
    count = math.prod(X.shape[: X.ndim - d]) * size
    if math.prod(X.shape) == 0 or count == 0:
        return xp.zeros((count,), dtype=X.dtype, device=X.device)
    if isinstance(X, np.ndarray):
        made = np.zeros(count, X.dtype)
        np.add.at(made, _numbers(xp, I, d, size), X.reshape(-1))
        return made
    if is_recorded(X) and not is_recorded(I):
        I = xp.asarray(I)
    return sum_rows_at(xp.reshape(X, (-1, 1)), _numbers(xp, I, d, size), count)


MAX_POOL = formula(
    max_pool_forward,
    max_pool_backward,
    outputs=("V", "I"),
    equation=r"V_o = \max_{i \in W_o} X_i, \quad I_o = \arg\max_{i \in W_o} X_i",
    gradients={"X": r"\sum_{o: I_o = i} \left(\frac{\partial L}{\partial V}\right)_o"},
    shapes="X (..., n_1, ..., n_d) -> V and I (..., o_1, ..., o_d)",
    source="document, section 4.4; Riesenhuber and Poggio 1999",
    kinks="where two entries of a window are the largest",
    derivation=(
        "In each window the largest entry is the output, as it stands. By that entry its "
        r"slope is 1, by all others 0: $$\frac{\partial V_o}{\partial X_i} = [i = I_o]$$",
        "Windows may overlap, so an entry can be the largest of several: the chain rule adds "
        "up over them.",
    ),
)


class MaxUnpoolSaved(Saved):
    """Where the entries were put, the shape of Y, and how many axes a plane has."""

    I: Any
    shape: tuple[int, ...]
    axes: int


def max_unpool_forward(X: Any, I: Any, *, sizes: tuple[int, ...]) -> tuple[Any, MaxUnpoolSaved]:
    """Compute planes of zeros with the entries of X at the numbers I: what ``max_pool`` undoes.

    Where two entries have one number, the last is put there.

    Args:
        X: (..., o_1, ..., o_d).
        I: the number of each entry in its plane, integers of the shape of X.
        sizes: n_1 to n_d, the sizes of a plane.

    Raises:
        ShapeError: if I has another shape than X.
        DataError: if a number is not one of the plane's.

    >>> import numpy as np
    >>> max_unpool_forward(np.array([3.0, 5.0]), np.array([1, 2]), sizes=(4,))[0]
    array([0., 3., 5., 0.])
    """
    if tuple(X.shape) != tuple(I.shape) or X.ndim < len(sizes):
        raise ShapeError(
            f"max_unpool: expected a number for each entry, got numbers of shape {tuple(I.shape)} "
            f"for entries of shape {tuple(X.shape)}"
        )
    d, size = len(sizes), math.prod(sizes)
    xp = array_namespace(X)
    I = xp.astype(I, xp.int64, copy=False)
    refuse_where("max_unpool", (I < 0) | (I >= size), I, f"indices from 0 to {size - 1}")
    shape = (*X.shape[: X.ndim - d], *sizes)
    count, saved = math.prod(shape), MaxUnpoolSaved(I, shape, d)
    if math.prod(X.shape) == 0 or count == 0:
        return xp.zeros(shape, dtype=X.dtype, device=X.device), saved
    flat, numbers = xp.reshape(X, (-1,)), _numbers(xp, I, d, size)
    if isinstance(X, np.ndarray):
        made = np.zeros(count, X.dtype)
        made[numbers] = flat
        return made.reshape(shape), saved
    order = xp.argsort(numbers, stable=True)
    ordered = xp.take(numbers, order)
    every = xp.arange(count, dtype=xp.int64, device=X.device)
    last = xp.searchsorted(ordered, every, side="right") - 1
    last = xp.where(last < 0, xp.zeros_like(last), last)
    there = xp.take(ordered, last) == every
    found = xp.take(xp.take(flat, order), last)
    return xp.reshape(xp.where(there, found, xp.zeros_like(found)), shape), saved


def max_unpool_backward(dY: Any, saved: MaxUnpoolSaved, needs: tuple[bool, ...]) -> tuple[Any, ...]:
    """Return dX, the entries of dY at the numbers I."""
    I, shape, d = saved
    if math.prod(I.shape) == 0:
        xp = array_namespace(dY)
        return xp.zeros(tuple(I.shape), dtype=dY.dtype, device=dY.device), None
    xp = array_namespace(dY)
    if is_recorded(dY) and not is_recorded(I):
        I = xp.asarray(I)
    numbers = _numbers(xp, I, d, math.prod(shape[len(shape) - d :]))
    return xp.reshape(xp.take(xp.reshape(dY, (-1,)), intp(numbers), axis=0), tuple(I.shape)), None


MAX_UNPOOL = formula(
    max_unpool_forward,
    max_unpool_backward,
    equation=r"Y_{I_o} = X_o, \quad Y = 0 \text{ elsewhere}",
    gradients={"X": r"\left(\frac{\partial L}{\partial Y}\right)_{I_o}"},
    shapes="X and I (..., o_1, ..., o_d) -> Y (..., n_1, ..., n_d)",
    source="Zeiler and Fergus 2014",
    analytic=True,
    derivation=(
        r"Every entry of Y is an entry of X as it stands, or 0. In one plane: $$\frac{\partial "
        r"Y_j}{\partial X_o} = [j = I_o]$$",
        "The chain rule adds up over j, and the bracket leaves one of them, where the entry was "
        r"put: $$\frac{\partial L}{\partial X_o} = \sum_j \frac{\partial L}{\partial Y_j} [j = "
        r"I_o] = \frac{\partial L}{\partial Y_{I_o}}$$",
        "If several entries have one number, the last is in Y and the others are not: their slope "
        "is 0. The code gives them the gradient of that place too, as PyTorch does. Numbers are "
        "whole, and have no gradient.",
    ),
)
