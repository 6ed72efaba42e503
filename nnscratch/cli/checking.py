"""``nnscratch gradcheck`` and ``nnscratch checkup``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nnscratch.errors import ConfigurationError, GradientError
from nnscratch.formulas import FORMULAS
from nnscratch.formulas.cases import cases
from nnscratch.verify.gradients.checking import gradcheck
from nnscratch.verify.gradients.elements import Verdict, combined
from nnscratch.verify.gradients.report import Report


def check_formulas(
    name: str | None,
    everything: bool = False,
    dtype: str = "float64",
    method: str = "auto",
    html: str | None = None,
    json: str | None = None,
) -> None:
    """Check the gradients of one formula, or of all, on the formulas' own test cases.

    Raises:
        ConfigurationError: if there is no such formula, or none is named.
        GradientError: if a gradient is wrong.
    """
    from rich.console import Console

    console = Console(highlight=False)
    if everything == (name is not None):
        raise ConfigurationError("name one formula, or say --all; `nnscratch gradcheck relu`")
    if name is not None and name not in FORMULAS:
        raise ConfigurationError(f"no formula is named {name!r}; there are {', '.join(FORMULAS)}")
    names = [n for n, f in FORMULAS.items() if f.backward is not None] if everything else [name]
    reports: list[Report] = []
    verdicts = []
    for one in names:
        assert one is not None
        found = formula_reports(one, dtype, method)
        if not found:
            raise ConfigurationError(f"the formula {one} has no derivative to check")
        verdict = combined([report.verdict for _, report in found])
        verdicts.append(verdict)
        colour = {"right": "green", "wrong": "bold red"}.get(str(verdict), "yellow")
        worst = max((t.noise for _, r in found for t in r.tensors), default=0.0)
        console.print(f"{one:<28} [{colour}]{verdict}[/]  {len(found)} cases, noise {worst:.0e}")
        for case, report in found:
            reports.append(report)
            if report.verdict is not Verdict.RIGHT:
                console.print(f"  {case}: ", end="")
                report.show()
    _write(reports, html, json)
    wrong = verdicts.count(Verdict.WRONG)
    if wrong:
        raise GradientError(f"{wrong} of {len(verdicts)} formulas have a wrong gradient")


def formula_reports(name: str, dtype: str, method: str) -> list[tuple[str, Report]]:
    """Return a report for each smooth case of a formula that has a differentiable input."""
    formula = FORMULAS[name]
    found = []
    for case in cases(name):
        values = [
            v.astype(dtype) if isinstance(v, np.ndarray) and v.dtype.kind == "f" else v
            for v in case.build()
        ]
        floats = [v for v in values if isinstance(v, np.ndarray) and v.dtype.kind == "f"]
        large = sum(v.size for v in floats) > 2000
        if formula.backward is None or not case.smooth or not floats or large:
            continue
        if any(not np.isfinite(v).all() for v in floats):
            continue
        report = gradcheck(name, values, options=dict(case.options), method=method)
        report.target = f"{name}, {case.name}"
        found.append((case.name, report))
    return found


def _write(reports: list[Report], html: str | None, json: str | None) -> None:
    from json import dumps

    from nnscratch.train import plots
    from nnscratch.train.files import write_text
    from nnscratch.verify.gradients.pages import pages

    if html is not None:
        write_text(Path(html), pages(reports))
        if not plots.can_draw():
            print(f"Without pictures: {plots.NEED}")
    if json is not None:
        write_text(Path(json), dumps([report.as_dict() for report in reports], indent=1) + "\n")


def check_training(config: str | None, options: dict[str, Any], json: str | None) -> None:
    """Examine the model that ``nnscratch train`` would train with the same options.

    Raises:
        GradientError: if something stands in the way of training.
    """
    from nnscratch.array.random import default_generator
    from nnscratch.cli.networks import architecture_for, some_of
    from nnscratch.cli.sources import prepare
    from nnscratch.cli.training import resolve, settings_from
    from nnscratch.train.choices import make_loss, make_optimizer
    from nnscratch.train.files import write_text
    from nnscratch.verify.checkups.training import checkup

    settings = settings_from(config, options, None, False)
    data = prepare(settings)
    settings = resolve(settings, data)
    default_generator.manual_seed(settings.seed)
    architecture = architecture_for(settings, data.preprocessor)
    model = architecture.build()
    x, y = some_of(data.train, 256, data.preprocessor, architecture)
    loss = make_loss(settings.loss, y.dtype, None, settings.label_smoothing or 0.0)
    more = {"weight_decay": settings.weight_decay} if settings.weight_decay else {}
    optimizer = make_optimizer(settings.optimizer, model, settings.lr, **more)
    report = checkup(model, loss, x, y, optimizer=optimizer)
    report.show()
    if json is not None:
        write_text(Path(json), report.json(indent=1) + "\n")
    if not report:
        raise GradientError("training cannot work like this; see the faults above")
