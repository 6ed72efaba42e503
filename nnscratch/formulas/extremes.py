"""The largest and the smallest over one axis, several axes or all, and where they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nnscratch.array import array_namespace
from nnscratch.errors import ShapeError
from nnscratch.formulas.checks import NOTHING, NothingSaved, need_axes, need_axis
from nnscratch.formulas.formula import Formula, Forward, formula
from nnscratch.formulas.reductions import SHAPES, SOURCE, Axis
from nnscratch.formulas.saved import Saved


class ExtremeSaved(Saved):
    """What the backward of ``max`` and ``min`` needs; ``Y`` keeps its reduced axes."""

    A: Any
    Y: Any
    axes: tuple[int, ...]
    first: bool


def _extreme(
    name: str, A: Any, axis: Axis, keepdims: bool, pick: Callable[..., Any]
) -> tuple[Any, ExtremeSaved]:
    axes = need_axes(name, A.shape, axis)
    if any(A.shape[one] == 0 for one in axes):
        raise ShapeError(f"{name}: an array of shape {tuple(A.shape)} has no {name} over {axes}")
    kept = pick(A, axis=axes, keepdims=True)
    xp = array_namespace(A)
    Y = kept if keepdims else xp.squeeze(kept, axis=axes)
    return Y, ExtremeSaved(A, kept, axes, isinstance(axis, int))


def max_forward(A: Any, *, axis: Axis = None, keepdims: bool = False) -> tuple[Any, ExtremeSaved]:
    """Compute the largest value over the axes, NaN if one of them is NaN.

    Raises:
        ShapeError: if there is no such axis, or nothing along it.
    """
    return _extreme("max", A, axis, keepdims, array_namespace(A).max)


def min_forward(A: Any, *, axis: Axis = None, keepdims: bool = False) -> tuple[Any, ExtremeSaved]:
    """Compute the smallest value over the axes, NaN if one of them is NaN.

    Raises:
        ShapeError: if there is no such axis, or nothing along it.
    """
    return _extreme("min", A, axis, keepdims, array_namespace(A).min)


def _extreme_backward(dY: Any, saved: ExtremeSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dA = dY where A is the largest (or smallest) value.

    Among equals, the first along the axis gets it all if ``axis`` is one axis, as with PyTorch's
    ``max(dim)``; otherwise they share it evenly, as with its ``max()`` and ``amax``.
    """
    A, Y, axes, first = saved
    xp = array_namespace(dY)
    hit = (A == Y) | (xp.isnan(A) & xp.isnan(Y))
    dY = xp.reshape(dY, Y.shape)
    if first:
        axis = axes[0]
        numbers = xp.arange(A.shape[axis], dtype=xp.int64, device=A.device)
        numbers = xp.reshape(numbers, (-1, *(1,) * (A.ndim - 1 - axis)))
        hit = numbers == xp.argmax(xp.astype(hit, xp.int64), axis=axis, keepdims=True)
    else:
        dY = dY / xp.sum(xp.astype(hit, dY.dtype), axis=axes, keepdims=True)
    return (xp.where(hit, dY, 0.0),)


_STEPS = (
    "Where one entry $A_k$ is larger (for min: smaller) than all others, it stays so if A "
    r"changes a little: $$Y = A_k \\ \frac{\partial Y}{\partial A_i} = [i = k] = [A_i = Y]$$",
    "Where h entries are equal to Y there is no derivative: with one of them alone, Y moves one "
    "way but not the other. The code divides the slope among them, by weights that add up to 1: "
    "if `axis` is a number, the first of them has the weight 1 and the others 0; if it is a tuple "
    r"or None, each has $\frac{1}{h}$. $$\frac{\partial Y}{\partial A_i} = w_i [A_i = Y]$$ Where "
    "Y is NaN, the entries that are NaN count as equal to it.",
    "An entry is under one Y only, that of its place along the other axes, so that the chain "
    "rule has one term: it gets the gradient of its Y times this slope.",
)


def _extreme_formula(forward: Forward, name: str) -> Formula:
    return formula(
        forward,
        _extreme_backward,
        equation=rf"Y = \{name}_i A_i",
        gradients={"A": r"\frac{\partial L}{\partial Y} [A_i = Y]"},
        shapes=SHAPES,
        source=SOURCE,
        kinks="where two values are the largest (or smallest)",
        derivation=_STEPS,
    )


MAX = _extreme_formula(max_forward, "max")
MIN = _extreme_formula(min_forward, "min")


def _arg(name: str, A: Any, axis: int | None, keepdims: bool) -> Any:
    xp = array_namespace(A)
    if axis is not None:
        axis = need_axis(name, A.shape, axis)
    if (math.prod(A.shape) if axis is None else A.shape[axis]) == 0:
        raise ShapeError(f"{name}: an array of shape {tuple(A.shape)} is empty along axis {axis}")
    found = getattr(xp, name)(A, axis=axis, keepdims=keepdims)
    return xp.astype(found, xp.int64, copy=False)


def argmax_forward(
    A: Any, *, axis: int | None = None, keepdims: bool = False
) -> tuple[Any, NothingSaved]:
    """Compute the index (int64) of the first largest value along an axis, or in all of A.

    Raises:
        ShapeError: if there is no such axis, or nothing along it.
    """
    return _arg("argmax", A, axis, keepdims), NOTHING


def argmin_forward(
    A: Any, *, axis: int | None = None, keepdims: bool = False
) -> tuple[Any, NothingSaved]:
    """Compute the index (int64) of the first smallest value along an axis, or in all of A.

    Raises:
        ShapeError: if there is no such axis, or nothing along it.
    """
    return _arg("argmin", A, axis, keepdims), NOTHING


ARGMAX = formula(
    argmax_forward,
    equation=r"Y = \mathrm{arg\,max}_i A_i",
    shapes=SHAPES,
    source="document, section 5.2",
)
ARGMIN = formula(
    argmin_forward,
    equation=r"Y = \mathrm{arg\,min}_i A_i",
    shapes=SHAPES,
    source="document, section 5.2",
)
