"""What mutation runs found, kept in record.json and shown as docs/mutation.md.

Runs write both with ``--page``; nobody else does.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RECORD = HERE / "record.json"
PAGE = HERE.parents[1] / "docs" / "mutation.md"

PARTS = {
    "derivatives": "Derivatives (`nnscratch/formulas/`, the functions that end in `_backward`)",
    "rest": "The rest of the formulas (forwards, updates, what they share)",
    "cpu": "Kernels for the CPU (`kernels/cpu/`)",
    "cuda": "Kernels for the GPU (`kernels/cuda/*.cu` and `*.cuh`, run by the emulator)",
}
HEAD = """# Planted faults

Made by `tests/mutation/run.py --page` (formulas) and `tests/mutation/kernels.py --page` (kernels);
`make mutation` runs both. One small fault at a time is planted into the source: a sign, a
constant, a term left out, a transpose, an axis, a comparison, saved arrays exchanged, and in CUDA
text a barrier left out. A fault is caught if a test fails. Where not every fault was tried, a
random choice was, with the seed that the table gives and at least one in every file; of CUDA text,
what does not compile is not counted as tried.

A survivor whose reason says that the same is computed cannot be caught by any test.
"""


@dataclass(frozen=True)
class Outcome:
    """What became of one planted fault."""

    file: str
    name: str
    survived: bool


def explained() -> dict[str, str]:
    """Return why a mutant cannot be caught, or need not be, by its name."""
    read = tomllib.loads((HERE / "survivors.toml").read_text(encoding="utf-8"))
    return {name: why for why, names in read.items() for name in names}


def record() -> dict[str, Any]:
    """Return what earlier runs found: part, file, counts and survivors."""
    return json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}


def recorded(part: str) -> set[str]:
    """Return the names of those that the record has as survivors of a part."""
    return {name for row in record().get(part, {}).values() for name in row["survivors"]}


def enter(part: str, outcomes: Iterable[Outcome], mutants: dict[str, int], seed: int) -> None:
    """Put a run into the record, in the place of what was known of its files.

    Args:
        part: one of ``PARTS``.
        outcomes: of every fault that was tried.
        mutants: how many faults each file has.
        seed: of the random choice.
    """
    made = record()
    rows = made.setdefault(part, {})
    by_file: dict[str, list[Outcome]] = {}
    for one in outcomes:
        by_file.setdefault(one.file, []).append(one)
    for file, found in by_file.items():
        alive = sorted(one.name for one in found if one.survived)
        row: dict[str, Any] = {"mutants": mutants[file], "tried": len(found), "survivors": alive}
        if len(found) < mutants[file]:
            row["seed"] = seed
        rows[file] = row
    write(made)


def enter_again(part: str, outcomes: Iterable[Outcome]) -> None:
    """Take those out of the survivors of a part that tests have caught by now."""
    made = record()
    for one in outcomes:
        if not one.survived:
            made[part][one.file]["survivors"].remove(one.name)
    write(made)


def write(made: dict[str, Any]) -> None:
    """Write the record and the page."""
    ordered = {part: dict(sorted(made[part].items())) for part in PARTS if part in made}
    RECORD.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(ordered, explained()), encoding="utf-8")


def page(made: dict[str, Any], reasons: dict[str, str]) -> str:
    """Return the page: a table of the parts, then each with its files and survivors."""
    lines = [HEAD, "| what | faults | tried | caught | survivors explained | not explained |"]
    lines.append("|---|---|---|---|---|---|")
    for part, title in PARTS.items():
        if part in made:
            rows = made[part].values()
            alive = [name for row in rows for name in row["survivors"]]
            known = sum(name in reasons for name in alive)
            tried = sum(row["tried"] for row in rows)
            lines.append(
                f"| {title} | {sum(row['mutants'] for row in rows)} | {tried} | "
                f"{_share(tried - len(alive), tried)} | {known} | {len(alive) - known} |"
            )
    for part in made:
        lines += ["", f"## {PARTS[part].partition(' (')[0]}", "", *_part(made[part], reasons)]
    return "\n".join(lines) + "\n"


def _part(rows: dict[str, Any], reasons: dict[str, str]) -> Iterator[str]:
    yield "| file | faults | tried | caught | |"
    yield "|---|---|---|---|---|"
    for file, row in rows.items():
        caught = _share(row["tried"] - len(row["survivors"]), row["tried"])
        how = f"at random, seed {row['seed']}" if "seed" in row else "all"
        yield f"| {file} | {row['mutants']} | {row['tried']} | {caught} | {how} |"
    alive: dict[str, list[str]] = {}
    for row in rows.values():
        for name in row["survivors"]:
            alive.setdefault(reasons.get(name, "Not explained"), []).append(name)
    if alive:
        yield "\nSurvivors:\n"
    for why, names in alive.items():
        yield f"- {why}: " + ", ".join(f"`{name}`" for name in names)


def _share(part: int, whole: int) -> str:
    return f"{part} ({100 * part / whole:.1f}%)" if whole else "-"
