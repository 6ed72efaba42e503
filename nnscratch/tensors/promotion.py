"""Type promotion of tensors and Python numbers, and checks that a dtype can hold a number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnscratch.array import asarray, default_dtype, dtype_name, is_floating, promote
from nnscratch.array.bfloat16 import limits_of
from nnscratch.array.dtypes import FLOATS, is_complex
from nnscratch.errors import DTypeError
from nnscratch.tensors.base import TensorBase


def to_common_dtype(tensor: Any, other: Any) -> tuple[Any, Any]:
    """Return a tensor and a second operand, promoted to the common dtype.

    A Python number never promotes a tensor of its own category (boolean, integer, floating) or a
    higher one. An integer that an integer tensor's dtype cannot hold wraps around, as in PyTorch.

    Raises:
        DTypeError: if a Python integer is beyond the range of int64.
    """
    if isinstance(other, complex):
        name = dtype_name(tensor.array.dtype)
        if not name.startswith("complex"):
            wide = name == "float64" or (not is_floating(tensor.array) and _wide_default())
            tensor = tensor.to("complex128" if wide else "complex64")
        return tensor, other
    if isinstance(other, (bool, int, float)):
        if is_complex(tensor.array):
            return tensor, other
        if is_floating(tensor.array):
            return tensor, other
        if isinstance(other, float):
            return tensor.to(default_dtype()), other
        name = dtype_name(tensor.array.dtype)
        if type(other) is int:  # neither a bool nor a dynamic scalar of a compiled step
            if name == "bool":
                return tensor.to("int64"), other
            if not name.startswith("complex"):
                return tensor, _wrapped(other, name)
        return tensor, other
    if not isinstance(other, TensorBase):
        other = tensor._wrap(asarray(other))
    if tensor.array.dtype == other.array.dtype:
        return tensor, other
    common = promote(tensor.array, other.array)
    return tensor.to(common), other.to(common)


_KINDS = {"b": 0, "u": 1, "i": 1, "f": 2, "V": 2, "c": 3}  # V: bfloat16


def of_higher_kind(result: Any, held: Any) -> bool:
    """Say whether a tensor is of a higher kind than the one that it shall be written into.

    The kinds are booleans, integers, floats and complex numbers. Writing a higher one into a lower
    one would lose what only the higher one can hold.
    """
    return _KINDS[result.array.dtype.kind] > _KINDS[held.array.dtype.kind]


def refuse_complex_items(value: Any, array: Any) -> None:
    """Raise a DTypeError if items of an array of real numbers would be set to complex ones."""
    if is_complex(value) and not is_complex(array):
        raise DTypeError(
            f"setting items: {value.dtype} values do not fit into {array.dtype}; take their "
            ".real, or convert the tensor first with .to('complex64')"
        )


def _wide_default() -> bool:
    return default_dtype() == "float64"


def refuse_booleans(tensor: Any, other: Any) -> None:
    """Raise a DTypeError if either operand of a subtraction is boolean."""
    said = isinstance(other, bool) or (
        isinstance(other, TensorBase) and dtype_name(other.array.dtype) == "bool"
    )
    if said or dtype_name(tensor.array.dtype) == "bool":
        raise DTypeError(
            "booleans cannot be subtracted; use ~mask or x ^ y, or convert them with .int()"
        )


def checked_number(where: str, value: Any, dtype: str) -> Any:
    """Return a Python number after checking that it is in the range of a dtype.

    As in PyTorch, -1 for uint8 becomes 255, and floating dtypes hold infinity. A fraction for an
    integer dtype is returned as it is; the cast truncates it later.

    Args:
        where: the function that the error names.
        value: the number; anything but an int or a float is returned unchecked.
        dtype: the name of the dtype.

    Raises:
        DTypeError: if the number is beyond the range of the dtype.
    """
    if isinstance(value, (complex, np.complexfloating)) and not dtype.startswith("complex"):
        if value.imag:
            raise DTypeError(
                f"{where}: {value} is no number of {dtype}; convert the tensor first, such as with "
                ".to('complex64')"
            )
        value = float(value.real)
    if type(value) not in (int, float) or dtype == "bool" or dtype.startswith("complex"):
        return value
    if dtype in FLOATS:
        limits: Any = limits_of(dtype)
        beyond = math.isfinite(value) and abs(value) > float(limits.max)
    else:
        limits = np.iinfo(dtype)
        low = int(limits.min) or -int(limits.max)
        beyond = not low <= value <= int(limits.max)
    if beyond:
        raise DTypeError(
            f"{where}: {value} is beyond the range of {dtype}, {limits.min} to {limits.max}; "
            "convert the tensor first, such as with .float()"
        )
    return int(value) % (int(limits.max) + 1) if dtype.startswith("uint") else value


def checked_integer(where: str, value: Any, tensor: Any) -> Any:
    """Return the second operand of a tensor, checking that an integer fits an integer tensor.

    Anything else is returned unchecked: a float promotes an integer tensor instead.
    """
    name = dtype_name(tensor.array.dtype)
    whole = type(value) is int and not is_floating(tensor.array)
    return checked_number(where, value, name) if whole else value


def _wrapped(number: int, dtype: str) -> int:
    """Return an integer reduced to the range of an integer dtype, wrapping around."""
    limits = np.iinfo(dtype)
    if limits.min <= number <= limits.max:
        return number
    if not -(2**63) <= number < 2**63:
        raise DTypeError(f"{number} is beyond the range of int64")
    wrapped: int = (number - int(limits.min)) % 2**limits.bits + int(limits.min)
    return wrapped
