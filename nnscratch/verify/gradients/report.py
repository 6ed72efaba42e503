"""What a gradient check found, for a person to read: text, HTML, JSON and pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nnscratch.errors import ConfigurationError
from nnscratch.verify.gradients.elements import HEADLINES, Element, TensorReport, Verdict
from nnscratch.verify.gradients.problem import Finding


@dataclass
class Report:
    """The outcome of ``gradcheck``; true if the gradients are right.

    Attributes:
        target: what was checked.
        verdict: right, wrong, or cannot tell at this precision.
        tensors: one report for each gradient.
        findings: what was seen beside the numbers.
        evaluations: how often the function was evaluated on the numeric side.
        seconds: how long it took.
        remark: what the target says of its kinks.
    """

    target: str
    verdict: Verdict
    tensors: list[TensorReport]
    findings: list[Finding]
    evaluations: int = 0
    seconds: float = 0.0
    remark: str = ""

    def __bool__(self) -> bool:
        return self.verdict is Verdict.RIGHT

    def __str__(self) -> str:
        return self.text()

    __repr__ = __str__

    @property
    def faults(self) -> list[str]:
        """The likely faults, one sentence each, without repetition."""
        found = [f.text for f in self.findings if f.severity == "fault"]
        found += [f"{t.name}: {t.fault}" for t in self.tensors if t.fault]
        return list(dict.fromkeys(found))

    def tensor(self, name: str) -> TensorReport:
        """Return the report on the input or parameter of that name.

        Raises:
            KeyError: if no such gradient was checked.
        """
        for report in self.tensors:
            if report.name == name:
                return report
        raise KeyError(name)

    def text(self, worst: int = 5) -> str:
        """Return the report as plain text, with the worst elements of each wrong tensor."""
        lines = [f"{self.target}: {HEADLINES[self.verdict]}"]
        for finding in self.findings:
            lines.append(f"  {finding.severity}: {finding.text}")
        for tensor in self.tensors:
            lines.append(f"  {tensor.summary()}")
            if tensor.fault:
                lines.append(f"    likely fault: {tensor.fault}")
            if tensor.block:
                first, last = tensor.block
                lines.append(f"    found by bisection in flat positions {first} to {last}")
            if tensor.verdict is not Verdict.RIGHT:
                lines += [f"    {row}" for row in _table(tensor.elements[:worst])]
            for kink in tensor.kinks[:worst]:
                low, high = kink.sides or (kink.numeric, kink.numeric)
                lines.append(
                    f"    kink at {list(kink.index)} (x = {kink.value:.6g}): slopes {low:.6g} and "
                    f"{high:.6g}, analytic {kink.analytic:.6g}"
                )
        if self.remark and any(t.kinks for t in self.tensors):
            lines.append(f"  declared: no derivative {self.remark}")
        lines.append(f"  {self.evaluations} evaluations, {self.seconds:.2f} s")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the arrays as plain dictionaries and lists."""
        return {
            "target": self.target,
            "verdict": str(self.verdict),
            "evaluations": self.evaluations,
            "seconds": round(self.seconds, 4),
            "findings": [{**vars(f), "kind": str(f.kind)} for f in self.findings],
            "tensors": [
                {
                    "name": t.name,
                    "mode": t.mode,
                    "shape": list(t.shape),
                    "dtype": t.dtype,
                    "verdict": str(t.verdict),
                    "method": t.method,
                    "probes": t.probes,
                    "checked": len(t.elements),
                    "noise": _finite(t.noise),
                    "fault": t.fault,
                    "block": t.block,
                    "worst": [_element(e) for e in t.elements[:10]],
                    "kinks": [_element(e) for e in t.kinks[:10]],
                }
                for t in self.tensors
            ],
        }

    def json(self, **options: Any) -> str:
        """Return the report as JSON; options go to ``json.dumps``."""
        return json.dumps(self.as_dict(), **options)

    def html(self, pictures: bool = True) -> str:
        """Return the report as one HTML page, with pictures if matplotlib is installed."""
        from nnscratch.verify.gradients.pages import page

        return page(self, pictures)

    def _repr_html_(self) -> str:
        from nnscratch.verify.gradients.pages import body

        return body(self, pictures=False)

    def plot(self, name: str | None = None) -> Any:
        """Return a matplotlib figure: the error over a tensor, and against the step size.

        Args:
            name: which tensor; the worst one if not given.
        """
        from nnscratch.verify.gradients.pictures import figure

        return figure(self.tensor(name) if name else self.worst())

    def worst(self) -> TensorReport:
        """Return the report on the tensor with the largest error.

        Raises:
            ConfigurationError: if no gradient was looked at, as with a forward that changes.
        """
        if not self.tensors:
            raise ConfigurationError(f"{self.target}: no gradient was looked at; see the findings")
        order = [Verdict.RIGHT, Verdict.CANNOT_TELL, Verdict.WRONG]
        return max(
            self.tensors,
            key=lambda t: (
                order.index(t.verdict),
                t.elements[0].relative if t.elements else 0.0,
            ),
        )

    def show(self) -> None:
        """Print the report, in colour if rich is installed."""
        try:
            from rich.console import Console
            from rich.text import Text
        except ImportError:
            print(self.text())
            return
        styled = Text(self.text())
        colours = {"right": "green", "wrong": "bold red", "cannot tell": "yellow"}
        for words, colour in colours.items():
            styled.highlight_words([f": {words}", f": {HEADLINES[Verdict(words)]}"], colour)
        styled.highlight_words(["likely fault:"], "bold magenta")
        Console().print(styled)


def _table(elements: Sequence[Element]) -> list[str]:
    rows = ["index              analytic         numeric    rel. error   may differ"]
    for e in elements:
        index = str(list(e.index))
        rows.append(
            f"{index:<12} {e.analytic:>14.8g}  {e.numeric:>14.8g}  {e.relative:>11.2e}  "
            f"{e.allowance:>11.2e}  {e.verdict}"
        )
    return rows


def _element(e: Element) -> dict[str, Any]:
    found: dict[str, Any] = {
        "index": list(e.index),
        "value": _finite(e.value),
        "analytic": _finite(e.analytic),
        "numeric": _finite(e.numeric),
        "relative_error": _finite(e.relative),
        "allowance": _finite(e.allowance),
        "verdict": str(e.verdict),
    }
    if e.sides is not None:
        found["slopes"] = [_finite(s) for s in e.sides]
    return found


def _finite(number: float) -> float | str:
    return number if math.isfinite(number) else str(number)
