"""Which dtype tensors and numbers have in common, and whether a dtype holds a number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnscratch.array import asarray, default_dtype, dtype_name, is_floating, promote
from nnscratch.errors import DTypeError
from nnscratch.tensors.base import TensorBase


def alike(tensor: Any, other: Any) -> tuple[Any, Any]:
    """Bring a tensor, and another one or a number, to the dtype that they have in common.

    A Python number never promotes a tensor of its own kind; an integer that the tensor's dtype
    cannot hold wraps around, as in PyTorch.
    """
    if isinstance(other, (bool, int, float)):
        if is_floating(tensor.array):
            return tensor, other
        if isinstance(other, float):
            return tensor.to(default_dtype()), other
        name = dtype_name(tensor.array.dtype)
        if type(other) is int:  # neither a boolean nor a number that a plan asks for again
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


def refuse_booleans(tensor: Any, other: Any) -> None:
    """Raise a DTypeError if booleans would be subtracted."""
    said = isinstance(other, bool) or (
        isinstance(other, TensorBase) and dtype_name(other.array.dtype) == "bool"
    )
    if said or dtype_name(tensor.array.dtype) == "bool":
        raise DTypeError(
            "booleans cannot be subtracted; use ~mask or x ^ y, or convert them with .int()"
        )


def fitting(where: str, value: Any, dtype: str) -> Any:
    """Return a Python number as a dtype holds it; fractions are cut off later.

    As in PyTorch -1 in uint8 is 255, and infinities are floating-point numbers.

    Raises:
        DTypeError: if it is beyond the range of the dtype.
    """
    if type(value) not in (int, float) or dtype == "bool" or dtype.startswith("complex"):
        return value
    if dtype.startswith("float"):
        limits: Any = np.finfo(dtype)
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


def held(where: str, value: Any, tensor: Any) -> Any:
    """Return a number beside a tensor, which an integer must fit into and a float may widen."""
    name = dtype_name(tensor.array.dtype)
    whole = type(value) is int and not is_floating(tensor.array)
    return fitting(where, value, name) if whole else value


def _wrapped(number: int, dtype: str) -> int:
    """Return an integer as a dtype of fewer bits would hold it."""
    limits = np.iinfo(dtype)
    if limits.min <= number <= limits.max:
        return number
    if not -(2**63) <= number < 2**63:
        raise DTypeError(f"{number} is beyond the range of int64")
    wrapped: int = (number - int(limits.min)) % 2**limits.bits + int(limits.min)
    return wrapped
