"""Combining values into the entries of an array that their indices stand for: extremes, products.

Indices are those of ``scatter_add``: as many axes as the array, as large as the values.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from nnscratch.array import array_namespace, is_recorded
from nnscratch.array.maths import where
from nnscratch.formulas.formula import Formula, Forward, formula
from nnscratch.formulas.saved import Saved
from nnscratch.formulas.scattering import (
    checked_index,
    flat_places,
    gathered,
    need_shape_of_index,
    replaced,
    summed_at,
)

_SHAPES = "A (any), I (as many axes), U (as I) -> Y (as A)"


class ScatterReducedSaved(Saved):
    """The array, the indices counted from the front, the values, the result and the options."""

    A: Any
    places: Any
    U: Any
    Y: Any
    axis: int
    include_self: bool = True


def _combined(A: Any, places: Any, U: Any, axis: int, word: str) -> Any:
    """Return A with each entry of U combined into the one that its index stands for."""
    xp = array_namespace(A)
    flat = xp.reshape(flat_places(tuple(A.shape), places, axis), (-1,))
    if isinstance(A, np.ndarray):
        Y = np.array(A, np.result_type(A, U), order="C")
        getattr(np, word).at(Y.reshape(-1), flat, U.reshape(-1))
        return Y
    if not math.prod(places.shape):
        return xp.asarray(A, copy=True)
    combine = getattr(xp, word)
    # Equal indices next to one another, of which each then meets 1, 2, 4, ... of those before it.
    order = xp.argsort(flat, stable=True)
    there, values = xp.take(flat, order), xp.take(xp.reshape(U, (-1,)), order)
    step = 1
    while step < there.shape[0]:
        late, early = values[step:], values[:-step]
        joined = xp.where(there[step:] == there[:-step], combine(late, early), late)
        values = xp.concat([values[:step], joined])
        step *= 2
    count = xp.arange(math.prod(A.shape), dtype=xp.int64, device=places.device)
    last = xp.maximum(xp.searchsorted(there, count, side="right") - 1, xp.zeros_like(count))
    own = xp.reshape(A, (-1,))
    hit = xp.take(there, last) == count
    return xp.reshape(xp.where(hit, combine(own, xp.take(values, last)), own), A.shape)


def _extreme(
    name: str, A: Any, I: Any, U: Any, axis: int, include_self: bool, word: str
) -> tuple[Any, Any]:
    places, axis = checked_index(name, A, I, axis)
    need_shape_of_index(name, places, U)
    # One of the values in the place of A is no other extreme of them.
    start = A if include_self else replaced(A, places, U, axis)
    Y = _combined(start, places, U, axis, word)
    return Y, ScatterReducedSaved(A, places, U, Y, axis, include_self)


def scatter_max_forward(
    A: Any, I: Any, U: Any, *, axis: int, include_self: bool = True
) -> tuple[Any, ScatterReducedSaved]:
    """Compute the larger of each entry of A and all entries of U whose index stands for it.

    NaN is the largest. Without ``include_self`` an entry of A that an index stands for is not
    compared. Other arguments and errors as in ``scatter_add``.

    >>> import numpy as np
    >>> scatter_max_forward(np.zeros(3), np.array([0, 2, 0]), np.array([2.0, -1.0, 5.0]), axis=0)[0]
    array([5., 0., 0.])
    """
    return _extreme("scatter_max", A, I, U, axis, include_self, "maximum")


def scatter_min_forward(
    A: Any, I: Any, U: Any, *, axis: int, include_self: bool = True
) -> tuple[Any, ScatterReducedSaved]:
    """Compute the smaller of each entry of A and all entries of U whose index stands for it.

    NaN is the smallest. Arguments and errors as in ``scatter_max``.
    """
    return _extreme("scatter_min", A, I, U, axis, include_self, "minimum")


def scatter_extreme_backward(
    dY: Any, saved: ScatterReducedSaved, needs: tuple[bool, ...]
) -> tuple[Any, ...]:
    """Return dA and dU: each dY in equal parts for all entries that are the extreme."""
    A, places, U, Y, axis, include_self = saved
    xp = array_namespace(dY)
    mine = xp.astype(A == Y, dY.dtype)
    if not include_self:
        mine = replaced(mine, places, xp.zeros_like(U), axis)
    hits = xp.astype(gathered(Y, places, axis) == U, dY.dtype)
    # Where the result is NaN there is no such entry, and no derivative: NaN, as in PyTorch.
    share = dY / (mine + summed_at(hits, places, axis, tuple(A.shape)))
    dU = hits * gathered(share, places, axis) if needs[2] else None
    dA = mine * share if needs[0] else None
    if needs[0] and not include_self:
        dA = replaced(dA, places, xp.zeros_like(U), axis)  # not the NaN of the entries of U
    return dA, None, dU


def scatter_prod_forward(A: Any, I: Any, U: Any, *, axis: int) -> tuple[Any, ScatterReducedSaved]:
    """Compute the product of each entry of A and all entries of U whose index stands for it.

    Arguments and errors as in ``scatter_add``.

    >>> import numpy as np
    >>> scatter_prod_forward(np.ones(3), np.array([0, 2, 0]), np.array([2.0, 3.0, 5.0]), axis=0)[0]
    array([10.,  1.,  3.])
    """
    places, axis = checked_index("scatter_prod", A, I, axis)
    need_shape_of_index("scatter_prod", places, U)
    Y = _multiplied(A, places, U, axis)
    return Y, ScatterReducedSaved(A, places, U, Y, axis)


def _multiplied(A: Any, places: Any, U: Any, axis: int) -> Any:
    if is_recorded(A) or is_recorded(U):
        return array_namespace(A, U).scatter_prod(A, places, U, axis)
    return _combined(A, places, U, axis, "multiply")


def scatter_prod_backward(
    dY: Any, saved: ScatterReducedSaved, needs: tuple[bool, ...]
) -> tuple[Any, ...]:
    """Return dA and dU: dY times the product of all others that came together.

    For an entry of U that is Y / U; where it is the only 0, the product without it.
    """
    A, places, U, Y, axis, _ = saved
    xp = array_namespace(dY)
    dA = dY * _multiplied(xp.ones_like(A), places, U, axis) if needs[0] else None
    if not needs[2]:
        return dA, None, None
    if is_recorded(dY):
        return dA, None, gathered(dY, places, axis) * _others(xp, A, places, U, axis)
    zero = U == 0
    zeros = summed_at(xp.astype(zero, dY.dtype), places, axis, tuple(A.shape))
    alone = zero & (gathered(zeros, places, axis) == 1)
    others = gathered(Y, places, axis) / where(zero, 1.0, U)
    without = gathered(_multiplied(A, places, where(alone, 1.0, U), axis), places, axis)
    return dA, None, gathered(dY, places, axis) * where(alone, without, others)


def _others(xp: Any, A: Any, places: Any, U: Any, axis: int) -> Any:
    """Return for each entry of U the product of those that it came together with, and of A.

    It is made of those before and those after it, one slice at a time: where several are 0, the
    quotient Y / U has not the derivatives of this product.
    """

    def running(start: Any, numbers: Any) -> list[Any]:
        met = []
        for number in numbers:
            at = (*(slice(None),) * axis, slice(number, number + 1))
            met.append(gathered(start, places[at], axis))
            start = replaced(start, places[at], met[-1] * U[at], axis)
        return met

    numbers = range(places.shape[axis])
    if not numbers:
        return U * U
    before, after = running(A, numbers), running(xp.ones_like(A), numbers[::-1])[::-1]
    return xp.concat([a * b for a, b in zip(before, after, strict=True)], axis=axis)


def _extreme_formula(forward: Forward, name: str, kind: str) -> Formula:
    backward: Callable[..., Any] = scatter_extreme_backward
    return formula(
        forward,
        backward,
        equation=rf"Y_{{ik}} = \{name}\left(A_{{ik}}, \{name}_{{j: I_{{ij}} = k}} U_{{ij}}\right)",
        gradients={
            "A": r"\frac{[A = Y]}{n} \frac{\partial L}{\partial Y}"
            r", \quad n \text{ entries being the extreme}",
            "U": r"\left(\frac{1}{n} \frac{\partial L}{\partial Y}\right)_{i I_{ij}}"
            r" [U_{ij} = Y_{i I_{ij}}]",
        },
        entries={"U": "ij"},
        shapes=_SHAPES,
        source="document, section 4.2; a subgradient",
        kinks=f"where several entries are the {kind}",
        derivation=(
            "Take two axes, with the index along the second. In each place an entry of A meets all "
            f"U whose index stands for it. If one of them alone is the {kind}, Y is that one as it "
            r"stands: by it the slope is 1, by all others 0. $$\frac{\partial Y_{ik}}{\partial "
            r"A_{ik}} = [A_{ik} = Y_{ik}] \\ \frac{\partial Y_{ik}}{\partial U_{ij}} = [I_{ij} = "
            "k] [U_{ij} = Y_{ik}]$$",
            f"If n of them are equal and the {kind}, there is a kink and no slope. Each of the n "
            "alone would have 1 and the others 0; the code takes the mean of these n answers, "
            r"which is $\frac{1}{n}$ for each.",
            "A acts on Y in its own place alone. For U the chain rule adds up over k, and the "
            "bracket leaves $k = I_{ij}$.",
            "Without `include_self`, an entry of A that an index stands for is not compared: it "
            "does not count in n, and its slope is 0.",
        ),
    )


SCATTER_MAX = _extreme_formula(scatter_max_forward, "max", "largest")
SCATTER_MIN = _extreme_formula(scatter_min_forward, "min", "smallest")
SCATTER_PROD = formula(
    scatter_prod_forward,
    scatter_prod_backward,
    equation=r"Y_{ik} = A_{ik} \prod_{j: I_{ij} = k} U_{ij}",
    gradients={
        "A": r"\frac{\partial L}{\partial Y_{ik}} \prod_{j: I_{ij} = k} U_{ij}",
        "U": r"\left(\frac{\partial L}{\partial Y} A\right)_{i I_{ij}}"
        r" \prod_{l \ne j: I_{il} = I_{ij}} U_{il}",
    },
    entries={"A": "ik", "U": "ij"},
    shapes=_SHAPES,
    source="document, section 4.2; the product rule",
    analytic=True,
    derivation=(
        "Take two axes, with the index along the second. Each factor is in its product once, so "
        r"the slope by it is the product of the others: $$\frac{\partial Y_{ik}}{\partial A_{ik}} "
        r"= \prod_{j: I_{ij} = k} U_{ij} \\ \frac{\partial Y_{ik}}{\partial U_{ij}} = [I_{ij} = "
        r"k] A_{ik} \prod_{l \ne j: I_{il} = k} U_{il}$$",
        "A acts on Y in its own place alone. For U the chain rule adds up over k, and the bracket "
        "leaves $k = I_{ij}$.",
        "Where U is not 0, the product of the others is $Y / U$ and costs one division. Where it "
        "is the only 0 of its product that would be 0/0, and the code multiplies the others; "
        "where another one is 0 as well, their product is 0.",
    ),
)
