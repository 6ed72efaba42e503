"""What the structure report counts, and that adding to the project does not need another table."""

from __future__ import annotations

import ast
import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import structure, structure_page
from benchmarks.structure_page import BEGIN, END, counts, lines_by_room, written


def test_tables_and_chains_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nnscratch").mkdir()
    (tmp_path / "nnscratch" / "listed.py").write_text(
        """
__all__ = ["relu", "elu", "tanh"]
__all__ += ["relu", "gelu", "tanh"]
KINDS = {"relu": 1, "elu": 2, "tanh": 3}
FEW = ["relu", "elu"]
# They are this way for a reason.
NAMED = (f.RELU, f.ELU, nn.Tanh, "nothing")
if name == "relu":
    pass
elif name == "elu":
    pass
elif name in ("gelu", "tanh"):
    pass
elif name == "selu":
    pass
""",
        encoding="utf-8",
    )
    monkeypatch.setattr(structure, "ROOT", tmp_path)
    found = structure.tables(("nnscratch",))
    assert [(row["line"], row["names"], row["explained"]) for row in found] == [
        (4, ["elu", "relu", "tanh"], False),
        (7, ["elu", "relu", "tanh"], True),
        (8, ["elu", "relu", "selu"], False),
    ]


@functools.cache
def measured() -> dict[str, Any]:
    """Return the whole report, for which every file is read and parsed several times."""
    return structure.measured()


def test_the_source_has_no_more_tables_than_it_had() -> None:
    """One more fact belongs to the formulas, and each of these says why it stands."""
    found = measured()["tables"]["source"]
    assert len(found) <= 10
    assert [f"{one['file']}:{one['line']}" for one in found if not one["explained"]] == []
    named = measured()["mentions"]
    for name, family in (("Mish", "sigmoids"), ("Hardswish", "piecewise")):
        files = [one for one in named["modules"][name] if one.startswith("nnscratch/")]
        programs = [one for one in files if one.endswith(".py")]
        assert programs == [f"nnscratch/formulas/{family}.py"]


def test_no_room_imports_a_higher_one_and_no_files_of_a_room_each_other() -> None:
    assert measured()["upward"] == []
    assert measured()["circles"] == []


def test_no_benchmarks_import_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in functions either, where a circle would be hidden; only for types."""

    def everywhere(body: list[ast.stmt]) -> Iterator[ast.AST]:
        for node in ast.iter_child_nodes(ast.Module(body, [])):
            if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
                yield from ast.walk(node)

    monkeypatch.setattr(structure, "SOURCE", ("benchmarks",))
    monkeypatch.setattr(structure, "_at_load", everywhere)
    monkeypatch.setattr(structure, "room_of_module", lambda module: "")
    assert "benchmarks.structure" in structure.imports()["benchmarks.structure_page"]
    assert structure.circles() == []


def test_the_page_has_the_figures_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If this fails: python -m benchmarks.structure_page docs/architecture.md.

    The lines of each room change every day; the command counts them when somebody asks.
    """
    page = (structure.ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    found = measured()
    for row in counts(found).splitlines():
        assert row in page.splitlines()
    assert "| 1: `nnscratch/formulas/sigmoids.py` |" in counts(found)
    for row in lines_by_room().splitlines():
        assert row.rpartition("| ")[0].rstrip("| 0123456789,") in page
    copy = tmp_path / "page.md"
    copy.write_text(f"# Before\n\n{BEGIN}\nold figures\n{END}\n\nAfter.\n", encoding="utf-8")
    monkeypatch.setattr(structure_page, "figures", lambda: found)
    assert structure_page.main([str(copy)]) == 0
    made = copy.read_text(encoding="utf-8")
    assert made.startswith(f"# Before\n\n{BEGIN}\n\n| what | figure |")
    assert made.endswith(f"|\n\n{END}\n\nAfter.\n")
    assert "old figures" not in made
    assert "| all without `tests` | 43,020 |" in made
    with pytest.raises(ValueError, match="the page has no lines"):
        written("no marks", found)


def test_the_report_can_be_read_by_people_and_programs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(structure, "measured", measured)
    assert structure.main([]) == 0
    assert "Tables that name formulas in source" in capsys.readouterr().out
    assert structure.main(["--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {
        *("tables", "dictionaries", "rooms", "circles", "upward", "mentions")
    }
    with pytest.raises(SystemExit):
        structure.main(["--help"])
    assert "--json" in capsys.readouterr().out
