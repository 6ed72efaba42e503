"""The gradient check of one problem at one point, with a verdict on every gradient."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nnscratch.verify.gradients.directions import probe
from nnscratch.verify.gradients.elements import Element, TensorReport, Verdict, combined
from nnscratch.verify.gradients.hygiene import agree, compare_runs, form_findings, forward_findings
from nnscratch.verify.gradients.measurement import CheckSettings, Measurement, typical
from nnscratch.verify.gradients.problem import Array, FindingKind, Problem, as_float64, output_name
from nnscratch.verify.gradients.rounding import Exact
from nnscratch.verify.gradients.signatures import likely_fault


class Checker(Measurement):
    """Checks one problem: ``check`` runs the check and sets ``tensors`` and ``findings``."""

    def __init__(self, problem: Problem, settings: CheckSettings) -> None:
        super().__init__(problem, settings)
        self.tensors: list[TensorReport] = []

    def check(self) -> Verdict:
        """Run the whole check and return the verdict on everything."""
        problem = self.problem
        again = problem.evaluate(problem.values64())
        if not agree(self.numeric.outputs, again):
            self.note(
                FindingKind.NOT_DETERMINISTIC, "forward", "fault",
                "Two runs of the forward on the same inputs give different outputs: a random number"
                " or a state outside the function takes part, so no derivative can be measured.",
            )  # fmt: skip
            return Verdict.CANNOT_TELL
        self.run = problem.run(problem.values(), self.cotangents)
        self.findings += self.run.findings
        self.findings += compare_runs(
            self.run,
            problem.run(problem.values(), self.cotangents),
            problem.slots,
            self.settings.nondet_tol,
        )
        found = forward_findings(problem, self.run, self.numeric.outputs)
        self.findings += found
        self.forward_wrong = any(f.severity == "fault" for f in found)
        self.forward_differs = any(f.kind is FindingKind.ANOTHER_FUNCTION for f in found)
        self.findings += form_findings(problem, self.run)
        self.spreads = self.rounding_spreads()
        self.exact = Exact(problem, self.cotangents)
        self.numeric.measure_noise(self.rng, self.checked)
        self.method = self.numeric_method()
        self._note_not_finite()
        for slot in self.checked:
            self.tensors.append(self._tensor(slot))
        faults = [f for f in self.findings if f.severity == "fault"]
        verdicts = [t.verdict for t in self.tensors]
        return combined([*verdicts, *([Verdict.WRONG] if faults else [])])

    def _note_not_finite(self) -> None:
        if not self.not_finite:
            return
        name, index, value = next(
            (output_name(i, len(self.numeric.outputs)), tuple(map(int, place)), y[tuple(place)])
            for i, (y, keep) in enumerate(
                zip(self.numeric.outputs, self.numeric.finite, strict=True)
            )
            for place in np.argwhere(~keep)
        )
        total = sum(y.size for y in self.numeric.outputs)
        self.note(
            FindingKind.FORWARD, name, "note",
            f"{self.not_finite} of {total} outputs {'is' if self.not_finite == 1 else 'are'} not "
            f"finite at these inputs, the first is {value} at {index} of {name}: no gradient "
            "through them can be measured, and they are left out. Check where the function is "
            "finite.",
        )  # fmt: skip

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
        self.scale = typical(promised)
        self.tensor_eps = self.eps(slot)
        slack = self.slack(slot, promised).reshape(-1)
        if not missing:
            # An error that rounding explains is not a fault of the formula.
            promised, slack = self.exact.instead(slot, promised, slack, self.eps(slot))
        if value.size <= self.limit:
            positions: Sequence[int] = range(value.size)
        else:
            positions = self._sample(promised)
        self.judge_elements(report, slot, positions, promised, slack)
        if value.size > self.limit:
            probe(self, report, slot, promised, slack)
        self._finish(report, slot, promised, missing)
        return report

    def _sample(self, promised: Array) -> list[int]:
        """Return the corners, the largest entries and some random ones."""
        size = promised.size
        largest = np.argsort(np.abs(promised.reshape(-1)))[-self.sample // 3 :]
        drawn = self.rng.choice(size, min(self.sample // 2, size), replace=False)
        return sorted({0, size - 1, *largest.tolist(), *drawn.tolist()})

    def _finish(self, report: TensorReport, slot: int, promised: Array, missing: bool) -> None:
        order = [Verdict.RIGHT, Verdict.CANNOT_TELL, Verdict.WRONG]
        report.elements.sort(key=lambda e: (order.index(e.verdict), e.error), reverse=True)
        found = [e.verdict for e in report.elements]
        report.verdict = combined([report.verdict, *found])
        nan = any(np.isnan(y).any() for y in self.numeric.outputs)
        # Infinities of an analytic formula are constants, as of a mask, or its gradient has NaN.
        unknown = nan or (self.not_finite and self.method != "complex")
        if unknown and report.verdict is Verdict.RIGHT:
            report.verdict = Verdict.CANNOT_TELL
        sizes = [
            e.allowance / max(abs(e.numeric), 0.1 * self.scale, 1e-300) for e in report.elements
        ]
        report.noise = float(np.median(sizes)) if sizes else 0.0
        if report.verdict is Verdict.WRONG:
            report.diagnosis = likely_fault(self, report, slot, promised, missing)
        if missing and self.run.gradients[slot] is None:
            if report.verdict is Verdict.WRONG:
                self.note(
                    FindingKind.NO_GRADIENT, report.name, "fault",
                    f"The gradient of {report.name} came back None, but the output depends on it.",
                )  # fmt: skip
            else:
                self.note(
                    FindingKind.NO_GRADIENT, report.name, "note",
                    f"{report.name} has no gradient, and the output does not depend on it.",
                )  # fmt: skip
        if report.elements and report.verdict is not Verdict.RIGHT:
            report.curve = self._curve(slot, report.elements[0])

    def _curve(self, slot: int, worst: Element) -> list[tuple[float, float]]:
        """Return (step, difference from the analytic gradient) for steps from coarse to fine."""
        flat = int(np.ravel_multi_index(worst.index, self.numeric.x[slot].shape))
        direction = self.direction(slot, flat)
        weight = float(direction.weights[0])
        found = []
        for power in range(-2, -40, -3):
            with np.errstate(all="ignore"):
                high = self.numeric.at(direction, 2.0**power)
                low = self.numeric.at(direction, -(2.0**power))
                change = [a - b for a, b in zip(high, low, strict=True)]
                slope = self.numeric.weighted(change) / (2 * 2.0**power * weight)
            if np.isfinite(slope):
                found.append((weight * 2.0**power, abs(slope - worst.analytic)))
        return found
