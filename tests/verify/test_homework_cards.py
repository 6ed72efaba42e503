"""The card of a homework in a notebook."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from nnscratch.verify import homework


class Balanced(HTMLParser):
    """Reads HTML and fails where an element is not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag != "rect":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag == "rect" or self.open.pop() == tag


ANSWERS: dict[str, tuple[str, Any]] = {
    "right": ("tanh", lambda dY, Y: dY * (1 - Y**2)),
    "wrong": ("linear", lambda dY, X, W: (dY @ W, -dY.T @ X, dY.sum(0))),
    "broken": ("tanh", lambda dY, Y: dY @ "<b>"),
    "stub": ("linear", None),
    "without an axis": ("mse", lambda Y, T: 3 * (Y - T)),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_card_is_whole_and_loads_nothing(name: str) -> None:
    html = homework(*ANSWERS[name])._repr_html_()
    parser = Balanced()
    parser.feed(html)
    parser.close()
    assert not parser.open
    assert not re.search(r"https?:|<script|<link|src=", html)
    assert len(html) < 20_000


def test_a_card_has_points_hints_and_where_the_error_sits() -> None:
    work = homework(*ANSWERS["wrong"])
    html = work._repr_html_()
    assert f"{work.points} of 100 points" in html
    assert all(f"<summary>Hint {level}</summary>" in html for level in (1, 2, 3))
    assert "dW: 6 of 6 entries are wrong" in html
    assert "dX: 0 of 12 entries are wrong" in html
    assert (html.count("✗"), html.count("✓")) == (6, 14)
    # No right number is shown.
    slope = work.report.tensor("W").elements[0].numeric  # type: ignore[union-attr]
    assert f"{abs(slope):.3g}" not in html


def test_a_card_of_one_row_wrong() -> None:
    def last_row_lost(dY: Any, Y: Any) -> Any:
        return dY * (1 - Y**2) * (np.arange(4) < 3)[:, None]

    html = homework("tanh", last_row_lost)._repr_html_()
    assert html.count("✗") == 3
    lines = re.findall(r'y="(\d+)"[^>]*>✗', html)
    assert len(set(lines)) == 1


def test_cards_without_hints() -> None:
    right = homework(*ANSWERS["right"])._repr_html_()
    assert "100 of 100 points" in right
    assert "<details>" not in right
    stub = homework(*ANSWERS["stub"])._repr_html_()
    assert "Not answered yet" in stub
    assert "def backward(dZ, X, W, b, Z):" in stub
    assert "&lt;b&gt;" not in stub
    assert "It does not run for" in homework(*ANSWERS["broken"])._repr_html_()
