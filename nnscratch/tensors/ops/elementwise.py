"""Functions of each element: circular, hyperbolic, exponential, rounding, and sums of products."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nnscratch import formulas as f
from nnscratch.array import default_dtype, dtype_name, is_floating, promote, to_device_of
from nnscratch.array.bfloat16 import limits_of
from nnscratch.array.dtypes import is_complex, is_inexact, is_integer
from nnscratch.errors import DTypeError
from nnscratch.formulas import Formula
from nnscratch.formulas.checks import refuse_complex
from nnscratch.tensors.ops.calling import also_named, tensor_function
from nnscratch.tensors.promotion import to_common_dtype
from nnscratch.tensors.tensor import Tensor, as_tensor

__all__ = [
    "acos",
    "acosh",
    "addcdiv",
    "addcmul",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "ceil",
    "copysign",
    "cos",
    "cosh",
    "deg2rad",
    "erf",
    "erfc",
    "erfinv",
    "exp2",
    "expm1",
    "fix",
    "float_power",
    "floor",
    "fmax",
    "fmin",
    "frac",
    "heaviside",
    "hypot",
    "ldexp",
    "lerp",
    "log10",
    "log1p",
    "log2",
    "logaddexp",
    "logaddexp2",
    "logit",
    "nan_to_num",
    "positive",
    "rad2deg",
    "round",
    "sgn",
    "sign",
    "signbit",
    "sin",
    "sinc",
    "sinh",
    "tan",
    "trunc",
    "xlogy",
]

Function = Callable[..., Tensor]


def _unary(formula: Formula, says: str, floats: bool = True) -> Function:
    """Return the function of a formula of each element; integers become floats, if it is real."""

    def function(input: Tensor) -> Tensor:
        taken = _as_float(input) if floats else _no_bool(formula.name, input)
        return taken._apply(formula)

    function.__name__ = function.__qualname__ = formula.name
    function.__doc__ = f"Return {says} of each element."
    return tensor_function(inplace=True)(function)


def _as_float(input: Tensor) -> Tensor:
    return input if is_complex(input.array) else input._as_float()


def _no_bool(name: str, input: Tensor) -> Tensor:
    if dtype_name(input.array.dtype) == "bool" and name != "sign":
        raise DTypeError(f"{name} is not for booleans; convert them first with .int()")
    return input


sin = _unary(f.SIN, "the sine")
cos = _unary(f.COS, "the cosine")
tan = _unary(f.TAN, "the tangent")
asin = _unary(f.ASIN, "the angle with that sine")
acos = _unary(f.ACOS, "the angle with that cosine")
atan = _unary(f.ATAN, "the angle with that tangent")
sinh = _unary(f.SINH, "the hyperbolic sine")
cosh = _unary(f.COSH, "the hyperbolic cosine")
asinh = _unary(f.ASINH, "the inverse of the hyperbolic sine")
acosh = _unary(f.ACOSH, "the inverse of the hyperbolic cosine")
atanh = _unary(f.ATANH, "the inverse of the hyperbolic tangent")
sinc = _unary(f.SINC, "sin(πx) / (πx)")
exp2 = _unary(f.EXP2, "2 to the power")
expm1 = _unary(f.EXPM1, "e^x - 1, exact near 0,")
log1p = _unary(f.LOG1P, "log(1 + x), exact near 0,")
log2 = _unary(f.LOG2, "the logarithm of base 2")
log10 = _unary(f.LOG10, "the logarithm of base 10")
erf = _unary(f.ERF, "the error function")
erfc = _unary(f.ERFC, "1 less the error function")
erfinv = _unary(f.ERFINV, "the inverse of the error function")
floor = _unary(f.FLOOR, "the largest whole number that is not above it,", floats=False)
ceil = _unary(f.CEIL, "the smallest whole number that is not below it,", floats=False)
trunc = _unary(f.TRUNC, "the whole number without its fraction", floats=False)
arccos = acos
arccosh = acosh
arcsin = asin
arcsinh = asinh
arctan = atan
arctanh = atanh
fix = trunc


@tensor_function(inplace=True)
def sign(input: Tensor) -> Tensor:
    """Return -1, 0 or 1 as each element is negative, zero or positive; booleans stay.

    >>> sign(as_tensor([-2.0, 0.0, 3.0]))
    tensor([-1.,  0.,  1.])
    """
    if dtype_name(input.array.dtype) == "bool":
        return input.clone()
    return input._apply(f.SIGN)


@tensor_function(inplace=True)
def sgn(input: Tensor) -> Tensor:
    """Return x / |x| of each element, 0 where it is 0: its sign if it is real."""
    if not is_complex(input.array):
        return sign(input)
    size = input.abs()
    return input / (size + (size == 0).to(size.dtype))


@tensor_function()
def signbit(input: Tensor) -> Tensor:
    """Say of each element whether it is negative, -0 included."""
    if not is_floating(input.array):
        return input < 0
    return (input < 0) | ((input == 0) & (1.0 / input < 0))


@tensor_function(inplace=True)
def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """Return the nearest number with so many decimals, the even one of two.

    Args:
        decimals: how many digits to keep behind the point; before it if negative.

    >>> round(as_tensor([0.5, 1.5, 2.44])), round(as_tensor([2.44]), decimals=1)
    (tensor([0., 2., 2.]), tensor([2.4]))
    """
    taken = _no_bool("round", input)
    if not decimals or not is_floating(taken.array):
        if decimals < 0:
            raise DTypeError("round: decimals below 0 are for floating-point tensors; use .float()")
        return taken._apply(f.ROUND)
    scale = 10.0 ** abs(decimals)
    if decimals > 0:
        return (taken * scale)._apply(f.ROUND) / scale
    return (taken / scale)._apply(f.ROUND) * scale


@tensor_function(inplace=True)
def frac(input: Tensor) -> Tensor:
    """Return each element less its whole part, with its sign."""
    if not is_floating(input.array):
        raise DTypeError(f"frac needs floating-point numbers, got {input.dtype}")
    return input - trunc(input)


@tensor_function()
def positive(input: Tensor) -> Tensor:
    """Return the tensor itself."""
    return _no_bool("positive", input)


@tensor_function(inplace=True)
def deg2rad(input: Tensor) -> Tensor:
    """Return degrees as radians."""
    return input._as_float() * (math.pi / 180.0)


@tensor_function(inplace=True)
def rad2deg(input: Tensor) -> Tensor:
    """Return radians as degrees."""
    return input._as_float() * (180.0 / math.pi)


@tensor_function(inplace=True)
def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """Return log(x / (1 - x)), of x held between ``eps`` and 1 - ``eps`` where that is given."""
    taken = input._as_float()
    if eps is not None:
        refuse_complex("logit with eps", taken.array)
        taken = taken.clamp(eps, 1.0 - eps)
    return (taken / (1.0 - taken)).log()


@tensor_function(inplace=True)
def nan_to_num(
    input: Tensor, nan: float | None = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """Return the elements with NaN and the infinities replaced; these by the dtype's limits.

    >>> nan_to_num(as_tensor([float("nan"), 1.0, float("inf")]), posinf=9.0)
    tensor([0., 1., 9.])
    """
    if is_complex(input.array):
        raise DTypeError(
            "nan_to_num is for real numbers; write complex(z.real.nan_to_num(), "
            "z.imag.nan_to_num())"
        )
    if not is_floating(input.array):
        return input.clone()
    limits = limits_of(dtype_name(input.array.dtype))
    above = float(limits.max) if posinf is None else posinf
    below = float(limits.min) if neginf is None else neginf
    made: Tensor = input.masked_fill(input != input, 0.0 if nan is None else nan)
    made = made.masked_fill(input == math.inf, above)
    return made.masked_fill(input == -math.inf, below)


# Of two.


def _pair(input: Tensor, other: Any, floats: bool = False) -> tuple[Any, Any]:
    """Return two operands as tensors of one dtype, floats if asked."""
    if floats and isinstance(other, int) and not is_inexact(input.array):
        input = input.to(default_dtype())  # before -1 becomes the 255 of unsigned integers
    left, right = to_common_dtype(input, other)
    if not isinstance(right, Tensor):
        right = left._wrap(to_device_of(as_tensor(right).to(left.dtype).array, left.array))
    if floats and not is_inexact(left.array):
        left, right = left.to(default_dtype()), right.to(default_dtype())
    return left, right


def _binary(formula: Formula, says: str, floats: bool = True) -> Function:
    def function(input: Tensor, other: Any) -> Tensor:
        left, right = _pair(input, other, floats)
        return left._apply(formula, right)

    function.__name__ = function.__qualname__ = formula.name
    function.__doc__ = f"Return {says}, element by element, with broadcasting."
    return tensor_function(inplace=True)(function)


atan2 = _binary(f.ATAN2, "the angle of the point with ordinate ``input`` and abscissa ``other``")
hypot = _binary(f.HYPOT, "the root of the sum of the squares")
logaddexp = _binary(f.LOGADDEXP, "log(e^x + e^y)")
arctan2 = atan2
also_named(arccos="acos", arccosh="acosh", arcsin="asin", arcsinh="asinh", arctan="atan")
also_named(arctan2="atan2", arctanh="atanh", fix="trunc")


@tensor_function(inplace=True)
def xlogy(input: Tensor, other: Any) -> Tensor:
    """Return x log y, 0 where x is 0."""
    left, right = _pair(input, other, floats=True)
    return left._apply(f.XLOGY, right)


@tensor_function(inplace=True)
def logaddexp2(input: Tensor, other: Any) -> Tensor:
    """Return log2(2^x + 2^y)."""
    left, right = _pair(input, other, floats=True)
    return logaddexp(left * math.log(2.0), right * math.log(2.0)) / math.log(2.0)


@tensor_function(inplace=True)
def float_power(input: Tensor, exponent: Any) -> Tensor:
    """Return each element to a power, computed in float64, or in complex128."""
    if isinstance(exponent, Tensor):
        exponent = exponent.to("complex128" if is_complex(exponent.array) else "float64")
    taken = input.to("complex128" if is_complex(input.array) else "float64")
    return taken._binary(f.POWER, exponent)


@tensor_function(inplace=True)
def copysign(input: Tensor, other: Any) -> Tensor:
    """Return the size of ``input`` with the sign of ``other``, whose -0 is negative."""
    left, right = _pair(input, other, floats=True)
    if is_complex(left.array):
        raise DTypeError(f"copysign: complex numbers have no sign, got {left.dtype}")
    turned = signbit(right) ^ signbit(left)
    # The derivative at 0 is 0, as in PyTorch.
    signs = (1.0 - 2.0 * turned.to(left.dtype)).detach()
    return left * signs


@tensor_function()
def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """Return 0 below 0, 1 above it, and ``values`` at 0."""
    if input.dtype != values.dtype:
        raise DTypeError(f"heaviside: expected values of {input.dtype}, got {values.dtype}")
    return (input == 0)._where(values, (input > 0).to(input.dtype))


@tensor_function(inplace=True)
def ldexp(input: Tensor, other: Any) -> Tensor:
    """Return x 2^y, rounded once if y is an integer: 2^y alone may be beyond the range."""
    power = as_tensor(other)
    whole = not is_floating(power.array)
    if whole:
        power = power.to(input.dtype if is_floating(input.array) else default_dtype())
    limits = limits_of(dtype_name(power.array.dtype))
    low, high = int(limits.minexp), int(limits.maxexp) - 2  # NumPy's 2^127 of float32 is not one
    if whole:
        power = power.clamp(3 * low, 3 * high)  # beyond these, 0 and infinity in any case
    # From the smallest subnormal number to infinity there are more than two times the powers that
    # the dtype has. The largest part comes last, so that no part before it has to be rounded.
    beyond = power.detach() - power.detach().clamp(low, high)
    second = beyond.clamp(low, high)
    third = (beyond - second).clamp(low, high)
    return input * exp2(third) * exp2(second) * exp2(power - second - third)


@tensor_function()
def fmax(input: Tensor, other: Tensor) -> Tensor:
    """Return the larger of two elements; the other one where one is NaN."""
    return _passing_nan(f.MAXIMUM, input, other)


@tensor_function()
def fmin(input: Tensor, other: Tensor) -> Tensor:
    """Return the smaller of two elements; the other one where one is NaN."""
    return _passing_nan(f.MINIMUM, input, other)


def _passing_nan(formula: Formula, input: Tensor, other: Tensor) -> Tensor:
    left, right = _pair(input, other)
    if formula is f.MAXIMUM:
        chosen = (left >= right) | (right != right)
    else:
        chosen = (left <= right) | (right != right)
    return chosen._where(left, right)


# Of three.


def _of_one_dtype(*tensors: Tensor) -> list[Tensor]:
    """Return tensors in the dtype of all: of two at a time, a number of float64 would be one."""
    common = promote(*(one.array for one in tensors))
    return [one.to(common) for one in tensors]


@tensor_function(inplace=True)
def lerp(input: Tensor, end: Any, weight: Any) -> Tensor:
    """Return input + weight (end - input), exact at both ends.

    >>> lerp(as_tensor([0.0, 0.0]), as_tensor([2.0, 4.0]), 0.25)
    tensor([0.5, 1. ])
    """
    if not isinstance(end, Tensor) or input.dtype != end.dtype:
        raise DTypeError(f"lerp: expected an end of {input.dtype}; use end.to(input.dtype)")
    if not isinstance(weight, Tensor):
        way = end - input
        return input + way * weight if abs(weight) < 0.5 else end - way * (1 - weight)
    if weight.dtype != input.dtype:
        raise DTypeError(f"lerp: expected a weight of {input.dtype}, got {weight.dtype}")
    way = end - input
    near = weight.abs() < 0.5
    return near._where(input + weight * way, end - way * (1 - weight))


@tensor_function(inplace=True)
def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1) -> Tensor:
    """Return input + value · tensor1 · tensor2."""
    taken, first, second = _of_one_dtype(input, tensor1, tensor2)
    return taken.add(first * second, alpha=value)


@tensor_function(inplace=True)
def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1) -> Tensor:
    """Return input + value · tensor1 / tensor2."""
    if is_integer(tensor1.array) and is_integer(tensor2.array):
        raise DTypeError("addcdiv does not divide integers; convert them first with .float()")
    taken, first, second = _of_one_dtype(input, tensor1, tensor2)
    return taken.add(first / second, alpha=value)
