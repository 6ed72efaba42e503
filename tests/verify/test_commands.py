"""``nnscratch gradcheck`` and ``nnscratch checkup``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nnscratch.cli import main
from nnscratch.formulas import FORMULAS


def test_gradcheck_of_one_formula(capsys: Any, tmp_path: Path) -> None:
    page, file = tmp_path / "r.html", tmp_path / "r.json"
    assert main(["gradcheck", "softplus", "--html", str(page), "--json", str(file)]) == 0
    out = capsys.readouterr().out
    assert "softplus" in out
    assert "right" in out
    reports = json.loads(file.read_text())
    assert {r["verdict"] for r in reports} == {"right"}
    assert len(reports) > 3
    assert "softplus, a matrix" in page.read_text()


def test_gradcheck_of_a_wrong_formula(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tanh = FORMULAS["tanh"]
    wrong = replace(tanh, backward=lambda dY, saved, needs: (-tanh.backward(dY, saved, needs)[0],))
    monkeypatch.setitem(FORMULAS, "tanh", wrong)
    assert main(["gradcheck", "tanh", "--dtype", "float32"]) == 2
    printed = capsys.readouterr()
    assert "sign: the gradient is the right one with the wrong sign" in " ".join(
        printed.out.split()
    )
    assert "1 of 1 formulas" in printed.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name one formula, or say --all"),
        (["relu", "--all"], "name one formula, or say --all"),
        (["rellu"], "no formula is named"),
        (["argmax"], "has no derivative"),
    ],
)
def test_gradcheck_of_nothing(capsys: Any, arguments: list[str], words: str) -> None:
    assert main(["gradcheck", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_checkup_of_the_digits(capsys: Any, tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    assert main(["checkup", "digits", "--hidden", "32", "--json", str(file)]) == 0
    out = capsys.readouterr().out
    assert "0 faults" in out
    assert "ln 10" in out
    assert json.loads(file.read_text())["model"] == "Sequential"


def test_checkup_finds_a_learning_rate_that_is_too_high(capsys: Any) -> None:
    main(["checkup", "digits", "--hidden", "32", "--optimizer", "sgd", "--lr", "1e4"])
    assert "the learning rate is too high" in capsys.readouterr().out
