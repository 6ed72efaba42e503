"""Formulas that move entries and compute nothing: their gradients move them back."""

from __future__ import annotations

import math
from typing import Any

from nnscratch.array import array_namespace
from nnscratch.errors import ShapeError
from nnscratch.formulas.checks import broadcast_shape, need_axes, need_axis
from nnscratch.formulas.derivations import MOVED_STEPS
from nnscratch.formulas.formula import formula
from nnscratch.formulas.saved import Saved

_SOURCE = "document, section 4.2; a linear map whose derivative is its transpose"


class ShapeSaved(Saved):
    """The shape of the input."""

    shape: tuple[int, ...]


def reshape_forward(A: Any, *, shape: tuple[int, ...]) -> tuple[Any, ShapeSaved]:
    """Compute A in another shape, entries in row-major order; a view where that is possible.

    Args:
        A: any shape.
        shape: the new one; one entry may be -1, for what is left.

    Raises:
        ShapeError: if the numbers of entries differ.
    """
    known = math.prod(size for size in shape if size != -1)
    size = math.prod(A.shape)
    holes = sum(one == -1 for one in shape)
    if holes > 1 or (size % max(known, 1) if holes and known else size != known):
        raise ShapeError(
            f"reshape: {size} entries of shape {tuple(A.shape)} do not fit shape {tuple(shape)}"
        )
    return array_namespace(A).reshape(A, tuple(shape)), ShapeSaved(tuple(A.shape))


def reshape_backward(dY: Any, saved: ShapeSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dA = dY in the shape of A."""
    return (array_namespace(dY).reshape(dY, saved.shape),)


RESHAPE = formula(
    reshape_forward,
    reshape_backward,
    equation=r"Y = A \text{ in another shape}",
    gradients={"A": r"\frac{\partial L}{\partial Y} \text{ in the shape of } A"},
    shapes="A (any) -> Y (as many entries)",
    source=_SOURCE,
    analytic=True,
    aliases=True,
    derivation=MOVED_STEPS,
)


class TransposeSaved(Saved):
    """The order of the axes."""

    axes: tuple[int, ...]


def transpose_forward(A: Any, *, axes: tuple[int, ...]) -> tuple[Any, TransposeSaved]:
    """Compute A with axis i of the result being axis ``axes[i]`` of A; a view.

    Raises:
        ShapeError: if ``axes`` does not name every axis once.
    """
    order = need_axes("transpose", A.shape, tuple(axes))
    if len(order) != A.ndim:
        raise ShapeError(f"transpose: axes {tuple(axes)} leave out some of {A.ndim} axes")
    return array_namespace(A).permute_dims(A, order), TransposeSaved(order)


def transpose_backward(dY: Any, saved: TransposeSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dA = dY with its axes put back in order."""
    back = tuple(saved.axes.index(axis) for axis in range(len(saved.axes)))
    return (array_namespace(dY).permute_dims(dY, back),)


TRANSPOSE = formula(
    transpose_forward,
    transpose_backward,
    equation=r"Y = A^\top",
    gradients={"A": r"\frac{\partial L}{\partial Y}^\top"},
    shapes="A (any) -> Y (its axes in another order)",
    source=_SOURCE,
    analytic=True,
    aliases=True,
    derivation=MOVED_STEPS,
)


def broadcast_to_forward(A: Any, *, shape: tuple[int, ...]) -> tuple[Any, ShapeSaved]:
    """Compute A repeated to a shape: a view, which must not be written into if it repeats A.

    Raises:
        ShapeError: if A does not broadcast to it.
    """
    if broadcast_shape("broadcast_to", A, tuple(shape)) != tuple(shape):
        raise ShapeError(f"broadcast_to: {tuple(A.shape)} does not broadcast to {tuple(shape)}")
    xp, saved = array_namespace(A), ShapeSaved(tuple(A.shape))
    if math.prod(shape) == math.prod(A.shape):  # nothing is repeated
        return xp.reshape(A, tuple(shape)), saved
    return xp.broadcast_to(A, tuple(shape)), saved


def broadcast_to_backward(dY: Any, saved: ShapeSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dY as it is: the tape sums it over the repeated axes."""
    return (dY,)


BROADCAST_TO = formula(
    broadcast_to_forward,
    broadcast_to_backward,
    equation=r"Y_{ij} = A_j",
    gradients={"A": r"\sum_i \frac{\partial L}{\partial Y_{ij}}"},
    shapes="A (any) -> Y (a shape that A broadcasts to)",
    source=_SOURCE,
    analytic=True,
    aliases=True,
    derivation=MOVED_STEPS,
)


class PiecesSaved(Saved):
    """Along which axis arrays were joined, and where each ends."""

    axis: int
    ends: tuple[int, ...]


def concatenate_forward(*arrays: Any, axis: int = 0) -> tuple[Any, PiecesSaved]:
    """Compute the arrays put one behind another along an axis that they have.

    Raises:
        ShapeError: if there are none, or they differ along another axis.
    """
    if not arrays:
        raise ShapeError("concatenate: expected at least one array, got none")
    first = tuple(arrays[0].shape)
    axis = need_axis("concatenate", first, axis)
    ends, end = [], 0
    for index, array in enumerate(arrays):
        shape = tuple(array.shape)
        if (*shape[:axis], *shape[axis + 1 :]) != (*first[:axis], *first[axis + 1 :]):
            raise ShapeError(
                f"concatenate: array {index} of shape {shape} does not fit the first of shape "
                f"{first} along axis {axis}"
            )
        end += shape[axis]
        ends.append(end)
    return array_namespace(*arrays).concat(arrays, axis=axis), PiecesSaved(axis, tuple(ends))


def concatenate_backward(dY: Any, saved: PiecesSaved, needs: tuple[bool, ...]) -> tuple[Any, ...]:
    """Return for each array its piece of dY."""
    axis, ends = saved
    front = (slice(None),) * axis
    starts = (0, *ends[:-1])
    return tuple(
        dY[(*front, slice(start, end), ...)] if need else None
        for start, end, need in zip(starts, ends, needs, strict=True)
    )


CONCATENATE = formula(
    concatenate_forward,
    concatenate_backward,
    equation=r"Y = [A_1, A_2, \ldots]",
    gradients={"arrays": r"\text{the piece of } \frac{\partial L}{\partial Y} \text{ for each}"},
    shapes="arrays (equal but for one axis) -> Y (that axis added up)",
    source=_SOURCE,
    analytic=True,
    aliases=True,
    derivation=MOVED_STEPS,
)


class StackSaved(Saved):
    """Along which new axis arrays were stacked."""

    axis: int


def stack_forward(*arrays: Any, axis: int = 0) -> tuple[Any, StackSaved]:
    """Compute the arrays put side by side along a new axis.

    Raises:
        ShapeError: if there are none, or their shapes differ.
    """
    if not arrays:
        raise ShapeError("stack: expected at least one array, got none")
    first = tuple(arrays[0].shape)
    for index, array in enumerate(arrays):
        if tuple(array.shape) != first:
            raise ShapeError(
                f"stack: array {index} has shape {tuple(array.shape)}, the first {first}"
            )
    axis = need_axis("stack", (*first, 1), axis)
    return array_namespace(*arrays).stack(arrays, axis=axis), StackSaved(axis)


def stack_backward(dY: Any, saved: StackSaved, needs: tuple[bool, ...]) -> tuple[Any, ...]:
    """Return for each array its slice of dY."""
    front = (slice(None),) * saved.axis
    return tuple(dY[(*front, index, ...)] if need else None for index, need in enumerate(needs))


STACK = formula(
    stack_forward,
    stack_backward,
    equation=r"Y_i = A_i",
    gradients={"arrays": r"\left(\frac{\partial L}{\partial Y}\right)_i \text{ for each}"},
    shapes="arrays (equal) -> Y (one axis more)",
    source=_SOURCE,
    analytic=True,
    aliases=True,
    derivation=MOVED_STEPS,
)


class SplitSaved(Saved):
    """What the backward of ``split`` needs: the shape of A, the axis, and the pieces' sizes."""

    shape: tuple[int, ...]
    axis: int
    sizes: tuple[int, ...]


def split_forward(
    A: Any, *, sizes: tuple[int, ...], axis: int = 0
) -> tuple[tuple[Any, ...], SplitSaved]:
    """Compute the pieces of A along an axis, one behind the other; they are views.

    Args:
        A: any shape.
        sizes: the sizes of the pieces.
        axis: the axis.

    Raises:
        ShapeError: if there is no such axis, or the sizes do not add up to its size.

    >>> import numpy as np
    >>> split_forward(np.arange(5), sizes=(2, 3))[0]
    (array([0, 1]), array([2, 3, 4]))
    """
    axis = need_axis("split", A.shape, axis)
    if sum(sizes) != A.shape[axis] or any(size < 0 for size in sizes):
        raise ShapeError(f"split: sizes {list(sizes)} do not add up to {A.shape[axis]}")
    front = (slice(None),) * axis
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    pieces = [
        A[(*front, slice(end - size, end), ...)] for size, end in zip(sizes, ends, strict=True)
    ]
    return tuple(pieces), SplitSaved(tuple(A.shape), axis, tuple(sizes))


def split_backward(dY: tuple[Any, ...], saved: SplitSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dA, the gradients of the parts concatenated, with 0 for parts without a gradient."""
    shape, axis, sizes = saved
    given = next(one for one in dY if one is not None)
    xp = array_namespace(given)
    pieces = [
        xp.zeros((*shape[:axis], size, *shape[axis + 1 :]), dtype=given.dtype, device=given.device)
        if one is None
        else one
        for one, size in zip(dY, sizes, strict=True)
    ]
    return (xp.concat(pieces, axis=axis),)


SPLIT = formula(
    split_forward,
    split_backward,
    outputs=("pieces",),
    equation=r"Y_k = A_{s_k \ldots s_{k+1} - 1}",
    gradients={
        "A": r"\left[\frac{\partial L}{\partial Y_1}, \frac{\partial L}{\partial Y_2},"
        r" \ldots\right]"
    },
    shapes="A (..., S, ...) -> pieces (..., s_k, ...), their sizes s_k adding up to S",
    source=_SOURCE,
    analytic=True,
    aliases=True,
    moves=True,
    derivation=MOVED_STEPS,
)
