"""Losses of class scores that ask for a margin between right classes and the others.

The scores are (N, C), or (C,) of one sample; the losses (N,), or () of one sample.
"""

from __future__ import annotations

import math
from typing import Any

from nnscratch.array import array_namespace
from nnscratch.array.dtypes import dtype_name, is_integer
from nnscratch.array.short_axis import one_hot_along
from nnscratch.errors import ConfigurationError, DTypeError, ShapeError
from nnscratch.formulas.formula import Public, formula
from nnscratch.formulas.indexing import refuse_where
from nnscratch.formulas.loss_reduction import reduce_losses, spread
from nnscratch.formulas.saved import Saved


def _need_integers(where: str, T: Any) -> None:
    if not is_integer(T):
        raise DTypeError(
            f"{where}: expected class indices, got {dtype_name(T.dtype)}; convert them with .long()"
        )


def _rows(A: Any) -> Any:
    """Return scores, or what belongs to them, as (N, ...): one sample becomes a batch of one."""
    return array_namespace(A).reshape(A, (1, *A.shape)) if A.ndim == 1 else A


class MultiMarginSaved(Saved):
    """What the backward of ``multi_margin`` needs."""

    X: Any
    T: Any
    w: Any
    p: int
    margin: float
    reduction: str


def _excess(X: Any, T: Any, w: Any, margin: float) -> tuple[Any, Any, Any]:
    """Return max(0, m - x_t + x_j) with 0 for j = t, the one-hot targets, and w_t / C as (N, 1)."""
    xp = array_namespace(X, T)
    X = _rows(X)
    right = one_hot_along(xp.reshape(T, (X.shape[0],)), X.shape[1], 1)
    score = xp.sum(xp.where(right, X, 0.0), axis=1, keepdims=True)
    over = margin - score + X
    over = xp.where((over > 0) & ~right, over, 0.0)
    scale = xp.full((X.shape[0], 1), 1.0 / max(X.shape[1], 1), dtype=X.dtype, device=X.device)
    if w is not None:
        scale = scale * xp.sum(xp.where(right, w, 0.0), axis=1, keepdims=True)
    return over, right, scale


def multi_margin_forward(
    X: Any, T: Any, w: Any = None, *, p: int = 1, margin: float = 1.0, reduction: str = "mean"
) -> tuple[Any, MultiMarginSaved]:
    """Compute the mean over the classes j of w_t max(0, margin - x_t + x_j)^p, without j = t.

    Args:
        X: scores (N, C) or (C,), floating.
        T: the right class of each, integers (N,) or ().
        w: a weight for each class (C,), or None.
        p: 1 or 2.
        margin: by how much the right class shall be above the others.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: if the shapes do not fit.
        DTypeError: if X holds integers, or T does not.
        DataError: if a class is out of range.
        ConfigurationError: if p is neither 1 nor 2, or the reduction none of the three.
    """
    if p not in (1, 2):
        raise ConfigurationError(f"multi_margin: p is 1 or 2, got {p!r}")
    one = X.ndim < 2
    fits = X.ndim in (0, 1, 2) and math.prod(T.shape) == (1 if one else X.shape[0]) and T.ndim <= 1
    if not fits or (X.ndim == 2 and T.ndim != 1) or (X.ndim and not X.shape[-1]):
        raise ShapeError(
            f"multi_margin: expected scores (N, C) with classes (N,), or (C,) with (), got "
            f"{tuple(X.shape)} and {tuple(T.shape)}"
        )
    _need_integers("multi_margin", T)
    xp = array_namespace(X, T, w)
    classes = X.shape[-1] if X.ndim else 1
    if w is not None and tuple(w.shape) != (classes,):
        raise ShapeError(
            f"multi_margin: expected one weight for each of {classes} classes, got a weight of "
            f"shape {tuple(w.shape)}"
        )
    refuse_where("multi_margin", (T < 0) | (classes <= T), T, f"classes from 0 to {classes - 1}")
    over, _, scale = _excess(xp.reshape(X, (1,)) if X.ndim == 0 else X, T, w, margin)
    L = xp.sum(scale * (over * over if p == 2 else over), axis=1)
    if one:
        L = xp.reshape(L, T.shape)
    saved = MultiMarginSaved(X, T, w, p, margin, reduction)
    return reduce_losses("multi_margin", xp, L, reduction), saved


def multi_margin_backward(
    dY: Any, saved: MultiMarginSaved, needs: tuple[bool, ...]
) -> tuple[Any, ...]:
    """Return dx_j = w_t p (margin - x_t + x_j)^(p-1) / C where that is above 0; dx_t = -Σ dx_j."""
    X, T, w, p, margin, reduction = saved
    xp = array_namespace(dY, X)
    flat = xp.reshape(X, (1,)) if X.ndim == 0 else X
    over, right, scale = _excess(flat, T, w, margin)
    slope = 2.0 * over if p == 2 else xp.astype(over > 0, over.dtype)
    count = X.shape[0] if X.ndim == 2 else 1
    dL = xp.reshape(spread(dY, reduction, count), (-1, 1) if reduction == "none" else (1, 1))
    dX = dL * scale * slope
    dX = xp.where(right, -xp.sum(dX, axis=1, keepdims=True), dX)
    return xp.reshape(dX, X.shape), None, None


MULTI_MARGIN = formula(
    multi_margin_forward,
    multi_margin_backward,
    equation=r"L = \frac{1}{N} \sum_n \frac{w_{T_n}}{C} \sum_{j \ne T_n}"
    r" \max(0, m - X_{n T_n} + X_{nj})^p",
    gradients={
        "X": r"\frac{w_{T_n} p}{N C} (m - X_{n T_n} + X_{nj})^{p-1}"
        r" [m - X_{n T_n} + X_{nj} > 0] [j \ne T_n],"
        r" \text{ and minus their sum at } T_n"
    },
    entries={"X": "nj"},
    shapes="X (N, C) or (C,), T (N,) or (), w (C,) -> L (), or as T without reduction",
    floats={"X": "the input", "w": "the weight"},
    source="Crammer and Singer 2001",
    kinks="where X_j = X_T - margin, if p is 1",
    public=Public(
        kind="loss",
        function="multi_margin_loss",
        module="MultiMarginLoss",
        torch="nn.functional.multi_margin_loss",
        arguments=(
            *("input", "target", "p", "margin", "weight"),
            *("size_average", "reduce", "reduction"),
        ),
    ),
    derivation=(
        "Take one sample with the right class t, and write D for the margin that each other class "
        r"j lacks: $$D_j = m - X_t + X_j \\ \ell = \frac{w_t}{C} \sum_{j \ne t} \max(0, D_j)^p$$",
        "Where D is negative a term is 0 and so is its slope; where it is positive the term is a "
        r"power: $$\frac{\partial}{\partial D} \max(0, D)^p = p D^{p-1} [D > 0]$$",
        "With p = 2 both sides have the slope 0 at D = 0; with p = 1 the slope jumps there from 0 "
        "to 1, and the code takes 0.",
        r"$D_j$ grows with $X_j$ and falls with $X_t$: $$\frac{\partial D_j}{\partial X_j} = 1 \\ "
        r"\frac{\partial D_j}{\partial X_t} = -1$$",
        "The score of another class is in one D alone, that of the right class is in all of them, "
        r"and the chain rule adds up: $$\frac{\partial \ell}{\partial X_j} = \frac{w_t}{C} p "
        r"D_j^{p-1} [D_j > 0] \\ \frac{\partial \ell}{\partial X_t} = -\sum_{j \ne t} "
        r"\frac{\partial \ell}{\partial X_j}$$",
        "The mean over the samples divides by N, whatever the weights are; with the reduction "
        "'sum' nothing does. Without weights w is 1.",
    ),
)


class MultilabelMarginSaved(Saved):
    """What the backward of ``multilabel_margin`` needs."""

    X: Any
    T: Any
    reduction: str


def _pairs(X: Any, T: Any) -> tuple[Any, Any]:
    """Return max(0, 1 - (x_j - x_i)) and where it is above 0, both (N, j, i).

    j goes over the labels, the entries of T before the first -1 (twice where one comes twice), and
    i over the classes that are no label.
    """
    xp = array_namespace(X, T)
    X, T = _rows(X), _rows(T)
    places = xp.arange(T.shape[1], dtype=T.dtype, device=T.device)
    end = xp.min(xp.where(T < 0, places, T.shape[1]), axis=1, keepdims=True)
    hot = one_hot_along(xp.where(places < end, T, -1), X.shape[1], 2)  # (N, place, class)
    hits = xp.astype(hot, xp.int64)
    other = xp.sum(hits, axis=1) == 0
    given = xp.sum(hits, axis=2, keepdims=True) > 0
    picked = xp.sum(xp.where(hot, xp.expand_dims(X, axis=1), 0.0), axis=2, keepdims=True)
    over = 1.0 - (picked - xp.expand_dims(X, axis=1))
    counts = given & xp.expand_dims(other, axis=1) & (over > 0)
    return xp.where(counts, over, 0.0), (counts, hot)


def multilabel_margin_forward(
    X: Any, T: Any, *, reduction: str = "mean"
) -> tuple[Any, MultilabelMarginSaved]:
    """Compute Σ max(0, 1 - (x_j - x_i)) / C over the labels j and all other classes i.

    Args:
        X: scores (N, C) or (C,), floating.
        T: the labels of each sample, integers in the shape of X; those from the first -1 on are
            not counted.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: if the shapes differ.
        DTypeError: if X holds integers, or T does not.
        DataError: if a label is out of range.
        ConfigurationError: if the reduction is none of the three.
    """
    if tuple(X.shape) != tuple(T.shape) or X.ndim > 2:
        raise ShapeError(
            "multilabel_margin: expected scores (N, C) or (C,) and labels of the same shape, got "
            f"{tuple(X.shape)} and {tuple(T.shape)}"
        )
    _need_integers("multilabel_margin", T)
    xp = array_namespace(X, T)
    classes = X.shape[-1] if X.ndim else 1
    expected = f"labels from 0 to {classes - 1}, and -1 behind the last one"
    refuse_where("multilabel_margin", (T < -1) | (classes <= T), T, expected)
    flat = [xp.reshape(one, (1,)) if X.ndim == 0 else one for one in (X, T)]
    over, _ = _pairs(*flat)
    L = xp.sum(over, axis=(1, 2)) / classes
    if X.ndim < 2:
        L = xp.reshape(L, ())
    saved = MultilabelMarginSaved(X, T, reduction)
    return reduce_losses("multilabel_margin", xp, L, reduction), saved


def multilabel_margin_backward(
    dY: Any, saved: MultilabelMarginSaved, needs: tuple[bool, ...]
) -> tuple[Any, ...]:
    """Return dx_i = (labels j with a loss against i) / C, and dx_j = -(classes against j) / C."""
    X, T, reduction = saved
    xp = array_namespace(dY, X)
    flat = [xp.reshape(one, (1,)) if X.ndim == 0 else one for one in (X, T)]
    _, (counts, hot) = _pairs(*flat)
    number = xp.astype(counts, X.dtype)
    against = xp.sum(number, axis=2, keepdims=True)  # (N, place, 1)
    slope = xp.sum(number, axis=1) - xp.sum(xp.where(hot, against, 0.0), axis=1)
    count = X.shape[0] if X.ndim == 2 else 1
    dL = xp.reshape(spread(dY, reduction, count), (-1, 1) if reduction == "none" else (1, 1))
    classes = X.shape[-1] if X.ndim else 1
    return xp.reshape(dL * (slope / classes), X.shape), None


MULTILABEL_MARGIN = formula(
    multilabel_margin_forward,
    multilabel_margin_backward,
    equation=r"L = \frac{1}{N} \sum_n \frac{1}{C} \sum_{j \in T_n} \sum_{i \notin T_n}"
    r" \max(0, 1 - (X_{nj} - X_{ni}))",
    gradients={
        "X": r"\frac{1}{N C} \left([i \notin T_n] \sum_{j \in T_n} [X_{nj} - X_{ni} < 1]"
        r" - [i \in T_n] \sum_{k \notin T_n} [X_{ni} - X_{nk} < 1]\right)"
    },
    shapes="X and T (N, C) or (C,) -> L (), or (N,) without reduction",
    floats={"X": "the input"},
    source="Crammer and Singer 2003",
    kinks="where the score of a label is 1 above that of another class",
    public=Public(
        kind="loss",
        function="multilabel_margin_loss",
        module="MultiLabelMarginLoss",
        torch="nn.functional.multilabel_margin_loss",
        arguments=("input", "target", "size_average", "reduce", "reduction"),
    ),
    derivation=(
        "Take one sample. Its labels j are the entries of T before the first -1; each makes a pair "
        r"with every class i that is no label: $$D_{ji} = 1 - (X_j - X_i) \\ \ell = \frac{1}{C} "
        r"\sum_{j \in T} \sum_{i \notin T} \max(0, D_{ji})$$",
        r"A term is 0 where D is negative and D itself where it is positive: "
        r"$$\frac{\partial}{\partial D} \max(0, D) = [D > 0]$$ That is where $X_j - X_i < 1$. At D "
        "= 0 there is a kink, and the code takes 0.",
        r"D falls with the score of the label and grows with the other: $$\frac{\partial "
        r"D_{ji}}{\partial X_j} = -1 \\ \frac{\partial D_{ji}}{\partial X_i} = 1$$",
        "The chain rule adds up over the pairs that a class is in. One that is no label is in a "
        r"pair with each label: $$\frac{\partial \ell}{\partial X_i} = \frac{1}{C} \sum_{j \in T} "
        "[X_j - X_i < 1]$$ A label is in a pair with each of the others, and twice if T has it "
        r"twice: $$\frac{\partial \ell}{\partial X_j} = -\frac{1}{C} \sum_{k \notin T} [X_j - X_k "
        "< 1]$$",
        "Every class is one or the other, so two brackets put both into one line. The mean over "
        "the samples divides by N; with the reduction 'sum' nothing does.",
    ),
)
