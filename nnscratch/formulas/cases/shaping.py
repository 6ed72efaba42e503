"""Cases of what moves entries: shapes, indices, joining; and of the random arrays."""

from __future__ import annotations

import math
from typing import Any

from nnscratch.formulas.case import SIZES, Case, given, integers, normal
from nnscratch.formulas.live import LiveInt

NAN = float("nan")


def _reshape() -> list[Case]:
    pairs: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
        "to one axis": ((5, 7), (35,)),
        "to two": ((6, 4), (3, 8)),
        "what is left": ((6, 4), (-1, 2)),
        "to a number": ((1, 1), ()),
        "from a number": ((), (1, 1)),
        "nothing": ((0, 3), (3, 0)),
        "nothing, what is left": ((0, 3), (-1, 3)),
        "the same": ((2, 3), (2, 3)),
        "large": ((257, 5), (5, 257)),
    }
    return [Case(name, (normal(*a),), {"shape": b}) for name, (a, b) in pairs.items()]


def _transpose() -> list[Case]:
    orders: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
        "a matrix": ((5, 7), (1, 0)),
        "as it is": ((5, 7), (0, 1)),
        "around": ((2, 3, 4), (2, 0, 1)),
        "from the end": ((2, 3, 4), (-1, -3, -2)),
        "four axes": ((2, 3, 4, 5), (0, 2, 1, 3)),
        "nothing": ((0, 3), (1, 0)),
        "a number": ((), ()),
        "large": ((33, 257), (1, 0)),
    }
    return [Case(name, (normal(*a),), {"axes": b}) for name, (a, b) in orders.items()]


def _broadcast_to() -> list[Case]:
    pairs: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
        "a row": ((7,), (5, 7)),
        "a column": ((5, 1), (5, 7)),
        "a number": ((), (5, 7)),
        "to nothing": ((1, 3), (0, 3)),
        "the same": ((5, 7), (5, 7)),
        "leading and inner": ((3, 1, 5), (2, 3, 4, 5)),
    }
    return [
        Case(name, (normal(*a),), {"shape": b}, terms=max(1, math.prod(b)))
        for name, (a, b) in pairs.items()
    ]


def _split() -> list[Case]:
    pieces: dict[str, tuple[tuple[int, ...], tuple[int, ...], int]] = {
        "rows": ((5, 7), (2, 3), 0),
        "columns": ((5, 7), (3, 3, 1), 1),
        "from the end": ((2, 3, 4), (1, 3), -1),
        "in the middle": ((2, 6, 4), (2, 2, 2), 1),
        "one piece": ((5, 7), (5,), 0),
        "an empty piece": ((5,), (0, 5), 0),
        "nothing": ((0, 3), (0, 0), 0),
        "large": ((33, 257), (129, 128), 1),
    }
    return [
        Case(name, (normal(*shape),), {"sizes": sizes, "axis": axis})
        for name, (shape, sizes, axis) in pieces.items()
    ]


def _getitem() -> list[Case]:
    indices = {
        "an integer": 2,
        "a negative integer": -1,
        "two integers": (1, -2),
        "a slice": slice(1, 4),
        "a slice beyond the end": slice(2, 99),
        "an empty slice": slice(3, 1),
        "every second": slice(None, None, 2),
        "backwards": slice(None, None, -1),
        "backwards in twos": (slice(None), slice(-1, 1, -2)),
        "backwards to the start": slice(3, None, -2),
        "backwards, empty": slice(0, 3, -1),
        "a column": (slice(None), 3),
        "a new axis": (None, slice(None), None, 2),
        "dots": (..., 1),
        "dots in the middle": (0, ..., 1),
        "only dots": (...,),
        "all of it": (),
        "everything": (slice(1, None), None, ..., slice(None, -1)),
    }
    made = [Case(name, (normal(5, 7),), {"index": index}) for name, index in indices.items()]
    return [
        *made,
        Case("three axes", (normal(3, 4, 5),), {"index": (1, ..., slice(None, None, -2))}),
        Case("one axis", (normal(33),), {"index": slice(1, 32, 3)}),
        Case("a number of a row", (normal(9),), {"index": 4}),
        Case("no rows", (normal(0, 3),), {"index": slice(0, 2)}),
        Case("no rows, backwards", (normal(0, 3),), {"index": slice(None, None, -1)}),
        Case("NaN", (given([NAN, 1.0, 2.0]),), {"index": slice(0, 2)}, smooth=False),
    ]


def _take() -> list[Case]:
    made = [
        Case(f"{n} of 10 rows", (normal(10, 3), integers(0, 10, n)), {"axis": 0}, terms=max(n, 1))
        for n in SIZES
    ]
    return [
        *made,
        Case("all the same", (normal(4, 3), given([2] * 33)), {"axis": 0}, terms=33),
        Case("in order", (normal(5, 3), given([0, 1, 2, 3, 4])), {"axis": 0}),
        Case("columns", (normal(3, 7), integers(0, 7, 33)), {"axis": 1}, terms=33),
        Case("middle axis", (normal(2, 5, 3), integers(0, 5, 9)), {"axis": 1}, terms=9),
        Case("last axis", (normal(2, 5, 3), integers(0, 3, 9)), {"axis": -1}, terms=9),
        Case("negative indices", (normal(5, 3), given([-1, 4, -5, 0])), {"axis": 0}, terms=2),
        Case("a matrix of indices", (normal(10, 3), integers(0, 10, 4, 5)), {"axis": 0}, terms=20),
        Case("one index", (normal(10, 3), integers(7, 8)), {"axis": 0}),
        Case("one axis", (normal(10), integers(0, 10, 33)), {"axis": 0}, terms=33),
        Case("NaN", (given([NAN, 1.0]), given([0, 1, 1])), {"axis": 0}, terms=2, smooth=False),
    ]


def _joined(stacked: bool) -> list[Case]:
    made = []
    for n in SIZES:
        other = n if stacked else 3
        made.append(Case(f"{n} entries", (normal(n), normal(other)), {"axis": 0}))
    second = (5, 7) if stacked else (5, 2)
    return [
        *made,
        Case("only one", (normal(5, 7),), {"axis": 0}),
        Case("three", (normal(5, 7), normal(5, 7), normal(5, 7)), {"axis": 0}),
        Case("second axis", (normal(5, 7), normal(*second)), {"axis": 1}),
        Case("last axis", (normal(5, 7), normal(*second)), {"axis": -1}),
        Case("NaN", (given([NAN, 1.0]), given([2.0, 3.0])), {"axis": 0}, smooth=False),
    ]


def _dropout() -> list[Case]:
    made = [Case(f"{n} entries", (normal(n),), {"p": 0.3, "seed": 7, "offset": 0}) for n in SIZES]
    return [
        *made,
        Case("a matrix", (normal(33, 7),), {"p": 0.5, "seed": 3, "offset": 40}),
        Case("a number", (normal(),), {"p": 0.5, "seed": 3, "offset": 1}),
        Case("none", (normal(33),), {"p": 0.0, "seed": 3, "offset": 0}),
        Case("all", (normal(33),), {"p": 1.0, "seed": 3, "offset": 0}),
        Case("a large offset", (normal(33),), {"p": 0.5, "seed": 2**63, "offset": 2**33}),
        Case("a live offset", (normal(33),), {"p": 0.5, "seed": 5, "offset": LiveInt(4, 0, "o")}),
        Case("±1e4", (normal(257, scale=1e4),), {"p": 0.1, "seed": 5, "offset": 9}, smooth=False),
    ]


def _random(**more: float) -> list[Case]:
    made = []
    for dtype in ("float32", "float64"):
        for n in SIZES:
            options: dict[str, Any] = {
                "shape": (n,),
                "dtype": dtype,
                "device": "cpu",
                "seed": n,
                "offset": 3,
            }
            made.append(Case(f"{n} entries, {dtype}", (), options))
        options = {"shape": (3, 5), "dtype": dtype, "device": "cpu", "seed": 1, "offset": 0, **more}
        made.append(Case(f"a matrix, {dtype}, of another range", (), options))
    return made


CASES: dict[str, list[Case]] = {
    "reshape": _reshape(),
    "split": _split(),
    "transpose": _transpose(),
    "broadcast_to": _broadcast_to(),
    "getitem": _getitem(),
    "take": _take(),
    "concatenate": _joined(stacked=False),
    "stack": _joined(stacked=True),
    "one_hot": [
        *(Case(f"{n} rows", (integers(0, 5, n),), {"num_classes": 5}) for n in SIZES),
        Case("floats", (integers(0, 3, 2, 3),), {"num_classes": 3, "dtype": "float32"}),
        Case("more classes", (integers(0, 3, 7),), {"num_classes": 33, "dtype": "float64"}),
        Case("a number", (integers(2, 3),), {"num_classes": 3}),
    ],
    "dropout": _dropout(),
    "random_uniform": _random(low=-2.0, high=3.0),
    "random_normal": _random(mean=-2.0, std=0.5),
}
