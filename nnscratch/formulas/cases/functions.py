"""Cases of circular, hyperbolic and exponential functions, of rounding and of remainders."""

from __future__ import annotations

from nnscratch.formulas.case import Build, Case, given, normal, uniform
from nnscratch.formulas.cases.derived import elementwise

NAN, INF = float("nan"), float("inf")


def _on(low: float, high: float, *special: float, wide: bool = False) -> list[Case]:
    """Return the cases of a function on an interval, and at some numbers of its edge or beyond."""
    made = [
        Case("33 entries", (uniform(low, high, 33),)),
        Case("a matrix", (uniform(low, high, 7, 5),)),
        Case("nothing", (uniform(low, high, 0),)),
        Case("a number", (uniform(low, high),)),
        Case("special", (given([*special, 0.0, NAN, INF, -INF]),), smooth=False),
    ]
    if wide:
        made.append(Case("up to 100", (uniform(-100.0, 100.0, 65),), smooth=False))
    return made


def _between_steps(*shape: int) -> Build:
    """Return a builder of numbers whose fractions are from 0.1 to 0.4 or from 0.6 to 0.9."""
    return lambda rng: (
        rng.integers(-4, 4, shape) + rng.uniform(0.1, 0.4, shape) + rng.integers(0, 2, shape) * 0.5
    )


def _steps() -> list[Case]:
    return [
        Case("33 entries", (_between_steps(33),)),
        Case("a matrix", (_between_steps(7, 5),)),
        Case("nothing", (_between_steps(0),)),
        Case("a number", (_between_steps(),)),
        Case("halves", (given([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]),), smooth=False),
        Case("whole numbers", (given([-2.0, 0.0, -0.0, 3.0]),), smooth=False),
        Case("special", (given([NAN, INF, -INF]),), smooth=False),
    ]


def fractions(*shape: int) -> Build:
    """Return a builder of quotients, times 2, that are not near a whole number."""
    return lambda rng: (rng.integers(-6, 6, shape) + rng.uniform(0.2, 0.8, shape)) * 2.0


def _divided() -> list[Case]:
    return [
        Case("by a number", (fractions(33), given(2.0))),
        Case("of one", (given([5.0]), uniform(3.1, 4.9, 33)), terms=33),
        Case("pairs", (fractions(7, 5), given([2.0] * 5)), terms=7),
        Case("by one below 0", (fractions(33), given([-2.0]))),
        Case("special", (given([1.0, NAN, INF, 1.0]), given([NAN, 1.0, 2.0, 3.0])), smooth=False),
    ]


def _pairs(low: float = -2.0, high: float = 2.0, low_b: float | None = None) -> list[Case]:
    low_b = low if low_b is None else low_b
    return [
        Case("33 pairs", (uniform(low, high, 33), uniform(low_b, high, 33))),
        Case("a row", (uniform(low, high, 7, 5), uniform(low_b, high, 5)), terms=7),
        Case("special", (given([0.0, NAN, 1.0, 2.0]), given([1.0, 1.0, NAN, 2.0])), smooth=False),
    ]


CASES: dict[str, list[Case]] = {
    **{name: _on(-2.0, 2.0, wide=True) for name in ("sin", "cos", "atan", "asinh")},
    "tan": _on(-1.3, 1.3, wide=False),
    **{name: _on(-2.0, 2.0) for name in ("sinh", "cosh", "exp2", "erf", "erfc")},
    "sinc": [
        Case("33 entries", (normal(33, away=(0.0,)),)),
        Case("a matrix", (uniform(0.2, 2.0, 7, 5),)),
        Case("nothing", (normal(0),)),
        Case("at 0 and NaN", (given([0.0, NAN, 0.5]),), smooth=False),
    ],
    **{name: _on(-0.9, 0.9, 1.0, -1.0, 2.0) for name in ("asin", "acos", "atanh", "erfinv")},
    "acosh": _on(1.2, 4.0, 1.0, 0.5),
    **{name: _on(0.1, 4.0, -1.0) for name in ("log2", "log10")},
    "atan2": _pairs(0.2, 2.0, -2.0),
    "hypot": _pairs(0.2, 2.0),
    "logaddexp": [
        *_pairs(),
        Case("far apart", (given([1000.0, -1000.0, INF, INF]), given([0.0, 5.0, INF, -INF])),
             smooth=False),
    ],
    "xlogy": [
        *_pairs(0.2, 2.0),
        Case("a Python number first", (given(0.7), uniform(0.5, 2.0, 33)), terms=33),
        Case("a Python number second", (uniform(0.2, 2.0, 33), given(0.7)), terms=33),
        Case("0 log 0", (given([0.0, 0.0, 0.0, 1.0]), given([0.0, -1.0, NAN, 0.0])), smooth=False),
    ],
    **{name: _steps() for name in ("ceil", "trunc", "round", "sign")},
    "floor": [
        *(case for case in elementwise() if not case.smooth),
        *_steps(),
    ],
    **{name: _divided() for name in ("remainder", "fmod", "floor_divide")},
}  # fmt: skip
