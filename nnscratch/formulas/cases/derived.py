"""Cases that follow from an activation: from its kinks and variants; a loss's likewise."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from nnscratch.formulas.case import (
    SIZES,
    Build,
    Case,
    given,
    normal,
    positive,
    signs,
    spread,
    uniform,
)
from nnscratch.formulas.formula import Formula
from nnscratch.formulas.live import LiveFloat


def elementwise(
    away: tuple[float, ...] = (), options: Mapping[str, Any] | None = None
) -> list[Case]:
    """Return the cases of a function of each entry on its own.

    Args:
        away: its kinks, which the smooth cases keep away from and one case sits on.
        options: options of all cases.
    """
    options = dict(options or {})
    made = [
        Case(f"{size} entries", (normal(size, scale=2.0, away=away),), options) for size in SIZES
    ]
    made += [
        Case("a number", (normal(scale=2.0, away=away),), options),
        Case("a matrix", (normal(7, 5, scale=2.0, away=away),), options),
        Case("three axes", (normal(2, 3, 33, scale=2.0, away=away),), options),
        Case("up to 1e4", (spread(257),), options, smooth=False),
        Case("at ±1e4", (given([-1e4, 1e4, -1e4, 1e4, 0.0]),), options, smooth=False),
        Case("NaN", (given([float("nan"), 1.5, -1.5, float("nan"), 0.5]),), options, smooth=False),
    ]
    if away:
        on = given([*away, -0.0, 0.25])
        made.append(Case("on the kinks", (on,), options, smooth=False))
    return made


def of_activation(made: Formula) -> list[Case]:
    """Return the cases of an activation: its kinks and variants say what is worth trying."""
    assert made.public is not None
    bends = made.public.bends
    variants = dict(made.public.variants)
    missing = inspect.Parameter.empty in made.pointwise.options.values()
    options = next(iter(variants.values())) if missing else {}
    found = elementwise(made.kinks_at(options) or bends, options)
    for name, value in {**made.pointwise.options, **options}.items():
        if type(value) is float:
            # A number that changes from step to step; not the default, which might be taken for it.
            variants[f"a live {name}"] = {**options, name: LiveFloat(0.75 * value, 0, name)}
    for label, more in variants.items():
        build = normal(65, scale=2.0, away=made.kinks_at(more) or bends)
        found.append(Case(label, (build,), more))
        found.append(Case(f"{label}, up to 1e4", (spread(65),), more, smooth=False))
    return found


DOMAINS: dict[str, Callable[..., Build]] = {
    "": normal,
    "positive": positive,
    "unit": lambda *shape: uniform(0.05, 0.95, *shape),
    "signs": signs,
}


def of_loss(made: Formula) -> list[Case]:
    """Return the cases of a loss: its domains and variants say what is worth trying."""
    assert made.public is not None
    kinds = [DOMAINS[made.public.domains.get(name, "")] for name in made.inputs]
    found = []
    # A kink that no builder keeps away from is sure to be near one of many entries.
    most = 2 if isinstance(made.kinks, str) and made.kinks else max(SIZES)
    for n in SIZES:
        build = tuple(kind(n) for kind in kinds)
        smooth = 0 < n <= most
        found.append(Case(f"{n} entries", build, {}, max(n, 1), 3.0 / max(n, 1), smooth))
    labels = {"as it is": {}, **made.public.variants}
    parameters = inspect.signature(made.forward).parameters
    for name in made.options:
        value = {**made.public.variants.get(name, {})}.get(name, parameters[name].default)
        if type(value) is float and value:
            labels[f"a live {name}"] = {name: LiveFloat(1.5 * value, 0, name)}
    for label, options in labels.items():
        for reduction in ("mean", "sum", "none"):
            more = {**options, "reduction": reduction}
            size = 1.0 / 35 if reduction == "mean" else 1.0
            build = tuple(kind(5, 7) for kind in kinds)
            found.append(Case(f"{label}, {reduction}", build, more, 35, size))
    nan = given([float("nan"), 1.0])
    none = {"reduction": "none"}
    return [
        *found,
        Case("a number", tuple(kind() for kind in kinds)),
        Case("three axes", tuple(kind(2, 3, 5) for kind in kinds), {}, 30, 1.0 / 30),
        Case("NaN", (nan, *(given([1.0, 1.0]) for _ in kinds[1:])), none, smooth=False),
    ]
