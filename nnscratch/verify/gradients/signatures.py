"""The likely fault behind a wrong gradient, from its signature in the numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnscratch.verify.gradients import factors, regions
from nnscratch.verify.gradients.differences import Differences
from nnscratch.verify.gradients.elements import Element, TensorReport
from nnscratch.verify.gradients.evidence import Evidence, Slopes
from nnscratch.verify.gradients.faults import Fault, Kind
from nnscratch.verify.gradients.measurement import Measurement
from nnscratch.verify.gradients.problem import Array

Rule = Callable[[Evidence], Fault | None]


@np.errstate(all="ignore")
def likely_fault(
    measured: Measurement, report: TensorReport, slot: int, promised: Array, missing: bool
) -> Fault:
    """Return the likely fault of one wrong gradient.

    Args:
        measured: the measurement that found it.
        report: on its elements.
        slot: the position of the input.
        promised: the gradient, in the shape of the input.
        missing: whether it is None or has another shape.
    """
    if measured.forward_wrong:
        return Fault(Kind.ABOVE)
    if missing:
        return _missing(measured, report, slot)
    evidence = Evidence(measured, report, slot, promised)
    if not evidence.wrong:
        return Fault(Kind.DIRECTIONS)
    if not np.isfinite(evidence.a).all():
        return Fault(Kind.NOT_FINITE)
    for rule in RULES:
        found = rule(evidence)
        if found is not None:
            return found
    return Fault(Kind.UNKNOWN, counts=(len(evidence.wrong), len(evidence.known)))


def _missing(measured: Measurement, report: TensorReport, slot: int) -> Fault:
    """Explain a gradient that is None or of another shape."""
    gradient = measured.run.gradients[slot]
    if gradient is None:
        return Fault(Kind.NONE)
    given = np.asarray(gradient, dtype=np.float64)
    shape = report.shape
    elements = sorted(report.elements, key=lambda e: e.index)

    def fits(candidate: Array) -> bool:
        if candidate.shape != shape:
            return False
        return all(
            abs(float(candidate[e.index]) - e.numeric) <= 10 * e.allowance + 1e-3 * abs(e.numeric)
            for e in elements
        )

    if given.ndim == len(shape) and given.shape == shape[::-1] and fits(given.T):
        return Fault(Kind.TRANSPOSED)
    extra = given.ndim - len(shape)
    if extra >= 0:
        padded = (1,) * extra + tuple(shape)
        same = all(want in (have, 1) for have, want in zip(given.shape, padded, strict=True))
        axes = tuple(
            axis
            for axis, (have, want) in enumerate(zip(given.shape, padded, strict=True))
            if want == 1 and (have != 1 or axis < extra)
        )
        if same and axes:
            summed = given.sum(axis=axes).reshape(shape)
            kind = Kind.NOT_SUMMED if fits(summed) else Kind.NOT_SUMMED_AND_WRONG
            return Fault(kind, axes=axes, given=given.shape)
    if given.size == int(np.prod(shape)) and fits(given.reshape(shape)):
        return Fault(Kind.RESHAPED, given=given.shape, shape=shape)
    return Fault(Kind.SHAPE, given=given.shape, shape=shape)


def _all_zero(e: Evidence) -> Fault | None:
    if not np.any(e.promised):
        return Fault(Kind.ZERO)
    return None


def _flat(e: Evidence) -> Fault | None:
    """See whether the function does not change with this input at all."""
    if all(abs(x.numeric) <= x.allowance for x in e.known) and np.any(np.abs(e.a) > 10 * e.room):
        return Fault(Kind.RIGHT_IS_ZERO)
    return None


def _substitute(e: Evidence) -> Fault | None:
    """See whether the right gradient comes out if saved arrays are exchanged."""
    problem, cotangents = e.measured.problem, e.measured.cotangents
    return _right_with(e, problem.substitutes(problem.values(), cotangents))


def _transformed(e: Evidence) -> Fault | None:
    """See whether it comes out with a function of one of the arrays, such as its square."""
    problem, cotangents = e.measured.problem, e.measured.cotangents
    return _right_with(e, problem.transforms(problem.values(), cotangents))


def _right_with(e: Evidence, found: Sequence[tuple[Fault, list[Any]]]) -> Fault | None:
    for fault, gradients in found:
        other = gradients[e.slot] if e.slot < len(gradients) else None
        if other is None or np.shape(other) != e.shape:
            continue
        right = np.array([float(np.asarray(other)[x.index]) for x in e.known])
        numeric = np.array([x.numeric for x in e.known])
        room = np.array([x.allowance for x in e.known])
        if np.all(np.abs(right - numeric) <= 4 * room + 1e-6 * np.abs(numeric)):
            return fault
    return None


def _relative(e: Evidence) -> Fault | None:
    """See whether it is another gradient, which is often given for this one."""
    analytic = np.array([x.analytic for x in e.known])
    for fault, other in e.measured.problem.relatives(e.slot, e.measured.cotangents):
        if np.shape(other) != e.shape:
            continue
        theirs = np.array([float(np.asarray(other)[x.index]) for x in e.known])
        if np.any(theirs) and np.allclose(analytic, theirs, rtol=1e-6, atol=1e-9):
            return fault
    return None


def _left_out(e: Evidence) -> Fault | None:
    """See whether one of the arrays is missing as a factor, or one too many."""
    for name, array in e.measured.problem.arrays(e.slot):
        factor = np.array([float(array[x.index]) for x in e.wrong])
        if np.ptp(factor) and (e.close(e.a * factor, e.n) or e.close(e.a, e.n * factor)):
            return Fault(Kind.ARRAY_LEFT_OUT, name=name)
    return None


def _masked(e: Evidence) -> Fault | None:
    """See whether the wrong elements are just those that a mask picks."""
    wrong = {x.index for x in e.wrong}
    for fault, mask in e.measured.problem.masks(e.slot):
        if mask.shape == e.shape and wrong == {x.index for x in e.known if mask[x.index]}:
            return fault
    return None


def _at_output(e: Evidence) -> Fault | None:
    """Compare with the derivative of an elementwise function at its output."""
    output = e.measured.run.outputs[0]
    if output.shape != e.shape or len(e.measured.checked) != 1:
        return None
    problem = e.measured.problem
    held = problem.slots[e.slot].value
    if np.array_equal(output, held):
        return None
    try:
        problem.slots[e.slot].value = output.astype(held.dtype)
        there = Differences(problem, e.measured.cotangents)
    except Exception:  # the function need not be defined at its own output
        return None
    finally:
        problem.slots[e.slot].value = held
    found = []
    for element in e.wrong:
        flat = int(np.ravel_multi_index(element.index, e.shape))
        direction = e.measured.direction(e.slot, flat)
        slope = there.slope(direction, "five-point", there.first_step("five-point"))
        found.append(slope.value / float(direction.weights[0]))
    if e.close(e.a, np.array(found)):
        return Fault(Kind.AT_OUTPUT, needed="the input")
    return None


def _transposed(e: Evidence) -> Fault | None:
    if len(e.shape) != 2 or e.shape[0] != e.shape[1]:
        return None
    some = [x for x in e.some() if x.index[0] != x.index[1]]
    if not some:
        return None
    if all(_near(x, e.slopes.at(x.index[::-1])) for x in some):
        return Fault(Kind.TRANSPOSED)
    return None


def _moved(e: Evidence) -> Fault | None:
    """Compare with the right gradient reversed, or shifted by one, along an axis."""
    for axis, size in enumerate(e.shape):
        if size < 2:
            continue
        for kind, turn, shift in (
            (Kind.REVERSED, -1, size - 1),
            (Kind.SHIFTED, 1, 1),
            (Kind.SHIFTED, 1, -1),
        ):
            pairs = [
                (x, _replaced(x.index, axis, (turn * x.index[axis] + shift) % size))
                for x in e.some()
            ]
            apart = len({x.index[axis] for x, _ in pairs}) > 1
            if apart and all(_near(x, e.slopes.at(index)) for x, index in pairs):
                return Fault(kind, axes=(axis,))
    return None


def _another_input(e: Evidence) -> Fault | None:
    """See whether it is the right gradient of another input."""
    measured = e.measured
    for slot in measured.checked:
        if slot == e.slot or measured.numeric.x[slot].shape != e.shape:
            continue
        other = Slopes(measured, slot)
        if all(_near(x, other.at(x.index)) for x in e.some()):
            return Fault(Kind.OTHER_INPUT, name=measured.problem.slots[slot].name)
    return None


def _missing_sum(e: Evidence) -> Fault | None:
    """See whether the error is the same all along an axis: a sum over it is missing there."""
    if len(e.shape) < 1 or len(e.wrong) < 4:
        return None
    for axis, size in enumerate(e.shape):
        if size < 2:
            continue
        groups: dict[tuple[int, ...], list[float]] = {}
        ratios: dict[tuple[int, ...], list[float]] = {}
        for x in e.known:
            rest = _without(x.index, axis)
            groups.setdefault(rest, []).append(x.analytic - x.numeric)
            ratios.setdefault(rest, []).append(x.analytic / x.numeric if x.numeric else np.nan)
        if _constant(groups):
            return Fault(Kind.MISSING_SUM, axes=(axis,))
        if len(groups) > 1 and _constant(ratios):
            return Fault(Kind.FACTOR_PER_SLICE, axes=(axis,))
    return None


def _proportional(e: Evidence) -> Fault | None:
    """See whether the error is the output, or the input, times one number for each slice."""
    output = e.measured.run.outputs[0]
    value = e.measured.problem.slots[e.slot].value
    for kind, array in (
        (Kind.MISSING_TERM_OF_OUTPUT, output),
        (Kind.MISSING_TERM_OF_EXPONENTIAL, np.exp(output)),
        (Kind.MISSING_TERM_OF_INPUT, value),
    ):
        if array.shape != e.shape or len(e.known) < 4:
            continue
        for axis, size in enumerate(e.shape):
            groups: dict[tuple[int, ...], list[float]] = {}
            for x in e.known:
                with np.errstate(all="ignore"):
                    error = np.float64(x.analytic - x.numeric)
                    ratio = float(error / np.float64(array[x.index]))
                groups.setdefault(_without(x.index, axis), []).append(ratio)
            if size > 2 and _constant(groups):
                return Fault(kind, axes=(axis,))
    return None


def _constant(groups: dict[tuple[int, ...], list[float]]) -> bool:
    wide = [np.array(g) for g in groups.values() if len(g) > 1]
    if not wide:
        return False
    scale = max(float(np.max(np.abs(g))) for g in wide)
    return all(np.ptp(g) <= 1e-3 * max(float(np.max(np.abs(g))), 1e-3 * scale) for g in wide)


def _near(element: Element, number: float) -> bool:
    size = max(abs(element.analytic), abs(number))
    return abs(element.analytic - number) <= 1e-3 * size + 4 * element.allowance


def _replaced(index: tuple[int, ...], axis: int, value: int) -> tuple[int, ...]:
    return (*index[:axis], value, *index[axis + 1 :])


def _without(index: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return (*index[:axis], *index[axis + 1 :])


# In this order: what comes first explains more than what comes after it.
RULES: tuple[Rule, ...] = (
    _all_zero,
    factors.rounded,
    regions.kinks,
    _flat,
    factors.constant,
    _substitute,
    regions.few,
    factors.cotangent,
    factors.magnitude,
    _masked,
    factors.sign_of_term,
    _left_out,
    _transposed,
    _relative,
    _at_output,
    _another_input,
    _transformed,
    _moved,
    regions.zero_block,
    regions.scaled_region,
    regions.in_side,
    _missing_sum,
    _proportional,
    regions.in_region,
)
