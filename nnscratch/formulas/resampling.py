"""Pooling by averages and interpolation: one linear map along each of some axes."""

from __future__ import annotations

from typing import Any

from nnscratch.array import dtype_name, is_recorded
from nnscratch.errors import DTypeError, ShapeError
from nnscratch.formulas.formula import formula
from nnscratch.formulas.line_maps import LineMap, along
from nnscratch.formulas.saved import Saved

Lines = tuple[LineMap, ...]


class ResampleSaved(Saved):
    """The maps."""

    lines: Lines


def need_lines(where: str, X: Any, lines: Lines) -> int:
    """Return the first of the axes that are mapped, which are the last ones.

    Raises:
        ShapeError: if their sizes are not those of the maps.
    """
    sizes = tuple(line.size for line in lines)
    if X.ndim < len(sizes) or tuple(X.shape[X.ndim - len(sizes) :]) != sizes:
        raise ShapeError(f"{where}: the maps are for (..., {sizes}), got shape {tuple(X.shape)}")
    return int(X.ndim - len(sizes))


def _resampled(X: Any, lines: Lines) -> Any:
    if is_recorded(X):
        return X._apply(RESAMPLE, lines=lines)
    first = X.ndim - len(lines)
    for back, line in enumerate(reversed(lines), 1):
        X = along(X, first + len(lines) - back, line)
    return X


def resample_forward(X: Any, *, lines: Lines) -> tuple[Any, ResampleSaved]:
    """Compute X with the lines along each of its last axes mapped, the last axis first.

    Args:
        X: (..., n_1, ..., n_d), of integers only where no weight is a fraction.
        lines: a ``LineMap`` for each of the last d axes.

    Raises:
        ShapeError: if X does not have these sizes.
        DTypeError: if X holds integers and a weight is a fraction.

    >>> import numpy as np
    >>> from nnscratch.formulas.pooling_windows import averages
    >>> resample_forward(np.array([1.0, 3.0, 5.0, 9.0]), lines=(averages(4, 2, 2, 0, 2),))[0]
    array([2., 7.])
    """
    need_lines("resample", X, lines)
    if str(X.dtype)[:3] in ("int", "uin", "boo") and not all(line.whole for line in lines):
        # The weights would be cut off to integers, which most often are 0.
        raise DTypeError(
            f"resample: expected floating-point numbers for weights that are fractions, got "
            f"{dtype_name(X.dtype)}; convert them first with .float()"
        )
    return _resampled(X, lines), ResampleSaved(lines)


def resample_backward(dY: Any, saved: ResampleSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dX, the transposed maps of dY."""
    return (_resampled(dY, tuple(line.transposed for line in saved.lines)),)


RESAMPLE = formula(
    resample_forward,
    resample_backward,
    equation=r"Y_{o_1 \ldots o_d} = \sum_{k_1 \ldots k_d} w^1_{k_1 o_1} \cdots w^d_{k_d o_d}"
    r" X_{i^1_{k_1 o_1} \ldots i^d_{k_d o_d}}",
    gradients={
        "X": r"\sum_{k, o: i_{k o} = i} w^1_{k_1 o_1} \cdots w^d_{k_d o_d}"
        r" \left(\frac{\partial L}{\partial Y}\right)_{o_1 \ldots o_d}"
    },
    entries={"X": "i"},
    shapes="X (..., n_1, ..., n_d) -> Y (..., o_1, ..., o_d)",
    source="document, section 4.4; a linear map whose derivative is its transpose",
    analytic=True,
    derivation=(
        "Along one axis each result is a sum of a few entries: the k-th that o reads is "
        r"$i_{ko}$, and its weight $w_{ko}$. All of them together are a matrix A: $$y_o = \sum_k "
        r"w_{ko} x_{i_{ko}} = \sum_i A_{oi} x_i \\ A_{oi} = \sum_{k: i_{ko} = i} w_{ko}$$",
        "The weights follow from the sizes and options: one over the size of a window, or how near "
        "an entry lies. They do not depend on X, so the slopes are the weights: "
        r"$$\frac{\partial y_o}{\partial x_i} = A_{oi}$$",
        "The chain rule adds up over the results that read an entry, which is the transposed "
        r"matrix: $$\frac{\partial L}{\partial x_i} = \sum_o A_{oi} \frac{\partial L}{\partial "
        r"y_o} = \sum_{k, o: i_{ko} = i} w_{ko} \frac{\partial L}{\partial y_o}$$",
        "Along several axes the maps follow one another, and their weights multiply. The chain "
        "rule takes the transposed maps one after another too; as each has an axis of its own, the "
        "order makes no difference.",
    ),
)
