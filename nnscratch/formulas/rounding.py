"""Rounding to whole numbers, signs, and what a division leaves: piecewise constant or linear."""

from __future__ import annotations

from typing import Any

from nnscratch.array.dtypes import is_integer
from nnscratch.array.maths import (
    absolute,
    ceil,
    floor,
    floor_divide,
    like,
    remainder,
    round_half_even,
    sign,
    trunc,
    where,
)
from nnscratch.formulas.formula import Formula
from nnscratch.formulas.pointwise import Body, elementwise, unchanged

_SHAPES = "A (any) -> Y (same)"
_PAIR = "A and B (shapes that broadcast, or Python numbers) -> Y (their common shape)"
_SOURCE = "Iverson 1962; the chain rule"


def nothing(dY: Any) -> Any:
    """Return dA = 0: the function is constant between its steps."""
    return like(0.0, dY)


def floor_forward(A: Any) -> Any:
    """Compute the largest whole number that is not above A; integers stay as they are.

    >>> import numpy as np
    >>> floor_forward(np.array([-0.5, 1.5]))
    array([-1.,  1.])
    """
    return floor(A)


def ceil_forward(A: Any) -> Any:
    """Compute the smallest whole number that is not below A; integers stay as they are."""
    return ceil(A)


def trunc_forward(A: Any) -> Any:
    """Compute A without its fraction; integers stay as they are."""
    return trunc(A)


def round_forward(A: Any) -> Any:
    """Compute the nearest whole number, the even one of two; integers stay as they are."""
    return round_half_even(A)


def sign_forward(A: Any) -> Any:
    """Compute -1, 0 or 1 as A is negative, zero (or NaN) or positive."""
    return where(A == A, sign(A), like(0, A))


_CONSTANT = (
    "Between two steps the function is constant: a little more or less of A leaves Y as it is. "
    r"$$\frac{\partial Y}{\partial A} = 0$$",
    "At a step it jumps, and has no derivative. The code has 0 there as well, so that nothing "
    "ever comes back through this function.",
)


def _steps(forward: Body, equation: str) -> Formula:
    return elementwise(
        forward,
        {"A": nothing},
        loops=forward is floor_forward,
        floats=False,
        equation=f"Y = {equation}",
        gradients={"A": "0"},
        shapes=_SHAPES,
        source=_SOURCE,
        kinks="at its steps",
        derivation=_CONSTANT,
    )


FLOOR = _steps(floor_forward, r"\lfloor A \rfloor")
CEIL = _steps(ceil_forward, r"\lceil A \rceil")
TRUNC = _steps(trunc_forward, r"\mathrm{sign}(A) \lfloor |A| \rfloor")
ROUND = _steps(round_forward, r"\lfloor A \rceil \text{, the even one of two}")
SIGN = _steps(sign_forward, r"\mathrm{sign}(A)")


def remainder_forward(A: Any, B: Any) -> Any:
    """Compute what A leaves when it is divided by B, with the sign of B.

    Args:
        A: an array or a Python number.
        B: likewise; one of the two is an array, and two arrays have one dtype.

    Raises:
        ShapeError: if the shapes do not broadcast.

    >>> import numpy as np
    >>> remainder_forward(np.array([-3.0, 3.0]), 2.0)
    array([1., 1.])
    """
    return remainder(A, B)


def remainder_backward_B(dY: Any, A: Any, B: Any) -> Any:
    """Return dB = -dY ⌊A / B⌋."""
    return -dY * floor_divide(A, B)


REMAINDER = elementwise(
    remainder_forward,
    {"A": unchanged, "B": remainder_backward_B},
    loops=False,
    floats=False,
    equation=r"Y = A - B \lfloor A / B \rfloor",
    gradients={
        "A": r"\frac{\partial L}{\partial Y}",
        "B": r"-\frac{\partial L}{\partial Y} \odot \lfloor A / B \rfloor",
    },
    shapes=_PAIR,
    source="Knuth 1997, section 1.2.4; the chain rule",
    kinks="where B divides A",
)


def fmod_forward(A: Any, B: Any) -> Any:
    """Compute what A leaves when it is divided by B, with the sign of A; as ``remainder``."""
    A, B = like(A, B), like(B, A)
    if is_integer(A):  # the smallest integer has no absolute value
        R = remainder(A, B)
        return where((R != 0) & ((R < 0) != (A < 0)), R - B, R)
    R = remainder(absolute(A), absolute(B))
    return where(A < 0, -R, R)


def fmod_backward_B(dY: Any, A: Any, B: Any) -> Any:
    """Return dB = -dY trunc(A / B)."""
    return -dY * trunc(like(A, dY) / B)


FMOD = elementwise(
    fmod_forward,
    {"A": unchanged, "B": fmod_backward_B},
    loops=False,
    floats=False,
    equation=r"Y = A - B \operatorname{trunc}(A / B)",
    gradients={
        "A": r"\frac{\partial L}{\partial Y}",
        "B": r"-\frac{\partial L}{\partial Y} \odot \operatorname{trunc}(A / B)",
    },
    shapes=_PAIR,
    source="IEEE 754; the chain rule",
    kinks="where B divides A",
    derivation=(
        r"Write q for the quotient without its fraction: $$q = \operatorname{trunc}(A / B) \\ Y = "
        "A - B q$$",
        "While A / B moves between two whole numbers q is constant, and Y a line in A and in B: "
        r"$$\frac{\partial Y}{\partial A} = 1 \\ \frac{\partial Y}{\partial B} = -q$$",
        "Where A / B reaches a whole number other than 0, q jumps and Y with it: there is no "
        "derivative, and the code has these slopes there too.",
        "Each entry of Y depends on the entries in the same place alone, so that the chain rule "
        "multiplies the gradient of Y by these slopes, entry by entry.",
    ),
)


def floor_divide_forward(A: Any, B: Any) -> Any:
    """Compute ⌊A / B⌋; arguments and errors as in ``remainder``."""
    return floor_divide(A, B)


FLOOR_DIVIDE = elementwise(
    floor_divide_forward,
    {"A": nothing, "B": nothing},
    loops=False,
    floats=False,
    equation=r"Y = \lfloor A / B \rfloor",
    gradients={"A": "0", "B": "0"},
    shapes=_PAIR,
    source="Knuth 1997, section 1.2.4",
    kinks="where B divides A",
    derivation=(
        r"While A / B moves between two whole numbers Y is constant: $$\frac{\partial Y}{\partial "
        r"A} = 0 \\ \frac{\partial Y}{\partial B} = 0$$",
        "Where A / B reaches a whole number Y jumps, and has no derivative. The code has 0 there "
        "as well, so that nothing ever comes back through this function.",
    ),
)
