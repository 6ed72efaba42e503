"""Cases of the losses that ask for a margin between classes."""

from __future__ import annotations

from typing import Any

from nnscratch.formulas.case import NONE, Build, Case, Rng, given, integers, normal, spread, uniform

REDUCTIONS = ("mean", "sum", "none")
# Scores that differ by more than the margin or by less, but not by about as much.
_SCORES = given([[0.0, 3.0, 0.4, -2.2], [1.0, 0.2, 0.7, 2.5], [-0.3, 0.3, 5.0, 0.1]])
_LABELS = given([[3, 0, -1, 1], [1, -1, -1, -1], [-1, 2, 0, 1]])


def _scores(*shape: int) -> Build:
    """Return a builder of scores that differ by about 0, 0.7, 1.4, ...: never by a margin."""

    def build(rng: Rng) -> Any:
        return 0.7 * rng.integers(-3, 4, shape) + rng.uniform(-0.1, 0.1, shape)

    return build


def _multi_margin() -> list[Case]:
    made = []
    for reduction in REDUCTIONS:
        for p in (1, 2):
            options = {"p": p, "reduction": reduction}
            weights = uniform(0.2, 2.0, 5)
            made.append(
                Case(f"p {p}, {reduction}", (_scores(7, 5), integers(0, 5, 7), NONE), options, 35)
            )
            build = (_scores(7, 5), integers(0, 5, 7), weights)
            more = {**options, "margin": 0.4}
            made.append(Case(f"p {p}, {reduction}, weights", build, more, 35, 4.0))
    return [
        *made,
        Case("one sample", (normal(5), integers(0, 5), NONE), {"reduction": "none"}, 5),
        Case("one class", (normal(3, 1), integers(0, 1, 3), NONE), smooth=False),
        Case("257 classes", (_scores(3, 257), integers(0, 257, 3), NONE), {}, 771),
        Case("±1e4", (spread(9, 5), integers(0, 5, 9), NONE), {}, 45, 1e4, smooth=False),
        Case("NaN", (given([[float("nan"), 1.0]]), given([1]), NONE), smooth=False),
    ]  # fmt: skip


CASES: dict[str, list[Case]] = {
    "multi_margin": _multi_margin(),
    "multilabel_margin": [
        *(Case(one, (_SCORES, _LABELS), {"reduction": one}, 12, 4.0) for one in REDUCTIONS),
        Case("a label twice", (normal(1, 4), given([[2, 2, 0, -1]])), {}, 8),
        Case("one sample", (normal(4), given([3, 1, -1, 0])), {"reduction": "none"}, 4),
        Case("no labels", (normal(2, 3), given([[-1, 0, 1]] * 2)), smooth=False),
        Case("257 classes", (normal(2, 257), integers(-1, 257, 2, 257)), {}, 2 * 257, 100.0, False),
        Case("±1e4", (spread(3, 4), _LABELS), {}, 12, 1e4, smooth=False),
    ],
}
