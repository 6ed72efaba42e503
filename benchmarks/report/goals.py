"""The goals as data, and whether a run met them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.competitors.elementwise import CALLS
from benchmarks.competitors.registry import COMPILED, EAGER, TORCH
from benchmarks.stopwatch.measuring import Row

BEST_PEER = "best peer"
RATES = {"sgemm": "the machine's sgemm rate", "memory": "the machine's copy rate"}


@dataclass(frozen=True)
class Goal:
    """One goal: at least ``least`` times better than somebody, or at least a share of a rate.

    Attributes:
        row: the name of the row.
        least: the ratio, or the share, that is required.
        subject: who has to be that good.
        against: a competitor's name, "best peer", or "sgemm" or "memory" for a share of the
            machine's rate.
    """

    row: str
    least: float
    subject: str = COMPILED
    against: str = BEST_PEER

    @property
    def is_share(self) -> bool:
        """Whether it is about a share of one of the machine's rates."""
        return self.against in RATES


@dataclass(frozen=True)
class Verdict:
    """What came out of one goal; ``measured`` is None where somebody was absent."""

    goal: Goal
    measured: float | None
    against: str

    @property
    def met(self) -> bool | None:
        """Whether it was met, None if that could not be measured."""
        return None if self.measured is None else self.measured >= self.goal.least

    @property
    def word(self) -> str:
        """The verdict in a word."""
        return {True: "met", False: "NOT MET", None: "not measured"}[self.met]


STEPS = ("10-10-2", "64-128-10", "784-512-512-10", "1024x4", "4096x3")

GOALS: tuple[Goal, ...] = (
    Goal("10-10-2", 5.0),
    Goal("10-10-2", 20.0, against=TORCH),
    Goal("64-128-10", 2.5),
    Goal("784-512-512-10", 1.25),
    Goal("1024x4", 1.25),
    Goal("4096x3", 1.1),
    Goal("4096x3", 0.8, against="sgemm"),
    Goal("predict-64-128-10", 2.5),
    Goal("predict-784-512-512-10", 1.5),
    # The article's program is eager code; its import is all that changes.
    Goal("program-warm", 5.0, subject=EAGER, against=TORCH),
    Goal("program-cold", 1.0, subject=EAGER, against=TORCH),
    Goal("fashion-epoch", 1.5),
    Goal("memory-4096x3", 1.0, against=TORCH),
    *(Goal(name, 1.0, subject=EAGER, against=TORCH) for name in STEPS),
)

# In every precision: the rate of products is measured in that of the run.
CUDA_GOALS: tuple[Goal, ...] = (
    *(Goal(name, 3.0, against=TORCH) for name in ("10-10-2", "64-128-10")),
    *(Goal(name, 1.0) for name in ("10-10-2", "64-128-10", "784-512-512-10", "1024x4")),
    *(Goal(name, 0.9, against="sgemm") for name in ("4096x3", "8192x3")),
    *(Goal(name, 0.85, subject=EAGER, against="memory") for name in CALLS),
)


def goals_of(kind: str) -> tuple[Goal, ...]:
    """Return the goals of a kind of device: "cpu", or "cuda" with its precision if that is less.

    >>> goals_of("cuda-high") == goals_of("cuda") != goals_of("cpu")
    True
    """
    return CUDA_GOALS if kind.partition("-")[0] == "cuda" else GOALS


def judge(goal: Goal, rows: Mapping[str, Row]) -> Verdict:
    """Return what came out of a goal."""
    row = rows.get(goal.row)
    if row is None:
        return Verdict(goal, None, goal.against)
    if goal.is_share:
        share = row.share if goal.against == "sgemm" else row.memory_share
        return Verdict(goal, share(goal.subject), RATES[goal.against])
    against = row.best(("peer",)) if goal.against == BEST_PEER else goal.against
    return Verdict(goal, row.ratio(goal.subject, against), against or BEST_PEER)
