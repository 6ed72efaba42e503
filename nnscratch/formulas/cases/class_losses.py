"""Cases of the losses of class scores."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch.formulas.case import (
    NONE,
    SIZES,
    Build,
    Case,
    Rng,
    given,
    integers,
    normal,
    simplex,
    spread,
    uniform,
)

NAN = float("nan")
REDUCTIONS = ("mean", "sum", "none")
_LOGITS: dict[str, tuple[tuple[int, ...], int]] = {
    **{f"{n} rows": ((n, 10), 1) for n in SIZES if n},
    **{f"{c} classes": ((3, c), 1) for c in SIZES if c},
    "a square": ((33, 33), 1),
    "one sample without its axis": ((7,), 0),
    "sequences": ((3, 5, 7), 1),
    "images": ((2, 3, 4, 5), 1),
}


def _rest(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return (*shape[:axis], *shape[axis + 1 :])


def _some_ignored(classes: int, ignore: int, *shape: int) -> Build:
    def build(rng: Rng) -> Any:
        T = np.asarray(rng.integers(0, classes, shape))
        T.reshape(-1)[::3] = ignore
        return T

    return build


def _indexed(smoothing: bool) -> list[Case]:
    made = []
    for name, (shape, axis) in _LOGITS.items():
        samples = int(np.prod(_rest(shape, axis)))
        build = (normal(*shape), integers(0, shape[axis], *_rest(shape, axis)), NONE)
        terms = max(samples, shape[axis])
        made.append(Case(name, build, {}, terms, 3.0 / max(samples, 1)))
    for reduction in REDUCTIONS:
        for weighted in (False, True):
            w = uniform(0.1, 3.0, 4) if weighted else NONE
            words = f"{reduction}{', weights' if weighted else ''}"
            options: dict[str, Any] = {"reduction": reduction}
            made.append(Case(words, (normal(9, 4), integers(0, 4, 9), w), options, 9))
            build = (normal(9, 4), _some_ignored(4, -100, 9), w)
            made.append(Case(f"{words}, some ignored", build, options, 9))
            build = (normal(2, 4, 3), _some_ignored(4, 1, 2, 3), w)
            more = {**options, "ignore_index": 1}
            made.append(Case(f"{words}, a class ignored, sequences", build, more, 6))
            if smoothing:
                more = {**options, "label_smoothing": 0.2}
                build = (normal(9, 4), _some_ignored(4, -100, 9), w)
                made.append(Case(f"{words}, some ignored, smoothed", build, more, 36))
                build = (normal(2, 4, 3), integers(0, 4, 2, 3), w)
                more = {**options, "label_smoothing": 1.0}
                made.append(Case(f"{words}, all smoothed, sequences", build, more, 24))
    none = {"reduction": "none"}
    scores = given([[1e4, -1e4, 0.0], [-1e4, -1e4, 1e4]])
    made += [
        Case("no samples", (normal(0, 3), integers(0, 3, 0), NONE), {}, smooth=False),
        Case("no samples, each", (normal(0, 3), integers(0, 3, 0), NONE), none),
        Case("all ignored", (normal(2, 3), given([-100, -100]), NONE), {}, smooth=False),
        Case("all ignored, sum", (normal(2, 3), given([-100, -100]), NONE), {"reduction": "sum"}),
        Case("±1e4", (spread(33, 7), integers(0, 7, 33), NONE), {}, 33, 1e4, smooth=False),
        Case("at ±1e4", (scores, given([1, 2]), NONE), none, 3, smooth=False),
        Case("NaN", (given([[NAN, 1.0], [2.0, 3.0]]), given([0, 1]), NONE), none, smooth=False),
        Case("one number, ignored", (normal(4), given(np.asarray(-100)), NONE), none),
    ]
    return made


def _probabilities() -> list[Case]:
    made = []
    for name, (shape, axis) in _LOGITS.items():
        samples = int(np.prod(_rest(shape, axis)))
        build = (normal(*shape), simplex(*shape, axis=axis), NONE)
        made.append(Case(name, build, {}, max(samples, shape[axis]), 3.0 / samples))
    for reduction in REDUCTIONS:
        for weighted in (False, True):
            w = uniform(0.1, 3.0, 4) if weighted else NONE
            words = f"{reduction}{', weights' if weighted else ''}"
            options: dict[str, Any] = {"reduction": reduction}
            made.append(Case(words, (normal(9, 4), simplex(9, 4), w), options, 36))
            more = {**options, "label_smoothing": 0.2}
            build = (normal(2, 4, 3), simplex(2, 4, 3, axis=1), w)
            made.append(Case(f"{words}, smoothed, sequences", build, more, 24))
            made.append(
                Case(f"{words}, no distribution", (normal(9, 4), normal(9, 4), w), more, 36)
            )
    none = {"reduction": "none"}
    half = given([[0.5, 0.5], [0.5, 0.5]])
    return [
        *made,
        Case("no samples", (normal(0, 3), simplex(0, 3), NONE), {}, smooth=False),
        Case("±1e4", (spread(33, 7), simplex(33, 7), NONE), {}, 33, 1e4, smooth=False),
        Case("NaN", (given([[NAN, 1.0], [2.0, 3.0]]), half, NONE), none, smooth=False),
    ]


CASES: dict[str, list[Case]] = {
    "nll": _indexed(smoothing=False),
    "cross_entropy": _indexed(smoothing=True),
    "cross_entropy_probabilities": _probabilities(),
}
