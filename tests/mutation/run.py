"""Mutation testing of the formulas: which planted faults do the tests catch?

    python tests/mutation/run.py                     # every mutant of every formula
    python tests/mutation/run.py activations linear  # of some files
    python tests/mutation/run.py --count 100 --seed 3

Survivors are listed with the explanation that survivors.toml has for them. One in a derivative
without an explanation makes the run fail, and so does a score below 95% for the derivatives.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
import tomllib
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from mutation.killers import hunt  # noqa: E402
from mutation.mutants import Mutant, modules, mutants  # noqa: E402

GOAL = 0.95


def explained() -> dict[str, str]:
    """Return why a mutant cannot be caught, or need not be, by its name."""
    read = tomllib.loads((HERE / "survivors.toml").read_text(encoding="utf-8"))
    return {name: why for why, names in read.items() for name in names}


def choose(files: list[str], count: int, seed: int, part: str) -> list[Mutant]:
    """Return the mutants of some files, or a random choice of them."""
    unknown = set(files) - set(modules())
    if unknown:
        raise SystemExit(f"no such file of formulas: {', '.join(unknown)}")
    found = [m for name in files or modules() for m in mutants(name)]
    if part != "all":
        found = [m for m in found if m.backward is (part == "backward")]
    return random.Random(seed).sample(found, min(count, len(found))) if count else found


def table(chosen: list[Mutant], survivors: list[Mutant]) -> str:
    """Return the score of each file."""
    alive = {m.name for m in survivors}
    rows: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for mutant in chosen:
        for name in (mutant.module, "all"):
            row = rows[name]
            offset = 0 if mutant.backward else 2
            row[offset] += 1
            row[offset + 1] += mutant.name not in alive
    lines = [f"{'file':<16} {'derivatives':>16} {'the rest':>16}"]
    for name, (n, killed, others, caught) in rows.items():
        lines.append(f"{name:<16} {_share(killed, n):>16} {_share(caught, others):>16}")
    return "\n".join(lines)


def _share(part: int, whole: int) -> str:
    return f"{part}/{whole} {100 * part / whole:.1f}%" if whole else "-"


def score(chosen: list[Mutant], survivors: list[Mutant]) -> float:
    """Return the share of the derivatives' mutants that were caught or cannot be."""
    alive = {m.name for m in survivors if m.backward and m.name not in explained()}
    derivatives = [m for m in chosen if m.backward]
    return 1 - len(alive) / len(derivatives) if derivatives else 1.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*")
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--backward", dest="part", action="store_const", const="backward",
                        default="all", help="derivatives only")  # fmt: skip
    parser.add_argument("--rest", dest="part", action="store_const", const="rest",
                        help="everything but derivatives")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="single cases and short files only")
    options = parser.parse_args()
    chosen = choose(options.files, options.count, options.seed, options.part)
    started, done = time.perf_counter(), 0

    def tell(mutant: Mutant, alive: bool, seconds: float) -> None:
        nonlocal done
        done += 1
        if alive:
            print(f"[{done}/{len(chosen)}] survived: {mutant.name}", flush=True)
        elif done % 100 == 0:
            print(f"[{done}/{len(chosen)}] {time.perf_counter() - started:.0f} s", flush=True)

    survivors = hunt(chosen, options.workers, not options.quick, tell)
    print(table(chosen, survivors))
    reasons = explained()
    for mutant in survivors:
        print(f"survived: {mutant.name}\n  {reasons.get(mutant.name, 'NOT EXPLAINED')}")
    reached = score(chosen, survivors)
    seconds = time.perf_counter() - started
    print(f"{len(chosen)} mutants, {len(survivors)} survivors, {seconds:.0f} s; "
          f"derivatives caught or explained: {100 * reached:.1f}%")  # fmt: skip
    open_questions = [m for m in survivors if m.backward and m.name not in reasons]
    return int(reached < GOAL or bool(open_questions))


if __name__ == "__main__":
    sys.exit(main())
