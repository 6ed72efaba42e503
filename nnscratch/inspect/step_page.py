"""One training step as a page: a single file with nothing from elsewhere, for keys and for touch.

A page is at most ``LIMIT`` bytes. Of a model for whose pictures that is too little, first heat maps
are left out, then histograms, the entries of small arrays, all numbers; the page says so.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from html import escape
from typing import Any

from nnscratch.formulas import Formula
from nnscratch.inspect.locate import gradients_of, place_of
from nnscratch.inspect.mathml import to_mathml
from nnscratch.inspect.numbers import ArrayFacts
from nnscratch.inspect.step_graph import GRAPH_SCRIPT, GRAPH_STYLE
from nnscratch.inspect.step_script import FIRST, SCRIPT, STYLE
from nnscratch.inspect.steps import Step, TrainingStep

LIMIT = 300_000

_Thinned = Callable[[Step], Step]


def step_page(title: str, taken: TrainingStep) -> str:
    """Return the page of a training step.

    >>> from nnscratch import nn, ones, zeros
    >>> from nnscratch.inspect.steps import training_step
    >>> page = step_page("A line", training_step(nn.Linear(2, 1), [ones(3, 2)], "mse", zeros(3, 1)))
    >>> page.startswith("<!doctype html>"), "A line" in page, len(page) < LIMIT
    (True, True, True)
    """
    page = ""
    for left_out, thinned in _LEVELS:
        page = _page(title, taken, [thinned(step) for step in taken.steps], left_out)
        if len(page.encode()) <= LIMIT:
            return page
    kept = len(taken.steps)
    while len(page.encode()) > LIMIT:
        kept = int(0.95 * kept * LIMIT / len(page.encode()))
        steps = [*taken.steps[: kept // 2], *taken.steps[len(taken.steps) - kept // 2 :]]
        cut = f"{len(taken.steps) - len(steps):,} calls in the middle"
        left_out = f"all numbers, the graph, and {cut}"
        page = _page(title, taken, [_without_numbers(step) for step in steps], left_out)
    return page


def _page(title: str, taken: TrainingStep, steps: Sequence[Step], left_out: str) -> str:
    cut = len(steps) < len(taken.steps)
    data = json.dumps(_data(steps, cut), separators=(",", ":"), ensure_ascii=False)
    note = f" To keep the page small, {left_out} are left out." if left_out else ""
    head = escape(title)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>One training step of {head}</title><style>{STYLE}{GRAPH_STYLE}</style>"
        f"<h1>One training step of {head}</h1>"
        f"<p>Loss {taken.loss:.6g}. Each call of a formula in the order in which it ran: "
        f'<b class="forward">forward</b>, then <b class="backward">backward</b>{_last(steps)}. '
        "Go through them "
        "with the buttons or with the keys ← and →, Home and End."
        f"{note}</p>"
        '<p class="move"><button id="back">← Back</button> <button id="on">Next →</button></p>'
        '<main id="step" tabindex="-1" aria-live="polite"></main>'
        '<div id="graph"></div><nav id="rail" aria-label="All calls"></nav>'
        "<noscript>This page needs JavaScript to show the steps.</noscript>"
        # Nothing in a name can end the script: JSON may write < as it likes.
        f'<script type="application/json" id="data">{data.replace("<", chr(92) + "u003c")}</script>'
        f"<script>{SCRIPT}{GRAPH_SCRIPT}{FIRST}</script></html>\n"
    )


def _data(steps: Sequence[Step], cut: bool) -> dict[str, Any]:
    """Return what the script draws: arrays and equations that occur again are there once.

    Where steps are cut out, those that are left have no links to one another.
    """
    arrays: dict[Any, int] = {}
    formulas: dict[str, Any] = {}
    rows = []
    for step in steps:
        if step.formula.name not in formulas:
            formulas[step.formula.name] = _formula(step.formula)
        rows.append(
            [
                step.formula.name,
                _way(step),
                step.where,
                step.implementation,
                [_numbered(arrays, one) for one in step.inputs],
                [_numbered(arrays, one) for one in step.outputs],
                ", ".join(f"{name} = {text}" for name, text in step.options),
                [_numbered(arrays, one) for one in step.closer],
            ]
        )
    links = [] if cut else [[step.of, step.sources] for step in steps]
    return {"steps": rows, "arrays": list(arrays), "formulas": formulas, "links": links}


_DIRECTIONS = ("forward", "backward", "update")


def _way(step: Step) -> int:
    """Return the place of its direction, 3 for a forward that ran in the backward."""
    added = step.direction == "backward" and step.ran == "forward"
    return len(_DIRECTIONS) if added else _DIRECTIONS.index(step.direction)


def _last(steps: Sequence[Step]) -> str:
    updated = any(step.direction == "update" for step in steps)
    return ', then the <b class="update">update</b>' if updated else ""


def _numbered(arrays: dict[Any, int], one: ArrayFacts) -> tuple[str, int]:
    facts = (
        one.shape,
        one.dtype,
        tuple(_short(value) for value in one.values),
        tuple(_short(value) for value in (one.low, one.mean, one.high)),
        one.odd,
        one.bins,
        "/".join(one.heat),
        one.frame,
    )
    return one.name, arrays.setdefault(facts, len(arrays))


def _short(value: float) -> float | str:
    """Return a number with six digits, as JSON has it; a word for what it does not have."""
    return float(f"{value:.6g}") if math.isfinite(value) else str(value)


def _formula(formula: Formula) -> dict[str, Any]:
    return {
        "forward": to_mathml(formula.equation),
        "backward": {name: to_mathml(one) for name, one in gradients_of(formula).items()},
        "code": [_place(formula.forward), _place(formula.backward)],
        "shapes": formula.shapes,
    }


def _place(function: Any) -> str:
    """Return where a function is written, as an import names its file."""
    if function is None:
        return ""
    return f"{function.__module__.replace('.', '/')}.py:{place_of(function).line}"


def _without(**fields: Any) -> _Thinned:
    def thinned(step: Step) -> Step:
        return replace(
            step,
            inputs=tuple(replace(one, **fields) for one in step.inputs),
            outputs=tuple(replace(one, **fields) for one in step.outputs),
            closer=tuple(replace(one, **fields) for one in step.closer),
        )

    return thinned


def _without_numbers(step: Step) -> Step:
    """Keep names and shapes, of a backward those of the gradients."""
    bare = _without(**_NOTHING, low=math.nan, mean=math.nan, high=math.nan, odd=0)(step)
    bare = replace(bare, closer=())
    return replace(bare, inputs=bare.inputs[:1]) if step.direction == "backward" else bare


_NOTHING: dict[str, Any] = {"heat": (), "frame": (), "bins": (), "values": ()}
_LEVELS: tuple[tuple[str, _Thinned], ...] = (
    ("", lambda step: step),
    ("heat maps", _without(heat=(), frame=())),
    ("heat maps and histograms", _without(heat=(), frame=(), bins=())),
    ("pictures and the entries of small arrays", _without(**_NOTHING)),
    ("all numbers", _without_numbers),
)
