"""A short attack on the suite: some planted faults, the same ones each time, all to be caught."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mutation import kernels
from mutation.cuda_text import edits
from mutation.mutants import affected, modules, mutants
from mutation.operators import applied, changes, sample
from mutation.page import (
    PAGE,
    PARTS,
    Outcome,
    enter,
    enter_again,
    explained,
    page,
    record,
    recorded,
)

HERE = Path(__file__).parent


def test_twenty_faults_in_derivatives_are_caught() -> None:
    command = [sys.executable, str(HERE / "run.py"), "--backward", "--quick", "--count", "20"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [*command, "--seed", "4"], capture_output=True, text=True, timeout=280, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "20 mutants" in done.stdout


@pytest.fixture(scope="module")
def names() -> list[str]:
    formulas = [m.name for module in modules() for m in mutants(module)]
    return formulas + [m.name for file in kernels.files() for m in kernels.mutants(file)]


def test_every_name_is_given_once(names: list[str]) -> None:
    assert len(names) == len(set(names)) > 5000


def test_every_explained_survivor_is_a_mutant_that_there_is(names: list[str]) -> None:
    assert not set(explained()) - set(names)


def test_the_page_is_that_of_the_record_and_explains_every_survivor() -> None:
    """If this fails: tests/mutation/run.py --page and tests/mutation/kernels.py --page."""
    assert PAGE.read_text(encoding="utf-8") == page(record(), explained())
    alive = {name for part in PARTS for name in recorded(part)}
    assert not alive - set(explained())


def test_a_run_is_entered_file_by_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mutation.page.RECORD", tmp_path / "record.json")
    monkeypatch.setattr("mutation.page.PAGE", tmp_path / "page.md")
    enter("rest", [Outcome("a", "a.f: x -> y", True), Outcome("a", "a.g", False)], {"a": 2}, 0)
    enter("rest", [Outcome("b", "b.f", True)], {"b": 9}, 7)
    assert recorded("rest") == {"a.f: x -> y", "b.f"}
    text = (tmp_path / "page.md").read_text()
    assert "| a | 2 | 2 | 1 (50.0%) | all |" in text
    assert "| b | 9 | 1 | 0 (0.0%) | at random, seed 7 |" in text
    assert "| 11 | 3 | 1 (33.3%) | 0 | 2 |" in text
    assert "Not explained: `a.f: x -> y`, `b.f`" in text
    enter_again("rest", [Outcome("a", "a.f: x -> y", False), Outcome("b", "b.f", True)])
    assert recorded("rest") == {"b.f"}


def test_a_random_choice_has_one_of_every_file() -> None:
    found = ["a1", "b1", "c1", *(f"d{i}" for i in range(500))]
    chosen = sample(found, 20, 3, lambda name: name[0])
    assert len(set(chosen)) == 20
    assert {name[0] for name in chosen} == set("abcd")
    assert chosen == sample(found, 20, 3, lambda name: name[0])
    assert chosen != sample(found, 20, 4, lambda name: name[0])


def test_faults_reach_the_formulas_that_use_a_helper() -> None:
    assert set(affected("checks")) > {"relu", "linear", "cross_entropy"}
    assert affected("linear")[0] == "linear"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a + b", {"a - b", "a", "b"}),
        ("a - b", {"a + b", "b - a", "a", "b"}),
        ("-a", {"a"}),
        ("a < b", {"a <= b", "a >= b"}),
        ("x.T @ y", {"x @ y", "y @ x.T", "x.T", "y"}),
        ("xp.sum(x, axis=0)", {"xp.mean(x, axis=0)", "x", "xp.sum(x, axis=1)"}),
        ("xp.permute_dims(W, axes)", {"W"}),
        ("xp.where(c, a, b)", {"xp.where(c, b, a)"}),
        ("LinearSaved(X, W)", {"LinearSaved(W, X)"}),
        ("1", {"2", "0"}),
        ("0.5", {"0.55"}),
        ("True", {"False"}),
    ],
)
def test_what_is_planted(before: str, after: set[str]) -> None:
    source = f"def f():\n    return {before}\n"
    tree = ast.parse(source)
    (function,) = tree.body
    assert isinstance(function, ast.FunctionDef)
    made = {ast.unparse(applied(tree, change)) for change in changes(function)}
    assert made == {f"def f():\n    return {text}" for text in after}
    assert ast.unparse(tree) == source.strip()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("y = a + b;", {"y = a - b;"}),
        ("REAL* y = -a;", {"REAL* y = a;"}),
        ("if (i <= n)", {"if (i < n)", "if (i > n)"}),
        ("sum += x;", {"sum -= x;", "sum = x;"}),
        ("y = c ? p : q[i];", {"y = c ? q[i] : p;"}),
        ("__syncthreads();  // a + b", {";  // a + b"}),
        ("y[4] = log1p(x);", {"y[5] = log1p(x);", "y[4] = log(x);"}),
        ("template <int CODE>  // -x", set()),
        ('#include "a - b"', set()),
    ],
)
def test_what_is_planted_into_cuda_text(before: str, after: set[str]) -> None:
    made = {" ".join(e.applied(before).split()) for e in edits(before)}
    assert made == {" ".join(text.split()) for text in after}
