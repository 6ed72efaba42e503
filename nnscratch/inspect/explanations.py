"""What ``explain`` returns: text, HTML and JSON of the same things."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from nnscratch.errors import ConfigurationError
from nnscratch.formulas import Formula, registry
from nnscratch.inspect.latex import to_text
from nnscratch.inspect.locate import gradients_of, kinks_of, options_of, place_of, summary_of
from nnscratch.inspect.numbers import ArrayFacts
from nnscratch.inspect.step_page import step_page
from nnscratch.inspect.steps import Step, TrainingStep
from nnscratch.inspect.table import plain_table, show_table
from nnscratch.train.files import write_text

Table = tuple[list[str], list[list[str]], list[int]]
_ENDINGS = (".html", ".htm", ".json", ".txt")


@dataclass(frozen=True, repr=False)
class Explanation:
    """What ``explain`` returns; its ``repr`` is the text.

    Attributes:
        title: the name of the formula, or the class of the model.
        table: of a model: head and rows of the table of its layers, and which columns are numbers.
        formulas: those that are explained.
        step: the training step, if one was taken.
    """

    title: str
    table: Table | None
    formulas: tuple[Formula, ...]
    step: TrainingStep | None = None

    def __repr__(self) -> str:
        return self.text

    @property
    def steps(self) -> tuple[Step, ...]:
        """The calls of the training step; empty if none was taken."""
        return () if self.step is None else self.step.steps

    @property
    def text(self) -> str:
        """All of it as plain text."""
        head = [] if self.table is None else [self.title, plain_table(*self.table)]
        return "\n\n".join([*head, *self._below()])

    def show(self) -> None:
        """Print it, the table with rich if it is installed."""
        if self.table is not None:
            show_table(*self.table, title=self.title)
            print()
        print(*self._below(), sep="\n\n")

    def _below(self) -> list[str]:
        return [*map(formula_text, self.formulas), *_steps_texts(self.step)]

    @property
    def html(self) -> str:
        """A whole page, with nothing from elsewhere; of a training step one to go through."""
        if self.step is not None:
            return step_page(self.title, self.step)
        name = escape(self.title)
        return (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" '
            f'content="width=device-width,initial-scale=1"><title>{name}</title>'
            f"{self._repr_html_()}</html>\n"
        )

    def _repr_html_(self) -> str:
        if self.step is None:
            return f'<pre style="overflow-x:auto">{escape(self.text)}</pre>'
        # A frame keeps style, script and keys of the page apart from those of the notebook.
        return (
            f'<iframe title="One training step" srcdoc="{escape(self.html)}" '
            'style="width:100%;height:40rem;border:1px solid #999"></iframe>'
        )

    @property
    def json(self) -> str:
        """All of it as JSON; numbers that JSON does not have are null."""
        found: dict[str, Any] = {"title": self.title}
        if self.table is not None:
            head, rows, _ = self.table
            found["layers"] = [dict(zip(head, row, strict=True)) for row in rows]
        found["formulas"] = [_formula_facts(formula) for formula in self.formulas]
        if self.step is not None:
            found["loss"] = _finite(self.step.loss)
            found["steps"] = [_step_facts(step) for step in self.step.steps]
        return json.dumps(found, ensure_ascii=False, allow_nan=False)

    def save(self, path: str | Path) -> Path:
        """Write it to a file, as its ending says: .html, .json or .txt.

        Returns:
            The path.

        Raises:
            ConfigurationError: for another ending.
            RunError: if it cannot be written.
        """
        check_ending(path)
        written = {".json": "json", ".txt": "text"}.get(Path(path).suffix.lower(), "html")
        write_text(Path(path), getattr(self, written))
        return Path(path)


def check_ending(path: str | Path) -> None:
    """Check that an explanation can be saved under such a name.

    Raises:
        ConfigurationError: if it has another ending.
    """
    ending = Path(path).suffix.lower()
    if ending not in _ENDINGS:
        raise ConfigurationError(
            f"{path}: an explanation is saved as {', '.join(_ENDINGS)}, got {ending!r}"
        )


def _steps_texts(taken: TrainingStep | None) -> list[str]:
    if taken is None:
        return []
    texts = [f"One training step, loss {taken.loss:.6g}"]
    for number, step in enumerate(taken.steps, start=1):
        lines = [f"{number:>3}  {step.direction}  {step.where}  {step.formula.name}"]
        lines += [f"       {one}" for one in step.inputs]
        lines += [f"    -> {one}" for one in step.outputs]
        lines += [f"     : {one}" for one in step.closer]
        texts.append("\n".join(lines))
    return texts


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _formula_facts(formula: Formula) -> dict[str, Any]:
    return {
        "name": formula.name,
        "forward": formula.equation,
        "backward": gradients_of(formula),
        "shapes": formula.shapes,
        "options": options_of(formula),
        "source": formula.source,
    }


def _step_facts(step: Step) -> dict[str, Any]:
    return {
        "formula": step.formula.name,
        "direction": step.direction,
        "ran": step.ran,
        "of": step.of,
        "sources": step.sources,
        "layer": step.layer,
        "kind": step.kind,
        "implementation": step.implementation,
        "options": dict(step.options),
        "inputs": [_number_facts(one) for one in step.inputs],
        "outputs": [_number_facts(one) for one in step.outputs],
        "closer": [_number_facts(one) for one in step.closer],
    }


def _number_facts(one: ArrayFacts) -> dict[str, Any]:
    return {
        "name": one.name,
        "shape": one.shape,
        "dtype": one.dtype,
        "values": [_finite(value) for value in one.values],
        "low": _finite(one.low),
        "mean": _finite(one.mean),
        "high": _finite(one.high),
        "not_finite": one.odd,
        "histogram": one.bins,
        "heat_map": one.heat,
    }


def formula_text(formula: Formula) -> str:
    """Return what there is to say of one formula."""
    lines = [f"{formula.name}: {_unmarked(summary_of(formula.forward))}", ""]
    facts = [("forward", to_text(formula.equation))]
    facts += [("backward", to_text(equation)) for equation in gradients_of(formula).values()]
    facts.append(("shapes", formula.shapes))
    if formula.backward is not None:
        kinks = kinks_of(formula)
        facts.append(("kinks", kinks) if kinks else ("smooth", "everywhere"))
    elif formula.updates:
        facts.append(("replaces", ", ".join(formula.updates)))
    options = options_of(formula)
    if options:
        named = (f"{name}={value}" if value else name for name, value in options.items())
        facts.append(("options", ", ".join(named)))
    facts.append(("source", formula.source))
    facts.append(("code", f"{place_of(formula.forward)} (forward)"))
    if formula.backward is not None:
        facts.append(("code", f"{place_of(formula.backward)} (backward)"))
    names = [implementation.name for implementation in registry.implementations(formula.name)]
    if names:
        facts.append(("kernels", ", ".join(names)))
    before = ""
    for name, value in facts:
        lines.append(f"  {'' if name == before else name:<8}  {value}")
        before = name
    return "\n".join(lines)


def _unmarked(text: str) -> str:
    """Return a docstring's words without the marks of LaTeX and code."""
    return re.sub(r"\$([^$]*)\$", lambda found: to_text(found[1]), text).replace("``", "")
