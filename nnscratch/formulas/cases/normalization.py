"""Cases of normalisation: batch, layer, group and instance."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch.formulas.case import NONE, Case, Rng, given, normal, uniform
from nnscratch.formulas.live import LiveFloat

NAN = float("nan")
_COUNT = given(np.asarray(3))
_EPS = {"eps": 1e-5}
_PICTURE: dict[str, Any] = {"axes": (0, 2, 3), **_EPS}
_ROWS: dict[str, Any] = {"axes": (-1,), "first": 1, **_EPS}


def _far(*shape: int) -> Any:
    """Return a builder of numbers of mean 1e4 and standard deviation 1."""

    def build(rng: Rng) -> Any:
        return rng.standard_normal(shape) + 1e4

    return build


def _standardize() -> list[Case]:
    c3 = (normal(3), normal(3))
    return [
        Case("pictures", (normal(5, 3, 4, 7), *c3), _PICTURE, terms=140),
        Case("pictures, no affine", (normal(2, 3, 2, 2), NONE, NONE), _PICTURE, terms=8),
        Case("a batch of rows", (normal(7, 3), *c3), {"axes": (0,), **_EPS}, terms=7),
        Case("sequences", (normal(4, 3, 5), *c3), {"axes": (0, 2), **_EPS}, terms=20),
        Case("many channels", (normal(3, 70, 2, 3), normal(70), normal(70)), _PICTURE, terms=18),
        Case("wide pictures", (normal(2, 3, 33, 17), *c3), _PICTURE, terms=1122),
        Case("rows", (normal(6, 33), normal(33), normal(33)), _ROWS, terms=33),
        Case("long rows", (normal(3, 1025), normal(1025), normal(1025)), _ROWS, terms=1025),
        Case("rows, scale alone", (normal(4, 5), normal(5), NONE), _ROWS, terms=5),
        Case("rows, shift alone", (normal(4, 5), NONE, normal(5)), _ROWS, terms=5),
        Case("rows, no affine", (normal(3, 7), NONE, NONE), _ROWS, terms=7),
        Case("two last axes", (normal(5, 2, 3), normal(2, 3), normal(2, 3)),
             {"axes": (1, 2), "first": 1, **_EPS}, terms=6),
        Case("three axes, one row each", (normal(2, 4, 9), normal(9), normal(9)),
             {"axes": (2,), "first": 2, **_EPS}, terms=9),
        Case("groups", (normal(2, 2, 3, 5), normal(2, 3), normal(2, 3)),
             {"axes": (2, 3), **_EPS}, terms=15),
        Case("instances", (normal(2, 3, 5), *c3), {"axes": (2,), **_EPS}, terms=5),
        Case("instances, no affine", (normal(2, 3, 2, 4), NONE, NONE),
             {"axes": (2, 3), **_EPS}, terms=8),
        Case("one value", (normal(3, 1), normal(1), normal(1)), _ROWS, smooth=False),
        Case("constant", (given([[2.5, 2.5, 2.5], [0.1, 0.1, 0.1]]), NONE, NONE), _ROWS,
             terms=3, magnitude=100.0, smooth=False),
        Case("far from 0", (_far(4, 65), normal(65), normal(65)), _ROWS,
             terms=65, magnitude=1e3, smooth=False),
        Case("large", (normal(4, 9, scale=1e4), normal(9), normal(9)), _ROWS,
             terms=9, magnitude=1e8, smooth=False),
        Case("a live eps", (normal(4, 5), NONE, NONE), {**_ROWS, "eps": LiveFloat(0.1, 0, "eps")},
             terms=5),
        Case("no batch", (normal(0, 3, 2, 2), *c3), {"axes": (2, 3), **_EPS}),
        Case("NaN", (given([[NAN, 1.0], [1.0, 2.0]]), NONE, NONE), _ROWS, smooth=False),
    ]  # fmt: skip


def _inference() -> list[Case]:
    c3 = (normal(3), uniform(0.5, 2.0, 3))
    affine = (normal(3), normal(3))
    return [
        Case("rows", (normal(5, 3), *c3, *affine), _EPS, terms=5),
        Case("pictures", (normal(2, 3, 5, 7), *c3, *affine), _EPS, terms=70),
        Case("one row", (normal(1, 3), *c3, *affine), _EPS),
        Case("no affine", (normal(4, 3, 2), *c3, NONE, NONE), _EPS),
        Case("scale alone", (normal(4, 3), *c3, normal(3), NONE), _EPS, terms=4),
        Case("shift alone", (normal(4, 3), *c3, NONE, normal(3)), _EPS, terms=4),
        Case("many channels", (normal(2, 257, 3), normal(257), uniform(0.5, 2.0, 257),
                               normal(257), normal(257)), _EPS, terms=6),
        Case("no batch", (normal(0, 3), *c3, *affine), _EPS),
        Case("no variance", (normal(2, 1), given([1.0]), given([0.0]), NONE, NONE), _EPS,
             magnitude=1e3, smooth=False),
        Case("NaN", (given([[NAN], [1.0]]), given([0.0]), given([1.0]), NONE, NONE), _EPS,
             smooth=False),
    ]  # fmt: skip


def _running() -> list[Case]:
    state = (normal(5), uniform(0.5, 2.0, 5))
    batch = (normal(5), uniform(0.5, 2.0, 5))
    momentum = {"momentum": 0.1, "correction": 1.25}
    pictures = (normal(4, 5), uniform(0.5, 2.0, 4, 5))
    return [
        Case("uncounted", (*state, NONE, *batch), momentum),
        Case("counted", (*state, _COUNT, *batch), momentum),
        Case("averages", (*state, _COUNT, *batch), {"momentum": None, "correction": 1.25}),
        Case("pictures", (*state, NONE, *pictures), momentum, terms=4),
        Case("live", (*state, NONE, *batch), {"momentum": LiveFloat(0.3, 0, "momentum")}),
    ]


CASES: dict[str, list[Case]] = {
    "standardize": _standardize(),
    "batch_norm_inference": _inference(),
    "running_statistics": _running(),
}

# Options that are larger than usual, so that their term shows.
LESSONS = {
    "standardize": ((normal(4, 3), normal(3), normal(3)), {"axes": (0,), "eps": 0.1}),
    "batch_norm_inference": (
        (normal(4, 3), normal(3), uniform(0.5, 2.0, 3), normal(3), normal(3)), {"eps": 0.1},
    ),
}  # fmt: skip
