r"""Exponentials and logarithms that are exact near 0, where $e^A - 1$ and $\log(1 + A)$ cancel."""

from __future__ import annotations

from typing import Any

from nnscratch.array.maths import expm1, log1p
from nnscratch.formulas.pointwise import elementwise

_SHAPES = "A (any) -> Y (same)"
_SOURCE = "document, section 4.2; the chain rule"


def expm1_forward(A: Any) -> Any:
    """Compute e^A - 1.

    Raises:
        DTypeError: if A holds integers.

    >>> import numpy as np
    >>> float(expm1_forward(np.asarray(1e-20)))
    1e-20
    """
    return expm1(A)


def expm1_backward(dY: Any, Y: Any) -> Any:
    """Return dA = dY (Y + 1)."""
    return dY * (Y + 1.0)


EXPM1 = elementwise(
    expm1_forward,
    {"A": expm1_backward},
    equation=r"Y = e^A - 1",
    gradients={"A": r"\frac{\partial L}{\partial Y} \odot (Y + 1)"},
    shapes=_SHAPES,
    source=_SOURCE,
    analytic=True,
)


def log1p_forward(A: Any) -> Any:
    """Compute log(1 + A): -infinity at -1, NaN below.

    Raises:
        DTypeError: if A holds integers.
    """
    return log1p(A)


def log1p_backward(dY: Any, A: Any) -> Any:
    """Return dA = dY / (1 + A)."""
    return dY / (1.0 + A)


LOG1P = elementwise(
    log1p_forward,
    {"A": log1p_backward},
    equation=r"Y = \log(1 + A)",
    gradients={"A": r"\frac{\partial L}{\partial Y} / (1 + A)"},
    shapes=_SHAPES,
    source=_SOURCE,
    kinks=(-1.0,),
    analytic=True,
)
