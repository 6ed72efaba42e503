"""The benchmark: the same networks in nnscratch and its peers, checked, then timed in turn.

``run_row`` measures one row: it starts a process for every competitor, refuses to time those whose
losses differ, lets the others take turns, and returns medians and spreads. ``nnscratch bench`` and
``python -m benchmarks`` are built on it.
"""

from nnscratch.inspect.bench.goals import GOALS, Goal, Verdict, goals_of, judge
from nnscratch.inspect.bench.measuring import Effort, Row, Timing, run_row
from nnscratch.inspect.bench.registry import COMPETITORS, Entry, installed
from nnscratch.inspect.bench.workload import Workload

__all__ = [
    "COMPETITORS",
    "GOALS",
    "Effort",
    "Entry",
    "Goal",
    "Row",
    "Timing",
    "Verdict",
    "Workload",
    "goals_of",
    "installed",
    "judge",
    "run_row",
]
