"""The part of a check-up that inspects gradients and updates."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from nnscratch.array import to_numpy
from nnscratch.errors import NNScratchError
from nnscratch.nn.module import Module
from nnscratch.tensors import Tensor
from nnscratch.verify.checkups.report import CheckupReport


def _rms(tensor: Any) -> float:
    values = np.asarray(to_numpy(tensor.array), dtype=np.float64)
    return float(np.sqrt(np.mean(values**2))) if values.size else 0.0


def check_gradients(report: CheckupReport, model: Module) -> None:
    """Report parameters without a gradient, and gradients that vanish or explode."""
    sizes: dict[str, float] = {}
    for path, parameter in model.named_parameters():
        if not parameter.requires_grad:
            report.add("frozen", "note", f"{path} is frozen: requires_grad is False.", where=path)
        elif parameter.grad is None:
            report.add(
                "no gradient", "fault", f"{path} gets no gradient: the loss does not depend on it.",
                "Use it in forward, or leave it out; do not detach what it computes.", where=path,
            )  # fmt: skip
        else:
            size = _rms(parameter.grad)
            if size == 0 and not (parameter.numel() == 1 and _layer_has_gradient(model, path)):
                report.add(
                    "zero gradient", "warning",
                    f"The gradient of {path} is 0 for this whole batch.",
                    "Look for dead units after this layer, or weights of 0 in the next one.",
                    where=path,
                )  # fmt: skip
            elif not np.isfinite(size):
                report.add(
                    "gradient not finite", "fault", f"The gradient of {path} is not finite.",
                    "Run the step in nnscratch.detect_anomaly().", where=path,
                )  # fmt: skip
            elif parameter.ndim > 1:
                sizes[path] = size
    if len(sizes) < 2:
        return
    ordered = list(sizes.items())
    (first, near_input), (last, near_output) = ordered[0], ordered[-1]
    ratio = near_input / near_output
    if ratio < 1e-4:
        report.add(
            "vanishing gradients", "warning",
            f"Gradients vanish: those of {first} are {ratio:.1e} times those of {last}.",
            "Use ReLU or GELU in place of sigmoid, He initialisation, or fewer layers.",
            value=ratio,
        )  # fmt: skip
    elif ratio > 1e4:
        report.add(
            "exploding gradients", "warning",
            f"Gradients explode: those of {first} are {ratio:.1e} times those of {last}.",
            "Start from smaller weights, and clip the gradients.", value=ratio,
        )  # fmt: skip


def _layer_has_gradient(model: Module, path: str) -> bool:
    """Say whether another parameter of the same layer has a gradient.

    The gradient of a parameter with one element can be exactly 0 by chance, such as that of an
    absolute error with as many positive as negative differences.
    """
    layer = path.rpartition(".")[0]
    others = [p for name, p in model.named_parameters() if name.rpartition(".")[0] == layer]
    return any(p.grad is not None and _rms(p.grad) > 0 for p in others)


def check_update(report: CheckupReport, model: Module, optimizer: Any) -> None:
    """Compare the size of one step of the optimizer with that of the weights, and undo the step."""
    owned = {id(p) for group in optimizer.param_groups for p in group["params"]}
    for path, parameter in model.named_parameters():
        if parameter.requires_grad and id(parameter) not in owned:
            report.add(
                "not in the optimizer", "fault",
                f"The optimizer does not know {path} and will never change it.",
                "Make the optimizer from model.parameters(), after the model is complete.",
                where=path,
            )  # fmt: skip
    before = {p: np.array(to_numpy(q.array)) for p, q in model.named_parameters()}
    state = copy.deepcopy(optimizer.state_dict())
    optimizer.step()
    ratios = {}
    for path, parameter in model.named_parameters():
        change = np.asarray(to_numpy(parameter.array), dtype=np.float64) - before[path]
        size = float(np.sqrt(np.mean(before[path].astype(np.float64) ** 2)))
        moves = parameter.grad is not None and _rms(parameter.grad) > 0
        if parameter.ndim > 1 and size > 0 and moves:
            ratios[path] = float(np.sqrt(np.mean(change**2))) / size
    _restore(model, before)
    optimizer.load_state_dict(state)
    if not ratios:
        return
    middle = float(np.median(list(ratios.values())))
    text = f"A step changes the weights by {middle:.1e} of their size (1e-3 is usual)"
    if middle > 0.1:
        report.add("update ratio", "warning", f"{text}: the learning rate is too high.",
                   "Lower the learning rate.", value=middle)  # fmt: skip
    elif middle < 1e-6:
        report.add("update ratio", "warning", f"{text}: the learning rate is too low.",
                   "Raise the learning rate.", value=middle)  # fmt: skip
    else:
        report.add("update ratio", "fine", f"{text}.", value=middle)


def _restore(model: Module, before: dict[str, Any]) -> None:
    from nnscratch.tensors.grad_mode import no_grad

    with no_grad():
        for path, parameter in model.named_parameters():
            parameter.copy_(Tensor(before[path]))


def check_sample_independence(report: CheckupReport, model: Module, x: Tensor) -> None:
    """Report whether one sample's output depends on other samples in evaluation mode.

    It differentiates the output of the first sample by the inputs of all samples.
    """
    if len(x) < 2 or not np.issubdtype(np.dtype(x.dtype), np.floating):
        return
    model.eval()
    asked = x.detach().clone().requires_grad_()
    try:
        output = model(asked)
        if not isinstance(output, Tensor) or not output.ndim or len(output) != len(x):
            return
        output[0].sum().backward()
    except NNScratchError:
        return
    finally:
        model.train()
        model.zero_grad()
    if asked.grad is None:
        report.add(
            "output without the input", "fault", "The output does not depend on the input.",
            "Look for a detach, or for an input that forward ignores.",
        )  # fmt: skip
        return
    others = np.asarray(to_numpy(asked.grad.array))[1:]
    if np.any(others):
        report.add(
            "samples mix", "fault",
            "The output of one sample depends on other samples of the batch: an axis is mixed up.",
            "Look for a reshape, sum or softmax over the batch axis (axis 0).",
        )  # fmt: skip
