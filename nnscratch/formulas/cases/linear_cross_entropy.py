"""Cases of the cross-entropy of a linear layer."""

from __future__ import annotations

from typing import Any

from nnscratch.formulas.case import NONE, Case, given, integers, normal, uniform
from nnscratch.formulas.cases.class_losses import REDUCTIONS, _some_ignored


def _cases() -> list[Case]:
    made = []
    for n, i, c, rows in ((1, 1, 2, 1), (5, 3, 7, 2), (33, 17, 31, 8), (6, 4, 3, 100)):
        build = (normal(n, i), normal(c, i), integers(0, c, n), normal(c), NONE)
        made.append(Case(f"{n} x {i} x {c}, blocks of {rows}", build, {"rows": rows}, 8 * n))
    for reduction in REDUCTIONS:
        options: dict[str, Any] = {"rows": 3, "reduction": reduction}
        ignored = _some_ignored(4, -100, 8)
        build = (normal(8, 5), normal(4, 5), ignored, NONE, NONE)
        made.append(Case(f"{reduction}, some ignored", build, options, 40))
        build = (normal(8, 5), normal(4, 5), ignored, normal(4), uniform(0.1, 3.0, 4))
        more = {**options, "label_smoothing": 0.2}
        made.append(Case(f"{reduction}, weights, smoothed", build, more, 80))
    empty = (normal(0, 3), normal(4, 3), integers(0, 4, 0), NONE, NONE)
    made.append(Case("no samples", empty, {"rows": 2, "reduction": "sum"}))
    all_ignored = (normal(2, 3), normal(4, 3), given([-100, -100]), NONE, NONE)
    made.append(Case("all ignored", all_ignored, {"rows": 1}, smooth=False))
    return made


CASES: dict[str, list[Case]] = {"linear_cross_entropy": _cases()}
