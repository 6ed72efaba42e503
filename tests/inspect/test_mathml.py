"""LaTeX to MathML: every equation of every formula is well formed, and no command is left."""

from __future__ import annotations

import re
from xml.dom.minidom import parseString

import pytest

from nnscratch import optim  # noqa: F401 - its formulas have equations too
from nnscratch.formulas import FORMULAS, Formula
from nnscratch.inspect.locate import gradients_of
from nnscratch.inspect.mathml import to_mathml

# How many children each of these has; a browser draws one with another number as an error.
CHILDREN = {"mfrac": 2, "msub": 2, "msup": 2, "munder": 2, "mover": 2, "msubsup": 3}
# Functions, and words in equations; any other word would be a command that was not understood.
WORDS = {"arccos", "arcosh", "arcsin", "arctan", "arg", "arsinh", "artanh", "cos", "cosh", "det"}
WORDS |= {"diag", "erf", "exp", "Im", "log", "max", "min", "Re", "rms", "rows", "sign", "sin"}
WORDS |= {"sinh", "skew", "softmax", "tan", "tanh", "trunc"}
BRACKETED = '<mo stretchy="false">[</mo><mi>x</mi><mo stretchy="false">]</mo>'
OWN = [f for f in FORMULAS.values() if f.forward.__module__.startswith("nnscratch.")]


@pytest.mark.parametrize("formula", OWN, ids=lambda formula: formula.name)
def test_every_equation_becomes_mathml(formula: Formula) -> None:
    for latex in (formula.equation, *gradients_of(formula).values()):
        for made in to_mathml(latex):
            root = parseString(made).documentElement
            assert root is not None
            for tag, count in CHILDREN.items():
                for element in root.getElementsByTagName(tag):
                    assert len(element.childNodes) == count, made
            assert "\\" not in made
            assert set(re.findall(r"<m[io]>([A-Za-z]{2,})</m", made)) <= WORDS


@pytest.mark.parametrize(
    ("latex", "mathml"),
    [
        (r"\frac{1}{n}", "<mfrac><mn>1</mn><mi>n</mi></mfrac>"),
        (r"X_i^2", "<msubsup><mi>X</mi><mi>i</mi><mn>2</mn></msubsup>"),
        (r"X'", "<msup><mi>X</mi><mo>′</mo></msup>"),
        (r"\sum_i X", "<munder><mo>∑</mo><mi>i</mi></munder><mi>X</mi>"),
        (r"\sqrt\nabla x \to\ell", "<msqrt><mo>∇</mo></msqrt><mi>x</mi><mo>→</mo><mi>ℓ</mi>"),
        (r"\dfrac12 \big[ x \big]", f"<mfrac><mn>1</mn><mn>2</mn></mfrac>{BRACKETED}"),
        (
            r"\underbrace{x}_{\text{so}}",
            "<munder><munder><mi>x</mi><mo>⏟</mo></munder><mtext>so</mtext></munder>",
        ),
        (r"a < b", "<mi>a</mi><mo>&lt;</mo><mi>b</mi>"),
        (r"\mathrm{sign}\, x", "<mi>sign\u2009</mi><mi>x</mi>"),
        (r"\text{ if }x", "<mtext>\u00a0if\u00a0</mtext><mi>x</mi>"),
        (
            r"\left(X\right)^\top",
            "<msup><mrow><mo>(</mo><mi>X</mi><mo>)</mo></mrow><mo>⊤</mo></msup>",
        ),
        (r"\left|x\right|", "<mrow><mo>|</mo><mi>x</mi><mo>|</mo></mrow>"),
        (r"\left\|x\right\|", "<mrow><mo>‖</mo><mi>x</mi><mo>‖</mo></mrow>"),
        (
            r"\begin{cases} 1 & a \\ 2 & \text{else} \end{cases}",
            "<mrow><mo>{</mo><mtable><mtr><mtd><mn>1</mn></mtd><mtd><mi>a</mi></mtd></mtr>"
            "<mtr><mtd><mn>2</mn></mtd><mtd><mtext>else</mtext></mtd></mtr></mtable></mrow>",
        ),
    ],
)
def test_latex_to_mathml(latex: str, mathml: str) -> None:
    (made,) = to_mathml(latex)
    assert re.sub("</?math.*?>", "", made) == mathml


def test_a_system_of_equations_has_a_line_for_each() -> None:
    made = to_mathml(r"A = 1, \quad B = \begin{cases} 1 & a \\ 2 & b \end{cases} \\ C = 2")
    assert [re.findall(r'alttext="(.)', one) for one in made] == [["A"], ["B"], ["C"]]
