"""Faults that are places: one element, a zero block, an edge, one side of zero."""

from __future__ import annotations

import numpy as np

from nnscratch.verify.gradients.evidence import Evidence
from nnscratch.verify.gradients.factors import ratio
from nnscratch.verify.gradients.faults import Fault, Kind, Region, RegionKind

SMALL = 12


def few(e: Evidence) -> Fault | None:
    """See whether one element, or very few, are wrong among many."""
    total = int(np.prod(e.shape))
    share = len(e.wrong) / max(len(e.known), 1)
    if total < 4 or share > 0.25 or len(e.wrong) > 3:
        return None
    if len(e.wrong) > 1 and total <= SMALL:
        return None  # of so few elements two may have more in common
    zero = len(e.wrong) == 1 and e.wrong[0].analytic == 0
    return Fault(Kind.FEW, 0.0 if zero else None, indices=tuple(x.index for x in e.wrong))


def kinks(e: Evidence) -> Fault | None:
    """See whether the wrong elements all sit at kinks."""
    if any(x.sides is None for x in e.wrong):
        return None
    x = e.wrong[0]
    return Fault(Kind.KINKS, point=x.value, slopes=x.sides or (0.0, 0.0))


def zero_block(e: Evidence) -> Fault | None:
    """See whether the wrong elements are all 0 and fill a block."""
    if np.any(e.a):
        return None
    places = np.array([x.index for x in e.wrong])
    if places.size == 0:
        return Fault(Kind.ZERO_BLOCK, indices=((), ()))
    ends = places.min(axis=0), places.max(axis=0)
    return Fault(Kind.ZERO_BLOCK, indices=tuple(tuple(map(int, end)) for end in ends))


def scaled_region(e: Evidence) -> Fault | None:
    """See whether what is wrong is on one side of a line, and wrong by one factor."""
    found, factor = region(e), ratio(e)
    if found and factor and e.close(e.a, factor * e.n):
        return Fault(Kind.REGION, factor, region=found)
    return None


def in_side(e: Evidence) -> Fault | None:
    """See whether the wrong elements are those on one side of 0."""
    found = _side(e)
    return Fault(Kind.REGION, region=found) if found else None


def in_region(e: Evidence) -> Fault | None:
    """See whether right and wrong elements are on two sides of some line."""
    found = region(e)
    return Fault(Kind.REGION, region=found) if found else None


def region(e: Evidence) -> Region | None:
    """Return where the wrong elements are, None if right ones are among them."""
    right = [x for x in e.known if x not in e.wrong]
    if not right:
        return None
    found = _side(e)
    if found is not None:
        return found
    least = min(abs(x.value) for x in e.wrong)
    most = max(abs(x.value) for x in right)
    if least > most:
        return Region(RegionKind.LARGE, limit=most)
    return _edge(e)


def _side(e: Evidence) -> Region | None:
    right = [x for x in e.known if x not in e.wrong]
    if not right:
        return None
    inside = np.array([x.value for x in e.wrong])
    outside = np.array([x.value for x in right])
    for place, bad, good in (
        (RegionKind.NEGATIVE, inside < 0, outside < 0),
        (RegionKind.POSITIVE, inside > 0, outside > 0),
    ):
        if bad.all() and not good.any():
            return Region(place)
    return None


def _edge(e: Evidence) -> Region | None:
    """See whether the wrong elements lie at one end of an axis."""
    bad = np.array([x.index for x in e.wrong])
    good = np.array([x.index for x in e.known if x not in e.wrong])
    for axis, size in enumerate(e.shape):
        if bad[:, axis].min() > good[:, axis].max():
            return Region(RegionKind.FROM, position=int(bad[:, axis].min()), axis=axis, size=size)
        if bad[:, axis].max() < good[:, axis].min():
            return Region(RegionKind.UP_TO, position=int(bad[:, axis].max()), axis=axis, size=size)
    flat_bad = [int(np.ravel_multi_index(x.index, e.shape)) for x in e.wrong]
    flat_good = [int(np.ravel_multi_index(x.index, e.shape)) for x in e.known if x not in e.wrong]
    if min(flat_bad) > max(flat_good):
        return Region(RegionKind.TAIL, position=min(flat_bad))
    return None
