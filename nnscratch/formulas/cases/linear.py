"""Cases of the linear layer, with and without an activation, and of the matrix product."""

from __future__ import annotations

from itertools import cycle, islice, pairwise
from typing import Any

from nnscratch.formulas.case import NONE, SIZES, Build, Case, given, normal, spread
from nnscratch.formulas.fused import FUSABLE

NAN = float("nan")
_SIZES = (
    *((n, 3, 2) for n in SIZES),
    *((3, n, 2) for n in SIZES if n),
    *((3, 2, n) for n in SIZES if n),
    (31, 33, 33),
    (33, 65, 31),
    (0, 33, 31),
)


def _linear() -> list[Case]:
    made = [
        Case(f"N {n}, I {i}, O {o}", (normal(n, i), normal(o, i), normal(o)), terms=max(n, i, o))
        for n, i, o in dict.fromkeys(_SIZES)
    ]
    return [
        *made,
        Case("without a bias", (normal(5, 7), normal(3, 7), NONE), terms=7),
        Case("one row without its axis", (normal(7), normal(3, 7), normal(3)), terms=7),
        Case("three axes", (normal(2, 5, 7), normal(3, 7), normal(3)), terms=10),
        Case("four axes, no bias", (normal(2, 3, 5, 7), normal(3, 7), NONE), terms=30),
        Case("no inputs", (normal(3, 0), normal(2, 0), normal(2)), terms=3),
        Case("up to 1e4", (spread(33, 31), normal(5, 31), normal(5)), terms=33, magnitude=1e4),
        Case("weights up to 1e4", (normal(9, 7), spread(5, 7), normal(5)), terms=9, magnitude=1e4),
        Case(
            "NaN", (given([[NAN, 1.0], [2.0, 3.0]]), normal(3, 2), normal(3)), terms=2, smooth=False
        ),
    ]


def _around(kinks: tuple[float, ...], far: float) -> list[float]:
    """Return values between the kinks, where there is room, and far beyond them on both sides."""
    if not kinks:
        return [0.0]
    inner = [(a + b) / 2 for a, b in pairwise(sorted(kinks)) if b - a >= 2.0]
    return [max(kinks) + far, min(kinks) - far, *inner]


def _small(kinks: tuple[float, ...], far: float = 5.0) -> tuple[Build, Build, Build]:
    """Return the inputs of a small layer whose Z is kept away from the kinks by its biases."""
    biases = list(islice(cycle(_around(kinks, far)), 3))
    return normal(4, 3, scale=0.3), normal(3, 3, scale=0.3), given(biases)


def fused() -> list[Case]:
    """Return the cases of a linear layer with each activation that can be one with it."""
    made = []
    for name, (activation, parameters) in FUSABLE.items():
        options = {"activation": name}
        assert activation.public is not None
        bends = activation.public.bends
        small = _small(activation.kinks_at() or bends)
        made.append(Case(f"{name}, small", small, options, terms=4))
        for n, i, o in ((0, 3, 2), (1, 1, 1), (2, 33, 31), (31, 2, 33), (33, 31, 257), (257, 3, 1)):
            build = (normal(n, i), normal(o, i), normal(o))
            label = f"{name}, N {n}, I {i}, O {o}"
            made.append(Case(label, build, options, max(n, i, o), smooth=False))
        build = (normal(7, 5), normal(33, 5), NONE)
        made.append(Case(f"{name}, no bias", build, options, terms=33, smooth=False))
        three = (normal(2, 3, 5), normal(33, 5), normal(33))
        made.append(Case(f"{name}, three axes", three, options, terms=33, smooth=False))
        large = (spread(9, 5), normal(33, 5), normal(33))
        made.append(Case(f"{name}, up to 1e4", large, options, 33, 1e4, smooth=False))
        nan = (given([[NAN, 1.0], [2.0, 3.0]]), normal(3, 2), normal(3))
        made.append(Case(f"{name}, NaN", nan, options, terms=3, smooth=False))
        for label, more in activation.public.variants.items():
            named: dict[str, Any] = {"activation": name}
            for place, parameter in zip(("alpha", "beta"), parameters, strict=False):
                if parameter in more:
                    named[place] = more[parameter]
            # Further out, where a threshold bends that is no kink by its name.
            small = _small(activation.kinks_at(more) or bends or (0.0,), 9.0)
            made.append(Case(f"{name}, {label}", small, named, terms=4))
    return made


def _matmul() -> list[Case]:
    shapes: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
        "vectors": ((7,), (7,)),
        "vector, matrix": ((7,), (7, 3)),
        "matrix, vector": ((5, 7), (7,)),
        "matrices": ((5, 7), (7, 3)),
        "square": ((7, 7), (7, 7)),
        "a row": ((1, 33), (33, 31)),
        "one term": ((31, 1), (1, 33)),
        "many terms": ((3, 1025), (1025, 2)),
        "batches": ((4, 5, 7), (4, 7, 3)),
        "a batch, a matrix": ((4, 5, 7), (7, 3)),
        "two batch axes, a matrix": ((2, 4, 5, 7), (7, 3)),
        "a matrix, a batch": ((5, 7), (4, 7, 3)),
        "a batch, a vector": ((4, 5, 7), (7,)),
        "two batch axes, a vector": ((2, 4, 5, 7), (7,)),
        "a vector, a batch": ((7,), (4, 7, 3)),
        "broadcast batches": ((4, 1, 5, 7), (3, 7, 2)),
        "batches of one": ((1, 5, 7), (4, 7, 3)),
        "no rows": ((0, 7), (7, 3)),
        "no terms": ((5, 0), (0, 3)),
        "no batches": ((0, 5, 7), (7, 3)),
    }
    made = [
        Case(name, (normal(*a), normal(*b)), terms=max(*a, *b, 160))
        for name, (a, b) in shapes.items()
    ]
    return [
        *made,
        Case("up to 1e4", (spread(31, 33), normal(33, 5)), terms=33, magnitude=1e4),
        Case("NaN", (given([[NAN, 1.0], [2.0, 3.0]]), normal(2, 2)), terms=2, smooth=False),
    ]


CASES: dict[str, list[Case]] = {
    "linear": _linear(),
    "matmul": _matmul(),
}
