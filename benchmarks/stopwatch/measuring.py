"""One row: check that all compute the same, warm up, take turns, and sum up in medians."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from statistics import median, quantiles
from typing import Any

from benchmarks.competitors.registry import COMPILED, REFERENCE, Entry
from benchmarks.competitors.workload import Workload
from benchmarks.stopwatch.client import Client, CompetitorError, busy

TOLERANCE = 1e-4
# Factors that are rounded to 10 or 7 bits behind the point give other losses.
TOLERANCES = {"highest": TOLERANCE, "high": 1e-2, "medium": 5e-2}
Say = Callable[[str], None]


@dataclass(frozen=True)
class Effort:
    """How much time a row is given.

    Attributes:
        rounds: turns of every competitor.
        turn: seconds that a turn should take at least.
        warm: seconds of warming up.
        budget: seconds for all rounds of a row together; slow rows get fewer rounds for it.
        check_steps: steps whose losses are compared.
        rest: seconds between two turns, in which idle threads stop spinning.
        tolerance: by how much losses may differ, relatively.
    """

    rounds: int = 21
    turn: float = 0.15
    warm: float = 0.5
    budget: float = 120.0
    check_steps: int = 20
    rest: float = 0.05
    tolerance: float = TOLERANCE

    fewest = 5


QUICK = Effort(rounds=7, turn=0.05, warm=0.15, budget=8.0, rest=0.03)


@dataclass(frozen=True)
class Timing:
    """How long one step of one competitor took, in seconds: one number for each round."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return median(self.rounds)

    @property
    def low(self) -> float:
        """The 10th percentile."""
        return self._tenths()[0]

    @property
    def high(self) -> float:
        """The 90th percentile."""
        return self._tenths()[-1]

    def _tenths(self) -> list[float]:
        if len(self.rounds) < 2:
            return list(self.rounds)
        return quantiles(self.rounds, n=10, method="inclusive")


@dataclass
class Row:
    """What was measured of one workload.

    Attributes:
        name: what goals and ``--only`` know it by.
        title: what is shown.
        timings: of those who were timed, by name.
        kinds: "ours", "peer", "baseline" or "floor", by name.
        absent: why the others were not, by name: not installed, failed, or other results.
        unit: "seconds", "bytes".
        flops: operations of one step, 0 if that means nothing here.
        bytes: least bytes that one step moves.
        rates: the largest sgemm and the memory rate of the machine, once they are known.
        note: what a reader should know.
        load: processors at work for somebody else as the row began.
        date: when it was measured.
        extra: numbers that only this row has.
        subject: whose win or loss the row is about.
    """

    name: str
    title: str
    timings: dict[str, Timing] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    unit: str = "seconds"
    flops: int = 0
    bytes: int = 0
    rates: dict[str, float] = field(default_factory=dict)
    note: str = ""
    load: float = 0.0
    date: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
    subject: str = COMPILED

    def best(self, kinds: Sequence[str]) -> str | None:
        """Return who of these kinds has the smallest median."""
        names = [name for name in self.timings if self.kinds[name] in kinds]
        return min(names, key=lambda name: self.timings[name].median, default=None)

    def ratio(self, name: str, to: str | None) -> float | None:
        """Return how many times less the first needs than the second, None if one is absent."""
        if to is None or name not in self.timings or to not in self.timings:
            return None
        return self.timings[to].median / self.timings[name].median

    def share(self, name: str) -> float | None:
        """Return a competitor's share of the machine's best sgemm rate."""
        rate = self.rates.get("sgemm", 0.0)
        if not (self.flops and rate and name in self.timings):
            return None
        return self.flops / self.timings[name].median / rate

    def memory_share(self, name: str) -> float | None:
        """Return a competitor's share of the machine's memory rate."""
        rate = self.rates.get("memory", 0.0)
        if not (self.bytes and rate and name in self.timings):
            return None
        return self.bytes / self.timings[name].median / rate

    def to_dict(self) -> dict[str, Any]:
        """Return it in JSON's types, medians and spreads among them."""
        made = asdict(self)
        made["timings"] = {
            name: {"median": t.median, "p10": t.low, "p90": t.high, "rounds": list(t.rounds)}
            for name, t in self.timings.items()
        }
        return made

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Row:
        """Return the row that ``to_dict`` wrote down."""
        timings = {name: Timing(tuple(t["rounds"])) for name, t in record["timings"].items()}
        return cls(**{**record, "timings": timings})


def disagreement(given: Sequence[float], expected: Sequence[float], task: str) -> float:
    """Return by how much two lists of evidence differ, relatively; infinity if one is no number.

    Losses are compared one by one, outputs relative to the largest of them.
    """
    if len(given) != len(expected):
        return math.inf
    largest = max((abs(e) for e in expected), default=0.0)
    worst = 0.0
    for g, e in zip(given, expected, strict=True):
        if not (math.isfinite(g) and math.isfinite(e)):
            return math.inf
        scale = abs(e) if task == "train" else largest
        worst = max(worst, abs(g - e) / max(scale, 1e-12))
    return worst


def run_row(
    name: str,
    title: str,
    workload: Workload,
    entries: Sequence[Entry],
    effort: Effort,
    *,
    device: str = "cpu",
    variables: Mapping[str, str] | None = None,
    reference: Entry = REFERENCE,
    say: Say = lambda text: None,
) -> Row:
    """Measure one workload: compare all evidence with the reference's, then time who agrees.

    Args:
        name: of the row.
        title: of the row.
        workload: what is computed.
        entries: who takes part.
        effort: how much time there is.
        device: "cpu" or "cuda".
        variables: the environment of the processes.
        reference: whose evidence is right.
        say: told what happens.
    """
    row = Row(name, title, flops=workload.flops, bytes=workload.bytes)
    arguments = {"workload": workload.to_dict(), "device": device}
    with ExitStack() as stack:
        clients = start(row, entries, arguments, variables or {}, stack, say)
        expected = _expected(reference, clients, workload, variables or {}, effort)
        compare(row, clients, expected, effort, workload.task, say, reference.name)
        take_turns(row, clients, effort, say)
    return row


def start(
    row: Row,
    entries: Sequence[Entry],
    arguments: Mapping[str, Any],
    variables: Mapping[str, str],
    stack: ExitStack,
    say: Say,
) -> dict[str, Client]:
    """Start the processes of all who are installed, and note in the row who is not."""
    row.load = busy(0.3)
    clients = {}
    for entry in entries:
        row.kinds[entry.name] = entry.kind
        missing = entry.missing()
        if missing is None:
            client = Client(entry.target, arguments, variables)
            try:
                clients[entry.name] = stack.enter_context(client)
            except CompetitorError as error:
                missing = str(error)
        if missing is not None:
            row.absent[entry.name] = missing
            say(f"  {entry.name}: {missing}")
    return clients


def _expected(
    reference: Entry,
    clients: Mapping[str, Client],
    workload: Workload,
    variables: Mapping[str, str],
    effort: Effort,
) -> list[float]:
    if reference.name in clients:
        return clients[reference.name].evidence(effort.check_steps)  # type: ignore[no-any-return]
    # Baselines compute on the CPU, whatever the others are measured on.
    arguments = {"workload": workload.to_dict(), "device": "cpu"}
    with Client(reference.target, arguments, variables) as client:
        return client.evidence(effort.check_steps)  # type: ignore[no-any-return]


def compare(
    row: Row,
    clients: dict[str, Client],
    expected: Sequence[float],
    effort: Effort,
    task: str,
    say: Say,
    reference: str = "",
) -> None:
    """Take out of ``clients`` whoever computes something else, and note by how much."""
    for name in list(clients):
        if row.kinds[name] == "floor" or name == reference:
            continue
        try:
            given = clients[name].evidence(effort.check_steps)
            off = disagreement(given, expected, task)
            if off <= effort.tolerance:
                continue
            what = "losses" if task == "train" else "outputs"
            why = f"not timed: its {what} differ by {off:.1e} (allowed {effort.tolerance:.0e})"
        except CompetitorError as error:
            why = str(error)
        row.absent[name] = why
        clients.pop(name).close()
        say(f"  {name}: {why}")


def take_turns(row: Row, clients: dict[str, Client], effort: Effort, say: Say) -> None:
    """Warm all up, then let them run in turns, in another order in every round."""
    counts: dict[str, int] = {}
    for name in list(clients):
        try:
            counts[name] = _warm_up(clients[name], effort)
        except CompetitorError as error:
            row.absent[name] = str(error)
            clients.pop(name).close()
            say(f"  {name}: {error}")
    times: dict[str, list[float]] = {name: [] for name in clients}
    began, names = time.perf_counter(), list(clients)
    for index in range(effort.rounds):
        spent = time.perf_counter() - began
        if not clients:
            break
        if effort.fewest <= index and effort.budget < spent * (index + 1) / max(index, 1):
            break
        for name in names[index % len(names) :] + names[: index % len(names)]:
            if name not in clients:
                continue
            time.sleep(effort.rest)
            try:
                times[name].append(clients[name].seconds(counts[name]) / counts[name])
            except CompetitorError as error:
                row.absent[name] = str(error)
                clients.pop(name)
                say(f"  {name}: {error}")
    row.timings = {name: Timing(tuple(found)) for name, found in times.items() if name in clients}


def _warm_up(client: Client, effort: Effort) -> int:
    """Run until it is warm, and return how many steps fill a turn."""
    count, spent, each = 1, 0.0, math.inf
    while spent < effort.warm:
        seconds = client.seconds(count, warm=False)
        each = seconds / count
        spent += seconds
        count = min(2 * count, 1 + int(effort.warm / max(each, 1e-9)))
    return max(1, math.ceil(effort.turn / each))
