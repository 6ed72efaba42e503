"""Tables and curves as HTML for a notebook: no program, and nothing loaded from anywhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import TypeGuard

# Okabe and Ito's colours, which are told apart without red and green.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
_DASHES = ("", "6 3", "2 3", "8 3 2 3")
_WIDTH, _HEIGHT, _LEFT, _BELOW = 300, 150, 52, 18


def html_table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Sequence[int] = (),
    title: str = "",
    below: Sequence[str] = (),
) -> str:
    """Return a table as HTML, the columns numbered in ``right`` flush right.

    Spaces at the beginning of a cell stay, and ``below`` are lines under the table.

    >>> html_table(["layer", "n"], [["fc1", "110"]], [1]).count("<td")
    2
    """
    styles = [f"text-align:{'right' if i in right else 'left'}" for i in range(len(head))]
    names = "".join(
        f'<th style="{style}">{escape(name)}</th>' for style, name in zip(styles, head, strict=True)
    )
    lines = "".join(
        f"<tr>{''.join(map(_cell, styles, row))}</tr>" for row in rows
    )  # fmt: skip
    first = f"<p><b>{escape(title)}</b></p>" if title else ""
    last = "".join(f"<div>{escape(line)}</div>" for line in below)
    return (
        f'<div style="overflow-x:auto">{first}<table><thead><tr>{names}</tr></thead>'
        f"<tbody>{lines}</tbody></table>{last}</div>"
    )


def _cell(style: str, text: str) -> str:
    return f'<td style="{style};white-space:pre">{escape(text)}</td>'


def html_curves(
    title: str, x: Sequence[float], series: Mapping[str, Sequence[float | None]]
) -> str:
    """Return curves over one axis as a picture; numbers that are not finite leave a gap.

    >>> picture = html_curves("loss", [1, 2], {"training": [0.5, 0.25], "validation": [0.6, None]})
    >>> picture.startswith("<svg"), picture.count("<path"), picture.count("<circle")
    (True, 1, 1)
    """
    known = [v for values in series.values() for v in values if _finite(v)]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    if not high > low:
        low, high = low - 0.5, high + 0.5
    first, last = (min(x), max(x)) if x else (0.0, 1.0)
    wide, tall = _WIDTH - _LEFT - 8, _HEIGHT - 2 * _BELOW - 6

    def place(at: float, value: float) -> str:
        across = (at - first) / (last - first) if last > first else 0.5
        return (
            f"{_LEFT + wide * across:.1f} {_BELOW + 3 + tall * (high - value) / (high - low):.1f}"
        )

    bottom = _HEIGHT - 4
    parts = [
        _text(_LEFT, 12, title, weight="bold"),
        _text(_LEFT - 4, _BELOW + 8, f"{high:.4g}", "end"),
        _text(_LEFT - 4, _BELOW + 3 + tall, f"{low:.4g}", "end"),
        _text(_LEFT, bottom, f"{first:g}"),
        _text(_WIDTH - 8, bottom, f"{last:g}", "end"),
        f'<rect x="{_LEFT}" y="{_BELOW + 3}" width="{wide}" height="{tall}" fill="none" '
        'stroke="#bbb"/>',
    ]
    for number, (name, values) in enumerate(series.items()):
        colour, dash = COLOURS[number % len(COLOURS)], _DASHES[number % len(_DASHES)]
        parts.append(_text(_WIDTH - 8, 12 + 13 * number, name, "end", colour))
        parts += _runs(x, values, place, colour, dash)
    words = escape(f"{title}: {', '.join(series)}")
    return (
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{words}" style="background:#fff;max-width:100%">{"".join(parts)}</svg>'
    )


def _runs(
    x: Sequence[float],
    values: Sequence[float | None],
    place: Callable[[float, float], str],
    colour: str,
    dash: str,
) -> list[str]:
    """Return a path for each run of finite numbers, a point where one stands alone."""
    found: list[str] = []
    points: list[str] = []
    for at, value in [*zip(x, values, strict=True), (0.0, None)]:
        if _finite(value):
            points.append(place(at, value))
            continue
        if len(points) == 1:
            across, down = points[0].split()
            found.append(f'<circle cx="{across}" cy="{down}" r="2.5" fill="{colour}"/>')
        elif points:
            dashes = f' stroke-dasharray="{dash}"' if dash else ""
            found.append(
                f'<path d="M{"L".join(points)}" fill="none" stroke="{colour}" '
                f'stroke-width="2"{dashes}/>'
            )
        points = []
    return found


def _text(
    x: float, y: float, text: str, anchor: str = "start", fill: str = "#333", weight: str = "normal"
) -> str:
    return (
        f'<text x="{x}" y="{y}" font-size="11" font-family="system-ui,sans-serif" '
        f'font-weight="{weight}" text-anchor="{anchor}" fill="{fill}">{escape(text)}</text>'
    )


def _finite(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and math.isfinite(value)
