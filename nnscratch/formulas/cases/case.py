"""What a case is: inputs and options at which every implementation of a formula must be right."""

from __future__ import annotations

import inspect
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnscratch.formulas.formula import Formula
from nnscratch.formulas.live import LiveFloat

Rng = np.random.Generator
Build = Callable[[Rng], Any]

# Sizes that cross the blocks, vectors and warps of kernels, or leave them nearly empty.
SIZES = (0, 1, 2, 31, 33, 257, 1025)


@dataclass(frozen=True)
class Case:
    """Inputs and options of a formula.

    Attributes:
        name: what is special about it.
        inputs: for each input of the formula a function that makes it from random numbers, as
            NumPy in float64, int64 or bool, as a Python number, or as None.
        options: the formula's options.
        terms: the length of the longest sum, from which the tolerance follows.
        magnitude: the size of one term of it (of intermediate values, for what sums nothing).
        smooth: whether the derivative exists at and near the inputs, so that numeric derivatives
            can be compared with it.
    """

    name: str
    inputs: tuple[Build, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    terms: int = 1
    magnitude: float = 1.0
    smooth: bool = True

    def build(self, seed: int = 0) -> tuple[Any, ...]:
        """Return the inputs, the same for one seed."""
        rng = np.random.default_rng((zlib.crc32(self.name.encode()), seed))
        made = (build(rng) for build in self.inputs)
        # NumPy computes a number where an array without axes is meant.
        return tuple(np.asarray(one) if isinstance(one, np.generic) else one for one in made)


def normal(
    *shape: int, scale: float = 1.0, away: tuple[float, ...] = (), gap: float = 0.1
) -> Build:
    """Return a builder of normal numbers, none nearer than ``gap`` to the values in ``away``."""

    def build(rng: Rng) -> Any:
        X = np.asarray(rng.standard_normal(shape) * scale)
        for kink in away:
            side = np.where(kink <= X, 1.0, -1.0)
            X = np.where(np.abs(X - kink) < gap, kink + gap * side, X)
        return X

    return build


def uniform(low: float, high: float, *shape: int) -> Build:
    """Return a builder of numbers uniform between two bounds."""
    return lambda rng: np.asarray(rng.uniform(low, high, shape))


def integers(low: int, high: int, *shape: int) -> Build:
    """Return a builder of int64 numbers from ``low`` to ``high`` - 1."""
    return lambda rng: np.asarray(rng.integers(low, high, shape), dtype=np.int64)


def booleans(*shape: int) -> Build:
    """Return a builder of truth values."""
    return lambda rng: np.asarray(rng.integers(0, 2, shape)) == 1


def signs(*shape: int) -> Build:
    """Return a builder of numbers that are 1 or -1."""
    return lambda rng: np.asarray(rng.integers(0, 2, shape) * 2.0 - 1.0)


def simplex(*shape: int, axis: int = -1) -> Build:
    """Return a builder of positive numbers that sum to 1 along an axis."""

    def build(rng: Rng) -> Any:
        X = rng.uniform(0.1, 1.0, shape)
        return X / X.sum(axis=axis, keepdims=True)

    return build


def given(value: Any) -> Build:
    """Return a builder of always the same: an array, a number, or None."""
    made = np.asarray(value) if isinstance(value, list) else value
    return lambda rng: made.copy() if isinstance(made, np.ndarray) else made


def spread(*shape: int, scale: float = 1e4) -> Build:
    """Return a builder of numbers spread evenly in order of magnitude up to ±``scale``."""

    def build(rng: Rng) -> Any:
        size = scale * 10.0 ** rng.uniform(-6.0, 0.0, shape)
        return np.asarray(size * (rng.integers(0, 2, shape) * 2.0 - 1.0))

    return build


NONE = given(None)


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


def positive(*shape: int) -> Build:
    """Return a builder of positive numbers, none of them near 1."""
    return lambda rng: np.asarray(rng.uniform(0.5, 0.8, shape) + 1.5 * rng.integers(0, 2, shape))


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
