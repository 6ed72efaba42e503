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
    shapes="X (..., n_1, ..., n_d) -> Y (..., o_1, ..., o_d)",
    source="document, section 4.4; a linear map whose derivative is its transpose",
    analytic=True,
)
