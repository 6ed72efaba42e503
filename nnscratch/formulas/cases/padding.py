"""Cases of padding."""

from __future__ import annotations

from typing import Any

from nnscratch.formulas.case import Case, booleans, given, integers, normal


def _constant() -> list[Case]:
    pads: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
        "one axis": ((7,), {"pad": (2, 1)}),
        "two axes of four": ((2, 1, 3, 4), {"pad": (1, 0, 2, 3)}),
        "another value": ((2, 3), {"pad": (1, 1), "value": -2.5}),
        "cut off": ((5, 4), {"pad": (-1, -2, 0, -1)}),
        "cut and put": ((5, 4), {"pad": (-1, 2, 3, -2), "value": 1.5}),
        "all of it cut": ((3, 2), {"pad": (-2, 3)}),
        "nothing": ((2, 3), {"pad": (0, 0)}),
        "no axis": ((2, 3), {"pad": ()}),
        "an empty axis": ((0, 3), {"pad": (1, 1, 2, 0), "value": 3.0}),
        "minus infinity": ((2, 3), {"pad": (1, 0), "value": float("-inf")}),
        "large": ((33, 257), {"pad": (3, 5)}),
    }
    return [
        *(Case(name, (normal(*shape),), options) for name, (shape, options) in pads.items()),
        Case("integers", (integers(0, 9, 3),), {"pad": (1, 2), "value": 7}, smooth=False),
        Case("truth values", (booleans(3),), {"pad": (1, 2), "value": True}, smooth=False),
        Case("NaN", (given([float("nan"), 1.0]),), {"pad": (1, 1)}, smooth=False),
    ]


CASES = {"constant_pad_nd": _constant()}
