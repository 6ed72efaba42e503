"""Constant padding: a frame of one number around an array, or its border cut off."""

from __future__ import annotations

from typing import Any

from nnscratch.array import array_namespace
from nnscratch.errors import ShapeError
from nnscratch.formulas.derivations import MOVED_STEPS
from nnscratch.formulas.formula import formula
from nnscratch.formulas.placing import placed
from nnscratch.formulas.saved import Saved

Pads = tuple[int, ...]


class ConstantPadNdSaved(Saved):
    """The shape of X, which of its entries are kept, and where they stand in Y."""

    shape: tuple[int, ...]
    kept: tuple[slice, ...]
    place: tuple[slice, ...]


def padded_shape(where: str, shape: tuple[int, ...], pad: Pads) -> tuple[int, ...]:
    """Return the shape after padding; ``pad`` has (before, after) of the last axis first.

    Raises:
        ShapeError: if there are more pairs than axes, or more is cut off than there is.
    """
    if len(pad) % 2 or len(pad) // 2 > len(shape):
        raise ShapeError(
            f"{where}: expected a pair (before, after) for each of at most {len(shape)} axes of "
            f"shape {shape}, the last axis first, got {tuple(pad)}"
        )
    sizes = list(shape)
    for back, (before, after) in enumerate(zip(pad[::2], pad[1::2], strict=True), 1):
        sizes[-back] += before + after
        if shape[-back] + min(before, 0) + min(after, 0) < 0:
            raise ShapeError(
                f"{where}: axis {len(shape) - back} of size {shape[-back]} cannot lose "
                f"{max(-before, 0)} entries before and {max(-after, 0)} behind"
            )
    return tuple(sizes)


def constant_pad_nd_forward(
    X: Any, *, pad: Pads, value: float = 0.0
) -> tuple[Any, ConstantPadNdSaved]:
    """Compute X with entries of one value before and after it along its last axes.

    Args:
        X: any shape and dtype.
        pad: how many entries to put before and after, the last axis first; negative numbers cut
            entries off.
        value: the number they are.

    Raises:
        ShapeError: if there are more pairs than axes, or more is cut off than there is.

    >>> import numpy as np
    >>> constant_pad_nd_forward(np.ones(2), pad=(1, 2))[0]
    array([0., 1., 1., 0., 0.])
    """
    shape = tuple(X.shape)
    sizes = padded_shape("pad", shape, pad)
    pairs = [(0, 0)] * (len(shape) - len(pad) // 2)
    pairs += list(zip(pad[::2], pad[1::2], strict=True))[::-1]
    kept = [slice(max(-b, 0), n - max(-a, 0)) for n, (b, a) in zip(shape, pairs, strict=True)]
    place = [slice(max(b, 0), m - max(a, 0)) for m, (b, a) in zip(sizes, pairs, strict=True)]
    saved = ConstantPadNdSaved(shape, tuple(kept), tuple(place))
    xp = array_namespace(X)
    inner = X[(*kept, ...)]
    if not value:
        return placed(inner, sizes, saved.place), saved
    Y = xp.full(sizes, value, dtype=X.dtype, device=X.device)
    Y[saved.place] = inner
    return Y, saved


def constant_pad_nd_backward(
    dY: Any, saved: ConstantPadNdSaved, needs: tuple[bool, ...]
) -> tuple[Any]:
    """Return dX, the entries of dY where those of X stand, and 0 for those cut off."""
    shape, kept, place = saved
    inner = dY[(*place, ...)]
    if tuple(inner.shape) == shape:
        return (array_namespace(dY).asarray(inner, copy=True),)
    return (placed(inner, shape, kept),)


CONSTANT_PAD_ND = formula(
    constant_pad_nd_forward,
    constant_pad_nd_backward,
    equation=r"Y_i = X_{i - b}, \quad Y_i = v \text{ where there is no such entry}",
    gradients={"X": r"\left(\frac{\partial L}{\partial Y}\right)_{i + b}"},
    entries={"X": "i"},
    shapes="X (..., S) -> Y (..., before + S + after)",
    source="document, section 4.4; a linear map whose derivative is its transpose",
    analytic=True,
    moves=True,
    derivation=MOVED_STEPS,
)
