"""Cases of putting entries into zeros, and of functions that are exact near 0."""

from __future__ import annotations

from nnscratch.formulas.case import SIZES, Case, given, integers, normal, uniform
from nnscratch.formulas.cases.derived import elementwise

_ALL = slice(0, 5, 1)


def _place() -> list[Case]:
    options = {
        "every third": {"shape": (100,), "index": (slice(1, 98, 3),)},
        "backwards": {"shape": (33,), "index": (slice(32, None, -1),)},
    }
    made = [Case(name, (normal(33),), chosen) for name, chosen in options.items()]
    return [
        *made,
        *(Case(f"{n} entries", (normal(n),), {"shape": (n,), "index": (slice(0, n, 1),)})
          for n in SIZES),
        Case("a row", (normal(7),), {"shape": (5, 7), "index": (2, slice(0, 7, 1))}),
        Case("a column", (normal(5, 1),), {"shape": (5, 7), "index": (_ALL, 6)}),
        Case("a block", (normal(2, 3),), {
            "shape": (5, 7), "index": (slice(1, 3, 1), slice(6, 0, -2)),
        }),
        Case("one entry", (normal(),), {"shape": (5, 7), "index": (4, 0)}),
        Case("into no axes", (normal(1),), {"shape": (), "index": ()}),
        Case("nothing", (normal(0, 7),), {"shape": (5, 7), "index": (slice(0, 0, 1), _SEVEN)}),
        Case("NaN", (given([float("nan"), 1.0]),), {"shape": (3,), "index": (slice(0, 2, 1),)},
             smooth=False),
    ]  # fmt: skip


_SEVEN = slice(0, 7, 1)


def _add_rows() -> list[Case]:
    made = [
        Case(f"{n} rows", (normal(n, 3), integers(0, 5, n)), {"count": 5}, terms=max(n, 1))
        for n in SIZES
    ]
    return [
        *made,
        Case("every row once", (normal(3, 4), given([2, 0, 1])), {"count": 3}, terms=3),
        Case("all into one", (normal(33, 4), given([1] * 33)), {"count": 3}, terms=33),
        Case("no columns", (normal(4, 0), given([0, 1, 0, 2])), {"count": 3}),
        Case("many columns", (normal(7, 257), integers(0, 3, 7)), {"count": 3}, terms=7),
        Case("NaN", (given([[float("nan")], [1.0]]), given([0, 1])), {"count": 2}, smooth=False),
    ]


def _log1p() -> list[Case]:
    made = [Case(f"{n} entries", (uniform(-0.9, 3.0, n),)) for n in SIZES]
    return [
        *made,
        Case("a matrix", (uniform(-0.9, 3.0, 7, 5),)),
        Case("near 0", (normal(33, scale=1e-6),)),
        Case("-1 and below", (given([-1.0, -2.0, float("inf"), float("nan")]),), smooth=False),
        Case("up to 1e4", (uniform(0.0, 1e4, 65),), smooth=False),
    ]


CASES: dict[str, list[Case]] = {
    "place": _place(),
    "add_rows": _add_rows(),
    "expm1": [
        *(case for case in elementwise() if "1e4" not in case.name),
        Case("near 0", (normal(33, scale=1e-6),)),
        Case("beyond the dtype", (given([1e4, -1e4, float("inf"), -float("inf")]),), smooth=False),
    ],
    "log1p": _log1p(),
}
