r"""Arithmetic on two operands, with broadcasting.

An operand is an array or a Python number. Two arrays have one dtype: whoever calls has cast them
(``cast``), since the gradient of a cast is a cast back. The gradients here are left in the shape of
the output; the tape takes each back to its input's shape by ``sum_to``, in one place.
"""

from __future__ import annotations

from typing import Any

from nnscratch.array.dtypes import dtype_name
from nnscratch.array.maths import like, log, maximum, minimum, power, where
from nnscratch.errors import DTypeError
from nnscratch.formulas.pointwise import elementwise, unchanged

_SHAPES = "A and B (shapes that broadcast, or Python numbers) -> Y (their common shape)"
_SOURCE = "document, section 4.2; the sum, product and chain rules"


def add_forward(A: Any, B: Any) -> Any:
    """Compute A + B.

    Args:
        A: an array or a Python number.
        B: likewise; one of the two is an array, and two arrays have one dtype.

    Raises:
        ShapeError: if the shapes do not broadcast.

    >>> import numpy as np
    >>> add_forward(np.ones((2, 1)), np.array([1.0, 2.0]))
    array([[2., 3.],
           [2., 3.]])
    """
    return A + B


ADD = elementwise(
    add_forward,
    {"A": unchanged, "B": unchanged},
    floats=False,
    equation=r"Y = A + B",
    gradients={
        "A": r"\frac{\partial L}{\partial Y}",
        "B": r"\frac{\partial L}{\partial Y}",
    },
    shapes=_SHAPES,
    source=_SOURCE,
    analytic=True,
)


def subtract_forward(A: Any, B: Any) -> Any:
    """Compute A - B; arguments and errors as in ``add``."""
    return A - B


def negated(dY: Any) -> Any:
    """Return dB = -dY."""
    return -dY


SUBTRACT = elementwise(
    subtract_forward,
    {"A": unchanged, "B": negated},
    floats=False,
    equation=r"Y = A - B",
    gradients={
        "A": r"\frac{\partial L}{\partial Y}",
        "B": r"-\frac{\partial L}{\partial Y}",
    },
    shapes=_SHAPES,
    source=_SOURCE,
    analytic=True,
)


def multiply_forward(A: Any, B: Any) -> Any:
    """Compute A B, entry by entry; arguments and errors as in ``add``."""
    return A * B


def multiply_backward_A(dY: Any, B: Any) -> Any:
    """Return dA = dY B."""
    return dY * B


def multiply_backward_B(dY: Any, A: Any) -> Any:
    """Return dB = dY A."""
    return dY * A


MULTIPLY = elementwise(
    multiply_forward,
    {"A": multiply_backward_A, "B": multiply_backward_B},
    floats=False,
    equation=r"Y = A \odot B",
    gradients={
        "A": r"\frac{\partial L}{\partial Y} \odot B",
        "B": r"\frac{\partial L}{\partial Y} \odot A",
    },
    shapes=_SHAPES,
    source=_SOURCE,
    analytic=True,
)


def divide_forward(A: Any, B: Any) -> Any:
    """Compute A / B; division by zero gives an infinity or NaN.

    Raises:
        ShapeError: if the shapes do not broadcast.
        DTypeError: if one of them is an array of integers.
    """
    return A / B


def divide_backward_A(dY: Any, B: Any) -> Any:
    """Return dA = dY / B."""
    return dY / B


def divide_backward_B(dY: Any, A: Any, B: Any) -> Any:
    """Return dB = -dY A / B²."""
    return -dY * (A / B) / B


DIVIDE = elementwise(
    divide_forward,
    {"A": divide_backward_A, "B": divide_backward_B},
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


def power_forward(A: Any, B: Any) -> Any:
    """Compute A to the power of B; a negative base with a broken exponent gives NaN.

    Raises:
        ShapeError: if the shapes do not broadcast.
        DTypeError: if an array of integers meets a broken or negative exponent.
    """
    return power(A, B)


def power_backward_A(dY: Any, A: Any, B: Any) -> Any:
    """Return dA = dY · B A^(B - 1), 0 where B is 0."""
    return dY * where(B == 0, 0.0, B * power(A, B - 1.0))


def power_backward_B(dY: Any, A: Any, B: Any, Y: Any) -> Any:
    """Return dB = dY · Y log A; at A = 0 it is 0 where B is not negative."""
    base = like(A, B)
    exact = (base == 0) & (B >= 0)
    return dY * where(exact, 0.0, Y * log(where(exact, 1.0, base)))


def _need_integer_powers(A: Any, B: Any) -> None:
    if not isinstance(B, (bool, int, float)) or not (isinstance(B, float) or B < 0):
        return
    if dtype_name(A.dtype).startswith(("int", "uint")):
        raise DTypeError(
            f"power: integers ({dtype_name(A.dtype)}) to the power of {B} are no integers; "
            "convert them first with .float()"
        )


POWER = elementwise(
    power_forward,
    {"A": power_backward_A, "B": power_backward_B},
    floats=False,
    check=_need_integer_powers,
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


def where_forward(C: Any, A: Any, B: Any) -> Any:
    """Compute A where C holds, else B.

    Args:
        C: a condition, bool.
        A: an array or a Python number.
        B: likewise; one of the two is an array, and two arrays have one dtype.

    Raises:
        DTypeError: if C is not bool.
        ShapeError: if the shapes do not broadcast.
    """
    return where(C, A, B)


def where_backward_A(dY: Any, C: Any) -> Any:
    """Return dA = dY where C holds, else 0."""
    return where(C, dY, 0.0)


def where_backward_B(dY: Any, C: Any) -> Any:
    """Return dB = dY where C does not hold, else 0."""
    return where(C, 0.0, dY)


def _need_condition(C: Any, A: Any, B: Any) -> None:
    if dtype_name(C.dtype) != "bool":
        raise DTypeError(f"where: expected a condition of dtype bool, got {dtype_name(C.dtype)}")


WHERE = elementwise(
    where_forward,
    {"A": where_backward_A, "B": where_backward_B},
    floats=False,
    check=_need_condition,
    equation=r"Y = [C] A + [\neg C] B",
    gradients={
        "A": r"[C] \odot \frac{\partial L}{\partial Y}",
        "B": r"[\neg C] \odot \frac{\partial L}{\partial Y}",
    },
    shapes="C, A and B (shapes that broadcast; A or B may be a number) -> Y (their common shape)",
    source=_SOURCE,
    analytic=True,
)


_LARGER_OR_SMALLER = (
    "At each place Y is one of the two entries, as it stands. Where A and B differ, a small change "
    "of either does not alter which one that is: the slope by it is 1, and by the other one 0.",
    "Where they are equal there is no derivative: with A alone, Y moves one way but not the other. "
    "With both Y moves as they do, so that two slopes that add up to 1 are fair; the code takes "
    r"$\frac{1}{2}$ for each.",
    "Each entry of Y depends on the entries in the same place alone, so that the chain rule "
    "multiplies the gradient of Y by these slopes, entry by entry.",
)


def maximum_forward(A: Any, B: Any) -> Any:
    """Compute the larger of A and B; NaN if one of them is; arguments and errors as in ``add``."""
    return maximum(A, B)


def maximum_backward_A(dY: Any, A: Any, B: Any) -> Any:
    """Return dA = dY where A is larger, 0 where it is smaller, dY / 2 where both are equal."""
    return where(A == B, 0.5 * dY, where(A < B, 0.0, dY))


def maximum_backward_B(dY: Any, A: Any, B: Any) -> Any:
    """Return dB = dY where B is larger, 0 where it is smaller, dY / 2 where both are equal."""
    return where(A == B, 0.5 * dY, where(B < A, 0.0, dY))


MAXIMUM = elementwise(
    maximum_forward,
    {"A": maximum_backward_A, "B": maximum_backward_B},
    floats=False,
    equation=r"Y = \max(A, B)",
    gradients={
        "A": r"\frac{\partial L}{\partial Y} \odot ([A > B] + \tfrac{1}{2} [A = B])",
        "B": r"\frac{\partial L}{\partial Y} \odot ([B > A] + \tfrac{1}{2} [A = B])",
    },
    shapes=_SHAPES,
    source=_SOURCE,
    kinks="where A = B",
    derivation=_LARGER_OR_SMALLER,
)


def minimum_forward(A: Any, B: Any) -> Any:
    """Compute the smaller of A and B; NaN if one of them is; arguments and errors as in ``add``."""
    return minimum(A, B)


def minimum_backward_A(dY: Any, A: Any, B: Any) -> Any:
    """Return dA = dY where A is smaller, 0 where it is larger, dY / 2 where both are equal."""
    return where(A == B, 0.5 * dY, where(A > B, 0.0, dY))


def minimum_backward_B(dY: Any, A: Any, B: Any) -> Any:
    """Return dB = dY where B is smaller, 0 where it is larger, dY / 2 where both are equal."""
    return where(A == B, 0.5 * dY, where(B > A, 0.0, dY))


MINIMUM = elementwise(
    minimum_forward,
    {"A": minimum_backward_A, "B": minimum_backward_B},
    floats=False,
    equation=r"Y = \min(A, B)",
    gradients={
        "A": r"\frac{\partial L}{\partial Y} \odot ([A < B] + \tfrac{1}{2} [A = B])",
        "B": r"\frac{\partial L}{\partial Y} \odot ([B < A] + \tfrac{1}{2} [A = B])",
    },
    shapes=_SHAPES,
    source=_SOURCE,
    kinks="where A = B",
    derivation=_LARGER_OR_SMALLER,
)
