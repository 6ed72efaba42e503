"""Cases of arithmetic, functions of one operand, comparisons and assignments."""

from __future__ import annotations

from nnscratch.formulas.case import (
    SIZES,
    Build,
    Case,
    booleans,
    given,
    integers,
    normal,
    spread,
    uniform,
)
from nnscratch.formulas.cases.derived import elementwise
from nnscratch.formulas.live import LiveFloat

NAN = float("nan")
INF = float("inf")
_SHAPES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "a row": ((5, 7), (7,)),
    "a column": ((5, 7), (5, 1)),
    "both ways": ((5, 1), (1, 7)),
    "a number as array": ((5, 7), ()),
    "a number first": ((), (5, 7)),
    "leading axes": ((2, 1, 3, 1), (4, 1, 5)),
    "nothing": ((0, 3), (1, 3)),
}


def _binary(away: tuple[float, ...] = (), large: bool = True) -> list[Case]:
    made = [
        Case(f"{n} entries", (normal(n), normal(n, away=away, gap=0.3)), terms=1) for n in SIZES
    ]
    for name, (a, b) in _SHAPES.items():
        made.append(Case(name, (normal(*a), normal(*b, away=away, gap=0.3)), terms=35))
    made += [
        Case("a Python number second", (normal(33), given(-1.5))),
        Case("a Python number first", (given(2), normal(33, away=away, gap=0.3))),
        Case("a live number", (normal(33), given(LiveFloat(0.7, 0, "x")))),
        Case("NaN", (given([NAN, 1.0, NAN]), given([1.0, NAN, 2.0])), smooth=False),
    ]
    if large:
        made.append(Case("up to 1e4", (spread(257), spread(257)), smooth=False))
    return made


def _apart(*shape: int) -> Build:
    """Return a builder of numbers with a fraction between 0.6 and 0.9, for A whose B has none."""
    return lambda rng: rng.integers(-3, 3, shape) + rng.uniform(0.6, 0.9, shape)


def _whole(*shape: int) -> Build:
    return lambda rng: rng.integers(-3, 4, shape) * 1.0


def _ordered() -> list[Case]:
    made = [Case(f"{n} entries", (_apart(n), _whole(n))) for n in SIZES]
    made += [Case(name, (_apart(*a), _whole(*b)), terms=35) for name, (a, b) in _SHAPES.items()]
    return [
        *made,
        Case("a Python number second", (_apart(33), given(1))),
        Case("a Python number first", (given(-1.0), _apart(33))),
        Case("a live number", (_apart(33), given(LiveFloat(0.0, 0, "x")))),
        Case("ties", (given([1.0, 2.0, -0.0]), given([1.0, 2.0, 0.0])), smooth=False),
        Case("NaN", (given([NAN, 1.0, NAN]), given([1.0, NAN, 2.0])), smooth=False),
        Case("up to 1e4", (spread(257), spread(257)), smooth=False),
    ]


def _compared() -> list[Case]:
    more = Case("integers", (integers(-2, 3, 33), integers(-2, 3, 33)), smooth=False)
    ints = Case("integers with a number", (integers(-2, 3, 33), given(1)), smooth=False)
    return [*_ordered(), more, ints]


def _shifts() -> list[Case]:
    return [
        Case("integers", (integers(-99, 99, 33), integers(0, 20, 33))),
        Case("a column by a row", (integers(-99, 99, 5, 1), integers(0, 20, 7))),
        Case("a number", (integers(-99, 99, 33), given(3))),
    ]


def _bits() -> list[Case]:
    return [
        Case("integers", (integers(-9, 10, 33), integers(-9, 10, 33)), smooth=False),
        Case("a row", (integers(-9, 10, 5, 7), integers(0, 9, 7)), smooth=False),
        Case("a Python number", (integers(-9, 10, 33), given(6)), smooth=False),
        Case("truth values", (booleans(5, 7), booleans(5, 1)), smooth=False),
    ]


def _power() -> list[Case]:
    made = [Case(f"{n} entries", (uniform(0.3, 3.0, n), normal(n))) for n in SIZES]
    made += [
        Case(f"to the power of {b}", (normal(33, away=(0.0,), gap=0.3), given(b)))
        for b in (0, 1, 2, 3, -1, -2, 2.0, 0.0)
    ]
    made += [
        Case(f"{b} of positive numbers", (uniform(0.3, 3.0, 33), given(b)))
        for b in (0.5, -0.5, 1.7, LiveFloat(1.3, 0, "x"))
    ]
    return [
        *made,
        Case("a column and a row", (uniform(0.3, 3.0, 5, 1), normal(1, 7)), terms=7),
        Case("a number as array", (uniform(0.3, 3.0, 5, 7), normal()), terms=35),
        Case("a Python number first", (given(2.5), normal(33))),
        Case("zero first", (given(0.0), uniform(0.5, 2.0, 33)), smooth=False),
        Case("zeros", (given([0.0, 0.0, 0.0, 2.0]), given([2.0, 0.0, 1.0, 0.0])), smooth=False),
        Case("zeros squared", (given([0.0, -0.0, 1.0]), given(2)), smooth=False),
        Case("zeros to the power of 0.5", (given([0.0, 4.0]), given(0.5)), smooth=False),
        Case("negative bases", (given([-2.0, -8.0]), given([0.5, 3.0])), smooth=False),
        Case("NaN", (given([NAN, 1.0, NAN]), given([1.0, NAN, 0.0])), smooth=False),
        Case("squares of up to 1e4", (spread(257), given(2)), smooth=False),
    ]


def _where() -> list[Case]:
    made = [Case(f"{n} entries", (booleans(n), normal(n), normal(n))) for n in SIZES]
    return [
        *made,
        Case("a row, a column", (booleans(5, 1), normal(5, 7), normal(7)), terms=35),
        Case("the condition broadcasts", (booleans(4, 5, 7), normal(7), normal(5, 1)), terms=140),
        Case("a number first", (booleans(33), given(0.0), normal(33))),
        Case("a number second", (booleans(33), normal(33), given(-INF))),
        Case("NaN not taken", (given([True, False]), given([1.0, NAN]), given([NAN, 2.0]))),
        Case("up to 1e4", (booleans(257), spread(257), spread(257)), smooth=False),
    ]


def _positive(over: float = 0.3) -> list[Case]:
    made = [Case(f"{n} entries", (uniform(over, 3.0, n),)) for n in SIZES]
    return [
        *made,
        Case("three axes", (uniform(over, 3.0, 2, 3, 5),)),
        Case("a number", (uniform(over, 3.0),)),
        Case("large", (uniform(1.0, 1e4, 257),), smooth=False),
        Case("zero and below", (given([0.0, 1.0, -1.0, 4.0]),), smooth=False),
        Case("NaN and inf", (given([NAN, 1.0, INF]),), smooth=False),
    ]


def _clip() -> list[Case]:
    both = {"min": -1.0, "max": 1.0}
    made = elementwise((-1.0, 1.0), options=both)
    return [
        *made,
        Case("only min", (normal(65, away=(0.0,)),), {"min": 0.0}),
        Case("only max", (normal(65, away=(0.5,)),), {"max": 0.5}),
        Case("neither", (normal(65),), {}),
        Case("integer bounds", (normal(65, away=(0.0, 2.0)),), {"min": 0, "max": 2}),
        Case(
            "min above max", (normal(65, away=(1.0, 2.0)),), {"min": 2.0, "max": 1.0}, smooth=False
        ),
        Case("integers", (integers(-5, 6, 33),), {"min": -2, "max": 2}),
    ]


def _cast() -> list[Case]:
    made = [Case(f"to float64, {n} entries", (normal(n),), {"dtype": "float64"}) for n in SIZES]
    return [
        *made,
        Case("to float32", (normal(33),), {"dtype": "float32"}, smooth=False),
        Case("to int64", (normal(33, scale=5.0),), {"dtype": "int64"}, smooth=False),
        Case("to bool", (given([0.0, 1.0, -2.0]),), {"dtype": "bool"}, smooth=False),
        Case("bool to float32", (booleans(33),), {"dtype": "float32"}, smooth=False),
        Case("int64 to float64", (integers(-5, 6, 33),), {"dtype": "float64"}, smooth=False),
    ]


def _assigned() -> list[Case]:
    made = [Case(f"{n} entries", (normal(n), normal(n))) for n in SIZES]
    return [
        *made,
        Case("a row into a matrix", (normal(5, 7), normal(7))),
        Case("a number as array", (normal(5, 7), normal())),
        Case("NaN", (normal(3), given([NAN, 1.0, INF]))),
    ]


CASES: dict[str, list[Case]] = {
    "bitwise_and": _bits(),
    "bitwise_or": _bits(),
    "bitwise_xor": _bits(),
    "bitwise_left_shift": _shifts(),
    "bitwise_right_shift": _shifts(),
    "add": _binary(),
    "subtract": _binary(),
    "multiply": _binary(),
    "divide": [
        *_binary(away=(0.0,)),
        Case("by zero", (given([0.0, 1.0, -1.0]), given([0.0, 0.0, -0.0])), smooth=False),
        Case("by the number zero", (given([0.0, 1.0, -1.0]), given(0.0)), smooth=False),
    ],
    "power": _power(),
    "where": _where(),
    "maximum": _ordered(),
    "minimum": _ordered(),
    "negative": elementwise(),
    "exp": [c for c in elementwise() if "1e4" not in c.name]
    + [Case("beyond the dtype", (given([1e4, -1e4, INF, -INF]),), smooth=False)],
    "log": _positive(),
    "sqrt": _positive(),
    "abs": elementwise((0.0,)) + [Case("integers", (integers(-5, 6, 33),), smooth=False)],
    "clip": _clip(),
    "cast": _cast(),
    "copy_into": _assigned(),
    "all_reduce": [Case(f"{n} entries", (normal(n),)) for n in SIZES],
    "all_gather": [Case(f"{n} entries", (normal(n),)) for n in SIZES],
    "accumulate": _assigned(),
    "fill": [
        *(Case(f"{n} entries", (normal(n),), {"value": 1.5}) for n in SIZES),
        Case("a live number", (normal(3, 4),), {"value": LiveFloat(0.3, 0, "x")}),
        Case("an integer", (normal(3, 4),), {"value": 0}),
    ],
    **{
        name: _compared()
        for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
    },
}
