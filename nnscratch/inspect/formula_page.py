"""The page of one formula in the site: equations, curve, derivation, code, check, exercise."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np

from nnscratch.formulas import Formula
from nnscratch.formulas.cases.lessons import lesson
from nnscratch.inspect.derivations import NONE, derivation, numbered
from nnscratch.inspect.equations import section
from nnscratch.inspect.kernel_texts import KernelLines, cuda_texts, lines_of, numba_texts
from nnscratch.verify.gradients.checking import gradcheck
from nnscratch.verify.gradients.lessons import homework

_WORDS = ("kernels/cpu/words.py", "kernels/cuda/words.cuh")
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
    parts += [*_derivation(formula), "## The code"]
    parts += [f"The formula itself, on NumPy's arrays, from [`{file}`](../source/{file}.md):"]
    parts += [shown(one) for one in dict.fromkeys(map(lines_of, _functions(formula)))]
    parts += _kernels(formula)
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


def shown(lines: KernelLines, kind: str = "python") -> str:
    """Return lines as a block of code with their numbers."""
    return fenced(f"{{code-block}} {kind}", f":lineno-start: {lines.first}\n\n{lines.text}")


def kernel_files(formula: Formula) -> set[str]:
    """Return the files of the kernels that a formula's page leads to."""
    texts = (*numba_texts(formula), *cuda_texts(formula))
    return {*_WORDS, *(one.file for one in texts if one.file)}


def _derivation(formula: Formula) -> list[str]:
    """Return the steps from the equation to the gradients, if there is something to derive."""
    steps = derivation(formula)
    if steps:
        return ["## The derivation", numbered(steps)]
    return [] if formula.backward is None else ["## The derivation", NONE]


def _kernels(formula: Formula) -> list[str]:
    """Return the texts for Numba and for a GPU."""
    made = formula.has_loops or formula.update_body is not None
    cpu = ["Numba compiles this for the CPU."]
    cpu += ["It is generated: this is the text for contiguous arrays of float32."] if made else []
    gpu = ["This is CUDA C++ for a GPU."]
    if formula.has_loops:
        cpu += [f"`word_exp` and its like are functions of one number, in {_file(_WORDS[0])}."]
        gpu += [f"It is made of the same lines, with the functions in {_file(_WORDS[1])}."]
    found: list[str] = []
    for head, words, texts in (
        ("### Numba", cpu, numba_texts(formula)),
        ("### CUDA", gpu, cuda_texts(formula)),
    ):
        found += [head, " ".join(words) if texts else "It has no kernel of its own."]
        for file, ones in itertools.groupby(texts, lambda one: one.file):
            kind = "python" if head == "### Numba" else "cuda"
            blocks = [shown(one, kind) for one in ones if one.text]
            if file:
                long = "" if blocks else ", which is too long to be shown here"
                found.append(f"From {_file(file)}{long}{':' if blocks else '.'}")
            found += blocks
    return found


def _file(file: str) -> str:
    return f"[`{file}`](../source/{file}.md)"


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
