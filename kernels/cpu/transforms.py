"""The transforms of Winograd's convolution F(2x2, 3x3) on vector registers. Imports Numba.

    V = Bᵀ d B      a window d of 4 x 4 pixels
    U = G g Gᵀ      a kernel g of 3 x 3
    y = Aᵀ m A      m = Σ U ⊙ V over the channels: 2 x 2 pixels of the output

and back, from the gradient of those pixels to that of the kernel:

    D = A dy Aᵀ
    dg = Gᵀ u G     u = Σ D ⊙ V over the windows

Each lane of a register is another window (or another kernel). Lavin and Gray 2016,
arXiv:1509.09308. With its coefficients 0, ±1 and ½ the error is a few roundings of the largest
number of a window of 4 x 4, where a direct convolution has those of its own 3 x 3 pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .runtime.intrinsics import I32, I64
from .tiles import REGISTER, _Emitter

Square = list[list[Any]]
Matrix = Sequence[Sequence[float]]

OF_INPUT = [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]
OF_OUTPUT = [[1, 1, 1, 0], [0, 1, -1, -1]]
OF_WEIGHTS: Matrix = [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]]
OF_GRADIENT: Matrix = list(zip(*OF_OUTPUT, strict=True))
TO_WEIGHTS: Matrix = list(zip(*OF_WEIGHTS, strict=True))


def _combined(e: Any, factors: Sequence[float], values: list[Any]) -> Any:
    """Return Σ factor · value; a register for each value."""
    total = None
    for factor, value in zip(factors, values, strict=True):
        if factor == 0:
            continue
        if abs(factor) != 1:
            constant = ir.Constant(e.element, float(abs(factor)))
            value = e.builder.fmul(value, ir.Constant(e.vector, [constant] * e.count))
        if total is None:
            total = value if factor > 0 else e.builder.fneg(value)
        elif factor > 0:
            total = e.builder.fadd(total, value)
        else:
            total = e.builder.fsub(total, value)
    return total


def _transformed(e: Any, M: Matrix, d: Square) -> Square:
    """Return M d Mᵀ."""
    columns = range(len(d[0]))
    half = [[_combined(e, row, [line[j] for line in d]) for j in columns] for row in M]
    return [[_combined(e, row, line) for row in M] for line in half]


def _squares(matrix: Matrix, like: Any) -> tuple[Any, Any]:
    """Return the signature, and what emits M d Mᵀ of a register of squares d.

    The numbers of a square are rows, ``stride`` bytes apart; those of the result ``plane``.
    """
    n = len(matrix[0])

    def codegen(context, builder, signature, args):
        _, source, stride, out, plane = args
        e = _Emitter(context, builder, like)
        d = [
            [e.load(e.at(source, stride, n * i + j, e.vector)) for j in range(n)] for i in range(n)
        ]
        _stored(e, matrix, d, out, plane)
        return context.get_dummy_value()

    return types.void(like, *[types.int64] * 4), codegen


def _squares_in_place(matrix: Matrix, like: Any) -> tuple[Any, Any]:
    """The same for neighbouring squares, two apart, of rows that lie ``down`` bytes apart.

    Of a row, the odd numbers stand ``across`` bytes behind the even ones.
    """
    n = len(matrix[0])

    def codegen(context, builder, signature, args):
        _, source, down, across, out, plane = args
        e = _Emitter(context, builder, like)
        d = []
        for i in range(n):
            even = builder.add(source, builder.mul(down, I64(i)))
            starts = [even, builder.add(even, across)]
            d.append([e.load(e.at(starts[j % 2], I64(e.size), j // 2, e.vector)) for j in range(n)])
        _stored(e, matrix, d, out, plane)
        return context.get_dummy_value()

    return types.void(like, *[types.int64] * 5), codegen


def _stored(e: Any, matrix: Matrix, d: Square, out: Any, plane: Any) -> None:
    for k, value in enumerate(chain(*_transformed(e, matrix, d))):
        e.store(value, e.at(out, plane, k, e.vector))


@intrinsic
def split_pairs(typingctx, like, source, width, evens, odds):
    """``split_pairs(like, source, width, evens, odds)``: the numbers of two registers, taken apart.

    Only ``width`` of them are read, which may be 0 or less; the others are zeros.
    """

    def codegen(context, builder, signature, args):
        _, source, width, *goals = args
        e = _Emitter(context, builder, like)
        n = e.count
        one, other = (
            e.load(e.at(source, I64(REGISTER), v, e.vector), e.mask(builder.sub(width, I64(v * n))))
            for v in range(2)
        )
        for parity, goal in enumerate(goals):
            picks = ir.Constant(ir.VectorType(I32, n), list(range(parity, 2 * n, 2)))
            value = builder.shuffle_vector(one, other, picks)
            e.store(value, e.at(goal, I64(0), 0, e.vector))
        return context.get_dummy_value()

    return types.void(like, *[types.int64] * 4), codegen


@intrinsic
def transform_input(typingctx, like, source, stride, out, plane):
    """V of a register of windows: 16 rows to 16 rows."""
    return _squares(OF_INPUT, like)


@intrinsic
def transform_input_in_place(typingctx, like, source, down, across, out, plane):
    """V of a register of neighbouring windows where the rows are laid out."""
    return _squares_in_place(OF_INPUT, like)


@intrinsic
def transform_kernel(typingctx, like, source, stride, out, plane):
    """U of a register of kernels: 9 rows to 16 rows."""
    return _squares(OF_WEIGHTS, like)


@intrinsic
def transform_gradient(typingctx, like, source, stride, out, plane):
    """D of a register of 2 x 2 pixels: 4 rows to 16 rows."""
    return _squares(OF_GRADIENT, like)


@intrinsic
def transform_gradient_in_place(typingctx, like, source, down, across, out, plane):
    """D of a register of neighbouring squares where the rows are laid out."""
    return _squares_in_place(OF_GRADIENT, like)


@intrinsic
def transform_to_kernel(typingctx, like, source, stride, out, plane):
    """The gradient of a register of kernels: 16 rows to 9 rows."""
    return _squares(TO_WEIGHTS, like)


@intrinsic
def transform_output(typingctx, like, source, plane, bias, out, line, spoilt):
    """Y of a register of windows, a bias added: two rows, ``line`` bytes apart, of twice as many.

    ``spoilt`` is the address of a register to which 0 · y is added: it stays 0 if all are finite.
    """

    def codegen(context, builder, signature, args):
        _, source, plane, bias, out, line, spoilt = args
        e = _Emitter(context, builder, like)
        m = [[e.load(e.at(source, plane, 4 * i + j, e.vector)) for j in range(4)] for i in range(4)]
        more = e.splat(bias, e.vector)
        nothing = I64(0)
        bad = e.load(e.at(spoilt, nothing, 0, e.vector))
        n = e.count
        firsts = [half + (n if k % 2 else 0) for half in range(n // 2) for k in range(2)]
        lasts = [n // 2 + place for place in firsts]
        for a, row in enumerate(_transformed(e, OF_OUTPUT, m)):
            one, other = (builder.fadd(value, more) for value in row)
            bad = e.fma(one, e.zero, bad)
            bad = e.fma(other, e.zero, bad)
            many = ir.VectorType(I32, n)
            start = builder.add(out, builder.mul(line, I64(a)))
            for v, picks in enumerate((firsts, lasts)):
                pixels = builder.shuffle_vector(one, other, ir.Constant(many, picks))
                e.store(pixels, e.at(start, I64(REGISTER), v, e.vector))
        e.store(bad, e.at(spoilt, nothing, 0, e.vector))
        return context.get_dummy_value()

    return types.void(like, types.int64, types.int64, like, *[types.int64] * 3), codegen
