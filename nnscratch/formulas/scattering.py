"""Gathering entries along an axis by indices, and scattering them back: each transposes the other.

The index has as many axes as the array and is at most as large along all axes but one: entry
(i, j, k) of it stands for entry (i, I[i, j, k], k) where the axis is 1. As in PyTorch, an index
below 0 is out of range: -1 is more often the label of padding than the last class.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnscratch.array import array_namespace, is_recorded
from nnscratch.errors import ShapeError
from nnscratch.formulas.checks import need_axis
from nnscratch.formulas.derivations import MOVED_STEPS
from nnscratch.formulas.formula import formula
from nnscratch.formulas.indexing import in_range
from nnscratch.formulas.placing import sum_rows_at
from nnscratch.formulas.saved import Saved

_SOURCE = "document, section 4.2; a linear map whose derivative is its transpose"


class GatherSaved(Saved):
    """The shape of A, the indices as int64, and the axis."""

    shape: tuple[int, ...]
    I: Any
    axis: int


class ScatterSaved(Saved):
    """The indices as int64, and the axis."""

    I: Any
    axis: int


def checked_index(name: str, A: Any, I: Any, axis: int) -> tuple[Any, int]:
    """Return the indices as int64, and the axis counted from 0; no index counts from the end.

    Raises:
        DTypeError: if I holds no integers.
        DataError: if an index is out of range.
        ShapeError: if the shapes do not fit, or there is no such axis.
    """
    axis = need_axis(name, A.shape, axis)
    fits = I.ndim == A.ndim and all(
        one == axis or n <= size for one, (n, size) in enumerate(zip(I.shape, A.shape, strict=True))
    )
    if not fits:
        raise ShapeError(
            f"{name}: expected an index of {A.ndim} dimensions, at most as large as the tensor of "
            f"shape {tuple(A.shape)} except along dim {axis}; got shape {tuple(I.shape)}"
        )
    return in_range(name, I, A.shape[axis], "indices", negative=False), axis


def flat_places(shape: tuple[int, ...], I: Any, axis: int) -> Any:
    """Return for each index the row-major number of the entry of A that it stands for."""
    xp = array_namespace(I)
    places = I * math.prod(shape[axis + 1 :])
    for one, size in enumerate(I.shape):
        if one != axis:
            numbers = xp.arange(size, dtype=xp.int64, device=I.device)
            numbers = numbers * math.prod(shape[one + 1 :])
            places = places + xp.reshape(numbers, (-1, *(1,) * (I.ndim - 1 - one)))
    return places


def _index(I: Any, axis: int) -> tuple[Any, ...]:
    """Return the index of NumPy and CuPy that stands for the entries."""
    xp = array_namespace(I)
    made: list[Any] = []
    for one, size in enumerate(I.shape):
        shape = (-1, *(1,) * (I.ndim - 1 - one))
        numbers = xp.arange(size, dtype=xp.int64, device=I.device)
        made.append(I if one == axis else xp.reshape(numbers, shape))
    return tuple(made)


def gathered(A: Any, I: Any, axis: int) -> Any:
    """Return the entries of A that the indices stand for."""
    if is_recorded(A):
        return array_namespace(A).gather(A, I, axis)
    if isinstance(A, np.ndarray):
        return A[_index(I, axis)]
    xp = array_namespace(A)
    places = xp.reshape(flat_places(tuple(A.shape), I, axis), (-1,))
    return xp.reshape(xp.take(xp.reshape(A, (-1,)), places), I.shape)


def summed_at(U: Any, I: Any, axis: int, shape: tuple[int, ...]) -> Any:
    """Return zeros of a shape with the entries of U added at the entries that I stands for."""
    xp = array_namespace(U)
    if is_recorded(U):
        zeros = xp.zeros(shape, dtype=U.dtype, device=U.device)
        return xp.scatter_add(zeros, I, U, axis)
    places = xp.reshape(flat_places(shape, I, axis), (-1,))
    if isinstance(U, np.ndarray):
        made = np.zeros(math.prod(shape), U.dtype)
        np.add.at(made, places, U.reshape(-1))
        return made.reshape(shape)
    rows = sum_rows_at(xp.reshape(U, (-1, 1)), places, math.prod(shape))
    return xp.reshape(rows, shape)


def replaced(A: Any, I: Any, U: Any, axis: int) -> Any:
    """Return A with the entries that I stands for replaced by those of U, the last of several."""
    xp = array_namespace(A)
    if is_recorded(A):
        return xp.scatter(A, I, U, axis)
    if isinstance(A, np.ndarray):
        Y = A.astype(np.result_type(A, U))
        Y[_index(I, axis)] = U
        return Y
    if not math.prod(I.shape):
        return xp.asarray(A, copy=True)
    places = xp.reshape(flat_places(tuple(A.shape), I, axis), (-1,))
    order = xp.argsort(places, stable=True)
    there = xp.take(places, order)
    count = xp.arange(math.prod(A.shape), dtype=xp.int64, device=I.device)
    last = xp.maximum(xp.searchsorted(there, count, side="right") - 1, xp.zeros_like(count))
    hit = xp.take(there, last) == count
    values = xp.take(xp.reshape(U, (-1,)), xp.take(order, last))
    return xp.reshape(xp.where(hit, values, xp.reshape(A, (-1,))), A.shape)


def gather_forward(A: Any, I: Any, *, axis: int) -> tuple[Any, GatherSaved]:
    """Compute the entries of A at indices along an axis.

    Args:
        A: any shape with that axis.
        I: integers of as many axes, at most as large as A along the other axes.
        axis: the axis.

    Raises:
        DTypeError: if I holds no integers.
        DataError: if an index is out of range.
        ShapeError: if the shapes do not fit, or there is no such axis.

    >>> import numpy as np
    >>> gather_forward(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1], [0]]), axis=1)[0]
    array([[2.],
           [3.]])
    """
    I, axis = checked_index("gather", A, I, axis)
    return gathered(A, I, axis), GatherSaved(tuple(A.shape), I, axis)


def gather_backward(dY: Any, saved: GatherSaved, needs: tuple[bool, ...]) -> tuple[Any, ...]:
    """Return dA, in which the entries of dY that came from one entry are added up."""
    shape, I, axis = saved
    return summed_at(dY, I, axis, shape), None


GATHER = formula(
    gather_forward,
    gather_backward,
    equation=r"Y_{ij} = A_{i I_{ij}}",
    gradients={"A": r"\sum_{j: I_{ij} = k} \frac{\partial L}{\partial Y_{ij}}"},
    entries={"A": "ik"},
    shapes="A (any), I (as many axes) -> Y (as I)",
    source=_SOURCE,
    analytic=True,
    derivation=MOVED_STEPS,
)


def scatter_add_forward(A: Any, I: Any, U: Any, *, axis: int) -> tuple[Any, ScatterSaved]:
    """Compute A with the entries of U added at indices along an axis, which may repeat.

    Args:
        A: any shape with that axis.
        I: integers of as many axes, at most as large as A along the other axes.
        U: at least as large as I along every axis, of A's dtype.
        axis: the axis.

    Raises:
        DTypeError: if I holds no integers.
        DataError: if an index is out of range.
        ShapeError: if the shapes do not fit, or there is no such axis.

    >>> import numpy as np
    >>> scatter_add_forward(np.zeros(3), np.array([0, 2, 0]), np.ones(3), axis=0)[0]
    array([2., 0., 1.])
    """
    I, axis = checked_index("scatter_add", A, I, axis)
    need_shape_of_index("scatter_add", I, U)
    return A + summed_at(U, I, axis, tuple(A.shape)), ScatterSaved(I, axis)


def need_shape_of_index(name: str, I: Any, U: Any) -> None:
    """Raise a ShapeError unless there is one value for each index."""
    if tuple(U.shape) != tuple(I.shape):
        raise ShapeError(
            f"{name}: expected as many values as indices, got shapes {tuple(U.shape)} and "
            f"{tuple(I.shape)}"
        )


def scatter_add_backward(dY: Any, saved: ScatterSaved, needs: tuple[bool, ...]) -> tuple[Any, ...]:
    """Return dA = dY, and dU, the entries of dY where U was added."""
    xp = array_namespace(dY)
    I, axis = saved
    dA = xp.asarray(dY, copy=True) if needs[0] else None
    return dA, None, gathered(dY, I, axis) if needs[2] else None


SCATTER_ADD = formula(
    scatter_add_forward,
    scatter_add_backward,
    equation=r"Y_{ik} = A_{ik} + \sum_{j: I_{ij} = k} U_{ij}",
    gradients={
        "A": r"\frac{\partial L}{\partial Y}",
        "U": r"\left(\frac{\partial L}{\partial Y}\right)_{i I_{ij}}",
    },
    entries={"U": "ij"},
    shapes="A (any), I (as many axes), U (as I) -> Y (as A)",
    source=_SOURCE,
    analytic=True,
    derivation=(
        "Take two axes, with the index along the second. With a bracket that is 1 where the index "
        r"says k and else 0, the sum goes over all values of the row: $$Y_{ik} = A_{ik} + \sum_j "
        "[I_{ij} = k] U_{ij}$$",
        r"Its slopes are what stands beside each: $$\frac{\partial Y_{ik}}{\partial A_{ik}} = 1 \\ "
        r"\frac{\partial Y_{ik}}{\partial U_{ij}} = [I_{ij} = k]$$",
        "A acts on Y in its own place alone and gets its gradient as it is. For U the chain rule "
        r"adds up over k, and the bracket leaves one of them: $$\frac{\partial L}{\partial U_{ij}} "
        r"= \sum_k [I_{ij} = k] \frac{\partial L}{\partial Y_{ik}} = \frac{\partial L}{\partial "
        r"Y_{i I_{ij}}}$$",
        "That is gather. With more axes, i stands for all others. Indices are whole numbers and "
        "have no gradient.",
    ),
)


def scatter_forward(A: Any, I: Any, U: Any, *, axis: int) -> tuple[Any, ScatterSaved]:
    """Compute A with its entries at indices along an axis replaced; the last of several counts.

    Arguments and errors as in ``scatter_add``.
    """
    I, axis = checked_index("scatter", A, I, axis)
    need_shape_of_index("scatter", I, U)
    return replaced(A, I, U, axis), ScatterSaved(I, axis)


def scatter_backward(dY: Any, saved: ScatterSaved, needs: tuple[bool, ...]) -> tuple[Any, ...]:
    """Return dA, dY with 0 where entries were replaced, and dU, dY there.

    If an index repeats, each of its entries of U gets what the last one should, as in PyTorch.
    """
    xp = array_namespace(dY)
    I, axis = saved
    dA = None
    if needs[0]:
        zeros = xp.zeros(tuple(I.shape), dtype=dY.dtype, device=dY.device)
        dA = replaced(dY, I, zeros, axis)
    return dA, None, gathered(dY, I, axis) if needs[2] else None


SCATTER = formula(
    scatter_forward,
    scatter_backward,
    equation=r"Y_{i I_{ij}} = U_{ij}, \quad Y = A \text{ elsewhere}",
    gradients={
        "A": r"\frac{\partial L}{\partial Y} \text{, 0 at } I",
        "U": r"\left(\frac{\partial L}{\partial Y}\right)_{i I_{ij}}",
    },
    entries={"U": "ij"},
    shapes="A (any), I (as many axes), U (as I) -> Y (as A)",
    source=_SOURCE,
    analytic=True,
    derivation=(
        "Take two axes, with the index along the second. Every entry of Y is one of U or one of A, "
        r"as it stands: $$Y_{ik} = \begin{cases} U_{ij} & I_{ij} = k \\ A_{ik} & \text{no index of "
        r"row i is k} \end{cases}$$",
        r"By the one that stands there the slope is 1, by all others 0: $$\frac{\partial "
        r"Y_{ik}}{\partial U_{ij}} = [I_{ij} = k] \\ \frac{\partial Y_{ik}}{\partial A_{ik}} = "
        r"[\text{no index of row i is k}]$$",
        "The chain rule adds up over k. For U the bracket leaves $k = I_{ij}$; A acts on its own "
        "place alone, so its gradient is that of Y, with 0 where it was replaced.",
        "If an index repeats, the last value is in Y and the others have the slope 0. The code "
        "gives each of them the gradient of that place, as PyTorch does.",
    ),
)
