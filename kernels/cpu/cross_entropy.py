"""Cross-entropy with class indices, of logits, and its instructions."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch.array.dtypes import dtype_name
from nnscratch.errors import DataError
from nnscratch.formulas.class_losses import CrossEntropySaved

from .implementation import REDUCTIONS, Builder, CpuKernel, Inputs, Options
from .runtime.declaration import Floats, Integers, Number, OptionalFloats, helper, kernel
from .runtime.language import KIND, given, part, same, stack
from .runtime.table import stops_at
from .softmax import ROWS, extents, softmax_rows
from .softmax_across import WIDTH, blocks_of, softmax_block


@helper
def judge(
    kind, z, start, step, columns, lse, label, class_weights, ignore_index, smoothing, loss,
    weight, i, status,
):  # fmt: skip
    """Write the loss and the weight of one sample, whose logits are z[start + j step]."""
    if label == ignore_index:
        loss[i] = weight[i] = kind(0.0)
        return
    if label < 0 or label >= columns:
        loss[i] = weight[i] = kind(np.nan)
        status[0] = 1
        return
    w = class_weights[label] if given(class_weights) else kind(1.0)
    value = w * (lse - z[start + label * step])
    if smoothing != 0:
        total = kind(0.0)
        for j in range(columns):
            class_weight = class_weights[j] if given(class_weights) else kind(1.0)
            total += class_weight * (lse - z[start + j * step])
        value = (kind(1.0) - smoothing) * value + smoothing / kind(columns) * total
    loss[i] = value
    weight[i] = w


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
    for i in range(first, last):
        judge(
            KIND, Z, i * columns, 1, columns, lse[i], labels[i], class_weights, ignore_index,
            smoothing, loss, weight, i, status,
        )  # fmt: skip


@kernel(cost=lambda outer, columns, inner: 1.0 * outer * columns * inner)
def cross_entropy_across(
    Z: Floats, labels: Integers, P: Floats, loss: Floats, weight: Floats,
    class_weights: OptionalFloats, outer: int, columns: int, inner: int, ignore_index: int,
    status: Integers, smoothing: Number, tid, threads,
):  # fmt: skip
    """The same of Z (outer, columns, inner), labels (outer, inner): the classes of pixels."""
    blocks = blocks_of(inner)
    first, last = part(outer * blocks, tid, threads, 1)
    lse = stack(64, KIND)
    for block in range(first, last):
        start, image = block % blocks * WIDTH, block // blocks
        at, count = image * columns * inner + start, min(WIDTH, inner - start)
        softmax_block(KIND, 0, Z, P, lse, at, inner, count, columns)
        here = image * inner + start
        for i in range(count):
            judge(
                KIND, Z, at + i, inner, columns, lse[i], labels[here + i], class_weights,
                ignore_index, smoothing, loss, weight, here + i, status,
            )  # fmt: skip


STOPS = stops_at(cross_entropy.place("status"))
STOPS_ACROSS = stops_at(cross_entropy_across.place("status"))


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


@kernel(cost=lambda outer, columns, inner: 0.5 * outer * columns * inner)
def cross_entropy_across_backward(
    P: Floats, labels: Integers, class_weights: OptionalFloats, divisor: OptionalFloats,
    g: Floats, g_step: int, dZ: Floats, outer: int, columns: int, inner: int, ignore_index: int,
    smoothing: Number, tid, threads,
):  # fmt: skip
    """The same of P (outer, columns, inner): dZ_k = a P_k - b w_k, and less at the label."""
    rest = KIND(1.0) - smoothing
    share = smoothing / KIND(columns)
    scale = KIND(1.0) / divisor[0] if given(divisor) else KIND(1.0)
    whole = KIND(0.0)
    for k in range(columns):
        whole += class_weights[k] if given(class_weights) else KIND(1.0)
    blocks = blocks_of(inner)
    first, last = part(outer * blocks, tid, threads, 1)
    a, b = stack(64, KIND), stack(64, KIND)
    for block in range(first, last):
        start, image = block % blocks * WIDTH, block // blocks
        at, count = image * columns * inner + start, min(WIDTH, inner - start)
        here = image * inner + start
        for i in range(count):
            label = labels[here + i]
            a[i] = b[i] = KIND(0.0)
            if label != ignore_index and label >= 0 and label < columns:
                w = class_weights[label] if given(class_weights) else KIND(1.0)
                b[i] = scale * g[(here + i) * g_step]
                a[i] = b[i] * (rest * w + share * whole)
        for k in range(columns):
            w = share * (class_weights[k] if given(class_weights) else KIND(1.0))
            for i in range(count):
                dZ[at + k * inner + i] = a[i] * P[at + k * inner + i] - b[i] * w
        for i in range(count):
            label = labels[here + i]
            if label == ignore_index or label < 0 or label >= columns:
                for k in range(columns):  # not by a factor of 0: P may be NaN
                    dZ[at + k * inner + i] = KIND(0.0)
            else:
                w = class_weights[label] if given(class_weights) else KIND(1.0)
                j = at + label * inner + i
                dZ[j] = dZ[j] - b[i] * (rest * w)


def _check_cross_entropy(inputs: Inputs, options: Options) -> str | None:
    Z, T, *rest = inputs
    w = rest[0] if rest else None
    if Z.ndim < 2 or not isinstance(T, np.ndarray) or T.shape != (Z.shape[0], *Z.shape[2:]):
        return "it takes logits (N, C, ...) and labels (N, ...)"
    if T.dtype != np.int64 or options.get("reduction", "mean") not in REDUCTIONS:
        return "labels are not int64, or the reduction is unknown"
    if not 0.0 <= options.get("label_smoothing", 0.0) <= 1.0:
        return "the label smoothing is out of range"
    if w is not None and (w.shape != Z.shape[1:2] or w.dtype != Z.dtype):
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
    outer, columns, inner = extents(Z.shape, 1)
    rows = outer * inner
    name = dtype_name(Z.dtype)
    P = builder.empty(Z.shape, Z.dtype)
    weights = builder.empty((rows,), Z.dtype)
    none = reduction == "none"
    losses = builder.output(0, T.shape, Z.dtype) if none else builder.empty((rows,), Z.dtype)
    status = np.zeros(1, np.int64)
    given_to = {
        "Z": Z, "labels": T, "P": P, "loss": losses, "weight": weights, "class_weights": w,
        "columns": columns, "ignore_index": ignored, "status": status, "smoothing": smoothing,
    }  # fmt: skip
    if inner == 1:
        lse = builder.empty((rows,), Z.dtype)
        cross_entropy.emit(builder, name, **given_to, lse=lse, rows=rows, flags=STOPS)
    else:
        cross_entropy_across.emit(
            builder, name, **given_to, outer=outer, inner=inner, flags=STOPS_ACROSS
        )
    builder.check(lambda: _refuse_labels(status, weights, T.shape, columns, ignored))
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


def _refuse_labels(
    status: Any, weights: Any, shape: tuple[int, ...], classes: int, ignored: int
) -> None:
    """Raise if the kernel found a label out of range: it marks that row's weight with NaN."""
    if not status[0]:
        return
    status[0] = 0
    bad = np.flatnonzero(np.isnan(weights))
    place = tuple(map(int, np.unravel_index(bad[0], shape)))
    first = place[0] if len(place) == 1 else place
    raise DataError(
        f"cross_entropy: expected class indices from 0 to {classes - 1} (or {ignored}, ignored); "
        f"{len(bad)} of {len(weights)} labels are out of range, the first at position {first}"
    )


def _cross_entropy_backward(
    builder: Builder, inputs: Inputs, options: Options, needs: tuple[bool, ...]
) -> tuple[tuple[Any, ...], Any]:
    dY, P, T, w, total, ignored, smoothing = inputs
    outer, columns, inner = extents(P.shape, 1)
    dZ = builder.output(0, P.shape, P.dtype)
    name = dtype_name(P.dtype)
    given_to = {
        "P": P, "labels": T, "class_weights": w, "divisor": total, "g": dY,
        "g_step": int(dY.ndim > 0), "dZ": dZ, "columns": columns, "ignore_index": ignored,
        "smoothing": smoothing,
    }  # fmt: skip
    if inner == 1:
        cross_entropy_backward.emit(builder, name, **given_to, rows=outer)
    else:
        cross_entropy_across_backward.emit(builder, name, **given_to, outer=outer, inner=inner)
    return (dZ, None, None), None


def _check_cross_entropy_backward(inputs: Inputs, options: Options) -> str | None:
    dY, P, T = inputs[:3]
    if P.ndim < 2 or T.dtype != np.int64 or T.shape != (P.shape[0], *P.shape[2:]):
        return "it takes probabilities (N, C, ...) and int64 labels (N, ...)"
    return None if dY.shape in ((), T.shape) else f"dY has shape {dY.shape}"


CROSS_ENTROPY_KERNEL = CpuKernel(
    "cross_entropy",
    {"forward": _cross_entropy, "backward": _cross_entropy_backward},
    {"forward": _check_cross_entropy, "backward": _check_cross_entropy_backward},
)
