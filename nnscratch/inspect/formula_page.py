"""The page of one formula in the documentation's site: equations, curve, code, check, exercise."""

from __future__ import annotations

import inspect
import textwrap
from pathlib import Path
from typing import Any

import numpy as np

from nnscratch.formulas import Formula
from nnscratch.formulas.cases.lessons import lesson
from nnscratch.inspect.equations import section
from nnscratch.kernels.cuda.bodies import formula_text
from nnscratch.verify.gradients.checking import gradcheck
from nnscratch.verify.gradients.lessons import homework

_SEEN = 3.0
"""How far up and down a curve is drawn."""


def formula_page(formula: Formula, before: str = "", after: str = "") -> str:
    """Return the page as Markdown, with links as they are in the folder ``formulas`` of the site.

    Args:
        formula: one of the project's own.
        before: the name of the formula whose page comes before, if there is one.
        after: of the one that comes after.

    >>> from nnscratch.formulas import TANH
    >>> print(formula_page(TANH).splitlines()[0])
    # `tanh`
    """
    file = Path(*formula.forward.__module__.split(".")).with_suffix(".py").as_posix()
    parts = [section(formula).replace("## ", "# ", 1), *_curve(formula)]
    parts += ["## The code", f"From [`{file}`](../source/{file}.md):"]
    parts += [fenced("python", text) for text in dict.fromkeys(map(_text, _functions(formula)))]
    if formula.has_loops:
        parts += ["The same for a GPU, as CUDA C++ that is made of these lines:"]
        parts += [fenced("cuda", formula_text(formula.name))]
    if formula.backward is not None:
        parts += ["## Write it yourself", *_exercise(formula)]
    family = f"[{formula.family.replace('_', ' ')}](../docs/equations/{formula.family}.md)"
    beside = [f"[`{name}`]({name}.md)" for name in (before, after) if name]
    parts += ["---", f"Others: {' · '.join([*beside, f'all of its family, {family}'])}"]
    return "\n\n".join(parts) + "\n"


def fenced(kind: str, text: str) -> str:
    """Return a block of code, or a directive of MyST, in Markdown."""
    return f"```````{kind}\n{text.rstrip()}\n```````"


def _functions(formula: Formula) -> list[Any]:
    words = formula.pointwise
    if words is not None:
        return [words.forward, *words.backward.values()]
    return [formula.forward, *([formula.backward] if formula.backward is not None else [])]


def _text(function: Any) -> str:
    return textwrap.dedent(inspect.getsource(inspect.unwrap(function)))


def _exercise(formula: Formula) -> list[str]:
    """Return how a learner writes the derivative, and what the check by numbers says of ours."""
    case = lesson(formula)
    report = gradcheck(formula, case.build(), options=case.options)
    stub = str(homework(formula)).partition("\n\n")[2].rstrip()
    call = f"nnscratch.homework({formula.name!r}, backward)"
    return [
        "Replace the dots; `nnscratch.homework` says how much of it is right, and has hints:",
        fenced("python", f"import nnscratch\n\n\n{stub}\n\n\n{call}"),
        "With the numbers of this exercise, `nnscratch.gradcheck` says of the derivative above:",
        fenced("text", str(report)),
    ]


def _curve(formula: Formula) -> list[str]:
    """Return a drawing of a function of one number and of its derivative."""
    if formula.pointwise is None or len(formula.inputs) != 1 or formula.backward is None:
        return []
    x = np.linspace(-4.0, 4.0, 321)
    y, saved = formula.forward(x, **lesson(formula).options)
    (slope,) = formula.backward(np.ones_like(y), saved, (True,))
    title = f"{formula.name}, and dashed its derivative, from -4 to 4"
    return [
        "## Its curve",
        f'<svg class="curve" viewBox="-4 -3 8 6" role="img"><title>{title}</title>'
        '<path class="axis" d="M-4 0H4M0-3V3"/>'
        f'<path class="value" d="{_line(x, y)}"/><path class="slope" d="{_line(x, slope)}"/></svg>',
        f"The function, and dashed its derivative, from -4 to 4, between -{_SEEN:g} and {_SEEN:g}.",
    ]


def _line(x: Any, y: Any) -> str:
    """Return an SVG path through the points that are seen, with a gap at those that are not."""
    path, pen = [], "M"
    for one, value in zip(x, np.real(y), strict=True):
        if abs(value) <= _SEEN:
            path.append(f"{pen}{one:.4g} {-value:.4g}")
        pen = "L" if abs(value) <= _SEEN else "M"
    return "".join(path)
