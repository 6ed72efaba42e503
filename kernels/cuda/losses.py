"""Losses, softmax and dropout as launches of kernels."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from nnscratch.errors import DataError
from nnscratch.formulas.binary_losses import BceWithLogitsSaved
from nnscratch.formulas.class_losses import CrossEntropySaved
from nnscratch.formulas.losses import MseSaved
from nnscratch.formulas.random import DropoutSaved
from nnscratch.formulas.softmax import SoftmaxSaved

from .driver import THREADS, WARP, Driver, cover, rows_of
from .implementation import CudaKernel, Inputs, Needs, Options
from .launch import Numbers
from .target import Target

REDUCTIONS = ("mean", "sum", "none")
Lowered = tuple[tuple[Any, ...], Any]


def row_grid(rows: int) -> tuple[int]:
    """Return the grid for a warp on each row."""
    return cover(rows * WARP)


def finish_sum(target: Target, sums: Any, dtype: Any, scale: float) -> Any:
    """Return the sum of partial sums times ``scale``, as an array without axes: output 0."""
    Y = target.output(0, (), dtype)
    target.launch("reductions", "sum_finish", dtype, (1,), (sums, Y, sums.size, scale))
    return Y


def _cross_entropy(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    Z, T, w = (*inputs, None)[:3]
    ignored = options.get("ignore_index", -100)
    smoothing = options.get("label_smoothing", 0.0)
    reduction = options.get("reduction", "mean")
    target.poll(partial(_refuse_labels, target.driver))
    rows, columns = rows_of(Z.shape)
    P = target.empty(Z.shape, Z.dtype)
    none = reduction == "none"
    Y = target.output(0, T.shape if none else (), Z.dtype)
    grid = row_grid(rows)
    sums = target.empty((3, *grid), np.float64)
    arguments = (Z, T, w, P, Y if none else None, sums, rows, columns, ignored, smoothing)
    target.launch("softmax", "cross_entropy", Z.dtype, grid, arguments)
    total = target.empty((), Z.dtype) if reduction == "mean" else None
    finish = (sums, None if none else Y, total, target.driver.bad_labels, *grid)
    target.launch("softmax", "cross_entropy_finish", Z.dtype, (1,), finish)
    return (Y,), CrossEntropySaved(P, T, w, total, ignored, smoothing)


def _refuse_labels(driver: Driver) -> None:
    """Raise if the kernels have found bad labels by now.

    A GPU is not waited for, so that a step has no transfer: the loss is NaN at once, and the error
    comes with the next call.
    """
    bad = driver.bad_labels
    count = int(bad[0])
    if count:
        bad[0] = 0
        when = "" if driver.waits else " in an earlier batch, whose loss is NaN"
        raise DataError(
            f"cross_entropy: expected class indices below the number of classes; {count} labels "
            f"are out of range{when}"
        )


def _check_cross_entropy(inputs: Inputs, options: Options) -> str | None:
    Z, T, w = (*inputs, None)[:3]
    if Z.ndim not in (1, 2) or not hasattr(T, "dtype") or T.shape != Z.shape[:-1]:
        return "it takes logits (N, C) and labels (N,)"
    if T.dtype != np.int64 or options.get("reduction", "mean") not in REDUCTIONS:
        return "labels are not int64, or the reduction is unknown"
    if not 0.0 <= options.get("label_smoothing", 0.0) <= 1.0:
        return "the label smoothing is out of range"
    if w is not None and (w.shape != Z.shape[-1:] or w.dtype != Z.dtype):
        return "the class weights do not fit"
    return None


def _cross_entropy_backward(
    target: Target, inputs: Inputs, options: Options, needs: Needs
) -> Lowered:
    dY, P, T, w, total, ignored, smoothing = inputs
    rows, columns = rows_of(P.shape)
    dZ = target.output(0, P.shape, P.dtype)
    step = int(dY.ndim > 0)
    arguments = (P, T, w, total, dY, dZ, rows, columns, step, ignored, smoothing)
    target.launch("softmax", "cross_entropy_backward", P.dtype, row_grid(rows), arguments)
    return (dZ, None, None), None


def _check_cross_entropy_backward(inputs: Inputs, options: Options) -> str | None:
    dY, P, T = inputs[:3]
    if P.ndim not in (1, 2) or T.dtype != np.int64 or T.shape != P.shape[:-1]:
        return "it takes probabilities (N, C) and int64 labels (N,)"
    return None if dY.shape in ((), T.shape) else f"dY has shape {dY.shape}"


def _check_pair(inputs: Inputs, options: Options) -> str | None:
    X, T = inputs[:2]
    if not hasattr(T, "dtype") or X.shape != T.shape or X.dtype != T.dtype:
        return "input and target differ in shape or dtype"
    if options.get("reduction", "mean") not in REDUCTIONS:
        return "the reduction is unknown"
    if len(inputs) > 2 and inputs[2] is not None:
        return "it knows no weights"
    weight = inputs[3] if len(inputs) > 3 else None
    if weight is None:
        return None
    if weight.dtype != X.dtype or weight.ndim > X.ndim:
        return "the pos_weight does not fit"
    if weight.size != 1 and weight.shape != X.shape[X.ndim - weight.ndim :]:
        return "the pos_weight does not repeat along the last axes"
    return None


def _check_pair_backward(inputs: Inputs, options: Options) -> str | None:
    dY, X, T, *rest = inputs
    if dY.shape not in ((), X.shape):
        return f"dY has shape {dY.shape}"
    if len(rest) == 3:
        X_T_weights = (X, T, *rest[:2])
        return _check_pair(X_T_weights, {"reduction": rest[-1]})
    return _check_pair((X, T), {"reduction": rest[-1]})


def pair_loss(formula: str, name: str) -> CudaKernel:
    """Return the kernels of the mean squared error ("mse") or of logits' cross-entropy ("bce")."""

    def forward(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
        X, T = inputs[:2]
        weight = inputs[3] if len(inputs) > 3 else None
        reduction = options.get("reduction", "mean")
        if name == "mse":
            saved: Any = MseSaved(X, T, reduction)
        else:
            saved = BceWithLogitsSaved(X, T, None, weight, reduction)
        period = 1 if weight is None else weight.size
        grid = cover(X.size, 4)
        if reduction == "none":
            Y = target.output(0, X.shape, X.dtype)
            arguments = (X, T, weight, Y, X.size, period)
            target.launch("losses", f"loss_elements_{name}", X.dtype, grid, arguments)
            return (Y,), saved
        sums = target.empty(grid, np.float64)
        arguments = (X, T, weight, sums, X.size, period)
        target.launch("losses", f"loss_blocks_{name}", X.dtype, grid, arguments)
        scale = 1.0 / X.size if reduction == "mean" else 1.0
        return (finish_sum(target, sums, X.dtype, scale),), saved

    def backward(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
        dY, X, T, *rest = inputs
        weight = rest[1] if name == "bce" else None
        period = 1 if weight is None else weight.size
        factor = 1.0 / X.size if rest[-1] == "mean" else 1.0
        gradients: list[Any] = [None] * (2 if name == "mse" else 4)
        for position in (0, 1):
            if needs[position]:
                D = gradients[position] = target.output(position, X.shape, X.dtype)
                step = int(dY.ndim > 0)
                arguments = (X, T, weight, dY, D, X.size, period, step, factor, position)
                grid = cover(X.size, 4)
                target.launch("losses", f"loss_backward_{name}", X.dtype, grid, arguments)
        return tuple(gradients), None

    return CudaKernel(
        formula,
        ("losses", "reductions"),
        {"forward": forward, "backward": backward},
        {"forward": _check_pair, "backward": _check_pair_backward},
    )


def along_axis(name: str) -> CudaKernel:
    """Return the kernels of softmax or log-softmax along an axis."""

    def launch(target: Target, suffix: str, arrays: Inputs, axis: int) -> None:
        shape, dtype = arrays[0].shape, arrays[0].dtype
        length, inner = shape[axis], math.prod(shape[axis + 1 :])
        lines = arrays[0].size // length
        if inner == 1:
            arguments = (*arrays, lines, length)
            target.launch("softmax", f"{name}{suffix}", dtype, row_grid(lines), arguments)
        else:
            arguments = (*arrays, lines, length, inner)
            target.launch("softmax", f"{name}_lines{suffix}", dtype, cover(lines), arguments)

    def forward(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
        (X,) = inputs
        axis = options.get("axis", -1) % X.ndim
        Y = target.output(0, X.shape, X.dtype)
        launch(target, "", (X, Y), axis)
        return (Y,), SoftmaxSaved(Y, axis)

    def backward(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
        dY, Y, axis = inputs
        dX = target.output(0, Y.shape, Y.dtype)
        launch(target, "_backward", (dY, Y, dX), axis % Y.ndim)
        return (dX,), None

    return CudaKernel(
        name,
        ("softmax",),
        {"forward": forward, "backward": backward},
        {"forward": _check_axis, "backward": _check_axis_backward},
    )


def _check_axis(inputs: Inputs, options: Options) -> str | None:
    X = inputs[0]
    return None if -X.ndim <= options.get("axis", -1) < X.ndim else "there is no such axis"


def _check_axis_backward(inputs: Inputs, options: Options) -> str | None:
    dY, Y, axis = inputs
    if dY.shape != Y.shape:
        return f"dY has shape {dY.shape}"
    return _check_axis((Y,), {"axis": axis})


def _scale(p: float) -> float:
    return 1.0 / (1.0 - p) if p < 1 else 0.0


def _counter(options: Options) -> tuple[int, int]:
    return options["seed"], options["offset"]


def _dropout(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    (X,) = inputs
    p = options["p"]
    Y, M = target.output(0, X.shape, X.dtype), target.empty(X.shape, np.bool_)
    target.launch(
        "random", "dropout", X.dtype, cover(X.size, 4), (X, Y, M, X.size, p, _scale(p)),
        numbers=Numbers(_counter, options),
    )  # fmt: skip
    return (Y,), DropoutSaved(M, p)


def _dropout_backward(target: Target, inputs: Inputs, options: Options, needs: Needs) -> Lowered:
    dY, M, p = inputs
    dX = target.output(0, dY.shape, dY.dtype)
    arguments = (dY, M, dX, dY.size, _scale(p))
    target.launch("random", "dropout_backward", dY.dtype, cover(dY.size, 4), arguments)
    return (dX,), None


def _check_dropout(inputs: Inputs, options: Options) -> str | None:
    return None if 0.0 <= options["p"] <= 1.0 else "p is out of range"


def _check_dropout_backward(inputs: Inputs, options: Options) -> str | None:
    dY, M, _ = inputs
    return None if dY.shape == M.shape else f"dY has shape {dY.shape}"


assert THREADS % WARP == 0
CROSS_ENTROPY_KERNEL = CudaKernel(
    "cross_entropy",
    ("softmax",),
    {"forward": _cross_entropy, "backward": _cross_entropy_backward},
    {"forward": _check_cross_entropy, "backward": _check_cross_entropy_backward},
)
MSE_KERNEL = pair_loss("mse", "mse")
BCE_WITH_LOGITS_KERNEL = pair_loss("bce_with_logits", "bce")
SOFTMAX_KERNEL = along_axis("softmax")
LOG_SOFTMAX_KERNEL = along_axis("log_softmax")
DROPOUT_KERNEL = CudaKernel(
    "dropout",
    ("random",),
    {"forward": _dropout, "backward": _dropout_backward},
    {"forward": _check_dropout, "backward": _check_dropout_backward},
)
