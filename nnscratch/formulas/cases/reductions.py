"""Cases of the reductions."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch.formulas.case import (
    SIZES,
    Build,
    Case,
    Rng,
    booleans,
    given,
    integers,
    normal,
    spread,
)

NAN = float("nan")
_AXES: dict[str, tuple[tuple[int, ...], Any]] = {
    "all of a matrix": ((5, 7), None),
    "first axis": ((33, 4), 0),
    "last axis": ((4, 33), -1),
    "middle axis": ((2, 31, 3), 1),
    "two axes": ((3, 4, 5), (0, 2)),
    "two axes from the end": ((3, 4, 5), (-1, -2)),
    "a number": ((), None),
    "an axis of one": ((3, 1, 4), 1),
}


def _distinct(*shape: int) -> Build:
    """Return a builder of numbers of which no two are nearer than 0.1."""

    def build(rng: Rng) -> Any:
        size = int(np.prod(shape))
        return np.reshape((rng.permutation(size) - size / 2) * 0.2 + rng.uniform(0, 0.1), shape)

    return build


def _terms(shape: tuple[int, ...], axis: Any) -> int:
    axes = range(len(shape)) if axis is None else (axis,) if isinstance(axis, int) else axis
    return max(1, int(np.prod([shape[one] for one in axes])))


def _sums(mean: bool = False, smallest: int = 0, **options: Any) -> list[Case]:
    def magnitude(terms: int) -> float:
        return 1.0 / terms if mean else 1.0

    made = []
    for n in SIZES:
        if n >= smallest:
            terms = max(n, 1)
            made.append(Case(f"{n} entries", (normal(n),), options, terms, magnitude(terms)))
    for name, (shape, axis) in _AXES.items():
        terms = _terms(shape, axis)
        if terms < smallest:
            continue
        given_axis = {"axis": axis, **options}
        build = (normal(*shape),)
        made.append(Case(name, build, given_axis, terms, magnitude(terms)))
        kept = {**given_axis, "keepdims": True}
        made.append(Case(f"{name}, kept", build, kept, terms, magnitude(terms)))
    made += [
        Case("no rows", (normal(0, 3),), {"axis": 1, **options}),
        Case("up to 1e4", (spread(257),), options, 257, 1e4 * magnitude(257), smooth=False),
        Case("NaN", (given([[NAN, 1.0], [2.0, 3.0]]),), {"axis": 1, **options}, smooth=False),
    ]
    return made


def _sum() -> list[Case]:
    return [
        *_sums(),
        Case("empty axis", (normal(3, 0),), {"axis": 1}),
        Case("integers", (integers(-5, 6, 33),), smooth=False),
        Case("truth values", (booleans(5, 7),), {"axis": 0}, smooth=False),
    ]


def _var() -> list[Case]:
    made = [
        Case(
            c.name,
            c.inputs,
            c.options,
            c.terms,
            max(c.magnitude, 1e8 * ("1e4" in c.name)),
            c.smooth,
        )
        for c in _sums(mean=True, smallest=2)
    ]
    return [
        *made,
        Case("biased", (normal(33),), {"correction": 0}, 33),
        Case("biased rows", (normal(33, 5),), {"axis": 1, "correction": 0}, 5),
        Case("one entry, biased", (normal(1),), {"correction": 0}),
        Case("one entry", (normal(1),), smooth=False),
        Case("correction above the number", (normal(2),), {"correction": 3}, smooth=False),
    ]


def _std() -> list[Case]:
    # The slope of the root is 1 / (2 Y), which has no bound near 0.
    kept = [c for c in _var() if c.name != "no rows" and (c.smooth or c.name == "NaN")]
    return [*kept, Case("all equal", (given([[3.0, 3.0], [1.0, 2.0]]),), {"axis": 1}, smooth=False)]


def _away(*shape: int) -> Build:
    """Return a builder of numbers of both signs, none nearer to 0 than 1, no two of one size."""

    def build(rng: Rng) -> Any:
        size = int(np.prod(shape))
        values = (1.0 + 0.2 * rng.permutation(size)) * rng.choice([-1.0, 1.0], size)
        return np.reshape(values, shape)

    return build


def _norm() -> list[Case]:
    zeros = given([[0.0, 0.0], [3.0, -4.0]])
    made = _sums(smallest=1)
    for p in (0.5, 1.0, 1.5, 3.0, float("inf"), float("-inf")):
        made += [
            Case(f"p = {p}", (_away(33),), {"p": p}, 33, 1e3),
            Case(f"rows, p = {p}", (_away(5, 7),), {"p": p, "axis": 1}, 7, 1e3),
            Case(f"zeros, p = {p}", (zeros,), {"p": p, "axis": 1, "keepdims": True}, smooth=False),
        ]
    return [
        *made,
        Case("zeros", (zeros,), {"axis": 1}, smooth=False),
        Case("ties, p = inf", (given([-2.0, 1.0, 2.0]),), {"p": float("inf")}, smooth=False),
    ]


def _extremes() -> list[Case]:
    made = [Case(f"{n} entries", (_distinct(n),)) for n in SIZES if n]
    for name, (shape, axis) in _AXES.items():
        made.append(Case(name, (_distinct(*shape),), {"axis": axis}))
        made.append(Case(f"{name}, kept", (_distinct(*shape),), {"axis": axis, "keepdims": True}))
    ties = given([[2.0, 1.0, 2.0], [1.0, 1.0, 1.0]])
    nans = given([[NAN, 1.0, NAN], [2.0, 3.0, 3.0]])
    return [
        *made,
        Case("no rows", (normal(0, 3),), {"axis": 1}),
        Case("ties, all", (ties,), smooth=False),
        Case("ties, one axis", (ties,), {"axis": 1}, smooth=False),
        Case("ties, two axes", (ties,), {"axis": (0, 1)}, smooth=False),
        Case("NaN, all", (nans,), smooth=False),
        Case("NaN, one axis", (nans,), {"axis": 1}, smooth=False),
        Case("up to 1e4", (spread(257),), smooth=False),
    ]


def _args() -> list[Case]:
    made = [Case(f"{n} entries", (normal(n),), {"axis": 0}) for n in SIZES if n]
    return [
        *made,
        Case("all", (normal(5, 7),)),
        Case("rows", (normal(31, 33),), {"axis": 1}),
        Case("columns", (normal(31, 33),), {"axis": 0}),
        Case("from the end, kept", (normal(2, 3, 4),), {"axis": -2, "keepdims": True}),
        Case("ties", (given([[2.0, 1.0, 2.0], [1.0, 1.0, 1.0]]),), {"axis": 1}),
        Case("NaN", (given([[1.0, NAN, 2.0], [1.0, 3.0, 2.0]]),), {"axis": 1}),
        Case("no rows", (normal(0, 3),), {"axis": 1}),
        Case("integers", (integers(-5, 6, 33),), {"axis": 0}),
    ]


def _sum_to() -> list[Case]:
    pairs = {
        "a row": ((5, 7), (7,)),
        "a column": ((5, 7), (5, 1)),
        "a number": ((5, 7), ()),
        "one entry": ((5, 7), (1,)),
        "ones kept": ((5, 7), (1, 1)),
        "the same": ((5, 7), (5, 7)),
        "leading and inner": ((2, 3, 4, 5), (3, 1, 5)),
        "nothing": ((0, 3), (3,)),
        "nothing kept": ((0, 3), (1, 3)),
        "many rows": ((1025, 3), (3,)),
    }
    return [
        Case(name, (normal(*big),), {"shape": small}, max(1, int(np.prod(big))))
        for name, (big, small) in pairs.items()
    ]


CASES: dict[str, list[Case]] = {
    "sum": _sum(),
    "mean": [*_sums(mean=True, smallest=1), Case("nothing", (normal(0),), smooth=False)],
    "var": _var(),
    "std": _std(),
    "var_mean": _var(),
    "norm": _norm(),
    "max": _extremes(),
    "min": _extremes(),
    "argmax": _args(),
    "argmin": _args(),
    "sum_to": _sum_to(),
}
