"""The mutants of the formulas: what can be planted where, and how it is put into the process."""

from __future__ import annotations

import ast
import importlib
import inspect
import types
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from mutation.operators import Change, applied, changes

import nnscratch.formulas
from nnscratch import optim  # noqa: F401 - its updates are mutated too
from nnscratch.formulas import FORMULAS
from nnscratch.formulas.formula import _followers
from nnscratch.formulas.fused import FUSABLE

# Not mathematics: what a formula is, who computes it, numbers that a plan marks.
NOT_MUTATED = {"__init__", "formula", "pointwise", "registry", "live"}
OPTIMIZERS = "nnscratch.optim."
FOLDER = Path(nnscratch.formulas.__file__).parent


@dataclass(frozen=True)
class Mutant:
    """One planted fault.

    Attributes:
        module: the file in ``nnscratch.formulas``, without its ending, or any module's full name.
        function: the function that it is in.
        kind: the operator.
        text: "before -> after".
        number: tells apart several of the same text in one function.
        change: the change of the syntax tree.
    """

    module: str
    function: str
    kind: str
    text: str
    number: int
    change: Change

    @property
    def name(self) -> str:
        """A name that does not depend on line numbers."""
        again = f" #{self.number}" if self.number > 1 else ""
        return f"{self.module}.{self.function}: {self.text}{again}"

    @property
    def backward(self) -> bool:
        """Whether it is in a hand-written derivative."""
        return self.function.endswith("_backward")


@cache
def tree(module: str) -> ast.Module:
    """Return the syntax tree of a file of formulas."""
    file = FOLDER / f"{module}.py"
    if not file.exists():
        file = Path(str(importlib.import_module(module).__file__))
    parsed = ast.parse(file.read_text(encoding="utf-8"))
    if module.startswith(OPTIMIZERS):  # a class made anew would stand in the place of the optimizer
        parsed.body = [one for one in parsed.body if not isinstance(one, ast.ClassDef)]
    return parsed


def modules() -> list[str]:
    """Return the files of formulas that are mutated; one of your own may be named beside them."""
    found = sorted(path.stem for path in FOLDER.glob("*.py"))
    updates = {one.forward.__module__ for one in FORMULAS.values()}
    updates = {name for name in updates if name.startswith(OPTIMIZERS)}
    return [*(name for name in found if name not in NOT_MUTATED), *sorted(updates)]


def mutants(module: str) -> Iterator[Mutant]:
    """Yield the mutants of one file."""
    counted: Counter[tuple[str, str]] = Counter()
    for node in tree(module).body:
        if not isinstance(node, ast.FunctionDef):
            continue
        for change in changes(node):
            text = f"{_words(change.node)} -> {_words(change.new)}"
            counted[node.name, text] += 1
            yield Mutant(module, node.name, change.kind, text, counted[node.name, text], change)


def _words(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 70 else text[:67] + "..."


def plant(mutant: Mutant) -> None:
    """Change the running process: the function's code and defaults become the mutant's."""
    own = (FOLDER / f"{mutant.module}.py").exists()
    module = importlib.import_module(
        f"nnscratch.formulas.{mutant.module}" if own else mutant.module
    )
    code = compile(applied(tree(mutant.module), mutant.change), f"<{mutant.name}>", "exec")
    scratch: dict[str, Any] = dict(vars(module))
    formulas, fusable, followers = dict(FORMULAS), dict(FUSABLE), list(_followers)
    _followers.clear()
    try:
        exec(code, scratch)  # makes the functions anew; the formulas that this enters are dropped
    finally:
        _followers.extend(followers)
        FORMULAS.clear()
        FORMULAS.update(formulas)
        FUSABLE.clear()
        FUSABLE.update(fusable)
    new, old = scratch[mutant.function], getattr(module, mutant.function)
    new, old = inspect.unwrap(new), inspect.unwrap(old)
    assert isinstance(new, types.FunctionType)
    assert isinstance(old, types.FunctionType)
    old.__code__ = new.__code__
    old.__defaults__, old.__kwdefaults__ = new.__defaults__, new.__kwdefaults__


@cache
def affected(module: str) -> tuple[str, ...]:
    """Return the names of the formulas that a fault in a file can reach, nearest first."""
    near = [
        name for name, formula in FORMULAS.items() if formula.family == module.rpartition(".")[2]
    ]
    users = {name for name in modules() if module in _imports(name)}
    far = [name for user in sorted(users) for name in affected(user) if name not in near]
    if any(module in _imports(core) for core in ("formula", "pointwise")):
        far += FORMULAS  # what makes formulas asks it for all of them
    return tuple(dict.fromkeys([*near, *far]))


def _imports(module: str) -> set[str]:
    found = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
            "nnscratch.formulas"
        ):
            found.add((node.module or "").rpartition(".")[2])
    return found - {module, "formula", "formulas"}


def order(mutant: Mutant) -> list[str]:
    """Return the formulas to try against a mutant, those named like its function first."""
    stem = mutant.function.strip("_").rpartition("_")[0]
    names = list(affected(mutant.module))
    return sorted(names, key=lambda name: (name != stem, not stem.startswith(name)))
