"""Every notebook runs and shows what is stored in it; stubs have no points, solutions have all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from notebooks import code_cells, read, run_apart, same, source, text_of

FOLDER = Path(__file__).parents[2] / "docs" / "notebooks"
NOTEBOOKS = {path.stem: path for path in sorted(FOLDER.glob("*.ipynb"))}
SOLUTIONS = {path.stem: path for path in sorted((FOLDER / "solutions").glob("*.ipynb"))}
ALL = {**NOTEBOOKS, **{f"solutions/{name}": path for name, path in SOLUTIONS.items()}}
GRADED = re.compile(r"^nnscratch\.homework\((.*)backward", re.MULTILINE)


def graded(path: Path) -> dict[str, str]:
    """What the cells that end in a grade show, by the call of ``nnscratch.homework``."""
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


def test_what_counts_as_the_same() -> None:
    assert same("loss 0.1235, 3 steps of relu6", "loss 0.1234, 3 steps of relu6")
    assert not same("loss 0.1236", "loss 0.1234")
    assert not same("4 steps", "3 steps")
    assert not same("-0.5", "0.5")
    assert not same("loss 0.1", "cost 0.1")
    assert not same("relu6", "relu7")
