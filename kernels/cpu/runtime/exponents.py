"""The exponents of float32 as bits: powers of two, and numbers taken apart. Imports Numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

F32 = ir.FloatType()
I32 = ir.IntType(32)


def _power_of_two(builder: Any, shifted: Any, more: int) -> Any:
    bits = builder.bitcast(shifted, I32)  # those of n are the last ones
    return builder.bitcast(builder.shl(builder.add(bits, I32(127 + more)), I32(23)), F32)


def _scale_exponent(builder: Any, value: Any, shifted: Any) -> Any:
    n = builder.sub(builder.bitcast(shifted, I32), I32(0x4B400000))
    half = builder.ashr(n, I32(1))
    rest = builder.sub(n, half)

    def power(k):
        return builder.bitcast(builder.shl(builder.add(k, I32(127)), I32(23)), F32)

    return builder.fmul(builder.fmul(value, power(half)), power(rest))


def _split_exponent(builder: Any, value: Any) -> tuple[Any, Any]:
    bits = builder.bitcast(value, I32)
    shifted = builder.sub(bits, I32(0x3F3504F3))
    exponent = builder.ashr(shifted, I32(23))
    mantissa = builder.sub(bits, builder.shl(exponent, I32(23)))
    return builder.bitcast(mantissa, F32), builder.sitofp(exponent, F32)


@intrinsic
def power_of_two(typingctx, shifted, more):
    """``2**(n + more)`` where ``shifted`` is the float32 ``n + 1.5 * 2**23``, a normal number."""
    if not isinstance(more, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        return _power_of_two(builder, args[0], more.literal_value)

    # The literal stays in the signature: Numba keeps one ``codegen`` for each signature.
    return types.float32(types.float32, more), codegen


@intrinsic
def scale_exponent(typingctx, value, shifted):
    """``value * 2**n`` where ``shifted`` is the float32 ``n + 1.5 * 2**23``, for -280 < n < 256.

    In two factors, so that a result may overflow to infinity or become a denormal number, and on
    bits alone, so that NaN goes through without an undefined conversion to an integer.
    """

    def codegen(context, builder, signature, args):
        return _scale_exponent(builder, *args)

    return types.float32(types.float32, types.float32), codegen


@intrinsic
def split_exponent(typingctx, value):
    """``(m, e)`` with ``value = m * 2**e`` and sqrt(1/2) <= m < sqrt(2), both float32.

    For positive normal numbers; ``e`` comes back as a float32.
    """
    pair = types.UniTuple(types.float32, 2)

    def codegen(context, builder, signature, args):
        return context.make_tuple(builder, pair, _split_exponent(builder, *args))

    return pair(types.float32), codegen


EMITTERS: dict[Any, Callable[..., Any]] = {
    power_of_two: _power_of_two,
    scale_exponent: _scale_exponent,
    split_exponent: _split_exponent,
}
"""What writes these as LLVM, from a builder and values."""
