"""A line search: how far to go along a direction (Nocedal and Wright 2006, algorithms 3.5, 3.6)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nnscratch.tensors import Tensor


@dataclass
class Point:
    """A place on the line: how far it is, the loss, its gradient, and the slope along the line."""

    t: float
    loss: float
    gradient: Tensor
    slope: float


def cubic_minimum(a: Point, b: Point, bounds: tuple[float, float] | None = None) -> float:
    """Return where the cubic through two points with their slopes is least, within bounds.

    The bounds are the two points unless given; their middle is taken where there is no least point.

    >>> cubic_minimum(Point(0.0, 1.0, None, -2.0), Point(2.0, 1.0, None, 2.0))
    1.0
    """
    low, high = bounds or (min(a.t, b.t), max(a.t, b.t))
    gap = a.t - b.t
    d1 = a.slope + b.slope - 3 * _over(a.loss - b.loss, gap)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:
        return (low + high) / 2.0
    d2 = math.sqrt(square)
    if a.t > b.t:
        a, b = b, a
    found = b.t - (b.t - a.t) * _over(b.slope + d2 - d1, b.slope - a.slope + 2 * d2)
    return min(max(found, low), high)


def _over(a: float, b: float) -> float:
    """Return a / b, as floating-point numbers divide."""
    if b:
        return a / b
    return math.nan if not a or math.isnan(a) else math.copysign(math.inf, a)


def strong_wolfe(
    at: Callable[[float], tuple[float, Tensor]],
    t: float,
    direction: Tensor,
    loss: float,
    gradient: Tensor,
    slope: float,
    c1: float = 1e-4,
    c2: float = 0.9,
    tolerance: float = 1e-9,
    most: int = 25,
) -> tuple[float, Tensor, float, int]:
    """Return the loss and the gradient at a place on a line, the place, and how often it looked.

    There the loss has fallen by c1 of what the slope promised, and the slope is c2 of it or less:
    the strong conditions of Wolfe.

    Args:
        at: returns the loss and the gradient at a distance.
        t: the first distance to try.
        direction: of the line.
        loss: at the beginning.
        gradient: at the beginning.
        slope: of the loss along the line at the beginning, below 0.
        c1: see above.
        c2: see above.
        tolerance: it ends where the bracket moves the parameters by less.
        most: how often it may look.
    """

    def point(t: float) -> Point:
        value, g = at(t)
        return Point(t, value, g, float(g.dot(direction)))

    first = Point(0.0, loss, gradient, slope)
    before, here = first, point(t)
    looked, tries, bracket, done = 1, 0, [], False
    while tries < most:
        if here.loss > loss + c1 * here.t * slope or (tries > 1 and here.loss >= before.loss):
            bracket = [before, here]
            break
        if abs(here.slope) <= -c2 * slope:
            bracket, done = [here], True
            break
        if here.slope >= 0:
            bracket = [before, here]
            break
        bounds = (here.t + 0.01 * (here.t - before.t), here.t * 10)
        t = cubic_minimum(before, here, bounds)
        before, here = here, point(t)
        looked, tries = looked + 1, tries + 1
    if tries == most or not bracket:
        bracket = [first, here]
    low, high = (0, 1) if bracket[0].loss <= bracket[-1].loss else (1, 0)
    largest, slow = float(direction.abs().max()), False
    while not done and tries < most:
        ends = [one.t for one in bracket]
        if abs(ends[1] - ends[0]) * largest < tolerance:
            break
        t = cubic_minimum(bracket[0], bracket[1])
        margin = 0.1 * (max(ends) - min(ends))
        if min(max(ends) - t, t - min(ends)) < margin:  # near an end
            if slow or t >= max(ends) or t <= min(ends):
                near_high = abs(t - max(ends)) < abs(t - min(ends))
                t, slow = max(ends) - margin if near_high else min(ends) + margin, False
            else:
                slow = True
        else:
            slow = False
        here = point(t)
        looked, tries = looked + 1, tries + 1
        if here.loss > loss + c1 * here.t * slope or here.loss >= bracket[low].loss:
            bracket[high] = here
            low, high = (0, 1) if bracket[0].loss <= bracket[1].loss else (1, 0)
            continue
        if abs(here.slope) <= -c2 * slope:
            done = True
        elif here.slope * (bracket[high].t - bracket[low].t) >= 0:
            bracket[high] = bracket[low]
        bracket[low] = here
    found: Any = bracket[low] if len(bracket) > 1 else bracket[0]
    return found.loss, found.gradient, found.t, looked
