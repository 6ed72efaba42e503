"""The likely fault behind a wrong gradient, from its signature in the numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from nnscratch.verify import factors, regions
from nnscratch.verify.differences import Differences
from nnscratch.verify.problem import Array
from nnscratch.verify.report import Element, TensorReport, Verdict

if TYPE_CHECKING:
    from nnscratch.verify.checker import Checker

UNKNOWN = "no known pattern: {wrong} of the {all} elements looked at are wrong"


class Evidence:
    """What is known about one wrong gradient, and how to learn more.

    Attributes:
        checker: the check that found it.
        slot: the position of the input.
        shape: of the input.
        gradient: as the code under test gave it, in whatever shape.
        known: every element that was checked by itself.
        wrong: those that are wrong.
    """

    def __init__(self, checker: Checker, report: TensorReport, slot: int, promised: Array) -> None:
        self.checker, self.report, self.slot = checker, report, slot
        self.shape = promised.shape
        self.gradient = checker.run.gradients[slot]
        self.promised = promised
        self.known = report.elements
        self.wrong = report.wrong
        self.a = np.array([e.analytic for e in self.wrong])
        self.n = np.array([e.numeric for e in self.wrong])
        self.room = np.array([e.allowance for e in self.wrong])
        self._seen = {e.index: e.numeric for e in self.known}

    def numeric(self, index: tuple[int, ...]) -> float:
        """Return the numeric derivative at any index."""
        if index not in self._seen:
            flat = int(np.ravel_multi_index(index, self.shape))
            direction = self.checker._single(self.slot, flat)
            weight = float(direction.weights[0])
            slope = self.checker._slope(direction, float("nan"), 0.0, 1e-3)
            self._seen[index] = slope.value / weight
        return self._seen[index]

    def close(self, a: Array, n: Array) -> bool:
        """Say whether two sets of numbers for the wrong elements agree, up to what noise allows."""
        if not len(a) or a.shape != n.shape:
            return False
        with np.errstate(all="ignore"):
            size = np.maximum(np.abs(a), np.abs(n))
            scale = float(np.max(size, initial=0.0))
            near = np.abs(a - n) <= 1e-3 * size + 4 * self.room + 1e-6 * scale
        telling = bool(np.any(size > 10 * self.room))
        return bool(near.all()) and telling

    def some(self, count: int = 12) -> list[Element]:
        """Return a few wrong elements, spread over the tensor."""
        ordered = sorted(self.wrong, key=lambda e: e.index)
        places = np.linspace(0, len(ordered) - 1, min(count, len(ordered))).astype(int)
        return [ordered[place] for place in places]


Rule = Callable[[Evidence], str | None]


@np.errstate(all="ignore")
def likely_fault(
    checker: Checker, report: TensorReport, slot: int, promised: Array, missing: bool
) -> str | None:
    """Return the likely fault in a sentence without a full stop."""
    if checker.forward_wrong:
        return "the forward under test differs from the reference; see the finding above"
    if missing:
        return _missing(checker, report, slot)
    evidence = Evidence(checker, report, slot, promised)
    if not evidence.wrong:
        return "a difference along random directions that no single element explains"
    if not np.isfinite(evidence.a).all():
        return "the gradient is not finite where the function is"
    for rule in RULES:
        found = rule(evidence)
        if found:
            return found
    return UNKNOWN.format(wrong=len(evidence.wrong), all=len(evidence.known))


def _missing(checker: Checker, report: TensorReport, slot: int) -> str:
    """Explain a gradient that is None or of another shape."""
    gradient = checker.run.gradients[slot]
    if gradient is None:
        return "no gradient at all: the backward returns None here, or the graph is cut"
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
        return "transpose: the transposed gradient would be right"
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
            names = ", ".join(map(str, axes))
            if fits(summed):
                return (
                    f"missing un-broadcast: the gradient has the output's shape {given.shape}; "
                    f"summed over axis {names} it would be right"
                )
            return f"missing un-broadcast over axis {names}, and the values are wrong as well"
    if given.size == int(np.prod(shape)) and fits(given.reshape(shape)):
        return f"the values are right, only the shape is {given.shape} instead of {shape}"
    return f"the gradient has shape {given.shape}, and {shape} was needed"


def _all_zero(e: Evidence) -> str | None:
    if not np.any(e.promised):
        return "zero everywhere: the gradient never reaches this input"
    return None


def _flat(e: Evidence) -> str | None:
    """See whether the function does not change with this input at all."""
    if all(abs(x.numeric) <= x.allowance for x in e.known) and np.any(np.abs(e.a) > 10 * e.room):
        return "the right gradient is 0 everywhere: the output does not change with this input"
    return None


def _substitute(e: Evidence) -> str | None:
    checker = e.checker
    values = checker.problem.values()
    for text, gradients in checker.problem.substitutes(values, checker.cotangents):
        other = gradients[e.slot] if e.slot < len(gradients) else None
        if other is None or np.shape(other) != e.shape:
            continue
        right = np.array([float(np.asarray(other)[x.index]) for x in e.known])
        numeric = np.array([x.numeric for x in e.known])
        room = np.array([x.allowance for x in e.known])
        if np.all(np.abs(right - numeric) <= 4 * room + 1e-6 * np.abs(numeric)):
            return text
    return None


def _at_output(e: Evidence) -> str | None:
    """Compare with the derivative of an elementwise function at its output."""
    output = e.checker.run.outputs[0]
    if output.shape != e.shape or len(e.checker.checked) != 1:
        return None
    problem = e.checker.problem
    held = problem.slots[e.slot].value
    if np.array_equal(output, held):
        return None
    try:
        problem.slots[e.slot].value = output.astype(held.dtype)
        there = Differences(problem, e.checker.cotangents)
    except Exception:  # the function need not be defined at its own output
        return None
    finally:
        problem.slots[e.slot].value = held
    found = []
    for element in e.wrong:
        flat = int(np.ravel_multi_index(element.index, e.shape))
        direction = e.checker._single(e.slot, flat)
        slope = there.slope(direction, "five-point", there.first_step("five-point"))
        found.append(slope.value / float(direction.weights[0]))
    if e.close(e.a, np.array(found)):
        return "the derivative is taken at the output instead of at the input"
    return None


def _transposed(e: Evidence) -> str | None:
    if len(e.shape) != 2 or e.shape[0] != e.shape[1]:
        return None
    some = [x for x in e.some() if x.index[0] != x.index[1]]
    if not some:
        return None
    if all(_near(x, e.numeric(x.index[::-1])) for x in some):
        return "transpose: the transposed gradient would be right"
    return None


def _moved(e: Evidence) -> str | None:
    """Compare with the right gradient reversed, or shifted by one, along an axis."""
    for axis, size in enumerate(e.shape):
        if size < 2:
            continue
        for what, turn, shift in (
            ("reversed", -1, size - 1),
            ("shifted by one", 1, 1),
            ("shifted by one", 1, -1),
        ):
            pairs = [
                (x, _replaced(x.index, axis, (turn * x.index[axis] + shift) % size))
                for x in e.some()
            ]
            apart = len({x.index[axis] for x, _ in pairs}) > 1
            if apart and all(_near(x, e.numeric(index)) for x, index in pairs):
                return f"the right gradient {what} along axis {axis}"
    return None


def _another_input(e: Evidence) -> str | None:
    checker = e.checker
    for slot in checker.checked:
        if slot == e.slot or checker.numeric.x[slot].shape != e.shape:
            continue
        other = Evidence.__new__(Evidence)
        other.checker, other.slot, other.shape, other._seen = checker, slot, e.shape, {}
        if all(_near(x, other.numeric(x.index)) for x in e.some()):
            return f"exchanged: this is the gradient of {checker.problem.slots[slot].name}"
    return None


def _missing_sum(e: Evidence) -> str | None:
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
            return (
                f"the error is the same for all elements along axis {axis}: a term that is summed "
                "over that axis is missing, or one too many"
            )
        if len(groups) > 1 and _constant(ratios):
            return f"along axis {axis} the gradient is wrong by one factor, another for each slice"
    return None


def _proportional(e: Evidence) -> str | None:
    """See whether the error is the output, or the input, times one number for each slice."""
    output = e.checker.run.outputs[0]
    value = e.checker.problem.slots[e.slot].value
    for what, array in (("output", output), ("input", value)):
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
                return (
                    f"along axis {axis} the error is proportional to the {what}: a term "
                    f"{what} times a sum over that axis is missing, or one too many"
                )
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


def _rules() -> Iterator[Rule]:
    yield _all_zero
    yield regions.kinks
    yield _flat
    yield _substitute
    yield factors.constant
    yield regions.few
    yield factors.cotangent
    yield factors.magnitude
    yield _transposed
    yield _at_output
    yield _another_input
    yield _moved
    yield regions.zero_block
    yield regions.scaled_region
    yield regions.side
    yield _missing_sum
    yield _proportional
    yield regions.region


RULES: tuple[Rule, ...] = tuple(_rules())

__all__ = ["RULES", "Evidence", "Verdict", "likely_fault"]
