"""How much computed values are rounded, from their differences along a line.

Differences of order $k$ of a smooth function vanish with its spacing; what is left is noise, with
variance $(2k)!/(k!)^2$ times that of one value (Moré and Wild 2011, "Estimating computational
noise"). A table has one row for each point of the line and one column for each value.

A kink or a jump between two points looks like noise as well. The noise of a kink shrinks with the
spacing; values far noisier than others are kept apart, or they would hide what the others show.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from nnscratch.verify.gradients.problem import Array

EPS = float(np.finfo(np.float64).eps)
FINER = (2.0**-25, 2.0**-29)
FINEST = (2.0**-33, 2.0**-37)
"""So near the rounding of the inputs, noise is believed to be less only if it shrinks with them."""
APART = 1e3
"""How many times as noisy as the quiet quarter of the values one is that is kept apart."""


def noise_of(
    tables: Sequence[Array], along: Callable[[float], Array]
) -> tuple[float, Array, Array]:
    """Return the noise of one value, which values are kept apart, and the noise of each of these.

    Args:
        tables: of steps of 2^-18, of 2^-21, and if some values do not change then, of 2^-11.
        along: makes the table of another step.
    """
    own = np.minimum(_each(tables[0]), _each(tables[1]))
    rounded = np.maximum(own, EPS * np.max(np.abs(tables[0]), axis=0))[_changes(tables[0])]
    quiet = float(np.quantile(rounded, 0.25, method="lower")) if rounded.size else np.inf
    apart = own > APART * quiet
    kept = [table[:, ~apart] for table in tables]
    moving = np.ptp(kept[0], axis=0) > 0
    noise = min(together(kept[0]), together(kept[1]))
    before = 0.0
    for spacing in (*FINER, *FINEST):
        if spacing in FINEST and not (before or apart.any()):
            break
        table = along(spacing)
        own = np.where(_changes(table), np.minimum(own, _each(table)), own)
        rest = table[:, ~apart]
        if not (moving.any() and (_changes(rest) | ~moving).all()):
            before = 0.0
            continue
        found = together(rest)
        if spacing in FINEST and not before / 24 < found < before / 10:
            before = 0.0
            continue
        noise, before = min(noise, found), found
    if len(kept) == 3:
        # Outputs that small steps do not change may be rounded more coarsely than these.
        coarse = _each(kept[2][:, ~moving][:, :200])
        noise = max(noise, float(np.quantile(coarse, 0.75)) if coarse.size else 0.0)
    return noise, apart, own


def _changes(table: Array) -> Array:
    """Return which values are finite and not the same along the line."""
    with np.errstate(all="ignore"):
        found: Array = np.isfinite(table).all(axis=0) & (np.ptp(table, axis=0) > 0)
    return found


def _variances(table: Array) -> list[Array]:
    """Return the variance of the noise of each value, from differences of two orders."""
    found = []
    differences = table
    for order in range(1, 6):
        differences = np.diff(differences, axis=0)
        if order >= 4:
            gamma = {4: 1 / 70, 5: 1 / 252}[order]
            found.append(gamma * np.mean(differences**2, axis=0))
    return found


def together(table: Array) -> float:
    """Return the noise of one value, from all of them; 0 if one is not finite."""
    if not table.size or not np.isfinite(table).all():
        return 0.0
    return min(float(np.sqrt(np.mean(one))) for one in _variances(table))


def _each(table: Array) -> Array:
    """Return the noise of each value by itself; 0 if it is not finite."""
    with np.errstate(all="ignore"):
        own = np.sqrt(np.min(_variances(table), axis=0))
    return np.where(np.isfinite(own), own, 0.0)
