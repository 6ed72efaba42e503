"""Equations are cut into pieces that fit a phone, and nothing of them is lost or changed."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from nnscratch.formulas import Formula
from nnscratch.inspect.alignment import html_equation, html_inline, width
from nnscratch.inspect.derivations import derivation
from nnscratch.inspect.equations import families
from nnscratch.inspect.locate import gradients_of
from nnscratch.inspect.mathml import to_mathml

OWN = [formula for family in families().values() for formula in family]
PHONE = 33.0
"""How many letters of an equation fit into a line of 390 pixels."""


def pieces(latex: str) -> list[str]:
    """The text of each piece of an equation."""
    root = ET.fromstring(html_equation(latex).replace("<wbr>", "<wbr/>"))
    return ["".join(one.itertext()) for one in root.iter("math")]


@pytest.mark.parametrize("formula", OWN, ids=lambda formula: formula.name)
def test_every_equation_fits_a_phone(formula: Formula) -> None:
    steps = [one for step in derivation(formula) for one in step.split("$$")[1::2]]
    for latex in (formula.equation, *gradients_of(formula).values(), *steps):
        whole = "".join("".join(ET.fromstring(one).itertext()) for one in to_mathml(latex))
        assert "".join(pieces(latex)) == whole
        root = ET.fromstring(html_equation(latex).replace("<wbr>", "<wbr/>"))
        for line in root:
            *left, right = [[*span.iter("math")] for span in line]
            room = PHONE - sum(width(list(math)) for one in left for math in one)
            for math in right:
                assert width(list(math)) <= room, (latex, "".join(math.itertext()))


@pytest.mark.parametrize(
    ("latex", "told"),
    [
        ("a", ["a"]),
        ("a = b + c = d", ["a", "=b", "+c", "=d"]),
        ("a = -b", ["a", "=−b"]),
        (r"a = f(x + y) \left(b - c\right)", ["a", "=f(x+y)(b−c)"]),
        (r"a = b, \quad c = d", ["a", "=b", "c", "=d"]),
        (r"Y_{n+1} = \frac{a + b}{c + d}", ["Yn+1", "=a+bc+d"]),
        (r"a \leftarrow \begin{cases} 1 + 1 & b \\ 2 & c \end{cases}", ["a", "←{1+1b2c"]),
        (
            r"a = \frac{1}{n} \sum_i wwwwwwww \left(bbbbbbbb - cccccccc (1 - dddddddd)\right)",
            ["a", "=1n", "∑iwwwwwwww", "(bbbbbbbb", "−cccccccc(1−dddddddd))"],
        ),
        (
            r"p = \frac{aaaaaaaaaaaaaaa}{b} \left(\frac{cccccccc}{d} + \frac{eeeeeeee}{f}\right)^2",
            ["p", "=aaaaaaaaaaaaaaab", "(ccccccccd+eeeeeeeef)2"],
        ),
    ],
)
def test_where_equations_are_cut(latex: str, told: list[str]) -> None:
    assert pieces(latex) == told


def test_a_sign_at_the_beginning_of_a_piece_keeps_its_room() -> None:
    assert html_equation("a = b - c").count('form="infix"') == 2
    assert 'form="infix"' not in html_equation("-a")


def test_an_equation_in_a_line_breaks_where_it_is_wide_and_keeps_its_style() -> None:
    made = html_inline(r"a = b, \quad c")
    assert made.count("<wbr>") == 1
    assert "displaystyle" not in made
    assert re.sub("<.*?>", "", made) == "a=bc"
    assert (
        html_inline(r"W_2 (W_1 x + b_1) + b_2 = (W_2 W_1) x + (W_2 b_1 + b_2)").count("<wbr>") == 3
    )


def test_the_whole_is_told_to_those_who_do_not_see_it() -> None:
    assert 'aria-label="a = b + c"' in html_equation("a = b + c")
