"""What a case is: inputs and options at which every implementation of a formula must be right."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

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


def positive(*shape: int) -> Build:
    """Return a builder of positive numbers, none of them near 1."""
    return lambda rng: np.asarray(rng.uniform(0.5, 0.8, shape) + 1.5 * rng.integers(0, 2, shape))


NONE = given(None)
