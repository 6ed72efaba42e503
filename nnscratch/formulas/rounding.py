"""Rounding to whole numbers: steps, whose derivative is 0 wherever there is one."""

from __future__ import annotations

from typing import Any

from nnscratch.array import array_namespace
from nnscratch.formulas.checks import NOTHING, NothingSaved
from nnscratch.formulas.formula import formula


def floor_forward(A: Any) -> tuple[Any, NothingSaved]:
    """Compute the largest whole number that is not above A; integers stay as they are.

    >>> import numpy as np
    >>> floor_forward(np.array([-0.5, 1.5]))[0]
    array([-1.,  1.])
    """
    return array_namespace(A).floor(A), NOTHING


FLOOR = formula(
    floor_forward,
    equation=r"Y = \lfloor A \rfloor",
    shapes="A (any) -> Y (same)",
    source="Iverson 1962",
)
