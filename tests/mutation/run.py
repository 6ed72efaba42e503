"""Mutation testing of the formulas: which planted faults do the tests catch?

    python tests/mutation/run.py                     # every mutant of every formula
    python tests/mutation/run.py activations linear  # of some files
    python tests/mutation/run.py --count 100 --seed 3
    python tests/mutation/run.py --survivors --page  # those again that the record has

Survivors are listed with the explanation that survivors.toml has for them. One in a derivative
without an explanation makes the run fail, and so does a score below 95% for the derivatives.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from mutation.killers import hunt  # noqa: E402
from mutation.mutants import Mutant, modules, mutants  # noqa: E402
from mutation.operators import sample  # noqa: E402
from mutation.page import Outcome, enter, enter_again, explained, recorded  # noqa: E402

GOAL = 0.95


def choose(files: list[str], count: int, seed: int, part: str) -> list[Mutant]:
    """Return the mutants of some files, or a random choice of them."""
    unknown = set(files) - set(modules())
    if unknown:
        raise SystemExit(f"no such file of formulas: {', '.join(unknown)}")
    found = [m for name in files or modules() for m in mutants(name)]
    if part != "all":
        found = [m for m in found if m.backward is (part == "backward")]
    return sample(found, count, seed, lambda m: m.module) if count else found


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


def enter_all(chosen: list[Mutant], survivors: list[Mutant], seed: int | None) -> None:
    """Enter what became of the mutants in the record and the page; no seed: of its survivors."""
    alive = {m.name for m in survivors}
    for part, backward in (("derivatives", True), ("rest", False)):
        found = [m for m in chosen if m.backward is backward]
        outcomes = [Outcome(m.module, m.name, m.name in alive) for m in found]
        if seed is None:
            enter_again(part, outcomes)
            continue
        files = {m.module for m in found}
        there = Counter(m.module for f in files for m in mutants(f) if m.backward is backward)
        enter(part, outcomes, there, seed)


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
    parser.add_argument("--survivors", action="store_true", help="those that the record has")
    parser.add_argument("--page", action="store_true", help="enter the outcome in docs/mutation.md")
    options = parser.parse_args()
    chosen = choose(options.files, options.count, options.seed, options.part)
    if options.survivors:
        known = recorded("derivatives") | recorded("rest")
        chosen = [m for m in chosen if m.name in known]
    started, done = time.perf_counter(), 0

    def tell(mutant: Mutant, alive: bool, seconds: float) -> None:
        nonlocal done
        done += 1
        if alive:
            print(f"[{done}/{len(chosen)}] survived: {mutant.name}", flush=True)
        elif done % 100 == 0:
            print(f"[{done}/{len(chosen)}] {time.perf_counter() - started:.0f} s", flush=True)

    survivors = hunt(chosen, options.workers, not options.quick, tell)
    if options.page:
        enter_all(chosen, survivors, None if options.survivors else options.seed)
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
