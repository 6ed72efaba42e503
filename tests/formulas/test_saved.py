"""What forwards save is a tuple with names, like one of ``typing.NamedTuple``."""

from __future__ import annotations

import pickle
from typing import Any, NamedTuple

import pytest

from nnscratch.formulas.saved import Saved


class OursSaved(Saved):
    X: Any
    Y: Any
    slope: float = 1.0


class Theirs(NamedTuple):
    X: Any
    Y: Any
    slope: float = 1.0


@pytest.mark.parametrize(
    ("values", "named"),
    [((1, 2), {}), ((1, 2, 3), {}), ((1,), {"Y": 2}), ((), {"slope": 0.5, "Y": 2, "X": 1})],
)
def test_it_is_made_as_a_named_tuple(values: tuple[Any, ...], named: dict[str, Any]) -> None:
    ours, theirs = OursSaved(*values, **named), Theirs(*values, **named)
    assert tuple(ours) == tuple(theirs)
    assert (ours.X, ours.Y, ours.slope) == (theirs.X, theirs.Y, theirs.slope)
    assert ours._fields == theirs._fields
    assert ours._field_defaults == theirs._field_defaults
    assert ours._asdict() == theirs._asdict()
    assert ours._replace(Y=7) == OursSaved._make(theirs._replace(Y=7))
    assert repr(ours) == repr(theirs).replace("Theirs", "OursSaved")


@pytest.mark.parametrize(
    ("values", "named"),
    [((1,), {}), ((1, 2, 3, 4), {}), ((1, 2), {"X": 1}), ((1, 2), {"Z": 1}), ((), {"X": 1})],
)
def test_it_refuses_what_a_named_tuple_refuses(
    values: tuple[Any, ...], named: dict[str, Any]
) -> None:
    for kind in (OursSaved, Theirs):
        with pytest.raises(TypeError):
            kind(*values, **named)
        with pytest.raises((TypeError, ValueError)):
            kind(1, 2)._replace(Z=3)
    with pytest.raises(TypeError, match="OursSaved takes X, Y, slope; got"):
        OursSaved(*values, **named)


def test_it_is_pickled_and_does_not_change() -> None:
    ours = OursSaved(1, 2)
    again = pickle.loads(pickle.dumps(ours))
    assert type(again) is OursSaved
    assert again == ours
    with pytest.raises(AttributeError):
        ours.X = 3  # type: ignore[misc]
