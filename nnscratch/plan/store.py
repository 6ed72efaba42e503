"""The plans of a compiled step: which are kept, which are dropped, and when a call is recorded.

A signature is what a plan is for: shapes, dtypes, devices, modes and plain values of the arguments.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from nnscratch.array.memory import explaining
from nnscratch.plan.constants import Constants
from nnscratch.plan.plan import Plan
from nnscratch.plan.trace import Trace

MOST_PLANS = 256
"""Plans that are kept at once."""
MOST_STATES = 16
"""Plans of one signature, each for another state of what the step refers to."""
MOST_BYTES = 1 << 30
"""Bytes of the plans that are kept at once, as ``Plan.nbytes`` counts them."""
KEPT = 4
"""The plans that were used last are kept whatever their size."""
MOST_WAITING = 8
"""Traces that wait for a second call. Each keeps copies of the arguments."""
MOST_SIGNATURES = 4096
"""Signatures that are remembered."""
MOST_CHANGES = 16
"""Recordings of one signature that did not pay, after which the step is not recorded any more."""
PAYS = 16
"""Replays after which a plan has paid for its recording."""
MOST_NEW = 256
"""Calls in a row with signatures of their own, after which somebody should hear of it."""


@dataclass(eq=False, slots=True)
class _Entry:
    """What there is of one signature.

    Attributes:
        plans: for several states of what the step refers to, the newest first.
        trace: a recording that is no plan yet.
        again: whether there was more than one call.
        recorded: whether another recording would mean that something but the arguments changed.
        changes: how many such recordings there were in a row that did not pay.
    """

    plans: list[Plan] = field(default_factory=list)
    trace: Trace | None = None
    again: bool = False
    recorded: bool = False
    changes: int = 0


class PlanStore:
    """Plans by their signatures; those that were not used for longest go first.

    Attributes:
        plans: those that are there, in the order in which they were made.
        nbytes: of all of them.
        waiting: how many traces wait for their second call.
        new: how many calls in a row had signatures that were not seen before.
    """

    def __init__(self, constants: Constants | None = None) -> None:
        """Begin without any; ``constants`` are what the plans of a frozen step share."""
        self._constants = constants
        self.plans: list[Plan] = []
        self.new = 0
        self._entries: OrderedDict[Any, _Entry] = OrderedDict()
        self._used: OrderedDict[int, tuple[Plan, _Entry]] = OrderedDict()
        self.nbytes = 0
        self.waiting = 0

    def find(self, signature: Any) -> Plan | None:
        """Return a plan that fits now, made of a waiting trace if there is one, else None."""
        entry = self._entries.get(signature)
        if entry is None:
            return None
        self.new = 0
        self._entries.move_to_end(signature)
        for plan in entry.plans:
            if plan.fits():
                self._used.move_to_end(id(plan))
                return plan
        if entry.trace is None:
            return None
        trace, entry.trace = entry.trace, None
        self.waiting -= 1
        plan = self._add(entry, trace)
        return plan if plan.fits() else None

    def begin(self, signature: Any) -> bool:
        """Say whether a call for which there is no plan is to be recorded; if not, it is eager.

        The first few signatures are recorded at once, later ones when they come a second time.
        """
        entry = self._entries.get(signature)
        if entry is None:
            self.new += 1
            self._entries[signature] = _Entry()
            if len(self._entries) > MOST_SIGNATURES:
                self._drop_signature()
            return self.waiting < MOST_WAITING
        entry.again = True
        if entry.recorded:
            paid = bool(entry.plans) and entry.plans[0].replays >= PAYS
            entry.changes = 1 if paid else entry.changes + 1
        return True

    def keeps_changing(self, signature: Any) -> bool:
        """Say whether so many recordings did not pay that the step should run eagerly."""
        entry = self._entries.get(signature)
        return entry is not None and entry.changes >= MOST_CHANGES

    def end(self, signature: Any, trace: Trace | None) -> None:
        """Enter what was recorded; None where it cannot be repeated.

        A trace of a call that was seen before is planned at once: it would not wait long enough to
        be of use where many signatures take turns.
        """
        entry = self._entries.get(signature)
        if entry is None:  # forgotten by calls that came in between
            return
        entry.recorded = True
        if trace is None:
            return
        if entry.again and not entry.changes:
            self._add(entry, trace)
        elif entry.trace is None:
            entry.trace = trace
            self.waiting += 1

    def clear(self) -> None:
        """Drop everything."""
        self.plans.clear()
        self._entries.clear()
        self._used.clear()
        self.nbytes = self.waiting = 0

    def _add(self, entry: _Entry, trace: Trace) -> Plan:
        with explaining("planning a compiled step"):
            plan = Plan(trace, self._constants)
        if len(entry.plans) >= MOST_STATES:
            self._drop(entry.plans[-1], entry)
        entry.plans.insert(0, plan)
        self.plans.append(plan)
        self._used[id(plan)] = plan, entry
        self.nbytes += plan.nbytes
        while len(self._used) > MOST_PLANS or (len(self._used) > KEPT and self.nbytes > MOST_BYTES):
            self._drop(*next(iter(self._used.values())))
        return plan

    def _drop(self, plan: Plan, entry: _Entry) -> None:
        del self._used[id(plan)]
        self.nbytes -= plan.nbytes
        self.plans.remove(plan)
        entry.plans.remove(plan)
        entry.recorded = bool(entry.plans)  # else its next recording is no change of anything

    def _drop_signature(self) -> None:
        _, entry = self._entries.popitem(last=False)
        self.waiting -= entry.trace is not None
        for plan in list(entry.plans):
            self._drop(plan, entry)
