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
    derivation=(
        "Of all numbers X from -c to c, this is the one nearest to G. The square of the distance "
        r"has the slope $$\frac{\partial}{\partial X} (X - G)^2 = 2 (X - G)$$",
        "Where G is in between, it is 0 at X = G. Where G is above c, it is negative for all X up "
        "to c, so that the square falls as far as c, and c is nearest; where G is below -c, it is "
        "positive, and -c is nearest.",
        "Each entry is held by itself, so that the direction of the gradient may change: (3, 1) "
        "held between -1 and 1 is (1, 1).",
    ),
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
    derivation=(
        "The length of a vector is the root of the sum of its squares, by Pythagoras, whatever "
        "shape its entries are kept in.",
        "Gradients $G_k$ of several parameters are one long vector, whose squares are added up in "
        r"any order: $$|G|^2 = \sum_k \sum_i (G_k)_i^2 = \sum_k |G_k|^2$$ So the squares are what "
        "the formula returns, and a root is taken once, of their sum.",
    ),
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
    derivation=(
        "Of all X that are c long at most, this is the one nearest to G. Within that length it is "
        "G itself, and the minimum is 1.",
        "If G is longer, no X is nearer than the difference of the lengths, for a way over X is "
        r"no shorter than the straight one: $$|G| \le |X| + |X - G| \\ |X - G| \ge |G| - |X| \ge "
        "|G| - c$$",
        r"G made shorter is as near as that, so nothing is nearer: $$X = \frac{c}{|G|} G \\ |G - "
        r"X| = \left(1 - \frac{c}{|G|}\right) |G| = |G| - c$$",
        "All entries are multiplied by one number, so that the direction stays. The code adds "
        "$10^{-6}$ to the norm, and does not divide by 0.",
    ),
)
