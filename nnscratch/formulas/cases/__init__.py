"""The cases that every implementation of a formula must pass.

They belong to the formula, not to an implementation: the contract test, the gradient checker and
the planted faults all go through these. A formula may have its own beside it; the files here have
those of whole families. An activation's follow from its kinks and variants, a loss's from its
domains and variants, an optimizer's from its options.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache

from nnscratch.formulas.case import Case
from nnscratch.formulas.cases.derived import of_activation, of_loss
from nnscratch.formulas.cases.linear import fused
from nnscratch.formulas.cases.optimizers import of_update
from nnscratch.formulas.formula import FORMULAS, Formula
from nnscratch.formulas.fused import LINEAR_ACTIVATION
from nnscratch.loading import modules_of

__all__ = ["Case", "all_cases", "cases"]


@cache
def written_cases() -> dict[str, tuple[Case, ...]]:
    """Return the cases that are written by hand, by the formula's name.

    Raises:
        ValueError: if a formula has cases in two places, or two of one name.
    """
    found: dict[str, tuple[Case, ...]] = {}
    for family in modules_of(__name__, __path__):
        for name, made in getattr(family, "CASES", {}).items():
            _enter(found, name, made)
    return found


def _enter(found: dict[str, tuple[Case, ...]], name: str, made: Sequence[Case]) -> None:
    names = [case.name for case in made]
    if name in found or len(set(names)) != len(names):
        twice = sorted({one for one in names if names.count(one) > 1})
        raise ValueError(f"the cases of {name} are given twice: {twice or name}")
    found[name] = tuple(made)


def all_cases() -> dict[str, tuple[Case, ...]]:
    """Return the cases of every formula by its name.

    Raises:
        ValueError: as ``written_cases``.
    """
    return _all_cases(tuple(FORMULAS.values()))


@lru_cache(maxsize=1)
def _all_cases(formulas: tuple[Formula, ...]) -> dict[str, tuple[Case, ...]]:
    found = dict(written_cases())
    for made in formulas:
        public = made.public
        if made.cases is not None:
            _enter(found, made.name, made.cases())
        elif made.name not in found and public is not None and public.kind == "activation":
            found[made.name] = tuple(of_activation(made))
        elif made.name not in found and public is not None and public.kind == "loss":
            found[made.name] = tuple(of_loss(made))
        elif made.name not in found and made.update_body is not None:
            found[made.name] = tuple(of_update(made))
    found[LINEAR_ACTIVATION.name] = tuple(fused())
    return found


def cases(name: str) -> list[Case]:
    """Return the cases of the formula of that name, none if it has none.

    >>> cases("relu")[2].name
    '2 entries'
    """
    return list(all_cases().get(name, ()))
