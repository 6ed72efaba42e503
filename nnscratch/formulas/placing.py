"""Putting entries into zeros, which is what picking entries transposes to.

``getitem`` and ``take`` are linear, and so are their derivatives, ``place`` and ``add_rows``. Each
is the other's transpose, so that derivatives of any order are one of the two.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch.array import array_namespace, is_recorded
from nnscratch.array.integers import intp
from nnscratch.errors import ShapeError
from nnscratch.formulas.derivations import MOVED_STEPS
from nnscratch.formulas.formula import formula
from nnscratch.formulas.saved import Saved

_SOURCE = "document, section 4.2; a linear map whose derivative is its transpose"


class PlaceSaved(Saved):
    """The shape of X, and where its entries were put."""

    shape: tuple[int, ...]
    entries: tuple[int | slice, ...]


def placed(X: Any, shape: tuple[int, ...], index: tuple[int | slice, ...]) -> Any:
    """Return zeros of a shape with X at the entries that an index picks.

    The index has an integer or a slice, counted from the front, for every axis. X has as many
    entries as it picks; axes of size 1 make no difference.
    """
    xp = array_namespace(X)
    if is_recorded(X):
        return xp.place(X, shape, index)
    Y = xp.zeros(shape, dtype=X.dtype, device=X.device)
    Y[index] = xp.reshape(X, _picked(shape, index))
    return Y


def _picked(shape: tuple[int, ...], index: tuple[int | slice, ...]) -> tuple[int, ...]:
    return tuple(
        len(range(*one.indices(size)))
        for one, size in zip(index, shape, strict=True)
        if isinstance(one, slice)
    )


def place_forward(
    X: Any, *, shape: tuple[int, ...], index: tuple[int | slice, ...]
) -> tuple[Any, PlaceSaved]:
    """Compute zeros of a shape with X at the entries that an index picks.

    Args:
        X: as many entries as the index picks, in their order.
        shape: the shape of the result.
        index: for every axis an integer or a slice, counted from the front.

    Raises:
        ShapeError: if X does not fit.

    >>> import numpy as np
    >>> place_forward(np.ones(2), shape=(4,), index=(slice(0, 4, 2),))[0]
    array([1., 0., 1., 0.])
    """
    picked = _picked(shape, index)
    if [n for n in picked if n != 1] != [n for n in X.shape if n != 1]:
        raise ShapeError(
            f"place: an array of shape {tuple(X.shape)} does not fit the {picked} entries that "
            f"{index} picks of shape {tuple(shape)}"
        )
    return placed(X, tuple(shape), index), PlaceSaved(tuple(X.shape), index)


def place_backward(dY: Any, saved: PlaceSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dX, the entries of dY where X was put."""
    xp = array_namespace(dY)
    return (xp.asarray(xp.reshape(dY[(*saved.entries, ...)], saved.shape), copy=True),)


PLACE = formula(
    place_forward,
    place_backward,
    equation=r"Y[i] = X, \quad Y = 0 \text{ elsewhere}",
    gradients={"X": r"\frac{\partial L}{\partial Y}[i]"},
    shapes="X (as many entries as the index picks) -> Y (shape)",
    source=_SOURCE,
    analytic=True,
    derivation=MOVED_STEPS,
)


class AddRowsSaved(Saved):
    """Where the rows were added."""

    I: Any


def sum_rows_at(rows: Any, I: Any, count: int) -> Any:
    """Return (count, columns), row k of it the sum of the rows i with I[i] = k."""
    xp = array_namespace(rows)
    if is_recorded(rows):
        return xp.add_rows(rows, I, count)
    if I.shape[0] == 0:
        return xp.zeros((count, rows.shape[1]), dtype=rows.dtype, device=rows.device)
    order = xp.argsort(I, stable=True)
    sorted_rows, sorted_I = xp.take(rows, order, axis=0), xp.take(I, order)
    if isinstance(rows, np.ndarray):
        starts = np.flatnonzero(np.diff(sorted_I, prepend=-1))
        sums = np.zeros((count, rows.shape[1]), dtype=rows.dtype)
        sums[sorted_I[starts]] = np.add.reduceat(sorted_rows, starts, 0)
        return sums
    found = xp.arange(count, dtype=I.dtype, device=I.device)
    starts = xp.minimum(xp.searchsorted(sorted_I, found), I.shape[0] - 1)
    there = xp.expand_dims(xp.take(sorted_I, starts) == found, axis=1)
    return xp.where(there, xp.take(_sums_to_the_end(sorted_rows, sorted_I), starts, axis=0), 0.0)


def _sums_to_the_end(rows: Any, I: Any) -> Any:
    """Return for each row the sum of it and of those behind it that have the same index.

    The indices are sorted. Each pass doubles how many rows a sum has (Hillis and Steele 1986), and
    what belongs to another index is replaced by 0 before it is added: a NaN stays with its own,
    where CuPy's ``add.reduceat`` let it reach the next index's sum.
    """
    xp = array_namespace(rows)
    reach = 1
    while reach < rows.shape[0]:
        same = xp.expand_dims(I[reach:] == I[:-reach], axis=1)
        more = xp.where(same, rows[reach:, :], 0.0)
        rows = xp.concat([rows[:-reach, :] + more, rows[-reach:, :]])
        reach *= 2
    return rows


def add_rows_forward(rows: Any, I: Any, *, count: int) -> tuple[Any, AddRowsSaved]:
    """Compute for each k below ``count`` the sum of the rows i with I[i] = k.

    Args:
        rows: (n, columns).
        I: integers (n,) from 0 to ``count`` - 1.
        count: how many rows the result has.

    Raises:
        ShapeError: if there is not one index for each row.

    >>> import numpy as np
    >>> add_rows_forward(np.asarray([[1.0], [2.0], [4.0]]), np.asarray([1, 0, 1]), count=2)[0]
    array([[2.],
           [5.]])
    """
    if rows.ndim != 2 or tuple(I.shape) != (rows.shape[0],):
        raise ShapeError(
            "add_rows: expected rows (n, columns) and an index for each (n,), got "
            f"{tuple(rows.shape)} and {tuple(I.shape)}"
        )
    return sum_rows_at(rows, I, count), AddRowsSaved(I)


def add_rows_backward(dY: Any, saved: AddRowsSaved, needs: tuple[bool, ...]) -> tuple[Any, ...]:
    """Return drows, for each row the row of dY that it was added to."""
    return array_namespace(dY).take(dY, intp(saved.I), axis=0), None


ADD_ROWS = formula(
    add_rows_forward,
    add_rows_backward,
    equation=r"Y_k = \sum_{i: I_i = k} R_i",
    gradients={"rows": r"\left(\frac{\partial L}{\partial Y}\right)_{I_i}"},
    entries={"rows": "i"},
    shapes="rows (n, columns), I (n,) -> Y (count, columns)",
    source=_SOURCE,
    analytic=True,
    derivation=(
        "R are the rows, and I says for each of them which row of Y it is added to. With a bracket "
        "that is 1 there and else 0, the sum goes over all rows; for the column c it is $$Y_{kc} = "
        r"\sum_i [I_i = k] R_{ic}$$",
        r"Its slopes are what stands beside R: $$\frac{\partial Y_{kc}}{\partial R_{ic}} = [I_i = "
        "k]$$",
        r"The chain rule adds up over k, and the bracket leaves one of them: $$\frac{\partial "
        r"L}{\partial R_{ic}} = \sum_k [I_i = k] \frac{\partial L}{\partial Y_{kc}} = "
        r"\frac{\partial L}{\partial Y_{I_i c}}$$",
        "So the gradient of row i is the whole row $I_i$ of the gradient of Y: it is picked, where "
        "the forward added up. Indices are whole numbers and have no gradient.",
    ),
)
