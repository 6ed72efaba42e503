"""Cases of the recurrent layers."""

from __future__ import annotations

from typing import Any

from nnscratch.formulas.case import NONE, Case, given, normal


def _case(
    name: str, gates: int, t: int, n: int, i: int, h: int, *, cells: bool = False,
    biases: bool = True, proj: int = 0, lengths: Any = NONE, smooth: bool = True, **more: Any,
) -> Case:  # fmt: skip
    p = proj or h
    bias = normal(gates * h) if biases else NONE
    inputs = [normal(t, n, i), normal(n, p, scale=0.5)]
    inputs += [normal(n, h, scale=0.5)] if cells else []
    inputs += [normal(gates * h, i, scale=0.5), normal(gates * h, p, scale=0.5), bias, bias]
    if cells:
        inputs.append(normal(p, h) if proj else NONE)
    # Each step adds to the sums, and is what the next one is computed of.
    terms = 4 * t * max(n, i, h)
    return Case(name, (*inputs, lengths), more, terms=terms, magnitude=1.0, smooth=smooth)


def _cases(gates: int, cells: bool = False) -> list[Case]:
    one: dict[str, Any] = {"cells": cells}
    both: dict[str, Any] = {"lengths": given([1, 2]), "reverse": True}
    return [
        _case("one step", gates, 1, 1, 1, 1, **one),
        _case("two steps and lengths in reverse", gates, 2, 2, 1, 1, biases=False, **both, **one),
        _case("many", gates, 5, 4, 3, 7, **one),
        _case("in reverse", gates, 4, 3, 2, 2, reverse=True, biases=False, **one),
        _case("lengths", gates, 4, 3, 3, 2, lengths=given([3, 4, 1]), **one),
        _case("no sequences", gates, 2, 0, 3, 2, smooth=False, **one),
        _case("wide", gates, 2, 33, 17, 31, smooth=False, **one),
    ]


_ONES = (given([[1.0]]), given([[1.5]]), given([[0.5]]), given([0.25]), NONE, NONE)
_RELU = {"nonlinearity": "relu"}

CASES: dict[str, list[Case]] = {
    "rnn": [
        *_cases(1),
        Case("relu", (given([[[2.0]], [[-9.0]], [[1.0]]]), *_ONES), _RELU, 16, 4.0),
    ],
    "gru": _cases(3),
    "lstm": [
        *_cases(4, cells=True),
        _case("a projection and lengths", 4, 2, 2, 1, 2, cells=True, proj=1,
              lengths=given([1, 2]), smooth=True),
    ],
}  # fmt: skip
