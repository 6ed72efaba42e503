"""Gradient clipping, by value and by norm."""

from __future__ import annotations

from typing import Any

from nnscratch.array import array_namespace
from nnscratch.array.maths import maximum, minimum
from nnscratch.formulas.checks import NOTHING, NothingSaved
from nnscratch.formulas.formula import formula


def clip_by_value_update(G: Any, *, limit: float) -> tuple[Any]:
    """Return G held between -limit and limit; NaN stays NaN."""
    return (minimum(maximum(G, -limit), limit),)


CLIP_BY_VALUE = formula(
    clip_by_value_update,
    equation=r"G \leftarrow \min(\max(G, -c), c)",
    shapes="G (any) -> G",
    source="Mikolov 2012",
    updates=("G",),
    elementwise=True,
)


def squared_norm_forward(G: Any) -> tuple[Any, NothingSaved]:
    """Compute the sum of the squares of all entries.

    Raises:
        DTypeError: if G holds integers.
    """
    return array_namespace(G).sum(G * G), NOTHING


SQUARED_NORM = formula(
    squared_norm_forward,
    equation=r"Y = \sum_i G_i^2",
    shapes="G (any) -> Y ()",
    floats=("G",),
    source="Pascanu, Mikolov and Bengio 2013, arXiv:1211.5063",
)


def scale_by_norm_update(G: Any, norm: Any, *, max_norm: float) -> tuple[Any]:
    """Return G times min(1, max_norm / (norm + 1e-6)).

    Args:
        G: the gradient.
        norm: the norm over all gradients that are clipped together, ().
        max_norm: what it may be at most.
    """
    xp = array_namespace(G, norm)
    scale = xp.minimum(max_norm / (norm + 1e-6), 1.0)
    return (G * xp.astype(scale, G.dtype, copy=False),)


SCALE_BY_NORM = formula(
    scale_by_norm_update,
    equation=r"G \leftarrow G \min\left(1, \frac{c}{|G| + 10^{-6}}\right)",
    shapes="G (any), norm () -> G",
    source="Pascanu, Mikolov and Bengio 2013, arXiv:1211.5063",
    updates=("G",),
)
