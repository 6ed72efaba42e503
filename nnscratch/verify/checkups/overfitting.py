"""The part of a check-up that trains: a model that can learn can overfit a few samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch.array import move, to_numpy
from nnscratch.errors import NNScratchError
from nnscratch.nn.module import Module
from nnscratch.optim import Adam
from nnscratch.tensors import Tensor
from nnscratch.tensors.grad_mode import no_grad
from nnscratch.verify.checkups.data_checks import CLASS_LOSSES, host, loss_name
from nnscratch.verify.checkups.report import CheckupReport

RATES = (1e-2, 1e-1, 1e-3)
MAX_SAMPLES = 16


def overfit_batch(
    report: CheckupReport, model: Module, loss: Any, x: Tensor, y: Tensor, steps: int
) -> None:
    """Try to overfit a few samples with Adam at the learning rates RATES; restore the weights.

    Args:
        report: gets the symptom "overfit one batch".
        model: the model; it is put into evaluation mode.
        loss: called as ``loss(output, target)``.
        x: inputs (N, ...), from which at most MAX_SAMPLES are chosen.
        y: targets (N, ...).
        steps: how many steps to take at each learning rate.
    """
    weights = [(p, np.array(to_numpy(p.array))) for p in model.parameters()]
    free = [p for p, _ in weights if p.requires_grad]
    model.eval()  # with dropout, the loss would stay above its minimum
    with no_grad():
        output = model(x)
    chosen = _chosen_samples(loss, output, y, sum(p.numel() for p in free))
    if not len(chosen):
        return
    x, y = x[chosen], y[chosen]
    floor = minimum_loss(loss, output, y)
    best, start = float("inf"), float("nan")
    for rate in RATES:
        _restore_weights(weights)
        step = Adam(free, lr=rate)
        for _ in range(steps):
            step.zero_grad()
            value = loss(model(x), y)
            start = value.item() if np.isnan(start) else start
            if not np.isfinite(value.item()):
                break
            best = min(best, value.item())
            value.backward()
            step.step()
        if best - floor <= 0.1 * (start - floor):
            break
    _restore_weights(weights)
    if not np.isfinite(start):
        return  # "loss not finite" has been reported before
    share = (best - floor) / max(start - floor, 1e-12)
    if share <= 0.1:
        report.add(
            "overfit one batch", "fine",
            f"The model can overfit {len(x)} samples: the loss falls from {start:.4g} to "
            f"{best:.4g}.", value=best,
        )  # fmt: skip
        return
    report.add(
        "overfit one batch", "fault" if share > 0.9 and steps >= 50 else "warning",
        f"The model cannot overfit {len(x)} samples: in {steps} steps the loss goes from "
        f"{start:.4g} to {best:.4g} only.",
        "Something cuts the path from inputs or parameters to the loss, or the targets contradict "
        "the inputs; look at the other findings first.", value=best,
    )  # fmt: skip


def _chosen_samples(loss: Any, output: Any, y: Tensor, parameters: int) -> Any:
    """Return the indices of the samples to overfit, of different classes first.

    There are about half as many samples, times outputs, as parameters: enough parameters to fit
    them exactly.
    """
    numbers = max(output.numel() // max(len(output), 1), 1) if isinstance(output, Tensor) else 1
    count = int(np.clip(parameters // (2 * numbers), 2, MAX_SAMPLES))
    values = host(y)
    order = np.arange(len(values))
    if loss_name(loss) in CLASS_LOSSES and values.dtype.kind in "iu" and values.ndim == 1:
        order = order[values != option(loss, "ignore_index", -100)]
    if values.ndim == 1 and len(order):
        first = np.unique(values[order], return_index=True)[1]
        order = np.concatenate([order[np.sort(first)], np.delete(order, first)])
    return order[:count]


def minimum_loss(loss: Any, output: Any, y: Tensor) -> float:
    """Return the minimum of a loss over all outputs; it is above 0 for soft targets.

    >>> import nnscratch
    >>> from nnscratch import nn
    >>> even = nnscratch.full((4, 2), 0.5)
    >>> round(minimum_loss(nn.CrossEntropyLoss(), nnscratch.zeros(4, 2), even), 4)
    0.6931
    """
    ideal = _optimal_output(loss, output, host(y))
    if ideal is None:
        return 0.0
    try:
        with no_grad():
            best = move(ideal.astype(str(output.dtype)), output.device)
            value = float(loss(Tensor(best), y).item())
    except NNScratchError:
        return 0.0
    return max(value, 0.0) if np.isfinite(value) else 0.0


def _optimal_output(loss: Any, output: Any, values: Any) -> Any:
    """Return the output that minimises a loss of probabilities, None for other losses."""
    name = loss_name(loss)
    if not isinstance(output, Tensor):
        return None
    if name in ("BCELoss", "binary_cross_entropy"):
        return values
    if name in ("BCEWithLogitsLoss", "binary_cross_entropy_with_logits"):
        odds = np.clip(values, 1e-12, 1) / np.clip(1 - values, 1e-12, 1)
        return np.log(odds * _numbers(option(loss, "pos_weight")))
    if name in ("CrossEntropyLoss", "cross_entropy") and output.ndim == 2:
        classes = output.shape[1]
        if values.dtype.kind != "f":
            values = np.eye(classes)[np.clip(values, 0, classes - 1)]
        smoothing = float(option(loss, "label_smoothing", 0.0) or 0.0)
        aim = (1 - smoothing) * values + smoothing / classes
        return np.log(np.maximum(aim * _numbers(option(loss, "weight")), 1e-12))
    return None


def option(loss: Any, name: str, default: Any = None) -> Any:
    """Return an option of a loss: an attribute of a module, a keyword of a partial function."""
    return getattr(loss, "keywords", {}).get(name, getattr(loss, name, default))


def _numbers(weight: Any) -> Any:
    return 1.0 if weight is None else to_numpy(weight.array)


def _restore_weights(weights: list[tuple[Any, Any]]) -> None:
    with no_grad():
        for parameter, value in weights:
            parameter.copy_(Tensor(value))
            parameter.grad = None
