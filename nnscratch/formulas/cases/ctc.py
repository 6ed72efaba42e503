"""Cases of connectionist temporal classification."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnscratch.formulas.case import Build, Case, Rng, given


def _log_probabilities(*shape: int) -> Build:
    def build(rng: Rng) -> Any:
        Z = rng.standard_normal(shape)
        return Z - np.log(np.exp(Z).sum(-1, keepdims=True))

    return build


_LABELS = given([[1, 2, 2], [3, 3, 1], [2, 0, 0]])
_FULL, _THREE = given([6, 6, 6]), given([3, 3, 1])
_SHORT = given([6, 5, 2])

CASES: dict[str, list[Case]] = {
    "ctc": [
        Case("repeated labels", (_log_probabilities(6, 3, 4), _LABELS, _FULL, _THREE), {}, 24, 4.0),
        Case("lengths", (_log_probabilities(6, 3, 4), _LABELS, _SHORT, _THREE), {}, 24, 4.0),
        Case(
            "another blank",
            (_log_probabilities(5, 2, 3), given([[1, 0], [0, 0]]), given([5, 4]), given([2, 2])),
            {"blank": 2}, 15, 4.0,
        ),
        Case(
            "no labels",
            (_log_probabilities(4, 2, 3), given([[1], [1]]), given([4, 3]), given([0, 1])),
            {}, 12, 4.0,
        ),
        Case(
            "too few frames",
            (_log_probabilities(3, 2, 3), given([[1, 1], [1, 2]]), given([2, 3]), given([2, 2])),
            smooth=False,
        ),
        Case(
            "too few frames count as nothing",
            (_log_probabilities(3, 2, 3), given([[1, 1], [1, 2]]), given([2, 3]), given([2, 2])),
            {"zero_infinity": True}, 9, 4.0,
        ),
        Case(
            "no frames",
            (_log_probabilities(3, 2, 3), given([[1], [1]]), given([0, 3]), given([0, 1])),
            {}, 9, 4.0,
        ),
        Case(
            "33 frames, 9 classes",
            (_log_probabilities(33, 2, 9), given([[1, 2, 3, 3, 8]] * 2), given([33, 30]),
             given([5, 4])),
            {}, 300, 30.0,
        ),
    ],
}  # fmt: skip
