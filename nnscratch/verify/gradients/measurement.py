"""The measurements of one problem at one point: analytic gradients, numeric slopes, and errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnscratch.verify.gradients.differences import Differences, Direction, Slope, step_scales
from nnscratch.verify.gradients.elements import Element, TensorReport, Verdict
from nnscratch.verify.gradients.problem import (
    AnalyticRun,
    Array,
    Finding,
    FindingKind,
    Problem,
    as_float64,
    first_outputs,
    nudged,
)

CONFIDENCE = 5.0
SAMPLE = 24
LARGE = 20_000


@dataclass(frozen=True)
class CheckSettings:
    """The settings of a gradient check.

    Attributes:
        method: "auto", "complex", "five-point" or "central".
        limit: tensors with more elements are checked along random directions.
        resolution: an error of this share of a gradient must be visible, else "cannot tell"; None
            takes it from the dtype.
        seed: of cotangents and directions.
        budget: how many evaluations a bisection may take.
        nondet_tol: by how much gradients of two runs may differ; None for 1e-3 of their size.
    """

    method: str = "auto"
    limit: int = 256
    resolution: float | None = None
    seed: int = 0
    budget: int = 3000
    nondet_tol: float | None = None


RESOLUTIONS = {"float64": 1e-4, "float32": 1e-2, "float16": 0.3}


def random_cotangents(outputs: Sequence[Array], rng: np.random.Generator) -> list[Any]:
    """Return ∂L/∂Y for each floating output: random signs, sizes from 0.5 to 1.5, all distinct.

    A constant cotangent hides faults (a softmax's gradient vanishes under it), and one that comes
    near 0 hides elements. Only entries of the output that are not finite have a 0.
    """
    found: list[Any] = []
    for output in outputs:
        if output.dtype.kind != "f":
            found.append(None)
            continue
        signs = rng.choice([-1.0, 1.0], output.shape)
        # Exact in float32, so that both sides weight by the same numbers.
        drawn = np.float32(signs * rng.uniform(0.5, 1.5, output.shape)).astype(np.float64)
        found.append(np.where(np.isfinite(output), drawn, 0.0))
    return found


class Measurement:
    """The measurements of one problem, and the slopes that its gradients are compared with.

    Attributes:
        problem: whose gradients are measured.
        settings: how.
        run: the outputs and gradients of the code under test, from ``start``.
        cotangents: ∂L/∂Y for each output.
        numeric: the numeric derivatives.
        findings: what was seen beside the numbers.
        not_finite: how many entries of the outputs are not finite, and left out.
    """

    run: AnalyticRun
    method: str
    # Of the tensor that is looked at: the size of its gradient, and the rounding of its dtype.
    scale: float = 0.0
    tensor_eps: float = 0.0

    def __init__(self, problem: Problem, settings: CheckSettings) -> None:
        self.problem = problem
        self.settings = settings
        self.rng = np.random.default_rng(settings.seed)
        self.findings: list[Finding] = []
        self._scales: dict[int, float] = {}
        outputs = first_outputs(problem)
        self.cotangents = random_cotangents(outputs, self.rng)
        if any(o.dtype == np.float16 for o in outputs):
            self.cotangents = [
                None if c is None else np.round(c * 64) / 64 for c in self.cotangents
            ]
        self.numeric = Differences(problem, self.cotangents)
        self.spreads: list[list[Array]] = []
        self.forward_wrong = self.forward_differs = False
        self.not_finite = sum(int(np.sum(~keep)) for keep in self.numeric.finite)
        total = sum(slot.value.size for slot in problem.slots if slot.checked)
        large = total > LARGE
        self.limit = min(settings.limit, 32) if large else settings.limit
        self.sample = 9 if large else SAMPLE

    @property
    def checked(self) -> list[int]:
        """The positions of the slots whose gradients are checked."""
        return [i for i, slot in enumerate(self.problem.slots) if slot.checked]

    def note(self, kind: FindingKind, where: str, severity: str, text: str) -> None:
        """Add a finding."""
        self.findings.append(Finding(kind, where, severity, text))

    # The analytic side.

    def eps(self, slot: int) -> float:
        """Return the coarsest eps of the dtypes that a slot's gradient goes through."""
        kinds = [self.problem.slots[slot].value.dtype]
        kinds += [y.dtype for y in self.run.outputs if y.dtype.kind == "f"]
        gradient = self.run.gradients[slot]
        if gradient is not None and gradient.dtype.kind == "f":
            kinds.append(gradient.dtype)
        return max(float(np.finfo(kind).eps) for kind in kinds)

    def rounding_spreads(self) -> list[list[Array]]:
        """Return how much each gradient changes when the inputs change by a rounding error."""
        problem = self.problem
        moved: list[list[Array]] = [[] for _ in problem.slots]
        for trial in range(4):
            # First perturb the inputs, then only the intermediate results.
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
                # The perturbation may flip a comparison of intermediate results, and so change
                # the gradient by more than rounding.
                limit = 1e4 * self.eps(slot) * float(np.max(np.abs(a), initial=0.0))
                if not inner or float(np.max(np.abs(difference), initial=0.0)) <= limit:
                    moved[slot].append(difference)
        return moved

    def slack(self, slot: int, gradient: Array) -> Array:
        """Return for each element how much of the error of its gradient rounding can explain."""
        base = self.eps(slot) * 16 * (np.abs(gradient) + _middling(gradient))
        for difference in self.spreads[slot]:
            base = np.maximum(base, 8 * np.abs(difference))
        return np.nan_to_num(base, nan=0.0, posinf=0.0)

    # The numeric side.

    def numeric_method(self) -> str:
        """Return the numeric method that the settings ask for and the forward allows."""
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
        self.note(
            FindingKind.NO_COMPLEX_STEP, "forward", severity,
            f"The complex step cannot be used here ({why}); five-point differences are.",
        )  # fmt: skip
        return "five-point"

    def _complex_agrees(self, slot: int) -> bool:
        size = self.numeric.x[slot].size
        if not size:
            return True
        for flat in {0, size // 2, size - 1}:
            direction = self.direction(slot, flat)
            complex_slope = self.numeric.complex_slope(direction)
            real = self.numeric.best_slope(direction, "five-point", complex_slope.value, 0.0, 1e-4)
            slack = CONFIDENCE * (real.error + complex_slope.error) + abs(real.jump)
            if not abs(complex_slope.value - real.value) <= slack and np.isfinite(real.error):
                return False
        return True

    def direction(self, slot: int, flat: int) -> Direction:
        """Return the direction of one element, with a step of its own size."""
        value = self.numeric.x[slot].reshape(-1)
        magnitude = abs(value[flat])
        scale = 2.0 ** np.round(np.log2(max(magnitude, self._floor_scale(slot))))
        return Direction(slot, np.array([flat]), np.array([scale]))

    def _floor_scale(self, slot: int) -> float:
        if slot not in self._scales:
            scales = step_scales(self.numeric.x[slot])
            self._scales[slot] = float(scales.min()) if scales.size else 1.0
        return self._scales[slot]

    def slope(self, direction: Direction, promised: float, slack: float, enough: float) -> Slope:
        """Return the numeric slope along a direction.

        Args:
            direction: along which.
            promised: the slope that the gradient promises; NaN if none is expected.
            slack: how far rounding may take that.
            enough: the share of it that has to be measured.
        """
        if self.method == "complex":
            slope = self.numeric.complex_slope(direction)
            if abs(slope.value - promised) <= CONFIDENCE * slope.error + slack:
                return slope
        method = "five-point" if self.method == "complex" else self.method
        return self.numeric.best_slope(direction, method, promised, slack, enough)

    def judge_elements(
        self,
        report: TensorReport,
        slot: int,
        positions: Sequence[int],
        promised: Array,
        slack: Array,
    ) -> None:
        """Check single elements of a slot, given by their flat positions, and report on them."""
        seen = {e.index for e in (*report.elements, *report.kinks)}
        enough = self.resolution(slot)
        dtype = self.problem.slots[slot].value.dtype
        largest = float(np.finfo(dtype).max) if dtype.kind == "f" else np.inf
        for flat in positions:
            index = tuple(int(i) for i in np.unravel_index(flat, promised.shape))
            if index in seen:
                continue
            a = float(promised.reshape(-1)[flat])
            direction = self.direction(slot, flat)
            weight = float(direction.weights[0])
            slope = self.slope(direction, a * weight, slack[flat] * weight, enough)
            element = self._judge(
                index, float(self.numeric.x[slot].reshape(-1)[flat]), a, slope, weight,
                float(slack[flat]), enough, largest,
            )  # fmt: skip
            at_kink = element.sides is not None and element.verdict is Verdict.RIGHT
            (report.kinks if at_kink else report.elements).append(element)

    def resolution(self, slot: int) -> float:
        """Return the smallest detectable error, as a share of a slot's gradient."""
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
        largest: float,
    ) -> Element:
        n, error = slope.value / weight, slope.error / weight
        allowance = CONFIDENCE * error + slack
        sides = None
        # A slope that changes the outputs by less than their rounding counts as 0, not as unknown.
        nothing = 50 * self.tensor_eps * self.numeric.size / weight / enough
        size = max(abs(a), abs(n), 0.1 * self.scale, nothing)
        if not np.isfinite(a):
            known = np.isfinite(error) and not self.not_finite
            verdict = Verdict.WRONG if known else Verdict.CANNOT_TELL
            if known and np.isinf(a) and np.sign(a) == np.sign(n) and abs(n) >= largest:
                verdict = Verdict.RIGHT  # the number that the dtype has for it
        elif not np.isfinite(error):
            verdict = Verdict.CANNOT_TELL
        elif slope.kinked and (abs(a - n) > allowance - error or error > enough * size):
            # The one-sided slopes differ: any value between them is a subgradient.
            low, high = (s / weight for s in slope.sides)
            # What rounding takes to the other side of a kink is still between the slopes.
            slack = min(slack, (high - low) / 4)
            room = CONFIDENCE * slope.rounding / weight + slack + 1e-3 * max(abs(low), abs(high))
            between = slope.discontinuous or low - room <= a <= high + room
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


def typical(gradient: Array) -> float:
    """Return the root of the mean square of the finite entries."""
    finite = gradient[np.isfinite(gradient)]
    return float(np.sqrt(np.mean(finite**2))) if finite.size else 0.0


def _middling(gradient: Array) -> float:
    """Return the median magnitude of the nonzero entries, or a share of their mean if larger."""
    sizes = np.abs(gradient[np.isfinite(gradient) & (gradient != 0)])
    return max(float(np.median(sizes)), 0.5 * typical(sizes)) if sizes.size else 0.0


def _comparable(a: Any, b: Any) -> bool:
    return a is not None and b is not None and np.shape(a) == np.shape(b)
