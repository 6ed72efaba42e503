"""The report of a training check-up: its symptoms, each with a severity and a remedy."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from nnscratch.train.markup import html_table

SEVERITIES = ("fault", "warning", "note", "fine")


@dataclass(frozen=True)
class Symptom:
    """One thing that a check-up found.

    Attributes:
        kind: a short name, such as "dead units".
        severity: "fault" (training cannot work like this), "warning" (it will work badly),
            "note", or "fine" for a check that passed.
        text: one sentence.
        mend: what to do about it; "" if there is nothing to do.
        where: the path of the layer or parameter, or "".
        value: the number that the check measured, or None.
    """

    kind: str
    severity: str
    text: str
    mend: str = ""
    where: str = ""
    value: float | None = None


@dataclass
class CheckupReport:
    """The outcome of ``checkup``; true if no symptom is a fault.

    Attributes:
        model: the name of the model's class.
        symptoms: everything that was found, faults first.
    """

    model: str
    symptoms: list[Symptom] = field(default_factory=list)

    def __bool__(self) -> bool:
        return not any(s.severity == "fault" for s in self.symptoms)

    def __str__(self) -> str:
        return self.text()

    __repr__ = __str__

    def add(self, kind: str, severity: str, text: str, mend: str = "", **more: Any) -> None:
        """Add one symptom."""
        self.symptoms.append(Symptom(kind, severity, text, mend, **more))

    def kinds(self, *severities: str) -> set[str]:
        """Return the kinds of the symptoms of given severities, by default fault and warning."""
        wanted = severities or ("fault", "warning")
        return {s.kind for s in self.symptoms if s.severity in wanted}

    def sort(self) -> None:
        """Sort the symptoms by severity, faults first."""
        self.symptoms.sort(key=lambda s: SEVERITIES.index(s.severity))

    def text(self) -> str:
        """Return the report as plain text."""
        count = {name: sum(s.severity == name for s in self.symptoms) for name in SEVERITIES}
        head = f"{self.model}: {count['fault']} faults, {count['warning']} warnings"
        lines = [head]
        for s in self.symptoms:
            lines.append(f"  {s.severity:<8} {s.text}")
            if s.mend:
                lines.append(f"  {'':<8} -> {s.mend}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain dictionaries and lists."""
        return {"model": self.model, "symptoms": [vars(s) for s in self.symptoms]}

    def json(self, **options: Any) -> str:
        """Return the report as JSON; options go to ``json.dumps``."""
        return json.dumps(self.as_dict(), **options)

    def _repr_html_(self) -> str:
        count = {name: sum(s.severity == name for s in self.symptoms) for name in SEVERITIES}
        head = f"{self.model}: {count['fault']} faults, {count['warning']} warnings"
        rows = [[s.severity, s.text + (f"\n→ {s.mend}" if s.mend else "")] for s in self.symptoms]
        return html_table(["", "what was found"], rows, title=head)

    def show(self) -> None:
        """Print the report, in colour if rich is installed."""
        try:
            from rich.console import Console
            from rich.text import Text
        except ImportError:
            print(self.text())
            return
        styled = Text(self.text())
        for word, colour in (("fault", "bold red"), ("warning", "yellow"), ("fine", "green")):
            styled.highlight_regex(rf"(?m)^  {word}\b", colour)
        Console().print(styled)
