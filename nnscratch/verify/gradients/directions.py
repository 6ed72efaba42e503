r"""Large tensors: slopes along random signed directions, then bisection down to the element.

If one element of a gradient is wrong by δ, the slope along a direction $v$ with $v_i = \pm s_i$ is
wrong by $\delta s_i$ whatever the signs are. Directions that are not signed, or a tolerance that
grows with the number of elements, let such a fault pass.
"""

from __future__ import annotations

import numpy as np

from nnscratch.verify.gradients.differences import Direction, step_scales
from nnscratch.verify.gradients.elements import TensorReport, Verdict
from nnscratch.verify.gradients.measurement import Measurement
from nnscratch.verify.gradients.problem import Array

PROBES = 4
LEAF = 6
FAULTS = 4


def probe(
    measured: Measurement, report: TensorReport, slot: int, promised: Array, slack: Array
) -> None:
    """Check a tensor along random directions; follow a disagreement down to its elements."""
    size = promised.size
    scales = step_scales(measured.numeric.x[slot]) * _away_from_kinks(measured, slot)
    report.probes = PROBES
    last = measured.numeric.evaluations + measured.settings.budget
    unsure = False
    for _ in range(PROBES):
        signs = measured.rng.choice([-1.0, 1.0], size)
        whole = Direction(slot, np.arange(size), scales * signs)
        verdict = _disagrees(measured, whole, promised, slack)
        if verdict is Verdict.RIGHT:
            continue
        _search(measured, report, whole, promised, slack, last)
        if any(e.verdict is Verdict.WRONG for e in report.elements):
            report.verdict = Verdict.WRONG
            return
        unsure = True
    if unsure and report.verdict is Verdict.RIGHT:
        report.verdict = Verdict.CANNOT_TELL


def _away_from_kinks(measured: Measurement, slot: int) -> Array:
    """Return 0 for elements so near a declared kink that a step would cross it, else 1."""
    x = measured.numeric.x[slot].reshape(-1)
    keep = np.ones(x.shape)
    reach = 4 * measured.numeric.first_step("five-point") * step_scales(x)
    for kink in measured.problem.kinks:
        keep[np.abs(x - kink) <= reach] = 0.0
    return keep


def _disagrees(
    measured: Measurement, direction: Direction, promised: Array, slack: Array
) -> Verdict:
    """Compare the slope along a direction with the one that the gradient promises."""
    expected = direction.dot(promised)
    parts = direction.weights * slack[direction.flat]
    # Rounding errors of the elements are independent of the random signs.
    loose = 2 * float(np.sqrt(np.sum(parts**2))) + measured.eps(direction.slot) * abs(expected)
    typical = float(
        np.sqrt(np.sum((direction.weights * promised.reshape(-1)[direction.flat]) ** 2))
    )
    enough = measured.resolution(direction.slot)
    slope = measured.slope(direction, expected, loose, enough * 0.1)
    if not np.isfinite(slope.error) or not np.isfinite(expected):
        return Verdict.CANNOT_TELL
    if abs(slope.value - expected) > 5.0 * slope.error + loose:
        return Verdict.WRONG
    # One wrong element is to be seen among all the others.
    one = typical / np.sqrt(max(direction.flat.size, 1))
    if 5.0 * slope.error + loose > max(one, enough * typical):
        return Verdict.CANNOT_TELL
    return Verdict.RIGHT


def _search(
    measured: Measurement,
    report: TensorReport,
    whole: Direction,
    promised: Array,
    slack: Array,
    last: int,
) -> None:
    """Bisect: halves that disagree are halved again, until a few elements are left."""
    waiting = [whole]
    found = 0
    while waiting and found < FAULTS and measured.numeric.evaluations < last:
        block = waiting.pop()
        if block.flat.size <= LEAF:
            before = len([e for e in report.elements if e.verdict is Verdict.WRONG])
            measured.judge_elements(report, block.slot, block.flat.tolist(), promised, slack)
            if len([e for e in report.elements if e.verdict is Verdict.WRONG]) > before:
                found += 1
                if report.block is None:
                    report.block = (int(block.flat[0]), int(block.flat[-1]))
            continue
        middle = block.flat.size // 2
        halves = [block.part(np.arange(middle)), block.part(np.arange(middle, block.flat.size))]
        verdicts = [_disagrees(measured, half, promised, slack) for half in halves]
        for half, verdict in zip(halves, verdicts, strict=True):
            if verdict is Verdict.CANNOT_TELL:
                waiting.insert(0, half)
        for half, verdict in zip(reversed(halves), reversed(verdicts), strict=True):
            if verdict is Verdict.WRONG:
                waiting.append(half)
