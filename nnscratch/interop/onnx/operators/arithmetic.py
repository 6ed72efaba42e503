"""Arithmetic, rounding and bits, entry by entry with broadcasting."""

from __future__ import annotations

import functools
from typing import Any

from nnscratch import formulas as f
from nnscratch.array import is_integer
from nnscratch.errors import ConfigurationError
from nnscratch.interop.onnx.operators.table import operator
from nnscratch.tensors import Tensor, apply
from nnscratch.tensors import functions as T
from nnscratch.tensors import ops as O


def lined_up(x: Tensor, y: Tensor, broadcast: int, axis: int | None) -> Tensor:
    """Return y with axes of size 1 behind, where an old operator says at which axis it begins."""
    if not broadcast or axis is None:
        return y
    behind = x.ndim - axis % max(x.ndim, 1) - y.ndim
    return y.reshape(*y.shape, *(1,) * behind)


@operator("Add")
def add(x: Tensor, y: Tensor, /, *, broadcast: int = 0, axis: int | None = None) -> Tensor:
    return apply(f.ADD, x, lined_up(x, y, broadcast, axis))


@operator("Sub")
def subtract(x: Tensor, y: Tensor, /, *, broadcast: int = 0, axis: int | None = None) -> Tensor:
    return apply(f.SUBTRACT, x, lined_up(x, y, broadcast, axis))


@operator("Mul")
def multiply(x: Tensor, y: Tensor, /, *, broadcast: int = 0, axis: int | None = None) -> Tensor:
    return apply(f.MULTIPLY, x, lined_up(x, y, broadcast, axis))


@operator("Div")
def divide(x: Tensor, y: Tensor, /, *, broadcast: int = 0, axis: int | None = None) -> Tensor:
    y = lined_up(x, y, broadcast, axis)
    if is_integer(x.array):
        return O.div(x, y, rounding_mode="trunc")
    return apply(f.DIVIDE, x, y)


@operator("Mod")
def modulo(x: Tensor, y: Tensor, /, *, fmod: int = 0) -> Tensor:
    return O.fmod(x, y) if fmod else O.remainder(x, y)


@operator("Pow")
def power(x: Tensor, y: Tensor, /, *, broadcast: int = 0, axis: int | None = None) -> Tensor:
    y = lined_up(x, y, broadcast, axis)
    if is_integer(x.array) and not is_integer(y.array):
        return T.pow(x.to(y.dtype), y).to(x.dtype)
    return T.pow(x, y if is_integer(x.array) else y.to(x.dtype)).to(x.dtype)


@operator("Neg")
def negate(x: Tensor, /) -> Tensor:
    return -x


@operator("Abs")
def absolute(x: Tensor, /) -> Tensor:
    return T.abs(x)


@operator("Reciprocal")
def reciprocal(x: Tensor, /) -> Tensor:
    return T.reciprocal(x)


@operator("Sqrt")
def square_root(x: Tensor, /) -> Tensor:
    return T.sqrt(x)


@operator("Exp")
def exponential(x: Tensor, /) -> Tensor:
    return T.exp(x)


@operator("Log")
def logarithm(x: Tensor, /) -> Tensor:
    return T.log(x)


@operator("Erf")
def error_function(x: Tensor, /) -> Tensor:
    return O.erf(x)


@operator("Floor")
def floor(x: Tensor, /) -> Tensor:
    return O.floor(x)


@operator("Ceil")
def ceil(x: Tensor, /) -> Tensor:
    return O.ceil(x)


@operator("Round")
def to_nearest(x: Tensor, /) -> Tensor:
    return O.round(x)


@operator("Sign")
def sign(x: Tensor, /) -> Tensor:
    y = O.sign(x)
    return T.where(T.isnan(x), x, y) if x.is_floating_point() else y


def _trigonometric(name: str) -> Any:
    def function(x: Tensor, /) -> Tensor:
        return getattr(O, name)(x)

    return function


for _name in (
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "asinh",
    "acosh",
    "atanh",
):
    operator(_name.capitalize())(_trigonometric(_name))


@operator("Sum")
def total(*xs: Tensor) -> Tensor:
    return functools.reduce(T.add, xs)


@operator("Mean")
def mean(*xs: Tensor) -> Tensor:
    return functools.reduce(T.add, xs) / len(xs)


@operator("Max")
def largest(*xs: Tensor) -> Tensor:
    return functools.reduce(T.maximum, xs)


@operator("Min")
def smallest(*xs: Tensor) -> Tensor:
    return functools.reduce(T.minimum, xs)


@operator("Clip")
def clip(
    x: Tensor,
    low: Tensor | None = None,
    high: Tensor | None = None,
    /,
    *,
    min: float | None = None,
    max: float | None = None,
) -> Tensor:
    if min is not None or max is not None:
        return T.clamp(x, min, max)
    if low is not None:
        x = T.maximum(x, low)
    return x if high is None else T.minimum(x, high)


@operator("BitShift")
def shift_bits(x: Tensor, y: Tensor, /, *, direction: str) -> Tensor:
    if direction not in ("LEFT", "RIGHT"):
        raise ConfigurationError(f"BitShift: direction is LEFT or RIGHT, got {direction!r}")
    return (O.bitwise_left_shift if direction == "LEFT" else O.bitwise_right_shift)(x, y)


@operator("BitwiseAnd")
def bits_of_both(x: Tensor, y: Tensor, /) -> Tensor:
    return O.bitwise_and(x, y)


@operator("BitwiseOr")
def bits_of_either(x: Tensor, y: Tensor, /) -> Tensor:
    return O.bitwise_or(x, y)


@operator("BitwiseXor")
def bits_that_differ(x: Tensor, y: Tensor, /) -> Tensor:
    return O.bitwise_xor(x, y)


@operator("BitwiseNot")
def bits_turned(x: Tensor, /) -> Tensor:
    return O.bitwise_not(x)
