"""The transforms of Winograd's convolution F(2x2, 3x3) on vector registers. Imports Numba.

    V = Bᵀ d B      a window d of 4 x 4 pixels
    U = G g Gᵀ      a kernel g of 3 x 3
    y = Aᵀ m A      m = Σ U ⊙ V over the channels: 2 x 2 pixels of the output

and back, from the gradient of those pixels to that of the kernel:

    D = A dy Aᵀ
    dg = Gᵀ u G     u = Σ D ⊙ V over the windows

Of windows two pixels apart ("strided") the first and the last column of the kernel meet pixels that
the middle one does not meet: F(2, 2) of the former and single products of the latter, 25 products
for 2 x 2 pixels where the kernel has 36. The gradient of the image comes from squares of 3 x 3 in
the same way, 4 x 4 pixels at once.

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

from .runtime.intrinsics import I32, I64, VOID
from .tiles import BYTE, REGISTER, _Emitter, exchange

Square = list[list[Any]]
Matrix = Sequence[Sequence[float]]

OF_INPUT = [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]
OF_OUTPUT = [[1, 1, 1, 0], [0, 1, -1, -1]]
OF_WEIGHTS: Matrix = [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]]
OF_GRADIENT: Matrix = list(zip(*OF_OUTPUT, strict=True))
TO_WEIGHTS: Matrix = list(zip(*OF_WEIGHTS, strict=True))

STRIDED_INPUT = [
    [1, 0, -1, 0, 0], [0, 0, 1, 0, 0], [0, 0, 1, 0, -1], [0, 1, 0, 0, 0], [0, 0, 0, -1, 0],
]  # fmt: skip
STRIDED_OUTPUT = [[1, 1, 0], [0, 1, -1]]
STRIDED_WEIGHTS: Matrix = [[1, 0, 0], [1, 0, 1], [0, 0, 1], [0, 1, 0]]
STRIDED_GRADIENT: Matrix = list(zip(*STRIDED_OUTPUT, strict=True))
STRIDED_TO_WEIGHTS: Matrix = list(zip(*STRIDED_WEIGHTS, strict=True))
SPREAD_INPUT = [[1, -1, 0], [0, 1, 0], [0, 1, -1], [1, 0, 0]]
SPREAD_OUTPUT = [[0, 0, 0, 1, 0], [1, 1, 0, 0, 0], [0, 0, 0, 0, 1], [0, 1, -1, 0, 0]]
"""Of strided windows the fifth product of an axis has the fourth number of the kernel again."""


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


def _squares(matrix: Matrix, like: Any, checks: bool = False) -> tuple[Any, Any]:
    """Return the signature, and what emits M d Mᵀ of a register of squares d.

    Of a square d each number is a register, the next one of its row right behind it; the rows are
    ``down`` bytes apart, and the numbers of the result ``plane``. With ``checks`` the last argument
    is the address of a register to which 0 times each is added: it stays 0 if all are finite.
    """
    n = len(matrix[0])

    def codegen(context, builder, signature, args):
        _, source, down, out, plane, *told = args
        e = _Emitter(context, builder, like)
        starts = [builder.add(source, builder.mul(down, I64(i))) for i in range(n)]
        d = [[e.load(e.at(at, I64(REGISTER), j, e.vector)) for j in range(n)] for at in starts]
        values = list(chain(*_transformed(e, matrix, d)))
        for k, value in enumerate(values):
            e.store(value, e.at(out, plane, k, e.vector))
        for spoilt in told:
            place = e.at(spoilt, I64(0), 0, e.vector)
            e.store(_told(e, values, e.load(place)), place)
        return context.get_dummy_value()

    return types.void(like, *[types.int64] * (5 if checks else 4)), codegen


def _told(e: Any, values: list[Any], bad: Any) -> Any:
    """Return a register to which 0 times each value is added: NaN where one is not finite."""
    for value in values:
        bad = e.fma(value, e.zero, bad)
    return bad


@intrinsic
def lay_pixels(typingctx, like, source, next_channel, last, width, out):
    """``lay_pixels(like, source, next_channel, last, width, out)``: a register of each pixel.

    Of as many channels as a register has lanes, ``next_channel`` bytes apart, as many pixels are
    laid out, of which ``width`` are read, which may be 0 or less; the others are zeros. Channels
    behind number ``last`` are not read; their lanes hold channel ``last`` again.
    """

    def codegen(context, builder, signature, args):
        _, source, next_channel, last, width, out = args
        e = _Emitter(context, builder, like)
        mask, rows = e.mask(width), []
        for i in range(e.count):
            index = builder.select(builder.icmp_signed("<", I64(i), last), I64(i), last)
            rows.append(e.load(e.at(source, next_channel, index, e.vector), mask))
        exchange(e, rows)
        for i, value in enumerate(rows):
            e.store(value, e.at(out, I64(REGISTER), i, e.vector))
        return context.get_dummy_value()

    return types.void(like, *[types.int64] * 5), codegen


@intrinsic
def put_pixels(typingctx, like, source, out, next_channel, last, width):
    """``put_pixels(like, source, out, next_channel, last, width)``: the way back, to the images.

    Only ``width`` pixels are written, and no channels behind number ``last``.
    """

    def codegen(context, builder, signature, args):
        _, source, out, next_channel, last, width = args
        e = _Emitter(context, builder, like)
        rows = [e.load(e.at(source, I64(REGISTER), i, e.vector)) for i in range(e.count)]
        exchange(e, rows)
        whole = builder.icmp_signed(">=", width, I64(e.count))
        whole = builder.and_(whole, builder.icmp_signed(">=", last, I64(e.count - 1)))
        with builder.if_else(whole) as (then, otherwise):
            with then:
                for i, value in enumerate(rows):
                    e.store(value, e.at(out, next_channel, i, e.vector))
            with otherwise:
                some = e.mask(width)
                for i, value in enumerate(rows):
                    with builder.if_then(builder.icmp_signed("<=", I64(i), last)):
                        e.store(value, e.at(out, next_channel, i, e.vector), some)
        return context.get_dummy_value()

    return types.void(like, *[types.int64] * 5), codegen


@intrinsic
def transform_pixels(typingctx, like, source, down, out, plane):
    """V of a window of pixels, ``down`` bytes from row to row: a lane is a channel."""
    return _squares(OF_INPUT, like)


@intrinsic
def transform_pixels_of_gradient(typingctx, like, source, down, out, plane):
    """D of a square of pixels, ``down`` bytes from row to row: a lane is an output."""
    return _squares(OF_GRADIENT, like)


@intrinsic
def transform_strided(typingctx, like, source, down, out, plane):
    """V of a window of 5 x 5 pixels of windows two pixels apart: a lane is a channel."""
    return _squares(STRIDED_INPUT, like)


@intrinsic
def transform_strided_gradient(typingctx, like, source, down, out, plane):
    """D of a square of 2 x 2 pixels of windows two pixels apart: a lane is an output."""
    return _squares(STRIDED_GRADIENT, like)


@intrinsic
def transform_spread(typingctx, like, source, down, out, plane):
    """V of a square of 3 x 3 pixels which the way back spreads: a lane is an output."""
    return _squares(SPREAD_INPUT, like)


def _kernels(matrix: Matrix, like: Any, swapped: int) -> tuple[Any, Any]:
    """Return the signature, and what emits U of a register of kernels.

    They are ``next_kernel`` bytes apart, each nine numbers end to end. ``turned`` says that the
    last number of a kernel is its first pixel: row 0 of U and row ``swapped`` change places, and so
    do the columns. Kernels behind number ``last`` are not read; their lanes hold kernel ``last``
    again. What is ``ahead`` bytes behind the kernels arrives in the cache meanwhile.
    """

    def codegen(context, builder, signature, args):
        _, source, next_kernel, last, turned, ahead, out, plane = args
        e = _Emitter(context, builder, like)
        starts = []
        for l in range(e.count):
            index = builder.select(builder.icmp_signed("<", I64(l), last), I64(l), last)
            starts.append(builder.add(source, builder.mul(next_kernel, index)))
            where = e.at(starts[-1], ahead, 1, BYTE)
            e.call("llvm.prefetch.p0", VOID, [where, I32(0), I32(3), I32(1)])
        numbers: list[Any] = []
        for first in range(0, 9, e.count):
            mask = None if first + e.count <= 9 else e.mask(I64(9 - first))
            rows = [e.load(e.at(at, I64(e.size), first, e.vector), mask) for at in starts]
            exchange(e, rows)
            numbers += rows
        square = _transformed(e, matrix, [numbers[3 * i : 3 * i + 3] for i in range(3)])
        back = builder.icmp_signed("!=", turned, I64(0))
        places: list[Any] = [I64(i) for i in range(4)]
        for i in (0, swapped):
            places[i] = builder.select(back, I64(swapped - i), I64(i))
        for i, row in enumerate(square):
            start = builder.add(out, builder.mul(builder.mul(plane, I64(4)), places[i]))
            for j, value in enumerate(row):
                e.store(value, e.at(start, plane, places[j], e.vector))
        return context.get_dummy_value()

    return types.void(like, *[types.int64] * 7), codegen


@intrinsic
def transform_kernels(typingctx, like, source, next_kernel, last, turned, ahead, out, plane):
    """U of a register of kernels, see ``_kernels``."""
    return _kernels(OF_WEIGHTS, like, 3)


@intrinsic
def transform_strided_kernels(
    typingctx, like, source, next_kernel, last, turned, ahead, out, plane
):  # fmt: skip
    """U of a register of kernels of windows two pixels apart, see ``_kernels``."""
    return _kernels(STRIDED_WEIGHTS, like, 2)


@intrinsic
def transform_to_kernel(typingctx, like, source, down, out, plane, spoilt):
    """The gradient of a register of kernels, 16 registers to 9, and whether all is finite."""
    return _squares(TO_WEIGHTS, like, checks=True)


@intrinsic
def transform_to_strided_kernel(typingctx, like, source, down, out, plane, spoilt):
    """The same of windows two pixels apart."""
    return _squares(STRIDED_TO_WEIGHTS, like, checks=True)


def _sums(matrix: Matrix, like: Any) -> tuple[Any, Any]:
    """Return the signature, and what emits a square of pixels, ``down`` bytes from row to row.

    A register of biases is added. ``spoilt`` is the address of a register to which 0 times each
    pixel is added: it stays 0 if all are finite.
    """
    n = len(matrix[0])

    def codegen(context, builder, signature, args):
        _, source, plane, bias, out, down, spoilt = args
        e = _Emitter(context, builder, like)
        m = [[e.load(e.at(source, plane, n * i + j, e.vector)) for j in range(n)] for i in range(n)]
        more, bad = (e.load(e.at(place, I64(0), 0, e.vector)) for place in (bias, spoilt))
        for a, row in enumerate(_transformed(e, matrix, m)):
            start = builder.add(out, builder.mul(down, I64(a)))
            pixels = [builder.fadd(value, more) for value in row]
            bad = _told(e, pixels, bad)
            for v, pixel in enumerate(pixels):
                e.store(pixel, e.at(start, I64(REGISTER), v, e.vector))
        e.store(bad, e.at(spoilt, I64(0), 0, e.vector))
        return context.get_dummy_value()

    return types.void(like, *[types.int64] * 6), codegen


@intrinsic
def transform_sums(typingctx, like, source, plane, bias, out, down, spoilt):
    """Y of a window, 2 x 2 pixels of 16 sums: a lane is an output."""
    return _sums(OF_OUTPUT, like)


@intrinsic
def transform_strided_sums(typingctx, like, source, plane, bias, out, down, spoilt):
    """Y of windows two pixels apart, 2 x 2 pixels of 9 sums: a lane is an output."""
    return _sums(STRIDED_OUTPUT, like)


@intrinsic
def transform_spread_sums(typingctx, like, source, plane, bias, out, down, spoilt):
    """The pixels that such windows come from, 4 x 4 of 25 sums: a lane is a channel."""
    return _sums(SPREAD_OUTPUT, like)
