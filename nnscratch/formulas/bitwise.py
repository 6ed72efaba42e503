"""Logic on the bits of integers and on truth values, and shifts of bits: no derivative."""

from __future__ import annotations

from typing import Any

from nnscratch.array import array_namespace
from nnscratch.array.dtypes import dtype_name, is_integer
from nnscratch.errors import DTypeError
from nnscratch.formulas.checks import NOTHING, NothingSaved, need_broadcast
from nnscratch.formulas.formula import Formula, Forward, formula


def _combine(name: str, A: Any, B: Any) -> tuple[Any, NothingSaved]:
    need_broadcast(name, A, B)
    for one in (A, B):
        if hasattr(one, "dtype") and not (is_integer(one) or dtype_name(one.dtype) == "bool"):
            raise DTypeError(
                f"{name}: & | ^ ~ << >> are for integers and booleans, got "
                f"{dtype_name(one.dtype)}; "
                "compare first, as in (x > 0) & (x < 1)"
            )
    return getattr(array_namespace(A, B), name)(A, B), NOTHING


def bitwise_and_forward(A: Any, B: Any) -> tuple[Any, NothingSaved]:
    """Compute A and B, bit by bit.

    Args:
        A: an array of integers or truth values, or a Python number.
        B: likewise; one of the two is an array, and two arrays have one dtype.

    Returns:
        Y of the shape that A and B broadcast to.

    Raises:
        DTypeError: if one of them holds floating-point numbers.
        ShapeError: if the shapes do not broadcast.

    >>> import numpy as np
    >>> bitwise_and_forward(np.array([3, 5]), 6)[0]
    array([2, 4])
    """
    return _combine("bitwise_and", A, B)


def bitwise_or_forward(A: Any, B: Any) -> tuple[Any, NothingSaved]:
    """Compute A or B, bit by bit; arguments and errors as in ``bitwise_and``."""
    return _combine("bitwise_or", A, B)


def bitwise_xor_forward(A: Any, B: Any) -> tuple[Any, NothingSaved]:
    """Compute either A or B but not both, bit by bit; arguments as in ``bitwise_and``."""
    return _combine("bitwise_xor", A, B)


def bitwise_left_shift_forward(A: Any, B: Any) -> tuple[Any, NothingSaved]:
    """Compute A 2^B without the bits that A's dtype cannot hold; arguments as in ``bitwise_and``.

    >>> import numpy as np
    >>> bitwise_left_shift_forward(np.array([3, 5]), 2)[0]
    array([12, 20])
    """
    return _combine("bitwise_left_shift", A, B)


def bitwise_right_shift_forward(A: Any, B: Any) -> tuple[Any, NothingSaved]:
    """Compute ⌊A / 2^B⌋; arguments and errors as in ``bitwise_and``."""
    return _combine("bitwise_right_shift", A, B)


def _bitwise(forward: Forward, sign: str) -> Formula:
    return formula(
        forward,
        equation=rf"Y = A {sign} B",
        shapes="A and B (shapes that broadcast, or Python numbers) -> Y (their common shape)",
        source="Boole 1847",
        moves=True,
    )


BITWISE_AND = _bitwise(bitwise_and_forward, r"\wedge")
BITWISE_OR = _bitwise(bitwise_or_forward, r"\vee")
BITWISE_XOR = _bitwise(bitwise_xor_forward, r"\oplus")
BITWISE_LEFT_SHIFT = _bitwise(bitwise_left_shift_forward, r"\ll")
BITWISE_RIGHT_SHIFT = _bitwise(bitwise_right_shift_forward, r"\gg")
