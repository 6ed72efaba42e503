"""Cases of softmax, its logarithm and the activation that learns; the others' are derived."""

from __future__ import annotations

from nnscratch.formulas.case import SIZES, Case, given, normal, spread

NAN = float("nan")


def _prelu() -> list[Case]:
    made = [
        Case(f"{n} rows", (normal(n, 3, away=(0.0,)), normal(3)), terms=max(n, 1)) for n in SIZES
    ]
    return [
        *made,
        Case("one slope", (normal(5, 7, away=(0.0,)), normal(1)), terms=35),
        Case("one slope, one axis", (normal(9, away=(0.0,)), normal(1)), terms=9),
        Case("one slope, a number", (normal(away=(0.0,)), normal(1))),
        Case("images", (normal(2, 3, 4, 5, away=(0.0,)), normal(3)), terms=40),
        Case("up to 1e4", (spread(33, 5), normal(5)), terms=33, magnitude=1e4, smooth=False),
        Case("on the kink", (given([[0.0, -0.0, 1.0]]), normal(3)), smooth=False),
        Case("NaN", (given([[NAN, 1.0], [-1.0, 2.0]]), normal(2)), terms=2, smooth=False),
    ]


def _along_axis() -> list[Case]:
    rows = [Case(f"{n} rows", (normal(n, 10),), {"axis": -1}, terms=10) for n in SIZES]
    widths = [Case(f"{n} wide", (normal(3, n),), {"axis": -1}, terms=max(n, 1)) for n in SIZES]
    return [
        *rows,
        *widths,
        Case("one axis", (normal(33),), {"axis": 0}, terms=33),
        Case("first axis", (normal(33, 4),), {"axis": 0}, terms=33),
        Case("middle axis", (normal(2, 31, 3),), {"axis": 1}, terms=31),
        Case("axis from the end", (normal(2, 31, 3),), {"axis": -2}, terms=31),
        Case("up to 1e4", (spread(31, 33),), {"axis": 1}, terms=33, magnitude=1e4, smooth=False),
        Case(
            "at ±1e4", (given([[1e4, -1e4, 1e4], [-1e4] * 3]),), {"axis": 1}, 3, 1e4, smooth=False
        ),
        Case("NaN in a row", (given([[NAN, 1.0], [2.0, 3.0]]),), {"axis": 1}, smooth=False),
        Case(
            "-inf, a masked score",
            (given([[-float("inf"), 1.0, 2.0]]),),
            {"axis": 1},
            terms=3,
            smooth=False,
        ),
    ]


def _logsumexp() -> list[Case]:
    kept = Case("axis kept", (normal(5, 7),), {"axis": 0, "keepdims": True}, terms=5)
    finite = [case for case in _along_axis() if case.name not in ("0 wide",)]
    return [*finite, kept]


CASES: dict[str, list[Case]] = {
    "prelu": _prelu(),
    "softmax": _along_axis(),
    "log_softmax": _along_axis(),
    "logsumexp": _logsumexp(),
}
