"""``python -m benchmarks``: everything, a group, or a few rows; ``--help`` says how."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks import fashion
from benchmarks.competitors.elementwise import CALLS
from benchmarks.competitors.registry import competitors
from benchmarks.competitors.workload import Workload
from benchmarks.processes import document, memory
from benchmarks.report.results import Results, names_of
from benchmarks.report.tables import goals_text, machine_list, row_text
from benchmarks.rows import (
    BRIEF,
    CALL,
    GROUPS,
    INFERENCE,
    LARGE,
    LONG,
    ONLY,
    QUICK_NAMES,
    STEPS,
    SWEEP,
    SWEEPS,
    SWEPT,
    VARIANTS,
    too_large,
)
from benchmarks.stopwatch.calls import run_call
from benchmarks.stopwatch.client import environment
from benchmarks.stopwatch.machine import describe
from benchmarks.stopwatch.measuring import QUICK, TOLERANCES, Effort, Row, run_row

RESULTS = Path(__file__).parent / "results"
PARTIAL = Path("runs") / "benchmarks"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the small rows, few rounds")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help=f"a row, a part of the name of rows, or a group: {', '.join(GROUPS)}; may be repeated",
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--precision",
        choices=tuple(TOLERANCES),
        default="highest",
        help="of float32 products on a GPU: float32, TF32, or bfloat16 (PyTorch: TF32)",
    )
    parser.add_argument("--threads", type=int, help="for everybody; by default all cores")
    parser.add_argument("--no-compilers", action="store_true", help="leave torch.compile out")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help=f"by default benchmarks/results, and {PARTIAL} for --quick and --only",
    )
    parser.add_argument(
        "--add", action="store_true", help="keep the other rows of an earlier run in that folder"
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="IDX files of Fashion-MNIST")
    parser.add_argument("--brief", action="store_true", help="hardly any rounds: to try it out")
    parser.add_argument("--list", action="store_true", help="name all rows and stop")
    return parser.parse_args(arguments)


def chosen(given: argparse.Namespace) -> list[str]:
    """Return the names of the rows to measure."""
    every = {
        name: group
        for group in GROUPS
        for name in names_of(group)
        if {ONLY.get(group), ONLY.get(name)} <= {None, given.device}
    }
    if given.quick and not given.only:
        return [name for name in every if name in QUICK_NAMES]
    found = []
    for name, group in every.items():
        exact = name in given.only or group in given.only
        part = any(p not in every and p not in GROUPS and p in name for p in given.only)
        if exact or part or not given.only:
            found.append(name)
    return found


class Run:
    """One run: measures the rows that were asked for, and says what it does."""

    def __init__(self, given: argparse.Namespace, say: Callable[[str], None]) -> None:
        self.given, self.say = given, say
        self.variables = environment(given.threads, given.device, given.precision)
        self.machine = describe(self.variables, given.device, 0.0 if given.brief else 0.3)
        # Where the arrays of all competitors have to fit.
        self.memory = self.machine["memory" if given.device == "cpu" else "gpu_memory"]
        say(machine_list(self.machine))

    def effort(self, usual: Effort) -> Effort:
        """Return how much time a row gets."""
        if self.given.brief:
            usual = BRIEF
        elif self.given.quick:
            usual = QUICK
        return replace(usual, tolerance=TOLERANCES[self.given.precision])

    def measure(self, name: str) -> Row | None:
        """Measure one row; None where it cannot be done on this machine."""
        given, say = self.given, self.say
        work = {**STEPS, **VARIANTS, **INFERENCE}.get(name)
        compilers = not (given.no_compilers or given.quick)
        rounds = 2 if given.brief else 3 if given.quick else 9
        if work is not None:
            among = competitors(work.task, compilers, given.device)
            if given.device == "cuda" and self.leaves_out(name, work, len(among)):
                return None
            return run_row(
                name,
                work.describe(),
                work,
                among,
                self.effort(LARGE if name == "8192x3" else LONG),
                device=given.device,
                variables=self.variables,
                say=say,
            )
        if name in CALLS:
            return run_call(
                name,
                self.effort(CALL),
                device=given.device,
                memory=self.memory,
                variables=self.variables,
                say=say,
            )
        if name.startswith("program-"):
            return document(name, name.endswith("cold"), rounds, self.variables, say)
        if name == "memory-4096x3":
            return memory(name, 4096, 3, 512, self.variables, say)
        if name == "memory-6144x3":
            return memory(name, 6144, 3, 256, self.variables, say, checkpoint=True)
        if name == "fashion-epoch":
            return self.epoch(name, compilers)
        return self.sweep_point(name, compilers)

    def epoch(self, name: str, compilers: bool) -> Row:
        """Measure an epoch of Fashion-MNIST."""
        from contextlib import ExitStack

        from benchmarks.stopwatch.measuring import compare, start, take_turns

        given, say = self.given, self.say
        # A turn is an epoch: no need to fill time with several.
        effort = Effort(rounds=9, turn=1e-3, warm=1e-3, budget=180.0)
        effort = self.effort(effort)
        title = "one epoch of Fashion-MNIST, 784-256-128-10, batch 128, loading included"
        row = Row(name, title)
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            row.note = "Data: " + fashion.prepare(Path(folder), given.data)
            arguments = {"folder": folder, "device": given.device}
            among = [e for e in fashion.ENTRIES if compilers or not e.compiles]
            clients = start(row, among, arguments, self.variables, stack, say)
            reference = fashion.ENTRIES[-1].name
            expected = clients[reference].evidence(effort.check_steps)
            compare(row, clients, expected, effort, "train", say, reference)
            take_turns(row, clients, effort, say)
        return row

    def leaves_out(self, name: str, work: Workload, competitors: int) -> bool:
        """Say whether that many competitors do not fit in memory together, and print it."""
        # The reference is never on a GPU.
        large = too_large(work, competitors - (self.given.device == "cuda"), self.memory)
        if large:
            self.say(f"  {name} left out: all competitors together do not fit in memory")
        return large

    def sweep_point(self, name: str, compilers: bool) -> Row | None:
        """Measure one point of a sweep."""
        kind, _, value = name.rpartition("-")
        (sweep,) = (s for s in SWEEPS if s.name == kind)
        work = sweep.points[int(value)]
        among = [e for e in competitors(work.task, compilers, self.given.device) if e.name in SWEPT]
        if self.leaves_out(name, work, len(among)):
            return None
        return run_row(
            name,
            work.describe(),
            work,
            among,
            self.effort(SWEEP),
            device=self.given.device,
            variables=self.variables,
            say=self.say,
        )


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; returns 0 also where goals were not met: the page says so."""
    given = parse(arguments)
    names = chosen(given)
    if given.precision != "highest" and given.device == "cpu":
        print("--precision is for --device cuda; a CPU multiplies in float32", file=sys.stderr)
        return 2
    if given.list:
        print("\n".join(names))
        return 0
    if not names:
        print(f"no row is named like {given.only}; --list names them", file=sys.stderr)
        return 2

    def say(text: str) -> None:
        print(text, flush=True)

    run = Run(given, say)
    partial = given.quick or bool(given.only)
    kind = given.device + (f"-{given.precision}" if given.precision != "highest" else "")
    results = Results(given.out or (PARTIAL if partial else RESULTS), kind, run.machine)
    if given.add and results.path.exists():
        results.rows = Results.read(results.path).rows
    measured = []
    for name in names:
        began = time.perf_counter()
        say(f"{name} ...")
        row = run.measure(name)
        if row is not None:
            results.add(row)
            measured.append(row)
            say(row_text(row))
            say(f"  (took {time.perf_counter() - began:.0f} s)")
    say("\n" + goals_text(measured, kind))
    for path in results.write():
        say(f"wrote {path}")
    if not (results.folder / f"{results.kind}.png").exists():
        say("no picture: matplotlib is not installed, or no row was timed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
