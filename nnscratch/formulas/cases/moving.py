"""Cases of what runs along an axis, sorts it, or gathers, scatters and strides entries."""

from __future__ import annotations

from nnscratch.formulas.case import Build, Case, given, integers, normal, uniform

NAN, INF = float("nan"), float("inf")


def _along(smooth: bool = True) -> list[Case]:
    return [
        Case("33 entries", (uniform(0.5, 1.5, 33),), {"axis": 0}, terms=33, smooth=smooth),
        Case("the middle axis", (uniform(-1.5, 1.5, 2, 5, 3),), {"axis": 1}, terms=5,
             smooth=smooth),
        Case("the last axis", (normal(4, 7),), {"axis": -1}, terms=7, smooth=smooth),
        Case("nothing", (normal(0, 3),), {"axis": 0}),
        Case("nothing along it", (normal(3, 0),), {"axis": 1}),
        Case("NaN", (given([1.0, NAN, 2.0]),), {"axis": 0}, smooth=False),
    ]  # fmt: skip


def _with_zeros() -> list[Case]:
    return [
        Case("one zero", (given([2.0, 0.0, 3.0, -1.0]),), {"axis": 0}, terms=4),
        Case("two zeros", (given([[2.0, 0.0, 3.0, 0.0, 5.0]]),), {"axis": 1}, terms=5),
    ]


def distinct(*shape: int) -> Build:
    """Return a builder of a random order of numbers, none of which is near another."""

    def build(rng):  # type: ignore[no-untyped-def]
        count = 1
        for size in shape:
            count *= size
        return (rng.permutation(count) * 0.5 - count / 4).reshape(shape)

    return build


def _orders() -> list[Case]:
    return [
        Case("33 entries", (distinct(33),), {"axis": 0}),
        Case("descending", (distinct(5, 7),), {"axis": 1, "descending": True}),
        Case("equals", (given([1.0, 0.0, 1.0, 0.0]),), {"axis": 0, "descending": True}),
        Case("integers", (integers(0, 5, 3, 9),), {"axis": -1}),
        Case("NaN", (given([1.0, NAN, -INF, INF]),), {"axis": 0, "descending": True}),
        Case("the first 3", (distinct(4, 33),), {"axis": 1, "count": 3}),
        Case("the largest 3", (distinct(4, 33),), {"axis": 1, "count": 3, "descending": True}),
        Case("the first 3 of 5", (distinct(5, 4),), {"axis": 0, "count": 3}),
        Case("nothing", (normal(0, 3),), {"axis": 0}),
    ]


def _searched() -> list[Case]:
    row = given([-1.0, 0.0, 0.0, 0.5, 2.0])
    rows = given([[-1.0, 0.0, 1.0], [0.0, 0.5, 0.5]])
    return [
        Case("one row", (row, normal(3, 4))),
        Case("equals", (row, given([0.0, 2.0, -1.0]))),
        Case("equals, right", (row, given([0.0, 2.0, -1.0])), {"right": True}),
        Case("rows", (rows, given([[0.0, 2.0], [0.5, -1.0]])), {"right": True}),
        Case("nothing", (row, normal(0))),
    ]


def _gather() -> list[Case]:
    return [
        Case("a row", (normal(5), integers(0, 5, 9)), {"axis": 0}, terms=9),
        Case("columns", (normal(4, 5), integers(0, 5, 4, 7)), {"axis": 1}, terms=7),
        Case("a smaller index", (normal(4, 5, 3), integers(0, 5, 2, 6, 3)), {"axis": 1}, terms=6),
        Case("nothing", (normal(4, 5), integers(0, 5, 0, 3)), {"axis": 1}),
        Case("NaN", (given([NAN, 1.0]), given([0, 1, 1])), {"axis": 0}, terms=2, smooth=False),
    ]


def _scatter(unique: bool) -> list[Case]:
    index = given([[2, 0, 1], [0, 2, 0 if not unique else 1]])
    return [
        Case("rows", (normal(2, 4), index, normal(2, 3)), {"axis": 1}, terms=3),
        Case("columns", (normal(4, 3), given([[3, 1, 0], [0, 2, 1]]), normal(2, 3)),
             {"axis": 0}, terms=3),
        Case("nothing", (normal(4, 3), integers(0, 4, 0, 3), normal(0, 3)), {"axis": 0}),
        *([] if unique else [
            Case("repeated", (normal(3), given([1, 1, 0, 1]), normal(4)), {"axis": 0}, terms=4),
        ]),
    ]  # fmt: skip


def _scatter_reduced() -> list[Case]:
    return [
        *_scatter(False),
        Case("many", (normal(2, 9), integers(0, 9, 2, 65), normal(2, 65)), {"axis": 1}, terms=65),
        Case("all of one", (normal(2), given([1] * 9), normal(9)), {"axis": 0}, terms=9),
    ]


def _scatter_extreme() -> list[Case]:
    large, tied = given([1.0, INF, 5.0, -INF]), given([1, 1, 0, 1, 0, 2])
    values = given([INF, 3.0, 1.0, INF, 1.0, -INF])
    return [
        *_scatter_reduced(),
        Case("equals and infinities", (large, tied, values), {"axis": 0}, smooth=False),
        Case("NaN", (given([1.0, 2.0]), given([1, 1]), given([NAN, 3.0])), {"axis": 0},
             smooth=False),
        Case("NaN without self", (given([1.0, NAN]), given([1, 1]), given([NAN, 3.0])),
             {"axis": 0, "include_self": False}, smooth=False),
        Case("without self", (normal(2, 4), given([[2, 0, 2], [0, 2, 0]]), normal(2, 3)),
             {"axis": 1, "include_self": False}, terms=3),
        Case("infinities without self", (given([1.5, 2.0, 4.0, 7.0]), given([1, 1, 0, 2, 0]),
             given([INF, INF, -INF, -INF, 1.0])), {"axis": 0, "include_self": False}, smooth=False),
    ]  # fmt: skip


def _scatter_prod() -> list[Case]:
    start, index = given([3.0, 2.0, 0.0]), given([0, 0, 1, 1, 1, 2])
    return [
        *_scatter_reduced(),
        Case("a zero", (start, index, given([0.0, 2.0, -1.0, 0.5, 0.0, 3.0])), {"axis": 0}),
        Case("two zeros", (start, index, given([0.0, 2.0, -1.0, 0.0, 0.0, 3.0])), {"axis": 0}),
    ]


CASES: dict[str, list[Case]] = {
    "cumulative_sum": _along(),
    # With a NaN PyTorch says NaN for all entries, of which one is the product of the others.
    "cumulative_prod": [*_along()[:-1], *_with_zeros()],
    "prod": [*_along()[:-1], _with_zeros()[0],
             Case("kept", (normal(3, 4),), {"axis": 1, "keepdims": True}, terms=4)],
    "cumulative_logsumexp": [
        *_along(),
        Case("far apart", (given([3.0, 4.0, -1000.0, 4.5]),), {"axis": 0}, smooth=False),
    ],
    "cumulative_argmax": [
        *_along(False),
        Case("equals", (given([1.0, 3.0, 3.0, 2.0, 3.0]),), {"axis": 0}),
    ],
    "cumulative_argmin": [
        *_along(False),
        Case("equals", (given([1.0, -3.0, -3.0, 2.0, -3.0]),), {"axis": 0}),
    ],
    "argsort": _orders(),
    "searchsorted": _searched(),
    "gather": _gather(),
    "scatter_add": _scatter(False),
    "scatter": _scatter(True),
    "scatter_max": _scatter_extreme(),
    "scatter_min": _scatter_extreme(),
    "scatter_prod": _scatter_prod(),
    "stride": [
        Case("a diagonal", (normal(4, 5),), {"sizes": (4,), "steps": ((1, 1),), "start": (0, 1)}),
        Case("windows", (normal(9),), {"sizes": (4, 3), "steps": ((2,), (1,)), "start": (0,)},
             terms=3),
        Case("of three axes", (normal(2, 3, 3),), {
            "sizes": (3, 2), "steps": ((0, 1, 1), (1, 0, 0)), "start": (0, 0, 0)}),
        Case("nothing", (normal(0, 3),), {"sizes": (0,), "steps": ((1, 1),), "start": (0, 0)}),
    ],
}  # fmt: skip
