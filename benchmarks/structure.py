"""How the source hangs together: what names formulas, how large rooms are, what imports what.

    python -m benchmarks.structure            # a page to read
    python -m benchmarks.structure --json     # the same for a program

A table is a literal (or a chain of comparisons) in which at least three formulas are named, outside
``nnscratch/formulas/``: a fact that ought to come from the formulas themselves. One with a comment
above it, or behind its first line, counts as explained. What a file lists in ``__all__`` is no
table: it names what the file itself defines, under PyTorch's names. Nor are the dictionaries of
``nnscratch/interop/``, which are counted apart: how another library calls something, no formula
knows, and what they do not list is refused by name.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SOURCE = ("nnscratch", "kernels")
FOREIGN = "nnscratch/interop"
"""Where other libraries' words are."""
ENOUGH = 3
LITERALS = (ast.Dict, ast.List, ast.Set, ast.Tuple)


def files(*folders: str, endings: tuple[str, ...] = (".py",)) -> list[Path]:
    """Return the files below some folders of the project, in order."""
    found = (path for folder in folders for path in (ROOT / folder).rglob("*"))
    return sorted(
        path for path in found if path.suffix in endings and "__pycache__" not in path.parts
    )


def of_ours(*folders: str, endings: tuple[str, ...] = (".py",)) -> list[Path]:
    """Return the files below some folders in which a formula's name is ours.

    Where other libraries' files are read and written, names are theirs, and tables translate them.
    """
    found = files(*folders, endings=endings)
    return [path for path in found if not path.is_relative_to(ROOT / FOREIGN)]


def formula_names() -> dict[str, str]:
    """Return what formulas are called anywhere: their names, their constants, their modules."""
    from nnscratch import nn
    from nnscratch.formulas import FORMULAS

    found = {name: name for name in FORMULAS} | {name.upper(): name for name in FORMULAS}
    for kind in [getattr(nn, name) for name in dir(nn)]:
        function = getattr(getattr(kind, "function", None), "__name__", "")
        for name in (function, function.removesuffix("_loss")):
            if isinstance(kind, type) and name in FORMULAS:
                found[kind.__name__] = found[function] = name
    return found


def named(node: ast.expr | None) -> str | None:
    """Return the name that an expression is: a text, a variable, an attribute."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=text) | ast.Attribute(attr=text):
            return text
    return None


def _entries(node: ast.AST) -> list[ast.expr | None]:
    """Return what a literal holds; of a dictionary the keys, or the values if they say more."""
    if isinstance(node, ast.Dict):
        return [*node.keys, *node.values]
    return list(node.elts) if isinstance(node, (ast.List, ast.Set, ast.Tuple)) else []


def _chain(node: ast.If) -> Iterator[ast.expr]:
    """Yield what the conditions of an if and its elifs compare with."""
    here: ast.stmt | None = node
    while isinstance(here, ast.If):
        for one in ast.walk(here.test):
            if isinstance(one, ast.Compare):
                yield from (one.left, *one.comparators)
        here = here.orelse[0] if len(here.orelse) == 1 else None


def _exports(tree: ast.Module) -> set[int]:
    """Return the nodes of what is assigned to ``__all__`` or added to it."""
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=targets, value=value):
                named_so = any(map(_is_all, targets))
            case ast.AugAssign(target=target, value=value):
                named_so = _is_all(target)
            case _:
                continue
        if named_so:
            found |= {id(inner) for inner in ast.walk(value)}
    return found


def _is_all(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) and target.id == "__all__"


def tables(folders: tuple[str, ...] = SOURCE) -> list[dict[str, Any]]:
    """Return the tables in some folders that name formulas, without other libraries' words."""
    return tables_in(of_ours(*folders))


def tables_in(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """Return the tables in some files that name formulas, the outermost of nested ones."""
    names = formula_names()
    found = []
    for path in paths:
        if path.is_relative_to(ROOT / "nnscratch" / "formulas"):
            continue
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        tree = ast.parse(text)
        seen = _exports(tree) if "__all__" in text else set()
        for node in ast.walk(tree):
            if id(node) in seen:
                continue
            if isinstance(node, LITERALS):
                entries = _entries(node)
            elif isinstance(node, ast.If):
                entries = list(_chain(node))
            else:
                continue
            hits = {names[n] for entry in entries if (n := named(entry)) in names}
            if len(hits) < ENOUGH:
                continue
            seen |= {id(inner) for inner in ast.walk(node)}
            above = lines[node.lineno - 2].strip() if node.lineno > 1 else ""
            found.append(
                {
                    "file": path.relative_to(ROOT).as_posix(),
                    "line": node.lineno,
                    "names": sorted(hits),
                    "explained": above.startswith("#") or "# " in lines[node.lineno - 1],
                }
            )
    return sorted(found, key=lambda row: (row["file"], row["line"]))


def room_of(path: Path) -> str:
    """Return the room that a source file belongs to."""
    parts = path.relative_to(ROOT).parts
    if parts[0] == "kernels":
        return "kernels"
    return Path(parts[1]).stem if len(parts) > 1 else parts[0]


def module_of(path: Path) -> str:
    """Return the name that a source file is imported by."""
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    if parts[0] == "kernels":
        parts.insert(0, "nnscratch")
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def rooms() -> list[dict[str, Any]]:
    """Return the size of each room."""
    found: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for path in files(*SOURCE):
        count = found[room_of(path)]
        count[0] += 1
        count[1] += len(path.read_text(encoding="utf-8").splitlines())
    return [{"room": n, "files": c[0], "lines": c[1]} for n, c in sorted(found.items())]


def imports() -> dict[str, set[str]]:
    """Return for each module those of the project that it imports when it is loaded itself."""
    known = {module_of(path): path for path in files(*SOURCE)}
    found: dict[str, set[str]] = {}
    for name, path in known.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        targets: set[str] = set()
        for node in _at_load(ast.parse(path.read_text(encoding="utf-8")).body):
            if isinstance(node, ast.Import):
                targets |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                base = package.split(".")[: len(package.split(".")) - max(node.level - 1, 0)]
                start = ".".join([*(base if node.level else []), *filter(None, [node.module])])
                inner = {f"{start}.{alias.name}" for alias in node.names} & set(known)
                targets |= inner or {start}
        found[name] = (targets & set(known)) - {name}
    return found


def _at_load(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run when a module is loaded: not in functions, not for types."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        for name in ("body", "orelse", "finalbody"):
            yield from _at_load(getattr(node, name, []))


def circles() -> list[list[str]]:
    """Return the groups of files inside one room each of which leads to all others of the group."""
    graph = imports()
    reach: dict[str, set[str]] = {}
    for start in graph:
        todo, seen = [start], set()
        while todo:
            for one in graph[todo.pop()]:
                if one not in seen and room_of_module(one) == room_of_module(start):
                    seen.add(one)
                    todo.append(one)
        reach[start] = seen
    groups = {
        tuple(sorted(one for one in reach[start] if start in reach[one]))
        for start in graph
        if start in reach[start]
    }
    return [list(group) for group in sorted(groups)]


def room_of_module(module: str) -> str:
    return (module.split(".") + [""])[1]


def upward() -> list[str]:
    """Return the imports of a room that stands higher, by the list in pyproject.toml."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    layers = next(one for one in contracts if one["id"] == "rooms")["layers"]
    floors = {
        name: len(layers) - index
        for index, layer in enumerate(layers)
        for name in re.findall(r"\w+", layer)
    }
    return sorted(
        f"{source} imports {target}"
        for source, targets in imports().items()
        for target in targets
        if floors.get(room_of_module(source), 99) < floors.get(room_of_module(target), 0)
    )


def mentions() -> dict[str, dict[str, list[str]]]:
    """Return for each activation, loss, layer and optimizer the files that name it.

    Those of other libraries' words are left out: a layer that they lack is refused by name.
    """
    from nnscratch import nn, optim
    from nnscratch.formulas import FORMULAS

    kinds: dict[str, dict[str, set[str]]] = {"modules": {}, "optimizers": {}}
    for name, kind in [(name, getattr(nn, name)) for name in dir(nn)]:
        if isinstance(kind, type) and issubclass(kind, nn.Module) and kind is not nn.Module:
            function = getattr(getattr(kind, "function", None), "__name__", "")
            kinds["modules"][name] = {name, *([function] if function else [])}
    for lower, optimizer in optim.Optimizer.kinds.items():
        name = optimizer.__name__
        kinds["optimizers"][name] = {name, *([lower] if lower in FORMULAS else [])}
    endings = (".py", ".pyi", ".md", ".cu", ".cuh")
    texts = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for path in of_ours(*SOURCE, "tests", "benchmarks", "docs", endings=endings)
    }
    words = {name: set(re.findall(r"\w+", text)) for name, text in texts.items()}
    return {
        kind: {
            name: [file for file, inside in words.items() if inside & spelled]
            for name, spelled in sorted(found.items())
        }
        for kind, found in kinds.items()
    }


def figures() -> dict[str, Any]:
    """Return what docs/architecture.md has of it."""
    return {
        "tables": {"source": tables()},
        "dictionaries": len(tables_in(files(FOREIGN))),
        "circles": circles(),
        "upward": upward(),
    }


def measured() -> dict[str, Any]:
    """Return everything that this file can say."""
    found = figures()
    found["tables"]["tests"] = tables(("tests",))
    return {**found, "rooms": rooms(), "mentions": mentions()}


def page(found: dict[str, Any]) -> str:
    """Return it as text."""
    lines = []
    for where, rows in found["tables"].items():
        bare = sum(not row["explained"] for row in rows)
        lines += [f"Tables that name formulas in {where}: {len(rows)}, {bare} without a comment"]
        for row in rows:
            mark = " " if row["explained"] else "!"
            names = ", ".join(row["names"][:6]) + (", ..." if len(row["names"]) > 6 else "")
            lines.append(f" {mark} {row['file']}:{row['line']}  {len(row['names'])}: {names}")
    lines += ["", f"Dictionaries of other libraries' words: {found['dictionaries']}"]
    lines += ["", f"{'room':<12} {'files':>6} {'lines':>7}"]
    lines += [f"{r['room']:<12} {r['files']:>6} {r['lines']:>7,}" for r in found["rooms"]]
    lines += ["", f"Circles of files inside a room: {len(found['circles'])}"]
    lines += [f"  {' <-> '.join(one)}" for one in found["circles"]]
    lines += ["", f"Imports of a higher room: {len(found['upward'])}"]
    lines += [f"  {one}" for one in found["upward"]]
    for kind, names in found["mentions"].items():
        lines += ["", f"Files that name each of the {kind} (source, all):"]
        for name, places in names.items():
            own = [p for p in places if p.startswith(SOURCE)]
            lines.append(f"  {name:<22} {len(own):>3} {len(places):>4}  {', '.join(own)}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.structure",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="JSON, for a program to read")
    options = parser.parse_args(arguments)
    found = measured()
    print(json.dumps(found, indent=1) if options.json else page(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
