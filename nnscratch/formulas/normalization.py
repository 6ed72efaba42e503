r"""Normalisation: values without their mean and of variance 1, over axes that a layer chooses.

With the mean M and the variance V of X over some axes, $R = (V + \epsilon)^{-1/2}$ and the
normalised values $\hat X = (X - M) R$, every layer computes $Y = W \hat X + b$. The layers differ
in the axes: all but the channels (batch), the last ones (layer), those of a group of channels
(group), those of a picture (instance).

Variances are found from the differences, not as mean of squares minus square of mean, which loses
all digits where the mean is large; and the mean is corrected by the mean of these differences.
"""

from __future__ import annotations

import math
from typing import Any

from nnscratch.array import array_namespace
from nnscratch.errors import ShapeError
from nnscratch.formulas.checks import need_axes
from nnscratch.formulas.formula import formula
from nnscratch.formulas.saved import Saved


class StandardizeSaved(Saved):
    """What the backward of ``standardize`` needs; ``affine`` are the axes that W and b have."""

    X: Any
    W: Any
    M: Any
    V: Any
    axes: tuple[int, ...]
    affine: tuple[int, ...]
    eps: float


def standardize_forward(
    X: Any, W: Any = None, b: Any = None, *, axes: tuple[int, ...], first: int = 1, eps: float
) -> tuple[tuple[Any, Any, Any], StandardizeSaved]:
    r"""Compute $Y = W \frac{X - M}{\sqrt{V + \epsilon}} + b$, M and V the mean and variance of X.

    Args:
        X: any shape.
        W: the scale, of the sizes of consecutive axes of X; None for 1.
        b: the shift, of the shape of W; None for 0.
        axes: the axes over which M and V are taken; V is the mean of squares (biased).
        first: the first of the axes of X that W and b have.
        eps: what is added to V.

    Returns:
        Y of the shape of X, M and V without the axes, and what the backward needs.

    Raises:
        ShapeError: if there are no such axes, or W and b do not have the sizes of theirs.
        DTypeError: if they are not floating-point numbers of one dtype.

    >>> import numpy as np
    >>> (Y, M, V), _ = standardize_forward(np.array([[0.0, 2.0]]), axes=(1,), eps=0.0)
    >>> Y, M, V
    (array([[-1.,  1.]]), array([1.]), array([1.]))
    """
    axes = need_axes("standardize", X.shape, axes)
    need_sizes("standardize", X, first, W=W, b=b)
    xp = array_namespace(X)
    count = math.prod([X.shape[axis] for axis in axes])
    M = xp.sum(X, axis=axes, keepdims=True) / count
    D = X - M
    error = xp.sum(D, axis=axes, keepdims=True) / count  # what rounding left of the mean
    M, D = M + error, D - error
    V = xp.sum(D * D, axis=axes, keepdims=True) / count
    Y = scaled_and_shifted(xp, D / xp.sqrt(V + eps), W, b, first)
    M, V = xp.squeeze(M, axis=axes), xp.squeeze(V, axis=axes)
    dims = W.ndim if W is not None else 0 if b is None else b.ndim
    affine = tuple(range(first, first + dims))
    return (Y, M, V), StandardizeSaved(X, W, M, V, axes, affine, eps)


def standardize_backward(
    dY: tuple[Any, Any, Any], saved: StandardizeSaved, needs: tuple[bool, ...]
) -> tuple[Any, Any, Any]:
    r"""Return dX, dW and db, the means over the axes; $\hat X = (X - M) R$, $G = W dY$.

    $dX = R (G - \overline{G} - \hat X \, \overline{G \hat X}) + dM / n + dV \cdot 2 (X - M) / n$,
    dW = Σ dY X̂ and db = Σ dY over what W and b are repeated along.
    """
    given, dM, dV = dY
    X, W, M, V, axes, affine, eps = saved
    xp = array_namespace(X)
    kept = tuple([1 if axis in axes else size for axis, size in enumerate(X.shape)])
    count = math.prod([X.shape[axis] for axis in axes])
    D = X - xp.reshape(M, kept)
    dX = dW = db = None
    if given is not None:
        R = 1.0 / xp.sqrt(xp.reshape(V, kept) + eps)
        N = D * R
        if needs[0]:
            G = given if W is None else given * beside(xp, W, X, affine[0])
            mean = xp.sum(G, axis=axes, keepdims=True) / count
            along = xp.sum(G * N, axis=axes, keepdims=True) / count
            dX = R * (G - mean - N * along)
        dW, db = affine_backward(xp, given, N, affine, needs[1:])
    if needs[0] and dV is not None:
        part = D * (xp.reshape(dV, kept) * (2.0 / max(count, 1)))
        dX = part if dX is None else dX + part
    if needs[0] and dM is not None:
        part = xp.reshape(dM, kept) / count
        dX = xp.asarray(xp.broadcast_to(part, X.shape), copy=True) if dX is None else dX + part
    return dX, dW, db


STANDARDIZE = formula(
    standardize_forward,
    standardize_backward,
    outputs=("Y", "M", "V"),
    equation=r"M = \frac{1}{n} \sum_i X_i, \quad V = \frac{1}{n} \sum_i (X_i - M)^2,"
    r" \quad Y = W \frac{X - M}{\sqrt{V + \epsilon}} + b",
    gradients={
        "X": r"R \left(G - \overline{G} - \hat X \, \overline{G \hat X}\right)"
        r" + \frac{1}{n} \frac{\partial L}{\partial M}"
        r" + \frac{2}{n} (X - M) \frac{\partial L}{\partial V}, \quad"
        r" R = \frac{1}{\sqrt{V + \epsilon}}, \; \hat X = (X - M) R,"
        r" \; G = W \frac{\partial L}{\partial Y}",
        "W": r"\sum \frac{\partial L}{\partial Y} \hat X",
        "b": r"\sum \frac{\partial L}{\partial Y}",
    },
    shapes="X (any), W and b (the sizes of some of its axes) -> Y (as X), M and V (without axes)",
    floats=("X", "W", "b"),
    source="Ioffe and Szegedy 2015, arXiv:1502.03167; Ba, Kiros and Hinton 2016, arXiv:1607.06450;"
    " Chan, Golub and LeVeque 1983 (the corrected mean)",
    analytic=True,
    derivation=(
        r"Over the n entries that share a mean, with $R = (V + \epsilon)^{-1/2}$, write $\hat "
        r"X = (X - M) R$ and $Y = W \hat X + b$. So what comes back to $\hat X$ is $G = W "
        r"\frac{\partial L}{\partial Y}$, and what comes back to W and b are sums over all "
        "that they were repeated to.",
        r"Every $X_k$ acts on $\hat X_i$ in three ways: itself, by the mean, and by the "
        r"variance, whose slopes are $$\frac{\partial M}{\partial X_k} = \frac{1}{n} \\ "
        r"\frac{\partial V}{\partial X_k} = \frac{2}{n} (X_k - M) \\ \frac{\partial "
        r"R}{\partial V} = -\frac{1}{2} R^3$$",
        r"The product rule: $$\frac{\partial \hat X_i}{\partial X_k} = \left([i = k] - "
        r"\frac{1}{n}\right) R + (X_i - M) \left(-\frac{1}{2} R^3\right) \frac{2}{n} (X_k - "
        "M)$$",
        r"With $(X - M) R = \hat X$ that is $$\frac{\partial \hat X_i}{\partial X_k} = R "
        r"\left([i = k] - \frac{1}{n} - \frac{1}{n} \hat X_i \hat X_k\right)$$",
        "The chain rule adds up over i. The sums over n entries, divided by n, are means: "
        r"$$\sum_i G_i \frac{\partial \hat X_i}{\partial X_k} = R \left(G_k - \overline{G} - "
        r"\hat X_k \, \overline{G \hat X}\right)$$",
        "What comes back to the outputs M and V themselves is added, with their slopes of step 2.",
    ),
)


def need_sizes(where: str, X: Any, first: int, **arrays: Any) -> None:
    """Check that arrays have the sizes of axes of X, from ``first`` on."""
    for name, array in arrays.items():
        if array is None:
            continue
        wanted = tuple(X.shape[first : first + max(array.ndim, 1)])
        if tuple(array.shape) != wanted or not wanted:
            raise ShapeError(
                f"{where}: {name} of shape {tuple(array.shape)} does not fit X of shape "
                f"{tuple(X.shape)}; expected {wanted}, the sizes from axis {first} on"
            )


def beside(xp: Any, W: Any, X: Any, first: int) -> Any:
    """Return W with further axes of 1 behind its own, so that it broadcasts along X."""
    behind = X.ndim - first - W.ndim
    return xp.reshape(W, (*W.shape, *(1,) * behind)) if behind else W


def scaled_and_shifted(xp: Any, N: Any, W: Any, b: Any, first: int) -> Any:
    """Return W N + b, where W and b have the sizes of axes of N from ``first`` on, or are None."""
    if W is not None:
        N = N * beside(xp, W, N, first)
    return N if b is None else N + beside(xp, b, N, first)


def affine_backward(
    xp: Any, dY: Any, N: Any, axes: tuple[int, ...], needs: tuple[bool, ...]
) -> tuple[Any, Any]:
    """Return dW = Σ dY N and db = Σ dY, the sums over all axes but those that W and b have."""
    others = tuple([axis for axis in range(dY.ndim) if axis not in axes])
    dW = xp.sum(dY * N, axis=others) if needs[0] else None
    return dW, xp.sum(dY, axis=others) if needs[1] else None
