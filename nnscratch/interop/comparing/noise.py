"""Gradients that are 0 but for rounding: those of a bias before a batch norm, for example."""

from __future__ import annotations

import numpy as np

from nnscratch.interop.comparing.steps import StepLog

_ROUNDINGS = 8


def rounding(log: StepLog, step: int, path: str, gradient: np.ndarray) -> float:
    """Return how large a parameter's gradient may be by rounding alone.

    It is a sum of gradients of what its layer returned, for weights times inputs, and may cancel.
    What is computed then is some roundings of the terms.
    """
    if step not in log.terms:
        log.terms[step] = _terms(log, step)
    backward, forward = log.terms[step].get(path.rpartition(".")[0], (0.0, 0.0))
    if gradient.dtype.kind not in "fc":
        return 0.0
    few = _ROUNDINGS * float(np.finfo(gradient.dtype).eps)
    return few * backward * (max(forward, 1.0) if gradient.ndim > 1 else 1.0)


def _terms(log: StepLog, step: int) -> dict[str, tuple[float, float]]:
    """Return for each layer the sum of all gradients of its outputs, and its largest input."""
    found: dict[str, tuple[float, float]] = {}
    for name, array in log.arrays.items():
        number, phase, place = (*name.split("/", 2), "")[:3]
        where, _, what = place.rpartition("/")
        if number != str(step) or array.dtype.kind not in "fc":
            continue
        layer = where.partition("[call ")[0]
        backward, forward = found.get(layer, (0.0, 0.0))
        if phase == "backward":
            backward += float(np.abs(array[np.isfinite(array)]).sum())
        elif phase == "forward" and what == "input":
            forward = max(forward, reach(array, array))
        found[layer] = backward, forward
    return found


def is_noise(
    ours: StepLog, theirs: StepLog, step: int, path: str, other: str, shape: tuple[int, ...]
) -> np.ndarray | None:
    """Return where gradients are 0 but for rounding in all steps, None if nowhere."""
    found = np.ones(shape, bool)
    for number in range(step + 1):
        a, b = ours.get(number, "gradient", path), theirs.get(number, "gradient", other)
        if a is None or b is None or a.shape != shape or b.shape != shape:
            return None
        limit = max(rounding(ours, number, path, one) for one in (a, b))
        found &= (np.abs(a) <= limit) & (np.abs(b) <= limit) & ((a != 0) | (b != 0))
        if not found.any():
            return None
    return found


def reach(a: np.ndarray, b: np.ndarray) -> float:
    """Return the largest finite number in two arrays."""
    found = [np.abs(one[np.isfinite(one)]) for one in (a, b)]
    return float(max((one.max() for one in found if one.size), default=0.0))
