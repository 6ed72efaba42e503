"""A short attack on the suite: some planted faults, the same ones each time, all to be caught."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mutation.mutants import affected, modules, mutants
from mutation.operators import applied, changes
from mutation.run import explained

HERE = Path(__file__).parent


def test_twenty_faults_in_derivatives_are_caught() -> None:
    command = [sys.executable, str(HERE / "run.py"), "--backward", "--quick", "--count", "20"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [*command, "--seed", "4"], capture_output=True, text=True, timeout=280, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "20 mutants" in done.stdout


def test_every_explained_survivor_is_a_mutant_that_there_is() -> None:
    names = {m.name for module in modules() for m in mutants(module)}
    assert not set(explained()) - names


def test_every_name_is_given_once() -> None:
    names = [m.name for module in modules() for m in mutants(module)]
    assert len(names) == len(set(names)) > 3000


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
