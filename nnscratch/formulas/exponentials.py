r"""Exponentials and logarithms that are exact near 0, where $e^A - 1$ and $\log(1 + A)$ cancel."""

from __future__ import annotations

from typing import Any, NamedTuple

from nnscratch.array import array_namespace
from nnscratch.formulas.checks import need_floats
from nnscratch.formulas.formula import formula

_SHAPES = "A (any) -> Y (same)"
_SOURCE = "document, section 4.2; the chain rule"


class Expm1Saved(NamedTuple):
    """The output."""

    Y: Any


def expm1_forward(A: Any) -> tuple[Any, Expm1Saved]:
    """Compute e^A - 1.

    Raises:
        DTypeError: if A holds integers.

    >>> import numpy as np
    >>> float(expm1_forward(np.asarray(1e-20))[0])
    1e-20
    """
    need_floats("expm1", A=A)
    Y = array_namespace(A).expm1(A)
    return Y, Expm1Saved(Y)


def expm1_backward(dY: Any, saved: Expm1Saved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dA = dY (Y + 1)."""
    return (dY * (saved.Y + 1.0),)


EXPM1 = formula(
    expm1_forward,
    expm1_backward,
    equation=r"Y = e^A - 1",
    gradients={"A": r"\frac{\partial L}{\partial Y} \odot (Y + 1)"},
    shapes=_SHAPES,
    source=_SOURCE,
    analytic=True,
)


class Log1pSaved(NamedTuple):
    """The input."""

    A: Any


def log1p_forward(A: Any) -> tuple[Any, Log1pSaved]:
    """Compute log(1 + A): -infinity at -1, NaN below.

    Raises:
        DTypeError: if A holds integers.
    """
    need_floats("log1p", A=A)
    return array_namespace(A).log1p(A), Log1pSaved(A)


def log1p_backward(dY: Any, saved: Log1pSaved, needs: tuple[bool, ...]) -> tuple[Any]:
    """Return dA = dY / (1 + A)."""
    return (dY / (1.0 + saved.A),)


LOG1P = formula(
    log1p_forward,
    log1p_backward,
    equation=r"Y = \log(1 + A)",
    gradients={"A": r"\frac{\partial L}{\partial Y} / (1 + A)"},
    shapes=_SHAPES,
    source=_SOURCE,
    kinks=(-1.0,),
    analytic=True,
)
