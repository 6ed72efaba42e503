"""The gradient check itself: one problem at one point, every gradient with a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnscratch.verify.differences import Differences, Direction, Slope, step_scales
from nnscratch.verify.hygiene import agree, compare_runs, form_findings, forward_findings
from nnscratch.verify.problem import (
    Array,
    Finding,
    Problem,
    Run,
    as_float64,
    first_outputs,
    nudged,
)
from nnscratch.verify.report import Element, TensorReport, Verdict, combined
from nnscratch.verify.rounding import Exact

CONFIDENCE = 5.0
SAMPLE = 24
LARGE = 20_000


@dataclass(frozen=True)
class Settings:
    """How a check is done.

    Attributes:
        method: "auto", "complex", "five-point" or "central".
        limit: tensors with more elements are checked along random directions.
        resolution: an error of this share of a gradient must be visible, else "cannot tell"; None
            takes it from the dtype.
        seed: of cotangents and directions.
        budget: how many evaluations a bisection may take.
    """

    method: str = "auto"
    limit: int = 256
    resolution: float | None = None
    seed: int = 0
    budget: int = 3000


RESOLUTIONS = {"float64": 1e-4, "float32": 1e-2, "float16": 0.3}


def random_cotangents(outputs: Sequence[Array], rng: np.random.Generator) -> list[Any]:
    """Return ∂L/∂Y for each floating output: random signs, sizes from 0.5 to 1.5, all distinct.

    A constant cotangent hides faults (a softmax's gradient vanishes under it), and one that comes
    near 0 hides elements.
    """
    found: list[Any] = []
    for output in outputs:
        if output.dtype.kind != "f":
            found.append(None)
            continue
        signs = rng.choice([-1.0, 1.0], output.shape)
        # Exact in float32, so that both sides weight by the same numbers.
        found.append(np.float32(signs * rng.uniform(0.5, 1.5, output.shape)).astype(np.float64))
    return found


class Checker:
    """Checks one problem; ``check`` does it and fills in ``tensors`` and ``findings``."""

    def __init__(self, problem: Problem, settings: Settings) -> None:
        self.problem = problem
        self.settings = settings
        self.rng = np.random.default_rng(settings.seed)
        self.findings: list[Finding] = []
        self.tensors: list[TensorReport] = []
        outputs = first_outputs(problem)
        self.cotangents = random_cotangents(outputs, self.rng)
        if any(o.dtype == np.float16 for o in outputs):
            self.cotangents = [
                None if c is None else np.round(c * 64) / 64 for c in self.cotangents
            ]
        self.numeric = Differences(problem, self.cotangents)
        self.dtypes = [getattr(slot.value, "dtype", None) for slot in problem.slots]
        self.forward_wrong = self.forward_differs = False
        total = sum(slot.value.size for slot in problem.slots if slot.checked)
        large = total > LARGE
        self.limit = min(settings.limit, 32) if large else settings.limit
        self.sample = 9 if large else SAMPLE

    @property
    def checked(self) -> list[int]:
        """The positions of the slots whose gradients are checked."""
        return [i for i, slot in enumerate(self.problem.slots) if slot.checked]

    def check(self) -> Verdict:
        """Run the whole check and return the verdict on everything."""
        problem = self.problem
        again = problem.evaluate(problem.values64())
        if not agree(self.numeric.centre, again):
            self._note(
                "not deterministic", "forward", "fault",
                "Two runs of the forward on the same inputs give different outputs: a random number"
                " or a state outside the function takes part, so no derivative can be measured.",
            )  # fmt: skip
            return Verdict.CANNOT_TELL
        self.run = problem.run(problem.values(), self.cotangents)
        self.findings += self.run.findings
        self.findings += compare_runs(
            self.run, problem.run(problem.values(), self.cotangents), problem.slots
        )
        found = forward_findings(problem, self.run, self.numeric.centre)
        self.findings += found
        self.forward_wrong = any(f.severity == "fault" for f in found)
        self.forward_differs = any(f.kind == "another function" for f in found)
        self.findings += form_findings(problem, self.run)
        self.spreads = self._spreads()
        self.exact = Exact(problem, self.cotangents)
        self.numeric.measure_noise(self.rng, self.checked)
        self.method = self._method()
        for slot in self.checked:
            self.tensors.append(self._tensor(slot))
        faults = [f for f in self.findings if f.severity == "fault"]
        verdicts = [t.verdict for t in self.tensors]
        return combined([*verdicts, *([Verdict.WRONG] if faults else [])])

    def _note(self, kind: str, where: str, severity: str, text: str) -> None:
        self.findings.append(Finding(kind, where, severity, text))

    # The analytic side.

    def _eps(self, slot: int) -> float:
        kinds = [self.problem.slots[slot].value.dtype]
        kinds += [y.dtype for y in self.run.outputs if y.dtype.kind == "f"]
        gradient = self.run.gradients[slot]
        if gradient is not None and gradient.dtype.kind == "f":
            kinds.append(gradient.dtype)
        return max(float(np.finfo(kind).eps) for kind in kinds)

    def _spreads(self) -> list[list[Array]]:
        """Return by how much each gradient moves when the inputs move by a rounding error."""
        problem = self.problem
        moved: list[list[Array]] = [[] for _ in problem.slots]
        for trial in range(4):
            # First the inputs move, then only what lies between inputs and gradients.
            inner = trial >= 2
            values, cotangents = problem.values(), list(self.cotangents)
            if not inner:
                values = [
                    nudged(slot.value, self.rng) if slot.checked else slot.value
                    for slot in problem.slots
                ]
                cotangents = [
                    None if c is None else nudged(c.astype(y.dtype), self.rng)
                    for c, y in zip(self.cotangents, self.run.outputs, strict=True)
                ]
            run = problem.run(values, cotangents, self.rng if inner else None)
            for slot in self.checked:
                a, b = self.run.gradients[slot], run.gradients[slot]
                if not _comparable(a, b) or np.shape(a) != problem.slots[slot].value.shape:
                    continue
                with np.errstate(all="ignore"):
                    difference = as_float64(b) - as_float64(a)
                # A comparison of intermediate results may go the other way: no rounding error.
                limit = 1e4 * self._eps(slot) * float(np.max(np.abs(a), initial=0.0))
                if not inner or float(np.max(np.abs(difference), initial=0.0)) <= limit:
                    moved[slot].append(difference)
        return moved

    def _slack(self, slot: int, gradient: Array) -> Array:
        """Return for each element how far rounding may take the analytic gradient."""
        base = self._eps(slot) * 16 * (np.abs(gradient) + _middling(gradient))
        for difference in self.spreads[slot]:
            base = np.maximum(base, 8 * np.abs(difference))
        return np.nan_to_num(base, nan=0.0, posinf=0.0)

    # The numeric side.

    def _method(self) -> str:
        method = self.settings.method
        if method not in ("auto", "complex"):
            return method
        if method == "auto" and not self.problem.analytic:
            return "five-point"
        try:
            trusted = all(self._complex_agrees(slot) for slot in self.checked)
        except Exception as error:  # whatever a forward does with numbers it never expected
            trusted, why = False, f"{type(error).__name__}: {error}"
        else:
            why = "it disagrees with real differences"
        if trusted:
            return "complex"
        severity = "warning" if self.problem.analytic else "note"
        self._note(
            "no complex step", "forward", severity,
            f"The complex step cannot be used here ({why}); five-point differences are.",
        )  # fmt: skip
        return "five-point"

    def _complex_agrees(self, slot: int) -> bool:
        size = self.numeric.x[slot].size
        if not size:
            return True
        for flat in {0, size // 2, size - 1}:
            direction = self._single(slot, flat)
            complex_slope = self.numeric.complex_slope(direction)
            real = self.numeric.best_slope(direction, "five-point", complex_slope.value, 0.0, 1e-4)
            slack = CONFIDENCE * (real.error + complex_slope.error) + abs(real.jump)
            if not abs(complex_slope.value - real.value) <= slack and np.isfinite(real.error):
                return False
        return True

    def _single(self, slot: int, flat: int) -> Direction:
        value = self.numeric.x[slot].reshape(-1)
        magnitude = abs(value[flat])
        scale = 2.0 ** np.round(np.log2(max(magnitude, self._floor_scale(slot))))
        return Direction(slot, np.array([flat]), np.array([scale]))

    def _floor_scale(self, slot: int) -> float:
        if not hasattr(self, "_scales"):
            self._scales: dict[int, float] = {}
        if slot not in self._scales:
            scales = step_scales(self.numeric.x[slot])
            self._scales[slot] = float(scales.min()) if scales.size else 1.0
        return self._scales[slot]

    def _slope(self, direction: Direction, promised: float, slack: float, enough: float) -> Slope:
        if self.method == "complex":
            slope = self.numeric.complex_slope(direction)
            if abs(slope.value - promised) <= CONFIDENCE * slope.error + slack:
                return slope
        method = "five-point" if self.method == "complex" else self.method
        return self.numeric.best_slope(direction, method, promised, slack, enough)

    # One tensor.

    def _tensor(self, slot: int) -> TensorReport:
        held = self.problem.slots[slot]
        value = self.numeric.x[slot]
        gradient = self.run.gradients[slot]
        missing = gradient is None or np.shape(gradient) != value.shape
        promised = np.zeros(value.shape) if missing else as_float64(gradient)
        report = TensorReport(
            held.name, self.problem.mode, tuple(value.shape), str(held.value.dtype),
            Verdict.RIGHT, self.method, 0, [], analytic=gradient,
        )  # fmt: skip
        self.scale = _typical(promised)
        self.eps = self._eps(slot)
        slack = self._slack(slot, promised).reshape(-1)
        if not missing:
            # What rounding has done to the gradient is no fault of its formula.
            promised, slack = self.exact.instead(slot, promised, slack, self._eps(slot))
        if value.size <= self.limit:
            positions: Sequence[int] = range(value.size)
        else:
            positions = self._sample(promised)
        self._elements(report, slot, positions, promised, slack)
        if value.size > self.limit:
            from nnscratch.verify.directions import probe

            probe(self, report, slot, promised, slack)
        self._finish(report, slot, promised, missing)
        return report

    def _sample(self, promised: Array) -> list[int]:
        """Return the corners, the largest entries and some random ones."""
        size = promised.size
        largest = np.argsort(np.abs(promised.reshape(-1)))[-self.sample // 3 :]
        drawn = self.rng.choice(size, min(self.sample // 2, size), replace=False)
        return sorted({0, size - 1, *largest.tolist(), *drawn.tolist()})

    def _elements(
        self,
        report: TensorReport,
        slot: int,
        positions: Sequence[int],
        promised: Array,
        slack: Array,
    ) -> None:
        seen = {e.index for e in (*report.elements, *report.kinks)}
        enough = self._resolution(slot)
        for flat in positions:
            index = tuple(int(i) for i in np.unravel_index(flat, promised.shape))
            if index in seen:
                continue
            a = float(promised.reshape(-1)[flat])
            direction = self._single(slot, flat)
            weight = float(direction.weights[0])
            slope = self._slope(direction, a * weight, slack[flat] * weight, enough)
            element = self._judge(
                index, float(self.numeric.x[slot].reshape(-1)[flat]), a, slope, weight,
                float(slack[flat]), enough,
            )  # fmt: skip
            at_kink = element.sides is not None and element.verdict is Verdict.RIGHT
            (report.kinks if at_kink else report.elements).append(element)

    def _resolution(self, slot: int) -> float:
        if self.settings.resolution is not None:
            return self.settings.resolution
        return RESOLUTIONS.get(str(self.problem.slots[slot].value.dtype), 1e-2)

    def _judge(
        self,
        index: tuple[int, ...],
        value: float,
        a: float,
        slope: Slope,
        weight: float,
        slack: float,
        enough: float,
    ) -> Element:
        n, error = slope.value / weight, slope.error / weight
        allowance = CONFIDENCE * error + slack
        sides = None
        # What moves the outputs by less than their rounding counts as 0, not as unknown.
        nothing = 50 * self.eps * self.numeric.size / weight / enough
        size = max(abs(a), abs(n), 0.1 * self.scale, nothing)
        if not np.isfinite(a):
            verdict = Verdict.WRONG if np.isfinite(error) else Verdict.CANNOT_TELL
        elif not np.isfinite(error):
            verdict = Verdict.CANNOT_TELL
        elif slope.kinked and (abs(a - n) > allowance - error or error > enough * size):
            # The slopes to both sides differ: any value between them is a subgradient.
            low, high = (s / weight for s in slope.sides)
            room = CONFIDENCE * slope.rounding / weight + slack + 1e-3 * max(abs(low), abs(high))
            between = slope.leap or low - room <= a <= high + room
            verdict = Verdict.RIGHT if between else Verdict.WRONG
            sides = (low, high)
        elif abs(a - n) > allowance:
            verdict = Verdict.WRONG
        elif allowance > enough * size and not a == n == 0.0:
            verdict = Verdict.CANNOT_TELL
        else:
            verdict = Verdict.RIGHT
        if self.forward_differs and verdict is Verdict.WRONG:
            verdict = Verdict.CANNOT_TELL  # what was measured is not the function under test
        return Element(index, value, a, n, allowance, abs(slope.step * weight), verdict, sides)

    def _finish(self, report: TensorReport, slot: int, promised: Array, missing: bool) -> None:
        order = [Verdict.RIGHT, Verdict.CANNOT_TELL, Verdict.WRONG]
        report.elements.sort(key=lambda e: (order.index(e.verdict), e.error), reverse=True)
        found = [e.verdict for e in report.elements]
        report.verdict = combined([report.verdict, *found])
        sizes = [
            e.allowance / max(abs(e.numeric), 0.1 * self.scale, 1e-300) for e in report.elements
        ]
        report.noise = float(np.median(sizes)) if sizes else 0.0
        if report.verdict is Verdict.WRONG:
            from nnscratch.verify.signatures import likely_fault

            report.fault = likely_fault(self, report, slot, promised, missing)
        if missing and self.run.gradients[slot] is None:
            if report.verdict is Verdict.WRONG:
                self._note(
                    "no gradient", report.name, "fault",
                    f"The gradient of {report.name} came back None, but the output depends on it.",
                )  # fmt: skip
            else:
                self._note(
                    "no gradient", report.name, "note",
                    f"{report.name} has no gradient, and the output does not depend on it.",
                )  # fmt: skip
        if report.elements and report.verdict is not Verdict.RIGHT:
            report.curve = self._curve(slot, report.elements[0])

    def _curve(self, slot: int, worst: Element) -> list[tuple[float, float]]:
        """Return (step, difference from the analytic gradient) for steps from coarse to fine."""
        flat = int(np.ravel_multi_index(worst.index, self.numeric.x[slot].shape))
        direction = self._single(slot, flat)
        weight = float(direction.weights[0])
        found = []
        for power in range(-2, -40, -3):
            with np.errstate(all="ignore"):
                high = self.numeric.at(direction, 2.0**power)
                low = self.numeric.at(direction, -(2.0**power))
                change = [a - b for a, b in zip(high, low, strict=True)]
                slope = self.numeric._weighted(change) / (2 * 2.0**power * weight)
            if np.isfinite(slope):
                found.append((weight * 2.0**power, abs(slope - worst.analytic)))
        return found


def _typical(gradient: Array) -> float:
    finite = gradient[np.isfinite(gradient)]
    return float(np.sqrt(np.mean(finite**2))) if finite.size else 0.0


def _middling(gradient: Array) -> float:
    """Return the median size of what is not 0, or a share of the mean if that is more."""
    sizes = np.abs(gradient[np.isfinite(gradient) & (gradient != 0)])
    return max(float(np.median(sizes)), 0.5 * _typical(sizes)) if sizes.size else 0.0


def _comparable(a: Any, b: Any) -> bool:
    return a is not None and b is not None and np.shape(a) == np.shape(b)


__all__ = ["Checker", "Run", "Settings", "random_cotangents"]
