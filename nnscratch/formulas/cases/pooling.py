"""Cases of pooling and resampling."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch.formulas import interpolation as resize
from nnscratch.formulas import pooling_windows as w
from nnscratch.formulas.case import Build, Case, Rng, given, integers, normal

NAN = float("nan")


def _distinct(*shape: int) -> Build:
    """Return a builder of numbers of which no two are nearer than 0.1."""

    def build(rng: Rng) -> Any:
        size = int(np.prod(shape))
        return np.reshape((rng.permutation(size) - size / 2) * 0.2 + rng.uniform(0, 0.1), shape)

    return build


def _max_pool() -> list[Case]:
    k2, padded = w.windows(6, 2, 2, 0, 1, 3), w.windows(5, 3, 2, 1, 1, 3)
    dilated, uneven = w.windows(7, 3, 1, 0, 2, 3), w.adaptive_windows(5, 3)
    shapes: dict[str, tuple[tuple[int, ...], tuple[Any, ...]]] = {
        "a line": ((2, 6), (k2,)),
        "two axes": ((1, 2, 5, 6), (padded, k2)),
        "three axes": ((1, 7, 5, 5), (dilated, uneven, padded)),
        "windows of one": ((3, 4), (w.windows(4, 1, 1, 0, 1, 4),)),
        "along one of two axes": ((2, 2, 6), (w.windows(2, 1, 1, 0, 1, 2), k2)),
        "strided windows of one": ((2, 6), (w.windows(6, 1, 2, 0, 1, 3),)),
        "no samples": ((0, 2, 6), (k2,)),
        "larger": ((3, 2, 31, 33), (w.windows(31, 3, 2, 1, 1, 16), w.windows(33, 2, 2, 0, 1, 16))),
    }
    made = [Case(n, (_distinct(*s),), {"lines": lines}) for n, (s, lines) in shapes.items()]
    ties = given([[2.0, 2.0, 1.0, NAN, 3.0, 3.0], [NAN, NAN, -np.inf, -np.inf, 0.0, -0.0]])
    return [
        *made,
        Case("ties and NaN", (ties,), {"lines": (k2,)}, smooth=False),
        Case("integers", (integers(-5, 5, 2, 6),), {"lines": (k2,)}, smooth=False),
    ]


def _max_unpool() -> list[Case]:
    places = given([[1, 2, 5], [0, 3, 4]])
    return [
        Case("a line", (normal(2, 3), places), {"sizes": (6,)}),
        Case("a plane", (normal(1, 2, 3), given([[[1, 2, 5], [0, 3, 4]]])), {"sizes": (3, 4)}),
        Case("one number twice", (normal(3), given([1, 1, 0])), {"sizes": (4,)}, smooth=False),
        Case("no samples", (normal(0, 3), integers(0, 5, 0, 3)), {"sizes": (6,)}),
    ]


def _resample() -> list[Case]:
    half, padded = w.averages(6, 2, 2, 0, 3), w.averages(5, 3, 2, 1, 3)
    inside, uneven = w.averages(5, 3, 2, 1, 3, True), w.adaptive_averages(5, 3)
    linear = resize.linear(5, 7, None, False)
    cubic = resize.cubic(4, 9, None, True)
    shapes: dict[str, tuple[tuple[int, ...], tuple[Any, ...]]] = {
        "averages of a line": ((2, 6), (half,)),
        "averages of planes": ((1, 2, 5, 6), (padded, half)),
        "padding not counted": ((2, 5), (inside,)),
        "unequal windows": ((2, 5, 5), (uneven, inside)),
        "more than there are": ((1, 2, 5), (w.adaptive_averages(2, 3), uneven)),
        "linear and cubic": ((2, 5, 4), (linear, cubic)),
        "nearest": ((2, 3), (resize.nearest(3, 7, None, False),)),
        "nearest, fewer": ((2, 7), (resize.nearest(7, 3, None, True),)),
        "three axes": ((2, 5, 5, 6), (padded, linear, half)),
        "no samples": ((0, 2, 6), (half,)),
        "larger": ((3, 31, 33), (w.averages(31, 3, 2, 1, 16), resize.linear(33, 65, None, True))),
    }
    made = [Case(n, (normal(*s),), {"lines": lines}, terms=25) for n, (s, lines) in shapes.items()]
    nan = given([[NAN, 1.0, 2.0, 3.0, np.inf]])
    return [
        *made,
        Case("NaN", (nan,), {"lines": (inside,)}, terms=9, smooth=False),
        Case(
            "integers", (integers(-5, 5, 2, 6),), {"lines": (w.sums(6, 3, 2, 1, 3),)}, smooth=False
        ),
    ]


CASES = {"max_pool": _max_pool(), "max_unpool": _max_unpool(), "resample": _resample()}
