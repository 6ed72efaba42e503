"""The cases that every implementation of a formula must pass.

They belong to the formula, not to an implementation: the contract test, the gradient checker and
the planted faults all go through these.
"""

from __future__ import annotations

from functools import cache

from nnscratch.formulas.cases import (
    activations,
    arithmetic,
    class_losses,
    linear,
    losses,
    optimizers,
    placing,
    reductions,
    shaping,
)
from nnscratch.formulas.cases.case import Case

__all__ = ["Case", "all_cases", "cases"]


@cache
def all_cases() -> dict[str, tuple[Case, ...]]:
    """Return the cases of every formula by its name.

    Raises:
        ValueError: if a formula has cases in two places, or two of one name.
    """
    found: dict[str, tuple[Case, ...]] = {}
    families = (
        activations,
        arithmetic,
        class_losses,
        linear,
        losses,
        optimizers,
        placing,
        reductions,
        shaping,
    )
    for family in families:
        for name, made in family.CASES.items():
            names = [case.name for case in made]
            if name in found or len(set(names)) != len(names):
                twice = sorted({one for one in names if names.count(one) > 1})
                raise ValueError(f"the cases of {name} are given twice: {twice or name}")
            found[name] = tuple(made)
    return found


def cases(name: str) -> list[Case]:
    """Return the cases of the formula of that name, none if it has none.

    >>> cases("relu")[2].name
    '2 entries'
    """
    return list(all_cases().get(name, ()))
