"""Signatures that are places: one element, a zero block, an edge, one side of zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from nnscratch.verify.signatures import Evidence


def few(e: Evidence) -> str | None:
    """See whether one element, or very few, are wrong among many."""
    total = int(np.prod(e.shape))
    share = len(e.wrong) / max(len(e.known), 1)
    if total < 4 or share > 0.25:
        return None
    if len(e.wrong) == 1:
        only = e.wrong[0]
        value = " (it is 0)" if only.analytic == 0 else ""
        return f"one element is off: {list(only.index)}{value}"
    if len(e.wrong) <= 3:
        places = ", ".join(str(list(x.index)) for x in e.wrong)
        return f"{len(e.wrong)} elements are off: {places}"
    return None


def kinks(e: Evidence) -> str | None:
    """See whether the wrong elements all sit at kinks."""
    if any(x.sides is None for x in e.wrong):
        return None
    x = e.wrong[0]
    low, high = x.sides or (0.0, 0.0)
    return (
        f"wrong only at kinks, as at x = {x.value:.6g}: the gradient there lies outside the slopes "
        f"to both sides, {low:.6g} and {high:.6g}"
    )


def zero_block(e: Evidence) -> str | None:
    """See whether the wrong elements are all 0 and fill a block."""
    if np.any(e.a):
        return None
    return f"a block of zeros: {box(e)} get no gradient"


def scaled_region(e: Evidence) -> str | None:
    """See whether what is wrong is on one side of a line, and wrong by one factor."""
    text = region(e)
    with np.errstate(all="ignore"):
        factor = float(np.dot(e.a, e.n) / np.dot(e.n, e.n)) if np.any(e.n) else float("nan")
    if text and np.isfinite(factor) and factor and e.close(e.a, factor * e.n):
        return f"{text}; there it is {factor:.4g} times the right gradient"
    return None


def side(e: Evidence) -> str | None:
    """See whether the wrong elements are those on one side of 0."""
    right = [x for x in e.known if x not in e.wrong]
    inside = np.array([x.value for x in e.wrong])
    outside = np.array([x.value for x in right])
    if not right:
        return None
    for words, bad, good in (
        ("negative", inside < 0, outside < 0),
        ("positive", inside > 0, outside > 0),
    ):
        if bad.all() and not good.any():
            return f"wrong only where the input is {words}"
    return None


def region(e: Evidence) -> str | None:
    """See whether right and wrong elements are on two sides of some line."""
    right = [x for x in e.known if x not in e.wrong]
    if not right:
        return None
    text = side(e)
    if text is not None:
        return text
    least = min(abs(x.value) for x in e.wrong)
    most = max(abs(x.value) for x in right)
    if least > most:
        return f"wrong only where the input is large (beyond ±{most:.3g})"
    return _edge(e)


def _edge(e: Evidence) -> str | None:
    """See whether the wrong elements lie at one end of an axis."""
    bad = np.array([x.index for x in e.wrong])
    good = np.array([x.index for x in e.known if x not in e.wrong])
    for axis, size in enumerate(e.shape):
        if bad[:, axis].min() > good[:, axis].max():
            first = int(bad[:, axis].min())
            return (
                f"wrong from position {first} on along axis {axis} (of {size}): an end is left out"
            )
        if bad[:, axis].max() < good[:, axis].min():
            last = int(bad[:, axis].max())
            return f"wrong up to position {last} along axis {axis} (of {size})"
    flat_bad = [int(np.ravel_multi_index(x.index, e.shape)) for x in e.wrong]
    flat_good = [int(np.ravel_multi_index(x.index, e.shape)) for x in e.known if x not in e.wrong]
    if min(flat_bad) > max(flat_good):
        return f"wrong from flat position {min(flat_bad)} on: the tail of a loop is left out"
    return None


def box(e: Evidence) -> str:
    """Return the smallest block around the wrong elements as an index."""
    places = np.array([x.index for x in e.wrong])
    if places.size == 0 or places.shape[1] == 0:
        return "the only element"
    low, high = places.min(axis=0), places.max(axis=0)
    parts = [f"{a}" if a == b else f"{a}:{b + 1}" for a, b in zip(low, high, strict=True)]
    return f"[{', '.join(parts)}]"
