r"""A linear layer and the cross-entropy of its scores, a block of samples at a time.

$$Z = X W^\top + b, \quad L = \text{cross-entropy of } Z$$

With 50,257 classes the scores of 1,024 tokens are 200 MB, and so is their gradient. Here there are
those of one block only: the backward computes them again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from nnscratch.array import array_namespace, is_recorded
from nnscratch.errors import ConfigurationError, ShapeError
from nnscratch.formulas.class_losses import (
    CrossEntropySaved,
    cross_entropy_backward,
    cross_entropy_forward,
)
from nnscratch.formulas.formula import Shapes, formula
from nnscratch.formulas.loss_reduction import need_reduction
from nnscratch.formulas.saved import Saved
from nnscratch.formulas.softmax import shifted

_NAME = "linear_cross_entropy"


class LinearCrossEntropySaved(Saved):
    """What the backward needs: the inputs, and what the sum was divided by."""

    X: Any
    W: Any
    T: Any
    b: Any
    w: Any
    total: Any
    rows: int
    ignore_index: int
    label_smoothing: float


def _blocks(X: Any, rows: int) -> Iterator[slice]:
    """Yield blocks of samples, one of them all where the calls are recorded."""
    count = X.shape[0]
    size = max(count, 1) if is_recorded(X) else rows
    for first in range(0, max(count, 1), size):
        yield slice(first, min(first + size, count))


def _scores(X: Any, W: Any, b: Any) -> Any:
    Z = X @ array_namespace(W).matrix_transpose(W)
    return Z if b is None else Z + b


def linear_cross_entropy_forward(
    X: Any,
    W: Any,
    T: Any,
    b: Any = None,
    w: Any = None,
    *,
    rows: int,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> tuple[Any, LinearCrossEntropySaved]:
    r"""Compute the cross-entropy of $X W^\top + b$ for class indices T.

    Args:
        X: (N, I), floating.
        W: (C, I).
        T: class indices (N,), integers.
        b: (C,), or None.
        w: a weight for each class (C,), or None.
        rows: how many samples a block has.
        ignore_index: samples of this label cost nothing and are not counted.
        label_smoothing: the share of the target that is spread evenly over the classes.
        reduction: "mean" (over the weights of the samples counted), "sum" or "none".

    Raises:
        ShapeError, DTypeError, DataError, ConfigurationError: as ``cross_entropy`` does.

    >>> import numpy as np
    >>> X, W = np.ones((3, 2)), np.zeros((4, 2))
    >>> float(linear_cross_entropy_forward(X, W, np.array([0, 1, 3]), rows=2)[0])
    1.3862943611198906
    """
    if X.ndim != 2 or W.ndim != 2 or X.shape[1] != W.shape[1]:
        raise ShapeError(
            f"{_NAME}: expected an input (N, in) and a weight (classes, in), got "
            f"{tuple(X.shape)} and {tuple(W.shape)}"
        )
    if b is not None and tuple(b.shape) != (W.shape[0],):
        raise ShapeError(f"{_NAME}: expected a bias ({W.shape[0]},), got {tuple(b.shape)}")
    if tuple(T.shape) != (X.shape[0],):
        raise ShapeError(
            f"{_NAME}: expected class indices of shape ({X.shape[0]},), got {tuple(T.shape)}"
        )
    if rows < 1:
        raise ConfigurationError(f"{_NAME}: a block has one row at least, got {rows}")
    need_reduction(_NAME, reduction)
    xp = array_namespace(X)
    options: dict[str, Any] = {"ignore_index": ignore_index, "label_smoothing": label_smoothing}
    losses, counts = [], []
    for part in _blocks(X, rows):
        Z = _scores(X[part, :], W, b)
        # A mean with the sum beside it says what the block's mean was divided by.
        L, saved = cross_entropy_forward(Z, T[part], w, reduction="mean", **options)
        counts.append(saved.total)
        if reduction == "none":
            L, _ = cross_entropy_forward(Z, T[part], w, reduction="none", **options)
        else:
            L = xp.where(saved.total == 0, 0.0, L * saved.total)
        losses.append(L)
    total = None
    if reduction == "none":
        Y = losses[0] if len(losses) == 1 else xp.concat(losses)
    else:
        Y = xp.sum(xp.stack(losses))
        if reduction == "mean":
            total = xp.sum(xp.stack(counts))
            Y = Y / total
    kept = LinearCrossEntropySaved(X, W, T, b, w, total, rows, ignore_index, label_smoothing)
    return Y, kept


def linear_cross_entropy_backward(
    dY: Any, saved: LinearCrossEntropySaved, needs: tuple[bool, ...]
) -> tuple[Any, ...]:
    """Return dX = dZ W, dW = dZᵀ X and db = Σ dZ, with dZ as of ``cross_entropy``."""
    X, W, T, b, w, total, rows, ignore_index, smoothing = saved
    xp = array_namespace(dY)
    dX: list[Any] = []
    dW = db = None
    for part in _blocks(X, rows):
        E = xp.exp(shifted(xp, _scores(X[part, :], W, b), 1))
        P = E / xp.sum(E, axis=1, keepdims=True)
        of_block = CrossEntropySaved(P, T[part], w, total, ignore_index, smoothing)
        dL = dY[part] if dY.ndim else dY
        (dZ, _, _) = cross_entropy_backward(dL, of_block, (True, False, False))
        if needs[0]:
            dX.append(dZ @ W)
        if needs[1]:
            more = xp.matrix_transpose(dZ) @ X[part, :]
            dW = more if dW is None else dW + more
        if needs[3]:
            more = xp.sum(dZ, axis=0)
            db = more if db is None else db + more
    whole = None if not dX else dX[0] if len(dX) == 1 else xp.concat(dX)
    return whole, dW, None, db, None


def _flops(inputs: Shapes, outputs: Sequence[tuple[int, ...]]) -> int:
    """Return the operations of the product, and of the softmax over its rows."""
    X, W, _, b = inputs[:4]
    assert X is not None
    assert W is not None
    return X[0] * W[0] * (2 * W[1] + (b is not None) + 1)


LINEAR_CROSS_ENTROPY = formula(
    linear_cross_entropy_forward,
    linear_cross_entropy_backward,
    equation=r"Z = X W^\top + b, \quad L = -\frac{1}{N} \sum_n \log \mathrm{softmax}(Z_n)_{T_n}",
    gradients={
        "X": r"\frac{\partial L}{\partial Z} W",
        "W": r"\left(\frac{\partial L}{\partial Z}\right)^\top X",
        "b": r"\sum_n \frac{\partial L}{\partial Z_n}, \quad \frac{\partial L}{\partial Z} = "
        r"\frac{1}{N} (\mathrm{softmax}(Z) - [c = T_n])",
    },
    shapes="X (N, I), W (C, I), T (N,), b (C,) or None, w (C,) or None -> L (), or (N,)",
    floats={"X": "the input", "W": "the linear weight", "b": "the bias", "w": "the weight"},
    source="Wijmans, Huval, Hertzberg, Koltun and Krähenbühl 2024, arXiv:2411.09009",
    flops=_flops,
    analytic=True,
    derivation=(
        "Two lines, with the scores by themselves; the loss of one sample is minus the logarithm "
        r"of a quotient, which is a difference: $$Z = X W^\top + b \\ \ell_n = \log \sum_k "
        "e^{Z_{nk}} - Z_{n T_n}$$",
        "By its scores the first part has the slope $e^{Z_c}$ over the sum, which is softmax, and "
        r"the second takes 1 away at the right class: $$\frac{\partial \ell_n}{\partial Z_{nc}} = "
        r"\mathrm{softmax}(Z_n)_c - [c = T_n]$$",
        "The mean divides by the N samples that count; one that is ignored has the slope 0, and "
        "with the reduction 'sum' nothing divides. With weights of classes or smoothing the slope "
        "is that of cross_entropy, and what follows stays as it is.",
        r"As $Z_{nc} = \sum_i X_{ni} W_{ci} + b_c$, the chain rule adds up over the classes for "
        r"an input, and over the samples for a weight and a bias: $$\frac{\partial L}{\partial "
        r"X_{ni}} = \sum_c \frac{\partial L}{\partial Z_{nc}} W_{ci} \\ \frac{\partial "
        r"L}{\partial W_{ci}} = \sum_n \frac{\partial L}{\partial Z_{nc}} X_{ni} \\ "
        r"\frac{\partial L}{\partial b_c} = \sum_n \frac{\partial L}{\partial Z_{nc}}$$",
        "A row of the first needs the same row of the gradient of Z alone, and the two others are "
        "sums over rows. So a block of rows is computed at a time and added to those before, and "
        "Z is never there as a whole.",
    ),
)
