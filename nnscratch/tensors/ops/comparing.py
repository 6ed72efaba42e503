"""Comparisons, logic, and bits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nnscratch import formulas as f
from nnscratch.array import is_floating, to_device_of
from nnscratch.array.dtypes import is_complex, is_integer
from nnscratch.errors import DTypeError
from nnscratch.formulas import Formula
from nnscratch.tensors.ops.calling import tensor_function
from nnscratch.tensors.tensor import Tensor, as_tensor

__all__ = [
    "bitwise_and",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "clamp_max",
    "clamp_min",
    "count_nonzero",
    "greater",
    "greater_equal",
    "isclose",
    "isin",
    "isneginf",
    "isposinf",
    "less",
    "less_equal",
    "not_equal",
]


@tensor_function(inplace=True)
def less(input: Tensor, other: Any) -> Tensor:
    """Say of each element whether it is below ``other``."""
    return input.lt(other)


@tensor_function(inplace=True)
def less_equal(input: Tensor, other: Any) -> Tensor:
    """Say of each element whether it is at most ``other``."""
    return input.le(other)


@tensor_function(inplace=True)
def greater(input: Tensor, other: Any) -> Tensor:
    """Say of each element whether it is above ``other``."""
    return input.gt(other)


@tensor_function(inplace=True)
def greater_equal(input: Tensor, other: Any) -> Tensor:
    """Say of each element whether it is at least ``other``."""
    return input.ge(other)


@tensor_function(inplace=True)
def not_equal(input: Tensor, other: Any) -> Tensor:
    """Say of each element whether it differs from ``other``."""
    return input.ne(other)


@tensor_function(inplace=True)
def clamp_min(input: Tensor, min: Any) -> Tensor:
    """Return each element, at least ``min``."""
    return input.clamp(min=min)


@tensor_function(inplace=True)
def clamp_max(input: Tensor, max: Any) -> Tensor:
    """Return each element, at most ``max``."""
    return input.clamp(max=max)


@tensor_function(inplace=True)
def bitwise_and(input: Tensor, other: Any) -> Tensor:
    """Return x & y of each pair of integers or booleans."""
    return input & other


@tensor_function(inplace=True)
def bitwise_or(input: Tensor, other: Any) -> Tensor:
    """Return x | y of each pair of integers or booleans."""
    return input | other


@tensor_function(inplace=True)
def bitwise_xor(input: Tensor, other: Any) -> Tensor:
    """Return x ^ y of each pair of integers or booleans."""
    return input ^ other


@tensor_function(inplace=True)
def bitwise_not(input: Tensor) -> Tensor:
    """Return ~x of each integer or boolean."""
    return ~input


def _shifted(formula: Formula, input: Tensor, other: Any) -> Tensor:
    for one in (input, as_tensor(other)):
        if not is_integer(one.array):
            raise DTypeError(
                f"{formula.name} is for integers, got {one.dtype}; write x * 2**y for others"
            )
    return input._binary(formula, other)


@tensor_function(inplace=True)
def bitwise_left_shift(input: Tensor, other: Any) -> Tensor:
    """Return x 2^y of integers, x << y."""
    return _shifted(f.BITWISE_LEFT_SHIFT, input, other)


@tensor_function(inplace=True)
def bitwise_right_shift(input: Tensor, other: Any) -> Tensor:
    """Return ⌊x / 2^y⌋ of integers, x >> y."""
    return _shifted(f.BITWISE_RIGHT_SHIFT, input, other)


def _reflected(function: Callable[..., Tensor]) -> Callable[[Tensor, Any], Tensor]:
    def method(self: Tensor, other: Any) -> Tensor:
        return function(self._wrap(to_device_of(other, self.array)), self)

    return method


for _name, _function in (("lshift", bitwise_left_shift), ("rshift", bitwise_right_shift)):
    setattr(Tensor, f"__{_name}__", _function)
    setattr(Tensor, f"__r{_name}__", _reflected(_function))
    setattr(Tensor, f"__i{_name}__", getattr(Tensor, f"{_function.__name__}_"))


@tensor_function()
def isclose(
    input: Tensor,
    other: Tensor,
    rtol: float = 1e-5,
    atol: float = 1e-8,
    equal_nan: bool = False,
) -> Tensor:
    """Say of each pair whether |input - other| <= atol + rtol |other|.

    >>> isclose(as_tensor([1.0, 2.0]), as_tensor([1.0, 2.1]))
    tensor([ True, False])
    """
    if input.dtype != other.dtype:
        raise DTypeError(f"isclose: expected two of one dtype, got {input.dtype} and {other.dtype}")
    same = input == other
    if equal_nan:
        same = same | ((input != input) & (other != other))
    if not (is_floating(input.array) or is_complex(input.array)):
        left, right = input.double(), other.double()
    else:
        left, right = input.detach(), other.detach()
    allowed = atol + (right * rtol).abs()
    apart = (left - right).abs()
    return same | ((apart <= allowed) & (apart < math.inf) & (allowed < math.inf))


@tensor_function(method=False)
def isin(
    elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False
) -> Tensor:
    """Say of each element whether it is among ``test_elements``.

    >>> isin(as_tensor([1, 2, 3]), as_tensor([3, 1]))
    tensor([ True, False,  True])
    """
    tested = as_tensor(test_elements).reshape(-1)
    if not tested.numel():
        found = (elements != elements).logical_and(False)
    else:
        found = (elements.unsqueeze(-1) == tested).any(-1)
    return found.logical_not() if invert else found


@tensor_function()
def isposinf(input: Tensor) -> Tensor:
    """Say of each element whether it is positive infinity."""
    return input == math.inf


@tensor_function()
def isneginf(input: Tensor) -> Tensor:
    """Say of each element whether it is negative infinity."""
    return input == -math.inf


@tensor_function()
def count_nonzero(input: Tensor, dim: Any = None) -> Tensor:
    """Return how many elements are not 0, in all or along dimensions."""
    return (input != 0).sum(dim)
