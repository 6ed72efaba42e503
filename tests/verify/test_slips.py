"""The usual slips are named by the third hint, and no hint holds the solution."""

from __future__ import annotations

import re
from functools import cache

import pytest
from verify.slips import SLIPS, Slip

from nnscratch.formulas import FORMULAS
from nnscratch.verify import homework
from nnscratch.verify.gradients.lessons import Homework

ALL = [(cause, what) for cause, group in SLIPS.items() for what in group]
# What no rule knows: two terms are missing at once, or a power of all but the incoming gradient;
# and a quotient that is the output's as well.
UNNAMED = {"of a quotient", "of tanhshrink", "mean of layer norm"}


@cache
def graded(cause: str, what: str) -> tuple[Slip, Homework]:
    slip = SLIPS[cause][what]
    return slip, homework(slip.formula, slip.backward, of=slip.of)


def test_there_are_many_slips_of_every_cause() -> None:
    assert len(ALL) >= 80
    assert len({SLIPS[cause][what].formula for cause, what in ALL}) >= 40
    assert len(UNNAMED) <= 0.1 * len(ALL)


@pytest.mark.parametrize(("cause", "what"), ALL)
def test_a_slip_is_named(cause: str, what: str) -> None:
    slip, work = graded(cause, what)
    assert not work
    assert work.points <= 90
    named = bool(re.search(slip.named, work.hint(3)))
    assert named == (what not in UNNAMED), work.hint(3)


@pytest.mark.parametrize(("cause", "what"), ALL)
def test_no_hint_holds_the_solution(cause: str, what: str) -> None:
    slip, work = graded(cause, what)
    hints = [work.hint(level) for level in (1, 2, 3)]
    assert len(set(hints)) == 3
    for hint in hints:
        assert all(text not in hint for text in FORMULAS[slip.formula].gradients.values())
        assert not re.search(r"\d\.\d", hint), hint
    # The first two do not name the fault either.
    assert all("What shows is" not in hint for hint in hints[:2])
