"""Reductions over one axis, several axes or all: sum, mean, variance, largest and smallest."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nnscratch.array import array_namespace, is_recorded
from nnscratch.array.dtypes import HALVES, dtype_name
from nnscratch.array.selection import sign
from nnscratch.errors import ShapeError
from nnscratch.formulas.checks import (
    NOTHING,
    NothingSaved,
    full_like_shape,
    need_axes,
    need_axis,
)
from nnscratch.formulas.formula import Formula, Forward, formula
from nnscratch.formulas.saved import Saved

Axis = int | tuple[int, ...] | None
_SHAPES = "A (any) -> Y (A without the axes, or with 1 in their place)"
_SOURCE = "document, section 4.2; the sum and chain rules"


def _kept(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape with 1 in place of the axes."""
    return tuple(1 if axis in axes else size for axis, size in enumerate(shape))


def _root(xp: Any, squares: Any) -> Any:
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
    return (full_like_shape(xp, xp.reshape(dY, _kept(*saved)), saved.shape),)


SUM = formula(
    sum_forward,
    sum_backward,
    equation=r"Y = \sum_i A_i",
    gradients={"A": r"\frac{\partial L}{\partial Y}"},
    shapes=_SHAPES,
    source=_SOURCE,
    analytic=True,
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
    return (full_like_shape(xp, xp.reshape(dY / count, _kept(shape, axes)), shape),)


MEAN = formula(
    mean_forward,
    mean_backward,
    equation=r"Y = \frac{1}{n} \sum_{i=1}^n A_i",
    gradients={"A": r"\frac{1}{n} \frac{\partial L}{\partial Y}"},
    shapes=_SHAPES,
    floats=("A",),
    source=_SOURCE,
    analytic=True,
)


class VarSaved(Saved):
    """What the backward of ``var`` needs: A minus its mean, the axes and the divisor."""

    D: Any
    axes: tuple[int, ...]
    divisor: float


def var_forward(
    A: Any, *, axis: Axis = None, correction: float = 1, keepdims: bool = False
) -> tuple[Any, VarSaved]:
    """Compute the variance over the axes, the squares divided by n - ``correction``.

    It is NaN or infinite where n is not above ``correction``.

    Raises:
        ShapeError: if there is no such axis.
        DTypeError: if A holds integers.
    """
    axes = need_axes("var", A.shape, axis)
    xp = array_namespace(A)
    count = math.prod(A.shape[one] for one in axes)
    D = A - xp.sum(A, axis=axes, keepdims=True) / count
    divisor = max(count - correction, 0)
    return xp.sum(D * D, axis=axes, keepdims=keepdims) / divisor, VarSaved(D, axes, divisor)


def var_backward(dY: Any, saved: VarSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dA = dY · 2 (A - mean A) / (n - correction)."""
    D, axes, divisor = saved
    xp = array_namespace(dY)
    return (xp.reshape(2.0 * dY / divisor, _kept(D.shape, axes)) * D,)


VAR = formula(
    var_forward,
    var_backward,
    equation=r"Y = \frac{1}{n - c} \sum_{i=1}^n (A_i - \bar{A})^2",
    gradients={"A": r"\frac{2}{n - c} \frac{\partial L}{\partial Y} (A - \bar{A})"},
    shapes=_SHAPES,
    floats=("A",),
    source="document, section 4.2; the chain rule (the mean's own derivative cancels)",
    analytic=True,
)


def var_mean_forward(
    A: Any, *, axis: Axis = None, correction: float = 1, keepdims: bool = False
) -> tuple[tuple[Any, Any], VarSaved]:
    """Compute the variance over the axes, as ``var`` does, and the mean that it has to find anyway.

    Raises:
        ShapeError: if there is no such axis.
        DTypeError: if A holds integers.

    >>> import numpy as np
    >>> V, M = var_mean_forward(np.array([1.0, 3.0]))[0]
    >>> float(V), float(M)
    (2.0, 2.0)
    """
    axes = need_axes("var_mean", A.shape, axis)
    xp = array_namespace(A)
    count = math.prod(A.shape[one] for one in axes)
    M = xp.sum(A, axis=axes, keepdims=True) / count
    D = A - M
    divisor = max(count - correction, 0)
    V = xp.sum(D * D, axis=axes, keepdims=keepdims) / divisor
    return (V, M if keepdims else xp.squeeze(M, axis=axes)), VarSaved(D, axes, divisor)


def var_mean_backward(dY: tuple[Any, Any], saved: VarSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dA = dV · 2 (A - mean A) / (n - correction) + dM / n."""
    dV, dM = dY
    D, axes, _ = saved
    dA = None if dV is None else var_backward(dV, saved, needs)[0]
    if dM is not None:
        shape = tuple(D.shape)
        mean = mean_backward(dM, SumSaved(shape, axes), needs)[0]
        dA = mean if dA is None else dA + mean
    return (dA,)


VAR_MEAN = formula(
    var_mean_forward,
    var_mean_backward,
    outputs=("V", "M"),
    equation=r"M = \frac{1}{n} \sum_{i=1}^n A_i, \quad"
    r" V = \frac{1}{n - c} \sum_{i=1}^n (A_i - M)^2",
    gradients={
        "A": r"\frac{2}{n - c} \frac{\partial L}{\partial V} (A - M)"
        r" + \frac{1}{n} \frac{\partial L}{\partial M}"
    },
    shapes="A (any) -> V and M (A without the axes, or with 1 in their place)",
    floats=("A",),
    source="document, section 4.2; the chain rule (the mean's own derivative cancels in V)",
    analytic=True,
)


class StdSaved(Saved):
    """What the backward of ``std`` needs; Y keeps its reduced axes."""

    D: Any
    Y: Any
    axes: tuple[int, ...]
    divisor: float


def std_forward(
    A: Any, *, axis: Axis = None, correction: float = 1, keepdims: bool = False
) -> tuple[Any, StdSaved]:
    """Compute the standard deviation over the axes: the root of ``var``.

    Raises:
        ShapeError: if there is no such axis.
        DTypeError: if A holds integers.
    """
    squares, (D, axes, divisor) = var_forward(A, axis=axis, correction=correction, keepdims=True)
    xp = array_namespace(A)
    Y = _root(xp, squares)
    kept = Y if keepdims else xp.squeeze(Y, axis=axes)
    return kept, StdSaved(D, Y, axes, divisor)


def std_backward(dY: Any, saved: StdSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dA = dY (A - mean A) / ((n - correction) Y), 0 where Y is 0, as PyTorch does."""
    D, Y, _, divisor = saved
    xp = array_namespace(dY)
    # The divisor is never 0, which the derivative of this one would divide by again.
    slope = xp.reshape(dY, Y.shape) / (xp.where(Y == 0, 1.0, Y) * divisor)
    return (xp.where(Y == 0, 0.0, slope) * D,)


STD = formula(
    std_forward,
    std_backward,
    equation=r"Y = \sqrt{\frac{1}{n - c} \sum_{i=1}^n (A_i - \bar{A})^2}",
    gradients={"A": r"\frac{A - \bar{A}}{(n - c) Y} \frac{\partial L}{\partial Y}"},
    shapes=_SHAPES,
    floats=("A",),
    source="document, section 4.2; the chain rule (the mean's own derivative cancels)",
    kinks="where all entries are equal",
    analytic=True,
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
        Y = _root(xp, xp.sum(A * A, axis=axes, keepdims=True))
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
    shapes=_SHAPES,
    floats=("A",),
    source=_SOURCE,
    kinks="where Y is 0; for p = 1 where an entry is 0; for p = inf where two are the largest",
)


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


def _extreme_formula(forward: Forward, name: str) -> Formula:
    return formula(
        forward,
        _extreme_backward,
        equation=rf"Y = \{name}_i A_i",
        gradients={"A": r"\frac{\partial L}{\partial Y} [A_i = Y]"},
        shapes=_SHAPES,
        source=_SOURCE,
        kinks="where two values are the largest (or smallest)",
    )


MAX = _extreme_formula(max_forward, "max")
MIN = _extreme_formula(min_forward, "min")


def _arg(name: str, A: Any, axis: int | None, keepdims: bool, pick: Callable[..., Any]) -> Any:
    if axis is not None:
        axis = need_axis(name, A.shape, axis)
    if (math.prod(A.shape) if axis is None else A.shape[axis]) == 0:
        raise ShapeError(f"{name}: an array of shape {tuple(A.shape)} is empty along axis {axis}")
    return pick(A, axis=axis, keepdims=keepdims)


def argmax_forward(
    A: Any, *, axis: int | None = None, keepdims: bool = False
) -> tuple[Any, NothingSaved]:
    """Compute the index (int64) of the first largest value along an axis, or in all of A.

    Raises:
        ShapeError: if there is no such axis, or nothing along it.
    """
    return _arg("argmax", A, axis, keepdims, array_namespace(A).argmax), NOTHING


def argmin_forward(
    A: Any, *, axis: int | None = None, keepdims: bool = False
) -> tuple[Any, NothingSaved]:
    """Compute the index (int64) of the first smallest value along an axis, or in all of A.

    Raises:
        ShapeError: if there is no such axis, or nothing along it.
    """
    return _arg("argmin", A, axis, keepdims, array_namespace(A).argmin), NOTHING


ARGMAX = formula(
    argmax_forward,
    equation=r"Y = \mathrm{arg\,max}_i A_i",
    shapes=_SHAPES,
    source="document, section 5.2",
)
ARGMIN = formula(
    argmin_forward,
    equation=r"Y = \mathrm{arg\,min}_i A_i",
    shapes=_SHAPES,
    source="document, section 5.2",
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
)
