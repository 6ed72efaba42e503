"""The part of a check-up that inspects the forward: initial loss, activations, order of layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch.array import move, to_numpy
from nnscratch.formulas.observing import Call
from nnscratch.graph import LayerTracker
from nnscratch.tensors import Tensor
from nnscratch.tensors.grad_mode import no_grad
from nnscratch.verify.checkups.data_checks import (
    BINARY_LOSSES,
    CLASS_LOSSES,
    NUMBER_LOSSES,
    host,
    loss_name,
)
from nnscratch.verify.checkups.report import CheckupReport

RECTIFIERS = ("relu",)
SATURATING = {"sigmoid": (0.01, 0.99), "tanh": (-0.99, 0.99)}
# Last operations of a model that do not belong before a loss, mostly because the loss applies the
# same one itself: (loss, operation) -> (kind of the symptom, its text, what to do).
REDUNDANT = {
    ("cross_entropy", "softmax"): ("softmax twice", "CrossEntropyLoss takes logits and applies a "
        "softmax itself, but the model ends in a softmax", "Leave the softmax out of the model."),
    ("cross_entropy", "log_softmax"): ("softmax twice", "CrossEntropyLoss applies a log-softmax "
        "itself, but the model ends in one", "Leave it out of the model, or use NLLLoss."),
    ("cross_entropy", "sigmoid"): ("squashed logits", "CrossEntropyLoss takes logits, but the "
        "model ends in a sigmoid", "Leave the sigmoid out of the model."),
    ("cross_entropy", "relu"): ("squashed logits", "CrossEntropyLoss takes logits, but the "
        "model ends in a ReLU and gives no negative ones", "Leave the last ReLU out of the model."),
    ("bce_with_logits", "sigmoid"): ("sigmoid twice", "BCEWithLogitsLoss applies a sigmoid itself, "
        "but the model ends in one", "Leave it out of the model, or use BCELoss."),
    ("bce_with_logits", "softmax"): ("sigmoid twice", "BCEWithLogitsLoss takes logits, but the "
        "model ends in a softmax", "Leave the softmax out of the model."),
    ("nll", "softmax"): ("softmax without its logarithm", "NLLLoss takes logarithms of "
        "probabilities, but the model ends in a softmax", "Use a log-softmax, or "
        "CrossEntropyLoss on logits."),
}  # fmt: skip


class ActivationRecorder(LayerTracker):
    """An observer that records the output of every activation, with the path of its layer."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str, Any]] = []

    def on_call(self, call: Call) -> None:
        """Record the output if the formula is an activation."""
        layer = self.layer_of(call)
        where = "" if layer is None else layer.label
        name = call.formula.name
        if name == "linear_activation":
            name = str(call.options.get("activation"))
        if call.direction == "forward" and (name in RECTIFIERS or name in SATURATING):
            self.found.append((name, where, np.array(to_numpy(call.outputs[0]))))


def check_activations(report: CheckupReport, activations: ActivationRecorder) -> None:
    """Report dead units (0 for every sample) and saturated activations."""
    for name, where, output in activations.found:
        place = f" in {where}" if where else ""
        units = output.reshape(-1, output.shape[-1]) if output.ndim > 1 else output[:0]
        if len(units) < 10:
            continue
        if name in RECTIFIERS:
            dead = int(np.sum(np.all(units == 0, axis=0)))
            share = dead / units.shape[1]
            if share >= 0.1:
                report.add(
                    "dead units", "fault" if share == 1 else "warning" if share >= 0.4 else "note",
                    f"{dead} of the {units.shape[1]} units{place} are 0 for every sample of the "
                    "batch and learn nothing.",
                    "Scale the inputs, lower the learning rate, start from smaller weights, or use "
                    "a leaky ReLU.", where=where, value=share,
                )  # fmt: skip
            continue
        low, high = SATURATING[name]
        share = float(np.mean((units < low) | (units > high)))
        if share >= 0.5:
            report.add(
                "saturated units", "warning",
                f"{share:.0%} of the outputs of {name}{place} are at the ends of its range, where "
                "its derivative is almost 0.",
                "Scale the inputs, or start from smaller weights.", where=where, value=share,
            )  # fmt: skip


def check_initial_loss(
    report: CheckupReport, loss: Any, output: Any, value: Tensor, y: Tensor
) -> None:
    """Compare the initial loss with the loss of a model that has learned nothing.

    The latter is ln K for K classes, and the variance of the targets for a squared error.
    """
    found = float(value.item())
    if not np.isfinite(found):
        report.add(
            "loss not finite", "fault", f"The loss is {found} before any training.",
            "Run the forward in nnscratch.detect_anomaly() to see where it begins.",
        )  # fmt: skip
        return
    expected, why = _chance_loss(loss, output, y)
    if expected is None or expected <= 0:
        return
    ratio = found / expected
    if ratio > 2:
        report.add(
            "loss at the start", "warning",
            f"The first loss is {found:.4g}, and that of a constant prediction {expected:.4g} "
            f"({why}). The model is confident in wrong predictions.",
            "Start from smaller weights in the last layer, and scale inputs and targets.",
            value=ratio,
        )  # fmt: skip
    elif ratio < 0.5:
        report.add(
            "loss at the start", "note",
            f"The first loss, {found:.4g}, is well below {expected:.4g} ({why}): the model is "
            "trained already, or the targets are among the inputs.", value=ratio,
        )  # fmt: skip
    else:
        report.add(
            "loss at the start", "fine",
            f"The first loss is {found:.4g}, near {expected:.4g} ({why}).", value=ratio,
        )  # fmt: skip


def _chance_loss(loss: Any, output: Any, y: Tensor) -> tuple[float | None, str]:
    name = loss_name(loss)
    if getattr(loss, "reduction", "mean") != "mean" or not isinstance(output, Tensor):
        return None, ""
    if name in (*CLASS_LOSSES, *BINARY_LOSSES) and (output.ndim >= 2 or name in BINARY_LOSSES):
        classes = output.shape[1] if name in CLASS_LOSSES else 2
        same = 0.0
        if name in ("NLLLoss", "nll_loss"):
            same = -float(np.log(classes))
        elif name in ("BCELoss", "binary_cross_entropy"):
            same = 0.5
        with no_grad():
            even = move(np.full(output.shape, same, str(output.dtype)), output.device)
            cost = float(loss(Tensor(even), y).item())
        plain = abs(cost - np.log(classes)) < 1e-3
        return cost, f"ln {classes}" if plain else f"equal chances for {classes} classes"
    values = host(y)
    if name in ("MSELoss", "mse_loss") and values.size > 1:
        return float(values.var()), "the variance of the targets"
    if name in NUMBER_LOSSES and name.lower().startswith("l1") and values.size > 1:
        spread = float(np.mean(np.abs(values - np.median(values))))
        return spread, "the mean distance of the targets from their median"
    return None, ""


def check_graph(report: CheckupReport, value: Tensor, output: Any) -> None:
    """Report a softmax or the like before a loss that applies it; a loss without the output."""
    if value.node is None:
        return
    last = getattr(output, "node", None)
    seen: set[int] = set()
    waiting = [value.node]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        for edge in node.edges:
            if not hasattr(edge, "formula"):
                continue
            waiting.append(edge)
            before = edge.formula.name
            if before in ("reshape", "getitem") and any(hasattr(e, "formula") for e in edge.edges):
                before = next(e.formula.name for e in edge.edges if hasattr(e, "formula"))
            name = node.formula.name.removesuffix("_probabilities")
            found = REDUNDANT.get((name, before))
            if found is not None:
                kind, text, mend = found
                report.add(kind, "fault", f"{text}.", mend)
    if last is not None and id(last) not in seen:
        report.add(
            "loss without the output", "fault",
            "The loss does not depend on the model's output through the graph.",
            "Compute the loss from the output itself, not from a copy or from .item().",
        )  # fmt: skip
