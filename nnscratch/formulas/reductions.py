"""Reductions over one axis, several axes or all: sums, means and norms."""

from __future__ import annotations

import math
from typing import Any

from nnscratch.array import array_namespace, is_recorded
from nnscratch.array.dtypes import HALVES, dtype_name
from nnscratch.array.selection import sign
from nnscratch.errors import ShapeError
from nnscratch.formulas.checks import (
    full_like_shape,
    need_axes,
)
from nnscratch.formulas.formula import formula
from nnscratch.formulas.saved import Saved

Axis = int | tuple[int, ...] | None
SHAPES = "A (any) -> Y (A without the axes, or with 1 in their place)"
SOURCE = "document, section 4.2; the sum and chain rules"


def kept_shape(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape with 1 in place of the axes."""
    return tuple(1 if axis in axes else size for axis, size in enumerate(shape))


def root(xp: Any, squares: Any) -> Any:
    """Return the square root of a sum of squares; where it is 0 its derivative is 0, not NaN."""
    if not is_recorded(squares):
        return xp.sqrt(squares)
    nothing = squares == 0
    return xp.where(nothing, 0.0, xp.sqrt(xp.where(nothing, 1.0, squares)))


class SumSaved(Saved):
    """What the backward of ``sum`` and of ``mean`` needs: the shape of A and the axes."""

    shape: tuple[int, ...]
    axes: tuple[int, ...]


def sum_forward(A: Any, *, axis: Axis = None, keepdims: bool = False) -> tuple[Any, SumSaved]:
    """Compute the sum over the axes, over all of them if ``axis`` is None.

    Small integers and bool are added up in int64.

    Raises:
        ShapeError: if there is no such axis.

    >>> import numpy as np
    >>> sum_forward(np.ones((2, 3)), axis=1)[0]
    array([3., 3.])
    """
    axes = need_axes("sum", A.shape, axis)
    xp = array_namespace(A)
    if dtype_name(A.dtype) == "bool":
        A = xp.astype(A, xp.int64)
    return xp.sum(A, axis=axes, keepdims=keepdims), SumSaved(tuple(A.shape), axes)


def sum_backward(dY: Any, saved: SumSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dA = dY, repeated along the axes."""
    xp = array_namespace(dY)
    return (full_like_shape(xp, xp.reshape(dY, kept_shape(*saved)), saved.shape),)


SUM = formula(
    sum_forward,
    sum_backward,
    equation=r"Y = \sum_i A_i",
    gradients={"A": r"\frac{\partial L}{\partial Y}"},
    shapes=SHAPES,
    source=SOURCE,
    analytic=True,
    derivation=(
        r"Every entry is in the sum once, by itself: $$\frac{\partial Y}{\partial A_i} = 1$$",
        "So each entry gets the gradient of its sum, which is repeated along the axes that "
        "were added up.",
    ),
)


def mean_forward(A: Any, *, axis: Axis = None, keepdims: bool = False) -> tuple[Any, SumSaved]:
    """Compute the mean over the axes, NaN if there is nothing to average.

    Raises:
        ShapeError: if there is no such axis.
        DTypeError: if A holds integers.
    """
    axes = need_axes("mean", A.shape, axis)
    xp = array_namespace(A)
    count = math.prod(A.shape[one] for one in axes)
    return xp.sum(A, axis=axes, keepdims=keepdims) / count, SumSaved(tuple(A.shape), axes)


def mean_backward(dY: Any, saved: SumSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dA = dY / n, repeated along the axes."""
    shape, axes = saved
    xp = array_namespace(dY)
    count = math.prod(shape[one] for one in axes)
    return (full_like_shape(xp, xp.reshape(dY / count, kept_shape(shape, axes)), shape),)


MEAN = formula(
    mean_forward,
    mean_backward,
    equation=r"Y = \frac{1}{n} \sum_{i=1}^n A_i",
    gradients={"A": r"\frac{1}{n} \frac{\partial L}{\partial Y}"},
    shapes=SHAPES,
    floats=("A",),
    source=SOURCE,
    analytic=True,
    derivation=(
        r"A mean is a sum times $\frac{1}{n}$: $$\frac{\partial Y}{\partial A_i} = "
        r"\frac{1}{n}$$",
        "So each entry gets the gradient of its mean, divided by n and repeated along the axes.",
    ),
)


class NormSaved(Saved):
    """What the backward of ``norm`` needs; Y keeps its reduced axes."""

    A: Any
    Y: Any
    axes: tuple[int, ...]
    p: float


def norm_forward(
    A: Any, *, p: float = 2.0, axis: Axis = None, keepdims: bool = False
) -> tuple[Any, NormSaved]:
    r"""Compute the p-norm over the axes, $(\sum_i |A_i|^p)^{1/p}$.

    It is the largest (smallest) absolute value for p = inf (-inf), and the number of entries that
    are not 0 for p = 0.

    Raises:
        ShapeError: if there is no such axis, or nothing along it for p = -inf or inf.
        DTypeError: if A holds integers.

    >>> import numpy as np
    >>> float(norm_forward(np.array([3.0, -4.0]))[0]), float(norm_forward(np.ones(3), p=1)[0])
    (5.0, 3.0)
    """
    axes = need_axes("norm", A.shape, axis)
    p = float(p)
    xp = array_namespace(A)
    size = xp.abs(A)
    if math.isinf(p):
        if math.prod(A.shape[one] for one in axes) == 0 and axes:
            raise ShapeError(f"norm: an array of shape {tuple(A.shape)} is empty over {axes}")
        Y = (xp.max if p > 0 else xp.min)(size, axis=axes, keepdims=True)
    elif p == 0:
        Y = xp.sum(xp.astype(A != 0, A.dtype), axis=axes, keepdims=True)
    elif p == 1:
        Y = xp.sum(size, axis=axes, keepdims=True)
    elif p == 2:
        Y = root(xp, xp.sum(A * A, axis=axes, keepdims=True))
    else:
        Y = xp.sum(size**p, axis=axes, keepdims=True) ** (1.0 / p)
    kept = Y if keepdims else xp.squeeze(Y, axis=axes)
    return kept, NormSaved(A, Y, axes, p)


def norm_backward(dY: Any, saved: NormSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dA = dY sign(A) (|A| / Y)^(p-1), and 0 where Y is 0: the smallest subgradient.

    For p = inf and -inf the entries of that size share dY evenly.
    """
    A, Y, axes, p = saved
    xp = array_namespace(dY)
    dY = xp.reshape(dY, Y.shape)
    if p == 0:
        return (xp.zeros_like(A),)
    if p == 1:
        return (sign(A) * dY,)
    if math.isinf(p):
        hit = (xp.abs(A) == Y) | (xp.isnan(A) & xp.isnan(Y))
        hits = xp.sum(xp.astype(hit, dY.dtype), axis=axes, keepdims=True)
        return (xp.where(hit, sign(A) * (dY / hits), 0.0),)
    # No divisor is 0, which the derivative of this one would divide by again.
    divisor = xp.where(Y == 0, 1.0, Y)
    if p == 2:
        return (xp.where(Y == 0, 0.0, dY / divisor) * A,)
    size = xp.abs(A) if p >= 2 else xp.where(A == 0, 1.0, xp.abs(A))
    slope = xp.where(Y == 0, 0.0, dY / divisor ** (p - 1.0)) * sign(A) * size ** (p - 1.0)
    return (xp.where(A == 0, 0.0, slope) if p < 2 else slope,)


NORM = formula(
    norm_forward,
    norm_backward,
    equation=r"Y = \left(\sum_i |A_i|^p\right)^{1/p}",
    gradients={
        "A": r"\frac{\partial L}{\partial Y} \mathrm{sign}(A) \left(\frac{|A|}{Y}\right)^{p-1}"
    },
    shapes=SHAPES,
    floats=("A",),
    source=SOURCE,
    kinks="where Y is 0; for p = 1 where an entry is 0; for p = inf where two are the largest",
    derivation=(
        r"Write $Q = \sum_i |A_i|^p$, so that $Y = Q^{1/p}$. The slope of $|A_i|$ is the sign of "
        r"$A_i$: $$\frac{\partial Q}{\partial A_i} = p |A_i|^{p-1} \, \mathrm{sign}(A_i) \\ "
        r"\frac{\partial Y}{\partial Q} = \frac{1}{p} Q^{1/p - 1} = \frac{1}{p} Y^{1-p}$$",
        r"The product of both: $$\frac{\partial Y}{\partial A_i} = \mathrm{sign}(A_i) "
        r"\left(\frac{|A_i|}{Y}\right)^{p-1}$$ That is $A_i / Y$ for p = 2, and the sign alone "
        "for p = 1.",
        "For p = inf (-inf) Y is the largest (smallest) $|A_i|$. Where only one entry has that "
        "size, Y moves with it alone. Where h entries have it there is no derivative, and they "
        r"share what comes back: $$\frac{\partial Y}{\partial A_i} = \frac{1}{h} "
        r"\mathrm{sign}(A_i) [|A_i| = Y]$$ For p = 0 Y is a number of entries, whose slope is 0 "
        "wherever it has one.",
        r"Where Y is 0 the quotient is 0/0 and there is no derivative: for $p \ge 1$ all entries "
        "are 0, and Y grows in every direction. The code has 0 there, and for p < 1 at every "
        "entry that is 0, where $|A_i|^{p-1}$ is infinite. For p = 1 such an entry has none "
        "either, and the sign 0.",
        "An entry is in one norm only, that of its place along the other axes, and gets the "
        "gradient of that one.",
    ),
)


class SumToSaved(Saved):
    """The shape that ``sum_to`` came from."""

    shape: tuple[int, ...]


def sum_to_forward(A: Any, *, shape: tuple[int, ...]) -> tuple[Any, SumToSaved]:
    """Undo broadcasting: sum A over every axis along which ``shape`` was repeated.

    Raises:
        ShapeError: if an array of that shape does not broadcast to the shape of A.

    >>> import numpy as np
    >>> sum_to_forward(np.ones((2, 3)), shape=(3,))[0]
    array([2., 2., 2.])
    """
    saved = SumToSaved(tuple(A.shape))
    if saved.shape == tuple(shape):
        return A, saved
    extra = A.ndim - len(shape)
    axes = list(range(extra))
    for axis, (size, wanted) in enumerate(zip(A.shape[max(extra, 0) :], shape, strict=False)):
        if wanted == 1 and size != 1:
            axes.append(extra + axis)
        elif wanted != size:
            extra = -1
            break
    if extra < 0:
        raise ShapeError(f"sum_to: {tuple(shape)} does not broadcast to {tuple(A.shape)}")
    xp = array_namespace(A)
    if axes:
        # float16 is added up in float32, as by every formula that is no view.
        wide = xp.astype(A, xp.float32) if dtype_name(A.dtype) in HALVES else A
        A = xp.astype(xp.sum(wide, axis=tuple(axes)), A.dtype, copy=False)
    return xp.reshape(A, shape), saved


def sum_to_backward(dY: Any, saved: SumToSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dA = dY, repeated to the shape of A."""
    return (full_like_shape(array_namespace(dY), dY, saved.shape),)


SUM_TO = formula(
    sum_to_forward,
    sum_to_backward,
    equation=r"Y = \sum_{\text{repeated axes}} A",
    gradients={"A": r"\frac{\partial L}{\partial Y}"},
    shapes="A (any) -> Y (a shape that broadcasts to it)",
    source="document, section 4.2; the sum rule",
    analytic=True,
    aliases=True,
    derivation=(
        "Broadcasting repeats the entry j of the smaller shape along the axes that this shape "
        "lacks or has with size 1. Write $r(i)$ for the entry that is repeated to the place i of "
        r"A. Each Y is the sum over all its copies: $$Y_j = \sum_{i: \; r(i) = j} A_i$$",
        r"Every entry of A is in one of these sums, once: $$\frac{\partial Y_j}{\partial A_i} = "
        "[j = r(i)]$$",
        r"The chain rule adds up over j, and one term is left: $$\frac{\partial L}{\partial A_i} "
        r"= \sum_j \frac{\partial L}{\partial Y_j} [j = r(i)] = \frac{\partial L}{\partial "
        "Y_{r(i)}}$$ So the gradient of Y is repeated along the same axes. Where both shapes are "
        "the same, $r(i) = i$.",
    ),
)
