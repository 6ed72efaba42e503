"""Every notebook runs and shows what is stored in it; stubs have no points, solutions have all."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from notebooks import MEASURED, code_cells, is_measured, read, run_apart, same, source, text_of

FOLDER = Path(__file__).parents[2] / "docs" / "notebooks"
NOTEBOOKS = {path.stem: path for path in sorted(FOLDER.glob("*.ipynb"))}
SOLUTIONS = {path.stem: path for path in sorted((FOLDER / "solutions").glob("*.ipynb"))}
ALL = {**NOTEBOOKS, **{f"solutions/{name}": path for name, path in SOLUTIONS.items()}}
GRADED = re.compile(r"^(nnscratch\.homework\(.*backward|grade_\w+\()", re.MULTILINE)


def graded(path: Path) -> dict[str, str]:
    """What the cells that end in a grade show, by the call that grades."""
    cells = code_cells(read(path))
    return {source(c).splitlines()[-1]: text_of(c) for c in cells if GRADED.search(source(c))}


@pytest.mark.parametrize("name", ALL)
def test_it_shows_what_is_stored(name: str, tmp_path: Path) -> None:
    """If a change is right: python tests/notebooks.py docs/notebooks/NAME.ipynb."""
    run_apart(ALL[name], tmp_path / "run.ipynb")
    stored, found = code_cells(read(ALL[name])), code_cells(read(tmp_path / "run.ipynb"))
    for number, (old, new) in enumerate(zip(stored, found, strict=True), 1):
        assert same(text_of(new), text_of(old)), (
            f"cell {number} of {name} shows\n{text_of(new)}\nand stored is\n{text_of(old)}"
        )
        assert all(output.get("name") != "stderr" for output in old["outputs"]), number


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_exercises_are_open_and_their_solutions_right(name: str) -> None:
    exercises, solutions = graded(NOTEBOOKS[name]), graded(SOLUTIONS[name])
    assert 2 <= len(exercises) <= 3
    assert list(solutions) == list(exercises)
    assert all("Not answered yet" in shown for shown in exercises.values())
    assert all("100 of 100 points" in shown for shown in solutions.values())


@pytest.mark.parametrize("name", ALL)
def test_it_is_numbered_from_the_top_and_listed(name: str) -> None:
    cells = code_cells(read(ALL[name]))
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert f"]({name}.ipynb)" in page


@pytest.mark.parametrize("name", ALL)
def test_links_lead_somewhere(name: str) -> None:
    text = "\n".join(source(c) for c in read(ALL[name])["cells"] if c["cell_type"] == "markdown")
    links = re.findall(r"\]\(([^)#\s]+)", text)
    assert links
    assert [link for link in links if not (ALL[name].parent / link).exists()] == []


@pytest.mark.parametrize("name", ALL)
def test_what_was_measured_is_not_stored(name: str) -> None:
    for cell in code_cells(read(ALL[name])):
        if is_measured(cell):
            assert text_of(cell) == MEASURED
        elif "measured(" in source(cell) or "perf_counter" in source(cell):
            assert cell["outputs"] == []


def test_without_pytorch_the_first_cell_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    with pytest.raises(ImportError, match="%pip install torch"):
        exec(source(code_cells(read(NOTEBOOKS["15_pytorch"]))[0]), {})


def checkers(path: Path) -> str:
    """The cell of a notebook that defines checkers of its own."""
    (found,) = [s for s in map(source, code_cells(read(path))) if s.startswith("def grade_")]
    return found


def test_a_notebooks_own_checkers_tell_right_from_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    cell = checkers(NOTEBOOKS["15_pytorch"])
    assert cell == checkers(SOLUTIONS["15_pytorch"])
    names: dict[str, Any] = {"np": np, "torch": torch}
    exec(cell, names)
    updates: dict[Callable[..., Any], int] = {
        lambda p, g, v, lr, mu: (p - lr * (mu * v + g), mu * v + g): 100,
        lambda p, g, v, lr, mu: (p + mu * v - lr * g, mu * v - lr * g): 50,  # the rate inside
        lambda p, g, v, lr, mu: (p - lr * g, v): 10,  # no velocity
        lambda p, g, v, lr, mu: (p - lr * (mu * v + g), g): 20,  # no memory beyond a step
        lambda p, g, v, lr, mu: (p - lr * (mu * v + (1 - mu) * g), mu * v + (1 - mu) * g): 0,
        lambda p, g, v, lr, mu: (p - lr * (g + mu * (mu * v + g)), mu * v + g): 0,  # Nesterov's
    }
    for update, points in updates.items():
        names["grade_update"](update)
        assert f" {points} of 100 points" in capsys.readouterr().out
    counts: dict[Callable[[int, int], Any], int] = {
        lambda k, n: (12 * k * n, 4 * (k + 2) * n): 100,
        lambda k, n: (12 * k * n, 12 * n): 33,  # with one step there is nothing to save
        lambda k, n: (8 * k * n, 8 * n): 0,  # numbers instead of arrays
    }
    for count, points in counts.items():
        names["grade_traffic"](count)
        assert f" {points} of 100 points" in capsys.readouterr().out


def test_what_counts_as_the_same() -> None:
    assert same("loss 0.1235, 3 steps of relu6", "loss 0.1234, 3 steps of relu6")
    assert not same("loss 0.1236", "loss 0.1234")
    assert not same("4 steps", "3 steps")
    assert not same("-0.5", "0.5")
    assert not same("loss 0.1", "cost 0.1")
    assert not same("relu6", "relu7")
