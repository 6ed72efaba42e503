"""Several processes: how a step scales, beside PyTorch's DistributedDataParallel over gloo.

    python -m benchmarks.scaling             # benchmarks/results/scaling.md (a quarter of an hour)
    python -m benchmarks.scaling --brief     # to see that it works; prints
    python -m benchmarks.scaling --predict   # the model's prediction alone; prints
    python -m benchmarks.scaling --only gpt2 # one network; prints

Every process has one thread. First the losses of 20 steps are compared; who differs by more than
1e-4 is not shown. Ours and PyTorch's processes run in turn, several times; a number is the median
of all turns, and every one of them stands in the JSON beside the table. What a launcher costs is
far less than two processes differ by chance: it is the ratio of two medians over many short starts,
with it and without in turn.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.report.tables import machine_list, quantity, table
from benchmarks.stopwatch.machine import describe
from nnscratch.parallel.starting import mpiexec

PROGRAM = "benchmarks.programs.scaling"
RESULT = Path(__file__).parent / "results" / "scaling.md"
LIMIT, TOLERANCE = 600.0, 1e-4
STARTS, SHORT = 9, 3
"""How often one rank is started with a launcher and without, and the rounds of such a start."""
ONE_THREAD = {
    "NNSCRATCH_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"
}  # fmt: skip
NETWORKS: dict[str, list[int]] = {
    "gpt2": [],
    "10-10-2": [10, 10, 2],
    "784-512-512-10": [784, 512, 512, 10],
    "1024x4": [1024, 1024, 1024, 1024, 1024],
}
"""The layers of each; GPT-2 (124M) is no chain of layers, and has rows of 64 tokens."""
STRONG = (
    ("10-10-2", 64),
    ("784-512-512-10", 128),
    ("784-512-512-10", 1024),
    ("1024x4", 128),
    ("gpt2", 2),
)
"""A network and its global batch, the same for any number of ranks."""
WEAK = (("784-512-512-10", 128), ("1024x4", 128))
"""A network and the batch of each rank."""
LINKS = {"10 GbE": (1.25e9, 30e-6), "100 GbE": (12.5e9, 5e-6), "NVLink": (450e9, 5e-6)}
"""Bytes a second in each direction, and seconds of latency: assumed, not measured."""


def reduction_seconds(parameters: float, ranks: int, link: str, bytes_each: int = 4) -> float:
    """Return the model's prediction for the reduction of a step.

    By recursive halving and doubling, each of p ranks sends 2 (p - 1) / p of the n bytes in
    2 log₂ p messages: t = 2 (p - 1) / p · n / B + 2 log₂ p · latency.

    >>> round(reduction_seconds(100e6, 8, "10 GbE"), 3)
    0.56
    """
    rate, latency = LINKS[link]
    sent = 2 * (ranks - 1) / ranks * parameters * bytes_each
    return sent / rate + 2 * math.log2(ranks) * latency


def prediction() -> str:
    """Return the table of what the model predicts."""
    lines = []
    for name, parameters in (("100M", 100e6), ("1B", 1e9)):
        for link in LINKS:
            found = [reduction_seconds(parameters, ranks, link) for ranks in (8, 64, 512)]
            lines.append((name, link, *map(quantity, found), quantity(4 * found[-1])))
    head = ("parameters", "link", "8 ranks", "64 ranks", "512 ranks", "compute for 80% at 512")
    return table(head, lines)


class Measured:
    """What the processes of one case found.

    Args:
        case: the network, the global batch and the rounds.
        ranks: how many processes.
    """

    def __init__(self, case: dict[str, Any], ranks: int) -> None:
        self.case, self.ranks = case, ranks
        self.losses: dict[str, list[float]] = {}
        self.seconds: dict[tuple[str, str], list[float]] = {}
        self.parameters = 0
        self.starts: dict[bool, list[float]] = {True: [], False: []}

    def compare_starts(self, starts: int) -> None:
        """Start one rank with a launcher and without, in turn, whoever comes first in turn too."""
        for number in range(starts):
            for launched in (number % 2 == 0, number % 2 == 1):
                found = self._found("nnscratch", launched, self.case | {"rounds": SHORT})
                self.starts[launched].append(statistics.median(found["seconds"]["step"]))

    def start_ratio(self) -> float | None:
        """Return how much longer a step takes with a launcher, None if it was not compared."""
        if not self.starts[True]:
            return None
        return statistics.median(self.starts[True]) / statistics.median(self.starts[False])

    def run(self, kind: str) -> None:
        """Start the processes of a kind, and take over what they measured."""
        found = self._found(kind, True, self.case)
        self.losses[kind] = found["losses"]
        self.parameters = found.get("parameters", self.parameters)
        for what, seconds in found["seconds"].items():
            self.seconds.setdefault((kind, what), []).extend(seconds)

    def _found(self, kind: str, launched: bool, case: dict[str, Any]) -> dict[str, Any]:
        """Start the processes of a kind, and return what they measured."""
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder, "found.json")
            command = [sys.executable, "-m", PROGRAM, kind, json.dumps(case), str(out)]
            many = os.environ | ONE_THREAD
            if kind == "torch":
                self._run_torch(command, many)
            else:
                start = [mpiexec(), "-n", str(self.ranks)] if launched else []
                subprocess.run([*start, *command], env=many, timeout=LIMIT, check=True)
            found: dict[str, Any] = json.loads(out.read_text())
            return found

    def _run_torch(self, command: list[str], environment: dict[str, str]) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        own = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(self.ranks)}
        jobs = [
            subprocess.Popen(command, env=environment | own | {"RANK": str(rank)})
            for rank in range(self.ranks)
        ]
        try:
            codes = [job.wait(LIMIT) for job in jobs]
        finally:
            for job in jobs:
                job.kill()
        if any(codes):
            raise RuntimeError(f"PyTorch's processes ended with {codes}")

    def differs(self, other: str) -> float:
        """Return by how much the losses of another kind differ from ours at most."""
        pairs = zip(self.losses["nnscratch"], self.losses[other], strict=True)
        return max(abs(a - b) / max(1.0, abs(a)) for a, b in pairs)

    def median(self, what: str = "step", kind: str = "nnscratch") -> float | None:
        """Return the median of all turns, None if it was not timed or the losses are others."""
        found = self.seconds.get((kind, what))
        if not found or self.differs(kind) > TOLERANCE:
            return None
        return statistics.median(found)

    def as_json(self) -> dict[str, Any]:
        """Return everything, in JSON's types."""
        return {
            "case": self.case,
            "ranks": self.ranks,
            "parameters": self.parameters,
            "largest difference of losses": {name: self.differs(name) for name in self.losses},
            "one rank started": {
                "with a launcher": self.starts[True],
                "without": self.starts[False],
            },
            "seconds": {f"{kind}: {what}": found for (kind, what), found in self.seconds.items()},
        }


def measure(
    cases: Iterable[tuple[str, int]], ranks: Iterable[int], weak: bool, rounds: int, turns: int
) -> dict[tuple[str, int], list[Measured]]:
    """Return for each network and batch what was found with each number of ranks."""
    found: dict[tuple[str, int], list[Measured]] = {}
    for network, batch in cases:
        for size in ranks:
            whole = batch * size if weak else batch
            layers = NETWORKS[network]
            case: dict[str, Any] = {"batch": whole, "rounds": rounds, "layers": layers}
            if not layers:
                case = {"batch": whole, "rounds": min(rounds, SHORT)}
            one = Measured(case, size)
            for _ in range(turns):
                one.run("nnscratch")
                one.run("torch")
            if size == 1 and not weak and layers:
                one.compare_starts(STARTS if turns > 1 else 1)
            found.setdefault((network, batch), []).append(one)
            print(f"{network} b{whole}, {size} ranks: {_shown(one.median())}", file=sys.stderr)
    return found


def _shown(seconds: float | None) -> str:
    return "-" if seconds is None else quantity(seconds)


def _ratio(over: float | None, under: float | None) -> str:
    return "-" if over is None or not under else f"{over / under:.2f}"


def scaling_table(found: dict[tuple[str, int], list[Measured]], weak: bool) -> str:
    """Return the table of a kind of scaling.

    Args:
        found: what was measured.
        weak: whether the batch grows with the ranks: then the ratio to one rank is an efficiency,
            and else a speedup.
    """
    lines = []
    for (network, batch), several in found.items():
        first, peer = several[0].median(), several[0].median(kind="torch")
        for one in several:
            mine, its = one.median(), one.median(kind="torch")
            lines.append(
                (
                    network, f"{batch} a rank" if weak else str(batch), str(one.ranks),
                    _shown(mine), _ratio(first, mine), _shown(its), _ratio(peer, its),
                    _ratio(its, mine), f"{one.differs('torch'):.0e}",
                )
            )  # fmt: skip
    kind = "efficiency" if weak else "speedup"
    return table(
        ("network", "batch", "ranks", "nnscratch", kind, "DDP, gloo", kind, "DDP / nnscratch",
         "losses differ by"), lines,
    )  # fmt: skip


def parts_table(found: dict[tuple[str, int], list[Measured]]) -> str:
    """Return what a launcher costs, and the reduction beside a bare Allreduce of these bytes."""
    lines = []
    for (network, batch), several in found.items():
        for one in several:
            row = [network, str(batch), str(one.ranks), _shown(one.median())]
            if one.ranks == 1:
                ratio = one.start_ratio()
                row += ["-" if ratio is None else f"{ratio:.3f}", "-", "-", "-", "-"]
            else:
                reduction, allreduce = one.median("reduction"), one.median("Allreduce")
                row += ["-", _shown(one.median("without reduction")), _shown(reduction),
                        _shown(allreduce), _ratio(reduction, allreduce)]  # fmt: skip
            lines.append(tuple(row))
    return table(
        ("network", "batch", "ranks", "step", "to no launcher", "step without reduction",
         "reduction", "bare Allreduce", "ratio"), lines,
    )  # fmt: skip


def chosen(
    cases: Sequence[tuple[str, int]], given: argparse.Namespace, few: int
) -> Sequence[tuple[str, int]]:
    """Return the networks that the command line asks for: all, a few in brief, or one by name."""
    if given.only:
        return [case for case in cases if case[0] == given.only]
    return cases[:few] if given.brief else cases


def main(arguments: list[str] | None = None) -> None:
    """Measure, and write the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--ranks", default="1,2", help="numbers of ranks, the first for ratios")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--turns", type=int, default=3, help="how often each program is started")
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--brief", action="store_true")
    parser.add_argument("--predict", action="store_true")
    parser.add_argument("--only", choices=NETWORKS, metavar="NETWORK")
    given = parser.parse_args(arguments)
    if given.predict:
        print(prediction())
        return
    machine = describe(ONE_THREAD, seconds=0.0 if given.brief else 0.3)
    ranks = [int(one) for one in given.ranks.split(",")]
    rounds, turns = (2, 1) if given.brief else (given.rounds, given.turns)
    strong = measure(chosen(STRONG, given, 2), ranks, False, rounds, turns)
    weak = measure(chosen(WEAK, given, 1), ranks, True, rounds, turns)
    text = (
        "# Several processes\n\nWritten by `python -m benchmarks.scaling`. Every rank has one "
        "thread; a number is the median of all turns.\n\n"
        f"{machine_list(machine)}\n"
        f"\n## Strong scaling\n\n{scaling_table(strong, False)}\n\n"
        f"## Weak scaling\n\n{scaling_table(weak, True)}\n\n## Where the time goes\n\n"
        f"{parts_table(strong)}\n\n## Prediction\n\nNot measured: the model 2(p-1)/p · n/B + "
        "2 log₂ p · latency, with n in bytes of float32, for links of "
        + "; ".join(f"{k}: {b / 1e9:g} GB/s, {s * 1e6:g} µs" for k, (b, s) in LINKS.items())
        + f".\n\n{prediction()}\n"
    )
    if given.brief or given.only:
        print(text)
        return
    given.out.write_text(text, encoding="utf-8")
    every = [one.as_json() for found in (strong, weak) for some in found.values() for one in some]
    given.out.with_suffix(".json").write_text(json.dumps(every, indent=1) + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
