"""Checks of a gradient besides its values: shape and dtype, memory, repeatability, linearity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnscratch.errors import GradientError
from nnscratch.verify.gradients.problem import (
    AnalyticRun,
    Array,
    Finding,
    FindingKind,
    Problem,
    Slot,
    as_float64,
    bits,
)


def agree(a: Sequence[Any], b: Sequence[Any]) -> bool:
    """Say whether two lists of arrays are equal to the bit."""
    return len(a) == len(b) and all(bits(x) == bits(y) for x, y in zip(a, b, strict=True))


def compare_runs(
    first: AnalyticRun,
    second: AnalyticRun,
    slots: Sequence[Slot],
    tolerance: float | None = None,
) -> list[Finding]:
    """Find out whether a second run on the same inputs gave other outputs or gradients.

    Gradients may differ by the tolerance, with a warning; without one by 1e-3 of their size.
    """
    found = []
    if not agree(first.outputs, second.outputs):
        found.append(
            Finding(
                FindingKind.NOT_DETERMINISTIC, "forward", "fault",
                "Two runs of the forward on the same inputs give different outputs.",
            )
        )  # fmt: skip
    for slot, a, b in zip(slots, first.gradients, second.gradients, strict=True):
        if bits(a) != bits(b):
            size = _largest_difference(a, b)
            small = size <= 1e-3
            if tolerance is not None:
                small = _furthest(a, b) <= tolerance
            found.append(
                Finding(
                    FindingKind.NOT_DETERMINISTIC, slot.name, "warning" if small else "fault",
                    f"Two runs of the backward give different gradients of {slot.name}"
                    + (f", by up to {size:.1e} of their size." if np.isfinite(size) else "."),
                )
            )  # fmt: skip
    return found


def form_findings(problem: Problem, run: AnalyticRun) -> list[Finding]:
    """Compare shape, dtype and device of each gradient with those of its input."""
    found = []
    for slot, gradient, device in zip(problem.slots, run.gradients, run.devices, strict=True):
        if gradient is None or not slot.checked:
            continue
        where = f"The gradient of {slot.name}"
        shape, dtype = np.shape(gradient), np.asarray(gradient).dtype
        if shape != slot.value.shape:
            found.append(
                Finding(
                    FindingKind.WRONG_SHAPE, slot.name, "fault",
                    f"{where} has shape {shape}, the input has {slot.value.shape}.",
                )
            )  # fmt: skip
        if dtype != slot.value.dtype:
            found.append(
                Finding(
                    FindingKind.WRONG_DTYPE, slot.name, "fault",
                    f"{where} is {dtype}, the input is {slot.value.dtype}.",
                )
            )  # fmt: skip
        if device != slot.device:
            found.append(
                Finding(
                    FindingKind.WRONG_DEVICE, slot.name, "fault",
                    f"{where} is on {device}, the input is on {slot.device}.",
                )
            )  # fmt: skip
    return found


def forward_findings(problem: Problem, run: AnalyticRun, truth: Sequence[Array]) -> list[Finding]:
    """Compare the forward under test with the same forward in float64."""
    found = []
    for position, (output, right) in enumerate(zip(run.outputs, truth, strict=False)):
        if output.dtype.kind != "f" or output.shape != right.shape:
            if output.shape != right.shape:
                found.append(
                    Finding(
                        FindingKind.FORWARD, f"output {position}", "fault",
                        f"The forward gives shape {output.shape}, in float64 {right.shape}.",
                    )
                )  # fmt: skip
            continue
        size = float(np.max(np.abs(right), initial=0.0))
        error = float(np.max(np.abs(output - right), initial=0.0))
        if not size or not np.isfinite(error) or error <= 1e4 * np.finfo(output.dtype).eps * size:
            continue
        kernel = problem.reference and error > 0.01 * size
        text = (
            f"In {output.dtype} the forward differs from float64 by {error / size:.1e} of its "
            "size: its precision is lost, or the two run different code."
        )
        if error > 0.01 * size and output.dtype == np.float64:
            text = (
                f"The forward differs from the one that is measured by {error / size:.1e} of its "
                "size, with the same inputs in float64: random numbers or new tensors come in the "
                "default dtype, which is float64 there. Make them in that of an input, such as by "
                "rand_like(x) or zeros(3, dtype=x.dtype)."
            )
        elif error > 0.01 * size and not kernel:
            text += " Check with inputs in float64, where there is one function only."
        same = kernel or error <= 0.01 * size
        kind = FindingKind.FORWARD if same else FindingKind.ANOTHER_FUNCTION
        found.append(Finding(kind, f"output {position}", "fault" if kernel else "warning", text))
    return found


def needs_findings(problem: Problem, run: AnalyticRun, cotangents: Sequence[Any]) -> list[Finding]:
    """Ask for one gradient at a time: it must not change, and nothing else must come."""
    found = []
    wanted = [slot.checked for slot in problem.slots]
    for position, slot in enumerate(problem.slots):
        if not wanted[position] or sum(wanted) < 2:
            continue
        for other, item in enumerate(problem.slots):
            item.checked = other == position
        try:
            alone = problem.run(problem.values(), cotangents)
        except GradientError:  # nothing depends on this one alone
            alone = AnalyticRun(run.outputs, [None] * len(problem.slots))
        finally:
            for item, was in zip(problem.slots, wanted, strict=True):
                item.checked = was
        pair = alone.gradients[position], run.gradients[position]
        # No gradient and one of zeros are the same, where the output does not depend on an input.
        if bits(pair[0]) == bits(pair[1]) or not any(one is not None and one.any() for one in pair):
            continue
        if _largest_difference(*pair) > 1e-3:
            found.append(
                Finding(
                    FindingKind.NEEDS, slot.name, "fault",
                    f"The gradient of {slot.name} is another one when it alone is asked for.",
                )
            )  # fmt: skip
    return found


def linearity_findings(
    problem: Problem, run: AnalyticRun, cotangents: Sequence[Any]
) -> list[Finding]:
    r"""Double the cotangent: a backward is linear in ∂L/∂Y, so every gradient must double too."""
    doubled = problem.run(problem.values(), [None if c is None else 2 * c for c in cotangents])
    found = []
    for slot, a, b in zip(problem.slots, run.gradients, doubled.gradients, strict=True):
        if a is None or b is None or np.shape(a) != np.shape(b) or not np.isfinite(a).all():
            continue
        if _largest_difference(2 * as_float64(a), b) > 1e-2:
            found.append(
                Finding(
                    FindingKind.NOT_LINEAR, slot.name, "fault",
                    f"With twice the incoming gradient dY, the gradient of {slot.name} does not "
                    "double: dY is missing from it, or enters it twice.",
                )
            )  # fmt: skip
    return found


def outputs_findings(
    problem: Problem, run: AnalyticRun, cotangents: Sequence[Any]
) -> list[Finding]:
    """Start from all outputs at once, as a loss of them does: the gradients must be the sums."""
    if problem.together is not False or sum(c is not None for c in cotangents) < 2:
        return []
    problem.together = True
    try:
        at_once = problem.run(problem.values(), cotangents)
    finally:
        problem.together = False
    found = []
    for slot, a, b in zip(problem.slots, run.gradients, at_once.gradients, strict=True):
        if bits(a) != bits(b) and _largest_difference(a, b) > 1e-3:
            found.append(
                Finding(
                    FindingKind.OUTPUTS, slot.name, "fault",
                    f"The gradient of {slot.name} is another one when the gradients of all outputs "
                    "come at once than the sum over one at a time.",
                )
            )  # fmt: skip
    return found


def _largest_difference(a: Any, b: Any) -> float:
    if a is None or b is None or np.shape(a) != np.shape(b):
        return float("inf")
    size = float(np.max(np.abs(as_float64(a)), initial=0.0)) or 1.0
    return float(np.nan_to_num(_furthest(a, b) / size, nan=np.inf))


def _furthest(a: Any, b: Any) -> float:
    if a is None or b is None or np.shape(a) != np.shape(b):
        return float("inf")
    return float(np.max(np.abs(as_float64(a) - as_float64(b)), initial=0.0))
