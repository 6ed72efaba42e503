"""Windows of an array: the pixels that a kernel covers at each of its places, and their sums.

``unfold`` lays out the windows (im2col), ``fold`` adds them up where they come from (col2im). Both
are linear and each is the other's transpose. Convolutions are products with these windows.

Along an axis of size D, windows of k pixels that are ``dilation`` d apart stand ``stride`` s apart
on the axis with ``padding`` (p, q) zeros before and behind it; below zero, so many pixels are left
out. There are

    D' = ⌊(D + p + q - d (k - 1) - 1) / s⌋ + 1        places.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from nnscratch.array import array_namespace, is_recorded
from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.formulas.derivations import MOVED_STEPS
from nnscratch.formulas.formula import formula
from nnscratch.formulas.saved import Saved

Sizes = tuple[int, ...]
Padding = tuple[tuple[int, int], ...]


class Geometry(NamedTuple):
    """Where windows stand: one entry for each axis."""

    stride: Sizes
    padding: Padding
    dilation: Sizes


def places(where: str, size: Sequence[int], kernel: Sequence[int], at: Geometry) -> Sizes:
    """Return how many places a kernel has along each axis.

    Raises:
        ShapeError: if the kernel does not fit in.
        ConfigurationError: if a stride, a dilation or the kernel is not positive.
    """
    for name, values in (("stride", at.stride), ("dilation", at.dilation), ("kernel", kernel)):
        if len(values) != len(size) or any(one < 1 for one in values):
            raise ConfigurationError(
                f"{where}: {name} has to be {len(size)} numbers from 1 on, got {tuple(values)}"
            )
    found = []
    padded = tuple(n + p + q for n, (p, q) in zip(size, at.padding, strict=True))
    reach = tuple(d * (k - 1) + 1 for d, k in zip(at.dilation, kernel, strict=True))
    for n, r, s in zip(padded, reach, at.stride, strict=True):
        if n < r:
            spread = f" (with its dilation {reach})" if any(d > 1 for d in at.dilation) else ""
            raise ShapeError(
                f"{where}: the kernel of size {tuple(kernel)}{spread} is larger than the input of "
                f"size {tuple(size)}, with its padding {padded}; give it more padding, or a "
                "smaller kernel"
            )
        found.append((n - r) // s + 1)
    return tuple(found)


def exact(size: Sequence[int], kernel: Sequence[int], at: Geometry) -> Geometry:
    """Return the same windows with the padding behind cut to where the last one ends.

    With it the sizes of input, kernel and output follow from each other in every direction.
    """
    padding = []
    for n, k, s, (p, q), d in zip(size, kernel, at.stride, at.padding, at.dilation, strict=True):
        padding.append((p, q - (n + p + q - d * (k - 1) - 1) % s))
    return Geometry(at.stride, tuple(padding), at.dilation)


def reached(count: Sequence[int], kernel: Sequence[int], at: Geometry) -> Sizes:
    """Return the size along each axis that so many windows come from, if their padding is exact."""
    return tuple(
        (n - 1) * s + d * (k - 1) + 1 - p - q
        for n, k, s, (p, q), d in zip(
            count, kernel, at.stride, at.padding, at.dilation, strict=True
        )
    )


def kernel_size(count: Sizes, size: Sizes, at: Geometry) -> Sizes:
    """Return the kernel whose windows have so many places on an axis, with an exact padding."""
    return tuple(
        (n + p + q - (m - 1) * s - 1) // d + 1
        for n, m, s, (p, q), d in zip(size, count, at.stride, at.padding, at.dilation, strict=True)
    )


def padded(X: Any, padding: Padding) -> Any:
    """Return X with zeros around its last axes; below zero, without so many of its entries."""
    if not any(p or q for p, q in padding):
        return X
    lead = X.ndim - len(padding)
    kept, goal, shape = [slice(None)] * lead, [slice(None)] * lead, list(X.shape[:lead])
    for n, (p, q) in zip(X.shape[lead:], padding, strict=True):
        first, last = max(-p, 0), n - max(-q, 0)
        kept.append(slice(first, max(first, last)))
        goal.append(slice(max(p, 0), max(p, 0) + max(last - first, 0)))
        shape.append(max(n + p + q, 0))
    inner = X[tuple(kept)]
    if tuple(inner.shape) == tuple(shape):
        return inner
    xp = array_namespace(X)
    Y = xp.zeros(tuple(shape), dtype=X.dtype, device=X.device)
    if math.prod(inner.shape):
        Y[tuple(goal)] = inner
    return Y


def _taps(kernel: Sizes, count: Sizes, at: Geometry) -> list[tuple[slice, ...]]:
    """Return for each pixel of the kernel where it stands in the padded input at all places."""
    return [
        tuple(
            slice(t * d, t * d + (n - 1) * s + 1, s)
            for t, n, s, d in zip(tap, count, at.stride, at.dilation, strict=True)
        )
        for tap in itertools.product(*map(range, kernel))
    ]


def laid_out(X: Any, kernel: Sizes, count: Sizes, at: Geometry) -> Any:
    """Return the windows (N, C, pixels of the kernel, *places) of X (N, C, *size)."""
    P = padded(X, at.padding)
    parts = [P[(slice(None), slice(None), *tap)] for tap in _taps(kernel, count, at)]
    return array_namespace(X).stack(parts, axis=2)


def added_up(cols: Any, kernel: Sizes, count: Sizes, at: Geometry) -> Any:
    """Return (N, C, *size), each pixel the sum of its copies in windows with an exact padding."""
    xp = array_namespace(cols)
    n, c = cols.shape[:2]
    whole = reached(count, kernel, Geometry(at.stride, ((0, 0),) * len(kernel), at.dilation))
    P = xp.zeros((n, c, *whole), dtype=cols.dtype, device=cols.device)
    for k, tap in enumerate(_taps(kernel, count, at)):
        P[(slice(None), slice(None), *tap)] += cols[:, :, k, ...]
    return padded(P, tuple((-p, -q) for p, q in at.padding))


class UnfoldSaved(Saved):
    """The sizes of the input and of the kernel, and where the windows stand."""

    size: Sizes
    kernel: Sizes
    stride: Sizes
    padding: Padding
    dilation: Sizes


def unfold_forward(
    X: Any, *, kernel: Sizes, stride: Sizes, padding: Padding, dilation: Sizes
) -> tuple[Any, UnfoldSaved]:
    """Compute the windows of X as columns (im2col).

    Args:
        X: (N, C, *size).
        kernel: the pixels of a window along each axis.
        stride: from one window to the next.
        padding: a pair for each axis, the zeros before and behind it.
        dilation: from one pixel of a window to the next.

    Returns:
        Y (N, C · pixels of a window, places), and what the backward needs.

    Raises:
        ShapeError: if X has other axes, or a window does not fit in.
        ConfigurationError: if a stride, a dilation or a size of the kernel is not positive.

    >>> import numpy as np
    >>> X = np.array([[[1.0, 2.0, 3.0, 4.0]]])
    >>> unfold_forward(X, kernel=(2,), stride=(1,), padding=((0, 0),), dilation=(1,))[0]
    array([[[1., 2., 3.],
            [2., 3., 4.]]])
    """
    at = Geometry(tuple(stride), tuple(padding), tuple(dilation))
    if X.ndim != 2 + len(kernel):
        raise ShapeError(
            f"unfold: expected an input of {2 + len(kernel)} axes, (N, C, size), got shape "
            f"{tuple(X.shape)}"
        )
    n, c, *size = X.shape
    count = places("unfold", size, kernel, at)
    cols = laid_out(X, tuple(kernel), count, at)
    Y = array_namespace(X).reshape(cols, (n, c * math.prod(kernel), math.prod(count)))
    return Y, UnfoldSaved(tuple(size), tuple(kernel), *at)


def unfold_backward(dY: Any, saved: UnfoldSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dX: each pixel's gradient is the sum of those of its copies."""
    at = Geometry(saved.stride, saved.padding, saved.dilation)
    return (folded(dY, saved.size, saved.kernel, at),)


UNFOLD = formula(
    unfold_forward,
    unfold_backward,
    equation=r"Y_{n, (c, k), i} = X_{n, c, s i + d k - p}",
    gradients={
        "X": r"\sum_{s i + d k - p = j} \left(\frac{\partial L}{\partial Y}\right)_{n, (c, k), i}"
    },
    entries={"X": "n,c,j"},
    shapes="X (N, C, *size) -> Y (N, C · pixels of the kernel, places)",
    source="Chellapilla, Puri and Simard 2006",
    analytic=True,
    derivation=MOVED_STEPS,
)


class FoldSaved(Saved):
    """The size of the kernel, and where the windows stand."""

    kernel: Sizes
    stride: Sizes
    padding: Padding
    dilation: Sizes


def folded(Y: Any, size: Sizes, kernel: Sizes, at: Geometry) -> Any:
    """Return the sum of windows in an array of some size; on tensors, the formula's."""
    if is_recorded(Y):
        options = {**at._asdict(), "size": size, "kernel": kernel}
        return array_namespace(Y).formula("fold", Y, **options)
    xp = array_namespace(Y)
    count = places("fold", size, kernel, at)
    cut = exact(size, kernel, at)
    n, rows = Y.shape[:2]
    pixels = math.prod(kernel)
    cols = xp.reshape(Y, (n, rows // pixels, pixels, *count))
    return added_up(cols, kernel, count, cut)


def fold_forward(
    X: Any, *, size: Sizes, kernel: Sizes, stride: Sizes, padding: Padding, dilation: Sizes
) -> tuple[Any, FoldSaved]:
    """Compute the sum of windows, each added where ``unfold`` takes it from (col2im).

    Args:
        X: (N, C · pixels of a window, places).
        size: that of the result.
        kernel, stride, padding, dilation: as in ``unfold``.

    Returns:
        Y (N, C, *size), and what the backward needs.

    Raises:
        ShapeError: if X has other sizes than ``unfold`` makes of an array of that size.
        ConfigurationError: as ``unfold``.

    >>> import numpy as np
    >>> options = dict(kernel=(2,), stride=(1,), padding=((0, 0),), dilation=(1,))
    >>> fold_forward(np.ones((1, 2, 3)), size=(4,), **options)[0]
    array([[[1., 2., 2., 1.]]])
    """
    at = Geometry(tuple(stride), tuple(padding), tuple(dilation))
    size, kernel = tuple(size), tuple(kernel)
    count = places("fold", size, kernel, at)
    pixels = math.prod(kernel)
    if X.ndim != 3 or X.shape[1] % pixels or X.shape[2] != math.prod(count):
        raise ShapeError(
            f"fold: expected windows (N, C x {pixels}, {math.prod(count)}) for an output of size "
            f"{size} and a kernel of size {kernel}, which has {count} places there; got shape "
            f"{tuple(X.shape)}"
        )
    return folded(X, size, kernel, at), FoldSaved(kernel, *at)


def fold_backward(dY: Any, saved: FoldSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dX, the windows of dY."""
    options = saved._asdict()
    if is_recorded(dY):
        return (array_namespace(dY).formula("unfold", dY, **options),)
    return (unfold_forward(dY, **options)[0],)


FOLD = formula(
    fold_forward,
    fold_backward,
    equation=r"Y_{n, c, j} = \sum_{s i + d k - p = j} X_{n, (c, k), i}",
    gradients={"X": r"\left(\frac{\partial L}{\partial Y}\right)_{n, c, s i + d k - p}"},
    entries={"X": "n,(c,k),i"},
    shapes="X (N, C · pixels of the kernel, places) -> Y (N, C, *size)",
    source="Chellapilla, Puri and Simard 2006",
    analytic=True,
    derivation=(
        "The entry k of the window at the place i is added to the pixel $s i + d k - p$. With a "
        "bracket that is 1 for this pixel and else 0, a pixel is a sum over all entries: $$Y_{n, "
        r"c, j} = \sum_{i, k} [s i + d k - p = j] X_{n, (c, k), i}$$",
        r"Its slopes are what stands beside X: $$\frac{\partial Y_{n, c, j}}{\partial X_{n, (c, "
        "k), i}} = [s i + d k - p = j]$$",
        "The chain rule adds up over the pixels j, and the bracket leaves one of them: the one "
        r"that the entry was added to. $$\frac{\partial L}{\partial X_{n, (c, k), i}} = \sum_j [s "
        r"i + d k - p = j] \frac{\partial L}{\partial Y_{n, c, j}}$$ What falls on the padding is "
        "in no pixel, and gets 0.",
        "So the gradient has the windows of the gradient of Y as its columns, which is what "
        "unfold computes.",
    ),
)
