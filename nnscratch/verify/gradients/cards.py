"""A homework's grade as a card for a notebook: points, hints to open, and where the error sits.

Plain HTML without a program: a hint is a ``details`` element, which keyboards open too. Nothing is
loaded from anywhere. The picture shows signs and places only, never a right number.
"""

from __future__ import annotations

from html import escape
from typing import Any, Protocol

import numpy as np

from nnscratch.verify.gradients.elements import TensorReport, Verdict

# Okabe and Ito's colours, which are told apart without red and green.
RIGHT, WRONG, UNKNOWN = "#009e73", "#d55e00", "#999999"
CELL = 22
STYLE = (
    "font:14px/1.5 system-ui,sans-serif;max-width:40rem;border:1px solid #999;border-radius:6px;"
    "padding:.6rem 1rem"
)


class Graded(Protocol):
    """What a card needs of a homework."""

    formula: Any
    report: Any
    points: int
    passed: bool
    answered: bool

    @property
    def stub(self) -> str:
        """The text of a function to begin with."""

    def hint(self, level: int = 1) -> str:
        """Return a hint."""


def card(work: Graded) -> str:
    """Return the card of a homework as HTML.

    >>> from nnscratch.verify import homework
    >>> text = card(homework("tanh", lambda dY, Y: -dY * (1 - Y**2)))
    >>> "0 of 100 points" in text, text.count("<details>")
    (True, 3)
    """
    name = escape(work.formula.name)
    if not work.answered:
        body = f"<p>Not answered yet. Begin with</p><pre>{escape(work.stub)}</pre>"
        return f'<div style="{STYLE}"><b>{name}</b>{body}</div>'
    colour = RIGHT if work.passed else WRONG
    parts = [
        f'<b>{name}</b> <span style="color:{colour}">{work.points} of 100 points</span>',
        f'<div style="background:#ddd;height:6px"><div style="width:{work.points}%;height:6px;'
        f'background:{colour}"></div></div>',
    ]
    if work.passed:
        parts.append("<p>Right: every gradient agrees with the numeric one.</p>")
    elif work.report is None:
        parts.append(f"<p>{escape(work.hint(1))}</p>")
    else:
        parts += [
            f"<details><summary>Hint {level}</summary>{escape(work.hint(level))}</details>"
            for level in (1, 2, 3)
        ]
    tensors = [] if work.report is None else work.report.tensors
    parts += [_picture(tensor) for tensor in tensors]
    return f'<div style="{STYLE}">{"".join(parts)}</div>'


def _picture(tensor: TensorReport) -> str:
    """Return a gradient as a grid of squares: a tick where it is right, a cross where it is not."""
    marks = np.full(tensor.shape or (1,), "?", dtype="<U1")
    for element in [*tensor.kinks, *tensor.elements]:
        right = element.verdict is Verdict.RIGHT
        wrong = element.verdict is Verdict.WRONG
        marks[element.index or (0,)] = "✓" if right else "✗" if wrong else "?"
    grid = marks.reshape(1, -1) if marks.ndim == 1 else marks.reshape(-1, marks.shape[-1])
    count = int((grid == "✗").sum())
    words = f"d{tensor.name}: {count} of {grid.size} entries are wrong"
    rows = [
        _square(x, y, str(mark)) for y, line in enumerate(grid) for x, mark in enumerate(line)
    ]  # fmt: skip
    width, height = grid.shape[1] * CELL, grid.shape[0] * CELL
    return (
        f'<figure style="margin:.6rem 0;display:inline-block;padding-right:1rem">'
        f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(words)}">{"".join(rows)}</svg>'
        f"<figcaption>{escape(words)}</figcaption></figure>"
    )


def _square(x: int, y: int, mark: str) -> str:
    colour = {"✓": RIGHT, "✗": WRONG}.get(mark, UNKNOWN)
    left, top, half = x * CELL, y * CELL, CELL // 2
    return (
        f'<rect x="{left}" y="{top}" width="{CELL - 2}" height="{CELL - 2}" fill="{colour}"/>'
        f'<text x="{left + half - 1}" y="{top + half + 4}" text-anchor="middle" font-size="13" '
        f'fill="#fff">{mark}</text>'
    )
