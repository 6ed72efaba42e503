r"""The equation pages of the documentation, written from the formulas themselves.

``python -m nnscratch.inspect.equations docs/equations`` writes a page for each family, which is a
file of ``nnscratch.formulas`` or of ``nnscratch.optim``, and an index. Nothing is said in a page
that a formula does not say.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path

from nnscratch import optim  # noqa: F401 - its formulas have pages too
from nnscratch.formulas import FORMULAS, Formula
from nnscratch.formulas.cases.names import Names
from nnscratch.inspect.locate import gradients_of, kinks_of, options_of, summary_of

INDEX = "README.md"
_NOTE = (
    "<!-- Written by `python -m nnscratch.inspect.equations docs/equations`;"
    " change the formulas, not this file. -->"
)
_DOCUMENT = "../document.md"
_UPDATES = (
    r"P is the parameter, G its gradient, $\eta$ the learning rate `lr`, $\lambda$ the weight decay"
    r" and $t$ the step, counted from 1. Decay is added to the gradient, $G \leftarrow G + \lambda"
    r" P$, unless it is decoupled, $P \leftarrow P - \eta \lambda P$; `maximize` turns the sign"
    r" of G."
)


def families() -> dict[str, list[Formula]]:
    """Return the project's formulas by the file they are written in, both in alphabetical order."""
    found: dict[str, list[Formula]] = {}
    rooms = ("nnscratch.formulas.", "nnscratch.optim.")
    own = [f for f in FORMULAS.values() if f.forward.__module__.startswith(rooms)]
    for formula in sorted(own, key=lambda one: (one.family, one.name)):
        found.setdefault(formula.family, []).append(formula)
    return found


def section(formula: Formula) -> str:
    """Return what a page says of one formula.

    >>> from nnscratch.formulas import TANH
    >>> print(section(TANH).splitlines()[0])
    ## `tanh`
    """
    lines = [f"## `{formula.name}`", "", summary_of(formula.forward), ""]
    lines += ["Forward:", "", *_display(formula.equation)]
    gradients = gradients_of(formula)
    if gradients:
        lines += ["Backward:", ""]
        for equation in gradients.values():
            lines += _display(equation)
    facts = [("shapes", formula.shapes), ("source", formula.source)]
    if formula.backward is not None:
        facts.append(("no derivative", kinks_of(formula) or "nowhere: it is smooth"))
        facts.append(("you may use", ", ".join(f"`{name}`" for name in Names(formula).known)))
    elif formula.updates:
        facts.append(("replaces", ", ".join(formula.updates)))
    else:
        facts.append(("derivative", "none"))
    options = options_of(formula)
    if options:
        named = (f"`{name}={value}`" if value else f"`{name}`" for name, value in options.items())
        facts.append(("options", ", ".join(named)))
    lines += ["| | |", "|---|---|"]
    lines += [f"| {name} | {_cell(value)} |" for name, value in facts]
    return "\n".join([*lines, ""])


def page(family: str, formulas: Sequence[Formula]) -> str:
    """Return the whole page of a family."""
    module = importlib.import_module(formulas[0].forward.__module__)
    head = (inspect.getdoc(module) or "").strip()
    title, _, rest = head.partition("\n\n")
    file = Path(*formulas[0].forward.__module__.split(".")).with_suffix(".py").as_posix()
    lines = [_NOTE, "", f"# {_title(family)}", "", " ".join(title.split()), ""]
    if rest:
        lines += [rest, ""]
    if module.__name__.startswith("nnscratch.optim."):
        lines += [_UPDATES, ""]
    names = ", ".join(f"[`{one.name}`](#{one.name})" for one in formulas)
    lines += [f"Code: [`{file}`](../../{file}). {_count(len(formulas))}: {names}.", ""]
    return "\n".join([*lines, *map(section, formulas)])


def index(pages: dict[str, list[Formula]]) -> str:
    """Return the page that leads to the others."""
    total = sum(map(len, pages.values()))
    lines = [
        _NOTE,
        "",
        "# Equations",
        "",
        f"All {total} formulas of nnscratch, by the file that they are written in. `[c]` is"
        " 1 where the condition c holds and 0 elsewhere, `⊙` multiplies element by element, and L"
        ' is the loss that everything is differentiated by. Where a source says "document", it is'
        f" the article that [this page]({_DOCUMENT}) describes. To write a derivative yourself,"
        " call `nnscratch.homework` with the formula's name and a function of what you may use.",
        "",
        "| family | formulas |",
        "|---|---|",
    ]
    for family, formulas in pages.items():
        names = ", ".join(f"[`{one.name}`]({family}.md#{one.name})" for one in formulas)
        lines.append(f"| [{_title(family)}]({family}.md) | {names} |")
    return "\n".join([*lines, ""])


def all_pages() -> dict[str, str]:
    """Return the text of every page by its file name."""
    found = families()
    made = {f"{family}.md": page(family, formulas) for family, formulas in found.items()}
    return {INDEX: index(found), **made}


def write(folder: Path) -> list[str]:
    """Write all pages into a folder, remove those of families that are gone, and name both."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = all_pages()
    changed = []
    for path in sorted(folder.glob("*.md")):
        ours = path.read_text(encoding="utf-8").startswith(_NOTE)
        if ours and path.name not in wanted:
            path.unlink()
            changed.append(f"removed {path.name}")
    for name, text in wanted.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            changed.append(f"wrote {name}")
    return changed


def _display(equation: str) -> list[str]:
    return ["$$", equation.strip(), "$$", ""]


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def _title(family: str) -> str:
    return family.replace("_", " ").capitalize()


def _count(n: int) -> str:
    return "1 formula" if n == 1 else f"{n} formulas"


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/equations")
    print(*write(target) or ["every page is as it should be"], sep="\n")
