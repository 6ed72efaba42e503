"""Quotients, rounded or not, and what they leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnscratch import formulas as f
from nnscratch.array import dtype_name, to_device_of
from nnscratch.array.dtypes import is_integer
from nnscratch.errors import ConfigurationError, DTypeError
from nnscratch.formulas import Formula
from nnscratch.tensors.ops.calling import also_named, tensor_function
from nnscratch.tensors.ops.elementwise import Function, _pair, round
from nnscratch.tensors.tensor import Tensor, as_tensor

__all__ = [
    "div",
    "divide",
    "floor_divide",
    "fmod",
    "remainder",
    "true_divide",
]


def _refuse_zero(name: str, left: Tensor, right: Any) -> None:
    if not is_integer(left.array):
        return
    zero = (right == 0).any() if isinstance(right, Tensor) else right == 0
    if bool(zero):
        raise ZeroDivisionError(
            f"{name}: integers cannot be divided by zero; convert them with .float()"
        )


def _divided(formula: Formula, input: Tensor, other: Any) -> Tensor:
    left, right = _pair(input, other)
    if dtype_name(left.array.dtype) == "bool":
        raise DTypeError(f"{formula.name} is not for booleans; convert them first with .int()")
    _refuse_zero(formula.name, left, right)
    return left._apply(formula, right)


@tensor_function(inplace=True)
def remainder(input: Tensor, other: Any) -> Tensor:
    """Return what a division leaves, with the sign of ``other``: x - y ⌊x / y⌋, Python's %.

    >>> remainder(as_tensor([-3, 3]), 2)
    tensor([1, 1])
    """
    return _divided(f.REMAINDER, input, other)


@tensor_function(inplace=True)
def fmod(input: Tensor, other: Any) -> Tensor:
    """Return what a division leaves, with the sign of ``input``: x - y trunc(x / y), C's fmod."""
    return _divided(f.FMOD, input, other)


@tensor_function(inplace=True)
def floor_divide(input: Tensor, other: Any) -> Tensor:
    """Return ⌊x / y⌋."""
    return _divided(f.FLOOR_DIVIDE, input, other)


@tensor_function(inplace=True)
def div(input: Tensor, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """Return x / y; integers become floats unless the quotient is rounded.

    Args:
        rounding_mode: "trunc" (towards 0, as C divides integers), "floor" (as Python's //), or
            None.

    >>> div(as_tensor([-3, 3]), 2, rounding_mode="trunc")
    tensor([-1,  1])
    """
    if rounding_mode is None:
        return input._binary(f.DIVIDE, other)
    if rounding_mode == "floor":
        return floor_divide(input, other)
    if rounding_mode != "trunc":
        raise ConfigurationError(
            f"div: rounding_mode is 'trunc', 'floor' or None, got {rounding_mode!r}"
        )
    left, right = _pair(input, other)
    _refuse_zero("div", left, right)
    if is_integer(left.array):
        return (left - left._apply(f.FMOD, right))._apply(f.FLOOR_DIVIDE, right)
    return left._binary(f.DIVIDE, right)._apply(f.TRUNC)


divide = div
true_divide = div
also_named(divide="div", true_divide="div")


def _reversed(function: Function) -> Callable[[Tensor, Any], Tensor]:
    def method(self: Tensor, other: Any) -> Tensor:
        if not isinstance(other, Tensor):
            other = self._wrap(to_device_of(as_tensor(other).array, self.array))
        return function(other, self)

    return method


for _name, _function in (("mod", remainder), ("floordiv", floor_divide)):
    setattr(Tensor, f"__{_name}__", _function)
    setattr(Tensor, f"__r{_name}__", _reversed(_function))
    setattr(Tensor, f"__i{_name}__", getattr(Tensor, f"{_function.__name__}_"))


def _divmod(self: Tensor, other: Any) -> tuple[Tensor, Tensor]:
    """Return ⌊x / y⌋ and what it leaves, as Python's ``divmod`` does."""
    return floor_divide(self, other), remainder(self, other)


def _rdivmod(self: Tensor, other: Any) -> tuple[Tensor, Tensor]:
    left = as_tensor(other)._wrap(to_device_of(as_tensor(other).array, self.array))
    return floor_divide(left, self), remainder(left, self)


def _round(self: Tensor, ndigits: int = 0) -> Tensor:
    """Return the tensor that ``round(x)`` and ``round(x, 2)`` of Python mean."""
    return round(self, decimals=ndigits)


def _trunc(self: Tensor) -> int:
    return int(self.item())


for _name, _method in (
    ("divmod", _divmod),
    ("rdivmod", _rdivmod),
    ("round", _round),
    ("trunc", _trunc),
):
    setattr(Tensor, f"__{_name}__", _method)
