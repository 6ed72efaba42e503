r"""Arithmetic on two operands, with broadcasting.

An operand is an array or a Python number. Two arrays have one dtype: whoever calls has cast them
(``cast``), since the gradient of a cast is a cast back. The gradients here are left in the shape of
the output; the tape takes each back to its input's shape by ``sum_to``, in one place.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from nnscratch.array import array_namespace
from nnscratch.array.dtypes import dtype_name
from nnscratch.errors import DTypeError
from nnscratch.formulas.checks import (
    NOTHING,
    NothingSaved,
    need_broadcast,
    need_floats,
    plain,
)
from nnscratch.formulas.formula import formula

_SHAPES = "A and B (shapes that broadcast, or Python numbers) -> Y (their common shape)"
_SOURCE = "document, section 4.2; the sum, product and chain rules"


class OperandsSaved(NamedTuple):
    """Both operands."""

    A: Any
    B: Any


def add_forward(A: Any, B: Any) -> tuple[Any, NothingSaved]:
    """Compute A + B.

    Args:
        A: an array or a Python number.
        B: likewise; one of the two is an array, and two arrays have one dtype.

    Returns:
        Y of the shape that A and B broadcast to, and what the backward needs.

    Raises:
        ShapeError: if the shapes do not broadcast.

    >>> import numpy as np
    >>> add_forward(np.ones((2, 1)), np.array([1.0, 2.0]))[0]
    array([[2., 3.],
           [2., 3.]])
    """
    need_broadcast("add", A, B)
    return plain(A) + plain(B), NOTHING


def add_backward(dY: Any, saved: NothingSaved, needs: tuple[bool, ...]) -> tuple[Any, ...]:
    """Return dA = dB = dY."""
    return tuple(dY if need else None for need in needs)


ADD = formula(
    add_forward,
    add_backward,
    equation=r"Y = A + B",
    gradients={
        "A": r"\frac{\partial L}{\partial Y}",
        "B": r"\frac{\partial L}{\partial Y}",
    },
    shapes=_SHAPES,
    source=_SOURCE,
    analytic=True,
    aliases=True,
)


def subtract_forward(A: Any, B: Any) -> tuple[Any, NothingSaved]:
    """Compute A - B; arguments and errors as in ``add``."""
    need_broadcast("subtract", A, B)
    return plain(A) - plain(B), NOTHING


def subtract_backward(dY: Any, saved: NothingSaved, needs: tuple[bool, ...]) -> tuple[Any, ...]:
    """Return dA = dY and dB = -dY."""
    return dY if needs[0] else None, -dY if needs[1] else None


SUBTRACT = formula(
    subtract_forward,
    subtract_backward,
    equation=r"Y = A - B",
    gradients={
        "A": r"\frac{\partial L}{\partial Y}",
        "B": r"-\frac{\partial L}{\partial Y}",
    },
    shapes=_SHAPES,
    source=_SOURCE,
    analytic=True,
    aliases=True,
)


def multiply_forward(A: Any, B: Any) -> tuple[Any, OperandsSaved]:
    """Compute A B, entry by entry; arguments and errors as in ``add``."""
    need_broadcast("multiply", A, B)
    A, B = plain(A), plain(B)
    return A * B, OperandsSaved(A, B)


def multiply_backward(dY: Any, saved: OperandsSaved, needs: tuple[bool, ...]) -> tuple[Any, ...]:
    """Return dA = dY B and dB = dY A."""
    A, B = saved
    return dY * B if needs[0] else None, dY * A if needs[1] else None


MULTIPLY = formula(
    multiply_forward,
    multiply_backward,
    equation=r"Y = A \odot B",
    gradients={
        "A": r"\frac{\partial L}{\partial Y} \odot B",
        "B": r"\frac{\partial L}{\partial Y} \odot A",
    },
    shapes=_SHAPES,
    source=_SOURCE,
    analytic=True,
)


def divide_forward(A: Any, B: Any) -> tuple[Any, OperandsSaved]:
    """Compute A / B; division by zero gives an infinity or NaN.

    Raises:
        ShapeError: if the shapes do not broadcast.
        DTypeError: if one of them is an array of integers.
    """
    need_floats("divide", A=A, B=B)
    need_broadcast("divide", A, B)
    A, B = plain(A), plain(B)
    return A / B, OperandsSaved(A, B)


def divide_backward(dY: Any, saved: OperandsSaved, needs: tuple[bool, ...]) -> tuple[Any, ...]:
    """Return dA = dY / B and dB = -dY A / B²."""
    A, B = saved
    dA = dB = None
    if needs[0]:
        dA = dY / B
    if needs[1]:
        dB = -dY * (A / B) / B
    return dA, dB


DIVIDE = formula(
    divide_forward,
    divide_backward,
    equation=r"Y = A / B",
    gradients={
        "A": r"\frac{\partial L}{\partial Y} / B",
        "B": r"-\frac{\partial L}{\partial Y} \odot A / B^2",
    },
    shapes=_SHAPES,
    source=_SOURCE,
    kinks="at B = 0",
    analytic=True,
)


class PowerSaved(NamedTuple):
    """What the backward of ``power`` needs."""

    A: Any
    B: Any
    Y: Any


def power_forward(A: Any, B: Any) -> tuple[Any, PowerSaved]:
    """Compute A to the power of B; a negative base with a broken exponent gives NaN.

    Raises:
        ShapeError: if the shapes do not broadcast.
        DTypeError: if an array of integers meets a broken or negative exponent.
    """
    need_broadcast("power", A, B)
    A, B = plain(A), plain(B)
    if isinstance(B, (bool, int, float)):
        if dtype_name(A.dtype).startswith(("int", "uint")) and (isinstance(B, float) or B < 0):
            raise DTypeError(
                f"power: integers ({dtype_name(A.dtype)}) to the power of {B} are no integers; "
                "convert them first with .float()"
            )
        Y = A * A if B == 2 else A**B
    else:
        Y = A**B
    return Y, PowerSaved(A, B, Y)


def power_backward(dY: Any, saved: PowerSaved, needs: tuple[bool, ...]) -> tuple[Any, ...]:
    """Return dA = dY · B A^(B - 1) and dB = dY · Y log A.

    At A = 0 the first is 0 where B is 0, the second is 0 where B is not negative.
    """
    A, B, Y = saved
    xp = array_namespace(dY)
    dA = dB = None
    if needs[0]:
        if not isinstance(B, (bool, int, float)):
            dA = dY * xp.where(B == 0, 0.0, B * A ** (B - 1.0))
        elif B == 0:
            dA = xp.zeros_like(dY)
        else:
            dA = dY * (2.0 * A if B == 2 else B * A ** (B - 1))
    if needs[1]:
        base = xp.full_like(B, A) if isinstance(A, (bool, int, float)) else A
        exact = (base == 0) & (B >= 0)
        dB = dY * xp.where(exact, 0.0, Y * xp.log(xp.where(exact, 1.0, base)))
    return dA, dB


POWER = formula(
    power_forward,
    power_backward,
    equation=r"Y = A^B",
    gradients={
        "A": r"\frac{\partial L}{\partial Y} \odot B \odot A^{B - 1}",
        "B": r"\frac{\partial L}{\partial Y} \odot Y \odot \log A",
    },
    shapes=_SHAPES,
    source=_SOURCE,
    kinks="at A = 0; no derivative for B where A < 0",
    analytic=True,
)


class ChoiceSaved(NamedTuple):
    """The condition of ``where``."""

    C: Any


def where_forward(C: Any, A: Any, B: Any) -> tuple[Any, ChoiceSaved]:
    """Compute A where C holds, else B.

    Args:
        C: a condition, bool.
        A: an array or a Python number.
        B: likewise; one of the two is an array, and two arrays have one dtype.

    Raises:
        DTypeError: if C is not bool.
        ShapeError: if the shapes do not broadcast.
    """
    if dtype_name(C.dtype) != "bool":
        raise DTypeError(f"where: expected a condition of dtype bool, got {dtype_name(C.dtype)}")
    need_broadcast("where", A, B)
    need_broadcast("where", C, A)
    need_broadcast("where", C, B)
    return array_namespace(C, A, B).where(C, plain(A), plain(B)), ChoiceSaved(C)


def where_backward(dY: Any, saved: ChoiceSaved, needs: tuple[bool, ...]) -> tuple[Any, ...]:
    """Return dA = dY where C holds and dB = dY where it does not, else 0."""
    (C,) = saved
    xp = array_namespace(dY)
    dA = xp.where(C, dY, 0.0) if needs[1] else None
    dB = xp.where(C, 0.0, dY) if needs[2] else None
    return None, dA, dB


WHERE = formula(
    where_forward,
    where_backward,
    equation=r"Y = [C] A + [\neg C] B",
    gradients={
        "A": r"[C] \odot \frac{\partial L}{\partial Y}",
        "B": r"[\neg C] \odot \frac{\partial L}{\partial Y}",
    },
    shapes="C, A and B (shapes that broadcast; A or B may be a number) -> Y (their common shape)",
    source=_SOURCE,
    analytic=True,
)


def maximum_forward(A: Any, B: Any) -> tuple[Any, OperandsSaved]:
    """Compute the larger of A and B; NaN if one of them is; arguments and errors as in ``add``."""
    need_broadcast("maximum", A, B)
    A, B = plain(A), plain(B)
    return array_namespace(A, B).maximum(A, B), OperandsSaved(A, B)


def maximum_backward(dY: Any, saved: OperandsSaved, needs: tuple[bool, ...]) -> tuple[Any, ...]:
    """Return dY for the larger, 0 for the smaller, half of dY for each where they are equal."""
    A, B = saved
    return _larger(dY, A, B) if needs[0] else None, _larger(dY, B, A) if needs[1] else None


def _larger(dY: Any, A: Any, B: Any) -> Any:
    where = array_namespace(dY).where
    return where(A == B, 0.5 * dY, where(A < B, 0.0, dY))


MAXIMUM = formula(
    maximum_forward,
    maximum_backward,
    equation=r"Y = \max(A, B)",
    gradients={
        "A": r"\frac{\partial L}{\partial Y} \odot ([A > B] + \tfrac{1}{2} [A = B])",
        "B": r"\frac{\partial L}{\partial Y} \odot ([B > A] + \tfrac{1}{2} [A = B])",
    },
    shapes=_SHAPES,
    source=_SOURCE,
    kinks="where A = B",
)


def minimum_forward(A: Any, B: Any) -> tuple[Any, OperandsSaved]:
    """Compute the smaller of A and B; NaN if one of them is; arguments and errors as in ``add``."""
    need_broadcast("minimum", A, B)
    A, B = plain(A), plain(B)
    return array_namespace(A, B).minimum(A, B), OperandsSaved(A, B)


def minimum_backward(dY: Any, saved: OperandsSaved, needs: tuple[bool, ...]) -> tuple[Any, ...]:
    """Return dY for the smaller, 0 for the larger, half of dY for each where they are equal."""
    A, B = saved
    return _smaller(dY, A, B) if needs[0] else None, _smaller(dY, B, A) if needs[1] else None


def _smaller(dY: Any, A: Any, B: Any) -> Any:
    where = array_namespace(dY).where
    return where(A == B, 0.5 * dY, where(A > B, 0.0, dY))


MINIMUM = formula(
    minimum_forward,
    minimum_backward,
    equation=r"Y = \min(A, B)",
    gradients={
        "A": r"\frac{\partial L}{\partial Y} \odot ([A < B] + \tfrac{1}{2} [A = B])",
        "B": r"\frac{\partial L}{\partial Y} \odot ([B < A] + \tfrac{1}{2} [A = B])",
    },
    shapes=_SHAPES,
    source=_SOURCE,
    kinks="where A = B",
)
