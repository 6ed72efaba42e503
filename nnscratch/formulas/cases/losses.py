"""Cases of the losses of numbers, of pairs and of yes-or-no targets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nnscratch.formulas.case import (
    NONE,
    SIZES,
    Build,
    Case,
    Rng,
    given,
    normal,
    signs,
    spread,
    uniform,
)

NAN = float("nan")
REDUCTIONS = ("mean", "sum", "none")


def _near(target: Build, gaps: tuple[float, float]) -> tuple[Build, Build]:
    """Return builders of two arrays whose differences have a size between the gaps."""

    def first(rng: Rng) -> Any:
        rng = np.random.default_rng(5)
        T = target(rng)
        return T + rng.uniform(*gaps, T.shape) * (rng.integers(0, 2, T.shape) * 2 - 1)

    return first, lambda rng: target(np.random.default_rng(5))


def _distance(options: Mapping[str, Any] | None = None, squares: bool = False) -> list[Case]:
    options = dict(options or {})
    made = []
    for n in SIZES:
        build = _near(normal(n), (0.1, 0.9)) if n % 2 else _near(normal(n), (1.1, 3.0))
        smooth = n > 0
        made.append(Case(f"{n} entries", build, options, max(n, 1), 3.0 / max(n, 1), smooth))
    for reduction in REDUCTIONS:
        more = {**options, "reduction": reduction}
        size = 1.0 / 35 if reduction == "mean" else 1.0
        made.append(Case(reduction, _near(normal(5, 7), (0.1, 0.9)), more, 35, size))
        made.append(Case(f"{reduction}, far", _near(normal(5, 7), (1.1, 3.0)), more, 35, 9 * size))
    large = 1e8 if squares else 1e4
    none = {**options, "reduction": "none"}
    made += [
        Case("a number", _near(normal(), (0.1, 0.9)), options),
        Case("three axes", _near(normal(2, 3, 5), (0.1, 0.9)), options, 30, 1.0 / 30),
        Case("±1e4", (spread(257), spread(257)), options, 257, large / 257, smooth=False),
        Case("±1e4, each", (spread(257), spread(257)), none, 1, large, smooth=False),
        Case("equal", (given([1.0, -2.0]), given([1.0, -2.0])), none, smooth=False),
        Case("at a distance of 1", (given([1.0, -2.0]), given([0.0, -1.0])), none, smooth=False),
        Case("NaN", (given([NAN, 1.0]), given([1.0, 3.0])), none, smooth=False),
        Case("NaN in the mean", (given([NAN, 1.0]), given([1.0, 3.0])), options, smooth=False),
    ]
    return made


def _probabilities(*shape: int) -> Build:
    return uniform(0.05, 0.95, *shape)


def _kl_div() -> list[Case]:
    made = []
    for n in SIZES:
        build = (normal(n), _probabilities(n))
        made.append(Case(f"{n} entries", build, {}, max(n, 1), 1.0 / max(n, 1), n > 0))
    for reduction in (*REDUCTIONS, "batchmean"):
        options = {"reduction": reduction}
        made.append(Case(reduction, (normal(5, 7), _probabilities(5, 7)), options, 35))
        logs = {**options, "log_target": True}
        made.append(Case(f"{reduction}, log target", (normal(5, 7), normal(5, 7)), logs, 35, 3.0))
    none = {"reduction": "none"}
    return [
        *made,
        Case("a number", (normal(), _probabilities()), {"reduction": "batchmean"}),
        Case("T zero", (normal(3), given([0.0, 0.5, 1.0])), none, smooth=False),
        Case("-1e4", (uniform(-1e4, 0.0, 33), _probabilities(33)), {}, 33, 300.0),
        Case("NaN", (given([NAN, 1.0]), given([0.5, 0.5])), none, smooth=False),
    ]


def _hinge() -> list[Case]:
    made = []
    for n in SIZES:
        build = (normal(n, away=(1.0,)), signs(n))
        made.append(Case(f"{n} entries", build, {}, max(n, 1), 1.0 / max(n, 1), n > 0))
    for reduction in REDUCTIONS:
        options = {"reduction": reduction, "margin": 0.5}
        made.append(Case(reduction, (normal(5, 7, away=(0.5,)), signs(5, 7)), options, 35))
    none = {"reduction": "none"}
    return [
        *made,
        Case("±1e4", (spread(257), signs(257)), {}, 257, 1e4 / 257, smooth=False),
        Case("at the margin", (given([1.0, 1.0]), given([1.0, -1.0])), none, smooth=False),
        Case("other targets", (given([1.5, 0.5]), given([0.0, 2.0])), none, smooth=False),
        Case("integer targets", (normal(2, away=(1.0,)), given([1, -1])), none),
        Case("NaN", (given([NAN, NAN]), given([1.0, -1.0])), none, smooth=False),
    ]


def _cosine() -> list[Case]:
    made = []
    for n in SIZES:
        build = (normal(n, 5), normal(n, 5), given(np.resize([1.0, -1.0, 1.0], n)))
        made.append(Case(f"{n} rows", build, {"margin": -1.0}, max(n, 5), 1.0 / max(n, 1), n > 0))
    for d in SIZES:
        build = (normal(3, d), normal(3, d), given([1.0, 1.0, -1.0]))
        smooth = d > 2  # of two columns the cosine is nearly always ±1 or changes fast
        made.append(Case(f"{d} columns", build, {"margin": -0.99}, max(d, 1), smooth=smooth))
    for reduction in REDUCTIONS:
        options = {"reduction": reduction, "margin": -1.0}
        build = (normal(4, 7), normal(4, 7), given([1.0, -1.0, -1.0, 1.0]))
        made.append(Case(reduction, build, options, 7))
    return [
        *made,
        Case("one pair", (normal(7), normal(7), signs()), {"margin": -1.0}, 7),
        Case(
            "within the margin",
            (normal(3, 7), normal(3, 7), given([-1.0] * 3)),
            {"margin": 0.999},
            7,
        ),
        Case("±1e4", (spread(9, 7), spread(9, 7), signs(9)), {"margin": -1.0}, 9, smooth=False),
        Case("zeros", (given([[0.0, 0.0]]), given([[1.0, 0.0]]), given([1.0])), smooth=False),
        Case("NaN", (given([[NAN, 0.0]]), given([[1.0, 0.0]]), given([1.0])), smooth=False),
    ]


def _binary(first: Any, exact: list[float], pos_weight: bool) -> list[Case]:
    last = (NONE,) if pos_weight else ()
    made = []
    for n in SIZES:
        build = (first(n), _probabilities(n), NONE, *last)
        made.append(Case(f"{n} entries", build, {}, max(n, 1), 1.0 / max(n, 1), n > 0))
    for reduction in REDUCTIONS:
        options = {"reduction": reduction}
        build = (first(5, 7), _probabilities(5, 7), NONE, *last)
        made.append(Case(reduction, build, options, 35))
        build = (first(5, 7), _probabilities(5, 7), uniform(0.1, 2.0, 7), *last)
        made.append(Case(f"{reduction}, weights", build, options, 35))
        if pos_weight:
            build = (first(5, 7), _probabilities(5, 7), NONE, uniform(0.1, 4.0, 7))
            made.append(Case(f"{reduction}, pos_weight", build, options, 35))
            build = (first(5, 7), _probabilities(5, 7), uniform(0.1, 2.0, 5, 1), uniform(1, 4, 7))
            made.append(Case(f"{reduction}, both weights", build, options, 35))
    none = {"reduction": "none"}
    hard = given([0.0, 1.0] * (len(exact) // 2))
    return [
        *made,
        Case("a number", (first(), _probabilities(), NONE, *last)),
        Case("exact", (given(exact), hard, NONE, *last), none, smooth=False),
        Case("NaN", (given([NAN, 0.5]), given([1.0, 1.0]), NONE, *last), none, smooth=False),
    ]


CASES: dict[str, list[Case]] = {
    "mse": _distance(squares=True),
    "l1": _distance(),
    "smooth_l1": [
        *_distance(),
        Case("beta 2.5", (normal(33), normal(33)), {"beta": 2.5}, 33),
        Case("beta 0", _near(normal(33), (0.1, 2.0)), {"beta": 0.0}, 33),
    ],
    "huber": [*_distance(), Case("delta 2.5", (normal(33), normal(33)), {"delta": 2.5}, 33)],
    "kl_div": _kl_div(),
    "hinge_embedding": _hinge(),
    "cosine_embedding": _cosine(),
    "bce": _binary(_probabilities, [0.0, 0.0, 1.0, 1.0, 1e-30, 0.5], pos_weight=False),
    "bce_with_logits": [
        *_binary(normal, [-1e4, -1e4, 1e4, 1e4, 0.0, -0.0], pos_weight=True),
        Case("±1e4", (spread(257), uniform(0.0, 1.0, 257), NONE, NONE), {}, 257, 1e4 / 257),
        Case("±1e4, pos_weight", (spread(33), uniform(0, 1, 33), NONE, given([3.0])), {}, 33, 1e3),
    ],
}
