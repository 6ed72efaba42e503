"""Losses, softmax and dropout as instructions."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from nnscratch.array.dtypes import dtype_name
from nnscratch.errors import DataError
from nnscratch.formulas.binary_losses import BceWithLogitsSaved, bce_with_logits_backward
from nnscratch.formulas.class_losses import CrossEntropySaved
from nnscratch.formulas.losses import MseSaved
from nnscratch.formulas.random import DropoutSaved
from nnscratch.formulas.softmax import SoftmaxSaved

from .catalogue import kernel
from .implementation import Builder, CpuKernel, Inputs, Options
from .reduction_sizes import blocks
from .runtime.table import stops_at

MSE, BCE = 0, 1
REDUCTIONS = ("mean", "sum", "none")


def _check_cross_entropy(inputs: Inputs, options: Options) -> str | None:
    Z, T, *rest = inputs
    w = rest[0] if rest else None
    if Z.ndim != 2 or not isinstance(T, np.ndarray) or T.shape != Z.shape[:1]:
        return "it takes logits (N, C) and labels (N,)"
    if T.dtype != np.int64 or options.get("reduction", "mean") not in REDUCTIONS:
        return "labels are not int64, or the reduction is unknown"
    if not 0.0 <= options.get("label_smoothing", 0.0) <= 1.0:
        return "the label smoothing is out of range"
    if w is not None and (w.shape != Z.shape[1:] or w.dtype != Z.dtype):
        return "the class weights do not fit"
    return None


def _cross_entropy(
    builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
) -> tuple[tuple[Any, ...], Any]:
    Z, T, *rest = inputs
    w = rest[0] if rest else None
    ignored = options.get("ignore_index", -100)
    smoothing = options.get("label_smoothing", 0.0)
    reduction = options.get("reduction", "mean")
    rows, columns = Z.shape
    name = dtype_name(Z.dtype)
    P, lse = builder.empty(Z.shape, Z.dtype), builder.empty((rows,), Z.dtype)
    weights = builder.empty((rows,), Z.dtype)
    none = reduction == "none"
    losses = builder.output(0, (rows,), Z.dtype) if none else builder.empty((rows,), Z.dtype)
    status = np.zeros(1, np.int64)
    words = (Z, T, P, lse, losses, weights, w, rows, columns, ignored, status)
    builder.emit(kernel("cross_entropy", name), words, (smoothing,), stops_at(len(words) - 1))
    builder.check(lambda: _refuse_labels(status, weights, columns, ignored))
    total = None
    Y = losses
    if not none:
        Y = builder.output(0, (), Z.dtype)
        divisor = builder.empty((), Z.dtype)
        mean = reduction == "mean"
        builder.emit(kernel("mean_rows", name), (losses, weights, rows, Y, divisor, mean))
        total = divisor if mean else None
    return (Y,), CrossEntropySaved(P, T, w, total, ignored, smoothing)


def _refuse_labels(status: Any, weights: Any, classes: int, ignored: int) -> None:
    """Raise if the kernel found a label out of range: it marks that row's weight with NaN."""
    if not status[0]:
        return
    status[0] = 0
    bad = np.flatnonzero(np.isnan(weights))
    raise DataError(
        f"cross_entropy: expected class indices from 0 to {classes - 1} (or {ignored}, ignored); "
        f"{len(bad)} of {len(weights)} labels are out of range, the first at position {bad[0]}"
    )


def _cross_entropy_backward(
    builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
) -> tuple[tuple[Any, ...], Any]:
    dY, P, T, w, total, ignored, smoothing = inputs
    rows, columns = P.shape
    dZ = builder.output(0, P.shape, P.dtype)
    words = (P, T, w, total, dY, int(dY.ndim > 0), dZ, rows, columns, ignored)
    builder.emit(kernel("cross_entropy_backward", dtype_name(P.dtype)), words, (smoothing,))
    return (dZ, None, None), None


def _check_cross_entropy_backward(inputs: Inputs, options: Options) -> str | None:
    dY, P, T = inputs[:3]
    if P.ndim != 2 or T.dtype != np.int64 or T.shape != P.shape[:1]:
        return "it takes probabilities (N, C) and int64 labels (N,)"
    return None if dY.shape in ((), P.shape[:1]) else f"dY has shape {dY.shape}"


def _check_pair(inputs: Inputs, options: Options) -> str | None:
    X, T = inputs[:2]
    if not isinstance(T, np.ndarray) or X.shape != T.shape or X.dtype != T.dtype:
        return "input and target differ in shape or dtype"
    if options.get("reduction", "mean") not in REDUCTIONS:
        return "the reduction is unknown"
    if len(inputs) > 2 and inputs[2] is not None:
        return "it knows no weights"
    if len(inputs) > 3 and inputs[3] is not None:
        weight = inputs[3]
        tail = X.shape[X.ndim - weight.ndim :] if isinstance(weight, np.ndarray) else None
        if tail is None or weight.ndim > X.ndim or (weight.shape != tail and weight.size != 1):
            return "the pos_weight does not repeat along the last dimensions"
    return None


def _check_pair_backward(inputs: Inputs, options: Options) -> str | None:
    dY, X, T, *rest = inputs
    if dY.shape not in ((), X.shape):
        return f"dY has shape {dY.shape}"
    return _check_pair((X, T, *rest[:-1]), {"reduction": rest[-1]})


def pair_loss(what: int) -> CpuKernel:
    """Return the kernels of the mean squared error, or of the cross-entropy of logits."""

    def forward(
        builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
    ) -> tuple[tuple[Any, ...], Any]:
        X, T = inputs[:2]
        pos_weight = inputs[3] if len(inputs) > 3 else None
        period = 1 if pos_weight is None else pos_weight.size
        reduction = options.get("reduction", "mean")
        if what == MSE:
            saved: Any = MseSaved(X, T, reduction)
        else:
            saved = BceWithLogitsSaved(X, T, None, pos_weight, reduction)
        name = dtype_name(X.dtype)
        if reduction == "none":
            Y = builder.output(0, X.shape, X.dtype)
            words = (X, T, pos_weight, Y, X.size, period)
            builder.emit(kernel("loss_elements", name, what), words)
            return (Y,), saved
        partial = builder.empty((blocks(X.size),), np.float64)
        words = (X, T, pos_weight, partial, X.size, period)
        builder.emit(kernel("loss_sums", name, what), words)
        Y = builder.output(0, (), X.dtype)
        scale = 1.0 / X.size if reduction == "mean" else 1.0
        builder.emit(kernel("finish_sum", name), (partial, partial.size, Y, 0), (scale,))
        return (Y,), saved

    def backward(
        builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
    ) -> tuple[tuple[Any, ...], Any]:
        dY, X, T, *rest = inputs
        pos_weight = rest[1] if what == BCE else None
        period = 1 if pos_weight is None else pos_weight.size
        count = X.size
        factor = (2.0 if what == MSE else 1.0) / (count if rest[-1] == "mean" else 1)
        outputs: list[Any] = [None] * (2 if what == MSE else 4)
        saved = None if what == MSE else BceWithLogitsSaved(*inputs[1:])
        made = kernel("loss_backward", dtype_name(X.dtype), what)
        for position, sign in ((0, 1.0), (1, -1.0)):
            if not needs[position]:
                continue
            D = outputs[position] = builder.output(position, X.shape, X.dtype)
            if saved is not None and position == 1:
                builder.python(partial(_target_gradient, D, dY, saved), reads_arguments=True)
                continue
            words = (X, T, pos_weight, dY, int(dY.ndim > 0), D, count, period)
            builder.emit(made, words, (sign * factor,))
        return tuple(outputs), None

    return CpuKernel(
        {"forward": forward, "backward": backward},
        {"forward": _check_pair, "backward": _check_pair_backward},
    )


def _target_gradient(D: Any, dY: Any, saved: BceWithLogitsSaved) -> None:
    """Write ∂L/∂T; few ask for it, so the reference computes it."""
    D[...] = bce_with_logits_backward(dY, saved, (False, True, False, False))[1]


def _check_rows(inputs: Inputs, options: Options) -> str | None:
    X = inputs[0]
    axis = options.get("axis", -1)
    return None if X.ndim and axis in (-1, X.ndim - 1) else "it works along the last axis"


def _check_rows_backward(inputs: Inputs, options: Options) -> str | None:
    dY, Y, axis = inputs
    if dY.shape != Y.shape:
        return f"dY has shape {dY.shape}"
    return _check_rows((Y,), {"axis": axis})


def rowwise(logarithm: int) -> CpuKernel:
    """Return the kernels of softmax or log-softmax along the last axis."""

    def forward(
        builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
    ) -> tuple[tuple[Any, ...], Any]:
        (X,) = inputs
        Y = builder.output(0, X.shape, X.dtype)
        columns = X.shape[-1]
        made = kernel("softmax", dtype_name(X.dtype), logarithm)
        builder.emit(made, (X, Y, X.size // columns, columns))
        return (Y,), SoftmaxSaved(Y, options.get("axis", -1))

    def backward(
        builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
    ) -> tuple[tuple[Any, ...], Any]:
        dY, Y, _ = inputs
        dX = builder.output(0, Y.shape, Y.dtype)
        columns = Y.shape[-1]
        made = kernel("softmax_backward", dtype_name(Y.dtype), logarithm)
        builder.emit(made, (dY, Y, dX, Y.size // columns, columns))
        return (dX,), None

    return CpuKernel(
        {"forward": forward, "backward": backward},
        {"forward": _check_rows, "backward": _check_rows_backward},
    )


def _dropout(
    builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
) -> tuple[tuple[Any, ...], Any]:
    (X,) = inputs
    Y, M = builder.output(0, X.shape, X.dtype), builder.empty(X.shape, np.bool_)
    p = options["p"]
    words = (X, Y, M, X.size, options["seed"], options["offset"])
    builder.emit(kernel("dropout", dtype_name(X.dtype)), words, (p,))
    return (Y,), DropoutSaved(M, p)


def _dropout_backward(
    builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
) -> tuple[tuple[Any, ...], Any]:
    dY, M, p = inputs
    dX = builder.output(0, dY.shape, dY.dtype)
    builder.emit(
        kernel("dropout_backward", dtype_name(dY.dtype)), (dY, M, dX, math.prod(dY.shape)), (p,)
    )
    return (dX,), None


def _check_dropout(inputs: Inputs, options: Options) -> str | None:
    return None if 0.0 <= options["p"] <= 1.0 else "p is out of range"


def _check_dropout_backward(inputs: Inputs, options: Options) -> str | None:
    dY, M, _ = inputs
    return None if dY.shape == M.shape else f"dY has shape {dY.shape}"


LOSS_KERNELS = {
    "cross_entropy": CpuKernel(
        {"forward": _cross_entropy, "backward": _cross_entropy_backward},
        {"forward": _check_cross_entropy, "backward": _check_cross_entropy_backward},
    ),
    "mse": pair_loss(MSE),
    "bce_with_logits": pair_loss(BCE),
    "softmax": rowwise(0),
    "log_softmax": rowwise(1),
    "dropout": CpuKernel(
        {"forward": _dropout, "backward": _dropout_backward},
        {"forward": _check_dropout, "backward": _check_dropout_backward},
    ),
}
