"""Comparisons of two operands, with broadcasting: bool, without a derivative."""

from __future__ import annotations

from typing import Any

from nnscratch.formulas.formula import Formula, Forward
from nnscratch.formulas.pointwise import elementwise


def equal_forward(A: Any, B: Any) -> Any:
    """Compute A = B.

    Args:
        A: an array or a Python number.
        B: likewise; one of the two is an array.

    Raises:
        ShapeError: if the shapes do not broadcast.
    """
    return A == B


def not_equal_forward(A: Any, B: Any) -> Any:
    """Compute A ≠ B; arguments and errors as in ``equal``."""
    return A != B


def less_forward(A: Any, B: Any) -> Any:
    """Compute A < B; arguments and errors as in ``equal``."""
    return A < B


def less_equal_forward(A: Any, B: Any) -> Any:
    """Compute A ≤ B; arguments and errors as in ``equal``."""
    return A <= B


def greater_forward(A: Any, B: Any) -> Any:
    """Compute A > B; arguments and errors as in ``equal``."""
    return A > B


def greater_equal_forward(A: Any, B: Any) -> Any:
    """Compute A ≥ B; arguments and errors as in ``equal``."""
    return A >= B


def _comparison(forward: Forward, sign: str) -> Formula:
    return elementwise(
        forward,
        floats=False,
        truth=True,
        complexes=forward in (equal_forward, not_equal_forward),
        equation=f"Y = [A {sign} B]",
        shapes="A and B (shapes that broadcast, or Python numbers) -> Y (their common shape, bool)",
        source="IEEE 754: every comparison with NaN is false, but for ≠",
    )


EQUAL = _comparison(equal_forward, "=")
NOT_EQUAL = _comparison(not_equal_forward, r"\ne")
LESS = _comparison(less_forward, "<")
LESS_EQUAL = _comparison(less_equal_forward, r"\le")
GREATER = _comparison(greater_forward, ">")
GREATER_EQUAL = _comparison(greater_equal_forward, r"\ge")
