"""Comparisons of two operands, with broadcasting: bool, without a derivative."""

from __future__ import annotations

from typing import Any

from nnscratch.formulas.checks import NOTHING, NothingSaved, need_broadcast, plain
from nnscratch.formulas.formula import Formula, Forward, formula


def equal_forward(A: Any, B: Any) -> tuple[Any, NothingSaved]:
    """Compute A = B.

    Args:
        A: an array or a Python number.
        B: likewise; one of the two is an array.

    Returns:
        Y bool, of the shape that A and B broadcast to.

    Raises:
        ShapeError: if the shapes do not broadcast.
    """
    need_broadcast("equal", A, B)
    return plain(A) == plain(B), NOTHING


def not_equal_forward(A: Any, B: Any) -> tuple[Any, NothingSaved]:
    """Compute A ≠ B; arguments and errors as in ``equal``."""
    need_broadcast("not_equal", A, B)
    return plain(A) != plain(B), NOTHING


def less_forward(A: Any, B: Any) -> tuple[Any, NothingSaved]:
    """Compute A < B; arguments and errors as in ``equal``."""
    need_broadcast("less", A, B)
    return plain(A) < plain(B), NOTHING


def less_equal_forward(A: Any, B: Any) -> tuple[Any, NothingSaved]:
    """Compute A ≤ B; arguments and errors as in ``equal``."""
    need_broadcast("less_equal", A, B)
    return plain(A) <= plain(B), NOTHING


def greater_forward(A: Any, B: Any) -> tuple[Any, NothingSaved]:
    """Compute A > B; arguments and errors as in ``equal``."""
    need_broadcast("greater", A, B)
    return plain(A) > plain(B), NOTHING


def greater_equal_forward(A: Any, B: Any) -> tuple[Any, NothingSaved]:
    """Compute A ≥ B; arguments and errors as in ``equal``."""
    need_broadcast("greater_equal", A, B)
    return plain(A) >= plain(B), NOTHING


def _comparison(forward: Forward, sign: str) -> Formula:
    return formula(
        forward,
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
