"""What the structure report counts, and that adding to the project does not need another table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import structure


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


def test_the_source_has_no_more_tables_than_it_had() -> None:
    """One more fact about formulas belongs to the formulas."""
    assert len(structure.tables()) <= 16
    named = structure.mentions()
    for name, family in (("Mish", "sigmoids"), ("Hardswish", "piecewise")):
        files = [one for one in named["modules"][name] if one.startswith("nnscratch/")]
        programs = [one for one in files if one.endswith(".py")]
        assert programs == [f"nnscratch/formulas/{family}.py"]


def test_no_room_imports_a_higher_one_and_no_files_of_a_room_each_other() -> None:
    assert structure.upward() == []
    assert structure.circles() == []


def test_the_report_can_be_read_by_people_and_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert structure.main([]) == 0
    assert "Tables that name formulas in source" in capsys.readouterr().out
    assert structure.main(["--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {
        *("tables", "rooms", "circles", "upward", "mentions")
    }
    with pytest.raises(SystemExit):
        structure.main(["--help"])
    assert "--json" in capsys.readouterr().out
