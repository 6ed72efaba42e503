"""How long our estimators take to fit, beside scikit-learn's MLPClassifier and MLPRegressor.

    python -m benchmarks.estimators                        # everything, about a quarter of an hour
    python -m benchmarks.estimators digits wine --batches 32 --dtypes float64
    python -m benchmarks.estimators --first 0              # no first fits of fresh processes

One hidden layer of 100 units, ReLU, Adam, as many epochs for everybody (no early end), in the dtype
of X. Everybody has a process of its own. ``MLPClassifier`` runs twice, with as many threads of BLAS
as everybody has and with one, for its products are small: what counts is the quicker one.

- Later fits: the processes stay, and take turns, a fit each, in another order in each round, with
  the round as the seed. A first fit of each is not counted.
- First fits: a new process for each fit, in turns as well; the fit includes whatever is imported in
  it. The whole process has the imports and the data as well.

A case is judged if both trained the same number of epochs in every round and the means of their
scores on the test rows are within 0.01; where they are not, the table says so instead of a ratio.
Ratios are of medians. Fashion-MNIST's first 10,000 training images are taken from ``--data``, from
``$FASHION_MNIST``, or from where Debian's package puts them (``benchmarks/fashion.py``); images
drawn at random stand in for them where there are none, and the page says so.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from benchmarks.fashion import IMAGES, LABELS, prepare
from benchmarks.programs.estimator import CASES
from benchmarks.programs.estimator import IMAGES as VARIABLE
from benchmarks.report.tables import cells, machine_list, table
from benchmarks.stopwatch.machine import describe
from benchmarks.stopwatch.measuring import Timing

PROGRAM = Path(__file__).parent / "programs" / "estimator.py"
RESULT = Path(__file__).parent / "results" / "sklearn.md"
OURS, THEIRS, ALONE = "nnscratch", "scikit-learn", "scikit-learn, 1 thread"
COMPETITORS = (OURS, THEIRS, ALONE)
GOALS = {"digits": 5.0, "breast cancer": 5.0, "wine": 3.0, "houses": 5.0, "images": 4.0}
"""By how many times a fit with batches of 32 should be quicker,"""
GOAL_OF_LARGE = 1.5
"""and one with larger batches,"""
GOAL_OF_FIRST = 1.0
"""and the first one of a process."""
SCORES_WITHIN = 0.01
SAMPLES = 10_000
TITLES = {
    "digits": "digits, 1797 x 64, 50 epochs",
    "breast cancer": "breast cancer, 569 x 30, 100 epochs",
    "wine": "wine, 178 x 13, 200 epochs",
    "houses": "regression, 20640 x 8, 20 epochs",
    "images": "images, 10000 x 784, 10 epochs",
}
Say = Callable[[str], None]


class EstimatorError(Exception):
    """A process failed."""


@dataclass
class Fits:
    """What the fits of one case took, one entry a round for each competitor.

    Attributes:
        case: its name.
        batch: the rows of a step.
        dtype: of X.
        first: whether these are first fits, each of a process of its own.
        found: what each fit said, see ``programs/estimator.py``; "whole" has the process's seconds.
    """

    case: str
    batch: int
    dtype: str
    first: bool
    found: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def timing(self, who: str, what: str = "seconds") -> Timing:
        """Return the seconds of a competitor's fits, or of something else."""
        return Timing(tuple(one[what] for one in self.found[who]))

    @property
    def peer(self) -> str:
        """The quicker one of scikit-learn's."""
        others = [who for who in self.found if who != OURS]
        return min(others, key=lambda who: self.timing(who).median)

    @property
    def ratio(self) -> float:
        """How many times as quick as the quicker one of scikit-learn's ours is."""
        return self.timing(self.peer).median / self.timing(OURS).median

    @property
    def goal(self) -> float:
        """What the ratio should be."""
        if self.first:
            return GOAL_OF_FIRST
        return GOALS[self.case] if self.batch <= 32 else GOAL_OF_LARGE

    def difference(self) -> str:
        """Say why times cannot be compared; empty if they can."""
        for who, some in self.found.items():
            epochs = {one["epochs"] for one in some}
            if epochs != {self.found[OURS][0]["epochs"]}:
                return f"other epochs: {who} trained {sorted(epochs)}"
        ours, theirs = (mean(self.scores(who)) for who in (OURS, THEIRS))
        if abs(ours - theirs) > SCORES_WITHIN:
            return f"other scores: {ours:.4f} and {theirs:.4f}"
        return ""

    def scores(self, who: str) -> list[float]:
        """Return the scores of a competitor's fits."""
        return [one["score"] for one in self.found[who]]

    def verdict(self) -> tuple[str, str]:
        """Return the ratio and whether the goal is met, in words."""
        different = self.difference()
        if different:
            return f"not compared: {different}", "not judged"
        lost = "" if self.ratio >= 1.0 else " **LOST**"
        met = "met" if self.ratio >= self.goal else "**NOT MET**"
        return f"{self.ratio:.2f}x{lost}", f"{self.goal:g}x, {met}"


class Process:
    """A competitor's process that fits once for each seed it is given."""

    def __init__(self, who: str, fits: Fits, environment: Mapping[str, str]) -> None:
        """Start it; nothing is fitted yet."""
        self._process = subprocess.Popen(
            command(who, fits), env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def fit(self, seed: int) -> dict[str, Any]:
        """Fit, and return what it took.

        Raises:
            EstimatorError: if the process has ended.
        """
        given, answers = self._process.stdin, self._process.stdout
        assert given is not None
        assert answers is not None
        given.write(f"{seed}\n")
        given.flush()
        line = answers.readline()
        if not line:
            raise EstimatorError(self._process.communicate()[1][-500:])
        return json.loads(line)  # type: ignore[no-any-return]

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def command(who: str, fits: Fits, *seed: str) -> list[str]:
    """Return the command line of a competitor's process."""
    name = OURS if who == OURS else THEIRS
    return [sys.executable, str(PROGRAM), name, fits.case, str(fits.batch), fits.dtype, *seed]


def environment_of(who: str, threads: int, more: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a competitor's process."""
    count = "1" if who == ALONE else str(threads)
    names = ("NNSCRATCH_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {**os.environ, **dict.fromkeys(names, count), **more}


def later_fits(fits: Fits, rounds: int, threads: int, more: Mapping[str, str]) -> Fits:
    """Fit in processes that stay, in turns; each one's first fit is left out."""
    processes = {who: Process(who, fits, environment_of(who, threads, more)) for who in COMPETITORS}
    try:
        for process in processes.values():
            process.fit(0)
        for seed in range(rounds):
            for who in shuffled(seed):
                time.sleep(0.15)  # a library's threads wait awake for a while
                fits.found.setdefault(who, []).append(processes[who].fit(seed))
    finally:
        for process in processes.values():
            process.close()
    return fits


def first_fits(fits: Fits, rounds: int, threads: int, more: Mapping[str, str]) -> Fits:
    """Fit in a new process each time, in turns."""
    for seed in range(-1, rounds):
        for who in shuffled(seed):
            began = time.perf_counter()
            done = subprocess.run(
                command(who, fits, str(max(seed, 0))), capture_output=True, text=True,
                env=environment_of(who, threads, more),
            )  # fmt: skip
            whole = time.perf_counter() - began
            if done.returncode:
                raise EstimatorError(done.stderr[-500:])
            if seed >= 0:  # the one before may have compiled what the others load
                fits.found.setdefault(who, []).append({**json.loads(done.stdout), "whole": whole})
    return fits


def shuffled(seed: int) -> list[str]:
    """Return the competitors in the order of a round."""
    return random.Random(seed).sample(COMPETITORS, len(COMPETITORS))


def put_images(folder: Path, source: Path | None) -> str:
    """Write the file of images, and return what they are."""
    said = prepare(folder, source, SAMPLES)
    X = np.fromfile(folder / IMAGES, np.uint8)[16:].reshape(-1, 784)[:SAMPLES]
    y = np.fromfile(folder / LABELS, np.uint8)[8:][:SAMPLES]
    np.savez(folder / "images.npz", X=X, y=y)
    return said


def fits_table(rows: Sequence[Fits]) -> str:
    """Return the table of later fits, or of first ones."""
    first = bool(rows) and rows[0].first
    head = ["case", "batch", "X", *COMPETITORS, "ratio", "goal", "score, ours and theirs"]
    lines = []
    for row in rows:
        ratio, goal = row.verdict()
        scores = " and ".join(f"{mean(row.scores(who)):.4f}" for who in (OURS, THEIRS))
        took = [cells(row.timing(who), "seconds") for who in COMPETITORS]
        line = [TITLES[row.case], str(row.batch), row.dtype, *took, ratio, goal, scores]
        if first:
            line += [cells(row.timing(who, "whole"), "seconds") for who in (OURS, THEIRS)]
        lines.append(line)
    if first:
        head += ["whole process, ours", "whole process, theirs"]
    return table(head, lines)


def page(rows: Sequence[Fits], images: str, machine: Mapping[str, Any], threads: int) -> str:
    """Return the page of results."""
    later, first = ([row for row in rows if row.first is one] for one in (False, True))
    counts = [len(row.found[OURS]) for row in rows]
    parts = [
        "# Estimators beside scikit-learn's MLPClassifier and MLPRegressor",
        "By `python -m benchmarks.estimators`: hidden (100,), ReLU, Adam, as many epochs for "
        f"everybody, {threads} threads; medians with the 10th and 90th percentile of "
        f"{min(counts)} to {max(counts)} fits each, in turns. The images are {images}. Ratios are "
        "to the quicker one of scikit-learn's; a ratio below 1 is lost.",
    ]
    if later:
        parts += ["## Later fits in a process", fits_table(later)]
    if first:
        parts += [
            "## The first fit of a process",
            "With what it imports and loads; kernels were compiled by an earlier process.",
            fits_table(first),
        ]
    return "\n\n".join([*parts, "## Machine", machine_list(machine)]) + "\n"


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(CASES)}; all")
    parser.add_argument("--batches", type=int, nargs="+", default=[32, 200])
    parser.add_argument("--dtypes", nargs="+", default=["float64", "float32"])
    parser.add_argument("--rounds", type=int, default=7, help="of later fits; 0 for none")
    parser.add_argument("--first", type=int, default=5, help="rounds of first fits, batches of 32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", type=Path, help="the folder of Fashion-MNIST")
    parser.add_argument(
        "--rows", type=Path, help="a file of earlier rows, to which these are added"
    )
    parser.add_argument("--out", type=Path, help="the page; benchmarks/results/sklearn.md")
    options = parser.parse_args(given)
    unknown = [name for name in options.names if name not in CASES]
    if unknown:
        parser.error(f"no case {unknown[0]!r}; there are {', '.join(CASES)}")
    return options


def main(given: Sequence[str] | None = None, say: Say = print) -> list[Fits]:
    """Measure what the command line asks for, and write the page."""
    options = arguments(given)
    rows: list[Fits] = []
    if options.rows is not None and options.rows.exists():
        rows = [Fits(**one) for one in json.loads(options.rows.read_text(encoding="utf-8"))]
    machine = describe({"NNSCRATCH_THREADS": str(options.threads)})
    with tempfile.TemporaryDirectory() as folder:
        images = put_images(Path(folder), options.data)
        more = {VARIABLE: str(Path(folder, "images.npz"))}
        for name in options.names or CASES:
            asked = [
                Fits(name, batch, dtype, False)
                for dtype in options.dtypes
                for batch in options.batches
            ]
            asked = [one for one in asked if options.rounds]
            asked += [Fits(name, 32, "float64", True)] if options.first else []
            for one in asked:
                if one.first:
                    first_fits(one, options.first, options.threads, more)
                else:
                    later_fits(one, options.rounds, options.threads, more)
                key = (one.case, one.batch, one.dtype, one.first)
                rows = [r for r in rows if (r.case, r.batch, r.dtype, r.first) != key]
                rows.append(one)
                say(fits_table([one]).splitlines()[-1])
                if options.rows is not None:
                    text = json.dumps([vars(row) for row in rows], indent=1)
                    options.rows.write_text(text, encoding="utf-8")
    order = list(CASES)
    rows.sort(key=lambda row: (row.first, row.dtype == "float32", row.batch, order.index(row.case)))
    out = options.out or RESULT
    out.write_text(page(rows, images, machine, options.threads), encoding="utf-8")
    say(f"written: {out}")
    return rows


if __name__ == "__main__":
    main()
