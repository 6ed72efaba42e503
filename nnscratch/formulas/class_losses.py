r"""Losses of class scores: negative log likelihood and cross-entropy.

The classes are axis 1 of the scores, (N, C, ...), or their only axis, (C,). With a weight $w_c$ for
each class, the mean over samples of known classes divides by the sum of the weights of those
classes, so that weights do not change the size of the loss.
"""

from __future__ import annotations

import math
from typing import Any

from nnscratch.array import CPU, array_namespace, device_of, is_recorded
from nnscratch.array.dtypes import dtype_name, is_integer
from nnscratch.array.integers import intp
from nnscratch.array.short_axis import new_axis, one_hot_along, pick_along, sum_along
from nnscratch.errors import ConfigurationError, DTypeError, ShapeError
from nnscratch.formulas.derivations import CROSS_ENTROPY_STEPS, NLL_STEPS, PROBABILITIES_STEPS
from nnscratch.formulas.formula import Public, formula
from nnscratch.formulas.indexing import refuse_where
from nnscratch.formulas.loss_reduction import need_same_shape, reduce_losses
from nnscratch.formulas.saved import Saved
from nnscratch.formulas.softmax import shifted


def class_axis(where: str, Z: Any) -> int:
    """Return the axis of the classes.

    Raises:
        ShapeError: if Z has no axis.
    """
    if Z.ndim == 0:
        raise ShapeError(f"{where}: expected scores of shape (N, C, ...) or (C,), got a number")
    return 0 if Z.ndim == 1 else 1


def _need_weights(where: str, Z: Any, w: Any, axis: int) -> None:
    if w is not None and w.shape != (Z.shape[axis],):
        raise ShapeError(
            f"{where}: expected one weight for each of {Z.shape[axis]} classes, got a weight of "
            f"shape {tuple(w.shape)}"
        )


def _labels(where: str, Z: Any, T: Any, w: Any, ignore_index: int) -> tuple[Any, Any, int]:
    """Check the inputs; return the labels with 0 in place of ignored ones, the mask of ignored
    ones, and the class axis.
    """
    axis = class_axis(where, Z)
    _need_weights(where, Z, w, axis)
    expected = tuple(size for one, size in enumerate(Z.shape) if one != axis)
    if tuple(T.shape) != expected:
        mend = ""
        if math.prod(T.shape) == math.prod(expected):
            mend = f"; reshape them: target.reshape{expected}"
        elif tuple(T.shape) == tuple(Z.shape):
            mend = "; for one-hot targets take target.argmax(1), for probabilities a float target"
        raise ShapeError(
            f"{where}: expected class indices of shape {expected} for scores of shape "
            f"{tuple(Z.shape)}, got {tuple(T.shape)}{mend}"
        )
    if not is_integer(T):
        raise DTypeError(
            f"{where}: expected integers as class indices, got {dtype_name(T.dtype)}; "
            "convert them first with .long()"
        )
    xp = array_namespace(Z, T, w)
    T = xp.astype(T, xp.int64, copy=False)
    ignored = _ignored(xp, T, ignore_index)
    outside = (T < 0) | (T >= Z.shape[axis])
    bad = outside if ignored is None else outside & ~ignored
    refuse_where(
        where, bad, T, f"class indices from 0 to {Z.shape[axis] - 1} (or {ignore_index}, ignored)"
    )
    return _counted(xp, T, ignored), ignored, axis


def _counted(xp: Any, T: Any, ignored: Any) -> Any:
    """Return labels as int64, 0 in the place of those that are ignored."""
    T = xp.astype(T, xp.int64, copy=False)
    return T if ignored is None else xp.where(ignored, 0, T)


def _ignored(xp: Any, T: Any, ignore_index: int) -> Any:
    """Return where the labels are to be ignored; None if nowhere, which only a CPU is asked."""
    ignored = T == ignore_index
    if not is_recorded(T) and device_of(T) == CPU and not bool(xp.count_nonzero(ignored)):
        return None
    return ignored


def _zero_if(xp: Any, ignored: Any, A: Any) -> Any:
    """Return A with 0 for the samples that are ignored."""
    return A if ignored is None else xp.where(ignored, 0.0, A)


def _weights_of(xp: Any, T: Any, ignored: Any, w: Any, Z: Any) -> Any:
    """Return the weight of each sample: that of its class, 1 without weights, 0 if ignored."""
    if w is None:
        weights = xp.ones(T.shape, dtype=Z.dtype, device=Z.device)
    else:
        weights = xp.reshape(xp.take(w, intp(xp.reshape(T, (-1,)))), T.shape)
    return _zero_if(xp, ignored, weights)


def _reduce(
    xp: Any, where: str, L: Any, ignored: Any, weights: Any, reduction: str
) -> tuple[Any, Any]:
    """Return the reduced loss, and what it was divided by (None if by nothing).

    ``weights`` is None where there are none.
    """
    if reduction != "mean":
        return reduce_losses(where, xp, L, reduction), None
    if weights is None:
        total = math.prod(L.shape) - (0 if ignored is None else xp.count_nonzero(ignored))
    else:
        total = xp.sum(weights)
    total = xp.asarray(total, dtype=L.dtype, device=L.device)
    return xp.sum(L) / total, total


class NllSaved(Saved):
    """What the backward of ``nll`` needs: labels, each sample's weight, and the divisor."""

    T: Any
    weights: Any
    total: Any
    classes: int
    ignore_index: int


def nll_forward(
    logP: Any, T: Any, w: Any = None, *, ignore_index: int = -100, reduction: str = "mean"
) -> tuple[Any, NllSaved]:
    """Compute -w_T log P_T, given the logarithms of the class probabilities.

    Args:
        logP: (N, C, ...) or (C,), floating.
        T: class indices (N, ...) or (), integers.
        w: a weight for each class (C,), or None.
        ignore_index: samples of this label cost nothing and are not counted.
        reduction: "mean" (over the weights of the samples counted), "sum" or "none".

    Raises:
        ShapeError: if the shapes do not fit.
        DTypeError: if T holds no integers, or the others do.
        DataError: if a class index is out of range.
        ConfigurationError: if the reduction is none of the three.
    """
    labels, ignored, axis = _labels("nll", logP, T, w, ignore_index)
    xp = array_namespace(logP)
    weights = _weights_of(xp, labels, ignored, w, logP)
    L = _zero_if(xp, ignored, -weights * pick_along(logP, labels, axis))
    Y, total = _reduce(xp, "nll", L, ignored, None if w is None else weights, reduction)
    return Y, NllSaved(T, weights, total, logP.shape[axis], ignore_index)


def nll_backward(dY: Any, saved: NllSaved, needs: tuple[bool, ...]) -> tuple[Any, ...]:
    """Return dlogP = -dY w_T at the class of each sample, else 0; over Σ w_T for the mean."""
    T, weights, total, classes, ignore_index = saved
    xp = array_namespace(dY)
    axis = 0 if T.ndim == 0 else 1
    T = _counted(xp, T, _ignored(xp, T, ignore_index))
    # A sample that weighs nothing has no gradient, even if nothing else weighs anything.
    scale = xp.where(weights == 0, 0.0, -(dY if total is None else dY / total) * weights)
    hot = one_hot_along(T, classes, axis)
    return xp.where(hot, new_axis(scale, axis), 0.0), None, None


NLL = formula(
    nll_forward,
    nll_backward,
    equation=r"L = -\frac{\sum_n w_{T_n} \log P_{n T_n}}{\sum_n w_{T_n}}",
    gradients={"logP": r"-\frac{w_{T_n}}{\sum_m w_{T_m}} [c = T_n]"},
    entries={"logP": "nc"},
    shapes="logP (N, C, ...) or (C,), T (N, ...) or (), w (C,) -> L (), or as T without reduction",
    floats={"logP": "the input", "w": "the weight"},
    source="Bishop 2006, section 4.3.4",
    analytic=True,
    public=Public(
        kind="loss",
        function="nll_loss",
        module="NLLLoss",
        torch="nn.functional.nll_loss",
        arguments=(
            "input", "target", "weight", "size_average", "ignore_index", "reduce", "reduction"
        ),
        task="classification",
    ),
    derivation=NLL_STEPS,
)  # fmt: skip


class CrossEntropySaved(Saved):
    """What the backward of ``cross_entropy`` needs: P = softmax Z, and the rest as in ``nll``."""

    P: Any
    T: Any
    w: Any
    total: Any
    ignore_index: int
    label_smoothing: float


def _need_smoothing(where: str, label_smoothing: float) -> float:
    if not 0.0 <= label_smoothing <= 1.0:
        raise ConfigurationError(
            f"{where}: label_smoothing must be from 0 to 1, got {label_smoothing}"
        )
    return label_smoothing


def cross_entropy_forward(
    Z: Any,
    T: Any,
    w: Any = None,
    *,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> tuple[Any, CrossEntropySaved]:
    r"""Compute $-w_T \log \mathrm{softmax}(Z)_T$ for class indices T, straight from the logits Z.

    With label smoothing ε it is (1 - ε) times that, and ε/C of the same sum over all classes.

    Args:
        Z: logits (N, C, ...) or (C,), floating.
        T: class indices (N, ...) or (), integers.
        w: a weight for each class (C,), or None.
        ignore_index: samples of this label cost nothing and are not counted.
        label_smoothing: ε, from 0 to 1.
        reduction: "mean" (over the weights of the samples counted), "sum" or "none".

    Returns:
        The loss, and what the backward needs.

    Raises:
        ShapeError: if the shapes do not fit.
        DTypeError: if T holds no integers, or the others do.
        DataError: naming the first class index that is out of range.
        ConfigurationError: if the reduction is none of the three, or ε is not from 0 to 1.

    >>> import numpy as np
    >>> float(cross_entropy_forward(np.array([[0.0, 1e4]]), np.array([0]))[0])
    10000.0
    """
    smoothing = _need_smoothing("cross_entropy", label_smoothing)
    labels, ignored, axis = _labels("cross_entropy", Z, T, w, ignore_index)
    xp = array_namespace(Z)
    S = shifted(xp, Z, axis)
    E = xp.exp(S)
    total_E = sum_along(E, axis)
    log_total = xp.log(total_E)
    L = xp.squeeze(log_total, axis=axis) - pick_along(S, labels, axis)
    weights = None if w is None else _weights_of(xp, labels, ignored, w, Z)
    if weights is not None:
        L = weights * L
    if smoothing:
        logP = S - log_total
        if w is not None:
            logP = logP * _along(xp, w, Z.ndim, axis)
        L = (1.0 - smoothing) * L - (smoothing / Z.shape[axis]) * xp.sum(logP, axis=axis)
    L = _zero_if(xp, ignored, L)
    Y, total = _reduce(xp, "cross_entropy", L, ignored, weights, reduction)
    return Y, CrossEntropySaved(E / total_E, T, w, total, ignore_index, smoothing)


def _along(xp: Any, w: Any, ndim: int, axis: int) -> Any:
    return xp.reshape(w, (w.shape[0], *(1,) * (ndim - 1 - axis)))


def cross_entropy_backward(
    dY: Any, saved: CrossEntropySaved, needs: tuple[bool, ...]
) -> tuple[Any, ...]:
    r"""Return $dZ_c = dY (P_c \sum_k q_k - q_c)$ with $q_c = (1 - ε) w_T [c = T] + ε w_c / C$."""
    P, T, w, total, ignore_index, smoothing = saved
    xp = array_namespace(dY)
    axis = 0 if P.ndim == 1 else 1
    ignored = _ignored(xp, T, ignore_index)
    T = _counted(xp, T, ignored)
    classes = P.shape[axis]
    scale = dY if total is None else dY / total
    hot = one_hot_along(T, classes, axis)
    if w is None and not smoothing:
        D = P - xp.astype(hot, P.dtype)
    else:
        weights = _weights_of(xp, T, ignored, w, P)
        Q = xp.where(hot, new_axis((1.0 - smoothing) * weights, axis), 0.0)
        if smoothing:
            Q = Q + (
                smoothing / classes
                if w is None
                else _along(xp, w, P.ndim, axis) * (smoothing / classes)
            )
        D = P * sum_along(Q, axis) - Q
    dZ = (new_axis(scale, axis) if scale.ndim else scale) * D
    # Not by a factor of 0: where no sample counts, the scale is infinite.
    return dZ if ignored is None else xp.where(new_axis(ignored, axis), 0.0, dZ), None, None


CROSS_ENTROPY = formula(
    cross_entropy_forward,
    cross_entropy_backward,
    equation=r"L = -\frac{\sum_n \sum_c q_{nc} \log P_{nc}}{\sum_n w_{T_n}}, \quad"
    r" P = \mathrm{softmax}(Z), \quad"
    r" q_{nc} = (1 - \varepsilon) w_{T_n} [c = T_n] + \frac{\varepsilon}{C} w_c",
    gradients={
        "Z": r"\frac{1}{\sum_m w_{T_m}} \left(P_{nc} \sum_k q_{nk} - q_{nc}\right)",
    },
    entries={"Z": "nc"},
    shapes="Z (N, C, ...) or (C,), T (N, ...) or (), w (C,) -> L (), or as T without reduction",
    floats={"Z": "the input", "w": "the weight"},
    source="document, section 5.2; Bishop 2006, section 4.3.4; Szegedy, Vanhoucke, Ioffe, "
    "Shlens and Wojna 2016 (label smoothing)",
    analytic=True,
    public=Public(
        kind="loss",
        function="cross_entropy",
        module="CrossEntropyLoss",
        by_hand=("cross_entropy", "CrossEntropyLoss"),
        torch="nn.functional.cross_entropy",
        task="classification",
    ),
    derivation=CROSS_ENTROPY_STEPS,
)


class CrossEntropyProbabilitiesSaved(Saved):
    """What the backward of ``cross_entropy_probabilities`` needs."""

    logP: Any
    T: Any
    w: Any
    label_smoothing: float
    reduction: str


def cross_entropy_probabilities_forward(
    Z: Any, T: Any, w: Any = None, *, label_smoothing: float = 0.0, reduction: str = "mean"
) -> tuple[Any, CrossEntropyProbabilitiesSaved]:
    r"""Compute $-\sum_c w_c q_c \log \mathrm{softmax}(Z)_c$ for class probabilities T.

    Here $q = (1 - ε) T + ε/C$. The mean divides by the number of samples, not by weights.

    Args:
        Z: logits (N, C, ...) or (C,), floating.
        T: class probabilities of the same shape and dtype.
        w: a weight for each class (C,), or None.
        label_smoothing: ε, from 0 to 1.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError, DTypeError, ConfigurationError: as ``cross_entropy`` does.
    """
    where = "cross_entropy_probabilities"
    smoothing = _need_smoothing(where, label_smoothing)
    need_same_shape(where, Z, T)
    axis = class_axis(where, Z)
    _need_weights(where, Z, w, axis)
    xp = array_namespace(Z, T, w)
    S = shifted(xp, Z, axis)
    logP = S - xp.log(sum_along(xp.exp(S), axis))
    L = -xp.sum(_target(xp, T, w, smoothing, axis) * logP, axis=axis)
    saved = CrossEntropyProbabilitiesSaved(logP, T, w, smoothing, reduction)
    return reduce_losses(where, xp, L, reduction), saved


def _target(xp: Any, T: Any, w: Any, smoothing: float, axis: int) -> Any:
    Q = (1.0 - smoothing) * T + smoothing / T.shape[axis] if smoothing else T
    return Q if w is None else Q * _along(xp, w, T.ndim, axis)


def cross_entropy_probabilities_backward(
    dY: Any, saved: CrossEntropyProbabilitiesSaved, needs: tuple[bool, ...]
) -> tuple[Any, ...]:
    """Return dZ_c = dY (P_c Σ_k w_k q_k - w_c q_c) and dT_c = -dY (1 - ε) w_c log P_c."""
    logP, T, w, smoothing, reduction = saved
    xp = array_namespace(dY)
    axis = 0 if logP.ndim == 1 else 1
    if reduction == "mean":
        dY = dY / (math.prod(logP.shape[:axis]) * math.prod(logP.shape[axis + 1 :]))
    elif reduction == "none":
        dY = new_axis(dY, axis)
    dZ = dT = None
    if needs[0]:
        Q = _target(xp, T, w, smoothing, axis)
        dZ = dY * (xp.exp(logP) * sum_along(Q, axis) - Q)
    if needs[1]:
        dT = -dY * (1.0 - smoothing) * logP
        if w is not None:
            dT = dT * _along(xp, w, logP.ndim, axis)
    return dZ, dT, None


CROSS_ENTROPY_PROBABILITIES = formula(
    cross_entropy_probabilities_forward,
    cross_entropy_probabilities_backward,
    equation=r"L = -\frac{1}{N} \sum_n \sum_c w_c q_{nc} \log P_{nc}, \quad"
    r" P = \mathrm{softmax}(Z), \quad q = (1 - \varepsilon) T + \varepsilon / C",
    gradients={
        "Z": r"\frac{1}{N} \left(P_{nc} \sum_k w_k q_{nk} - w_c q_{nc}\right)",
        "T": r"-\frac{1 - \varepsilon}{N} w_c \log P_{nc}",
    },
    entries={"Z": "nc", "T": "nc"},
    shapes="Z and T (N, C, ...) or (C,), w (C,) -> L (), or (N, ...) without reduction",
    floats={"Z": "the input", "T": "the target", "w": "the weight"},
    source="Bishop 2006, section 4.3.4; Szegedy, Vanhoucke, Ioffe, Shlens and Wojna 2016",
    analytic=True,
    derivation=PROBABILITIES_STEPS,
)
