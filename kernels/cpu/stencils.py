"""Sums over the pixels of a kernel for registers of neighbouring places. Imports Numba.

Where an output has few channels to sum over, or an input few outputs, there is no product to make
of it: the sums of a row of places stay in registers while all pixels of the kernel pass by.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .runtime.intrinsics import I32, I64
from .tiles import REGISTER, ROWS, _Emitter

TERMS = 3 if ROWS == 8 else 2
"""Terms of a tile whose sums over places stay in 32 or 16 registers, beside ROWS outputs."""


@intrinsic
def weigh(typingctx, vectors, partial, like, add, first, count, weights, offsets, x, y, width):
    """``weigh(4, False, like, add, first, K, w, offsets, X, Y, width)``: Y = first + Σ_k w[k] X_k.

    Y is V registers of numbers, V a literal, to what it holds where ``add`` is not 0. X_k stands
    ``offsets[k]`` bytes behind X. With ``partial``, a literal, only ``width`` numbers are written.
    """
    if not all(isinstance(one, types.Literal) for one in (vectors, partial)):
        return None
    V, cut = vectors.literal_value, partial.literal_value
    word = types.int64

    def codegen(context, builder, signature, args):
        add, first, count, weights, offsets, x, y, width = args[3:]
        e = _Emitter(context, builder, like)
        side = I64(REGISTER)
        masks = [e.mask(builder.sub(width, I64(v * e.count))) if cut else None for v in range(V)]
        places = [e.at(y, side, v, e.vector) for v in range(V)]
        sums = e.variables(V)
        start = e.splat(first, e.vector)
        with builder.if_else(builder.icmp_signed("!=", add, I64(0))) as (then, otherwise):
            with then:
                for v in range(V):
                    builder.store(e.load(places[v], masks[v]), sums[v])
            with otherwise:
                for v in range(V):
                    builder.store(start, sums[v])
        with cgutils.for_range(builder, count) as loop:
            offset = builder.load(e.at(offsets, I64(8), loop.index, I64), typ=I64)
            source = builder.add(x, offset)
            factor = e.broadcast(e.at(weights, I64(e.size), loop.index, e.element))
            for v in range(V):
                part = e.load(e.at(source, side, v, e.vector))
                builder.store(e.fma(factor, part, builder.load(sums[v])), sums[v])
        for v in range(V):
            e.store(builder.load(sums[v]), places[v], masks[v])
        return context.get_dummy_value()

    return types.void(vectors, partial, like, word, like, *[word] * 6), codegen


@intrinsic
def weigh_squares(
    typingctx, rows, step, like, blocks, value, weights, x, x_row, top, high, left, wide, zeros, y,
    y_row, width,
):  # fmt: skip
    """``weigh_squares(4, 1, like, blocks, value, w, X, ..., width)``: Y = value + Σ w[k] X_k.

    The kernels have 3 x 3 pixels. Y is so many blocks of R rows of one register, of which ``width``
    numbers are written: windows that begin at pixel (top, left) of X and lie ``step`` pixels apart.
    R and the step are literals. X has ``high`` rows of ``wide`` numbers, around which are zeros;
    at ``zeros`` are two registers of these and two numbers more.
    """
    if not all(isinstance(one, types.Literal) for one in (rows, step)):
        return None
    R, S = rows.literal_value, step.literal_value
    word = types.int64

    def codegen(context, builder, signature, args):
        blocks, value, weights, x, x_row, top, high, left, wide, zeros, y, y_row, width = args[3:]
        e = _Emitter(context, builder, like)
        side = I64(e.size)

        def inside(behind: int) -> Any:
            """Return which of a register's columns, so many behind the first, are in a row."""
            first = builder.add(left, I64(behind))
            before, until = e.mask(builder.neg(first)), e.mask(builder.sub(wide, first))
            return builder.and_(until, builder.not_(before))

        masks = {k: inside(k) for j in range(3) for k in _behind(e, j, S)}
        picks = ir.Constant(ir.VectorType(I32, e.count), list(range(0, 2 * e.count, 2)))
        factors = [e.broadcast(e.at(weights, side, k, e.element)) for k in range(9)]
        first, written = e.splat(value, e.vector), e.mask(width)
        full = builder.icmp_signed(">=", width, I64(e.count))
        x = builder.add(x, builder.mul(left, side))
        with e.each(blocks) as block:
            begin = builder.add(top, builder.mul(block, I64(R * S)))
            sums = [first] * R
            for t in range((R - 1) * S + 3):
                row = builder.add(begin, I64(t))
                there = builder.icmp_unsigned("<", row, high)
                start = builder.select(there, builder.add(x, builder.mul(x_row, row)), zeros)
                for j in range(3):
                    places = [(e.at(start, side, k, e.vector), masks[k]) for k in _behind(e, j, S)]
                    parts = [e.load(*place) for place in places]
                    part = parts[0] if S == 1 else builder.shuffle_vector(*parts, picks)
                    for r in range(max(0, -(-(t - 2) // S)), min(R, t // S + 1)):
                        sums[r] = e.fma(factors[3 * (t - r * S) + j], part, sums[r])
            goal = builder.add(y, builder.mul(y_row, builder.mul(block, I64(R))))
            with builder.if_else(full) as ways:
                for way, mask in zip(ways, (None, written), strict=True):
                    with way:
                        for r in range(R):
                            e.store(sums[r], e.at(goal, y_row, r, e.vector), mask)
        return context.get_dummy_value()

    return types.void(rows, step, like, word, like, *[word] * 11), codegen


def _behind(e: _Emitter, j: int, step: int) -> list[int]:
    """Return how many numbers behind a window's first its registers of column ``j`` begin."""
    return [j + k * e.count for k in range(step)]


def _added_up(e, total):
    """Return the sum of a register's numbers, in one order for every processor."""
    half = e.count // 2
    while half:
        picks = [(i + half) % e.count for i in range(e.count)]
        many = ir.Constant(ir.VectorType(I32, e.count), picks)
        total = e.builder.fadd(total, e.builder.shuffle_vector(total, total, many))
        half //= 2
    return e.builder.extract_element(total, I32(0))


def _all_added_up(e, totals):
    """Return the sums of several registers' numbers in one register, each added as above."""
    totals = totals + [e.zero] * (e.count - len(totals))
    half = e.count // 2
    while half:
        # A register has blocks, each of one sum: two registers' blocks are folded into one of both.
        lower = [i for i in range(2 * e.count) if not i & half]
        many = ir.VectorType(I32, e.count)
        picks = [ir.Constant(many, [i + k for i in lower]) for k in (0, half)]
        totals = [
            e.builder.fadd(*(e.builder.shuffle_vector(one, other, pick) for pick in picks))
            for one, other in zip(totals[::2], totals[1::2], strict=True)
        ]
        half //= 2
    return totals[0]


@intrinsic
def dot_rows(typingctx, taps, like, rows, width, d, d_row, x, x_row, step, out):
    """``dot_rows(3, like, rows, width, D, d_row, X, x_row, step, out)``: out[t] += Σ D X_t.

    The sums go over ``rows`` rows of ``width`` numbers, ``d_row`` and ``x_row`` bytes apart; X_t
    stands ``t * step`` bytes behind X. The number of t is a literal.
    """
    if not isinstance(taps, types.Literal):
        return None
    T = taps.literal_value
    word = types.int64

    def codegen(context, builder, signature, args):
        rows, width, d, d_row, x, x_row, step, out = args[2:]
        e = _Emitter(context, builder, like)
        side, length = I64(REGISTER), I64(e.count)
        sums = e.variables(T)
        for variable in sums:
            builder.store(e.zero, variable)
        whole, rest = builder.sdiv(width, length), builder.srem(width, length)
        mask = e.mask(rest)

        def term(along_d, along_x, v, mask):
            part = e.load(e.at(along_d, side, v, e.vector), mask)
            for t in range(T):
                base = builder.add(along_x, builder.mul(step, I64(t)))
                other = e.load(e.at(base, side, v, e.vector), mask)
                builder.store(e.fma(part, other, builder.load(sums[t])), sums[t])

        with cgutils.for_range(builder, rows) as outer:
            along_d = builder.add(d, builder.mul(d_row, outer.index))
            along_x = builder.add(x, builder.mul(x_row, outer.index))
            with cgutils.for_range(builder, whole) as loop:
                term(along_d, along_x, loop.index, None)
            with builder.if_then(builder.icmp_signed("!=", rest, I64(0))):
                term(along_d, along_x, whole, mask)
        for t in range(T):
            place = e.at(out, I64(e.size), t, e.element)
            held = builder.load(place, align=e.size, typ=e.element)
            value = _added_up(e, builder.load(sums[t]))
            builder.store(builder.fadd(held, value), place, align=e.size)
        return context.get_dummy_value()

    return types.void(taps, like, *[word] * 8), codegen


@intrinsic
def weigh_rows(
    typingctx, rows, vectors, like, terms, a, step, offsets, x, apart, bias, y, y_row
):  # fmt: skip
    """``weigh_rows(6, 2, like, K, A, step, offsets, X, apart, b, Y, y_row)``: Y[r] = Σ A[k, r] X_k.

    The sum is over k. Y is R rows of V registers, both literals; ``apart`` bytes lie between the
    two registers of X and between those of Y, which may overlap. X_k stands ``offsets[k]`` bytes
    behind X; the R numbers A[k] are end to end, ``step`` bytes behind those before. Where ``bias``
    is not 0, an address of R numbers, these are added.
    """
    if not all(isinstance(one, types.Literal) for one in (rows, vectors)):
        return None
    R, V = rows.literal_value, vectors.literal_value
    word = types.int64

    def codegen(context, builder, signature, args):
        terms, a, step, offsets, x, apart, bias, y, y_row = args[3:]
        e = _Emitter(context, builder, like)
        sums = e.variables(R * V)
        for variable in sums:
            builder.store(e.zero, variable)
        with cgutils.for_range(builder, terms) as loop:
            offset = builder.load(e.at(offsets, I64(8), loop.index, I64), typ=I64)
            source = builder.add(x, offset)
            parts = [e.load(e.at(source, apart, v, e.vector)) for v in range(V)]
            along = builder.add(a, builder.mul(step, loop.index))
            for r in range(R):
                factor = e.broadcast(e.at(along, I64(e.size), r, e.element))
                for v in range(V):
                    variable = sums[r * V + v]
                    builder.store(e.fma(factor, parts[v], builder.load(variable)), variable)
        with builder.if_then(builder.icmp_signed("!=", bias, I64(0))):
            for r in range(R):
                number = e.broadcast(e.at(bias, I64(e.size), r, e.element))
                for variable in sums[r * V : r * V + V]:
                    builder.store(builder.fadd(number, builder.load(variable)), variable)
        for r in range(R):
            row = builder.add(y, builder.mul(y_row, I64(r)))
            for v in range(V):
                e.store(builder.load(sums[r * V + v]), e.at(row, apart, v, e.vector))
        return context.get_dummy_value()

    return types.void(rows, vectors, like, *[word] * 9), codegen


@intrinsic
def dot_lines(
    typingctx, outputs, terms, like, add, images, d_image, x_image, registers, there, d, d_output,
    x, offsets, out,
):  # fmt: skip
    """``dot_lines(8, 3, like, add, ..., out)``: out[3 r + t] = Σ D[r] X_t for R outputs, t < 3.

    The sums go over ``images`` of a line of ``registers``, those of D and of X each so many bytes
    apart. X_t stands ``offsets[t]`` bytes behind X and counts only where ``there`` has no 0; the
    outputs of D are ``d_output`` bytes apart. The numbers of outputs and terms are literals. Where
    ``add`` is not 0, what ``out`` holds is added; it is written in whole registers.
    """
    if not all(isinstance(one, types.Literal) for one in (outputs, terms)):
        return None
    R, T = outputs.literal_value, terms.literal_value
    word = types.int64

    def codegen(context, builder, signature, args):
        add, images, d_image, x_image, registers, there, d, d_output, x, offsets, out = args[3:]
        e = _Emitter(context, builder, like)
        sums = e.variables(R * T)
        for variable in sums:
            builder.store(e.zero, variable)
        side = I64(REGISTER)
        behind = [builder.load(e.at(offsets, I64(8), t, I64), typ=I64) for t in range(T)]
        with cgutils.for_range(builder, images) as image:
            along_d = builder.add(d, builder.mul(d_image, image.index))
            top_x = builder.add(x, builder.mul(x_image, image.index))
            along_x = [builder.add(top_x, offset) for offset in behind]
            with cgutils.for_range(builder, registers) as loop:
                mask = e.load(e.at(there, side, loop.index, e.vector))
                mask = builder.fcmp_ordered("!=", mask, e.zero)
                parts = []
                for base in along_x:
                    part = e.load(e.at(base, side, loop.index, e.vector))
                    parts.append(builder.select(mask, part, e.zero))
                for r in range(R):
                    base = builder.add(along_d, builder.mul(d_output, I64(r)))
                    factor = e.load(e.at(base, side, loop.index, e.vector))
                    for t in range(T):
                        variable = sums[T * r + t]
                        builder.store(e.fma(factor, parts[t], builder.load(variable)), variable)
        totals = [builder.load(variable) for variable in sums]
        adds = builder.icmp_signed("!=", add, I64(0))
        for first in range(0, R * T, e.count):
            place = e.at(out, I64(e.size), first, e.vector)
            before = builder.select(adds, e.load(place), e.zero)
            values = _all_added_up(e, totals[first : first + e.count])
            e.store(builder.fadd(before, values), place)
        return context.get_dummy_value()

    return types.void(outputs, terms, like, *[word] * 11), codegen


@intrinsic
def add_lanes(typingctx, lanes, squared, like, x, count, sums):
    """``add_lanes(32, False, like, X, count, sums)``: sums[l] += Σ_i X[32 i + l], in float64.

    The number of sums is a literal, of which ``count`` is a multiple; with ``squared``, a literal,
    the squares are added.
    """
    if not all(isinstance(one, types.Literal) for one in (lanes, squared)):
        return None
    many, square = lanes.literal_value, squared.literal_value
    word = types.int64

    def codegen(context, builder, signature, args):
        x, count, sums = args[3:]
        e = _Emitter(context, builder, like)
        wide = _Emitter(context, builder, types.float64)
        narrow = ir.VectorType(e.element, wide.count)
        registers = range(many // wide.count)
        totals = wide.variables(len(registers))
        places = [wide.at(sums, I64(REGISTER), v, wide.vector) for v in registers]
        for total, place in zip(totals, places, strict=True):
            builder.store(wide.load(place), total)
        with cgutils.for_range(builder, builder.sdiv(count, I64(many))) as loop:
            start = builder.add(x, builder.mul(loop.index, I64(many * e.size)))
            for v, total in zip(registers, totals, strict=True):
                place = e.at(start, I64(e.size * wide.count), v, narrow)
                value = builder.load(place, align=e.size, typ=narrow)
                if e.size < wide.size:
                    value = builder.fpext(value, wide.vector)
                if square:
                    value = builder.fmul(value, value)
                builder.store(builder.fadd(builder.load(total), value), total)
        for total, place in zip(totals, places, strict=True):
            wide.store(builder.load(total), place)
        return context.get_dummy_value()

    return types.void(lanes, squared, like, word, word, word), codegen
