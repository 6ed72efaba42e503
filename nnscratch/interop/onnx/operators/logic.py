"""Comparisons, logic and choices."""

from __future__ import annotations

from nnscratch.interop.onnx.operators.arithmetic import lined_up
from nnscratch.interop.onnx.operators.table import operator
from nnscratch.tensors import Tensor
from nnscratch.tensors import functions as T


@operator("Equal")
def equal(x: Tensor, y: Tensor, /, *, broadcast: int = 0, axis: int | None = None) -> Tensor:
    return T.eq(x, lined_up(x, y, broadcast, axis))


@operator("Greater")
def greater(x: Tensor, y: Tensor, /, *, broadcast: int = 0, axis: int | None = None) -> Tensor:
    return T.gt(x, lined_up(x, y, broadcast, axis))


@operator("GreaterOrEqual")
def at_least(x: Tensor, y: Tensor, /) -> Tensor:
    return T.ge(x, y)


@operator("Less")
def less(x: Tensor, y: Tensor, /, *, broadcast: int = 0, axis: int | None = None) -> Tensor:
    return T.lt(x, lined_up(x, y, broadcast, axis))


@operator("LessOrEqual")
def at_most(x: Tensor, y: Tensor, /) -> Tensor:
    return T.le(x, y)


@operator("And")
def both(x: Tensor, y: Tensor, /, *, broadcast: int = 0, axis: int | None = None) -> Tensor:
    return T.logical_and(x, lined_up(x, y, broadcast, axis))


@operator("Or")
def either(x: Tensor, y: Tensor, /, *, broadcast: int = 0, axis: int | None = None) -> Tensor:
    return T.logical_or(x, lined_up(x, y, broadcast, axis))


@operator("Xor")
def one_of_two(x: Tensor, y: Tensor, /, *, broadcast: int = 0, axis: int | None = None) -> Tensor:
    return T.logical_xor(x, lined_up(x, y, broadcast, axis))


@operator("Not")
def negation(x: Tensor, /) -> Tensor:
    return T.logical_not(x)


@operator("Where")
def where(condition: Tensor, x: Tensor, y: Tensor, /) -> Tensor:
    return T.where(condition, x, y)


@operator("IsNaN")
def is_nan(x: Tensor, /) -> Tensor:
    return T.isnan(x)


@operator("IsInf")
def is_infinite(x: Tensor, /, *, detect_negative: int = 1, detect_positive: int = 1) -> Tensor:
    found = T.isinf(x)
    if not detect_negative:
        found = T.logical_and(found, x > 0)
    return found if detect_positive else T.logical_and(found, x < 0)
