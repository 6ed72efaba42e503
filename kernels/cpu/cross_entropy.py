"""Cross-entropy with class indices, of logits, and its instructions."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch.array.dtypes import dtype_name
from nnscratch.errors import DataError
from nnscratch.formulas.class_losses import CrossEntropySaved

from .implementation import REDUCTIONS, Builder, CpuKernel, Inputs, Options
from .runtime.declaration import Floats, Integers, Number, OptionalFloats, kernel
from .runtime.language import KIND, given, part, same, stack
from .runtime.table import stops_at
from .softmax import ROWS, softmax_rows


@kernel(cost=lambda rows, columns: 1.0 * rows * columns)
def cross_entropy(
    Z: Floats, labels: Integers, P: Floats, lse: Floats, loss: Floats, weight: Floats,
    class_weights: OptionalFloats, rows: int, columns: int, ignore_index: int, status: Integers,
    smoothing: Number, tid, threads,
):  # fmt: skip
    """P = softmax Z, lse (rows), each row's loss, and each row's weight, 0 if it is ignored.

    Z is (rows, columns). A loss is label-smoothed and multiplied by the weight of its class, of
    ``class_weights`` (columns). A label out of range makes loss and weight NaN, and the status 1.
    """
    first, last = part(rows, tid, threads, ROWS)
    softmax_rows(KIND, 0, Z, P, lse, True, first, last, columns)
    if not given(class_weights) and smoothing == 0:
        for i in range(first, last):
            label = labels[i]
            if label >= 0 and label < columns and label != ignore_index:
                loss[i] = lse[i] - Z[i * columns + label]
                weight[i] = KIND(1.0)
            elif label == ignore_index:
                loss[i] = weight[i] = KIND(0.0)
            else:
                loss[i] = weight[i] = KIND(np.nan)
                status[0] = 1
        return
    for i in range(first, last):
        label = labels[i]
        if label == ignore_index:
            loss[i] = weight[i] = KIND(0.0)
            continue
        if label < 0 or label >= columns:
            loss[i] = weight[i] = KIND(np.nan)
            status[0] = 1
            continue
        w = class_weights[label] if given(class_weights) else KIND(1.0)
        value = w * (lse[i] - Z[i * columns + label])
        if smoothing != 0:
            total = KIND(0.0)
            for j in range(columns):
                class_weight = class_weights[j] if given(class_weights) else KIND(1.0)
                total += class_weight * (lse[i] - Z[i * columns + j])
            value = (KIND(1.0) - smoothing) * value + smoothing / KIND(columns) * total
        loss[i] = value
        weight[i] = w


STOPS = stops_at(cross_entropy.place("status"))


@kernel(cost=lambda count: 1.0 * count)
def mean_rows(
    losses: Floats, weights: Floats, count: int, loss: Floats, divisor: Floats, mean: int,
    tid, threads,
):  # fmt: skip
    """Loss = Σ losses / divisor; divisor = Σ weights if mean = 1, else 1. By one thread."""
    if tid != 0:
        return
    lanes = stack(16, np.float64)
    for l in range(16):
        lanes[l] = 0.0
    whole = count // 8 * 8
    for i in range(0, whole, 8):
        for l in range(8):
            lanes[l] += np.float64(losses[i + l])
            lanes[8 + l] += np.float64(weights[i + l])
    total, under = 0.0, 0.0
    for i in range(whole, count):
        total += losses[i]
        under += weights[i]
    for l in range(8):
        total += lanes[l]
        under += lanes[8 + l]
    if mean == 0:
        under = 1.0
    loss[0] = KIND(total / under)
    divisor[0] = KIND(under)


@kernel(cost=lambda rows, columns: 0.5 * rows * columns)
def cross_entropy_backward(
    P: Floats, labels: Integers, class_weights: OptionalFloats, divisor: OptionalFloats,
    g: Floats, g_step: int, dZ: Floats, rows: int, columns: int, ignore_index: int,
    smoothing: Number, tid, threads,
):  # fmt: skip
    """DZ = g / divisor ((P - onehot) and its weighted, smoothed forms). In place: dZ = P.

    g_step is 0 for one upstream gradient, 1 for one a row; a divisor that is missing is 1.
    """
    rest = KIND(1.0) - smoothing
    share = smoothing / KIND(columns)
    first, last = part(rows, tid, threads, ROWS)
    scale = KIND(1.0) / divisor[0] if given(divisor) else KIND(1.0)
    if g_step == 0 and not given(
        class_weights
    ):  # one factor for all rows: one pass, then the labels
        factor = scale * g[0]
        if not same(P, dZ):
            for j in range(first * columns, last * columns):
                dZ[j] = factor * (P[j] - share)
        else:
            for j in range(first * columns, last * columns):
                dZ[j] = factor * (dZ[j] - share)
        for i in range(first, last):
            label = labels[i]
            if label == ignore_index:
                for j in range(columns):
                    dZ[i * columns + j] = KIND(0.0)
            elif label >= 0 and label < columns:
                j = i * columns + label
                dZ[j] = dZ[j] - factor * rest
        return
    whole = KIND(0.0)
    for j in range(columns):
        whole += class_weights[j] if given(class_weights) else KIND(1.0)
    for i in range(first, last):
        label, start = labels[i], i * columns
        if label == ignore_index or label < 0 or label >= columns:
            for j in range(start, start + columns):
                dZ[j] = KIND(0.0)
            continue
        factor = scale * g[i * g_step]
        base = rest * (class_weights[label] if given(class_weights) else KIND(1.0))
        for j in range(columns):
            w = class_weights[j] if given(class_weights) else KIND(1.0)
            dZ[start + j] = factor * ((base + share * whole) * P[start + j] - share * w)
        dZ[start + label] = dZ[start + label] - factor * base


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
    cross_entropy.emit(
        builder, name, Z=Z, labels=T, P=P, lse=lse, loss=losses, weight=weights, class_weights=w,
        rows=rows, columns=columns, ignore_index=ignored, status=status, smoothing=smoothing,
        flags=STOPS,
    )  # fmt: skip
    builder.check(lambda: _refuse_labels(status, weights, columns, ignored))
    total = None
    Y = losses
    if not none:
        Y = builder.output(0, (), Z.dtype)
        divisor = builder.empty((), Z.dtype)
        mean = reduction == "mean"
        mean_rows.emit(
            builder, name, losses=losses, weights=weights, count=rows, loss=Y, divisor=divisor,
            mean=mean,
        )  # fmt: skip
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
    cross_entropy_backward.emit(
        builder, dtype_name(P.dtype), P=P, labels=T, class_weights=w, divisor=total, g=dY,
        g_step=int(dY.ndim > 0), dZ=dZ, rows=rows, columns=columns, ignore_index=ignored,
        smoothing=smoothing,
    )  # fmt: skip
    return (dZ, None, None), None


def _check_cross_entropy_backward(inputs: Inputs, options: Options) -> str | None:
    dY, P, T = inputs[:3]
    if P.ndim != 2 or T.dtype != np.int64 or T.shape != P.shape[:1]:
        return "it takes probabilities (N, C) and int64 labels (N,)"
    return None if dY.shape in ((), P.shape[:1]) else f"dY has shape {dY.shape}"


CROSS_ENTROPY_KERNEL = CpuKernel(
    "cross_entropy",
    {"forward": _cross_entropy, "backward": _cross_entropy_backward},
    {"forward": _check_cross_entropy, "backward": _check_cross_entropy_backward},
)
